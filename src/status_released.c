/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Until when the kernel lets a job out, by the elements that end by themselves: also where its release was
 * ended and no daemon has closed it. Pure. Never taken from what a release or a daemon says.
 */
#include "status-internal.h"

uint64_t status_released_until(const struct ruleset *elements, const struct status_row *row)
{
	char part[128];
	uint64_t until = 0;

	if (row->verdict->role != ROLE_JOB)
		return 0;
	status_comment_part(row, part, sizeof(part));
	for (size_t s = 0; s < SET_MAX; s++)
		for (size_t i = 0; set_spec((enum set_id)s)->timed && i < elements->sets[s].n;
		     i++) {
			const struct elem *elem = &elements->sets[s].elem[i];
			uint64_t ends = elem_extra(elem)->ends;

			if (ends > until && status_comment_is_of(elem->comment, part))
				until = ends;
		}
	return until;
}
