/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Attempts: what the rules stopped (or, in audit, would have), from a copy of a packet's head to a
 * sentence for a person. Parse → name who it was → put like ones together → say it; each step is pure.
 * Who it was is said where it is certain, and else left open.
 */
#pragma once

#include "jobfence/policy.h"

#define ATTEMPT_RULE_MAX 32

struct nlmsghdr;

/* One packet that a rule stopped, as its copy tells. */
struct attempt {
	char rule[ATTEMPT_RULE_MAX]; /* the name of its counter: a-z, 0-9 and '_' */
	bool audit;                  /* it was let through */
	uint8_t family;          /* NFPROTO_IPV4, _IPV6, _BRIDGE or _NETDEV: where it was seen */
	uint8_t hook;            /* of that family */
	int in, out;             /* interfaces; 0: none */
	int in_port, out_port;   /* … of these, where they are bridges: the port; 0: not told */
	uint32_t mark;           /* the tag of a host job, or whatever the packet had */
	struct mac_addr mac;     /* of the sender; unset where there is none */
	struct ip_addr from, to; /* unset where the frame has none */
	uint16_t ethertype;
	uint8_t protocol;            /* IPPROTO_…; 0: not known */
	uint16_t from_port, to_port; /* host byte order; 0: none, or not known */
	bool question;               /* ARP or neighbour discovery asks who has @to */
};

/* Takes a message of nfnetlink_log apart. Returns 0; -EINVAL: it is none that a rule of ours sent. */
int attempt_parse(const struct nlmsghdr *nlh, struct attempt *ret_attempt);

enum party_kind {
	PARTY_UNKNOWN,   /* nobody can tell */
	PARTY_CONTAINER, /* the one named */
	PARTY_UNNAMED,   /* a container that nobody has named (yet) */
	PARTY_HOST_JOB,  /* one on the host's network, which is not known */
	PARTY_HOST,      /* this host itself, or a program on it */
	PARTY_OUTSIDE,   /* an address that is no container's */
};

/* One end of it. Texts are safe to print; empty where there is none. */
struct party {
	enum party_kind kind;
	enum role role; /* of a container */
	char id[CONTAINER_ID_LEN + 1];
	char name[64];
	char task[64];
	const char *class; /* "isolated", …; NULL for no container */
};

/* The tag that a host job's packets carry to their copy. */
struct job_tag {
	uint64_t cgroup;
	uint32_t mark;
};

/* Who has which address, port and tag: of one moment, independent of the model that it was made of. */
struct directory;
/* Returns 0 or -ENOMEM. @verdicts are of @model. */
int directory_new(const struct model *model, const struct verdict *verdicts,
		  const struct job_tag *tags, size_t tags_n, struct directory **ret_directory);
struct directory *directory_free(struct directory *directory);
/* Both say the same; false also where nobody can tell. @a and @b may be NULL. */
bool directory_equal(const struct directory *a, const struct directory *b);
DEFINE_CLEANUP(struct directory *, directory_free)

/* What is told. Of several it has the last one's addresses, port and target. */
struct attempt_record {
	struct attempt attempt; /* from and to turned round where the packet was an answer */
	struct party who, target;
	uint64_t count;
	bool at_least;               /* there were more than came here */
	bool many;                   /* on several ports */
	bool spread_from, spread_to; /* from, to several addresses or containers */
};

/*
 * Names both ends. @before is the directory of some moments ago, or NULL: who is gone may still have sent
 * it. False: it is nobody's attempt (a question to all ports of a bridge, a greeting to a group), or no rule
 * of ours.
 */
bool attempt_attribute(const struct attempt *attempt, const struct directory *now,
		       const struct directory *before, struct attempt_record *ret_record);

/* Like ones together: the same rule, sender, protocol and port. */
#define ATTEMPT_KEYS_MAX 256
#define ATTEMPT_PORTS_MAX 8 /* of one sender and rule that are told of one by one */
#define ATTEMPT_EVERY_USEC (60 * 1000000ULL)

struct attempt_sums;
int attempt_sums_new(struct attempt_sums **ret_sums);
struct attempt_sums *attempt_sums_free(struct attempt_sums *sums);
DEFINE_CLEANUP(struct attempt_sums *, attempt_sums_free)

/* True: the first of its kind for a minute, to be told now (@record, whose count is 1). @now in
 * microseconds, never going back. */
bool attempt_sums_add(struct attempt_sums *sums, struct attempt_record *record, uint64_t now);
/* One that is due, with how many there were since it was told. False: none is. */
bool attempt_sums_due(struct attempt_sums *sums, uint64_t now, struct attempt_record *ret_record);
/* When the next one is due; UINT64_MAX: nothing waits. */
uint64_t attempt_sums_next(const struct attempt_sums *sums);
/* Copies were lost: what is counted now is a lower bound. */
void attempt_sums_lost(struct attempt_sums *sums);

/* "job train-1 (task 4f2c…) tried to reach dstack's shim (127.0.0.1:10998/tcp): stopped". Ports are
 * those of the configuration. Returns @buffer. */
const char *attempt_text(const struct attempt_record *record, const struct reserved_ports *ports,
			 char *buffer, size_t size);
/* "tcp", "udp", "icmp", "arp", a number; "" where it is not known. */
const char *attempt_protocol(const struct attempt *attempt, char buffer[static 16]);

/* What is said of a rule. */
enum attempt_say {
	SAY_REACH,  /* tried to reach … */
	SAY_SEND,   /* sent … */
	SAY_LISTEN, /* listens in the place of … */
};

enum attempt_by {
	BY_SENDER, /* by its address, port or MAC */
	BY_TAG,    /* a host job, by its tag */
	BY_NOBODY, /* who it was nobody can tell */
};

struct attempt_rule {
	const char *name; /* of the counter */
	enum attempt_by by;
	enum attempt_say say;
	const char *what; /* of whom or what, where nothing better is known */
	bool target_tag;  /* the tag is the target's */
	bool from_bridge; /* nobody but a container on a bridge meets it */
};

/* NULL: no rule that is told. */
const struct attempt_rule *attempt_rule(const char *name);
