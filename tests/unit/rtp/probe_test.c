/* When a probe asks for padding, and when it has ended. */
#include "rtp/probe.h"

#include "../../support/test.h"

#define BPS	1e6
#define STEP_US 5000 /* between calls */
#define PAD_MIN 50   /* bytes: callers send no less */

static struct probe p;
static int64_t now_us;

static void begin(void)
{
	now_us = 1000000;
	p = (struct probe){0};
	probe_begin(&p, BPS, 0, now_us);
}

/* Sends what is due but `short_by`, unless that is too little. */
static unsigned pad(unsigned short_by)
{
	unsigned due = probe_due(&p, now_us);

	if (due >= PAD_MIN)
		probe_sent(&p, (uint16_t)p.n_sent, due - short_by);
	return due;
}

TEST(a_probe_ends_once_all_was_sent)
{
	begin();
	int64_t end_us = p.end_us;
	while (now_us < end_us) {
		pad(0);
		CHECK(p.running);
		now_us += STEP_US;
	}
	CHECK(pad(0) >= PAD_MIN);
	CHECK_INT(probe_due(&p, now_us), 0);
	CHECK(!p.running);
	CHECK(p.waiting);
	CHECK_INT(p.sent, 10000);
}

/* The thread was held up at its end, and what is left is too little for a packet. */
TEST(a_probe_ends_though_little_is_left_to_send)
{
	begin();
	while (now_us < p.end_us - STEP_US) {
		pad(0);
		now_us += STEP_US;
	}
	now_us = p.end_us + 30000;
	CHECK(pad(PAD_MIN - 1) >= PAD_MIN);
	CHECK(p.running);
	for (int i = 0; i < 10; i++) {
		now_us += STEP_US;
		pad(0);
	}
	CHECK(!p.running);
	CHECK(p.waiting);
}

TEST(a_probe_ends_though_nobody_sends_padding)
{
	begin();
	for (; now_us < p.end_us + 50000; now_us += STEP_US)
		probe_due(&p, now_us);
	CHECK(!p.running);
	CHECK(p.waiting);
}
