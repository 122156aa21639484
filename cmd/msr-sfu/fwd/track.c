/* Tracks and routes: see track.h. */
#include "track.h"

#include <errno.h>
#include <stdlib.h>

#include "endpoint.h"
#include "sub.h"

int track_new(struct track **out, struct endpoint *from, media_id id,
	      const struct media_track_config *c)
{
	struct track *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->from = from;
	t->id = id;
	t->config = *c;
	t->level = 127 * 16;
	list_init(&t->link);
	unsigned n = c->n_rids ? c->n_rids : 1;
	if (n > MEDIA_LAYERS_MAX)
		n = MEDIA_LAYERS_MAX;
	layers_init(&t->layers, n);
	t->burst = calloc(TRACK_BURST, sizeof(*t->burst));
	int ret = t->burst ? 0 : -ENOMEM;
	while (!ret && t->n_streams < n)
		ret = stream_init(&t->stream[t->n_streams++], c->codec);
	if (!ret && from->track_map)
		ret = map_put(from->track_map, &t->node, &t->id, sizeof(t->id));
	if (ret < 0) {
		track_free(t);
		return ret;
	}
	t->stream[0].ssrc = c->n_rids ? 0 : c->ssrc;
	t->stream[0].rtx_ssrc = c->n_rids ? 0 : c->rtx_ssrc;
	list_push(&from->tracks, &t->link);
	*out = t;
	return 0;
}

void track_free(struct track *t)
{
	if (!t)
		return;
	list_remove(&t->link);
	if (t->from->track_map && t->node.key)
		map_remove(t->from->track_map, &t->node);
	for (unsigned i = 0; i < t->n_streams; i++)
		stream_done(&t->stream[i]);
	tap_close(t->tap);
	free(t->burst);
	free(t->sub);
	free(t);
}

void track_look(const struct track *t, struct burst_packet *b, struct rtp_payload_info *info)
{
	rtp_payload_look(t->config.codec, &b->p, info);
	b->key = info->key && info->frame_start;
	b->picture = info->picture_id;
	b->tl0 = info->tl0picidx;
}

void track_put(struct track *t, const struct burst_packet *b, int64_t now_us)
{
	if (t->n_burst == TRACK_BURST)
		track_route(t, now_us);
	t->burst[t->n_burst++] = *b;
}

void track_route(struct track *t, int64_t now_us)
{
	unsigned n = t->n_burst;

	t->n_burst = 0;
	for (unsigned i = 0; n && i < t->n_subs; i++)
		sub_burst(t->sub[i], t->burst, n, now_us);
	if (t->tap && n)
		tap_burst(t->tap, t, t->burst, n, now_us);
}

void track_update(struct track *t, int64_t now_us)
{
	for (unsigned i = 0; i < t->n_streams; i++)
		stream_measure(&t->stream[i], now_us);
	if (t->tap)
		tap_tick(t->tap, t, now_us);
	if (t->n_streams < 2 || !layers_update(&t->layers, t->stream, now_us))
		return;
	for (unsigned i = 0; i < t->n_subs; i++)
		sub_update(t->sub[i], now_us);
	if (t->tap)
		tap_update(t->tap, t);
}

static bool gets(const struct layer *l, int stream)
{
	return l->current == stream || l->target == stream;
}

bool track_needs(const struct track *t, const struct stream *s)
{
	int stream = (int)(s - t->stream);

	for (unsigned i = 0; i < t->n_subs; i++)
		if (gets(&t->sub[i]->layer, stream))
			return true;
	return t->tap && gets(&t->tap->layer, stream);
}

int track_add_sub(struct track *t, struct sub *s)
{
	if (t->n_subs == t->cap_subs) {
		unsigned cap = t->cap_subs ? t->cap_subs * 2 : 4;
		struct sub **p = realloc(t->sub, cap * sizeof(struct sub *));
		if (!p)
			return -ENOMEM;
		t->sub = p;
		t->cap_subs = cap;
	}
	t->sub[t->n_subs++] = s;
	return 0;
}

void track_remove_sub(struct track *t, struct sub *s)
{
	for (unsigned i = 0; i < t->n_subs; i++)
		if (t->sub[i] == s) {
			t->sub[i] = t->sub[--t->n_subs];
			return;
		}
}
