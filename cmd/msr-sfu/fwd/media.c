/*
 * The API's side of the media threads: numbers, commands, events. See media.h.
 */
#include "media.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/map.h"
#include "base/random.h"
#include "loop/loop.h"
#include "thread.h"

#define THREADS_MAX 64
#define EVENTS_MAX  16384 /* waiting for the API; beyond: counted and lost */
#define EVENTS_NEWS 4096  /* the same of those that later ones replace: none is missed for long */

/* Which thread an object is on: the API's own record. */
struct place {
	struct command close; /* first: where the object ends this is posted, and freed with it */
	struct map_node node;
	media_id id;
	media_id peer; /* of a track or sub; 0 for a peer */
	unsigned thread;
	struct place *next; /* of the same peer */
	struct place *children;
};

struct media {
	struct media_config config;
	struct thread *thread[THREADS_MAX];
	unsigned peers[THREADS_MAX];
	unsigned n_threads;
	media_id last_id;
	struct map places;

	int fd; /* eventfd: events wait */
	struct loop_io *io;
	pthread_mutex_t lock; /* of the ring */
	struct media_event event[EVENTS_MAX];
	unsigned first, n_events;
	uint64_t lost;
};

/* ---- events ---- */

/* A state that is told again as soon as it changes; the others are told once. */
static bool is_news(enum media_event_kind kind)
{
	return kind == MEDIA_SPEAKER || kind == MEDIA_LAYER || kind == MEDIA_ESTIMATE;
}

/* On a media thread. */
static bool on_event(void *arg, const struct media_event *e)
{
	struct media *m = arg;
	uint64_t one = 1;

	pthread_mutex_lock(&m->lock);
	bool full = m->n_events >= (is_news(e->kind) ? EVENTS_NEWS : EVENTS_MAX);
	if (full)
		m->lost++;
	else
		m->event[(m->first + m->n_events++) % EVENTS_MAX] = *e;
	pthread_mutex_unlock(&m->lock);
	if (!full && write(m->fd, &one, sizeof(one)) < 0)
		return true; /* it is readable already */
	return !full;
}

static bool next_event(struct media *m, struct media_event *e)
{
	pthread_mutex_lock(&m->lock);
	bool any = m->n_events > 0;
	if (any) {
		*e = m->event[m->first];
		m->first = (m->first + 1) % EVENTS_MAX;
		m->n_events--;
	}
	pthread_mutex_unlock(&m->lock);
	return any;
}

static void on_readable(void *arg, int events)
{
	struct media *m = arg;
	struct media_event e;
	uint64_t n;

	(void)events;
	if (read(m->fd, &n, sizeof(n)) < 0)
		return;
	while (next_event(m, &e))
		m->config.event(m->config.arg, &e);
}

/* ---- life ---- */

int media_start(struct media **out, const struct media_config *config)
{
	struct media *m = calloc(1, sizeof(*m));
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned threads = config->threads ? config->threads : cpus > 0 ? (unsigned)cpus : 1;

	if (!m)
		return -ENOMEM;
	m->config = *config;
	map_init(&m->places);
	pthread_mutex_init(&m->lock, NULL);
	m->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	int ret =
	    m->fd < 0 ? -errno : loop_io_new(&m->io, config->loop, m->fd, LOOP_IN, on_readable, m);
	if (threads > THREADS_MAX)
		threads = THREADS_MAX;
	while (!ret && m->n_threads < threads) {
		const char *sink =
		    m->n_threads < config->n_sinks ? config->sinks[m->n_threads] : NULL;
		ret = thread_new(&m->thread[m->n_threads], sink, on_event, m);
		m->n_threads += ret == 0;
	}
	if (ret < 0) {
		media_stop(m);
		return ret;
	}
	*out = m;
	return 0;
}

void media_stop(struct media *m)
{
	if (!m)
		return;
	for (unsigned i = 0; i < m->n_threads; i++)
		thread_stop(m->thread[i]);
	for (unsigned i = 0; i < m->n_threads; i++)
		thread_free(m->thread[i]);
	map_each (i, &m->places)
		free(container_of(i, struct place, node));
	map_done(&m->places);
	loop_io_free(m->io);
	if (m->fd >= 0)
		close(m->fd);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

unsigned media_place(const struct media *m)
{
	unsigned best = 0;

	for (unsigned i = 1; i < m->n_threads; i++)
		if (m->peers[i] < m->peers[best])
			best = i;
	return best;
}

media_id media_new_id(struct media *m)
{
	return ++m->last_id;
}

uint32_t media_new_ssrc(struct media *m)
{
	uint32_t ssrc = 0;

	(void)m;
	while (!ssrc || ssrc == UINT32_MAX)
		random_bytes(&ssrc, sizeof(ssrc));
	return ssrc;
}

/* Random and anew for each transport, so that nobody learns which belong together (RFC 7022). */
static void draw_cname(char out[static MEDIA_CNAME_SIZE])
{
	random_hex(out, 12);
}

void media_stats(struct media *m, struct media_stats *s)
{
	memset(s, 0, sizeof(*s));
	for (unsigned i = 0; i < m->n_threads; i++)
		thread_add_stats(m->thread[i], s);
	pthread_mutex_lock(&m->lock);
	s->events_lost = m->lost;
	pthread_mutex_unlock(&m->lock);
}

/* ---- places ---- */

static struct place *find(const struct media *m, media_id id)
{
	struct map_node *n = map_get(&m->places, &id, sizeof(id));
	return n ? container_of(n, struct place, node) : NULL;
}

/* NULL without memory. */
static struct place *remember(struct media *m, media_id id, struct place *peer, unsigned thread)
{
	struct place *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->id = id;
	p->peer = peer ? peer->id : 0;
	p->thread = thread;
	if (map_put(&m->places, &p->node, &p->id, sizeof(p->id)) < 0) {
		free(p);
		return NULL;
	}
	if (peer) {
		p->next = peer->children;
		peer->children = p;
	}
	return p;
}

/* Takes it out of the record, and frees its children, which end with it. */
static void remove_place(struct media *m, struct place *p)
{
	struct place *peer = p->peer ? find(m, p->peer) : NULL;

	if (peer)
		for (struct place **at = &peer->children; *at; at = &(*at)->next)
			if (*at == p) {
				*at = p->next;
				break;
			}
	while (p->children) {
		struct place *child = p->children;
		p->children = child->next;
		map_remove(&m->places, &child->node);
		free(child);
	}
	map_remove(&m->places, &p->node);
}

static void forget(struct media *m, struct place *p)
{
	remove_place(m, p);
	free(p);
}

/* ---- commands ---- */

static struct command_full *command(enum command_kind kind, media_id id)
{
	struct command_full *c = calloc(1, sizeof(*c));

	if (c) {
		c->command.kind = kind;
		c->command.id = id;
	}
	return c;
}

static int post(struct media *m, unsigned thread, struct command_full *c)
{
	int ret = thread_post(m->thread[thread], &c->command);

	if (ret < 0)
		free(c);
	return ret;
}

/* To whatever thread `id` is on; an object that is gone makes the command void. */
static int post_to(struct media *m, media_id id, struct command_full *c)
{
	const struct place *p = find(m, id);

	if (!c)
		return -ENOMEM;
	if (!p) {
		free(c);
		return 0;
	}
	return post(m, p->thread, c);
}

static void close_object(struct media *m, enum command_kind kind, media_id id)
{
	struct place *p = find(m, id);

	if (!p)
		return;
	unsigned thread = p->thread;
	remove_place(m, p);
	p->close.kind = kind;
	p->close.id = id;
	thread_post(m->thread[thread], &p->close);
}

int media_peer_new(struct media *m, const struct media_peer_config *config, media_id *id,
		   struct peer_local *local)
{
	struct peer *peer;
	int ret = peer_new(&peer, m->config.env, config->controlling, local);

	if (ret < 0)
		return ret;
	struct command_full *c = command(COMMAND_PEER, media_new_id(m));
	struct place *place = c ? remember(m, c->command.id, NULL, config->thread) : NULL;
	media_id new_id = c ? c->command.id : 0;
	ret = -ENOMEM;
	if (place) {
		c->peer.peer = peer;
		c->peer.room = config->room;
		draw_cname(c->peer.cname);
		ret = thread_post(m->thread[config->thread], &c->command);
	}
	if (ret < 0) {
		if (place)
			forget(m, place);
		free(c);
		peer_free(peer);
		return ret;
	}
	m->peers[config->thread]++;
	*id = new_id;
	return 0;
}

void media_peer_close(struct media *m, media_id peer)
{
	const struct place *p = find(m, peer);

	if (!p)
		return;
	m->peers[p->thread]--;
	close_object(m, COMMAND_PEER_CLOSE, peer);
}

int media_peer_remote(struct media *m, media_id peer, const struct peer_remote *remote,
		      const struct peer_candidate *candidates, unsigned n_candidates,
		      bool end_of_candidates)
{
	struct command_full *c = command(COMMAND_REMOTE, peer);

	if (!c)
		return -ENOMEM;
	c->remote.have_remote = remote != NULL;
	if (remote)
		c->remote.remote = *remote;
	c->remote.end = end_of_candidates;
	for (unsigned i = 0; i < n_candidates && c->remote.n < PEER_REMOTE_MAX; i++)
		c->remote.candidate[c->remote.n++] = candidates[i];
	return post_to(m, peer, c);
}

int media_peer_candidates(struct media *m, media_id peer, const struct peer_candidate *candidates,
			  unsigned n_candidates, bool end_of_candidates)
{
	return media_peer_remote(m, peer, NULL, candidates, n_candidates, end_of_candidates);
}

int media_peer_restart(struct media *m, media_id peer, const char *ufrag, const char *pwd)
{
	struct command_full *c = command(COMMAND_RESTART, peer);

	if (c) {
		snprintf(c->restart.ufrag, sizeof(c->restart.ufrag), "%s", ufrag);
		snprintf(c->restart.pwd, sizeof(c->restart.pwd), "%s", pwd);
	}
	return post_to(m, peer, c);
}

int media_peer_extensions(struct media *m, media_id peer, const struct rtp_extmap *map)
{
	struct command_full *c = command(COMMAND_EXTENSIONS, peer);

	if (c)
		c->extmap = *map;
	return post_to(m, peer, c);
}

/* A new track or sub of a peer. */
static int post_child(struct media *m, media_id peer, struct command_full *c)
{
	struct place *p = find(m, peer);

	if (!c)
		return -ENOMEM;
	if (!p) {
		free(c);
		return 0;
	}
	struct place *child = remember(m, c->command.id, p, p->thread);
	if (!child) {
		free(c);
		return -ENOMEM;
	}
	int ret = post(m, p->thread, c);
	if (ret < 0)
		forget(m, child);
	return ret;
}

int media_track_new(struct media *m, media_id peer, media_id track,
		    const struct media_track_config *config)
{
	struct command_full *c = command(COMMAND_TRACK, track);

	if (c) {
		c->track.peer = peer;
		c->track.config = *config;
	}
	return post_child(m, peer, c);
}

int media_track_change(struct media *m, media_id track, const struct media_track_config *config)
{
	struct command_full *c = command(COMMAND_TRACK_CHANGE, track);

	if (c)
		c->track.config = *config;
	return post_to(m, track, c);
}

int media_track_record(struct media *m, media_id track, const struct tap_config *config)
{
	struct command_full *c = command(COMMAND_RECORD, track);

	if (c)
		c->record = *config;
	return post_to(m, track, c);
}

void media_track_close(struct media *m, media_id track)
{
	close_object(m, COMMAND_TRACK_CLOSE, track);
}

int media_sub_new(struct media *m, media_id sub, const struct media_sub_config *config)
{
	struct command_full *c = command(COMMAND_SUB, sub);

	if (c)
		c->sub = *config;
	return post_child(m, config->peer, c);
}

void media_sub_close(struct media *m, media_id sub)
{
	close_object(m, COMMAND_SUB_CLOSE, sub);
}

int media_sub_want(struct media *m, media_id sub, enum media_level want)
{
	struct command_full *c = command(COMMAND_WANT, sub);

	if (c)
		c->want = want;
	return post_to(m, sub, c);
}

int media_peer_limit(struct media *m, media_id peer, uint64_t max_bps)
{
	struct command_full *c = command(COMMAND_LIMIT, peer);

	if (c)
		c->max_bps = max_bps;
	return post_to(m, peer, c);
}
