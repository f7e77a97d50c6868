/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of messages: identity, priority, meaning, and what to do. An id never changes and is never
 * used again: monitoring asks for it. Texts may have the journal's fields between @ signs. Pure.
 */
#include "jobfence/messages.h"

#include <errno.h>
#include <syslog.h>

static const struct message_spec specs[MESSAGE_MAX] = {
	[MESSAGE_ATTEMPT] = {
		"55d26e217d7b428fa31aba210f0ecfa8", "attempt", LOG_NOTICE,
		"Something that jobs may not do was tried and stopped",
		"Rule @JOBFENCE_RULE@ stopped what the line says. The first attempt of a container\n"
		"by one rule on one port is told at once, further ones once a minute with their\n"
		"number.\n"
		"Where JOBFENCE_CONTAINER is missing, it could not be told for certain who it was;\n"
		"where JOBFENCE_SOURCE, JOBFENCE_DESTINATION or JOBFENCE_TARGET is missing, it was\n"
		"several, or is not known: the line has the last of several.",
		"One attempt may be a mistake of the job: a default address, a scan by a library.\n"
		"Many on many ports are a reason to look at the job. What jobs are meant to reach\n"
		"is opened in [egress] of jobfence.conf(5). The rules are in jobfence-rulesets(7).",
	},
	[MESSAGE_ATTEMPT_AUDITED] = {
		"0c6603a2dd904d1aa1cd26cf34f30ef8", "attempt-audited", LOG_NOTICE,
		"Something that jobs may not do was tried and let through (audit)",
		"Rule @JOBFENCE_RULE@ is in audit mode: it would have stopped what the line says,\n"
		"and did not.",
		"See which of these your jobs need, open them in [egress], then take the group out\n"
		"of audit in [enforce] of jobfence.conf(5).",
	},
	[MESSAGE_ATTEMPTS_LOST] = {
		"0d55d471481543dd9bd03e487f3dcbb3", "attempts-lost", LOG_NOTICE,
		"More was stopped than could be told",
		"Copies of stopped packets were lost on their way to the daemon. They were stopped\n"
		"all the same and are in the counters; their number in the records is too low.",
		"nft list table inet jobfence has the counters, also those of each job.",
	},
	[MESSAGE_ATTEMPTS_UNTOLD] = {
		"b216ae3353394aec9d7bb1fb6edd6ffb", "attempts-untold", LOG_WARNING,
		"What is stopped is not told",
		"The fence stands, and counts; but there will be no records of single attempts:\n"
		"either this kernel has no nfnetlink_log, or another program reads the group.",
		"modprobe nfnetlink_log; or give jobfence a group of its own in [log] of\n"
		"jobfence.conf(5), or set group = 0 there to do without; then\n"
		"systemctl reload jobfence.",
	},
	[MESSAGE_JOB] = {
		"d6400632354c458a856acc0819dbee41", "job", LOG_NOTICE,
		"A job is confined",
		"Job @JOBFENCE_CONTAINER@ runs, or is confined otherwise than before; the line says how\n"
		"and why.",
		"Nothing. jobfence status shows all of them.",
	},
	[MESSAGE_JOB_GONE] = {
		"9eba2dd50bd542a299996bc55facf2df", "job-gone", LOG_NOTICE,
		"A job is gone",
		"Job @JOBFENCE_CONTAINER@ does not run any more; what named it was taken out of the\n"
		"ruleset.",
		"Nothing.",
	},
	[MESSAGE_VIOLATION] = {
		"e8fcfc8cd7e74e2885a71341c90346d9", "violation", LOG_WARNING,
		"A job is where the server's mode cannot have put it",
		"Job @JOBFENCE_CONTAINER@ is on the host's network, which\n"
		"DSTACK_SERVER_JOB_NETWORK_MODE forbids as it is mirrored here. It is quarantined\n"
		"(or fenced, with on_violation = fence).",
		"If the server's mode was changed, change it in /etc/default/jobfence too and\n"
		"systemctl reload jobfence. If not, somebody else started the container: see\n"
		"docker inspect.",
	},
	[MESSAGE_UNCONFINABLE] = {
		"f6b3f76bb7ea4b869e6d821146eb7f35", "unconfinable", LOG_WARNING,
		"A job cannot be held by any firewall",
		"Job @JOBFENCE_CONTAINER@ is privileged, has added capabilities, a mounted Docker socket\n"
		"or host path, a namespace of the host's, or a network that passes no bridge: it\n"
		"could undo the fence or go around it.",
		"Run it without, or on a host of its own. unconfinable = quarantine in\n"
		"jobfence.conf(5) lets such jobs originate nothing, as far as they can be held.",
	},
	[MESSAGE_STALE_MIRROR] = {
		"3bb08b3e311e47c7a118599e66d0fa9c", "stale-mirror", LOG_WARNING,
		"The mirrored mode may not be the server's",
		"Job @JOBFENCE_CONTAINER@ is placed as the server places jobs in another mode than the\n"
		"one that this host mirrors.",
		"Compare DSTACK_SERVER_JOB_NETWORK_MODE in /etc/default/jobfence with the server's,\n"
		"then systemctl reload jobfence.",
	},
	[MESSAGE_FOREIGN_CHANGE] = {
		"d68c0fb68e03480896b0c2fa385ee7b9", "foreign-change", LOG_WARNING,
		"Another program changed the fence",
		"A process that is not jobfence changed its tables; they are put back at once.",
		"The line names the process. A firewall's service that flushes the whole ruleset\n"
		"(nft flush ruleset) is the usual one: have it flush its own tables only. From\n"
		"Linux 6.9 on nobody else can change the tables.",
	},
	[MESSAGE_FOREIGN_REMOVALS] = {
		"b80088dadc5e44f6a606447dbfea80dd", "foreign-removals", LOG_ERR,
		"Another program keeps taking the fence away",
		"The tables are put back each time; between the two, for some milliseconds, there is\n"
		"no fence.",
		"Stop the process that the line names, or keep it from flushing tables that are not\n"
		"its own.",
	},
	[MESSAGE_HEALED] = {
		"d1bf24184fed48d6a643bd9569de19eb", "healed", LOG_NOTICE,
		"The fence is whole again",
		"What another program had changed was put back in one transaction.",
		"See the message before it for who it was.",
	},
	[MESSAGE_DRIFT] = {
		"dddca6f704644b91b55cff7197a71d2b", "drift", LOG_WARNING,
		"Something had changed that no event told of",
		"The look that is taken each minute found the ruleset or the engine's containers\n"
		"otherwise than the events had told, and mended it.",
		"Once is a lost event. If it comes again and again it is a bug: report it with the\n"
		"lines around it.",
	},
	[MESSAGE_OWNER_LOST] = {
		"963afd64e417445e9767c9ae09e34c6c", "owner-lost", LOG_WARNING,
		"The tables had lost their owner",
		"The tables belonged to nobody for a while; they are the daemon's again.",
		"Nothing. If it comes again and again, report it.",
	},
	[MESSAGE_NOT_OWNED] = {
		"136b0be9ac78484cbab55ad1898ed106", "not-owned", LOG_WARNING,
		"Other programs can change the fence until the next boot",
		"The tables were made by an older version or by nft, and the kernel gives such ones\n"
		"no owner. What others change is put back.",
		"Nothing: the next boot makes them anew. Or, with a moment without a fence:\n"
		"systemctl stop jobfence; jobfence remove; systemctl start jobfence.",
	},
	[MESSAGE_NOTIFICATIONS_LOST] = {
		"7973191c0c2a4777997b149590486c96", "notifications-lost", LOG_WARNING,
		"Notifications of the kernel were lost",
		"So much changed at once that the kernel could not tell all of it. Everything is read\n"
		"again.",
		"Nothing. If it goes on, some program changes the ruleset or links all the time.",
	},
	[MESSAGE_UPDATE_FAILED] = {
		"92d267ed66f544ce8d200a9b6502a2ab", "update-failed", LOG_ERR,
		"The fence could not be brought up to date",
		"The ruleset in the kernel stays as it was: what was denied is denied, but new\n"
		"containers are not named in it. The daemon tries again, after 10 seconds at most.",
		"The line has the kernel's reason: another owner of the tables, a missing module, no\n"
		"memory. jobfence verify shows what differs.",
	},
	[MESSAGE_LEFT_OUT] = {
		"f9ef1a612d83483a8f262107e62b9aa2", "left-out", LOG_ERR,
		"The kernel refused a part of what names containers",
		"Those elements were left out and the rest is in: the containers that they name are\n"
		"confined like ones that nobody knows. The daemon tries again.",
		"If it does not stop, report it with the line.",
	},
	[MESSAGE_STUBBORN] = {
		"eb33150889ff451ba4e01c42a3c3ce94", "stubborn", LOG_ERR,
		"Repairs make no difference",
		"The kernel shows something otherwise than it was sent, each time anew, and nobody was\n"
		"seen to change it.",
		"The fence stands. Report it with the kernel's version: uname -r.",
	},
	[MESSAGE_KERNEL_LACKS] = {
		"74d83cfeccd641b3a8e8392662779f42", "kernel-lacks", LOG_NOTICE,
		"This kernel cannot hold packet sockets off bridge jobs",
		"What a job on the host's network puts on a bridge or on a container's port by packet\n"
		"sockets reaches jobs on bridges: the kernel has no netdev egress hook (5.16) or no\n"
		"CONFIG_IP_ROUTE_CLASSID.",
		"Boot a newer kernel, or run no jobs on the host's network with NET_RAW beside jobs on\n"
		"bridges.",
	},
	[MESSAGE_ENGINE_LOST] = {
		"131d7d9636a3409a8cdd51933297766f", "engine-lost", LOG_WARNING,
		"Docker does not answer",
		"The fence stands and stays as it is: new containers have the rights of a job until\n"
		"the engine tells who they are. The daemon tries again by itself.",
		"systemctl status docker. Where the engine is elsewhere, see [docker] socket in\n"
		"jobfence.conf(5).",
	},
	[MESSAGE_ENGINE_BACK] = {
		"1a66c4df82e945b1b3320a0eeb9adbbd", "engine-back", LOG_NOTICE,
		"Docker has told all that runs",
		"The picture of the containers is whole.",
		"Nothing.",
	},
	[MESSAGE_STARTED] = {
		"e2c00516bd164cbc97880b941c293fec", "started", LOG_NOTICE,
		"The fence stands",
		"The ruleset is in the kernel, before any container is known.",
		"Nothing.",
	},
	[MESSAGE_STOPPED] = {
		"dce29ad22322406790746d0ace86a565", "stopped", LOG_NOTICE,
		"The daemon stops, the fence stays",
		"What was denied stays denied. Containers that start now are confined like jobs that\n"
		"nobody knows.",
		"systemctl start jobfence, or jobfence remove to take the fence down.",
	},
	[MESSAGE_CANNOT_START] = {
		"5bf37dbc2e934014b132547385031c9e", "cannot-start", LOG_ERR,
		"jobfence could not start",
		"After a boot there is no fence then, and Docker waits for it. A fence that stood\n"
		"before stays.",
		"The line says why: a second daemon, a configuration that is not right, something that\n"
		"the kernel lacks, no root.",
	},
	[MESSAGE_RELOAD_REFUSED] = {
		"6d6939d4f681434f854459562a10d523", "reload-refused", LOG_ERR,
		"The changed configuration was refused",
		"The configuration of before counts on.",
		"Mend what the line names, then systemctl reload jobfence.",
	},
	[MESSAGE_AUDIT] = {
		"f32b00174e094ed48eeb6627ed65bb93", "audit", LOG_WARNING,
		"The fence is not enforced",
		"Rules in audit mode count and tell, and let everything through.",
		"When you have seen enough, take audit out of [enforce] in jobfence.conf(5) and\n"
		"systemctl reload jobfence.",
	},
	[MESSAGE_HALF_FENCE] = {
		"114d0d2ab7ae47f18add6c76695e874b", "half-fence", LOG_ERR,
		"Jobs on the host's network are not fenced",
		"There is no cgroup v2 hierarchy to tell them by, and [cgroup] required = no lets the\n"
		"daemon go on without. Jobs on bridges are fenced.",
		"Mount cgroup v2 (also beside v1), then restart jobfence.",
	},
	[MESSAGE_SANDBOX_INCOMPLETE] = {
		"03b6cd247489462ebb5a7b9f75530075", "sandbox-incomplete", LOG_WARNING,
		"The daemon's own sandbox is not whole",
		"The fence stands all the same; the daemon has more rights than it needs.",
		"The line says what the kernel refused.",
	},
};

const struct message_spec *message_spec(enum message message)
{
	return &specs[message];
}

int messages_catalog(FILE *out)
{
	fprintf(out, "# SPDX-License-Identifier: GPL-2.0-or-later\n"
		     "# The messages of jobfence for journalctl -x. Made of src/messages.c by\n"
		     "# unit_test_messages --catalog; a test compares the two.\n");
	for (size_t i = 0; i < MESSAGE_MAX; i++)
		fprintf(out,
			"\n-- %s\nSubject: %s\nDefined-By: jobfence\nSupport: man:jobfence(8)\n"
			"Documentation: man:jobfence(8)\n\n%s\n\n%s\n",
			specs[i].id, specs[i].subject, specs[i].text, specs[i].what_to_do);
	return ferror(out) ? -EIO : 0;
}
