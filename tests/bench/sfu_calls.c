/*
 * Calls through msr-sfu that are worth recording: sfu_calls ADDRESS PORT CAPTURE CALLS
 *
 * CAPTURE holds the frames of one person's call (tests/support/call.py): Opus, VP8 and sender
 * reports. Two for each of CALLS publish it, each in a room of its own where somebody receives it,
 * at its own pace and spread over 20 ms. Prints "packets N late_ms N received N": what each
 * publisher sent, how far the load fell behind, and what arrived at all receivers.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "frame/frame.h"
#include "sfu_load/load.h"

#define CAPTURE_MAX (512u << 20)
#define SPREAD_US   20000
#define PEOPLE_MAX  200

/* A packet with the number of its stream, to be sent by everybody. */
struct item {
	int64_t at_us; /* since the first */
	uint8_t *data; /* lent by the capture */
	size_t len;
	uint64_t index;
	bool report;
};

static struct client publisher[PEOPLE_MAX], receiver[PEOPLE_MAX];
static struct item *items;
static size_t n_items;
static uint64_t n_received;

/* ---- the capture ---- */

/* Sets SSRCs and payload types to those of the offer, and counts numbers on beyond 16 bits. */
static void adopt(struct item *m, uint32_t sound, uint64_t next[2])
{
	uint8_t *ssrc = m->data + (m->report ? 4 : 8);
	bool heard = get_be32(ssrc) == sound;

	put_be32(ssrc, heard ? SOUND_SSRC : PICTURE_SSRC);
	if (m->report)
		return;
	rtp_set_pt(m->data, heard ? SOUND_PT : PICTURE_PT);
	uint16_t seq = get_be16(m->data + 2);
	m->index = next[heard] + (uint16_t)(seq - (uint16_t)next[heard]);
	next[heard] = m->index + 1;
}

static void read_capture(uint8_t *data, size_t n)
{
	int64_t first_us = 0;
	uint32_t sound = 0;
	uint64_t next[2] = {0};
	struct frame f;
	long size;

	items = calloc(n / 32 + 1, sizeof(*items)); /* a frame is longer */
	for (size_t at = 0; items && at < n; at += (size_t)size) {
		size = frame_decode(data + at, n - at, &f, NULL);
		if (size <= 0)
			fail("capture", "it is damaged");
		if (f.kind != FRAME_RTP && f.kind != FRAME_RTCP)
			continue;
		first_us = first_us ? first_us : f.time_us;
		items[n_items++] = (struct item){
		    .at_us = f.time_us - first_us,
		    .data = data + (f.body - data),
		    .len = f.body_len,
		    .report = f.kind == FRAME_RTCP,
		};
		if (f.kind == FRAME_RTP && f.rate == 48000)
			sound = get_be32(f.body + 8);
	}
	for (size_t i = 0; i < n_items; i++)
		adopt(&items[i], sound, next);
	if (!n_items || !sound)
		fail("capture", "there is no sound in it");
}

/* ---- clients ---- */

static void on_rtp(void *arg, uint8_t *p, size_t n, int64_t now_us)
{
	struct rtp_packet k;

	n_received++;
	client_received(arg, &k, p, n, now_us);
}

static void send_item(struct peer *to, const struct item *m)
{
	if (m->report) {
		peer_send_rtcp(to, m->data, m->len);
		return;
	}
	memcpy(peer_out(to), m->data, RTP_HEADER);
	peer_send_rtp(to, RTP_HEADER, m->data + RTP_HEADER, m->len - RTP_HEADER, m->index);
}

/* In turns of 20 ms: what the capture has there, from everybody. Returns how late it ever was, in
 * us. */
static int64_t play(unsigned people)
{
	int64_t start_us = mono_now().us, late_us = 0;
	size_t begin = 0, end;

	for (int64_t turn_us = 0; begin < n_items; turn_us += SPREAD_US, begin = end) {
		for (end = begin; end < n_items && items[end].at_us < turn_us + SPREAD_US; end++)
			;
		for (unsigned i = 0; i < people; i++) {
			int64_t at_us = start_us + turn_us + SPREAD_US * i / people;
			turn_until(at_us);
			if (mono_now().us - at_us > late_us)
				late_us = mono_now().us - at_us;
			for (size_t k = begin; k < end; k++)
				send_item(publisher[i].peer, &items[k]);
			peer_flush(publisher[i].peer);
		}
	}
	return late_us;
}

int main(int argc, char **argv)
{
	static const struct peer_handler handler = {client_state, on_rtp, client_no_rtcp,
						    client_feedback};
	unsigned people = argc == 5 ? 2 * (unsigned)atoi(argv[4]) : 0;
	struct buf capture;

	buf_init(&capture, 0);
	if (!people || people > PEOPLE_MAX || file_read(AT_FDCWD, argv[3], CAPTURE_MAX, &capture)) {
		fprintf(stderr, "usage: sfu_calls ADDRESS PORT CAPTURE CALLS\n");
		return 2;
	}
	read_capture(buf_data(&capture), buf_len(&capture));
	http_port(atoi(argv[2]));
	clients_start(argv[1], true, false, &handler);
	for (unsigned i = 0; i < people; i++) {
		publisher[i].with_sound = true;
		client_open(&publisher[i], true);
		msr.publish(&publisher[i], i);
		client_open(&receiver[i], msr.lite);
		msr.receive(&receiver[i], i, i);
		turn(0);
	}
	clients_wait(2 * people);
	int64_t late_us = play(people);
	turn_until(mono_now().us + 500000);
	printf("packets %zu late_ms %lld received %llu\n", n_items, (long long)late_us / 1000,
	       (unsigned long long)n_received);
	free(items);
	buf_done(&capture);
	return 0;
}
