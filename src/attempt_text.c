/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An attempt as a sentence: who tried what with whom, and that it was stopped. Plain words; addresses
 * and ports are in it, since that is what a person looks up. Pure.
 */
#include <netinet/in.h> /* before the kernel's own */

#include <stdarg.h>
#include <string.h>

#include "jobfence/attempt.h"

/* A sentence under construction; what does not fit is cut. */
struct sentence {
	char *buffer;
	size_t size, used;
};

static void _printf_(2, 3) add(struct sentence *s, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(s->buffer + s->used, s->size - s->used, fmt, args);
	va_end(args);
	if (n > 0)
		s->used += (size_t)n < s->size - s->used ? (size_t)n : s->size - s->used - 1;
}

const char *attempt_protocol(const struct attempt *attempt, char buffer[static 16])
{
	const char *name = attempt->protocol == IPPROTO_TCP      ? "tcp"
			   : attempt->protocol == IPPROTO_UDP    ? "udp"
			   : attempt->protocol == IPPROTO_SCTP   ? "sctp"
			   : attempt->protocol == IPPROTO_ICMP   ? "icmp"
			   : attempt->protocol == IPPROTO_ICMPV6 ? "icmp6"
			   : attempt->protocol == IPPROTO_IGMP   ? "igmp"
			   : attempt->ethertype == 0x0806        ? "arp"
								 : NULL;

	if (name)
		snprintf(buffer, 16, "%s", name);
	else if (attempt->protocol)
		snprintf(buffer, 16, "%u", attempt->protocol);
	else
		buffer[0] = '\0';
	return buffer;
}

static void add_container(struct sentence *s, const struct party *party)
{
	add(s, "%s %s", party->role == ROLE_JOB ? "job" : "container", party->name);
}

static void add_who(struct sentence *s, const struct attempt_record *record)
{
	char ip[IP_ADDR_TEXT_MAX];

	switch (record->who.kind) {
	case PARTY_CONTAINER:
		add_container(s, &record->who);
		if (record->who.role == ROLE_JOB && record->who.task[0])
			add(s, " (task %s)", record->who.task);
		return;
	case PARTY_UNNAMED:
		add(s, "a container that nobody has named%s",
		    record->spread_from ? ", or several of them," : "");
		return;
	case PARTY_HOST_JOB:
		add(s, "a job on the host's network");
		return;
	case PARTY_HOST:
		add(s, "a program on this host");
		return;
	case PARTY_OUTSIDE:
		add(s, "%s%s", record->spread_from ? "several addresses, the last " : "",
		    ip_addr_text(&record->attempt.from, ip));
		return;
	case PARTY_UNKNOWN:
		add(s, "somebody");
		return;
	}
}

static bool is_about_ports(const struct attempt *attempt)
{
	return strcmp(attempt->rule, "host_job_to_host_api") == 0 ||
	       strcmp(attempt->rule, "outside_to_host_api") == 0 ||
	       strcmp(attempt->rule, "host_job_to_runner") == 0 ||
	       strcmp(attempt->rule, "shadow_listener") == 0;
}

/* What is at one of dstack's ports; NULL: no such port. */
static const char *port_name(const struct attempt *attempt, const struct reserved_ports *ports)
{
	if (!is_about_ports(attempt) || attempt->protocol != IPPROTO_TCP)
		return NULL;
	return attempt->to_port == ports->shim         ? "dstack's shim"
	       : attempt->to_port == ports->dcgm       ? "the DCGM exporter"
	       : attempt->to_port == ports->runner     ? "another job's runner"
	       : attempt->to_port == ports->runner_ssh ? "another job's sshd"
						       : NULL;
}

static void add_address(struct sentence *s, const struct attempt_record *record, bool several)
{
	const struct attempt *a = &record->attempt;
	const struct sock_addr to = { a->to, a->to_port };
	char text[SOCK_ADDR_TEXT_MAX], protocol[16];

	if (several)
		add(s, "several addresses%s, the last ", record->many ? " and ports" : "");
	else if (record->many)
		add(s, "several ports, at last ");
	if (ip_addr_is_set(&a->to))
		add(s, "%s", a->to_port ? sock_addr_text(&to, text) : ip_addr_text(&a->to, text));
	attempt_protocol(a, protocol);
	if (protocol[0])
		add(s, "%s%s", ip_addr_is_set(&a->to) ? (a->to_port ? "/" : ", ") : "", protocol);
}

static void add_target(struct sentence *s, const struct attempt_record *record,
		       const struct attempt_rule *rule, const struct reserved_ports *ports)
{
	const char *name = port_name(&record->attempt, ports);
	bool several = record->spread_to;

	if (record->target.kind == PARTY_CONTAINER) {
		add(s, "%s", several ? "several addresses, the last that of " : "");
		add_container(s, &record->target);
		several = false; /* said */
	} else if (name || rule->what[0]) {
		add(s, "%s", name ?: rule->what);
	} else { /* whatever it is */
		add_address(s, record, several);
		return;
	}
	add(s, " (");
	add_address(s, record, several);
	add(s, ")");
}

static void add_deed(struct sentence *s, const struct attempt_record *record,
		     const struct attempt_rule *rule, const struct reserved_ports *ports)
{
	switch (rule->say) {
	case SAY_REACH:
		add(s, "%s tried to reach ",
		    strstr(rule->name, "job_quarantined") ? ", which is quarantined," : "");
		add_target(s, record, rule, ports);
		return;
	case SAY_SEND:
		add(s, " sent %s (", rule->what);
		add_address(s, record, record->spread_to);
		add(s, ")");
		return;
	case SAY_LISTEN:
		add(s, " listens in the place of %s (",
		    port_name(&record->attempt, ports) ?: rule->what);
		add_address(s, record, record->spread_to);
		add(s, ")");
		return;
	}
}

const char *attempt_text(const struct attempt_record *record, const struct reserved_ports *ports,
			 char *buffer, size_t size)
{
	const struct attempt_rule *rule = attempt_rule(record->attempt.rule);
	struct sentence s = { buffer, size, 0 };

	buffer[0] = '\0';
	if (!rule)
		return buffer;
	add_who(&s, record);
	add_deed(&s, record, rule, ports);
	add(&s, record->attempt.audit     ? ": let through (audit)"
		: rule->say == SAY_LISTEN ? ": nothing reaches it"
					  : ": stopped");
	if (record->count > 1 || record->at_least)
		add(&s, ", %s%llu time%s in the last minute", record->at_least ? "at least " : "",
		    (unsigned long long)record->count, record->count == 1 ? "" : "s");
	return buffer;
}
