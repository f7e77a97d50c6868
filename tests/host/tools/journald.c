/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * journald: the receiving end of the journal's native protocol for a daemon under test. Each record
 * becomes one line of RECORDS: the milliseconds of the monotonic clock, then its fields, a tab behind each;
 * what would break the line is a blank. The sentence alone goes to TEXT, as to a file.
 *
 * It goes to the background when bound, and lives as long as the private host does.
 */
#include <endian.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "tool.h"

static char message[262144];

static void put_value(FILE *out, const char *value, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fputc((unsigned char)value[i] < ' ' ? ' ' : value[i], out);
}

/* NAME=VALUE\n, or NAME\n, the length in 8 bytes, VALUE\n. Returns what is left. */
static const char *one_field(const char *at, const char *end, FILE *records, FILE *text)
{
	const char *line_end = memchr(at, '\n', (size_t)(end - at));
	const char *equals = line_end ? memchr(at, '=', (size_t)(line_end - at)) : NULL;
	const char *name_end = equals ? equals : line_end, *value = name_end + 1;
	uint64_t n = equals ? (uint64_t)(line_end - value) : 0;

	if (!line_end)
		return end;
	if (!equals && end - value >= 8) {
		memcpy(&n, value, sizeof(n));
		n = le64toh(n);
		value += sizeof(n);
	}
	if (n > (uint64_t)(end - value))
		return end;
	fprintf(records, "%.*s=", (int)(name_end - at), at);
	put_value(records, value, n);
	fputc('\t', records);
	if (name_end - at == 7 && memcmp(at, "MESSAGE", 7) == 0) {
		fputs("jobfence: ", text);
		put_value(text, value, n);
		fputc('\n', text);
	}
	return value + n + 1;
}

static void one_record(const char *at, size_t size, FILE *records, FILE *text)
{
	const char *end = at + size;

	fprintf(records, "%lld\t", (long long)now_ms());
	while (at < end)
		at = one_field(at, end, records, text);
	fputc('\n', records);
	fflush(records);
	fflush(text);
}

int main(int argc, char **argv)
{
	FILE *records, *text;
	pid_t pid;
	int fd;

	if (argc != 4)
		die(EXIT_USAGE, "usage: journald SOCKET RECORDS TEXT");
	fd = bind_datagram(argv[1]);
	records = fopen(argv[2], "ae");
	text = fopen(argv[3], "ae");
	if (!records || !text)
		die(EXIT_BROKEN, "%s: %m", records ? argv[3] : argv[2]);
	pid = fork();
	if (pid < 0)
		die(EXIT_BROKEN, "fork: %m");
	if (pid > 0)
		return 0;
	setsid();
	for (int i = 0; i < 3; i++)
		close(i);
	for (;;) {
		ssize_t n = recv(fd, message, sizeof(message), 0);

		if (n > 0)
			one_record(message, (size_t)n, records, text);
	}
}
