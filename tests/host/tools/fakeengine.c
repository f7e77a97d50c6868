/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fakeengine: an engine that lies as it is told, at a socket of its own, for tests with a real jobfence. It
 * knows containers by number (1 to 999: 172.17.0.2 and up, MAC 02:42:ac:11:…, namespace
 * /run/docker/netns/NUMBER where that is there) and never makes any.
 *
 *   fakeengine SOCKET
 *
 * Commands, a line each on standard input; what is true and what is told are separate:
 *   put job|bystander|hostjob N [M]   it is there and runs (N to M); jobs publish 127.0.0.1:(20000 + N)
 *   gone N [M]                        it is not there any more
 *   ip N AS                           it says that it has the address of another
 *   blind N                           it says nothing of its namespace
 *   inspect N STATUS BODY             what is answered instead, and its network does not name it; "inspect N ok"
 *                                     ends that
 *   hold N, release N                 its inspection is answered later, and the same
 *   tell ACTION N [M]                 an event of each, in one piece
 *   connect N [M]                     "network connect"
 *   storm COUNT                       events of all kinds about containers that are and that are not, in one piece
 *   hang 0|1, slow MS, cut            no answers; a byte in so many milliseconds; the stream breaks
 *   be docker|podman|rootless         what /version and /info say it is, from the next connection on
 *   say WORD                          printed when all before it is done; "asked": how many questions there were
 */
#include "../../support/fake_engine.c"

#define NUMBERS 1000
#define NETWORK "b12d9e000000000000000000000000000000000000000000000000000000d0c0"
#define LISTS "/containers/json?all=1"

struct fact {
	const char *kind; /* NULL: not there */
	int address;      /* whose; 0: its own */
	bool blind;
	bool unnamed; /* its network says nothing of it */
};

static struct fact facts[NUMBERS];
static char bodies[NUMBERS][512]; /* instead of the inspection; "": the truth */
static int statuses[NUMBERS];

static char *id_of(int n, char id[65])
{
	char *at = id;

	for (int i = 0; i < 8; i++)
		at += sprintf(at, "%08x", n * 0x01000193 + i * (n + 7));
	return id;
}

static int address_of(int n)
{
	return (facts[n].address ? facts[n].address : n) + 1;
}

static bool is_job(int n)
{
	return strcmp(facts[n].kind, "bystander") != 0;
}

static bool is_host(int n)
{
	return !strcmp(facts[n].kind, "hostjob");
}

static int labels(char *to, int n)
{
	if (!is_job(n))
		return sprintf(to, "{}");
	return sprintf(to,
		       "{\"ai.dstack.shim.is-task\":\"true\",\"ai.dstack.shim.task-id\":\"task-%"
		       "d\"}",
		       n);
}

static int listed(char *to, int n)
{
	char id[65], text[200];

	labels(text, n);
	return sprintf(to,
		       "{\"Id\":\"%s\",\"Names\":[\"/run-%d-0-0badcafe\"],\"State\":\"running\","
		       "\"Labels\":%s,\"HostConfig\":{\"NetworkMode\":\"%s\"},\"NetworkSettings\":"
		       "{\"Networks\":{\"%s\":{\"NetworkID\":\"\"}}}}",
		       id_of(n, id), n, text, is_host(n) ? "host" : "default",
		       is_host(n) ? "host" : "bridge");
}

static int inspected(char *to, int n)
{
	char id[65], text[200], sandbox[64], ports[200] = "{}", networks[400] = "{}";
	int address = address_of(n);

	labels(text, n);
	snprintf(sandbox, sizeof(sandbox), "/run/docker/netns/%d", n);
	if (facts[n].blind)
		sandbox[0] = '\0';
	if (is_job(n) && !is_host(n))
		sprintf(ports, "{\"10999/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"%d\"}]}",
			20000 + n);
	if (!is_host(n))
		sprintf(networks,
			"{\"bridge\":{\"NetworkID\":\"" NETWORK "\",\"IPAddress\":\"172.17.%d.%d\","
			"\"MacAddress\":\"02:42:ac:11:%02x:%02x\"}}",
			address / 256, address % 256, address / 256, address % 256);
	return sprintf(to,
		       "{\"Id\":\"%s\",\"Name\":\"/run-%d-0-0badcafe\",\"State\":{\"Status\":"
		       "\"running\",\"Pid\":%d},\"Config\":{\"Labels\":%s},\"HostConfig\":"
		       "{\"NetworkMode\":\"%s\",\"NanoCpus\":%s,\"Memory\":0},\"NetworkSettings\":"
		       "{\"SandboxKey\":\"%s\",\"Ports\":%s,\"Networks\":%s}}",
		       id_of(n, id), n, 0, text, is_host(n) ? "host" : "default",
		       is_host(n) ? "0" : "1000000000", sandbox, ports, networks);
}

static void write_one(struct fake_engine *fake, int n)
{
	char id[65], path[200], text[4096];

	id_of(n, id);
	strcpy(text, "[");
	if (facts[n].kind)
		listed(text + 1, n);
	strcat(text, "]");
	snprintf(path, sizeof(path), LISTS "&filters={\"id\":[\"%s\"]}", id);
	fake_engine_answer(fake, path, 200, text);
	snprintf(path, sizeof(path), "/containers/%s/json", id);
	if (statuses[n])
		fake_engine_answer(fake, path, statuses[n], bodies[n]);
	else if (facts[n].kind && inspected(text, n))
		fake_engine_answer(fake, path, 200, text);
	else
		fake_engine_forget(fake, path);
}

/* The two lists and the network, from all that is there. */
static void write_all(struct fake_engine *fake)
{
	static char list[NUMBERS * 600], network[NUMBERS * 200];
	char *l = list, *m = network, id[65];

	l += sprintf(l, "[");
	m += sprintf(m, "{\"Id\":\"" NETWORK "\",\"Name\":\"bridge\",\"Driver\":\"bridge\","
			"\"Options\":"
			"{\"com.docker.network.bridge.name\":\"docker0\"},\"Containers\":{");
	for (int n = 0; n < NUMBERS; n++) {
		int address;

		if (!facts[n].kind)
			continue;
		l += l[-1] == '[' ? 0 : sprintf(l, ",");
		l += listed(l, n);
		if (is_host(n) || facts[n].unnamed)
			continue;
		address = address_of(n);
		m += m[-1] == '{' ? 0 : sprintf(m, ",");
		m += sprintf(m,
			     "\"%s\":{\"MacAddress\":\"02:42:ac:11:%02x:%02x\",\"IPv4Address\":"
			     "\"172.17.%d.%d/16\"}",
			     id_of(n, id), address / 256, address % 256, address / 256,
			     address % 256);
	}
	sprintf(l, "]");
	sprintf(m, "}}");
	fake_engine_answer(fake, LISTS, 200, list);
	fake_engine_answer(fake, "/networks/" NETWORK, 200, network);
	fake_engine_answer(fake, "/networks", 200,
			   "[{\"Id\":\"" NETWORK "\",\"Name\":\"bridge\",\"Driver\":\"bridge\","
			   "\"Options\":{\"com.docker.network.bridge.name\":\"docker0\"}}]");
}

static int event(char *to, const char *action, int n)
{
	char id[65];

	if (!strcmp(action, "connect"))
		return sprintf(to,
			       "{\"Type\":\"network\",\"Action\":\"connect\",\"Actor\":{\"ID\":"
			       "\"" NETWORK "\",\"Attributes\":{\"container\":\"%s\"}}}\n",
			       id_of(n, id));
	return sprintf(to,
		       "{\"Type\":\"container\",\"Action\":\"%s\",\"Actor\":{\"ID\":\"%s\","
		       "\"Attributes\":{\"name\":\"run-%d\",\"exitCode\":\"0\"}}}\n",
		       action, id_of(n, id), n);
}

static void tell(struct fake_engine *fake, const char *action, int from, int to)
{
	static char text[NUMBERS * 400];
	char *at = text;

	for (int n = from; n <= to; n++)
		at += event(at, action, n);
	fake_engine_stream(fake, text, (size_t)(at - text));
}

static void storm(struct fake_engine *fake, int count)
{
	static const char *const actions[] = { "create", "connect", "start", "pause",
					       "die",    "update",  "rename" };
	char *text = must(malloc((size_t)count * 400)), *at = text;

	for (int i = 0; i < count; i++) /* 7 and 999 have no common divisor: all pairs come */
		at += event(at, actions[i % 7], 1 + i % (NUMBERS - 1));
	fake_engine_stream(fake, text, (size_t)(at - text));
	free(text);
}

static int number(const char *text, int least, int most)
{
	char *end;
	long n = text ? strtol(text, &end, 10) : -1;

	if (!text || *end || n < least || n > most)
		errx(2, "fakeengine: '%s' is no number from %d to %d", text ? text : "", least,
		     most);
	return (int)n;
}

static const char *kind_of(const char *word)
{
	static const char *const kinds[] = { "job", "bystander", "hostjob" };

	for (size_t i = 0; i < 3; i++)
		if (!strcmp(word, kinds[i]))
			return kinds[i];
	errx(2, "fakeengine: what is a '%s'?", word);
}

static void change(struct fake_engine *fake, const char *kind, int from, int to)
{
	for (int n = from; n <= to; n++) {
		facts[n] = (struct fact){ .kind = kind };
		write_one(fake, n);
	}
	write_all(fake);
}

static void say(struct fake_engine *fake, const char *word)
{
	if (!strcmp(word, "asked"))
		printf("asked %zu\n", fake_engine_count(fake, "GET "));
	else
		printf("%s\n", word);
	fflush(stdout);
}

/* What one container's answers are. */
static void lie(struct fake_engine *fake, const char *what, int n, char *rest)
{
	char path[200], id[65];

	snprintf(path, sizeof(path), "/containers/%s/json", id_of(n, id));
	if (!strcmp(what, "ip"))
		facts[n].address = number(rest, 1, NUMBERS - 1);
	else if (!strcmp(what, "blind"))
		facts[n].blind = true;
	else if (!strcmp(what, "inspect")) {
		facts[n].unnamed = strcmp(rest, "ok") != 0;
		statuses[n] = facts[n].unnamed ? number(strsep(&rest, " "), 100, 599) : 0;
		snprintf(bodies[n], sizeof(bodies[n]), "%s", rest ? rest : "");
	} else {
		facts[n].unnamed = !strcmp(what, "hold");
		fake_engine_hold(fake, path, facts[n].unnamed);
	}
	write_one(fake, n);
	write_all(fake);
}

static void be(struct fake_engine *fake, const char *kind)
{
	char text[400];

	fake_engine_answer(fake, "/version", 200,
			   strcmp(kind, "podman") ? "{\"Version\":\"20.10.24\",\"ApiVersion\":\"1."
						    "41\","
						    "\"MinAPIVersion\":\"1.12\"}"
						  : "{\"Version\":\"4.3.1\",\"ApiVersion\":\"1."
						    "41\","
						    "\"MinAPIVersion\":\"1.24\",\"Components\":[{"
						    "\"Name\":"
						    "\"Podman Engine\",\"Version\":\"4.3.1\"}]}");
	snprintf(text, sizeof(text),
		 "{\"ServerVersion\":\"20.10.24\",\"CgroupDriver\":\"cgroupfs\","
		 "\"CgroupVersion\":\"2\",\"LiveRestoreEnabled\":true,\"SecurityOptions\":[%s]}",
		 strcmp(kind, "rootless") ? "" : "\"name=rootless\"");
	fake_engine_answer(fake, "/info", 200, text);
}

static void obey(struct fake_engine *fake, char *line)
{
	char *rest = line, *verb = strsep(&rest, " "), *word;
	int from, to;

	if (!strcmp(verb, "cut")) {
		fake_engine_end_streams(fake, false);
		return;
	}
	if (!rest)
		errx(2, "fakeengine: '%s' what?", verb);
	if (!strcmp(verb, "say")) {
		say(fake, rest);
	} else if (!strcmp(verb, "be")) {
		be(fake, rest);
	} else if (!strcmp(verb, "hang")) {
		fake_engine_hang(fake, number(rest, 0, 1));
	} else if (!strcmp(verb, "slow")) {
		fake_engine_slow(fake, (unsigned)number(rest, 0, 60000));
	} else if (!strcmp(verb, "storm")) {
		storm(fake, number(rest, 1, 1000000));
	} else if (!strcmp(verb, "put") || !strcmp(verb, "tell") || !strcmp(verb, "gone") ||
		   !strcmp(verb, "connect")) {
		word = verb[0] == 'p' || verb[0] == 't' ? strsep(&rest, " ") : verb;
		from = number(strsep(&rest, " "), 1, NUMBERS - 1);
		to = rest ? number(rest, from, NUMBERS - 1) : from;
		if (verb[0] == 'p' || verb[0] == 'g')
			change(fake, verb[0] == 'p' ? kind_of(word) : NULL, from, to);
		else
			tell(fake, word, from, to);
	} else {
		from = number(strsep(&rest, " "), 1, NUMBERS - 1);
		lie(fake, verb, from, rest);
	}
}

int main(int argc, char **argv)
{
	struct fake_engine *fake;
	char line[1024];

	if (argc != 2)
		errx(2, "usage: fakeengine SOCKET");
	fake = fake_engine_new_at(argv[1]);
	fake_engine_healthy(fake, "1.41", "1.12");
	be(fake, "docker");
	write_all(fake);
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0])
			obey(fake, line);
	}
	fake_engine_free(fake);
	return 0;
}
