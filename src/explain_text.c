/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `explain` for a person: the verdict first, then the facts it stands on, then what is in the kernel
 * for this container. Pure formatting: every text of a container goes through text_safe(), and what
 * is not known is a question mark.
 */
#include "explain-internal.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <string.h>

#include "jobfence/overrides.h"
#include "jobfence/term.h"
#include "jobfence/text.h"

#define FACT "  %-13s " TERM_HANG
#define SAFE_MAX 512

static void heading(FILE *out, const char *text)
{
	fprintf(out, "\n" TERM_HEADING "%s\n", text);
}

/* What is wrong with the container itself its verdict says. */
static void print_why_not_held(FILE *out, const struct explanation *explanation)
{
	const struct status_view *view = explanation->view;

	if (view->ruleset == RULESET_ABSENT)
		fprintf(out, TERM_BAD "  there is no ruleset in the kernel: nothing is fenced\n");
	else if (view->config->audit)
		fprintf(out, TERM_BAD "  audit: rules count and log, and let through\n");
	else if (view->ruleset == RULESET_DIFFERS && view->broken)
		fprintf(out, TERM_BAD "  " TERM_HANG "the ruleset in the kernel is not whole, or "
				      "not this "
				      "version's: no job is held; see \"jobfence verify\"\n");
	else if (view->ruleset == RULESET_DIFFERS && explanation->row->loose)
		fprintf(out, TERM_BAD "  " TERM_HANG "what the kernel has of it does not do that; "
				      "see \"jobfence "
				      "verify\"\n");
}

static void print_head(FILE *out, const struct explanation *explanation)
{
	const struct status_row *row = explanation->row;
	const struct container *c = row->container;
	enum held held = status_row_held(explanation->view, row);
	char name[SAFE_MAX], rest[32];

	text_safe(c->name && c->name[0] ? c->name : c->id, name, sizeof(name));
	if (!container_is_live(c))
		fprintf(out, TERM_HEADING "%s: a %s, %s\n", name, role_name(row->verdict->role),
			container_state_name(c->state));
	else
		fprintf(out, "%s%s: a %s, %s%s\n", held == HELD_NO ? TERM_BAD : TERM_HEADING, name,
			role_name(row->verdict->role), confinement_name(row->verdict->confinement),
			held == HELD_YES       ? ""
			: held == HELD_UNKNOWN ? (c->inspected ? ", if the kernel does it: ?"
							       : ", as far as the engine has told")
			: row->released        ? ", RELEASED"
					       : ", NOT HELD");
	fprintf(out, "  " TERM_HANG "%s\n", row->verdict->why);
	if (!container_is_live(c))
		fprintf(out, "  " TERM_HANG "it does not run: no rule sees it\n");
	else if (row->released)
		fprintf(out, TERM_BAD "  released: %s left%s, then it is what it was\n",
			release_rest_text(row->released > explanation->view->now
						  ? row->released - explanation->view->now
						  : 0,
					  rest),
			row->verdict->released ? "" : ", though no release says so");
	else if (held == HELD_NO)
		print_why_not_held(out, explanation);
	if (explanation->view->ruleset_trouble)
		fprintf(out, TERM_WARN "  the kernel's ruleset was not read: %s\n",
			explanation->view->ruleset_trouble);
}

static void print_identity(FILE *out, const struct explanation *explanation)
{
	const struct status_row *row = explanation->row;
	const struct container *c = row->container;
	char safe[SAFE_MAX], by[128], age[24];

	fprintf(out, FACT "%s\n", "id", text_safe(c->id, safe, sizeof(safe)));
	fprintf(out, FACT "%s", "state", container_state_name(c->state));
	if (c->pid > 0)
		fprintf(out, ", pid %d", (int)c->pid);
	if (row->running_s >= 0)
		fprintf(out, ", for %s", status_age_text(row->running_s, age));
	fprintf(out, "%s\n", c->inspected ? "" : "; the engine has not told its details yet");
	if (c->is_task)
		fprintf(out, FACT "%s=true: a job\n", "label", LABEL_IS_TASK);
	else if (override_confines(explanation->view->config, c, by, sizeof(by)))
		fprintf(out, FACT "no %s; [confine] %s: confined like a job\n", "label",
			LABEL_IS_TASK, by);
	else
		fprintf(out, FACT "no %s=true: no job\n", "label", LABEL_IS_TASK);
	if (c->task_id)
		fprintf(out, FACT "%s (%s)\n", "task", text_safe(c->task_id, safe, sizeof(safe)),
			LABEL_TASK_ID);
}

static void print_size(FILE *out, const struct explanation *explanation)
{
	const struct container *c = explanation->row->container;
	const struct verdict *verdict = explanation->row->verdict;

	if (verdict->role != ROLE_JOB)
		return;
	fprintf(out, FACT "%s", "size", instance_size_name(verdict->size));
	if (verdict->size == INSTANCE_WHOLE)
		fprintf(out, " instance: no limit of CPUs and memory");
	else if (verdict->size == INSTANCE_PART)
		fprintf(out, " of an instance: %" PRId64 ".%02" PRId64 " CPUs, %" PRId64 " MiB",
			c->nano_cpus / 1000000000, c->nano_cpus / 10000000 % 100,
			c->memory / 1048576);
	fprintf(out, "%s\n", verdict->multinode ? "; by its name of a run of several nodes" : "");
	fprintf(out, FACT "mode %d %s, %s\n", "class", (int)verdict->class,
		network_mode_name(verdict->class),
		verdict->overridden ? "by a [job] section" : "as mirrored");
}

static void print_network(FILE *out, const struct explanation *explanation)
{
	const struct container *c = explanation->row->container;
	const struct container *owner = explanation->owner;
	char safe[SAFE_MAX];

	text_safe(owner ? owner->name ?: owner->id : c->network_ref, safe, sizeof(safe));
	fprintf(out, FACT, "network");
	switch (c->network_kind) {
	case NETWORK_KIND_BRIDGE:
		fprintf(out, "Docker's default bridge\n");
		break;
	case NETWORK_KIND_HOST:
		fprintf(out, "the host's own\n");
		break;
	case NETWORK_KIND_NONE:
		fprintf(out, "none\n");
		break;
	case NETWORK_KIND_CONTAINER:
		fprintf(out, "that of container %s%s, which is: %s\n", safe,
			owner ? "" : " (not known)",
			placement_name(explanation->row->verdict->placement));
		break;
	case NETWORK_KIND_USER:
		fprintf(out, "user-defined: %s\n", safe);
		break;
	case NETWORK_KIND_UNKNOWN:
		fprintf(out, "? (a mode that this version does not know)\n");
		break;
	}
}

static void print_endpoint(FILE *out, const struct explanation *explanation,
			   const struct endpoint *endpoint, const char *port)
{
	char bridge[IFNAMSIZ], unused[IFNAMSIZ], mac[MAC_ADDR_TEXT_MAX], text[IP_ADDR_TEXT_MAX];
	bool four = ip_addr_is_set(&endpoint->ip4), six = ip_addr_is_set(&endpoint->ip6);

	explain_port(explanation->view->expected, endpoint, bridge, unused);
	fprintf(out, FACT "%s", "address", four ? ip_addr_text(&endpoint->ip4, text) : "");
	fprintf(out, "%s%s", four && six ? " " : "",
		six    ? ip_addr_text(&endpoint->ip6, text)
		: four ? ""
		       : "?");
	fprintf(out, " on %s, port %s, MAC %s\n", bridge[0] ? bridge : "?", port[0] ? port : "?",
		mac_addr_is_set(&endpoint->mac) ? mac_addr_text(&endpoint->mac, mac) : "?");
}

static const char *protocol_name(uint8_t l4proto)
{
	return l4proto == IPPROTO_TCP ? "tcp" : l4proto == IPPROTO_UDP ? "udp" : "sctp";
}

static void print_addresses(FILE *out, const struct explanation *explanation)
{
	const struct container *c = explanation->row->container;
	const struct container *owner = explanation->owner ?: c;
	char text[SOCK_ADDR_TEXT_MAX];

	for (size_t i = 0; i < owner->endpoints_n; i++)
		if (explanation->row->verdict->placement != PLACEMENT_HOST)
			print_endpoint(out, explanation, &owner->endpoints[i],
				       explanation->ports[i]);
	for (size_t i = 0; i < c->ports_n; i++) {
		const struct sock_addr at = { c->ports[i].host_ip, c->ports[i].host_port };

		fprintf(out, FACT "%s %s, to its port %u\n", "published",
			protocol_name(c->ports[i].l4proto),
			at.port ? sock_addr_text(&at, text) : "?", c->ports[i].container_port);
	}
	for (size_t i = 0; i < c->dns_n; i++)
		fprintf(out, FACT "%s (HostConfig.Dns)\n", "resolver",
			ip_addr_text(&c->dns[i], text));
}

static void print_place(FILE *out, const struct explanation *explanation)
{
	const struct container *c = explanation->row->container;
	char safe[SAFE_MAX];

	if (explanation->cgroup_id)
		fprintf(out, FACT "%s (id %" PRIu64 ")%s\n", "cgroup",
			explanation->cgroup[0] ? text_safe(explanation->cgroup, safe, sizeof(safe))
					       : "?",
			explanation->cgroup_id,
			explanation->cgroup_foreign ? ", not below the engine's parent" : "");
	else
		fprintf(out, FACT "?%s\n", "cgroup",
			container_is_live(c) ? "" : " (it does not run)");
	if (c->cgroup_parent)
		fprintf(out, FACT "%s (HostConfig.CgroupParent)\n", "cgroup parent",
			text_safe(c->cgroup_parent, safe, sizeof(safe)));
}

static void print_privileges(FILE *out, const struct explanation *explanation)
{
	const struct container *c = explanation->row->container;
	uint32_t hazards = explanation->row->verdict->hazards;
	bool voids = hazards_voiding(hazards) != 0;
	char words[SAFE_MAX], details[SAFE_MAX];

	if (!c->inspected)
		fprintf(out, FACT "?\n", "privileges");
	else if (!hazards)
		fprintf(out, FACT "none beyond Docker's default\n", "privileges");
	else
		fprintf(out, "%s" FACT "%s%s%s\n", voids ? TERM_BAD : "", "privileges",
			hazards_text(hazards, words, sizeof(words)), c->hazard_text ? ": " : "",
			text_safe(c->hazard_text, details, sizeof(details)));
	if (c->inspected)
		fprintf(out, FACT "%s\n", "CAP_NET_RAW",
			c->no_net_raw ? "dropped: no packet sockets" : "has it, as by default");
}

static void print_facts(FILE *out, const struct explanation *explanation)
{
	heading(out, "Facts");
	print_identity(out, explanation);
	print_size(out, explanation);
	print_network(out, explanation);
	print_addresses(out, explanation);
	print_place(out, explanation);
	print_privileges(out, explanation);
}

static void print_elems(FILE *out, const struct explanation *explanation)
{
	char text[256], packets[32];

	heading(out, "What the kernel knows of it");
	if (explanation->elems_n == 0)
		fprintf(out, "  nothing names it\n");
	for (size_t i = 0; i < explanation->elems_n; i++) {
		const struct explained_elem *elem = &explanation->elems[i];
		const struct set_spec *spec = set_spec(elem->set);

		elem_text(elem->set, elem->elem, text, sizeof(text), NULL, NULL);
		snprintf(packets, sizeof(packets), ", %" PRIu64 " packets", elem->packets);
		fprintf(out, "%s  %-6s %-19s " TERM_HANG "%s%s: %s%s\n",
			elem->known && !elem->there && !elem->taken_back ? TERM_BAD : "",
			family_name(spec->family), spec->name, text,
			elem->there && elem->counts ? packets : "", spec->why,
			!elem->known || elem->there ? ""
			: elem->taken_back          ? "; not in the kernel while no daemon runs"
						    : "; MISSING in the kernel");
	}
}

static void print_rules(FILE *out, const struct explanation *explanation, bool sends)
{
	size_t n = 0;

	heading(out, sends ? "What stops packets that it sends"
			   : "What stops packets that are sent to it");
	for (size_t i = 0; i < explanation->rules.n; i++) {
		const struct explained_rule *rule = &explanation->rules.rule[i];
		uint64_t packets;

		if (rule->sends != sends)
			continue;
		n++;
		fprintf(out, "  %-6s %-23s ", family_name(rule->family), rule->counter);
		if (explain_counted(explanation, rule, &packets))
			fprintf(out, "%8" PRIu64 "  ", packets);
		else
			fprintf(out, "%8s  ", "?");
		fprintf(out, TERM_HANG "%s%s (chain %s)\n",
			rule->audited ? "AUDIT, let through: " : "", rule->why, rule->chain);
	}
	if (n == 0)
		fprintf(out, "  no rule\n");
}

void explain_print(FILE *out, const struct explanation *explanation)
{
	const struct status_row *row = explanation->row;

	print_head(out, explanation);
	print_facts(out, explanation);
	if (!container_is_live(row->container))
		return;
	explain_print_reach(out, explanation);
	print_elems(out, explanation);
	print_rules(out, explanation, true);
	print_rules(out, explanation, false);
	fprintf(out, "\n" TERM_FAINT "Counters are of all packets that a rule stopped, whoever's; "
		     "stopped "
		     "of this container:");
	if (explanation->view->live)
		fprintf(out, " %" PRIu64 "\n", row->stopped);
	else
		fprintf(out, " ?\n");
}
