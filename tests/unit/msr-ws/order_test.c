/* Parts in their order: what passes, what waits, what is given up. */
#include "../../../cmd/msr-ws/order.h"

#include <stdio.h>
#include <stdlib.h>

#include "../../support/test.h"

static char seen[512]; /* "0 1 g3 ": parts in the order in which they passed, g after a gap */

static void note(uint64_t part, bool gap)
{
	size_t n = strlen(seen);

	snprintf(seen + n, sizeof(seen) - n, "%s%llu ", gap ? "g" : "", (unsigned long long)part);
}

static void drain(struct lane *l)
{
	struct part *p;

	while ((p = order_ready(l))) {
		note(p->frame.part, p->frame.flags & FRAME_GAP);
		order_pop(l);
	}
}

static void arrive(struct lane *l, uint64_t part)
{
	uint8_t body[3] = {1, 2, (uint8_t)part};
	struct frame f = {.kind = FRAME_AUDIO, .part = part, .body = body, .body_len = 3};

	f.storage = "st";
	f.storage_len = 2;
	switch (order_check(l, part)) {
	case ORDER_NOW:
		note(part, l->gap);
		order_passed(l);
		break;
	case ORDER_HOLD:
		order_hold(l, &f);
		break;
	case ORDER_REPEATED:
	case ORDER_LATE:
		break;
	}
	drain(l);
}

TEST(parts_in_order_pass_at_once)
{
	struct lane l = {0};

	seen[0] = '\0';
	for (uint64_t i = 0; i < 4; i++)
		arrive(&l, i);
	CHECK_STR(seen, "0 1 2 3 ");
	CHECK(!l.first);
	order_free(&l);
}

TEST(parts_out_of_order_are_put_in_order)
{
	struct lane l = {0};

	seen[0] = '\0';
	arrive(&l, 2);
	arrive(&l, 1);
	CHECK_STR(seen, "");
	arrive(&l, 0);
	arrive(&l, 5);
	arrive(&l, 4);
	arrive(&l, 3);
	CHECK_STR(seen, "0 1 2 3 4 5 ");
	CHECK_INT(l.bytes, 0);
	order_free(&l);
}

TEST(repeated_parts_are_left_out)
{
	struct lane l = {0};

	seen[0] = '\0';
	arrive(&l, 0);
	arrive(&l, 0);
	arrive(&l, 3);
	arrive(&l, 3);
	arrive(&l, 1);
	arrive(&l, 2);
	arrive(&l, 2);
	CHECK_STR(seen, "0 1 2 3 ");
	CHECK_INT(l.repeated, 3);
	order_free(&l);
}

TEST(a_missing_part_is_given_up_with_a_gap)
{
	struct lane l = {0};

	seen[0] = '\0';
	arrive(&l, 0);
	arrive(&l, 2);
	arrive(&l, 3);
	CHECK(order_waits(&l));
	CHECK_STR(seen, "0 ");
	order_give_up(&l);
	drain(&l);
	CHECK_STR(seen, "0 g2 3 ");
	CHECK_INT(l.lost, 1);
	/* Late now. */
	arrive(&l, 1);
	CHECK_INT(l.repeated, 1);
	order_free(&l);
}

TEST(a_part_that_was_given_up_is_late_not_repeated)
{
	struct lane l = {0};

	seen[0] = '\0';
	order_start(&l, 10);
	CHECK(order_check(&l, 9) == ORDER_LATE);
	arrive(&l, 10);
	arrive(&l, 12);
	order_give_up(&l);
	drain(&l);
	CHECK(order_check(&l, 10) == ORDER_REPEATED);
	CHECK(order_check(&l, 11) == ORDER_LATE);
	CHECK(order_check(&l, 12) == ORDER_REPEATED);
	/* The sink does not take one. */
	CHECK(order_check(&l, 13) == ORDER_NOW);
	order_passed(&l);
	order_lost(&l);
	CHECK(order_check(&l, 13) == ORDER_LATE);
	CHECK(l.gap);
	CHECK_INT(l.lost, 2);
	/* Gaps that are forgotten take what is before them along. */
	for (uint64_t i = 0; i < ORDER_GAPS; i++) {
		CHECK(order_check(&l, 1000 * (i + 1)) == ORDER_NOW);
		order_passed(&l);
	}
	CHECK(order_check(&l, 10) == ORDER_LATE);
	CHECK(order_check(&l, 13) == ORDER_LATE);
	CHECK(order_check(&l, 1000) == ORDER_REPEATED);
	CHECK(order_check(&l, 1001) == ORDER_LATE);
	order_free(&l);
}

TEST(a_session_that_begins_with_one_has_no_gap)
{
	struct lane l = {0};

	seen[0] = '\0';
	arrive(&l, 1);
	arrive(&l, 2);
	CHECK(order_waits(&l));
	order_give_up(&l);
	drain(&l);
	CHECK_STR(seen, "1 2 ");
	CHECK_INT(l.lost, 0);
	order_free(&l);
}

TEST(a_given_beginning_does_not_wait)
{
	struct lane l = {0};

	seen[0] = '\0';
	order_start(&l, 57);
	arrive(&l, 57);
	arrive(&l, 56);
	arrive(&l, 58);
	CHECK_STR(seen, "57 58 ");
	order_free(&l);
}

TEST(places_are_bounded)
{
	struct lane l = {0};

	seen[0] = '\0';
	arrive(&l, 0);
	for (uint64_t i = 2; i < 1 + ORDER_PLACES; i++)
		arrive(&l, i);
	CHECK_STR(seen, "0 ");
	CHECK_INT(l.n, ORDER_PLACES - 1);
	arrive(&l, 1 + ORDER_PLACES); /* one place too far: part 1 is given up */
	CHECK_INT(l.n, 0);
	CHECK_INT(l.lost, 1);
	CHECK(strstr(seen, "0 g2 3 "));
	order_free(&l);
}

/* Each lower than all before: none of them is missing, and yet they are not kept without end. */
TEST(places_are_bounded_before_the_first_part)
{
	struct lane l = {0};
	size_t most = 0, cost = 0;

	seen[0] = '\0';
	for (uint64_t i = 0; i < 3 * ORDER_PLACES; i++) {
		struct frame f = {.kind = FRAME_AUDIO, .part = 1000000 - i, .storage = ""};
		if (order_check(&l, f.part) == ORDER_HOLD)
			order_hold(&l, &f);
		most = l.n > most ? l.n : most;
		cost = l.bytes > cost ? l.bytes : cost;
	}
	CHECK_INT(most, ORDER_PLACES);
	CHECK(cost >= ORDER_PLACES * sizeof(struct part)); /* also of empty ones */
	CHECK(order_check(&l, 1000000 - ORDER_PLACES) == ORDER_LATE);
	order_free(&l);
	CHECK_INT(l.bytes, 0);
}

TEST(a_jump_does_not_wait)
{
	struct lane l = {0};

	seen[0] = '\0';
	arrive(&l, 0);
	arrive(&l, (uint64_t)1 << 52);
	CHECK_STR(seen, "0 g4503599627370496 ");
	CHECK_INT(l.lost, ((uint64_t)1 << 52) - 1);
	order_free(&l);
}

TEST(held_parts_keep_body_and_storage)
{
	struct lane l = {0};
	uint8_t body[] = "body";
	struct frame f = {.kind = FRAME_VIDEO, .part = 1, .body = body, .body_len = 4};

	f.storage = "screen";
	f.storage_len = 6;
	CHECK_INT(order_check(&l, 1), ORDER_HOLD);
	CHECK_INT(order_hold(&l, &f), 0);
	body[0] = 'x';
	order_give_up(&l);
	struct part *p = order_ready(&l);
	CHECK(p && p->frame.body_len == 4 && memcmp(p->frame.body, "body", 4) == 0);
	CHECK(p->frame.storage_len == 6 && memcmp(p->frame.storage, "screen", 6) == 0);
	order_free(&l);
}

/* Any order, with repetitions, within the places: everything passes once and in order. */
TEST(shuffles_come_out_sorted)
{
	for (unsigned seed = 1; seed < 50; seed++) {
		struct lane l = {0};
		uint64_t parts[40] = {0};
		char want[512] = "";

		srand(seed);
		seen[0] = '\0';
		for (uint64_t i = 0; i < 40; i++) {
			uint64_t j = (uint64_t)rand() % (i + 1);
			parts[i] = parts[j];
			parts[j] = i;
			size_t n = strlen(want);
			snprintf(want + n, sizeof(want) - n, "%llu ", (unsigned long long)i);
		}
		for (int i = 0; i < 40; i++) {
			arrive(&l, parts[i]);
			arrive(&l, parts[rand() % (i + 1)]);
		}
		CHECK_STR(seen, want);
		CHECK_INT(l.passed, 40);
		CHECK_INT(l.lost, 0);
		order_free(&l);
	}
}
