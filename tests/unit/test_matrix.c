/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `matrix` of a host written out by hand: the whole table, its JSON by the schema, its pictures. */
#include "reach_fixture.h"

#include <sys/wait.h>

static void fill(struct fixture *f, struct matrix_view *view, size_t single_max)
{
	*view = (struct matrix_view){ .status = &f->status, .reach = &f->reach };
	assert_int_equal(matrix_view_fill(view, single_max), 0);
}

typedef void (*print_fn)(FILE *out, const struct matrix_view *view);

static void print_text(FILE *out, const struct matrix_view *view)
{
	assert_int_equal(matrix_print(out, view), 0);
}

static char *printed(struct fixture *f, size_t single_max, print_fn print)
{
	_cleanup_(matrix_view_done) struct matrix_view view = { 0 };
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	fill(f, &view, single_max);
	print(out, &view);
	fclose(out);
	return text;
}

/* tests/unit/golden/NAME; with GOLDEN=write in the environment it is written, to be read by a person. */
static void assert_golden(const char *name, const char *text)
{
	char path[256], golden[65536] = "";
	FILE *file;

	snprintf(path, sizeof(path), SOURCE_DIR "/tests/unit/golden/%s", name);
	if (getenv("GOLDEN")) {
		file = fopen(path, "w");
		assert_non_null(file);
		fputs(text, file);
		fclose(file);
	}
	file = fopen(path, "r");
	assert_non_null(file);
	golden[fread(golden, 1, sizeof(golden) - 1, file)] = '\0';
	fclose(file);
	assert_string_equal(text, golden);
}

static void the_table(void **state)
{
	_cleanup_free_ char *text = NULL;

	build(*state);
	text = printed(*state, CONTAINERS, print_text);
	assert_golden("matrix.txt", text);
}

/* Those of a kind as one line, and who they are below. */
static void many_are_folded(void **state)
{
	_cleanup_free_ char *text = NULL;

	build(*state);
	text = printed(*state, CONTAINERS - 1, print_text);
	assert_golden("matrix-folded.txt", text);
}

static void what_a_person_has_to_know_first(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *text = NULL;

	f->config.audit = GROUP_BIT(GROUP_HOST);
	f->status.ruleset = RULESET_ABSENT;
	f->engine.state = ENGINE_LOST;
	f->containers[GAMMA].hazards = HAZARD_PRIVILEGED;
	build(f);
	text = printed(f, 3, print_text);
	assert_non_null(strstr(text, "ruleset absent: the table says what it should do"));
	assert_non_null(strstr(text, "The engine has not told all"));
	assert_non_null(strstr(text, "NOT ENFORCED, only counted: host\n"));
	assert_non_null(strstr(text, "NOT HELD: that rule would stop it"));
	assert_non_null(strstr(text, "1 jobs, host network, fenced, not held")
				?: strstr(text, "job gamma-0-0-00000004"));
}

static void a_field_of_both_answers(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *text = NULL;

	f->config.allow.entry[f->config.allow.n++] = (struct net_entry){
		.first = addr_of("10.77.0.9"), .last = addr_of("10.77.0.9"), .port_last = UINT16_MAX
	};
	build(f);
	text = printed(f, CONTAINERS, print_text);
	assert_non_null(strstr(text, "\npartly: job alpha-0-0-00000001 -> LAN: "
				     "10.255.255.253:22 no d 10.77.0.9:443 yes\n"));
}

static void json_is_by_the_schema(void **state)
{
	static const char command[] = "exec python3 " SOURCE_DIR "/tests/schema.py " SOURCE_DIR
				      "/contrib/schema/matrix.schema.json " BINARY_DIR "/matrix."
				      "json";
	struct fixture *f = *state;
	_cleanup_(matrix_view_done) struct matrix_view view = { 0 };
	json_t *json;
	int r;

	f->containers[BETA].name = (char *)"<b>\x1b[2J\"&";
	build(f);
	fill(f, &view, CONTAINERS);
	json = matrix_json(&view);
	assert_non_null(json);
	assert_int_equal(json_array_size(json_object_get(json, "sources")), CONTAINERS + 2);
	assert_int_equal(json_array_size(json_object_get(json, "cells")),
			 f->reach.rows_n * f->reach.columns_n * 2);
	assert_int_equal(json_dump_file(json, BINARY_DIR "/matrix.json", 0), 0);
	json_decref(json);
	r = system(command);
	assert_true(WIFEXITED(r));
	if (WEXITSTATUS(r) == 77 || WEXITSTATUS(r) == 127)
		skip();
	assert_int_equal(WEXITSTATUS(r), 0);
}

static size_t count(const char *text, const char *part)
{
	size_t n = 0;

	while ((text = strstr(text, part))) {
		text++;
		n++;
	}
	return n;
}

static void pictures_with_hostile_names(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *svg = NULL, *dot = NULL;

	f->containers[BETA].name = (char *)"</text><script>&\"\\\n\x1b";
	build(f);
	svg = printed(f, CONTAINERS, matrix_svg);
	assert_null(strstr(svg, "<script"));
	assert_non_null(strstr(svg, "job &lt;/text&gt;&lt;script&gt;&amp;????"));
	assert_int_equal(count(svg, "<rect"), (CONTAINERS + 2) * (CONTAINERS + 6 + 6) + 7);
	assert_int_equal(count(svg, "</rect>"), (CONTAINERS + 2) * (CONTAINERS + 6 + 6));
	assert_int_equal(count(svg, "http"), 1); /* its namespace: nothing is fetched */
	assert_non_null(strstr(svg, "prefers-color-scheme:dark"));
	dot = printed(f, CONTAINERS, matrix_dot);
	assert_non_null(strstr(dot, "label=\"job </text><script>&????\""));
	assert_non_null(strstr(dot, "\tcontainer0 -> internet0 [color=\"#3c9a5b\"];\n"));
	assert_null(strstr(dot, "\tcontainer0 -> host0"));
}

static void both_families(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *text = NULL;

	/* no IPv6 there: no word about it; none at all: a dash */
	f->endpoints[DELTA].ip6 = (struct ip_addr){ 0 };
	f->config.deny.entry[f->config.deny.n++] = (struct net_entry){
		.first = addr_of("2000::"),
		.last = addr_of("3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
		.port_last = UINT16_MAX,
	};
	build(f);
	text = printed(f, 3, print_text);
	assert_non_null(strstr(text, "yes/?"));
	assert_non_null(strstr(text, "?: could not be told."));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_table, set_up, tear_down),
		cmocka_unit_test_setup_teardown(many_are_folded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_a_person_has_to_know_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_field_of_both_answers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(json_is_by_the_schema, set_up, tear_down),
		cmocka_unit_test_setup_teardown(pictures_with_hostile_names, set_up, tear_down),
		cmocka_unit_test_setup_teardown(both_families, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
