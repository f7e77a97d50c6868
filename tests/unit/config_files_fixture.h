/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files of a test's own, from which the whole configuration is loaded: nothing of the host's is read.
 * Include it behind cmocka.h.
 */
#pragma once

static char folder[64];
static char conf_path[96], env_path[96], shim_path[96];

static int make_folder(void **state)
{
	strcpy(folder, "/tmp/jobfence-config-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(conf_path, sizeof(conf_path), "%s/conf", folder);
	snprintf(env_path, sizeof(env_path), "%s/env", folder);
	snprintf(shim_path, sizeof(shim_path), "%s/shim", folder);
	return 0;
}

static int remove_folder(void **state)
{
	unlink(conf_path);
	unlink(env_path);
	unlink(shim_path);
	return rmdir(folder);
}

static void write_bytes(const char *path, const char *bytes, size_t n)
{
	_cleanup_fclose_ FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, n, file), n);
}

/* NULL: no such file. */
static void write_file(const char *path, const char *text)
{
	if (text)
		write_bytes(path, text, strlen(text));
	else
		unlink(path);
}

/* Line 1 and 2 and 3 name the files of the test; @text starts on line 4. */
static void write_conf(const char *text)
{
	char all[4096];

	snprintf(all, sizeof(all), "[environment]\nenvironment_file = %s\nshim_env = %s\n%s",
		 env_path, shim_path, text);
	write_file(conf_path, all);
}

struct loaded {
	int r;
	struct config config;
	struct config_origin origin;
	struct diag diag;
};

/* What load() must leave alone on failure. */
static void fill(struct loaded *loaded)
{
	memset(loaded, 0, sizeof(*loaded));
	memset(&loaded->config, 0xa5, sizeof(loaded->config));
	memset(&loaded->origin, 0x5a, sizeof(loaded->origin));
}

static struct loaded load(struct config_sources sources)
{
	struct loaded loaded, before;

	fill(&loaded);
	fill(&before);
	if (!sources.path)
		sources.path = conf_path;
	loaded.r = config_load(&sources, &loaded.config, &loaded.origin, &loaded.diag);
	if (loaded.r < 0) {
		assert_memory_equal(&loaded.config, &before.config, sizeof(before.config));
		assert_memory_equal(&loaded.origin, &before.origin, sizeof(before.origin));
		assert_string_not_equal(loaded.diag.text, "");
	} else {
		assert_string_equal(loaded.diag.text, "");
	}
	return loaded;
}

static struct loaded load_good(struct config_sources sources)
{
	struct loaded loaded = load(sources);

	if (loaded.r != 0)
		fail_msg("refused: %s", loaded.diag.text);
	return loaded;
}

/* In what the diag says, @expected has "@" for the folder. */
static void assert_says(const struct loaded *loaded, const char *expected)
{
	char said[600] = "";
	size_t n = 0;

	for (const char *p = loaded->diag.text; *p; n++) {
		bool is_folder = strncmp(p, folder, strlen(folder)) == 0;

		said[n] = is_folder ? '@' : *p;
		p += is_folder ? strlen(folder) : 1;
	}
	if (!strstr(said, expected))
		fail_msg("\"%s\"\n   lacks \"%s\"", said, expected);
}

static void assert_refused(const char *conf, const char *expected)
{
	struct loaded loaded;

	write_conf(conf);
	loaded = load((struct config_sources){ 0 });
	if (loaded.r != -EINVAL)
		fail_msg("%d instead of -EINVAL for: %s", loaded.r, conf);
	assert_says(&loaded, expected);
}
