/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files attempt_*.c share: questions to a directory, which may be NULL. Borrowed answers. */
#pragma once

#include "jobfence/attempt.h"

/* One container of a directory. */
struct known;

const char *known_id(const struct known *known);
struct party known_party(const struct known *known);

const struct known *directory_port(const struct directory *directory, int ifindex);
/* @bridge 0: on whichever. */
const struct known *directory_address(const struct directory *directory, int bridge,
				      const struct ip_addr *ip);
const struct known *directory_mac(const struct directory *directory, int bridge,
				  const struct mac_addr *mac);
const struct known *directory_tag(const struct directory *directory, uint32_t tag);
const struct known *directory_published(const struct directory *directory, uint8_t protocol,
					const struct ip_addr *ip, uint16_t port);
bool directory_is_bridge(const struct directory *directory, int ifindex);
