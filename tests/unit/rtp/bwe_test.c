/*
 * The bandwidth estimate on simulated networks, in virtual time: a sender that sends what it is
 * allowed to, a bottleneck with a queue, a receiver with real feedback messages. Each case prints
 * its figures: the estimate against what the bottleneck has left for it.
 */
#include "rtp/bwe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../../support/path.h"
#include "../../support/test.h"
#include "rtp/twcc.h"

#define PACKET	    1200 /* bytes */
#define FEEDBACK_US 50000
#define FLIGHT_MAX  8192
#define SECOND	    1000000LL

struct packet {
	int64_t arrival_us;
	uint16_t seq;
};

struct feedback {
	int64_t arrival_us;
	size_t len;
	uint8_t data[1200];
};

struct net {
	struct path path; /* may be changed while it runs */
	double cross;	  /* bit/s of another flow that does not yield */
	double app;	  /* bit/s that the sender has at most */
	double deaf;	  /* fraction of the feedback that gets lost */
	/* its state */
	int64_t now_us;
	double cross_due, send_due;
	uint16_t seq;
	struct packet flight[FLIGHT_MAX];
	unsigned n_flight;
	struct feedback back[64];
	unsigned n_back;
	struct twcc_rx rx;
	struct bwe bwe;
};

static struct net net;

static void begin(double capacity)
{
	memset(&net, 0, sizeof(net));
	net.path.capacity = capacity;
	net.path.queue_s = 0.3;
	net.path.delay_us = 40000;
	net.app = 20e6;
	net.path.seed = 12345;
	net.now_us = 100 * SECOND;
	bwe_init(&net.bwe, 500000, 50000, 20000000);
	bwe_want(&net.bwe, 20000000);
}

static void send_packet(unsigned bytes)
{
	uint16_t seq = net.seq++;

	bwe_sent(&net.bwe, seq, bytes, net.now_us);
	int64_t at_us = path_arrival(&net.path, bytes, net.now_us);
	if (at_us < 0 || net.n_flight == FLIGHT_MAX)
		return;
	net.flight[net.n_flight++] = (struct packet){at_us, seq};
}

static void receive(void)
{
	for (unsigned i = 0; i < net.n_flight;) {
		struct packet p = net.flight[i];
		if (p.arrival_us > net.now_us) {
			i++;
			continue;
		}
		twcc_rx_packet(&net.rx, p.seq, p.arrival_us);
		net.flight[i] = net.flight[--net.n_flight];
	}
	while (net.now_us % FEEDBACK_US == 0 && twcc_rx_pending(&net.rx) && net.n_back < 64) {
		struct feedback *f = &net.back[net.n_back++];
		struct rtcp_writer w = rtcp_writer(f->data, sizeof(f->data));
		CHECK_INT(twcc_rx_write(&net.rx, &w, 1, 2), 0);
		net.n_back -= net.deaf > 0 && path_chance(&net.path) < net.deaf;
		f->len = w.len;
		f->arrival_us = net.now_us + net.path.delay_us;
	}
}

static void take_feedback(void)
{
	while (net.n_back && net.back[0].arrival_us <= net.now_us) {
		struct rtcp_iter it = rtcp_begin(net.back[0].data, net.back[0].len);
		struct rtcp_msg m;
		CHECK(rtcp_next(&it, &m));
		CHECK_INT(bwe_feedback(&net.bwe, &m, net.now_us), 0);
		memmove(net.back, net.back + 1, --net.n_back * sizeof(net.back[0]));
	}
}

static void step(void)
{
	net.now_us += 1000;
	receive();
	take_feedback();
	net.cross_due += net.cross / 8 / 1000;
	for (; net.cross_due >= PACKET; net.cross_due -= PACKET)
		path_bottleneck(&net.path, PACKET, net.now_us);
	double rate = (double)bwe_bps(&net.bwe);
	net.send_due += (rate < net.app ? rate : net.app) / 8 / 1000;
	for (; net.send_due >= PACKET; net.send_due -= PACKET)
		send_packet(PACKET);
	if (net.now_us % 5000 == 0)
		for (unsigned due = bwe_padding(&net.bwe, net.now_us); due >= 200;
		     due -= due < PACKET ? due : PACKET)
			send_packet(due < PACKET ? due : PACKET);
}

struct figures {
	double mean, low, high; /* of the estimate, bit/s */
	double queue_ms;	/* the longest */
};

/* Runs for some seconds, and tells of all but the first `settle` of them. */
static struct figures run(double seconds, double settle)
{
	struct figures f = {.low = 1e12};
	int64_t begin_us = net.now_us;
	unsigned n = 0;

	net.path.max_queue_ms = 0;
	while (net.now_us < begin_us + (int64_t)(seconds * 1e6)) {
		step();
		if ((double)(net.now_us - begin_us) < settle * 1e6) {
			net.path.max_queue_ms = 0;
			continue;
		}
		double bps = (double)bwe_bps(&net.bwe);
		f.mean += bps;
		f.low = bps < f.low ? bps : f.low;
		f.high = bps > f.high ? bps : f.high;
		n++;
	}
	f.mean /= n;
	f.queue_ms = net.path.max_queue_ms;
	return f;
}

/* Seconds until the estimate is within 30 % of `bps`; `limit` when it does not get there. */
static double reach(double bps, double limit)
{
	int64_t begin_us = net.now_us;
	double passed = 0;

	while (passed < limit) {
		double now = (double)bwe_bps(&net.bwe);
		if (now > 0.7 * bps && now < 1.3 * bps)
			return passed;
		step();
		passed = (double)(net.now_us - begin_us) / 1e6;
	}
	return limit;
}

static void report(const char *what, double truth, const struct figures *f)
{
	printf("# %-34s true %5.0f kbit/s, estimate mean %5.0f (%3.0f %%), %5.0f to %5.0f, "
	       "queue up to %3.0f ms\n",
	       what, truth / 1e3, f->mean / 1e3, 100 * f->mean / truth, f->low / 1e3, f->high / 1e3,
	       f->queue_ms);
}

static void check_near(const char *what, double truth, const struct figures *f)
{
	report(what, truth, f);
	CHECK(f->mean > 0.7 * truth && f->mean < 1.3 * truth);
}

TEST(start_finds_the_rate_within_seconds)
{
	begin(4e6);
	double s = reach(4e6, 30);
	printf("# from 500 to 4000 kbit/s in %.1f s\n", s);
	CHECK(s < 3);
	struct figures f = run(30, 3);
	check_near("steady", 4e6, &f);
}

TEST(a_step_down_is_followed_within_three_seconds)
{
	begin(3e6);
	run(20, 0);
	net.path.capacity = 500e3;
	double s = reach(500e3, 30);
	printf("# from 3000 to 500 kbit/s in %.1f s\n", s);
	CHECK(s < 0.7);
	struct figures f = run(30, 3);
	check_near("after a step down", 500e3, &f);
}

/* A sender of less than it would like to send is probing all the time. */
TEST(no_probe_hides_a_limit_that_comes)
{
	double longest = 0;

	for (unsigned i = 0; i < 60; i++) {
		begin(2.2e6);
		net.path.loss = 0.2;
		net.path.seed = (i + 1) * 7919;
		net.app = 1.5e6;
		bwe_want(&net.bwe, 6000000);
		run(20 + i / 20.0, 0);
		net.path.capacity = 500e3;
		int64_t begin_us = net.now_us;
		while ((double)bwe_bps(&net.bwe) > 1.3 * 500e3)
			step();
		double s = (double)(net.now_us - begin_us) / 1e6;
		longest = s > longest ? s : longest;
	}
	printf("# probing in 2200 kbit/s, then 500: seen within %.1f s\n", longest);
	CHECK(longest < 1);
}

TEST(a_step_up_is_followed_within_fifteen_seconds)
{
	begin(500e3);
	run(20, 0);
	net.path.capacity = 3e6;
	double s = reach(3e6, 60);
	printf("# from 500 to 3000 kbit/s in %.1f s\n", s);
	CHECK(s < 15);
	struct figures f = run(30, 5);
	check_near("after a step up", 3e6, &f);
}

TEST(a_flow_that_comes_and_goes)
{
	begin(4e6);
	run(15, 0);
	net.cross = 2e6;
	double s = reach(2e6, 30);
	printf("# another flow of 2000 kbit/s: yielded in %.1f s\n", s);
	CHECK(s < 5);
	struct figures f = run(30, 2);
	check_near("beside another flow", 2e6, &f);
	net.cross = 0;
	s = reach(4e6, 60);
	printf("# it has gone: back in %.1f s\n", s);
	CHECK(s < 20);
}

TEST(a_bloated_buffer_is_not_filled)
{
	begin(1e6);
	net.path.queue_s = 3;
	run(10, 0);
	struct figures f = run(50, 5);
	check_near("3 s of buffer", 1e6, &f);
	CHECK(f.queue_ms < 500);
}

TEST(a_shallow_buffer)
{
	begin(2e6);
	net.path.queue_s = 0.02;
	run(10, 0);
	struct figures f = run(50, 5);
	check_near("20 ms of buffer", 2e6, &f);
}

/* Packets that nothing is known of have not stayed away. */
TEST(feedback_that_gets_lost_is_not_loss)
{
	double low = 1e12;

	for (uint32_t seed = 1; seed <= 20; seed++) {
		begin(3e6);
		net.path.seed = seed * 7919;
		net.deaf = 0.2;
		run(10 + seed / 20.0, 0);
		net.path.capacity = 500e3;
		struct figures f = run(10, 0);
		low = f.low < low ? f.low : low;
	}
	printf("# from 3000 to 500 kbit/s, a fifth of the feedback lost: %.0f at least\n",
	       low / 1e3);
	CHECK(low > 0.5 * 500e3);
}

TEST(loss_without_congestion_is_put_up_with)
{
	static const double loss[] = {0.02, 0.05, 0.2};

	for (int i = 0; i < 3; i++) {
		char what[32];
		begin(2e6);
		net.path.loss = loss[i];
		run(20, 0);
		struct figures f = run(60, 5);
		snprintf(what, sizeof(what), "%.0f %% random loss", 100 * loss[i]);
		check_near(what, 2e6, &f);
	}
}

TEST(loss_that_begins_in_the_middle)
{
	begin(2e6);
	run(20, 0);
	net.path.loss = 0.1;
	struct figures f = run(60, 15);
	check_near("10 % loss after 20 s", 2e6, &f);
}

TEST(jitter)
{
	static const int64_t jitter[] = {10000, 30000, 50000};

	for (int i = 0; i < 3; i++) {
		char what[32];
		begin(2e6);
		net.path.jitter_us = jitter[i];
		run(20, 0);
		struct figures f = run(60, 5);
		snprintf(what, sizeof(what), "%.0f ms of jitter", (double)jitter[i] / 1e3);
		check_near(what, 2e6, &f);
	}
}

TEST(bursts_as_of_a_radio_link)
{
	begin(3e6);
	net.path.burst_us = 40000;
	run(20, 0);
	struct figures f = run(60, 5);
	check_near("bursts of up to 40 ms", 3e6, &f);
}

TEST(the_bad_network_of_the_system_tests)
{
	begin(500e3);
	net.path.loss = 0.05;
	net.path.jitter_us = 50000;
	net.path.delay_us = 100000;
	run(20, 0);
	struct figures f = run(60, 5);
	check_near("500 kbit/s, 5 %, 100 ms, 50 ms", 500e3, &f);
	net.path.loss = 0.2;
	f = run(60, 20);
	check_near("500 kbit/s, 20 %, 100 ms, 50 ms", 500e3, &f);
}

TEST(a_sender_with_little_to_send_still_learns)
{
	begin(3e6);
	net.app = 300e3;
	bwe_want(&net.bwe, 2000000);
	double s = reach(2e6, 60);
	printf("# sends 300 kbit/s, wants 2000: knows in %.1f s\n", s);
	CHECK(s < 15);
	struct figures f = run(20, 0);
	report("with 300 kbit/s to send", 2e6, &f);
	CHECK(f.low > 1.2e6);
}

TEST(without_a_wish_nothing_is_probed)
{
	begin(3e6);
	net.app = 300e3;
	bwe_want(&net.bwe, 0);
	run(20, 0);
	CHECK_INT(net.bwe.n_probes, 0);
}

TEST(a_path_that_goes_dead_lowers_the_estimate)
{
	begin(2e6);
	run(15, 0);
	net.path.loss = 1;
	run(5, 0);
	printf("# dead for 5 s: %.0f kbit/s\n", (double)bwe_bps(&net.bwe) / 1e3);
	CHECK(bwe_bps(&net.bwe) < 600000);
	net.path.loss = 0;
	double s = reach(2e6, 60);
	printf("# alive again: back in %.1f s\n", s);
	CHECK(s < 20);
}

/* CPU seconds of messages that tell of so many losses, in runs. */
static double cost_of_losses(unsigned losses)
{
	static struct bwe b;
	uint8_t body[32] = {0};
	struct rtcp_msg m = {RTCP_RTPFB, RTCP_TWCC, body, sizeof(body)};

	bwe_init(&b, 600000, 30000, 100000000);
	for (unsigned i = 0; i < 3000; i++)
		bwe_sent(&b, (uint16_t)i, 1000, 1000000 + i * 1000);
	put_be16(body + 10, (uint16_t)losses);
	for (unsigned i = 0; i < 8; i++)
		put_be16(body + 16 + 2 * i, 8191);
	clock_t begin = clock();
	for (unsigned i = 0; i < 3000; i++)
		CHECK_INT(bwe_feedback(&b, &m, 5000000 + i * 1000), 0);
	CHECK(b.sent[2999 % BWE_SENT].lost);
	return (double)(clock() - begin) / CLOCKS_PER_SEC;
}

/* A receiver can say that it misses 65,528 packets in 36 bytes, and fill its packets with that. */
TEST(losses_without_number_cost_little)
{
	double some = cost_of_losses(3000), many = cost_of_losses(8 * 8191);

	printf("# 3000 messages of 3,000 losses %.3f s, of 65,528 %.3f s\n", some, many);
	CHECK(many < 4 * some + 0.02);
}

TEST(other_messages_are_refused)
{
	static struct bwe b;
	struct rtcp_msg m = {RTCP_RR, 0, (const uint8_t *)"abcd", 4};

	bwe_init(&b, 500000, 1, 2);
	CHECK_INT(bwe_feedback(&b, &m, 1), -EBADMSG);
}
