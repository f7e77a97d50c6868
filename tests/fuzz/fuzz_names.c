/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names that others chose: of a container, its task, a label, a host path, a network, a device, a
 * process. One a line. Wherever they end up (comments, sentences, `status`, its JSON, the log, the rules
 * as text) there is no control byte, no second line, nothing unbounded, and nothing that leaves the
 * quotes it stands in: the printed ruleset has the lines and the words that it has with plain names.
 */
#include <fcntl.h>
#include <jansson.h>
#include <unistd.h>

#include "fuzz.h"
#include "jobfence/log.h"
#include "jobfence/plan.h"
#include "jobfence/render.h"
#include "jobfence/text.h"
#include "model.h"
#include "nft-internal.h"
#include "status-internal.h"

enum name {
	NAME_CONTAINER,
	NAME_TASK,
	NAME_LABEL,
	NAME_HAZARD,
	NAME_NETWORK,
	NAME_DEVICE,
	NAME_OBJECT,
	NAMES,
};

static char *take(char **rest)
{
	char *name = strsep(rest, "\n");

	return strdup(name ? name : "");
}

/* As the kernel has it (dev_valid_name()); NULL where it would not take the name. */
static const char *device_name(const char *name)
{
	if (!*name || strlen(name) >= IFNAMSIZ || !strcmp(name, ".") || !strcmp(name, ".."))
		return NULL;
	for (const char *c = name; *c; c++)
		if (strchr("/: \t\r\v\f\xa0", *c))
			return NULL;
	return name;
}

/* Docker's own are, and what nft can read as a chain's name and as a device's. */
static bool is_plain_device(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_.";

	return device_name(name) && strspn(name, allowed) == strlen(name);
}

/* What the words of a text are, without what stands in quotes: 'a' for each run of others. */
struct shape {
	size_t lines, quoted, braces, words;
};

/* Every line of rules, by the rules by which nft cuts them: no escapes, a quote ends at the next. */
static struct shape measure(const char *text)
{
	struct shape shape = { 0 };
	bool quoted = false, comment = false, word = false;

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		CHECK(c == '\n' || c == '\t' || (c >= 0x20 && c < 0x7f));
		if (c == '\n') {
			CHECK(!quoted);
			comment = word = false;
			shape.lines++;
			continue;
		}
		if (comment)
			continue;
		if (c == '"') {
			quoted = !quoted;
			shape.quoted++;
			word = false;
			continue;
		}
		if (quoted)
			continue;
		comment = c == '#';
		shape.braces += c == '{' || c == '}' || c == ';';
		if (strchr(" \t{};,#", c)) {
			word = false;
		} else if (!word) {
			word = true;
			shape.words++;
		}
	}
	CHECK(!quoted);
	return shape;
}

static char *render(const struct expected *expected)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	CHECK(out);
	CHECK(render_ruleset(out, expected->skeleton, expected->ruleset, NULL, NULL) == 0);
	CHECK(fclose(out) == 0 && strlen(text) == len);
	return text;
}

/* Fills a host with two containers of these names: a job on the host's network, a bystander. */
static void fill(struct fuzz_host *host, struct container *containers, struct endpoint *endpoint,
		 char *const *names)
{
	static char ids[2][CONTAINER_ID_LEN + 1];
	const char *device = device_name(names[NAME_DEVICE]);

	*endpoint = (struct endpoint){ .network_id = FUZZ_NET_DOCKER0,
				       .network_name = names[NAME_NETWORK],
				       .mac = { { 2, 0x42, 0xac, 0x11, 0, 2 } },
				       .ip4 = { AF_INET, { 172, 17, 0, 2 } } };
	memset(containers, 0, 2 * sizeof(*containers));
	memset(ids[0], 'a', CONTAINER_ID_LEN);
	memset(ids[1], 'b', CONTAINER_ID_LEN);
	containers[0].id = ids[0];
	containers[1].id = ids[1];
	containers[0].name = containers[1].name = names[NAME_CONTAINER];
	containers[0].task_id = names[NAME_TASK];
	containers[0].is_task = containers[0].inspected = containers[1].inspected = true;
	containers[0].state = containers[1].state = CONTAINER_RUNNING;
	containers[0].network_kind = NETWORK_KIND_HOST;
	containers[0].hazards = HAZARD_HOST_PATH;
	containers[0].hazard_text = names[NAME_HAZARD];
	containers[1].network_kind = NETWORK_KIND_BRIDGE;
	containers[1].endpoints = endpoint;
	containers[1].endpoints_n = 1;
	fuzz_host_init(host, containers, 2);
	snprintf(host->config.confine_labels[0], CONFIG_LABEL_MAX + 1, "%s", names[NAME_LABEL]);
	host->config.confine_labels_n = 1;
	containers[0].labels_cut = true;
	if (device) { /* the bystander's port, and a bridge like Docker's that is none */
		snprintf(host->links[3].name, IFNAMSIZ, "%s", device);
		snprintf(host->links[2].name, IFNAMSIZ, "br-%.11s", device);
		strcpy(host->links[2].kind, "bridge");
	}
	host->links[3].master = 2;
	host->model.networks = host->networks;
	host->networks[0].name = names[NAME_NETWORK];
}

static bool is_page(const char *text, size_t max)
{
	for (const char *c = text; *c; c++)
		if (*c != '\n' && ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f))
			return false;
	return strlen(text) <= max;
}

static size_t lines_of(const char *text)
{
	size_t lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

/* `status` as text; returns how many lines it has. */
static size_t check_status(const struct fuzz_host *host, struct expected *expected,
			   char *const *names)
{
	struct config_origin origin = { 0 };
	struct engine_view engine = { .state = ENGINE_LOST, .trouble = names[NAME_OBJECT] };
	struct status_view view = { .config = &host->config,
				    .origin = &origin,
				    .engine = &engine,
				    .expected = expected,
				    .ruleset_trouble = "not read",
				    .resolvers_origin = "nobody" };
	char *text = NULL, *dumped;
	size_t len = 0, lines;
	json_t *json;
	FILE *out = open_memstream(&text, &len);

	snprintf(origin.mode, sizeof(origin.mode), "%s", names[NAME_OBJECT]);
	snprintf(engine.info.version, sizeof(engine.info.version), "%s", names[NAME_OBJECT]);
	CHECK(out && status_view_fill(&view) == 0);
	status_print(out, &view);
	CHECK(fclose(out) == 0 && is_page(text, 16384));
	lines = lines_of(text);
	free(text);
	json = status_json(&view);
	dumped = json_dumps(json, JSON_COMPACT);
	CHECK(json && dumped && fuzz_is_line(dumped, 65536));
	CHECK(is_page(dumped, 65536));
	free(dumped);
	json_decref(json);
	status_view_done(&view);
	return lines;
}

/* What verify and the log say of things in the kernel with such a name. */
static void check_differences(const struct expected *expected, const char *name)
{
	_cleanup_(live_freep) struct live *live = NULL;
	_cleanup_(ops_done) struct ops ops = { 0 };
	_cleanup_(sentences_done) struct sentences sentences = { 0 };
	struct diag diag = { 0 };

	CHECK(live_new(&live) == 0);
	live->table[FAMILY_INET] = true;
	for (int kind = LIVE_CHAIN; kind <= LIVE_FLOWTABLE; kind++)
		CHECK(live_add_extra(live, (enum live_kind)kind, FAMILY_INET, name) == 0);
	live->counters_n = 0;
	CHECK(plan_remove(live, &ops) == 0);
	ops_done(&ops);
	live->counters = calloc(expected->skeleton->counters_n, sizeof(*live->counters));
	CHECK(live->counters);
	live->counters_n = expected->skeleton->counters_n;
	CHECK(plan_make(expected->skeleton, expected->ruleset, live, &ops) == 0);
	CHECK(differences_text(&ops, NULL, NULL, &sentences) == 0);
	for (size_t i = 0; i < sentences.n; i++)
		CHECK(fuzz_is_safe(sentences.text[i], 1024));
	for (size_t i = 0; i < ops.n; i++) {
		char text[1024];

		op_text(&ops.op[i], text, sizeof(text));
		diag_set(&diag, 0, "%s", text);
		CHECK(fuzz_is_line(diag.text, sizeof(diag.text)));
	}
}

/* The log, on a pipe in the place of stderr: one line, whatever is in it. */
__attribute__((noinline)) static void check_log(const char *name)
{
	static char line[4096];
	int ends[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	CHECK(saved >= 0 && pipe2(ends, O_CLOEXEC) == 0);
	CHECK(dup2(ends[1], STDERR_FILENO) >= 0);
	log_notice("%s", name);
	CHECK(dup2(saved, STDERR_FILENO) >= 0);
	n = read(ends[0], line, sizeof(line) - 1);
	close(saved);
	close(ends[0]);
	close(ends[1]);
	CHECK(n > 0 && line[n - 1] == '\n');
	line[n - 1] = '\0';
	CHECK(fuzz_is_line(line, 1100));
}

/* One chain of each family: the fixed rules are the same whatever the names. */
static struct skeleton *few_chains(const struct fuzz_host *host)
{
	static struct skeleton skeleton;
	struct skeleton_params params;
	size_t kept = 0;

	if (skeleton.chains_n)
		return &skeleton;
	policy_skeleton_params(&host->config, &host->model, &params);
	skeleton_build(&params, &skeleton);
	for (size_t i = 0; i < skeleton.chains_n; i++)
		if (!kept || skeleton.chains[kept - 1].family != skeleton.chains[i].family)
			skeleton.chains[kept++] = skeleton.chains[i];
	skeleton.chains_n = kept;
	return &skeleton;
}

static void check_names(char *const *names, struct shape *ret_shape, size_t *ret_lines)
{
	static struct fuzz_host host;
	struct expected expected = { 0 };
	struct container containers[2];
	struct endpoint endpoint;
	char *text;

	fill(&host, containers, &endpoint, names);
	expected.model = host.model;
	expected.skeleton = few_chains(&host);
	CHECK(policy_build(&host.config, &host.model, &expected.ruleset, &expected.verdicts) == 0);
	fuzz_check_policy(&host);
	for (size_t i = 0; i < 2; i++)
		CHECK(fuzz_is_line(expected.verdicts[i].why, VERDICT_WHY_MAX));
	text = render(&expected);
	*ret_shape = measure(text);
	free(text);
	*ret_lines = check_status(&host, &expected, names);
	check_differences(&expected, names[NAME_OBJECT]);
	ruleset_free(expected.ruleset);
	free(expected.verdicts);
}

static void check_texts(const char *name)
{
	char safe[64], line[512];

	text_safe(name, safe, sizeof(safe));
	CHECK(fuzz_is_safe(safe, sizeof(safe) - 1));
	snprintf(line, sizeof(line), "%s", name);
	CHECK(text_one_line(line) == line && fuzz_is_line(line, sizeof(line)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), *rest = text, *names[NAMES];
	char *plain[NAMES] = { "name", "task", "a=b", "/data", "bridge", "veth1", "object" };
	static struct shape wanted;
	static size_t wanted_lines;
	struct shape shape;
	size_t lines;

	if (!wanted.lines)
		check_names(plain, &wanted, &wanted_lines);
	for (size_t i = 0; i < NAMES; i++) {
		names[i] = take(&rest);
		check_texts(names[i]);
	}
	check_log(names[NAME_CONTAINER]);
	check_names(names, &shape, &lines);
	CHECK(lines == wanted_lines);
	if (is_plain_device(names[NAME_DEVICE]))
		CHECK(memcmp(&shape, &wanted, sizeof(shape)) == 0);
	else /* what has such a name is left out */
		CHECK(shape.quoted <= wanted.quoted && shape.braces <= wanted.braces &&
		      shape.words <= wanted.words);
	for (size_t i = 0; i < NAMES; i++)
		free(names[i]);
	free(text);
	return 0;
}
