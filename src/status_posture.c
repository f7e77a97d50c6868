/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `status` says of the host's posture, as text and as JSON: a short list for people, with what is
 * worst first, and all of it for programs. Pure formatting; what was not readable is a question mark.
 */
#include "status-internal.h"

#include <inttypes.h>
#include <string.h>

#include "jobfence/text.h"

#define LINES_MAX 12 /* of listeners */
#define NAMES_MAX 4  /* of abstract unix sockets */
#define JOBS_MAX 8

static void who_text(const struct finding *finding, char *buffer, size_t size)
{
	const struct container *c = finding->container;
	char name[64];

	if (c) {
		text_safe(c->name && c->name[0] ? c->name : c->id, name, sizeof(name));
		snprintf(buffer, size, "%s %s", role_name(finding->role), name);
	} else if (finding->listener && finding->listener->pid > 0) {
		snprintf(buffer, size, "%s (pid %d)", finding->listener->process,
			 (int)finding->listener->pid);
	} else {
		snprintf(buffer, size, "?");
	}
}

static void where_text(const struct listener *listener, char *buffer, size_t size)
{
	const struct sock_addr at = { listener->addr, (uint16_t)listener->port };
	char text[SOCK_ADDR_TEXT_MAX];

	switch (listener->kind) {
	case LISTENER_TCP:
	case LISTENER_UDP:
		snprintf(buffer, size, "%s %s", listener_kind_name(listener->kind),
			 sock_addr_text(&at, text));
		break;
	case LISTENER_UNIX:
		snprintf(buffer, size, "@%s", listener->name);
		break;
	case LISTENER_VSOCK:
		if (listener->cid == UINT32_MAX)
			snprintf(buffer, size, "vsock port %" PRIu32, listener->port);
		else
			snprintf(buffer, size, "vsock %" PRIu32 ":%" PRIu32, listener->cid,
				 listener->port);
		break;
	case LISTENER_KINDS:
		snprintf(buffer, size, "?");
		break;
	}
}

static size_t count(const struct posture *posture, enum posture_kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < posture->n; i++)
		n += posture->findings[i].kind == kind;
	return n;
}

/* What keeps dstack from working is no matter of taste: it stands with what needs attention. */
void status_print_held_ports(FILE *out, const struct status_view *view)
{
	const struct posture *posture = view->posture;
	char who[128];

	for (size_t i = 0; posture && i < posture->n; i++) {
		const struct finding *finding = &posture->findings[i];

		if (finding->kind != POSTURE_HELD)
			continue;
		who_text(finding, who, sizeof(who));
		fprintf(out, "! port %" PRIu32 " is held by %s: %s\n", finding->listener->port, who,
			finding->what);
	}
}

static void print_listeners(FILE *out, const struct posture *posture)
{
	size_t shown = 0, more = 0;
	char who[128], where[80];

	for (size_t i = 0; i < posture->n; i++) {
		const struct finding *finding = &posture->findings[i];

		if (finding->kind != POSTURE_KNOWN && finding->kind != POSTURE_LOOPBACK &&
		    finding->kind != POSTURE_OPEN)
			continue;
		if (shown == LINES_MAX || (finding->kind == POSTURE_OPEN && shown > 0)) {
			more++;
			continue;
		}
		shown++;
		who_text(finding, who, sizeof(who));
		where_text(finding->listener, where, sizeof(where));
		if (shown == 1)
			fprintf(out, "listeners that a job on the host's network reaches:\n");
		if (finding->what)
			fprintf(out, "  %-26s %-28s %s\n", where, who, finding->what);
		else
			fprintf(out, "  %-26s %s\n", where, who);
	}
	if (more > 0)
		fprintf(out, "  and %zu more: jobfence status --json has all of them\n", more);
}

static void print_kind(FILE *out, const struct posture *posture, enum posture_kind kind,
		       const char *what, size_t max)
{
	size_t n = count(posture, kind), shown = 0;
	char where[80], who[128];

	if (n == 0)
		return;
	fprintf(out, "%s: %zu", what, n);
	for (size_t i = 0; i < posture->n && shown < max; i++) {
		const struct finding *finding = &posture->findings[i];

		if (finding->kind != kind)
			continue;
		if (kind == POSTURE_OUTSIDE_SSH)
			who_text(finding, where, sizeof(where));
		else
			where_text(finding->listener, where, sizeof(where));
		who_text(finding, who, sizeof(who));
		fprintf(out, "%s%s", shown++ ? ", " : " (", where);
	}
	fprintf(out, "%s)\n", shown < n ? ", …" : "");
}

static void print_hazards(FILE *out, const struct status_view *view)
{
	const struct posture *posture = view->posture;
	const struct model *model = &view->expected->model;
	char who[128], words[256], details[128];
	size_t shown = 0;

	for (size_t i = 0; i < posture->n; i++) {
		const struct finding *finding = &posture->findings[i];
		uint32_t hazards;

		if (finding->kind != POSTURE_HAZARD || shown++ >= JOBS_MAX)
			continue;
		hazards = view->expected->verdicts[finding->container - model->containers].hazards;
		who_text(finding, who, sizeof(who));
		fprintf(out, "%s has more than the network: %s%s%s\n", who,
			hazards_text(hazards_voiding(hazards), words, sizeof(words)),
			finding->container->hazard_text ? ": " : "",
			text_safe(finding->container->hazard_text, details, sizeof(details)));
	}
	if (shown > JOBS_MAX)
		fprintf(out, "and %zu more such jobs\n", shown - JOBS_MAX);
}

void status_print_posture(FILE *out, const struct status_view *view)
{
	const struct posture *posture = view->posture;

	if (!posture)
		return;
	fprintf(out, "\nposture       what no ruleset can mend%s\n",
		posture->n == 0 ? ": nothing found" : "");
	if (posture->reached) {
		print_listeners(out, posture);
		print_kind(out, posture, POSTURE_UNIX,
			   "abstract unix sockets that a job on the host's network reaches",
			   NAMES_MAX);
	}
	print_kind(out, posture, POSTURE_VSOCK, "vsock listeners that every job reaches",
		   NAMES_MAX);
	print_kind(out, posture, POSTURE_OUTSIDE_SSH,
		   "users' SSH is not proxied, whoever reaches this host reaches the sshd of jobs",
		   NAMES_MAX);
	print_hazards(out, view);
	if (view->sockets && view->sockets->trouble.text[0])
		fprintf(out, "listeners: ? (%s)\n", view->sockets->trouble.text);
	if (view->sockets && view->sockets->owners_unknown)
		fprintf(out, "whose they are: ? where it is not said, finding it needs root\n");
}

/* --- JSON -------------------------------------------------------------------------------------- */

static json_t *safe_string(const char *text)
{
	char safe[512];

	return text && *text ? json_string(text_safe(text, safe, sizeof(safe))) : json_null();
}

static json_t *finding_json(const struct finding *finding)
{
	const struct listener *listener = finding->listener;
	const struct container *c = finding->container;
	char addr[IP_ADDR_TEXT_MAX] = "";
	bool inet = listener && (listener->kind == LISTENER_TCP || listener->kind == LISTENER_UDP);
	bool ported = inet || (listener && listener->kind == LISTENER_VSOCK);

	if (inet)
		ip_addr_text(&listener->addr, addr);
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "kind",
			 posture_kind_name(finding->kind), "protocol",
			 listener ? json_string(listener_kind_name(listener->kind)) : json_null(),
			 "address", safe_string(addr), "port",
			 ported ? json_integer((json_int_t)listener->port) : json_null(), "name",
			 safe_string(listener ? listener->name : NULL), "what",
			 safe_string(finding->what), "pid",
			 listener && listener->pid > 0 ? json_integer(listener->pid) : json_null(),
			 "process", safe_string(listener ? listener->process : NULL), "container",
			 safe_string(c ? c->name ?: c->id : NULL), "container_id",
			 safe_string(c ? c->id : NULL));
}

json_t *status_posture_json(const struct status_view *view)
{
	const struct posture *posture = view->posture;
	json_t *findings;

	if (!posture || !view->sockets)
		return json_null();
	findings = json_array();
	for (size_t i = 0; findings && i < posture->n; i++) {
		if (json_array_append_new(findings, finding_json(&posture->findings[i])) == 0)
			continue;
		json_decref(findings);
		findings = NULL;
	}
	return json_pack("{s:b, s:b, s:o, s:I, s:o}", "reached", posture->reached, "owners_known",
			 !view->sockets->owners_unknown, "trouble",
			 safe_string(view->sockets->trouble.text), "more",
			 (json_int_t)view->sockets->more, "findings", findings);
}
