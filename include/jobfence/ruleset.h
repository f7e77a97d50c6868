/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ruleset as plain data: what should be in the kernel, and what is, in the same form.
 *
 * The sets are a fixed list (ruleset_sets.c); the rules are statements (struct stmt) that read like
 * nft text, so that one description is printed (render.c), sent (nft_rule.c) and compared (plan.c).
 * The number of rules never depends on the number of containers: only elements come and go.
 */
#pragma once

#include <assert.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jobfence/cleanup.h"
#include "jobfence/groups.h"

#define TABLE_NAME "jobfence"
/* Of table netdev: what the chains of ports jump to, and how their names begin. */
#define EGRESS_CHAIN "injected"
#define EGRESS_PORT_PREFIX "to_"
#define ELEM_KEY_MAX 40      /* bytes: ifname 16, ether 8, ipv6 16; every field padded to 4 */
#define ELEM_LAST_MAX 24     /* of an interval: ipv6 16, protocol 4, port 4 */
#define ELEM_COMMENT_MAX 120 /* nft prints and accepts up to 128 */
#define SET_FIELDS_MAX 4
#define FOREIGN_LEVELS_MAX 6 /* F_CGROUP_LEVEL1 … F_CGROUP_LEVEL6 */
#define RULE_STMTS_MAX 8
/* A rule tells of so many packets a second, of this much of each; in audit under this name. */
#define RECORD_RATE 20
#define RECORD_BURST 40
#define RECORD_SNAPLEN 96
#define RECORD_AUDIT_PREFIX "audit "
/* One of the two is there wherever anything is told. */
#define RECORD_CHAIN "log_to_job_refuse"
#define RECORD_AUDIT_CHAIN "log_to_job_audit"

enum family {
	FAMILY_INET,
	FAMILY_BRIDGE,
	FAMILY_NETDEV, /* where the kernel has the egress hook: params.egress */
	FAMILY_MAX,
};

/* Data types, by nft's names. */
enum key_type {
	KEY_NONE,
	KEY_IFNAME,       /* ifname, 16 bytes */
	KEY_IPV4,         /* ipv4_addr, network order */
	KEY_IPV6,         /* ipv6_addr, network order */
	KEY_ETHER,        /* ether_addr, 6 bytes */
	KEY_INET_PROTO,   /* inet_proto, 1 byte */
	KEY_INET_SERVICE, /* inet_service, network order */
	KEY_MARK,         /* mark, host order */
	KEY_CGROUP,       /* cgroupsv2, 8 bytes, host order: the inode of the folder */
	KEY_IFINDEX,      /* iface_index, 4 bytes, host order */
};

enum set_id {
	/* inet */
	SET_GUARDED_BRIDGES,
	SET_SPARED_BRIDGES,
	SET_SPARED_VETHS,
	SET_HOST_APIS,
	SET_OWN_APIS,
	SET_RESERVED_APIS,
	SET_GUARDED_LISTENERS,
	SET_FENCED_PORTS,
	SET_CONTAINER_SLICES,
	SET_HOST_SERVICES,
	SET_ENGINE_CGROUPS,
	SET_BYSTANDER_CGROUPS,
	SET_QUARANTINED_CGROUPS,
	SET_FOREIGN_ROOTS,
	SET_FOREIGN_CGROUPS,
	SET_FENCED_CGROUPS,
	SET_HOST_JOBS,
	SET_JOB_TAGS, /* a map: cgroup → mark */
	SET_OWN,
	SET_BYSTANDERS4,
	SET_BYSTANDERS6,
	SET_JOBS4,
	SET_JOBS6,
	SET_QUARANTINED4,
	SET_QUARANTINED6,
	SET_PUBLISHED4,
	SET_PUBLISHED6,
	SET_PUBLISHED_ANY,
	SET_BYSTANDER_PUBLISHED,
	SET_GUARDED_LINKS,
	SET_DENY4,
	SET_DENY6,
	SET_DENY_PORTS4,
	SET_DENY_PORTS6,
	SET_SERVICES4,
	SET_SERVICES6,
	SET_METADATA4,
	SET_METADATA6,
	SET_ALLOW4,
	SET_ALLOW6,
	SET_ALLOW_PORTS4,
	SET_ALLOW_PORTS6,
	SET_PEERS4,
	SET_PEERS6,
	SET_INTERNAL4,
	SET_INTERNAL6,
	/* bridge */
	SET_BRIDGE_GUARDED,
	SET_BRIDGE_SPARED,
	SET_FOREIGN_PORTS,
	SET_BYSTANDER_PORTS,
	SET_JOB_PORTS,
	SET_JOB_BINDINGS4,
	SET_JOB_BINDINGS6,
	SET_PORT_MACS,
	SET_BOUND_MACS,
	SET_BOUND4,
	SET_BOUND6,
	/* netdev */
	SET_EGRESS_BYSTANDERS,
	SET_BRIDGE_MACS,
	SET_EGRESS_PORTS, /* no set of the kernel's: a base chain for each element */
	SET_MAX,
};

#define SET_BIT_OF(set) (1ULL << (set))
static_assert(SET_MAX <= 64, "a bit for every set");

struct set_spec {
	enum set_id id;
	enum family family;
	const char *name;
	enum key_type key[SET_FIELDS_MAX]; /* KEY_NONE ends */
	enum key_type data;                /* KEY_MARK for the map, else KEY_NONE */
	bool counter;                      /* each element counts what it matched */
	bool base;                         /* filled before any container is known: goes in whole */
	bool timed;  /* elements may end by themselves: see struct elem_extra */
	bool chains; /* elements are egress chains of ports, and not in the kernel as a set */
	/* Elements are ranges that never overlap (interval.h). A lookup may miss while they come and
	 * go, so such a set is never changed: another with the name @next takes its place. */
	bool interval;
	const char *next;
	const char *why; /* for the text twins */
};

/* By nft's name. */
const char *family_name(enum family family);
const struct set_spec *set_spec(enum set_id id);
/* Bytes of one field without padding. */
uint32_t key_type_len(enum key_type type);
const char *key_type_name(enum key_type type);
/* Bytes of the whole key, every field padded to 4 if there are several. */
uint32_t set_key_len(const struct set_spec *spec);

/* What few elements have. */
struct elem_extra {
	uint8_t last
		[ELEM_LAST_MAX]; /* of an interval: the end of each field, included; else zero */
	uint32_t data;           /* of a map: the mark; else 0 */
	uint64_t ends; /* CLOCK_BOOTTIME, usec: then the kernel takes it out by itself; 0: never */
	uint64_t packets, bytes; /* what the kernel counted; 0 in a desired ruleset */
};

/* Small, since the daemon keeps five or six for each container. Both pointers are the ruleset's. */
struct elem {
	uint8_t key[ELEM_KEY_MAX]; /* the rest zero */
	const char *comment;       /* NULL for none */
	struct elem_extra *extra;  /* NULL for none: see elem_extra() */
};

static inline const struct elem_extra *elem_extra(const struct elem *elem)
{
	static const struct elem_extra none;

	return elem->extra ?: &none;
}

struct elems {
	struct elem *elem; /* owned; sorted by key after ruleset_seal() */
	size_t n, cap;
};

/* A key under construction: fields are appended in the set's order. */
struct elem_key {
	uint8_t bytes[ELEM_KEY_MAX];
	uint32_t len;
};

void elem_key_init(struct elem_key *key);
void elem_key_add(struct elem_key *key, const void *field, uint32_t len);
void elem_key_ifname(struct elem_key *key, const char *name);
void elem_key_u16(struct elem_key *key, uint16_t host_order); /* stored big-endian: a port */
void elem_key_u32(struct elem_key *key, uint32_t host_order); /* stored as is: a mark */
void elem_key_u64(struct elem_key *key, uint64_t host_order); /* stored as is: a cgroup id */
void elem_key_u8(struct elem_key *key, uint8_t value);

/* What a statement reads from the packet; in nft's words, see field_text(). */
enum field {
	F_IIFNAME,
	F_OIFNAME,
	F_IIFKIND,
	F_OIFKIND,
	F_IBRNAME,
	F_RTCLASSID, /* meta rtclassid: aborts the rule when the packet carries no route */
	F_PROTOCOL,
	F_MARK,
	F_L4PROTO,
	F_CT_DIRECTION,
	F_CT_STATE,
	F_CT_STATUS,
	F_CT_MARK,
	F_CGROUP_PARENT,    /* socket cgroupv2 at the level of the containers' parent */
	F_CGROUP_CONTAINER, /* … at the level of the containers */
	F_CGROUP_ENGINE,    /* … at the level of the engine's own cgroup */
	F_CGROUP_LEVEL1,    /* … at level 1, 2, … whatever the host is like; in this order */
	F_CGROUP_LEVEL2,
	F_CGROUP_LEVEL3,
	F_CGROUP_LEVEL4,
	F_CGROUP_LEVEL5,
	F_CGROUP_LEVEL6,
	F_FIB_SADDR_TYPE,
	F_FIB_DADDR_TYPE,
	F_FIB_DADDR_IIF_TYPE, /* fib daddr . iif type: local on this interface */
	F_FIB_DADDR_OIF,
	F_FIB_SADDR_IIF, /* fib saddr . iif oif: present or missing */
	F_RT_NEXTHOP4,   /* rt ip nexthop: aborts the rule when the packet carries no route */
	F_RT_NEXTHOP6,
	F_IP_SADDR,
	F_IP_DADDR,
	F_IP_FRAG_OFF,
	F_IP6_SADDR,
	F_IP6_DADDR,
	F_IP6_LENGTH,
	F_IP6_HOPLIMIT,
	F_ICMP_TYPE,
	F_IGMP_TYPE,
	F_ICMPV6_TYPE,
	F_TCP_SPORT,
	F_TCP_DPORT,
	F_TCP_FLAGS,
	F_UDP_DPORT,
	F_TH_SPORT,
	F_TH_DPORT,
	F_ETHER_DADDR,
	F_ETHER_SADDR,
	F_ETHER_TYPE,
	F_LL_TYPE, /* the same where nft would ask for the type of the interface too */
	F_ARP_SADDR_ETHER,
	F_ARP_SADDR_IP,
	/* without a name in nft 1.0.6, or not with the type that is needed: by place and length */
	F_RAW_ETHER_DADDR4, /* the first 4 bytes */
	F_RAW_ETHER_SADDR,
	F_RAW_IP6_SADDR,
	F_RAW_ND_TARGET,
	F_RAW_ND_OPTION, /* type and length of the first option */
	F_RAW_ND_MAC,    /* what is in it */
	F_MAX,
};

enum stmt_kind {
	STMT_END,
	STMT_LOOKUP,      /* fields @set, or fields != @set */
	STMT_CMP,         /* field == value, field != value */
	STMT_CMP_NAME,    /* an interface name or kind; "br-*" matches as a prefix */
	STMT_BITS,        /* field & mask == value, field & mask != value */
	STMT_MARK_SET,    /* meta mark or ct mark: set (mark & keep) | value */
	STMT_COPY,        /* fields[0] set fields[1]: one part of the packet over another */
	STMT_CT_MARK_MAP, /* ct mark set socket cgroupv2 … map @set */
	STMT_MARK_MAP,    /* meta mark (fields[0]) set fields[1] map @set */
	STMT_MARK_COPY,   /* meta mark set ct mark: fields[0] set fields[1] */
	STMT_COUNTER,     /* counter name "…" */
	STMT_VERDICT,
	STMT_REJECT,
	STMT_LIMIT, /* limit rate <value>/second burst <mask> packets */
	STMT_LOG,   /* log prefix "<name>"; with a value: … group <value> snaplen <mask> */
};

enum verdict_kind {
	VERDICT_ACCEPT,
	VERDICT_DROP,
	VERDICT_RETURN,
	VERDICT_JUMP,
	VERDICT_GOTO,
};

enum reject_kind {
	REJECT_TCP_RESET,
	REJECT_ADMIN_PROHIBITED,
};

/* Small, since the daemon keeps all of them. */
struct stmt {
	enum stmt_kind kind : 8;
	enum verdict_kind verdict : 8;
	enum reject_kind reject : 8;
	enum set_id set : 8;
	bool negate; /* != instead of == (or @) */
	uint8_t fields_n;
	uint8_t fields[SET_FIELDS_MAX]; /* enum field */
	uint32_t mask, value;           /* host order; for ports and ethertypes too */
	const char *name;               /* chain, counter, interface, kind or prefix; static */
};

struct rule {
	const struct stmt *stmts; /* STMT_END ends; of a skeleton, or static */
	const char *why;          /* for the text twins; NULL for none */
};

#define CHAINS_MAX 192
#define RULES_MAX 640
#define STMTS_MAX 2048 /* with each rule's end */

struct chain {
	enum family family;
	const char *name;
	const char *why;
	bool base;
	uint32_t hook; /* NF_INET_…, NF_BR_… or NF_NETDEV_… */
	int32_t priority;
	struct skeleton *skeleton; /* that it is part of, and whose rules these are */
	struct rule *rules;
	size_t rules_n;
};

struct counter_spec {
	enum family family;
	const char *name;
	const char *why;
};

/* What the fixed rules depend on; plain numbers, no pointers. Two are compared as bytes, so that no
 * field is forgotten: the compiler refuses holes. */
#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"
struct skeleton_params {
	uint32_t mode;                      /* enum network_mode */
	uint32_t parent_level;              /* cgroup level of the containers' parent, above them */
	uint32_t engine_level;              /* cgroup level of the engine */
	uint32_t runner_port;               /* host byte order */
	uint32_t mark_bystander;            /* one bit of the packet mark */
	uint32_t mark_container, mark_host; /* one bit each of the conntrack mark */
	uint32_t egress_bridge, egress_host; /* enum egress */
	uint32_t audit;     /* bits of enum rule_group: counted, logged and let through */
	uint32_t log_group; /* NFLOG group that is sent what is stopped; 0: none is */
	bool shared_parent; /* systemd driver: services and containers share the parent */
	bool bridge_meta;   /* the kernel has `meta ibrname` */
	bool egress;        /* the kernel has netdev egress and `meta rtclassid` */
	bool metadata_bridge, metadata_host; /* true: open */
	bool audit_log;
	bool guarded, fenced; /* there are guarded listeners, fenced ports */
};
#pragma GCC diagnostic pop

/* Its chains point into it: it is built where it stays, and never copied. */
struct skeleton {
	struct skeleton_params params;
	struct chain chains[CHAINS_MAX];
	size_t chains_n;
	struct rule rules[RULES_MAX];
	size_t rules_n;
	struct stmt stmts[STMTS_MAX];
	size_t stmts_n;
	const struct counter_spec *counters;
	size_t counters_n;
};

/* Whether what this counter counts is told, where anything is. */
bool skeleton_is_told(const char *counter);
/* Whether the ruleset has a table of @family. */
bool skeleton_has_family(const struct skeleton *skeleton, enum family family);
/* NULL: it has none of this name. */
const struct chain *skeleton_find_chain(const struct skeleton *skeleton, enum family family,
					const char *name);
bool skeleton_params_equal(const struct skeleton_params *a, const struct skeleton_params *b);
/* Fills the fixed chains. Pure. The skeleton is large: keep it on the heap. */
void skeleton_build(const struct skeleton_params *params, struct skeleton *ret_skeleton);

/* The elements of all sets. */
struct ruleset {
	struct elems sets[SET_MAX];
	/* Desired: elements that are not in here may stay in the kernel (the engine has not been
	 * heard yet, so their owners may still live). */
	bool keep[SET_MAX];
	/* … of those that end by themselves only such as end at one of these moments. Owned. */
	uint64_t *keep_ends;
	size_t keep_ends_n;
	struct ruleset_block *blocks; /* owned: comments and extras */
};

int ruleset_new(struct ruleset **ret_ruleset);
struct ruleset *ruleset_free(struct ruleset *ruleset);
DEFINE_CLEANUP(struct ruleset *, ruleset_free)

/* Copies @text into the ruleset, cut to ELEM_COMMENT_MAX. Returns 0 or -ENOMEM. */
int ruleset_comment(struct ruleset *ruleset, const char *text, const char **ret_comment);
/* Adds an element; @comment must be one of ruleset_comment(), or NULL. Returns 0 or -ENOMEM. */
int ruleset_add(struct ruleset *ruleset, enum set_id set, const struct elem_key *key, uint32_t data,
		const char *comment);
/* One with all that an element may have; @extra is copied. */
int ruleset_add_extra(struct ruleset *ruleset, enum set_id set, const struct elem_key *key,
		      const struct elem_extra *extra, const char *comment);
/* One of a timed set that ends at @ends. Of two with one key the one that ends first counts. */
int ruleset_add_timed(struct ruleset *ruleset, enum set_id set, const struct elem_key *key,
		      uint64_t ends, const char *comment);
/* The same for an interval set: every field from @first to @last, both included. */
int ruleset_add_range(struct ruleset *ruleset, enum set_id set, const struct elem_key *first,
		      const struct elem_key *last);
/* Sorts every set and drops elements whose key is there twice, whatever order they came in. */
void ruleset_seal(struct ruleset *ruleset);
/* The element with this key in a sealed set, or NULL. */
const struct elem *ruleset_find(const struct ruleset *ruleset, enum set_id set,
				const uint8_t key[static ELEM_KEY_MAX]);

/* A sealed ruleset in half of its size, to be kept; ruleset_packed.c. */
struct packed;
/* Takes @ruleset's comments and extras over: what is left of it can only be freed. Returns 0 or -ENOMEM, and
 * then it is as it was. */
int ruleset_pack(struct ruleset *ruleset, struct packed **ret_packed);
/* What was packed but for what it keeps, its comments and extras being @packed's. Sets that are equal to @like's
 * (sealed; NULL: nothing to compare) are left empty and told in @ret_same (SET_BIT_OF). Returns 0 or -ENOMEM. */
int ruleset_unpack(const struct packed *packed, const struct ruleset *like,
		   struct ruleset **ret_ruleset, uint64_t *ret_same);
struct packed *packed_free(struct packed *packed);
DEFINE_CLEANUP(struct packed *, packed_free)
/* For ruleset_packed.c. */
void ruleset_blocks_free(struct ruleset_block *blocks);

/* Ends that differ by less are the same: the kernel counts from when it was told. */
#define ELEM_ENDS_SLACK_USEC (2 * 1000000ULL)

/* The same range, data and end; what they counted is their own. */
bool elem_extra_equal(const struct elem_extra *a, const struct elem_extra *b);
/* … and the same key and comment. */
bool elem_equal(const struct elem *a, const struct elem *b);
/* Of a set that keeps what is not desired: whether it keeps @elem. */
bool ruleset_keeps(const struct ruleset *ruleset, const struct elem *elem);
/* Two sealed sets with equal elements. */
bool elems_equal(const struct elems *a, const struct elems *b);

/* The nft text of one element of @set without its comment: `"docker0" . 10.0.0.2`; cgroups as
 * "cgroup <id>" or, with @cgroup_path, the quoted path that it returns (NULL: unknown). */
typedef const char *(*cgroup_path_fn)(uint64_t id, void *data);
int elem_text(enum set_id set, const struct elem *elem, char *buffer, size_t size,
	      cgroup_path_fn cgroup_path, void *data);
