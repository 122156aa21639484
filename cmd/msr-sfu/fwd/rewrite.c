/* Numbers and headers for one receiver: see rewrite.h. */
#include "rewrite.h"

#include <string.h>

/* Extensions that belong to the media and go to every receiver that knows them; the level first. */
static const enum rtp_ext_kind own_kinds[] = {RTP_EXT_AUDIO_LEVEL, RTP_EXT_ORIENTATION,
					      RTP_EXT_DEPENDENCY, RTP_EXT_PLAYOUT_DELAY};
#define N_OWN (sizeof(own_kinds) / sizeof(own_kinds[0]))

/* ---- numbers ---- */

static void push_cut(struct rewrite *w, struct rewrite_cut cut)
{
	unsigned keep = w->n_cuts < REWRITE_CUTS ? w->n_cuts : REWRITE_CUTS - 1;

	memmove(&w->cut[1], &w->cut[0], keep * sizeof(w->cut[0]));
	w->cut[0] = cut;
	w->n_cuts = keep + 1;
}

/* The receiver's first number behind a change. */
static int64_t begin_of(const struct rewrite_cut *c)
{
	return c->from + c->distance;
}

int64_t rewrite_next(const struct rewrite *w)
{
	int64_t next = w->highest + 1;

	/* What is missing before a packet that was left out keeps its numbers: one index with two
	 * payloads would break the cipher. */
	return w->n_cuts && begin_of(&w->cut[0]) > next ? begin_of(&w->cut[0]) : next;
}

void rewrite_begin(struct rewrite *w, struct rewrite_cut cut, uint16_t first)
{
	int64_t next = w->started ? rewrite_next(w) : first;

	cut.distance = next - cut.from;
	push_cut(w, cut);
	w->highest = next - 1;
	w->highest_source = cut.from - 1;
	w->started = true;
}

const struct rewrite_cut *rewrite_map(struct rewrite *w, uint8_t stream, int64_t seq, int64_t *out)
{
	for (unsigned i = 0; i < w->n_cuts; i++) {
		const struct rewrite_cut *c = &w->cut[i];
		if (seq < c->from || stream != c->stream)
			continue;
		*out = seq + c->distance;
		if (i)
			return *out < begin_of(&w->cut[i - 1]) ? c : NULL;
		if (seq > w->highest_source)
			w->highest_source = seq;
		if (*out > w->highest)
			w->highest = *out;
		return c;
	}
	return NULL;
}

bool rewrite_skip(struct rewrite *w, int64_t seq)
{
	if (!w->n_cuts || seq <= w->highest_source)
		return false;
	struct rewrite_cut cut = w->cut[0];
	bool run = cut.from == seq; /* nothing was sent since the last change, which moves on */

	w->highest_source = seq;
	cut.from = seq + 1;
	cut.distance--;
	if (run)
		w->cut[0] = cut;
	else
		push_cut(w, cut);
	return true;
}

const struct rewrite_cut *rewrite_source(const struct rewrite *w, uint16_t number, int64_t *seq,
					 int64_t *out)
{
	int64_t n = w->highest + (int16_t)(uint16_t)(number - (uint16_t)w->highest);

	for (unsigned i = 0; i < w->n_cuts; i++) {
		const struct rewrite_cut *c = &w->cut[i];
		if (n < begin_of(c))
			continue;
		*out = n;
		*seq = n - c->distance;
		return n <= w->highest ? c : NULL;
	}
	return NULL;
}

/* ---- headers ---- */

_Static_assert(RTP_HEADER + 4 + 2 + RTP_MID_MAX + 4 + 5 + 3 <= REWRITE_PLAIN_MAX - 2,
	       "mid, transport-wide number, time and level in the two-byte form, and padding");

void rewrite_shape_done(struct rewrite_shape *s)
{
	struct rtp_header h = {.pt = s->pt, .ssrc = s->ssrc};
	struct rtp_ext_item item[] = {
	    {.id = s->ext.id[RTP_EXT_MID],
	     .len = (uint8_t)strlen(s->mid),
	     .value = (const uint8_t *)s->mid},
	    {.id = s->ext.id[RTP_EXT_TWCC], .len = 2},
	    {.id = s->ext.id[RTP_EXT_ABS_SEND_TIME], .len = 3},
	    {.id = s->ext.id[RTP_EXT_AUDIO_LEVEL], .len = 1},
	};

	if (!s->mid[0])
		item[0].id = 0;
	s->plain_len = (uint8_t)rtp_header_write(s->plain, sizeof(s->plain), &h, item, 3);
	s->twcc_off = item[1].off;
	s->abs_time_off = item[2].off;
	s->sound_len = (uint8_t)rtp_header_write(s->sound, sizeof(s->sound), &h, item, 4);
	s->level_off = item[3].off;
	/* The level's id alone needs the other form. */
	if (item[1].off != s->twcc_off || item[2].off != s->abs_time_off)
		s->sound_len = 0;
}

enum rewrite_own rewrite_own(const struct rtp_packet *p)
{
	enum rewrite_own own = REWRITE_NONE;

	for (unsigned i = 0; i < N_OWN; i++)
		if (rtp_has(p, own_kinds[i]))
			own = own_kinds[i] == RTP_EXT_AUDIO_LEVEL && p->ext[own_kinds[i]].len == 1
				  ? REWRITE_LEVEL
				  : REWRITE_MORE;
	return own;
}

static size_t write_whole(const struct rewrite_shape *s, uint8_t *out, const struct rtp_packet *p,
			  const struct rewrite_values *v)
{
	struct rtp_ext_item item[3 + N_OWN] = {
	    {.id = s->mid[0] ? s->ext.id[RTP_EXT_MID] : 0,
	     .len = (uint8_t)strlen(s->mid),
	     .value = (const uint8_t *)s->mid},
	    {.id = s->ext.id[RTP_EXT_TWCC], .len = 2},
	    {.id = s->ext.id[RTP_EXT_ABS_SEND_TIME], .len = 3},
	};
	struct rtp_header h = {.pt = s->pt, .ssrc = s->ssrc, .seq = v->seq, .ts = v->ts};
	unsigned n = 3;

	for (unsigned i = 0; i < N_OWN; i++) {
		const struct rtp_ext *e = &p->ext[own_kinds[i]];
		if (e->off && s->ext.id[own_kinds[i]])
			item[n++] = (struct rtp_ext_item){.id = s->ext.id[own_kinds[i]],
							  .len = e->len,
							  .value = p->data + e->off};
	}
	int len = rtp_header_write(out, REWRITE_HEADER_MAX, &h, item, n);
	if (len < 0) /* too long altogether: then without what was its own */
		return 0;
	rtp_ext_put_twcc(out, item[1].off, v->twcc);
	rtp_ext_put_abs_send_time(out, item[2].off, v->now_us);
	return (size_t)len;
}

size_t rewrite_header(const struct rewrite_shape *s, uint8_t *out, const struct rtp_packet *p,
		      enum rewrite_own own, const struct rewrite_values *v)
{
	bool sound = own == REWRITE_LEVEL && s->sound_len;
	size_t len = own && !sound ? write_whole(s, out, p, v) : 0;

	if (!len) {
		len = sound ? s->sound_len : s->plain_len;
		memcpy(out, sound ? s->sound : s->plain, len);
		rtp_set_seq(out, v->seq);
		rtp_set_ts(out, v->ts);
		rtp_ext_put_twcc(out, s->twcc_off, v->twcc);
		rtp_ext_put_abs_send_time(out, s->abs_time_off, v->now_us);
		if (sound && s->level_off)
			out[s->level_off] = p->data[p->ext[RTP_EXT_AUDIO_LEVEL].off];
	}
	rtp_set_marker(out, p->marker);
	return len;
}
