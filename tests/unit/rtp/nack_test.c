/* Loss repair on both sides. */
#include "rtp/nack.h"

#include <errno.h>
#include <stdio.h>

#include "../../support/path.h"
#include "../../support/test.h"

#define MS 1000

static struct nack_rx n;

static unsigned due(int64_t now_us, uint16_t *out)
{
	return nack_rx_due(&n, now_us, out, 64, NULL);
}

TEST(holes_are_asked_for_once_a_round_trip)
{
	uint16_t out[64];

	memset(&n, 0, sizeof(n));
	CHECK_INT(nack_rx_packet(&n, 65534, 0, NULL), NACK_NEW);
	CHECK_INT(due(0, out), 0);
	CHECK_INT(nack_rx_packet(&n, 2, 1 * MS, NULL), NACK_NEW);
	CHECK_INT(due(1 * MS, out), 3);
	CHECK_INT(out[0], 65535);
	CHECK_INT(out[1], 0);
	CHECK_INT(out[2], 1);
	CHECK_INT(due(90 * MS, out), 0);
	CHECK_INT(nack_rx_packet(&n, 0, 95 * MS, NULL), NACK_REPAIRED);
	CHECK_INT(nack_rx_packet(&n, 0, 95 * MS, NULL), NACK_DUPLICATE);
	CHECK_INT(due(120 * MS, out), 2);
	CHECK_INT(n.lost, 3);
	CHECK_INT(n.repaired, 1);
}

/* The number of a packet that is sent again stands in its payload, and may be anything. */
TEST(what_is_sent_again_restarts_nothing)
{
	int64_t seq;

	memset(&n, 0, sizeof(n));
	CHECK_INT(nack_rx_again(&n, 5, 0, &seq), NACK_DUPLICATE); /* nothing has come yet */
	nack_rx_packet(&n, 10000, 0, NULL);
	for (unsigned wrong = 0; wrong < 65536; wrong++)
		if ((uint16_t)(wrong - 10000) - 1u >= NACK_MISSING_MAX)
			CHECK_INT(nack_rx_again(&n, (uint16_t)wrong, 0, &seq), NACK_DUPLICATE);
	CHECK_INT(nack_rx_again(&n, 10000 + NACK_MISSING_MAX, 0, &seq), NACK_NEW);
	CHECK_INT(nack_rx_again(&n, 10001 + NACK_MISSING_MAX, 0, &seq), NACK_NEW);
	CHECK_INT(nack_rx_again(&n, 10004 + NACK_MISSING_MAX, 0, &seq), NACK_DUPLICATE);
	for (uint16_t i = 1; i < NACK_MISSING_MAX; i++)
		CHECK_INT(nack_rx_packet(&n, 10000 + i, 0, &seq), NACK_REPAIRED);
	nack_rx_renew(&n);
	CHECK_INT(nack_rx_again(&n, 10002 + NACK_MISSING_MAX, 0, &seq), NACK_DUPLICATE);
	CHECK_INT(nack_rx_packet(&n, 7, 0, &seq), NACK_RESET);
}

TEST(what_the_first_packet_overtook_is_taken_once)
{
	int64_t seq;

	memset(&n, 0, sizeof(n));
	CHECK_INT(nack_rx_packet(&n, 100, 0, NULL), NACK_NEW);
	CHECK_INT(nack_rx_packet(&n, 98, 10 * MS, &seq), NACK_REPAIRED);
	CHECK_INT(seq, 98);
	CHECK_INT(nack_rx_packet(&n, 98, 10 * MS, NULL), NACK_DUPLICATE);
	CHECK_INT(nack_rx_packet(&n, 100 - NACK_EARLY, 10 * MS, NULL), NACK_REPAIRED);
	CHECK_INT(nack_rx_packet(&n, 99 - NACK_EARLY, 10 * MS, NULL), NACK_DUPLICATE);
	CHECK_INT(nack_rx_again(&n, 97, 10 * MS, NULL), NACK_DUPLICATE);
	CHECK_INT(nack_rx_packet(&n, 99, NACK_EARLY_US + 1, NULL), NACK_DUPLICATE);
	/* So where it restarts, but for numbers that were there before. */
	CHECK_INT(nack_rx_packet(&n, 10000, 0, NULL), NACK_RESET);
	CHECK_INT(nack_rx_packet(&n, 9999, 0, &seq), NACK_REPAIRED);
	CHECK_INT(seq, 9999);
	nack_rx_renew(&n);
	CHECK_INT(nack_rx_packet(&n, 10002, 0, NULL), NACK_RESET);
	CHECK_INT(nack_rx_packet(&n, 10000, 0, NULL), NACK_DUPLICATE);
	CHECK_INT(nack_rx_packet(&n, 10001, 0, NULL), NACK_REPAIRED);
	CHECK_INT(n.lost + n.repaired + n.given_up, 0);
	/* No number is negative. */
	memset(&n, 0, sizeof(n));
	nack_rx_packet(&n, 1, 0, NULL);
	CHECK_INT(nack_rx_packet(&n, 65535, 0, NULL), NACK_DUPLICATE);
	CHECK_INT(nack_rx_packet(&n, 0, 0, NULL), NACK_REPAIRED);
}

TEST(what_does_not_come_is_given_up)
{
	uint16_t out[64];
	unsigned asked = 0;
	bool gave_up = false;

	memset(&n, 0, sizeof(n));
	nack_rx_packet(&n, 0, 0, NULL);
	nack_rx_packet(&n, 2, 0, NULL);
	for (int64_t t = 0; t < 3000 * MS && !gave_up; t += 10 * MS)
		asked += nack_rx_due(&n, t, out, 64, &gave_up);
	CHECK_INT(asked, 11); /* in a second */
	CHECK(gave_up);
	CHECK_INT(n.given_up, 1);
	CHECK_INT(n.n, 0);
	CHECK_INT(nack_rx_packet(&n, 1, 3000 * MS, NULL), NACK_DUPLICATE);
}

/* Of packets that come after `answer_us` when they are asked for, and one that never comes: after
 * how long it is given up. */
static int64_t patience(int64_t answer_us)
{
	uint16_t out[64];
	bool gave_up = false;
	int64_t t = 0;

	memset(&n, 0, sizeof(n));
	for (uint16_t seq = 0; seq < 40; seq += 2) {
		nack_rx_packet(&n, seq, t, NULL);
		nack_rx_due(&n, t, out, 64, &gave_up);
		nack_rx_packet(&n, (uint16_t)(seq - 1), t += answer_us, NULL);
	}
	int64_t since = t;
	nack_rx_packet(&n, 40, t, NULL);
	for (; !gave_up && t < since + 5000 * MS; t += 10 * MS)
		nack_rx_due(&n, t, out, 64, &gave_up);
	return t - since;
}

TEST(where_answers_take_long_one_is_more_patient)
{
	int64_t near = patience(20 * MS), far = patience(200 * MS), moon = patience(2000 * MS);

	CHECK(near > 990 * MS && near < 1050 * MS);
	CHECK(far > 1300 * MS && far < 1700 * MS);
	CHECK(moon > 1990 * MS && moon < 2050 * MS);
}

/* Twenty seconds of a path on which each twentieth packet is lost, and is there when it was asked
 * for `path_us` ago. Requests for each, after the first have taught how long that takes. */
static double requests(int64_t path_us)
{
	static int64_t asked_us[2100];
	uint16_t out[64];
	unsigned count = 0;

	memset(&n, 0, sizeof(n));
	memset(asked_us, 0, sizeof(asked_us));
	for (uint16_t seq = 1; seq <= 2000; seq++) {
		int64_t now_us = seq * 10 * MS;
		if (seq % 20)
			nack_rx_packet(&n, seq, now_us, NULL);
		unsigned asked = seq % 2 ? 0 : due(now_us, out); /* each 20 ms */
		for (unsigned i = 0; i < asked; i++) {
			if (!asked_us[out[i]])
				asked_us[out[i]] = now_us;
			count += seq > 200;
		}
		for (uint16_t k = 20; k < seq; k += 20)
			if (asked_us[k] && now_us - asked_us[k] == path_us)
				nack_rx_packet(&n, k, now_us, NULL);
	}
	CHECK_INT(n.given_up, 0);
	return count / 90.0;
}

TEST(a_long_path_is_not_asked_again_before_it_can_answer)
{
	CHECK(requests(50 * MS) < 1.1);
	CHECK(requests(600 * MS) < 1.1);
	CHECK(requests(950 * MS) < 1.1);
}

#define PACKETS 12000
#define GAP_US	(16 * MS) /* between them */

/* A publisher as browsers are: it sends a packet again once a round trip, however often it is
 * asked. */
struct publisher {
	struct path path;
	struct trip {
		int64_t due_us; /* at the publisher, when it is a request; else with us */
		uint16_t seq;
		bool request;
	} trip[4096];
	unsigned n_trips, resent;
	int64_t resent_us[PACKETS];
};

static void trip(struct publisher *p, uint16_t seq, bool request, int64_t now_us)
{
	int64_t due_us = path_arrival(&p->path, 0, now_us);

	if (due_us < 0)
		return;
	CHECK(p->n_trips < sizeof(p->trip) / sizeof(p->trip[0]));
	p->trip[p->n_trips++] = (struct trip){due_us, seq, request};
}

static void arrive(struct publisher *p, int64_t now_us)
{
	for (unsigned i = 0; i < p->n_trips;) {
		struct trip t = p->trip[i];
		if (t.due_us > now_us) {
			i++;
			continue;
		}
		p->trip[i] = p->trip[--p->n_trips];
		if (!t.request) {
			nack_rx_packet(&n, t.seq, now_us, NULL);
		} else if (!p->resent_us[t.seq] ||
			   now_us - p->resent_us[t.seq] > 2 * p->path.delay_us) {
			p->resent_us[t.seq] = now_us;
			p->resent++;
			trip(p, t.seq, false, now_us);
		}
	}
}

/* Three minutes of a path that loses `loss` each way. Per cent of what is lost at first that is
 * there within a second; *resent: how often a lost packet is sent again. */
static double repaired(double loss, double *resent)
{
	static struct publisher p;
	uint16_t out[64];

	memset(&n, 0, sizeof(n));
	memset(&p, 0, sizeof(p));
	p.path = (struct path){.loss = loss, .delay_us = 125 * MS, .seed = 7};
	uint64_t late = 0;
	for (int64_t t = 0; t < PACKETS * GAP_US; t += MS) {
		if (t % GAP_US == 0)
			trip(&p, (uint16_t)(t / GAP_US), false, t);
		arrive(&p, t);
		unsigned asked = t % (20 * MS) ? 0 : due(t, out);
		for (unsigned i = 0; i < asked; i++)
			trip(&p, out[i], true, t);
		for (unsigned i = 0; i < n.n; i++) /* counted once, when a second has passed */
			late += n.missing[i].since_us == t - 1000 * MS + MS;
	}
	*resent = (double)p.resent / (double)n.lost;
	return 100 - 100 * (double)late / (double)n.lost;
}

TEST(a_lost_request_is_soon_made_again_where_much_is_lost)
{
	static const double loss[] = {0.05, 0.2};
	double resent, in_time;

	for (unsigned i = 0; i < 2; i++) {
		in_time = repaired(loss[i], &resent);
		printf("# %.0f %% lost each way: %.1f %% repaired within a second, each sent again "
		       "%.2f times\n",
		       100 * loss[i], in_time, resent);
		CHECK(in_time > (i ? 95 : 99));
		CHECK(resent < 1.5);
	}
}

TEST(too_many_holes_are_all_given_up)
{
	uint16_t out[64];

	memset(&n, 0, sizeof(n));
	nack_rx_packet(&n, 0, 0, NULL);
	for (uint16_t seq = 2; n.given_up == 0; seq += 2)
		CHECK_INT(nack_rx_packet(&n, seq, 0, NULL), NACK_NEW);
	CHECK_INT(n.given_up, NACK_MISSING_MAX);
	CHECK_INT(n.n, 1);
	/* As with those that were asked for in vain, a key frame is needed. */
	bool gave_up = false;
	nack_rx_due(&n, 0, out, 64, &gave_up);
	CHECK(gave_up);
	nack_rx_due(&n, 0, out, 64, &gave_up);
	CHECK(!gave_up);
	CHECK_INT(nack_rx_packet(&n, 2000, 0, NULL), NACK_NEW);
	CHECK_INT(nack_rx_due(&n, 0, out, 64, &gave_up), 0);
	CHECK(gave_up);
}

TEST(a_jump_begins_the_stream_anew)
{
	int64_t a, b, c;
	uint16_t out[64];

	memset(&n, 0, sizeof(n));
	nack_rx_packet(&n, 10, 0, &a);
	nack_rx_packet(&n, 12, 0, &a);
	CHECK_INT(nack_rx_packet(&n, 40000, 0, &b), NACK_RESET);
	CHECK(b > a);
	CHECK_INT(due(0, out), 0);
	CHECK_INT(nack_rx_packet(&n, 40001, 0, &c), NACK_NEW);
	CHECK_INT(c, b + 1);
	CHECK_INT(nack_rx_packet(&n, 20000, 0, &c), NACK_RESET);
	CHECK(c > b);
	CHECK_INT((uint16_t)c, 20000);
}

TEST(kept_packets_are_found_until_others_take_their_place)
{
	struct rtp_history h;
	uint8_t packet[RTP_PACKET_MAX + 1] = {0};

	CHECK_INT(rtp_history_init(&h, 100), 0);
	CHECK_INT(h.most, 128);
	CHECK(!rtp_history_get(&h, 0));
	for (int64_t seq = 65500; seq < 65500 + 200; seq++) {
		packet[0] = (uint8_t)seq;
		rtp_history_put(&h, seq, packet, 20, seq);
	}
	CHECK_INT(h.n, 128);
	CHECK(!rtp_history_get(&h, 65500 + 71));
	for (int64_t seq = 65500 + 72; seq < 65500 + 200; seq++) {
		const struct rtp_kept *k = rtp_history_get(&h, seq);
		CHECK(k);
		CHECK_INT(k->len, 20);
		CHECK_INT(k->data[0], (uint8_t)seq);
	}
	rtp_history_put(&h, 70000, packet, sizeof(packet), 0); /* too long */
	CHECK(!rtp_history_get(&h, 70000));
	rtp_history_done(&h);
}

/* `a_second` packets of `len` bytes for ten seconds; what was sent in the last two is there. */
static void keep(struct rtp_history *h, unsigned a_second, size_t len)
{
	uint8_t packet[RTP_PACKET_MAX] = {0};
	int64_t end = 10 * (int64_t)a_second;

	CHECK_INT(rtp_history_init(h, 1024), 0);
	for (int64_t seq = 0; seq < end; seq++)
		rtp_history_put(h, seq, packet, len, seq * 1000000 / a_second);
	for (int64_t seq = end - 2 * (int64_t)a_second; seq < end; seq++) {
		const struct rtp_kept *k = rtp_history_get(h, seq);
		CHECK(k);
		CHECK_INT(k->len, len);
	}
}

TEST(a_history_is_as_large_as_its_stream_needs)
{
	struct rtp_history h;

	keep(&h, 50, 120); /* sound */
	CHECK_INT(h.n, 128);
	CHECK(h.n * h.stride < 40000);
	rtp_history_done(&h);
	keep(&h, 40, 700); /* a small picture */
	CHECK_INT(h.n, 128);
	rtp_history_done(&h);
	keep(&h, 500, RTP_PACKET_MAX);
	CHECK_INT(h.n, 1024);
	rtp_history_done(&h);
}

/* Short ones first, as at the beginning of a picture; nothing of them is lost. */
TEST(a_longer_packet_moves_the_others)
{
	struct rtp_history h;
	uint8_t packet[RTP_PACKET_MAX];

	CHECK_INT(rtp_history_init(&h, 64), 0);
	for (int64_t seq = -5; seq < 40; seq++) {
		size_t len = seq < 30 ? 256 : 257 + (size_t)seq;
		memset(packet, (int)seq, len);
		rtp_history_put(&h, seq, packet, len, 7);
	}
	for (int64_t seq = -5; seq < 40; seq++) {
		const struct rtp_kept *k = rtp_history_get(&h, seq);
		CHECK(k);
		memset(packet, (int)seq, sizeof(packet));
		CHECK_INT(k->len, seq < 30 ? 256 : 257 + seq);
		CHECK_MEM(k->data, packet, k->len);
	}
	rtp_history_done(&h);
}
