#include "watcher.h"

#include <stdio.h>
#include <stdlib.h>

#include "../../../cmd/msr-sfu/fwd/track.h"
#include "../../support/test.h"
#include "world.h"

#define PLAYOUT_US  250000 /* above the path's delay: later sound is concealed */
#define FEEDBACK_US 50000
#define ASK_US	    100000 /* browsers ask again, however long an answer takes */
#define ASK_TRIES   10	   /* after which they give up */
#define TWCC_ID	    5
#define VIDEO_SSRC  5000
#define RTX_SSRC    5001
#define AUDIO_SSRC  5002

/* ---- what is sent to it ---- */

static uint8_t *watcher_out(void *arg)
{
	return ((struct watcher *)arg)->out;
}

static void watcher_send(void *arg, size_t header, const uint8_t *payload, size_t n, uint64_t index)
{
	struct watcher *v = arg;
	int64_t at_us = path_arrival(&v->path, (unsigned)(header + n + CONGEST_TAG), world.now);

	(void)index;
	v->sent++;
	v->lost += at_us < 0;
	if (at_us < 0)
		return;
	CHECK(v->n_flight < FLIGHT_MAX);
	struct flight *f = &v->flight[v->n_flight++];
	f->arrival_us = at_us;
	f->n = header + n;
	memcpy(f->p, v->out, header);
	memcpy(f->p + header, payload, n);
}

static void watcher_flush(void *arg)
{
	(void)arg;
}

static void watcher_rtcp(void *arg, const uint8_t *p, size_t n)
{
	(void)arg;
	CHECK_INT(rtcp_check(p, n), 0);
}

static const struct wire watcher_wire = {watcher_out, watcher_send, watcher_flush, watcher_rtcp};

struct watcher *watcher_new(struct track *video, struct track *audio, unsigned number,
			    double capacity)
{
	struct watcher *v = calloc(1, sizeof(*v));
	struct media_sub_config c = {.pt = 100,
				     .rtx_pt = 101,
				     .ssrc = VIDEO_SSRC,
				     .rtx_ssrc = RTX_SSRC,
				     .mid = "0",
				     .cname = "ann",
				     .feedback = {.nack = true, .twcc = true}};

	CHECK(v);
	v->path = (struct path){
	    .capacity = capacity, .queue_s = 0.3, .delay_us = 30000, .seed = 12345 + number};
	v->next = -1;
	endpoint_init(&v->e, &watcher_wire, v, &world.stats);
	rtp_extmap_set(&v->e.extmap, RTP_EXT_TWCC, TWCC_ID);
	v->ext = v->e.extmap;
	CHECK_INT(sub_new(&v->video, video, &v->e, 10 + 2 * number, &c), 0);
	c.pt = 111;
	c.rtx_pt = 0;
	c.ssrc = AUDIO_SSRC;
	c.rtx_ssrc = 0;
	c.feedback.nack = false;
	CHECK_INT(sub_new(&v->audio, audio, &v->e, 11 + 2 * number, &c), 0);
	endpoint_connected(&v->e, world.now);
	return v;
}

void watcher_free(struct watcher *v)
{
	endpoint_done(&v->e);
	free(v);
}

/* ---- what it shows and says ---- */

static void say(struct watcher *v, const struct rtcp_writer *w)
{
	if (!w->len || v->n_back == BACK_MAX || path_chance(&v->path) < v->path.loss)
		return;
	struct back *b = &v->back[v->n_back++];
	b->arrival_us = world.now + v->path.delay_us;
	b->n = w->len;
	memcpy(b->p, w->p, w->len);
}

static bool whole(struct watcher *v, int64_t first)
{
	const struct piece *p = &v->piece[first % WINDOW];

	if (p->number != first || !p->here || p->index)
		return false;
	for (int64_t k = 1; k < p->count; k++) {
		const struct piece *q = &v->piece[(first + k) % WINDOW];
		if (q->number != first + k || !q->here)
			return false;
	}
	return true;
}

static void show(struct watcher *v, int64_t first)
{
	const struct piece *p = &v->piece[first % WINDOW];

	if (v->shown_us && world.now - v->shown_us > v->freeze_us)
		v->freeze_us = world.now - v->shown_us;
	v->shown_us = world.now;
	v->layer = p->layer;
	v->frames++;
	v->next = first + p->count;
}

static void take_picture(struct watcher *v, uint16_t seq, const uint8_t *payload, size_t n)
{
	int64_t number = rtp_unwrap16(&v->unwrap, seq);
	const uint8_t *mark = payload + n - MARK;

	CHECK(n > MARK);
	if (!v->first)
		v->first = number;
	if (number > v->highest) {
		for (int64_t k = v->highest + 1; v->highest && k < number; k++)
			v->piece[k % WINDOW] = (struct piece){.number = k};
		v->piece[number % WINDOW] = (struct piece){.number = number};
		v->highest = number;
	}
	struct piece *p = &v->piece[number % WINDOW];
	if (p->number != number || p->here)
		return;
	*p = (struct piece){.number = number, .here = true, .key = mark[0], .layer = mark[1]};
	p->index = get_be16(mark + 2);
	p->count = get_be16(mark + 4);
	if (p->key && (v->next < 0 || number - p->index > v->next) && whole(v, number - p->index))
		show(v, number - p->index);
	while (v->next >= 0 && whole(v, v->next))
		show(v, v->next);
}

static void take_sound(struct watcher *v, const uint8_t *payload)
{
	int64_t delay_us = world.now - (int64_t)get_be64(payload);

	v->sound++;
	v->late += delay_us > v->path.delay_us + PLAYOUT_US;
}

static void take(struct watcher *v, const struct flight *f)
{
	struct rtp_packet p;
	uint16_t seq, osn;

	CHECK_INT(rtp_parse(&p, f->p, f->n, &v->ext), 0);
	if (rtp_twcc_seq(&p, &seq))
		twcc_rx_packet(&v->rx, seq, world.now);
	if (p.ssrc == AUDIO_SSRC) {
		take_sound(v, rtp_payload(&p));
	} else if (p.ssrc == VIDEO_SSRC) {
		CHECK(p.payload_len); /* padding goes by RTX alone */
		take_picture(v, p.seq, rtp_payload(&p), p.payload_len);
	} else {
		CHECK_INT(p.ssrc, RTX_SSRC);
		CHECK_INT(p.pt, 101);
		if (rtp_rtx_osn(&p, &osn))
			take_picture(v, osn, rtp_payload(&p) + 2, p.payload_len - 2u);
	}
}

static void ask(struct watcher *v)
{
	uint8_t out[1300];
	struct rtcp_writer w = rtcp_writer(out, sizeof(out));
	uint16_t missing[100];
	unsigned n = 0;

	for (int64_t k = v->next < 0 ? v->first : v->next; k < v->highest && n < 100; k++) {
		struct piece *p = &v->piece[k % WINDOW];
		if (p->number != k || p->here || p->asked >= ASK_TRIES ||
		    world.now - p->asked_us < ASK_US)
			continue;
		p->asked_us = world.now;
		p->asked++;
		missing[n++] = (uint16_t)k;
	}
	if (n)
		CHECK_INT(rtcp_put_nack(&w, 7, VIDEO_SSRC, missing, n), 0);
	/* As browsers do: soon where nothing can be shown without one, late where NACK may help. */
	bool stuck =
	    v->highest > v->next && world.now - v->shown_us > (v->next < 0 ? 200000 : 3000000);
	if (stuck && world.now - v->pli_us > 500000) {
		v->pli_us = world.now;
		rtcp_put_pli(&w, 7, VIDEO_SSRC);
	}
	say(v, &w);
}

static void report(struct watcher *v)
{
	uint8_t out[1300];
	struct rtcp_writer w = rtcp_writer(out, sizeof(out));
	unsigned sent = v->sent - v->reported_sent, lost = v->lost - v->reported_lost;
	struct rtcp_report r = {.ssrc = VIDEO_SSRC,
				.fraction_lost = (uint8_t)(sent ? lost * 255 / sent : 0)};

	v->report_us = world.now;
	v->reported_sent = v->sent;
	v->reported_lost = v->lost;
	rtcp_put_rr(&w, 7, &r, 1);
	if (v->feedback == REMB)
		rtcp_put_remb(&w, 7, &(struct rtcp_remb){.bps = v->remb_bps, .n_ssrc = 1});
	say(v, &w);
}

void watcher_step(struct watcher *v)
{
	uint8_t out[1300];

	for (unsigned i = 0; i < v->n_flight;) {
		if (v->flight[i].arrival_us > world.now) {
			i++;
			continue;
		}
		struct flight f = v->flight[i];
		v->flight[i] = v->flight[--v->n_flight];
		take(v, &f);
	}
	if (world.now % 20000 == 0)
		ask(v);
	if (world.now - v->report_us >= SECOND)
		report(v);
	while (v->feedback == TRANSPORT && world.now % FEEDBACK_US == 0 &&
	       twcc_rx_pending(&v->rx)) {
		struct rtcp_writer w = rtcp_writer(out, sizeof(out));
		CHECK_INT(twcc_rx_write(&v->rx, &w, 7, VIDEO_SSRC), 0);
		say(v, &w);
	}
	while (v->n_back && v->back[0].arrival_us <= world.now) {
		endpoint_rtcp(&v->e, v->back[0].p, v->back[0].n, world.now);
		memmove(v->back, v->back + 1, --v->n_back * sizeof(v->back[0]));
	}
	double bps = (double)congest_bps(&v->e.congest, world.now);
	v->estimate += bps;
	v->n_estimates++;
	v->estimate_low = bps < v->estimate_low ? bps : v->estimate_low;
	v->estimate_high = bps > v->estimate_high ? bps : v->estimate_high;
}

/* ---- its figures ---- */

void watcher_figures_begin(struct watcher *v)
{
	v->freeze_us = v->estimate = 0;
	v->frames = v->sound = v->late = v->n_estimates = 0;
	v->estimate_low = 1e12;
	v->estimate_high = 0;
	v->path.max_queue_ms = 0;
}

double watcher_concealed(const struct watcher *v, double seconds)
{
	return 100 * (1 - (v->sound - v->late) / (seconds * 1e6 / AUDIO_US));
}

double watcher_mean(const struct watcher *v)
{
	return v->estimate / v->n_estimates;
}

void watcher_tell(const char *what, const struct watcher *v, double seconds, double truth)
{
	printf("# %-34s true %4.0f kbit/s, estimate %4.0f (%3.0f %%), %4.0f to %4.0f; sound "
	       "concealed %4.1f %%, %4.1f frames/s, frozen %4.0f ms, queue %3.0f ms\n",
	       what, truth / 1e3, watcher_mean(v) / 1e3, 100 * watcher_mean(v) / truth,
	       v->estimate_low / 1e3, v->estimate_high / 1e3, watcher_concealed(v, seconds),
	       v->frames / seconds, (double)v->freeze_us / 1e3, v->path.max_queue_ms);
}
