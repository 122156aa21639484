/* An incoming stream: see stream.h. */
#include "stream.h"

#include <string.h>

#include "base/clock.h"

#define US 1000000
/* Fewer bits than an NTP time has are enough between two reports; see RFC 3550 section 6.4.1. */
#define DLSR_UNIT 65536

int stream_init(struct stream *s, enum rtp_codec codec)
{
	memset(s, 0, sizeof(*s));
	s->clock = rtp_codec_clock(codec);
	return rtp_history_init(&s->history,
				rtp_codec_is_video(codec) ? STREAM_KEEP_VIDEO : STREAM_KEEP_AUDIO);
}

void stream_done(struct stream *s)
{
	rtp_history_done(&s->history);
}

static void update_jitter(struct stream *s, uint32_t ts, int64_t now_us)
{
	/* In two parts: three years of microseconds do not fit beside the clock. */
	int64_t ticks = now_us / US * s->clock + now_us % US * s->clock / US;
	int64_t transit = ticks - ts;
	int64_t d = (int32_t)(uint32_t)(transit - s->transit);

	s->transit = transit;
	if (d < 0)
		d = -d;
	/* A jump of timestamps is not jitter. */
	if (s->received > 1 && d < (int64_t)s->clock * 4)
		s->jitter += (uint32_t)d - ((s->jitter + 8) >> 4);
}

bool stream_take(struct stream *s, const struct rtp_packet *p, bool rtx, int64_t now_us,
		 int64_t *seq, bool *reset)
{
	enum nack_verdict v = rtx ? nack_rx_again(&s->nack, p->seq, now_us, seq)
				  : nack_rx_packet(&s->nack, p->seq, now_us, seq);

	if (v == NACK_DUPLICATE)
		return false;
	*reset = v == NACK_RESET;
	if (!s->started || v == NACK_RESET) {
		s->started = true;
		s->first = *seq;
		s->received = s->received_before = 0;
		s->expected_before = 0;
	}
	if (*seq < s->first) /* the first that came had overtaken it */
		s->first = *seq;
	s->received += !rtx;
	if (p->payload_len) {
		s->media_us = now_us;
		s->media_bytes += p->len;
	}
	if (v != NACK_REPAIRED && !rtx)
		update_jitter(s, p->ts, now_us);
	rtp_history_put(&s->history, *seq, p->data, p->len, now_us);
	return true;
}

void stream_renew(struct stream *s)
{
	nack_rx_renew(&s->nack);
	s->ssrc = s->rtx_ssrc = 0;
	s->sr_at_us = 0; /* the report was of the old one's clock */
}

void stream_measure(struct stream *s, int64_t now_us)
{
	int64_t since_us = now_us - s->rate_us;

	if (!s->media_us || since_us < STREAM_RATE_US)
		return;
	uint64_t bps = s->rate_us ? s->media_bytes * 8 * US / (uint64_t)since_us : 0;
	/* A quarter for each 200 ms: the last second weighs three quarters. */
	s->bps = s->bps ? (s->bps * 3 + bps) / 4 : bps;
	s->rate_us = now_us;
	s->media_bytes = 0;
}

uint64_t stream_bps(const struct stream *s, int64_t now_us)
{
	return s->media_us && now_us - s->media_us < STREAM_SILENT_US ? s->bps : 0;
}

void stream_sender_report(struct stream *s, const struct rtcp_sr *sr, int64_t now_us)
{
	s->sr = *sr;
	s->sr_at_us = now_us;
}

bool stream_report(struct stream *s, int64_t now_us, struct rtcp_report *r)
{
	if (!s->started)
		return false;
	int64_t expected = s->nack.highest - s->first + 1;
	int64_t lost = expected - (int64_t)s->received;
	int64_t expected_now = expected - s->expected_before;
	int64_t lost_now = expected_now - (int64_t)(s->received - s->received_before);

	s->expected_before = expected;
	s->received_before = s->received;
	*r = (struct rtcp_report){.ssrc = s->ssrc,
				  .lost = (int32_t)lost,
				  .highest = (uint32_t)s->nack.highest,
				  .jitter = s->jitter >> 4};
	if (lost_now > 0 && expected_now > 0) {
		int64_t fraction = lost_now * 256 / expected_now;
		r->fraction_lost = (uint8_t)(fraction > 255 ? 255 : fraction);
	}
	if (s->sr_at_us) {
		r->lsr = rtcp_ntp_middle(s->sr.ntp);
		r->dlsr = (uint32_t)((now_us - s->sr_at_us) * DLSR_UNIT / US);
	}
	return true;
}

bool stream_clocks(const struct stream *s, int64_t now_us, uint64_t *ntp, uint32_t *ts)
{
	if (!s->sr_at_us)
		return false;
	int64_t since_us = now_us - s->sr_at_us;
	/* In two parts: microseconds of more than an hour do not fit beside 32 bits of fraction. */
	*ntp =
	    s->sr.ntp + ((uint64_t)(since_us / US) << 32) + ((uint64_t)(since_us % US) << 32) / US;
	*ts = s->sr.ts + (uint32_t)(since_us * (int64_t)s->clock / US);
	return true;
}

void stream_want_key(struct stream *s)
{
	s->key_asks = STREAM_KEY_ASKS;
}

void stream_got_key(struct stream *s)
{
	s->key_asks = 0;
}

bool stream_ask_key(struct stream *s, int64_t now_us)
{
	if (!s->key_asks || (s->key_asked_us && now_us - s->key_asked_us < STREAM_KEY_US))
		return false;
	s->key_asks--;
	s->key_asked_us = now_us;
	return true;
}
