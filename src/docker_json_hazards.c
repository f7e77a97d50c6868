/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an inspect answer tells of ways around the fence: capabilities, host paths, devices,
 * namespaces of the host, switched-off confinement. Facts for a person and for classify.c, which
 * judges; nothing here decides. A path is called dstack's own only where its target and its form
 * are those that dstack's shim makes, never by its prefix alone: instance mounts are the user's.
 *
 * Not visible in this answer, so never found here: a named volume whose driver options bind a
 * path of the host.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "docker_json-internal.h"
#include "jobfence/cleanup.h"
#include "jobfence/text.h"

#define HAZARD_TEXT_MAX 200

struct hazard_notes {
	uint32_t bits;
	bool full;
	size_t len;
	char text[HAZARD_TEXT_MAX + 1];
};

/* Adds one detail; the first that does not fit ends the list with "...". */
static void note(struct hazard_notes *notes, uint32_t bits, const char *detail)
{
	static const size_t room = HAZARD_TEXT_MAX - 5; /* ", ..." always fits */
	char safe[HAZARD_TEXT_MAX + 1];
	const char *comma = notes->len ? ", " : "";
	size_t len;

	notes->bits |= bits;
	if (notes->full)
		return;
	text_safe(detail, safe, sizeof(safe));
	len = strlen(comma) + strlen(safe);
	notes->full = notes->len + len > room;
	if (notes->full)
		strcpy(safe, "...");
	notes->len = stpcpy(stpcpy(notes->text + notes->len, comma), safe) - notes->text;
}

static bool has_prefix(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

static bool has_suffix(const char *text, const char *suffix)
{
	size_t len = strlen(text), suffix_len = strlen(suffix);

	return len >= suffix_len && !strcmp(text + len - suffix_len, suffix);
}

/* A path that could mean another than it says is nobody's own. */
static bool is_plain_path(const char *path)
{
	return path[0] == '/' && !strstr(path, "/../") && !has_suffix(path, "/..") &&
	       !strstr(path, "//") && !strstr(path, "/./");
}

/* The socket itself, or a folder that holds it. */
static bool reaches_docker_socket(const char *path)
{
	static const char *const folders[] = { "/",     "/run",     "/run/",    "/var",
					       "/var/", "/var/run", "/var/run/" };

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (!strcmp(path, folders[i]))
			return true;
	return has_suffix(path, "docker.sock");
}

/* <shim's home>/runners/<container's name> on /tmp/runner */
static bool is_runner_dir(const char *source, const char *target, const char *name)
{
	const char *last = strrchr(source, '/');
	size_t parent_len = last ? (size_t)(last - source) : 0;
	static const char parent[] = "/runners";

	return !strcmp(target, "/tmp/runner") && last && name && !strcmp(last + 1, name) &&
	       parent_len >= strlen(parent) &&
	       !strncmp(source + parent_len - strlen(parent), parent, strlen(parent));
}

/* What dstack's shim mounts by itself (its DockerMounts, getVolumeMounts, configureGpus). */
static bool is_dstack_mount(const char *source, const char *target, const char *name)
{
	static const char volumes[] = "/mnt/disks/dstack-volumes/";

	if (!is_plain_path(source))
		return false;
	if (is_runner_dir(source, target, name))
		return true;
	if (!strcmp(target, "/usr/local/bin/dstack-runner"))
		return has_suffix(source, "/dstack-runner");
	if (has_prefix(source, volumes))
		return source[strlen(volumes)] && !strchr(source + strlen(volumes), '/');
	return !strcmp(source, "/dev/hugepages-1G") && !strcmp(target, source);
}

static int note_mount(const json_t *mount, const char *name, struct hazard_notes *notes,
		      struct diag *diag)
{
	const char *type = "", *source = "", *target = "";
	const struct json_field fields[] = {
		STRING_FIELD("Type", OPTIONAL, &type),
		STRING_FIELD("Source", OPTIONAL, &source),
		STRING_FIELD("Destination", OPTIONAL, &target),
	};
	int r;

	r = docker_json_read(mount, "container mount", fields, ARRAY_SIZE(fields), diag);
	if (r)
		return r;
	if (strcmp(type, "bind") != 0 || is_dstack_mount(source, target, name))
		return 0;
	note(notes, HAZARD_HOST_PATH | (reaches_docker_socket(source) ? HAZARD_DOCKER_SOCKET : 0),
	     source);
	return 0;
}

/*
 * 0: a GPU or another accelerator, that cannot send packets. /dev/vfio is none of these: it hands
 * out PCI devices, network cards among them, and dstack never asks for it.
 */
static uint32_t device_hazard(const char *path)
{
	static const char *const accelerators[] = { "/dev/nvidia", "/dev/dri/", "/dev/kfd",
						    "/dev/tenstorrent/", "/dev/accel" };

	if (!is_plain_path(path))
		return HAZARD_DEVICES;
	if (!strcmp(path, "/dev/infiniband") || has_prefix(path, "/dev/infiniband/"))
		return HAZARD_RDMA;
	if (!strcmp(path, "/dev/dri") || !strcmp(path, "/dev/tenstorrent"))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(accelerators); i++)
		if (has_prefix(path, accelerators[i]))
			return 0;
	return HAZARD_DEVICES;
}

static int note_device(const json_t *device, struct hazard_notes *notes, struct diag *diag)
{
	const char *path = "";
	const struct json_field fields[] = { STRING_FIELD("PathOnHost", OPTIONAL, &path) };
	uint32_t hazard;
	int r;

	r = docker_json_read(device, "container device", fields, ARRAY_SIZE(fields), diag);
	if (r)
		return r;
	hazard = device_hazard(path);
	if (hazard)
		note(notes, hazard, path);
	return 0;
}

static uint32_t security_hazard(const char *option)
{
	static const struct {
		const char *option;
		uint32_t hazard;
	} options[] = {
		{ "seccomp=unconfined", HAZARD_SECCOMP },
		{ "seccomp:unconfined", HAZARD_SECCOMP },
		{ "apparmor=unconfined", HAZARD_APPARMOR },
		{ "apparmor:unconfined", HAZARD_APPARMOR },
		{ "label=disable", HAZARD_APPARMOR },
		{ "label:disable", HAZARD_APPARMOR },
		{ "systempaths=unconfined", HAZARD_APPARMOR },
	};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (!strcmp(option, options[i].option))
			return options[i].hazard;
	return 0;
}

enum text_list {
	LIST_CAPABILITIES,
	LIST_SECURITY,
	LIST_DEVICE_RULES,
};

static int note_texts(const json_t *list, enum text_list kind, struct hazard_notes *notes,
		      struct diag *diag)
{
	const json_t *item;
	uint32_t hazard = 0;
	size_t i;

	json_array_foreach(list, i, item)
	{
		const char *text = json_string_value(item);

		if (!text)
			return diag_set(diag, -EINVAL,
					"container: a capability, security option or device rule "
					"is not a string");
		switch (kind) {
		case LIST_CAPABILITIES:
			hazard = HAZARD_CAPABILITIES;
			break;
		case LIST_SECURITY:
			hazard = security_hazard(text);
			break;
		case LIST_DEVICE_RULES: /* the default capabilities include making device nodes */
			hazard = HAZARD_DEVICES;
			break;
		}
		if (hazard)
			note(notes, hazard, text);
	}
	return 0;
}

static bool names_capability(const json_t *list, const char *name)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		const char *text = json_string_value(item) ?: "";

		if (strncasecmp(text, "CAP_", 4) == 0)
			text += 4;
		if (strcasecmp(text, name) == 0 || strcasecmp(text, "ALL") == 0)
			return true;
	}
	return false;
}

static int note_lists(const json_t *mounts, const json_t *devices, const char *name,
		      struct hazard_notes *notes, struct diag *diag)
{
	const json_t *item;
	size_t i;
	int r;

	json_array_foreach(mounts, i, item)
	{
		r = note_mount(item, name, notes, diag);
		if (r)
			return r;
	}
	json_array_foreach(devices, i, item)
	{
		r = note_device(item, notes, diag);
		if (r)
			return r;
	}
	return 0;
}

int docker_json_hazards(const json_t *mounts, const json_t *host_config,
			struct container *container, struct diag *diag)
{
	json_t *devices = NULL, *capabilities = NULL, *dropped = NULL, *security = NULL,
	       *rules = NULL;
	const char *pid = "", *ipc = "", *cgroupns = "", *userns = "";
	struct hazard_notes notes = { 0 };
	json_t *masked = NULL;
	bool privileged = false;
	const struct json_field fields[] = {
		BOOLEAN_FIELD("Privileged", OPTIONAL, &privileged),
		ARRAY_FIELD("CapAdd", OPTIONAL, &capabilities),
		ARRAY_FIELD("CapDrop", OPTIONAL, &dropped),
		ARRAY_FIELD("SecurityOpt", OPTIONAL, &security),
		ARRAY_FIELD("Devices", OPTIONAL, &devices),
		ARRAY_FIELD("DeviceCgroupRules", OPTIONAL, &rules),
		ARRAY_FIELD("MaskedPaths", OPTIONAL, &masked),
		STRING_FIELD("PidMode", OPTIONAL, &pid),
		STRING_FIELD("IpcMode", OPTIONAL, &ipc),
		STRING_FIELD("CgroupnsMode", OPTIONAL, &cgroupns),
		STRING_FIELD("UsernsMode", OPTIONAL, &userns),
	};
	int r;

	r = docker_json_read(host_config, "container HostConfig", fields, ARRAY_SIZE(fields), diag);
	if (!r)
		r = note_texts(capabilities, LIST_CAPABILITIES, &notes, diag);
	if (!r)
		r = note_texts(security, LIST_SECURITY, &notes, diag);
	if (!r)
		r = note_lists(mounts, devices, container->name, &notes, diag);
	if (!r)
		r = note_texts(rules, LIST_DEVICE_RULES, &notes, diag);
	if (r)
		return r;
	notes.bits |= privileged ? HAZARD_PRIVILEGED : 0;
	notes.bits |= !strcmp(pid, "host") ? HAZARD_HOST_PID : 0;
	notes.bits |= !strcmp(ipc, "host") ? HAZARD_HOST_IPC : 0;
	notes.bits |= !strcmp(cgroupns, "host") ? HAZARD_HOST_CGROUPNS : 0;
	notes.bits |= !strcmp(userns, "host") ? HAZARD_HOST_USERNS : 0;
	/* docker's client sends systempaths=unconfined as an empty list, never as the option. */
	if (masked && !json_array_size(masked) && !privileged)
		note(&notes, HAZARD_APPARMOR, "systempaths=unconfined");
	r = docker_json_keep(notes.text, &container->hazard_text);
	if (r)
		return diag_set(diag, r, "container: out of memory");
	container->hazards |= notes.bits;
	container->no_net_raw = !privileged && names_capability(dropped, "NET_RAW") &&
				!names_capability(capabilities, "NET_RAW");
	return 0;
}
