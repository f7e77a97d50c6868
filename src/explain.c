/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Everything about one container, put together from what status saw: where it is, which elements
 * name it, which rules see its packets. Pure. It judges nothing: the verdict is classify()'s, the
 * elements are policy's and the rules are the skeleton's.
 */
#include "explain-internal.h"

#include <errno.h>
#include <string.h>

static int find_ports(struct explanation *explanation)
{
	const struct container *c = explanation->owner ?: explanation->row->container;
	char bridge[IFNAMSIZ];

	explanation->ports = calloc(c->endpoints_n + 1, sizeof(*explanation->ports));
	if (!explanation->ports)
		return -ENOMEM;
	for (size_t i = 0; i < c->endpoints_n; i++)
		explain_port(explanation->view->expected, &c->endpoints[i], bridge,
			     explanation->ports[i]);
	return 0;
}

static void find_cgroup(struct explanation *explanation, cgroup_path_fn cgroup_path, void *data)
{
	const struct model *model = &explanation->view->expected->model;
	size_t i = explanation->i;
	const char *path = NULL;

	if (model->cgroup_id && model->cgroup_id[i]) {
		explanation->cgroup_id = model->cgroup_id[i];
		path = cgroup_path ? cgroup_path(explanation->cgroup_id, data) : NULL;
	} else if (model->foreign && model->foreign[i].id) {
		explanation->cgroup_id = model->foreign[i].id;
		explanation->cgroup_foreign = true;
	}
	if (path)
		snprintf(explanation->cgroup, sizeof(explanation->cgroup), "/sys/fs/cgroup/%s",
			 path);
}

static void take_elem(struct explanation *explanation, enum set_id set, const struct elem *elem)
{
	const struct live *live = explanation->view->live;
	const struct elem *there = live ? ruleset_find(live->elements, set, elem->key) : NULL;

	explanation->elems[explanation->elems_n++] = (struct explained_elem){
		.set = set,
		.elem = elem,
		.known = live,
		.there = there,
		.counts = set_spec(set)->counter,
		.taken_back = policy_is_claim(set) && explanation->view->daemon_pid == 0,
		.packets = there ? elem_extra(there)->packets : 0,
	};
}

static int find_elems(struct explanation *explanation)
{
	const struct ruleset *ruleset = explanation->view->expected->ruleset;
	char part[128];
	size_t n = 0;

	for (size_t set = 0; set < SET_MAX; set++)
		n += ruleset->sets[set].n;
	explanation->elems = calloc(n + 1, sizeof(*explanation->elems));
	if (!explanation->elems)
		return -ENOMEM;
	status_comment_part(explanation->row, part, sizeof(part));
	for (size_t set = 0; set < SET_MAX; set++)
		for (size_t e = 0; e < ruleset->sets[set].n; e++)
			if (status_comment_is_of(ruleset->sets[set].elem[e].comment, part))
				take_elem(explanation, (enum set_id)set,
					  &ruleset->sets[set].elem[e]);
	return 0;
}

static const struct status_row *row_of(const struct status_view *view,
				       const struct container *container)
{
	for (size_t i = 0; i < view->rows_n; i++)
		if (view->rows[i].container == container)
			return &view->rows[i];
	return NULL;
}

int explain_make(const struct status_view *view, size_t i, cgroup_path_fn cgroup_path, void *data,
		 struct explanation *ret_explanation)
{
	const struct model *model = &view->expected->model;
	struct explanation *explanation = ret_explanation;
	int r;

	*explanation = (struct explanation){
		.view = view,
		.row = row_of(view, &model->containers[i]),
		.i = i,
		.owner = classify_owner(&model->containers[i], model->containers,
					model->containers_n),
	};
	if (!explanation->row)
		return -EINVAL;
	find_cgroup(explanation, cgroup_path, data);
	r = find_ports(explanation);
	if (r >= 0)
		r = find_elems(explanation);
	if (r >= 0 && container_is_live(explanation->row->container))
		r = explain_rules(view->config, view->expected, i, &explanation->rules);
	return r;
}

void explanation_done(struct explanation *explanation)
{
	free(explanation->ports);
	free(explanation->elems);
	explained_rules_done(&explanation->rules);
	*explanation = (struct explanation){ 0 };
}

bool explain_counted(const struct explanation *explanation, const struct explained_rule *rule,
		     uint64_t *ret_packets)
{
	const struct skeleton *skeleton = explanation->view->expected->skeleton;
	const struct live *live = explanation->view->live;

	for (size_t i = 0; live && i < skeleton->counters_n && i < live->counters_n; i++) {
		if (skeleton->counters[i].family != rule->family ||
		    strcmp(skeleton->counters[i].name, rule->counter) != 0 ||
		    !live->counters[i].present)
			continue;
		*ret_packets = live->counters[i].packets;
		return true;
	}
	return false;
}
