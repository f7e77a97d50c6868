/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is known, put together from answers that overtake each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/engine-internal.h"

static const char *id_of(unsigned number, char id[static CONTAINER_ID_LEN + 1])
{
	snprintf(id, CONTAINER_ID_LEN + 1, "%064x", number);
	return id;
}

static struct container make(unsigned number, enum container_state state)
{
	struct container c = { .state = state };
	char id[CONTAINER_ID_LEN + 1];

	assert_int_equal(container_identify(&c, id_of(number, id), "name", NULL), 0);
	return c;
}

static void listed(struct picture *p, unsigned number, enum container_state state, uint64_t seq)
{
	struct container c = make(number, state);

	assert_int_equal(picture_take_listed(p, &c, seq), 0);
	assert_null(c.name); /* taken or released */
}

/* With one endpoint in network @net (0: none) where @host is the address's last byte. */
static struct container make_inspected(unsigned number, enum container_state state, unsigned net,
				       uint8_t host)
{
	struct container c = make(number, state);

	c.inspected = true;
	c.pid = container_is_live(&c) ? 100 + (pid_t)number : 0;
	if (net) {
		c.endpoints = calloc(1, sizeof(*c.endpoints));
		assert_non_null(c.endpoints);
		c.endpoints_n = 1;
		id_of(net, c.endpoints[0].network_id);
		c.endpoints[0].network_name = strdup("net");
		c.endpoints[0].ip4 = (struct ip_addr){ AF_INET, { 10, 0, 0, host } };
	}
	return c;
}

static void inspected(struct picture *p, unsigned number, enum container_state state, unsigned net,
		      uint8_t host, uint64_t seq)
{
	struct container c = make_inspected(number, state, net, host);

	assert_int_equal(picture_take_inspected(p, &c, seq), 0);
	assert_null(c.name);
}

/* A network with one member at 10.0.0.@host; none where @member is 0. */
static struct network make_network(unsigned number, unsigned member, uint8_t host)
{
	struct network n = { .name = strdup("net"), .driver = strdup("bridge") };

	id_of(number, n.id);
	if (member) {
		char id[CONTAINER_ID_LEN + 1];

		n.endpoints = calloc(1, sizeof(*n.endpoints));
		assert_non_null(n.endpoints);
		n.endpoints_n = 1;
		container_id_bytes(id_of(member, id), n.endpoints[0].container);
		n.endpoints[0].ip4 = (struct ip_addr){ AF_INET, { 10, 0, 0, host } };
		n.endpoints[0].mac = (struct mac_addr){ { 2, 0, 0, 0, 0, host } };
	}
	return n;
}

static void network(struct picture *p, unsigned number, unsigned member, uint8_t host, uint64_t seq)
{
	struct network n = make_network(number, member, host);

	assert_int_equal(picture_take_network(p, &n, seq), 0);
	assert_null(n.name);
}

static const struct container *find(const struct picture *p, unsigned number)
{
	char id[CONTAINER_ID_LEN + 1];

	return picture_find(p, id_of(number, id));
}

static uint8_t host_of(const struct picture *p, unsigned number)
{
	const struct container *c = find(p, number);

	assert_non_null(c);
	return c->endpoints_n ? c->endpoints[0].ip4.bytes[3] : 0;
}

static void a_network_tells_before_inspect_does(void **state)
{
	struct picture p = { 0 };

	/* in either order of the two answers that come at once */
	listed(&p, 1, CONTAINER_CREATED, 1);
	network(&p, 9, 1, 2, 2);
	assert_int_equal(host_of(&p, 1), 2);
	assert_string_equal(find(&p, 1)->endpoints[0].network_name, "net");
	network(&p, 9, 2, 3, 3);
	listed(&p, 2, CONTAINER_CREATED, 4);
	assert_int_equal(host_of(&p, 2), 3);
	assert_false(find(&p, 2)->inspected);
	picture_done(&p);
}

static void an_older_inspect_does_not_undo_a_network(void **state)
{
	struct picture p = { 0 };

	network(&p, 9, 1, 2, 5);
	inspected(&p, 1, CONTAINER_CREATED, 0, 0, 4); /* asked before, answered later */
	assert_int_equal(host_of(&p, 1), 2);
	inspected(&p, 1, CONTAINER_RUNNING, 9, 7, 6); /* newer: believed */
	assert_int_equal(host_of(&p, 1), 7);
	network(&p, 9, 1, 8, 7);
	assert_int_equal(host_of(&p, 1), 8);
	assert_int_equal(find(&p, 1)->endpoints_n, 1);
	picture_done(&p);
}

static void a_network_that_lost_a_member_clears_it(void **state)
{
	struct picture p = { 0 };

	inspected(&p, 1, CONTAINER_RUNNING, 9, 7, 5);
	network(&p, 9, 0, 0, 4); /* older than the inspect answer */
	assert_int_equal(host_of(&p, 1), 7);
	network(&p, 9, 0, 0, 6);
	assert_int_equal(host_of(&p, 1), 0);
	assert_int_equal(find(&p, 1)->endpoints_n, 1);
	picture_done(&p);
}

static bool is_wanted(const struct picture *p, unsigned number)
{
	return p->container_notes[find(p, number) - p->containers].wanted;
}

static void where_answers_disagree_it_lives(void **state)
{
	struct picture p = { 0 };

	listed(&p, 1, CONTAINER_RUNNING, 5);
	inspected(&p, 1, CONTAINER_CREATED, 0, 0, 4);
	assert_int_equal(find(&p, 1)->state, CONTAINER_RUNNING);
	assert_true(is_wanted(&p, 1));
	listed(&p, 2, CONTAINER_CREATED, 5);
	inspected(&p, 2, CONTAINER_RUNNING, 0, 0, 4);
	assert_int_equal(find(&p, 2)->state, CONTAINER_RUNNING);
	assert_true(is_wanted(&p, 2));
	listed(&p, 1, CONTAINER_EXITED, 3); /* older than the list before */
	assert_int_equal(find(&p, 1)->state, CONTAINER_RUNNING);
	inspected(&p, 1, CONTAINER_EXITED, 0, 0, 6);
	assert_int_equal(find(&p, 1)->state, CONTAINER_EXITED);
	assert_false(is_wanted(&p, 1));
	inspected(&p, 2, CONTAINER_RUNNING, 0, 0, 7);
	assert_false(is_wanted(&p, 2));
	picture_done(&p);
}

static void an_older_list_does_not_undo_an_inspection(void **state)
{
	struct picture p = { 0 };

	inspected(&p, 1, CONTAINER_EXITED, 0, 0, 6);
	listed(&p, 1, CONTAINER_RUNNING, 5);
	assert_true(is_wanted(&p, 1));
	inspected(&p, 1, CONTAINER_EXITED, 0, 0, 7);
	assert_int_equal(find(&p, 1)->state, CONTAINER_EXITED);
	assert_false(is_wanted(&p, 1));
	inspected(&p, 2, CONTAINER_RUNNING, 0, 0, 6);
	listed(&p, 2, CONTAINER_CREATED, 5);
	assert_int_equal(find(&p, 2)->state, CONTAINER_RUNNING);
	listed(&p, 2, CONTAINER_RUNNING, 7);
	assert_int_equal(find(&p, 2)->pid, 102);
	picture_done(&p);
}

static void an_older_network_does_not_undo_an_inspection(void **state)
{
	struct picture p = { 0 };

	inspected(&p, 1, CONTAINER_RUNNING, 0, 0, 21);
	network(&p, 9, 1, 2, 20);
	network(&p, 9, 0, 0, 22);
	assert_int_equal(find(&p, 1)->endpoints_n, 0);
	picture_done(&p);
}

static void disconnected(struct picture *p, unsigned number, unsigned net)
{
	char id[CONTAINER_ID_LEN + 1], network_id[CONTAINER_ID_LEN + 1];

	picture_disconnected(p, id_of(number, id), id_of(net, network_id));
}

/* What a network told of its last life, or of a start that failed, is nobody's: the next one may have the MAC. */
static void who_stopped_is_attached_by_later_news_only(void **state)
{
	struct picture p = { 0 };

	inspected(&p, 1, CONTAINER_EXITED, 9, 0, 10);
	network(&p, 9, 1, 2, 9); /* asked before it was let go */
	assert_false(container_may_live(find(&p, 1)));
	network(&p, 9, 1, 2, 11); /* it starts again */
	assert_true(container_may_live(find(&p, 1)));
	disconnected(&p, 1, 9); /* and fails */
	assert_false(container_may_live(find(&p, 1)));
	listed(&p, 1, CONTAINER_EXITED, 12); /* no answer of before comes back with it */
	assert_false(container_may_live(find(&p, 1)));
	/* one that runs tells of itself */
	inspected(&p, 1, CONTAINER_RUNNING, 9, 2, 13);
	disconnected(&p, 1, 9);
	assert_int_equal(host_of(&p, 1), 2);
	disconnected(&p, 2, 9);
	disconnected(&p, 1, 8);
	/* one that was only listed: who knows */
	listed(&p, 3, CONTAINER_EXITED, 14);
	network(&p, 9, 3, 4, 15);
	assert_false(container_may_live(find(&p, 3)));
	picture_done(&p);
}

static void a_list_keeps_inspected_facts(void **state)
{
	struct picture p = { 0 };

	inspected(&p, 1, CONTAINER_RUNNING, 9, 7, 1);
	listed(&p, 1, CONTAINER_PAUSED, 2);
	assert_true(find(&p, 1)->inspected);
	assert_int_equal(find(&p, 1)->pid, 101);
	assert_int_equal(find(&p, 1)->state, CONTAINER_PAUSED);
	assert_int_equal(host_of(&p, 1), 7);
	listed(&p, 1, CONTAINER_EXITED, 3);
	assert_int_equal(find(&p, 1)->pid, 0);
	picture_done(&p);
}

static struct picture_list make_list(unsigned first, unsigned n, uint64_t seq)
{
	struct picture_list list = {
		.containers_n = n, .containers_seq = seq, .networks_n = 1, .networks_seq = seq
	};

	list.containers = calloc(n ? n : 1, sizeof(*list.containers));
	list.networks = calloc(1, sizeof(*list.networks));
	assert_non_null(list.containers);
	assert_non_null(list.networks);
	for (unsigned i = 0; i < n; i++) /* backwards: the list need not be sorted */
		list.containers[i] = make(first + n - 1 - i, CONTAINER_RUNNING);
	list.networks[0] = make_network(9, 0, 0);
	return list;
}

static void a_whole_list_replaces_the_picture(void **state)
{
	struct picture p = { 0 };
	struct picture_list list = make_list(2, 3, 10);

	inspected(&p, 1, CONTAINER_RUNNING, 0, 0, 1);  /* not listed: gone */
	inspected(&p, 2, CONTAINER_RUNNING, 9, 7, 2);  /* stays, with its facts */
	inspected(&p, 8, CONTAINER_RUNNING, 0, 0, 11); /* learnt after the list was asked for */
	network(&p, 9, 2, 7, 3);
	network(&p, 5, 0, 0, 4);
	assert_int_equal(picture_take_list(&p, &list), 0);
	picture_list_done(&list);
	assert_null(find(&p, 1));
	assert_int_equal(host_of(&p, 2), 7);
	assert_true(find(&p, 2)->inspected);
	assert_false(find(&p, 3)->inspected);
	assert_non_null(find(&p, 8));
	assert_int_equal(p.containers_n, 4);
	for (size_t i = 1; i < p.containers_n; i++)
		assert_true(strcmp(p.containers[i - 1].id, p.containers[i].id) < 0);
	for (size_t i = 0; i < p.containers_n; i++)
		assert_true(p.container_notes[i].wanted);
	assert_int_equal(p.networks_n, 1);
	assert_int_equal(p.networks[0].endpoints_n, 1); /* lists have none: the old stay */
	assert_true(p.network_notes[0].wanted);
	picture_done(&p);
}

static void an_empty_list_empties_the_picture(void **state)
{
	struct picture p = { 0 };
	struct picture_list list = { .containers_seq = 9, .networks_seq = 9 };

	inspected(&p, 1, CONTAINER_RUNNING, 9, 7, 1);
	network(&p, 9, 1, 7, 2);
	assert_int_equal(picture_take_list(&p, &list), 0);
	assert_int_equal(p.containers_n, 0);
	assert_int_equal(p.networks_n, 0);
	picture_done(&p);
}

static void ids_are_halved(void **state)
{
	static const char *const ids[] = {
		"0123456789abcdeffedcba98765432100123456789abcdeffedcba9876543210",
		"0123456789abcdeffedcba98765432100123456789abcdeffedcba9876543219",
		"012345678aabcdeffedcba98765432100123456789abcdeffedcba9876543210",
		"f000000000000000000000000000000000000000000000000000000000000000",
	};
	uint8_t before[CONTAINER_ID_LEN / 2] = { 0 }, bytes[CONTAINER_ID_LEN / 2];
	char id[CONTAINER_ID_LEN + 1];

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		container_id_bytes(ids[i], bytes);
		container_id_text(bytes, id);
		assert_string_equal(id, ids[i]);
		assert_true(memcmp(before, bytes, sizeof(bytes)) < 0); /* sorted as texts are */
		memcpy(before, bytes, sizeof(bytes));
	}
}

/* Who holds the identity of before has what it was; the picture has what the newer list tells. */
static void a_newer_list_renames(void **state)
{
	struct picture p = { 0 };
	struct container renamed = { .state = CONTAINER_RUNNING };
	struct identity *held, *identity;
	char id[CONTAINER_ID_LEN + 1];

	inspected(&p, 1, CONTAINER_RUNNING, 9, 7, 1);
	held = container_identity(find(&p, 1));
	assert_int_equal(container_identify(&renamed, id_of(1, id), "renamed", "4711"), 0);
	assert_int_equal(picture_take_listed(&p, &renamed, 2), 0);
	assert_string_equal(find(&p, 1)->name, "renamed");
	assert_string_equal(find(&p, 1)->task_id, "4711");
	assert_string_equal(find(&p, 1)->id, id_of(1, id));
	assert_int_equal(find(&p, 1)->endpoints_n, 1);
	assert_int_equal(held->refs, 1);
	/* what says the same leaves it where it is, list or inspection */
	identity = find(&p, 1)->identity;
	assert_int_equal(container_identify(&renamed, id_of(1, id), "renamed", "4711"), 0);
	assert_int_equal(picture_take_listed(&p, &renamed, 3), 0);
	assert_ptr_equal(find(&p, 1)->identity, identity);
	assert_int_equal(container_identify(&renamed, id_of(1, id), "renamed", "4711"), 0);
	renamed.inspected = true;
	assert_int_equal(picture_take_inspected(&p, &renamed, 4), 0);
	assert_ptr_equal(find(&p, 1)->identity, identity);
	assert_ptr_equal(find(&p, 1)->name, identity->name);
	assert_int_equal(container_identify(&renamed, id_of(1, id), "renamed", "4712"), 0);
	renamed.inspected = true;
	assert_int_equal(picture_take_inspected(&p, &renamed, 5), 0);
	assert_string_equal(find(&p, 1)->task_id, "4712");
	assert_string_equal(held->name, "name");
	assert_null(identity_task(held));
	identity_unref(held);
	picture_done(&p);
}

static void doubles_in_a_list_are_one(void **state)
{
	struct picture p = { 0 };
	struct picture_list list = make_list(1, 3, 10);

	assert_int_equal(
		container_identify(&list.containers[1], list.containers[0].id, "name", NULL), 0);
	assert_int_equal(picture_take_list(&p, &list), 0);
	picture_list_done(&list);
	assert_int_equal(p.containers_n, 2);
	picture_done(&p);
}

static void removing_keeps_the_order(void **state)
{
	struct picture p = { 0 };
	char id[CONTAINER_ID_LEN + 1];

	for (unsigned i = 1; i <= 50; i++)
		listed(&p, i * 7 % 51, CONTAINER_RUNNING, i);
	for (unsigned i = 1; i <= 50; i += 2)
		picture_remove_container(&p, id_of(i, id));
	picture_remove_container(&p, id_of(1000, id));
	assert_int_equal(p.containers_n, 25);
	for (unsigned i = 1; i <= 50; i++)
		assert_int_equal(find(&p, i) != NULL, i % 2 == 0);
	network(&p, 9, 0, 0, 1);
	picture_remove_network(&p, id_of(9, id));
	picture_remove_network(&p, id_of(9, id));
	assert_int_equal(p.networks_n, 0);
	picture_done(&p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_network_tells_before_inspect_does),
		cmocka_unit_test(an_older_inspect_does_not_undo_a_network),
		cmocka_unit_test(a_network_that_lost_a_member_clears_it),
		cmocka_unit_test(where_answers_disagree_it_lives),
		cmocka_unit_test(an_older_list_does_not_undo_an_inspection),
		cmocka_unit_test(an_older_network_does_not_undo_an_inspection),
		cmocka_unit_test(who_stopped_is_attached_by_later_news_only),
		cmocka_unit_test(a_list_keeps_inspected_facts),
		cmocka_unit_test(a_whole_list_replaces_the_picture),
		cmocka_unit_test(an_empty_list_empties_the_picture),
		cmocka_unit_test(ids_are_halved),
		cmocka_unit_test(a_newer_list_renames),
		cmocka_unit_test(doubles_in_a_list_are_one),
		cmocka_unit_test(removing_keeps_the_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
