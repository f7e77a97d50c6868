/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records, as one pass over the finished rules: where a rule stops and counts what a person wants to hear
 * of, its verdict becomes a goto to a chain that sends a copy of the packet's head to the daemon (NFLOG),
 * under the name of the rule's counter, and ends as the rule did. What is allowed meets nothing of it.
 *
 * The limit stands in a rule of its own, so that a flood is stopped as ever and told no more. A copy has
 * no cgroup: where a socket's is known, the packet carries the tag of its job (SET_JOB_TAGS) as its mark
 * to the copy. Nobody reads a mark behind: the packet ends there, and where it goes on (audit) it has its
 * mark back.
 */
#include "skeleton-internal.h"

#include <string.h>

/* How a rule may end. */
enum end {
	END_DROP,
	END_REFUSE,
	END_REFUSE_KNOWN,
	END_REFUSE_HOST_JOB,
	END_AUDIT,
	END_AUDIT_BY_HOST_JOB,
	END_MAX,
};

/* Whose tag the packet carries to its copy. */
enum tag {
	TAG_NONE,
	TAG_SOCKET,     /* of the socket that the hook knows */
	TAG_CONNECTION, /* of who opened the connection */
};

#define TOLD(counter_, ...)                                                   \
	{                                                                     \
		.counter = (counter_), .audit = RECORD_AUDIT_PREFIX counter_, \
		.chains = { "log_" counter_,                                  \
			    "log_" counter_ "_refuse",                        \
			    "log_" counter_ "_refuse_known",                  \
			    "log_" counter_ "_refuse_host_job",               \
			    "log_" counter_ "_audit",                         \
			    "log_" counter_ "_audit_by_host_job" },           \
		__VA_ARGS__                                                   \
	}

/* Not of what every container says at its start ("unheard"), nor of what is no attempt of anybody:
 * floods of the bridge and late packets ("wrong_port", "stale_bystander"). */
static const struct told {
	const char *counter, *audit; /* prefixes */
	const char *chains[END_MAX];
	enum tag drop;   /* of rules that drop */
	enum tag refuse; /* of those that end in refuse_host_job */
} told[] = {
	TOLD("spoofed"),
	TOLD("past_bridge"),
	TOLD("job_to_host"),
	TOLD("job_to_bystander"),
	TOLD("to_job"),
	TOLD("bridge_job_quarantined"),
	TOLD("job_to_denied"),
	TOLD("job_to_metadata"),
	TOLD("job_to_internal"),
	TOLD("host_job_to_host_api", .refuse = TAG_SOCKET),
	TOLD("host_job_forged", .drop = TAG_SOCKET), /* in output only */
	/* dropped in postrouting, where no rule may ask for a socket */
	TOLD("host_job_to_published", .refuse = TAG_SOCKET),
	TOLD("host_job_to_bridge", .refuse = TAG_SOCKET),
	TOLD("host_job_quarantined", .refuse = TAG_SOCKET),
	TOLD("host_job_to_metadata", .refuse = TAG_SOCKET),
	TOLD("host_job_to_internal", .refuse = TAG_SOCKET),
	/* in input the socket is the runner's */
	TOLD("host_job_to_runner", .drop = TAG_SOCKET, .refuse = TAG_CONNECTION),
	TOLD("outside_to_host_api"),
	TOLD("outside_to_runner", .refuse = TAG_SOCKET),
	TOLD("outside_to_published"),
	TOLD("shadow_listener", .refuse = TAG_SOCKET),
	TOLD("guarded_listener", .drop = TAG_SOCKET, .refuse = TAG_SOCKET),
	TOLD("host_job_to_fenced", .refuse = TAG_SOCKET),
	TOLD("loopback_forged"),
	TOLD("to_quarantined", .refuse = TAG_SOCKET),
	TOLD("job_to_neighbour"),
	TOLD("job_spoofed"),
	TOLD("unknown_spoofed"),
	TOLD("job_control"),
	TOLD("injected"),
};

#define FIND_TAG                                                  \
	((struct stmt){ .kind = STMT_MARK_MAP,                    \
			.fields = { F_MARK, F_CGROUP_CONTAINER }, \
			.fields_n = 2,                            \
			.set = SET_JOB_TAGS })
#define TAG_OF_CONNECTION \
	((struct stmt){ .kind = STMT_MARK_COPY, .fields = { F_MARK, F_CT_MARK }, .fields_n = 2 })
#define NO_MARK CLEAR_BIT(F_MARK, UINT32_MAX)

static const struct told *find_told(const char *counter)
{
	for (size_t i = 0; i < ARRAY_SIZE(told); i++)
		if (strcmp(told[i].counter, counter) == 0)
			return &told[i];
	return NULL;
}

static enum end end_of(const struct stmt *verdict)
{
	static const char audit[] = "audit_", by_host_job[] = "_by_host_job";

	if (verdict->kind != STMT_VERDICT)
		return END_MAX;
	if (verdict->verdict == VERDICT_DROP)
		return END_DROP;
	if (verdict->verdict == VERDICT_JUMP && strncmp(verdict->name, audit, strlen(audit)) == 0)
		return strstr(verdict->name, by_host_job) ? END_AUDIT_BY_HOST_JOB : END_AUDIT;
	if (verdict->verdict != VERDICT_GOTO)
		return END_MAX;
	return strcmp(verdict->name, "refuse") == 0            ? END_REFUSE
	       : strcmp(verdict->name, "refuse_known") == 0    ? END_REFUSE_KNOWN
	       : strcmp(verdict->name, "refuse_host_job") == 0 ? END_REFUSE_HOST_JOB
							       : END_MAX;
}

/* limit rate 20/second burst 40 packets log prefix "COUNTER" group G snaplen 96 */
#define TELL LIMIT(RECORD_RATE, RECORD_BURST), TO_GROUP(prefix, skeleton->params.log_group)

/* Whoever is let through keeps the mark that it came with. */
static void tell_audited(struct skeleton *skeleton, struct chain *chain, const char *prefix,
			 enum tag tag, struct stmt last)
{
	if (tag == TAG_SOCKET)
		/* meta mark 0 limit … meta mark set socket cgroupv2 level C map @job_tags log …
		 * meta mark set 0 goto AUDIT-CHAIN */
		RULE(chain, "its mark names the job to the copy, and is taken off again",
		     EQ(F_MARK, 0), LIMIT(RECORD_RATE, RECORD_BURST), FIND_TAG,
		     TO_GROUP(prefix, skeleton->params.log_group), NO_MARK, last);
	/* limit … log … */
	RULE(chain, NULL, TELL);
}

static void tell_stopped(struct skeleton *skeleton, struct chain *chain, const char *prefix,
			 enum tag tag)
{
	if (tag == TAG_SOCKET) {
		/* meta mark set meta mark & 0 */
		RULE(chain, "the mark names the job to the copy: nobody else's may", NO_MARK);
		/* meta mark set socket cgroupv2 level C map @job_tags */
		RULE(chain, NULL, FIND_TAG);
	}
	if (tag == TAG_CONNECTION)
		/* meta mark set ct mark */
		RULE(chain, "the tag that its connection carries", TAG_OF_CONNECTION);
	/* limit … log … */
	RULE(chain, NULL, TELL);
}

static void log_chain(struct skeleton *skeleton, enum family family, const struct told *row,
		      enum end end, struct stmt last)
{
	bool audit = end == END_AUDIT || end == END_AUDIT_BY_HOST_JOB;
	enum tag tag = end == END_DROP              ? row->drop
		       : end == END_REFUSE_HOST_JOB ? row->refuse
						    : TAG_NONE;
	struct chain *chain;

	if (skeleton_find_chain(skeleton, family, row->chains[end]))
		return;
	chain = skeleton_chain(skeleton, family, row->chains[end], NULL);
	if (audit) {
		last.verdict = VERDICT_GOTO;
		tell_audited(skeleton, chain, row->audit,
			     end == END_AUDIT_BY_HOST_JOB ? row->refuse : TAG_NONE, last);
	} else {
		tell_stopped(skeleton, chain, row->counter, tag);
	}
	RULE(chain, NULL, last);
}

static void tell_rule(struct skeleton *skeleton, enum family family, const struct rule *rule)
{
	const struct told *row = NULL;
	const struct stmt *last = NULL;
	enum end end;

	for (const struct stmt *s = rule->stmts; s->kind != STMT_END; s++) {
		last = s;
		if (last->kind == STMT_COUNTER)
			row = find_told(last->name);
	}
	end = row ? end_of(last) : END_MAX;
	if (end == END_MAX)
		return;
	log_chain(skeleton, family, row, end, *last);
	skeleton->stmts[last - skeleton->stmts] = end == END_AUDIT || end == END_AUDIT_BY_HOST_JOB
							  ? JUMP(row->chains[end])
							  : GOTO(row->chains[end]);
}

bool skeleton_is_told(const char *counter)
{
	return find_told(counter);
}

void skeleton_records(struct skeleton *skeleton)
{
	size_t chains_n = skeleton->chains_n;

	for (size_t i = 0; skeleton->params.log_group && i < chains_n; i++)
		for (size_t j = 0; j < skeleton->chains[i].rules_n; j++)
			tell_rule(skeleton, skeleton->chains[i].family,
				  &skeleton->chains[i].rules[j]);
}
