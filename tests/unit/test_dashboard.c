/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dashboard and alert rules against the metrics: they ask for nothing that `jobfence metrics` does not
 * print, and the dashboard shows all that it does. Then the dashboard as Grafana wants it, so far as
 * that can be told without one: ids, places, data sources, variables.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <string.h>

#include "jobfence/cleanup.h"
#include "read_file.h"

#define WIDTH 24
#define HEIGHT_MAX 200

static const char metrics_path[] = SOURCE_DIR "/tests/unit/metrics.prom";
static const char alerts_path[] = SOURCE_DIR "/contrib/prometheus/alerts.yml";
static const char dashboard_path[] = SOURCE_DIR "/contrib/grafana/jobfence.json";

/* The next name of a metric of ours at or behind @at; NULL: none. */
static const char *next_metric(const char *at, char name[static 96])
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz_";
	size_t len;

	at = strstr(at, "jobfence_");
	if (!at)
		return NULL;
	len = strspn(at, letters);
	assert_true(len < 96);
	memcpy(name, at, len);
	name[len] = '\0';
	return at + len;
}

static bool is_printed(const char *metrics, const char *name)
{
	char head[128];

	snprintf(head, sizeof(head), "# TYPE %s ", name);
	return strstr(metrics, head);
}

/* Every metric that @text names is printed. */
static size_t check_names(const char *where, const char *text, const char *metrics)
{
	char name[96];
	size_t n = 0;

	for (const char *at = text; (at = next_metric(at, name)); n++)
		if (!is_printed(metrics, name))
			fail_msg("%s: no metric has the name %s", where, name);
	return n;
}

static void alerts_ask_for_what_there_is(void **state)
{
	_cleanup_free_ char *metrics = read_all(metrics_path);
	_cleanup_free_ char *alerts = read_all(alerts_path);
	char *rest = alerts;
	size_t n = 0;

	for (char *line; (line = strsep(&rest, "\n"));)
		if (strstr(line, " expr: ") && !strstr(line, "node_textfile_mtime_seconds"))
			n += check_names(alerts_path, line, metrics) > 0;
	assert_true(n >= 15);
}

static json_t *load(void)
{
	json_error_t error;
	json_t *json = json_load_file(dashboard_path, JSON_REJECT_DUPLICATES, &error);

	if (!json)
		fail_msg("%s:%d: %s", dashboard_path, error.line, error.text);
	return json;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	if (!text)
		fail_msg("%s is no text", key);
	return text;
}

static void the_dashboard_shows_what_there_is(void **state)
{
	_cleanup_free_ char *metrics = read_all(metrics_path);
	_cleanup_free_ char *dashboard = read_all(dashboard_path);
	json_t *json = load(), *panel, *target;
	size_t i, j, n = 0;
	char name[96];

	json_array_foreach(json_object_get(json, "panels"), i, panel)
		json_array_foreach(json_object_get(panel, "targets"), j, target) n +=
		check_names(text_of(panel, "title"), text_of(target, "expr"), metrics);
	assert_true(n > 30);
	json_decref(json);
	for (const char *at = metrics; (at = strstr(at, "# TYPE "));) {
		at = next_metric(at, name);
		char asked[100];

		snprintf(asked, sizeof(asked), "%s{", name);
		if (!strstr(dashboard, asked))
			fail_msg("no panel shows %s", name);
	}
}

/* Its place: within the width, on top of no other. */
static void check_place(const json_t *panel, bool taken[HEIGHT_MAX][WIDTH])
{
	const json_t *pos = json_object_get(panel, "gridPos");
	json_int_t x = -1, y = -1, w = 0, h = 0;

	assert_int_equal(json_unpack((json_t *)pos, "{s:I, s:I, s:I, s:I}", "x", &x, "y", &y, "w",
				     &w, "h", &h),
			 0);
	assert_true(x >= 0 && w > 0 && x + w <= WIDTH && y >= 0 && h > 0 && y + h <= HEIGHT_MAX);
	for (json_int_t row = y; row < y + h; row++)
		for (json_int_t column = x; column < x + w; column++) {
			if (taken[row][column])
				fail_msg("%s is on top of another panel", text_of(panel, "title"));
			taken[row][column] = true;
		}
}

static void check_panel(const json_t *panel)
{
	const char *type = text_of(panel, "type");
	json_t *target;
	size_t i;

	assert_true(*text_of(panel, "title"));
	if (strcmp(type, "row") == 0)
		return;
	if (strcmp(type, "stat") != 0 && strcmp(type, "timeseries") != 0 &&
	    strcmp(type, "table") != 0)
		fail_msg("%s: what is a %s?", text_of(panel, "title"), type);
	assert_true(json_is_object(json_object_get(panel, "fieldConfig")));
	assert_true(json_is_object(json_object_get(panel, "options")));
	assert_true(json_array_size(json_object_get(panel, "targets")) > 0);
	json_array_foreach(json_object_get(panel, "targets"), i, target)
	{
		const char ref[] = { (char)('A' + i), '\0' };

		assert_string_equal(text_of(target, "refId"), ref);
		assert_string_equal(text_of(json_object_get(target, "datasource"), "uid"), "${"
											   "datasou"
											   "rce}");
		if (!strstr(text_of(target, "expr"), "{instance=~\"$instance\""))
			fail_msg("%s: of which host?", text_of(panel, "title"));
	}
}

static void the_dashboard_is_well_formed(void **state)
{
	static bool taken[HEIGHT_MAX][WIDTH];
	bool ids[256] = { false };
	json_t *json = load(), *panel, *variables;
	size_t i;

	assert_true(json_is_null(json_object_get(json, "id"))); /* Grafana's to give */
	assert_true(strlen(text_of(json, "uid")) <= 40);
	assert_string_equal(text_of(json, "title"), "jobfence");
	assert_true(json_integer_value(json_object_get(json, "schemaVersion")) >= 30);
	json_array_foreach(json_object_get(json, "panels"), i, panel)
	{
		json_int_t id = json_integer_value(json_object_get(panel, "id"));

		assert_in_range(id, 1, 255);
		assert_false(ids[id]);
		ids[id] = true;
		check_place(panel, taken);
		check_panel(panel);
	}
	assert_true(i > 20);
	variables = json_object_get(json_object_get(json, "templating"), "list");
	assert_int_equal(json_array_size(variables), 2);
	assert_string_equal(text_of(json_array_get(variables, 0), "name"), "datasource");
	assert_string_equal(text_of(json_array_get(variables, 0), "type"), "datasource");
	assert_string_equal(text_of(json_array_get(variables, 1), "name"), "instance");
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alerts_ask_for_what_there_is),
		cmocka_unit_test(the_dashboard_shows_what_there_is),
		cmocka_unit_test(the_dashboard_is_well_formed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
