/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Texts of the shape that Docker 20.10 and 28 send. Each is parsed from a buffer of its exact
 * size, so that a sanitizer sees one byte read too far.
 */
#pragma once

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "jobfence/cleanup.h"
#include "jobfence/docker_json.h"

#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define NET_A "1111111111111111111111111111111111111111111111111111111111111111"
#define TASK "5b2b5f8c-5d4b-4e3a-9b0e-000000000001"
#define NAME "fast-cat-1-0-0-12345678"

/* Docker 20.10: a bridge job of dstack, running */
#define BRIDGE_STATE "\"State\":{\"Status\":\"running\",\"Running\":true,\"Pid\":4242}"
#define BRIDGE_LABELS \
	"\"Labels\":{\"ai.dstack.shim.is-task\":\"true\",\"ai.dstack.shim.task-id\":\"" TASK "\"}"
#define OWN_MOUNTS                                                                            \
	"{\"Type\":\"bind\",\"Source\":\"/root/.dstack/runners/" NAME "\","                   \
	"\"Destination\":\"/tmp/runner\",\"Mode\":\"\",\"RW\":true},"                         \
	"{\"Type\":\"bind\",\"Source\":\"/usr/local/bin/dstack-runner\","                     \
	"\"Destination\":\"/usr/local/bin/dstack-runner\"},"                                  \
	"{\"Type\":\"bind\",\"Source\":\"/mnt/disks/dstack-volumes/data\","                   \
	"\"Destination\":\"/data\"},"                                                         \
	"{\"Type\":\"volume\",\"Name\":\"v\",\"Source\":\"/var/lib/docker/volumes/v/_data\"," \
	"\"Destination\":\"/v\"},"                                                            \
	"{\"Type\":\"bind\",\"Source\":\"/dev/hugepages-1G\","                                \
	"\"Destination\":\"/dev/hugepages-1G\"}"
#define MASKED "\"MaskedPaths\":[\"/proc/kcore\"]"
#define BRIDGE_SETTINGS                                                                       \
	"\"NetworkSettings\":{\"Bridge\":\"\",\"SandboxKey\":\"/var/run/docker/netns/0123\"," \
	"\"Ports\":{\"10022/tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"32768\"},"          \
	"{\"HostIp\":\"::\",\"HostPort\":\"32768\"}],\"53/udp\":null},"                       \
	"\"Networks\":{\"bridge\":{\"IPAMConfig\":null,\"NetworkID\":\"" NET_A "\","          \
	"\"IPAddress\":\"172.17.0.2\",\"IPPrefixLen\":16,"                                    \
	"\"GlobalIPv6Address\":\"fd00::242:ac11:2\",\"MacAddress\":\"02:42:ac:11:00:02\"}}}"

_unused_ static const char bridge_20[] =
	"{\"Id\":\"" ID_A "\",\"Created\":\"2024-01-01T00:00:00Z\",\"Name\":\"/" NAME
	"\"," BRIDGE_STATE ",\"Mounts\":[" OWN_MOUNTS "],\"Config\":{\"Hostname\":"
	"\"h\"," BRIDGE_LABELS "},\"HostConfig\":{\"NetworkMode\":\"default\",\"NanoCpus\":"
	"2500000000,"
	"\"Memory\":1073741824,\"CgroupParent\":\"\",\"CapAdd\":null,\"Devices\":null," MASKED
	",\"PortBindings\":{\"10022/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"\"}]},"
	"\"PidMode\":\"\",\"IpcMode\":\"private\",\"CgroupnsMode\":\"host\"}," BRIDGE_SETTINGS "}";

/* Docker 28: a host job, dstack's devices on an InfiniBand host */
_unused_ static const char host_28[] =
	"{\"Id\":\"" ID_A "\",\"Name\":\"/" NAME "\"," BRIDGE_STATE ",\"Mounts\":[],"
	"\"Config\":{" BRIDGE_LABELS "},\"HostConfig\":{\"NetworkMode\":\"host\",\"NanoCpus\":0,"
	"\"Memory\":0,\"CgroupParent\":\"/jobs\",\"CapAdd\":[],"
	"\"Devices\":[{\"PathOnHost\":\"/dev/infiniband\"},{\"PathOnHost\":\"/dev/kfd\"},"
	"{\"PathOnHost\":\"/dev/dri/renderD128\"},{\"PathOnHost\":\"/dev/nvidia0\"},"
	"{\"PathOnHost\":\"/dev/tenstorrent/0\"},{\"PathOnHost\":\"/dev/accel/accel0\"}]," MASKED
	",\"PortBindings\":{\"10999/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"\"}]}},"
	"\"NetworkSettings\":{\"SandboxKey\":\"/var/run/docker/netns/default\",\"Ports\":{},"
	"\"Networks\":{\"host\":{\"NetworkID\":\"" NET_A "\",\"MacAddress\":\"\","
	"\"IPAddress\":\"\",\"GlobalIPv6Address\":\"\",\"DNSNames\":null}}}}";

_unused_ static const char list_20[] =
	"[{\"Id\":\"" ID_A "\",\"Names\":[\"/other/alias\",\"/" NAME "\"],\"Image\":\"i\","
	"\"Ports\":[{\"IP\":\"0.0.0.0\",\"PrivatePort\":80,\"PublicPort\":8080,\"Type\":\"tcp\"},"
	"{\"PrivatePort\":443,\"Type\":\"tcp\"}]," BRIDGE_LABELS ",\"State\":\"running\","
	"\"Status\":\"Up\",\"HostConfig\":{\"NetworkMode\":\"default\"},\"NetworkSettings\":"
	"{\"Networks\":{\"bridge\":{\"NetworkID\":\"\",\"IPAddress\":\"\",\"MacAddress\":\"\"}}}},"
	"{\"Id\":\"" ID_B "\",\"Names\":null,\"Labels\":null,\"State\":\"exited\",\"Ports\":null,"
	"\"HostConfig\":{\"NetworkMode\":\"container:" ID_A "\"},\"NetworkSettings\":null}]";

_unused_ static const char network_28[] =
	"{\"Name\":\"bridge\",\"Id\":\"" NET_A "\",\"Scope\":\"local\",\"Driver\":\"bridge\","
	"\"Containers\":{\"" ID_A "\":{\"Name\":\"x\",\"EndpointID\":\"e\",\"MacAddress\":"
	"\"02:42:ac:11:00:02\",\"IPv4Address\":\"172.17.0.2/16\",\"IPv6Address\":\"fd00::2/64\"},"
	"\"ep-" NET_A "\":{\"IPv4Address\":\"10.0.0.9/24\"}},"
	"\"Options\":{\"com.docker.network.bridge.name\":\"docker0\"},\"Labels\":{}}";

#define CONTAINER_EVENT(action, id, attributes)                                                   \
	"{\"status\":\"" action "\",\"id\":\"" ID_B "\",\"Type\":\"container\",\"Action\":"       \
	"\"" action "\",\"Actor\":{\"ID\":\"" id "\",\"Attributes\":{" attributes "}},\"scope\":" \
	"\"local\","                                                                              \
	"\"time\":1700000000,\"timeNano\":1700000000000000000}"
#define NETWORK_EVENT(action, id, attributes)                                     \
	"{\"Type\":\"network\",\"Action\":\"" action "\",\"Actor\":{\"ID\":\"" id \
	"\",\"Attributes\":{" attributes "}}}"

/* Parses a copy of exactly @len bytes. */
static inline int parse_container(const char *json, size_t len, struct container *ret)
{
	char *copy = malloc(len ? len : 1);
	struct diag diag = { 0 };
	int r;

	assert_non_null(copy);
	memcpy(copy, json, len);
	r = docker_json_container(copy, len, ret, &diag);
	assert_true(!r == !diag.text[0]);
	free(copy);
	return r;
}

static inline void must_parse(const char *json, struct container *ret)
{
	assert_int_equal(parse_container(json, strlen(json), ret), 0);
}

/* An inspect answer with this HostConfig (beside NetworkMode), Mounts and labels */
static inline char *make(const char *host_config, const char *mounts, const char *labels)
{
	char *text = NULL;

	assert_true(asprintf(&text,
			     "{\"Id\":\"%s\",\"Name\":\"/%s\",\"State\":{\"Status\":\"created\","
			     "\"Pid\":0},\"Config\":{\"Labels\":%s},\"HostConfig\":{%s},"
			     "\"Mounts\":[%s],\"NetworkSettings\":{\"Networks\":{}}}",
			     ID_A, NAME, labels, host_config, mounts) > 0);
	return text;
}

static inline void parse_made(const char *host_config, const char *mounts, struct container *ret)
{
	char *text = make(host_config, mounts, "null");

	must_parse(text, ret);
	free(text);
}
