/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the daemon says of its steps, of foreign hands and of itself, each with its message of the
 * catalog. It remembers what it said, so that nothing is said all the time. Decides nothing.
 */
#include <string.h>

#include "jobfence/log.h"
#include "run-internal.h"

void say_foreign(struct says *says, const struct foreign_change *change, uint64_t now)
{
	struct diag often;

	if (!change) {
		log_event_limited(&says->lost, MESSAGE_NOTIFICATIONS_LOST,
				  "notifications of the ruleset were lost; reading it again");
		return;
	}
	log_event_limited(&says->foreign, MESSAGE_FOREIGN_CHANGE,
			  "%s (pid %u) changed jobfence's tables (%s); putting them back",
			  change->process, change->pid, change->what);
	if (removals_count(&says->removals, change, now, &often))
		log_event(MESSAGE_FOREIGN_REMOVALS, "%s", often.text);
}

void say_failed(struct says *says, int error, const struct diag *diag)
{
	log_event_limited(&says->failed, MESSAGE_UPDATE_FAILED,
			  "the ruleset could not be brought up to date, the one in the kernel "
			  "stays, trying again: %s",
			  diag->text[0] ? diag->text : strerror(-error));
}

void say_result(struct says *says, const struct reconcile_result *result, enum after after)
{
	if (result->left_out > 0)
		log_event_limited(&says->left_out, MESSAGE_LEFT_OUT,
				  "left out %zu elements, all else is in the kernel; trying again: "
				  "%s",
				  result->left_out, result->remark.text);
	else
		log_limit_reset(&says->left_out);
	if (result->stubborn == STUBBORN_FIRST)
		log_event(MESSAGE_STUBBORN,
			  "the kernel shows the same %zu differences after each of %u repairs, and "
			  "nobody was seen to make them; repairing them more seldom (%s): this is "
			  "a bug, or a kernel that is newer than this jobfence",
			  result->steps, result->stubborn, result->remark.text);
	if (result->stubborn > 0)
		return;
	if (result->steps > 0 && after == AFTER_FOREIGN_HANDS)
		log_event_limited(&says->healed, MESSAGE_HEALED,
				  "healed: %zu steps in one transaction", result->steps);
	else if (result->steps > 0 && after == AFTER_PERIODIC_LOOK)
		log_event(MESSAGE_DRIFT,
			  "the periodic look found %zu differences (a lost event or a bug) and "
			  "mended them",
			  result->steps);
	else
		log_debug("reconciled: %zu steps, %zu messages, %zu bytes%s", result->steps,
			  result->stats.messages, result->stats.bytes,
			  result->read ? ", kernel read" : "");
}

/* Losing ownership makes no notification: the periodic look finds it. */
void say_taken(const struct reconcile_result *result)
{
	if (result->taken > result->lost)
		log_notice("took %zu tables over as they were, counters included",
			   result->taken - result->lost);
	if (result->lost > 0)
		log_event(MESSAGE_OWNER_LOST,
			  "%zu tables had lost their owner, which the kernel tells nobody; they "
			  "are this daemon's again",
			  result->lost);
}

void say_ownership(struct says *says, enum ownership ownership)
{
	if (ownership == says->ownership)
		return;
	says->ownership = ownership;
	switch (ownership) {
	case OWNERSHIP_UNKNOWN:
		break;
	case OWNERSHIP_OURS:
		log_notice("no other process can change the tables (flags owner and persist)");
		break;
	case OWNERSHIP_NOT_WANTED:
		log_notice("other processes can change the tables, as [nftables] owner = no says; "
			   "what they change is put back");
		break;
	case OWNERSHIP_NO_KERNEL:
		log_notice("other processes can change the tables (this kernel has no table flag "
			   "persist, which came with 6.9); what they change is put back");
		break;
	case OWNERSHIP_OLD_TABLE:
		log_event(MESSAGE_NOT_OWNED, "other processes can change the tables: they were "
					     "made by another version or by nft, and the kernel "
					     "gives such tables no owner; what is changed is put "
					     "back; the next boot makes them anew, or, with a "
					     "moment without a fence: systemctl stop jobfence; "
					     "jobfence remove; systemctl start jobfence");
		break;
	}
}

/* As long as it is so, an hour never passes without it. */
void say_audit(const struct config *config)
{
	char groups[128];

	if (config->audit == GROUPS_ALL)
		log_event(MESSAGE_AUDIT, "AUDIT: nothing is enforced: all rules count and log, and "
					 "let everything through; take [enforce] default = audit "
					 "out to enforce them");
	else if (config->audit)
		log_event(MESSAGE_AUDIT,
			  "AUDIT: not enforced, only counted and logged: %s; the other groups are "
			  "enforced",
			  rule_groups_text(config->audit, groups, sizeof(groups)));
}

void say_features(bool bridge_meta, bool egress)
{
	if (bridge_meta)
		log_info("bridge ports are told apart by their bridge's name (meta ibrname)");
	else
		log_info("bridge ports are told apart by kind (no meta ibrname in this kernel): "
			 "veth ports of unknown bridges wait until they are known");
	if (egress)
		log_info("frames that packet sockets send to bridge jobs are told by their missing "
			 "route (netdev egress, meta rtclassid)");
	else
		log_event(MESSAGE_KERNEL_LACKS, "bridge jobs are not isolated from what a job on "
						"the host network puts on their bridge or port by "
						"packet sockets: this kernel lacks the netdev "
						"egress hook (5.16) or meta rtclassid "
						"(CONFIG_IP_ROUTE_CLASSID)");
}

void say_sandbox(const struct sandbox *sandbox, const struct diag *diag)
{
	if (sandbox->landlock == 0)
		log_notice("this kernel has no Landlock: the daemon is confined by its "
			   "capabilities and the system-call filter alone");
	if (diag->text[0])
		log_event(MESSAGE_SANDBOX_INCOMPLETE,
			  "the daemon's own sandbox is not whole, the fence stands all the same: "
			  "%s",
			  diag->text);
	else
		log_debug("confined: two capabilities, Landlock %d, system-call filter",
			  sandbox->landlock);
}
