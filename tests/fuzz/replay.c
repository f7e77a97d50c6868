/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a fuzz target over the files of the folders given, without libFuzzer: each whole, and each cut
 * short at a few places. An empty corpus is a failure, since it would test nothing.
 */
#include "fuzz.h"

#include <dirent.h>
#include <sys/stat.h>

#define CUTS 8

__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	return 0;
}

/* A block of exactly that size, so that a sanitizer sees one byte read too far. */
static void run(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	CHECK(copy);
	if (size)
		memcpy(copy, data, size);
	CHECK(LLVMFuzzerTestOneInput(copy, size) == 0);
	free(copy);
}

static void run_file(const char *path, size_t size)
{
	uint8_t *data = malloc(size ? size : 1);
	FILE *file = fopen(path, "re");

	CHECK(data && file && fread(data, 1, size, file) == size);
	fclose(file);
	for (size_t cut = 1; cut <= CUTS; cut++)
		run(data, size * cut / CUTS);
	free(data);
}

static size_t run_folder(const char *folder)
{
	struct dirent **entries = NULL;
	int entries_n = scandir(folder, &entries, NULL, alphasort);
	size_t files = 0;

	for (int i = 0; i < entries_n; i++) {
		char path[1024];
		struct stat status;

		snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
		if (stat(path, &status) == 0 && S_ISREG(status.st_mode)) {
			fprintf(stderr, "%s\n", path); /* the last one is the find */
			run_file(path, (size_t)status.st_size);
			files++;
		}
		free(entries[i]);
	}
	free(entries);
	return files;
}

int main(int argc, char **argv)
{
	size_t files = 0;

	LLVMFuzzerInitialize(&argc, &argv);
	run(NULL, 0);
	for (int i = 1; i < argc; i++)
		files += run_folder(argv[i]);
	printf("%zu files\n", files);
	return files > 0 ? 0 : 1;
}
