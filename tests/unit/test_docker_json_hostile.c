/* SPDX-License-Identifier: GPL-2.0-or-later */
/* docker_json: wrong types, every cut, every changed byte, depth, size and number. */
#include "docker_json_texts.h"

typedef int (*parse_fn)(const char *json, size_t len);

static void bad_texts(void **state)
{
	static const char *const texts[] = {
		"",
		"null",
		"7",
		"[]",
		"{}",
		"{\"Id\":7}",
		"{\"Id\":\"" ID_A "\"}",
		"\"x\"",
		"{{}",
		"{\"Id\":\"\xff\xfe\"}",
		"{\"Id\":\"\xed\xa0\x80\"}",
		"{\"Id\":\"" ID_A "\"}garbage",
		"{\"Id\":\"" ID_A "\",\"State\":[],\"Config\":{},\"HostConfig\":{},"
		"\"NetworkSettings\":{}}",
		"{\"Id\":\"" ID_A "\",\"State\":{\"Status\":\"running\",\"Pid\":-1},\"Config\":{},"
		"\"HostConfig\":{},\"NetworkSettings\":{}}",
		"{\"Id\":\"" ID_A "\",\"State\":{\"Status\":\"running\",\"Pid\":99999999999},"
		"\"Config\":{},\"HostConfig\":{},\"NetworkSettings\":{}}",
		"{\"Id\":\"" ID_A "\",\"State\":{\"Status\":\"running\",\"Pid\":1.5},"
		"\"Config\":{},\"HostConfig\":{},\"NetworkSettings\":{}}",
		"{\"Id\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
		"\"State\":{\"Status\":\"running\"},\"Config\":{},\"HostConfig\":{},"
		"\"NetworkSettings\":{}}",
	};
	static const char *const configs[] = {
		"\"CapAdd\":[7]",      "\"CapAdd\":\"x\"",   "\"Devices\":[7]",
		"\"Devices\":[null]",  "\"NanoCpus\":\"7\"", "\"Memory\":1e3",
		"\"Privileged\":1",    "\"SecurityOpt\":{}", "\"NetworkMode\":7",
		"\"PortBindings\":[]",
	};
	struct container c = { .pid = 77 };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (parse_container(texts[i], strlen(texts[i]), &c) != -EINVAL)
			fail_msg("taken: %s", texts[i]);
	for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
		char *text = make(configs[i], "", "null");

		if (!strcmp(configs[i], "\"PortBindings\":[]")) {
			free(text);
			text = make("\"NetworkMode\":\"bridge\",\"PortBindings\":[]", "", "null");
		}
		if (parse_container(text, strlen(text), &c) != -EINVAL)
			fail_msg("taken: %s", text);
		free(text);
	}
	assert_int_equal(parse_container("{\"Id\":\"x\0y\"}", 12, &c), -EINVAL);
	assert_int_equal(parse_container("{}\0", 3, &c), -EINVAL);
	assert_int_equal(c.pid, 77); /* untouched on failure */
}

static int list_result(const char *json, size_t len)
{
	struct container *list = NULL;
	size_t n = 0;
	int r = docker_json_container_list(json, len, &list, &n, NULL);

	for (size_t i = 0; i < n; i++)
		container_done(&list[i]);
	free(list);
	return r;
}

static int container_result(const char *json, size_t len)
{
	struct container c = { 0 };
	int r = docker_json_container(json, len, &c, NULL);

	container_done(&c);
	return r;
}

static int network_result(const char *json, size_t len)
{
	struct network net = { 0 };
	int r = docker_json_network(json, len, &net, NULL);

	network_done(&net);
	return r;
}

static int event_result(const char *json, size_t len)
{
	struct engine_event event;

	return docker_json_event(json, len, &event, NULL);
}

static const struct {
	const char *text;
	parse_fn parse;
} whole_texts[] = {
	{ bridge_20, container_result },
	{ host_28, container_result },
	{ list_20, list_result },
	{ network_28, network_result },
	{ CONTAINER_EVENT("start", ID_A, "\"a\":\"b\""), event_result },
};

static void truncated_at_every_byte(void **state)
{
	for (size_t t = 0; t < sizeof(whole_texts) / sizeof(whole_texts[0]); t++) {
		size_t len = strlen(whole_texts[t].text);

		for (size_t cut = 0; cut <= len; cut++) {
			char *copy = malloc(cut ? cut : 1);
			int r;

			assert_non_null(copy);
			memcpy(copy, whole_texts[t].text, cut);
			r = whole_texts[t].parse(copy, cut);
			free(copy);
			assert_int_equal(r, cut == len ? 0 : -EINVAL);
		}
	}
}

/* Any one byte changed to any of these: whatever the answer, no crash and no leak. */
static void mutated_at_every_byte(void **state)
{
	static const char bytes[] = "\0\"\\{}[]:,0n\xff";

	for (size_t t = 0; t < sizeof(whole_texts) / sizeof(whole_texts[0]); t++) {
		size_t len = strlen(whole_texts[t].text);
		char *copy = malloc(len);

		assert_non_null(copy);
		for (size_t i = 0; i < len; i++) {
			for (size_t b = 0; b < sizeof(bytes) - 1; b++) {
				int r;

				memcpy(copy, whole_texts[t].text, len);
				copy[i] = bytes[b];
				r = whole_texts[t].parse(copy, len);
				assert_true(!r || r == -EINVAL);
			}
		}
		free(copy);
	}
}

static char *nested(size_t depth, char open, char close)
{
	char *text = malloc(2 * depth + 1);

	assert_non_null(text);
	memset(text, open, depth);
	memset(text + depth, close, depth);
	text[2 * depth] = '\0';
	return text;
}

static void deep_nesting(void **state)
{
	static const size_t depths[] = { 65, 2000, 1000000 };
	struct diag diag = { 0 };
	struct container *list;
	char *text;
	size_t n;

	for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
		text = nested(depths[i], '[', ']');
		assert_int_equal(docker_json_container_list(text, strlen(text), &list, &n, &diag),
				 -EINVAL);
		assert_non_null(strstr(diag.text, "nested"));
		free(text);
	}
	/* brackets in a string are no nesting, also behind an escaped quote */
	text = make("", "",
		    "{\"x\":\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
		    "[[[[[[[[[[[[[[[[[[[[[[[[[[[\"}");
	assert_int_equal(container_result(text, strlen(text)), 0);
	free(text);
}

static void ten_megabytes(void **state)
{
	static const char entry[] = "{\"Id\":\"" ID_A "\",\"State\":\"running\"}";
	size_t n = 10 * 1024 * 1024 / sizeof(entry), len = 0;
	char *text = malloc(n * sizeof(entry) + 3);

	assert_non_null(text);
	text[len++] = '[';
	for (size_t i = 0; i < n; i++) {
		if (i)
			text[len++] = ',';
		memcpy(text + len, entry, sizeof(entry) - 1);
		len += sizeof(entry) - 1;
	}
	text[len++] = ']';
	assert_int_equal(list_result(text, len), -EINVAL); /* more entries than the bound */
	memset(text + 1, 'x', len - 2);
	text[1] = text[len - 2] = '"';
	assert_int_equal(list_result(text, len), -EINVAL); /* one string of 10 MB */
	free(text);
}

static void counts_are_bounded(void **state)
{
	char *text = malloc(400000), *at = text;
	struct container c;

	assert_non_null(text);
	at += sprintf(at,
		      "{\"Id\":\"%s\",\"State\":{\"Status\":\"running\"},\"Config\":{},"
		      "\"HostConfig\":{},\"NetworkSettings\":{\"Networks\":{",
		      ID_A);
	for (int i = 0; i < 1000; i++)
		at += sprintf(at, "%s\"n%d\":{\"NetworkID\":\"%s\"}", i ? "," : "", i, NET_A);
	at += sprintf(at, "},\"Ports\":{");
	for (int i = 0; i < 1000; i++)
		at += sprintf(at, "%s\"%d/tcp\":[{\"HostPort\":\"%d\"}]", i ? "," : "", i, i);
	strcpy(at, "}}}");
	must_parse(text, &c);
	assert_int_equal(c.endpoints_n, 64);
	assert_int_equal(c.ports_n, 256);
	assert_string_equal(c.name, "");
	container_done(&c);
	free(text);
}

static void long_names_are_cut(void **state)
{
	char name[5001], text[6000];
	struct container *list;
	size_t n;

	memset(name, 'x', 5000);
	name[5000] = '\0';
	snprintf(text, sizeof(text), "[{\"Id\":\"%s\",\"State\":\"running\",\"Names\":[\"/%s\"]}]",
		 ID_A, name);
	assert_int_equal(docker_json_container_list(text, strlen(text), &list, &n, NULL), 0);
	assert_int_equal(strlen(list[0].name), CONTAINER_NAME_MAX);
	container_done(&list[0]);
	free(list);
}

/* Megabytes of labels before and behind the one that counts. */
static void trimmed_labels(void **state)
{
	static const char head[] = "[{\"Id\":\"" ID_A "\",\"State\":\"running\",\"Labels\":{";
	static const char *const counts[] = { "\"k\":\"v\"", "\"ai.dstack.shim.is-task\":\"true\"",
					      "\"ai.dstack.shim.is-tas\\u006b\":\"true\"",
					      "\"\\u0061i.dstack.shim.is-task\":\"true\"" };
	static const char *const odd[] = { "}", "]{", "\\\"", "\\\\" };
	size_t room = 3000000;
	char *text = malloc(room);

	assert_non_null(text);
	for (size_t job = 0; job < sizeof(counts) / sizeof(counts[0]); job++) {
		struct container *list = NULL;
		size_t n = 0, left = 0, len = (size_t)sprintf(text, "%s", head);

		for (unsigned i = 0; i < 20000; i++)
			len += (size_t)sprintf(text + len, "\"%u%s\":\"%s, \\\"x\", ", i,
					       odd[i % 4], odd[(i / 4) % 4]);
		len += (size_t)sprintf(text + len, "%s", counts[job]);
		for (unsigned i = 0; i < 20000; i++)
			len += (size_t)sprintf(text + len, " ,\"b%u\" : \"\"", i);
		len += (size_t)sprintf(text + len, "},\"Names\":[\"/Labels\"]}]");
		assert_true(len < room);
		docker_json_trim(text, len);
		assert_int_equal(strlen(text), len);
		assert_int_equal(docker_json_container_list(text, len, &list, &n, NULL), 0);
		assert_int_equal(n, 1);
		assert_int_equal(list[0].is_task, job > 0);
		assert_true(job || list[0].labels_cut);
		assert_string_equal(list[0].name, "Labels");
		for (size_t i = 0; i < len; i++)
			left += text[i] != ' ';
		assert_in_range(left, 4096, 30000); /* is what the parser has to do */
		container_done(&list[0]);
		free(list);
	}
	free(text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(trimmed_labels),
		cmocka_unit_test(counts_are_bounded),
		cmocka_unit_test(long_names_are_cut),
		cmocka_unit_test(bad_texts),
		cmocka_unit_test(truncated_at_every_byte),
		cmocka_unit_test(mutated_at_every_byte),
		cmocka_unit_test(deep_nesting),
		cmocka_unit_test(ten_megabytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
