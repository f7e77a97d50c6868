/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The children of one cgroup, sorted by name. Pure. None is ever left out: with a shared parent a
 * child that is not listed would be taken for a container, or worse, for none.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup-internal.h"

static size_t find_place(const struct cgroup_children *children, const char *name)
{
	size_t low = 0, high = children->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(children->items[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_at(const struct cgroup_children *children, size_t i, const char *name)
{
	return i < children->n && strcmp(children->items[i].name, name) == 0;
}

static int reserve_one(struct cgroup_children *children)
{
	size_t size = children->size ? children->size * 2 : 32;
	struct cgroup_child *items;

	if (children->n < children->size)
		return 0;
	items = reallocarray(children->items, size, sizeof(*items));
	if (!items)
		return -ENOMEM;
	children->items = items;
	children->size = size;
	return 0;
}

int cgroup_children_set(struct cgroup_children *children, const char *name, uint64_t id,
			bool *changed)
{
	char cut[CGROUP_CHILD_NAME_MAX + 1];
	struct cgroup_child child = { .id = id };
	size_t i;
	int r;

	cgroup_child_name(name, cut);
	i = find_place(children, cut);
	if (is_at(children, i, cut)) {
		*changed = *changed || children->items[i].id != id;
		children->items[i].id = id;
		return 0;
	}
	r = reserve_one(children);
	if (r < 0)
		return r;
	child.name = strdup(cut);
	if (!child.name)
		return -ENOMEM;
	memmove(&children->items[i + 1], &children->items[i], (children->n - i) * sizeof(child));
	children->items[i] = child;
	children->n++;
	*changed = true;
	return 0;
}

void cgroup_children_remove(struct cgroup_children *children, const char *name, bool *changed)
{
	char cut[CGROUP_CHILD_NAME_MAX + 1];
	size_t i;

	cgroup_child_name(name, cut);
	i = find_place(children, cut);
	if (!is_at(children, i, cut))
		return;
	free((char *)children->items[i].name);
	children->n--;
	memmove(&children->items[i], &children->items[i + 1],
		(children->n - i) * sizeof(*children->items));
	*changed = true;
}

bool cgroup_children_equal(const struct cgroup_children *a, const struct cgroup_children *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (a->items[i].id != b->items[i].id ||
		    strcmp(a->items[i].name, b->items[i].name) != 0)
			return false;
	return true;
}

void cgroup_children_done(struct cgroup_children *children)
{
	for (size_t i = 0; i < children->n; i++)
		free((char *)children->items[i].name);
	free(children->items);
	*children = (struct cgroup_children){ 0 };
}
