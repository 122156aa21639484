/* Gathering and sending what a receiver lacks. */
#include "outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../wire.h"
#include "parcel.h"
#include "spool.h"

enum {
	PIECES = 32, /* of one sendmsg(2) */
	/* Bytes of small messages ahead of a waiting large one: 256 KiB with the chunk begun. */
	OVERTAKE = 3 * FEED_CHUNK,
};

void outbox_init(struct outbox *o)
{
	*o = (struct outbox){0};
}

void outbox_done(struct outbox *o)
{
	if (o->feed)
		feed_detach(o->feed, &o->pos);
	for (size_t i = 0; i < o->n_cuts; i++) {
		struct cut *c = &o->cuts[(o->cuts_at + i) % o->cap_cuts];
		if (c->insert)
			parcel_unref(c->insert);
	}
	for (size_t i = 0; i < o->n_large; i++)
		parcel_unref(o->large[(o->large_at + i) % o->cap_large].parcel);
	free(o->cuts);
	free(o->large);
	outbox_init(o);
}

void outbox_attach(struct outbox *o, struct feed *feed)
{
	o->feed = feed;
	o->end = UINT64_MAX;
	feed_attach(feed, &o->pos);
}

void outbox_close(struct outbox *o)
{
	if (o->feed)
		o->end = o->feed->end;
}

/* One behind the last byte of the feed that is for this receiver. */
static uint64_t end_of(const struct outbox *o)
{
	return o->feed->end < o->end ? o->feed->end : o->end;
}

static uint64_t offset(const struct outbox *o)
{
	return o->feed ? feed_offset(&o->pos) : 0;
}

/* Makes room for one more in a ring of `size`-byte elements. */
static void *ring_grow(void *ring, size_t size, size_t *at, size_t n, size_t *cap)
{
	if (n < *cap)
		return ring;
	size_t new_cap = *cap ? *cap * 2 : 8;
	char *mem = malloc(new_cap * size);
	if (!mem)
		return NULL;
	for (size_t i = 0; i < n; i++)
		memcpy(mem + i * size, (char *)ring + (*at + i) % *cap * size, size);
	free(ring);
	*at = 0;
	*cap = new_cap;
	return mem;
}

static int cut_push(struct outbox *o, struct cut cut)
{
	struct cut *ring = ring_grow(o->cuts, sizeof(*ring), &o->cuts_at, o->n_cuts, &o->cap_cuts);

	if (!ring)
		return -ENOMEM;
	o->cuts = ring;
	ring[(o->cuts_at + o->n_cuts++) % o->cap_cuts] = cut;
	return 0;
}

static void cut_pop(struct outbox *o)
{
	o->cuts_at = (o->cuts_at + 1) % o->cap_cuts;
	if (--o->n_cuts || o->cap_cuts <= 64)
		return;
	free(o->cuts); /* a burst is over */
	o->cuts = NULL;
	o->cap_cuts = o->cuts_at = 0;
}

int outbox_insert(struct outbox *o, struct parcel *p)
{
	int ret = cut_push(o, (struct cut){o->feed ? end_of(o) : 0, 0, p});

	if (!ret) {
		parcel_ref(p);
		o->inserted += p->len;
	}
	return ret;
}

int outbox_skip(struct outbox *o, uint64_t n)
{
	uint64_t at = o->feed->end - n;

	if (!o->n_cuts && offset(o) == at) {
		feed_advance(o->feed, &o->pos, n);
		return 0;
	}
	if (o->n_cuts) {
		struct cut *last = &o->cuts[(o->cuts_at + o->n_cuts - 1) % o->cap_cuts];
		if (last->at + last->skip == at) {
			last->skip += n;
			o->skipped += n;
			return 0;
		}
	}
	int ret = cut_push(o, (struct cut){at, n, NULL});
	if (!ret)
		o->skipped += n;
	return ret;
}

int outbox_large(struct outbox *o, struct parcel *p)
{
	if (o->n_large == OUTBOX_LARGE_MAX)
		return -ENOBUFS;
	struct large *ring =
	    ring_grow(o->large, sizeof(*ring), &o->large_at, o->n_large, &o->cap_large);
	if (!ring)
		return -ENOMEM;
	o->large = ring;
	ring[(o->large_at + o->n_large++) % o->cap_large] =
	    (struct large){parcel_ref(p), o->small + outbox_lag(o) + OVERTAKE};
	return 0;
}

uint64_t outbox_lag(const struct outbox *o)
{
	uint64_t behind = o->feed ? end_of(o) - feed_offset(&o->pos) : 0;

	return behind - o->skipped + o->inserted;
}

uint64_t outbox_held(const struct outbox *o)
{
	return o->feed ? o->feed->end - feed_offset(&o->pos) : 0;
}

bool outbox_empty(const struct outbox *o)
{
	return !o->n_large && !outbox_lag(o);
}

/* A position that only looks ahead. */
struct view {
	const struct feed_chunk *chunk; /* NULL before the login */
	uint32_t off;
	uint64_t at;
};

/* As feed_advance; also from the end of a chunk to the beginning of the next. */
static void view_move(struct view *v, uint64_t n)
{
	v->at += n;
	while (n > v->chunk->used - v->off || (v->off + n == v->chunk->used && v->chunk->next)) {
		n -= v->chunk->used - v->off;
		v->chunk = v->chunk->next;
		v->off = 0;
	}
	v->off += (uint32_t)n;
}

/* After this many bytes of small messages the first large one is not put off further. */
static bool is_due(const struct outbox *o, uint64_t small)
{
	return o->n_large && small >= o->large[o->large_at].limit;
}

/* The pieces that come next, up to where a large message is due: the beginning of a message that
 * is put in, or of a chunk. */
static int gather(const struct outbox *o, struct iovec iov[static PIECES])
{
	struct view v = {o->pos.chunk, o->pos.off, offset(o)};
	size_t sent = o->insert_sent, next = 0;
	uint64_t small = o->small;
	int n = 0;

	if (v.chunk)
		view_move(&v, 0);
	while (n < PIECES) {
		const struct cut *cut =
		    next < o->n_cuts ? &o->cuts[(o->cuts_at + next) % o->cap_cuts] : NULL;
		if (cut && cut->at <= v.at) {
			if (cut->insert && !sent && is_due(o, small))
				break;
			if (cut->insert) {
				iov[n++] = (struct iovec){cut->insert->data + sent,
							  cut->insert->len - sent};
				small += cut->insert->len - sent;
			}
			sent = 0;
			if (cut->skip)
				view_move(&v, cut->skip);
			next++;
			continue;
		}
		if (!v.chunk || v.off == v.chunk->used || v.at >= o->end)
			break;
		if (!v.off && is_due(o, small))
			break;
		size_t len = v.chunk->used - v.off;
		if (o->end - v.at < len)
			len = o->end - v.at;
		if (cut && cut->at - v.at < len)
			len = cut->at - v.at;
		iov[n++] = (struct iovec){(uint8_t *)(uintptr_t)v.chunk->data + v.off, len};
		small += len;
		view_move(&v, len);
	}
	return n;
}

/* Notes that `n` bytes of what gather() gave are gone, and drops cuts that are through. */
static void consume(struct outbox *o, size_t n)
{
	o->taken += n;
	o->small += n;
	for (;;) {
		struct cut *cut = o->n_cuts ? &o->cuts[o->cuts_at] : NULL;
		uint64_t at = offset(o);
		if (cut && cut->at <= at) {
			if (cut->insert) {
				size_t left = cut->insert->len - o->insert_sent;
				size_t take = n < left ? n : left;
				o->insert_sent += take;
				o->inserted -= take;
				n -= take;
				if (take < left)
					return;
				parcel_unref(cut->insert);
				o->insert_sent = 0;
			}
			if (cut->skip) {
				feed_advance(o->feed, &o->pos, cut->skip);
				o->skipped -= cut->skip;
			}
			cut_pop(o);
			continue;
		}
		if (!n)
			return;
		uint64_t take = cut && cut->at - at < n ? cut->at - at : n;
		feed_advance(o->feed, &o->pos, take);
		n -= take;
	}
}

/* The first large message: its header, then its file. 0 when it is through, 1, or -errno. */
static int send_large(struct outbox *o, struct wire *w, size_t *budget)
{
	struct parcel *p = o->large[o->large_at].parcel;
	uint64_t size = p->file->size;

	o->large_begun = true;
	while (o->large_sent < p->len + size) {
		ssize_t sent;
		if (o->large_sent < p->len) {
			struct iovec iov = {p->data + o->large_sent, p->len - o->large_sent};
			sent = wire_sendv(w, &iov, 1, true);
		} else {
			uint64_t at = o->large_sent - p->len;
			if (!*budget)
				return 1;
			sent = wire_sendfile(w, p->file->fd, (off_t)at,
					     size - at < *budget ? size - at : *budget);
			if (sent > 0)
				*budget -= (size_t)sent;
		}
		if (sent < 0)
			return sent == -EAGAIN ? 1 : (int)sent;
		o->large_sent += (uint64_t)sent;
		o->taken += (uint64_t)sent;
	}
	parcel_unref(p);
	o->large_at = (o->large_at + 1) % o->cap_large;
	o->n_large--;
	o->large_sent = 0;
	o->large_begun = false;
	o->large_done++;
	return 0;
}

int outbox_flush(struct outbox *o, struct wire *w, size_t large_max)
{
	struct iovec iov[PIECES];
	int ret;

	for (;;) {
		if (o->large_begun && (ret = send_large(o, w, &large_max)))
			return ret;
		int n = gather(o, iov);
		if (!n) {
			consume(o, 0);
			if (!o->n_large)
				return 0;
			o->large_begun = true;
			continue;
		}
		size_t want = 0;
		for (int i = 0; i < n; i++)
			want += iov[i].iov_len;
		ssize_t sent = wire_sendv(w, iov, n, false);
		if (sent < 0)
			return sent == -EAGAIN ? 1 : (int)sent;
		consume(o, (size_t)sent);
		/* A plain socket that took less is full; TLS takes a record at a time. */
		if ((size_t)sent < want && !w->ssl)
			return 1;
	}
}
