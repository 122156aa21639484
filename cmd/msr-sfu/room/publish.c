/* Publishing: see publish.h. */
#include "publish.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "receive.h"
#include "sdp/negotiate.h"

void pub_free(struct pub *p)
{
	list_each_safe (i, &p->wants)
		receive_remove(container_of(i, struct want, pub_link));
	if (p->track)
		media_track_close(p->user->room->rooms->config.media, p->track);
	list_remove(&p->link);
	sdp_free(p->holder);
	free(p);
}

static struct pub *find(struct user *u, const char *mid)
{
	list_each (i, &u->pubs) {
		struct pub *p = container_of(i, struct pub, link);
		if (!strcmp(p->mid, mid))
			return p;
	}
	return NULL;
}

static int hold_codec(struct pub *p, const struct sdp_codec *c)
{
	p->holder = sdp_new();
	struct sdp_media *m = p->holder ? sdp_add_media(p->holder, p->kind) : NULL;
	struct sdp_codec *copy = m ? sdp_add_codec(p->holder, m) : NULL;

	if (!copy)
		return -ENOMEM;
	copy->clock = c->clock;
	copy->channels = c->channels;
	copy->name = sdp_str(p->holder, c->name);
	copy->fmtp = sdp_str(p->holder, c->fmtp);
	p->described = copy;
	return copy->name && (copy->fmtp || !c->fmtp) ? 0 : -ENOMEM;
}

static int announce(struct pub *p)
{
	list_each (i, &p->user->room->users) {
		struct user *u = container_of(i, struct user, link);
		if (u == p->user)
			continue;
		int ret = receive_add(u, p);
		/* Somebody whose sections are full sees one picture less; the others see it. */
		if (ret < 0 && ret != -ENOSPC)
			return ret;
	}
	return 0;
}

static int pub_new(struct pub **out, struct user *u, const struct sdp_media *theirs,
		   const struct sdp_agreed *a)
{
	struct pub *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->user = u;
	p->kind = theirs->kind;
	p->codec = rtp_codec_of(a->codec->name);
	p->rtx = a->rtx_pt != 0;
	list_init(&p->wants);
	list_init(&p->link);
	list_push(&u->pubs, &p->link);
	snprintf(p->mid, sizeof(p->mid), "%s", theirs->mid);
	int ret = hold_codec(p, a->codec);
	if (ret < 0) {
		pub_free(p);
		return ret;
	}
	*out = p;
	return 0;
}

static void find_ssrcs(const struct sdp_media *m, struct media_track_config *c)
{
	if (m->n_ssrcs)
		c->ssrc = m->ssrcs[0].ssrc;
	for (unsigned i = 0; i < m->n_ssrc_groups; i++)
		if (!strcmp(m->ssrc_groups[i].semantics, "FID") && m->ssrc_groups[i].n == 2) {
			c->ssrc = m->ssrc_groups[i].ssrc[0];
			c->rtx_ssrc = m->ssrc_groups[i].ssrc[1];
			return;
		}
}

static int route(struct user *u, struct pub *p, const struct sdp_media *theirs,
		 const struct sdp_agreed *a)
{
	struct media *m = u->room->rooms->config.media;
	struct media_track_config c = {.codec = p->codec,
				       .pt = a->pt,
				       .rtx_pt = a->rtx_pt,
				       .nack = a->nack,
				       .pli = a->pli,
				       .fir = a->fir,
				       .twcc = a->twcc,
				       .remb = a->remb};

	memcpy(c.mid, p->mid, sizeof(c.mid));
	find_ssrcs(theirs, &c);
	for (unsigned i = 0; i < a->n_rids && i < MEDIA_LAYERS_MAX; i++)
		snprintf(c.rid[c.n_rids++], sizeof(c.rid[0]), "%s", a->rid[i]);
	if (p->track)
		return media_track_change(m, p->track, &c);
	p->track = media_new_id(m);
	int ret = media_track_new(m, u->in.peer, p->track, &c);
	return ret < 0 ? ret : announce(p);
}

static int take_section(struct user *u, const struct sdp_media *ours,
			const struct sdp_media *theirs, const char *source)
{
	struct sdp_agreed a;
	struct pub *p = find(u, theirs->mid);

	sdp_agree(&a, ours, theirs);
	bool sends = a.alive && a.codec && a.direction & SDP_RECVONLY &&
		     (theirs->kind == SDP_AUDIO || theirs->kind == SDP_VIDEO);
	if (p && (!sends || p->codec != rtp_codec_of(a.codec->name))) {
		pub_free(p);
		p = NULL;
	}
	if (!sends)
		return 0;
	int ret = p ? 0 : pub_new(&p, u, theirs, &a);
	if (ret < 0)
		return ret;
	const char *guess = theirs->kind == SDP_AUDIO ? "microphone" : "camera";
	if (source || !p->source[0])
		snprintf(p->source, sizeof(p->source), "%s", source ? source : guess);
	return route(u, p, theirs, &a);
}

static void set_extensions(struct user *u, const struct sdp *answer)
{
	struct rtp_extmap map = {0};

	for (unsigned i = 0; i < answer->n_media; i++)
		for (unsigned k = 0; k < answer->media[i].n_exts; k++) {
			int kind = rtp_ext_of(answer->media[i].exts[k].uri);
			if (kind >= 0)
				rtp_extmap_set(&map, (enum rtp_ext_kind)kind,
					       answer->media[i].exts[k].id);
		}
	media_peer_extensions(u->room->rooms->config.media, u->in.peer, &map);
}

/* New credentials in a renegotiation are an ICE restart, which our answer must go along with. */
static int restart_if_asked(struct user *u, const struct sdp *offer)
{
	const struct sdp_media *m = sdp_transport_media(offer);

	if (!m || !m->transport.ufrag || !u->in.remote_ufrag[0] ||
	    !strcmp(m->transport.ufrag, u->in.remote_ufrag))
		return 0;
	return media_peer_restart(u->room->rooms->config.media, u->in.peer, &u->in.local);
}

static int answer_to(struct user *u, const struct sdp *offer, struct sdp **answer,
		     struct sdp_error *err)
{
	struct sdp_local local;
	struct sdp_wish *wish = calloc(offer->n_media + 1, sizeof(*wish));

	if (!wish)
		return -ENOMEM;
	for (unsigned i = 0; i < offer->n_media; i++)
		sdp_wish_receive(&wish[i], &offer->media[i]);
	line_describe(&u->in, &local);
	int ret = sdp_answer(answer, offer, wish, &local, err);
	free(wish);
	return ret;
}

static int accept(struct user *u, const struct sdp *offer, const struct sdp *answer,
		  const char *(*source)(void *arg, const char *mid), void *arg)
{
	int ret = line_remote(&u->in, offer);

	if (ret < 0)
		return ret;
	set_extensions(u, answer);
	for (unsigned i = 0; !ret && i < offer->n_media; i++) {
		const struct sdp_media *theirs = &offer->media[i];
		if (theirs->mid)
			ret = take_section(u, &answer->media[i], theirs,
					   source ? source(arg, theirs->mid) : NULL);
	}
	return ret;
}

int publish(struct user *u, const char *text, size_t len,
	    const char *(*source)(void *arg, const char *mid), void *arg, struct buf *out,
	    struct sdp_error *err)
{
	struct sdp *offer, *answer = NULL;
	int ret = sdp_parse(&offer, text, len, err);

	if (ret < 0)
		return ret == -E2BIG ? -EBADMSG : ret;
	ret = u->in.peer ? 0 : line_open(&u->in, u, false);
	if (!ret)
		ret = restart_if_asked(u, offer);
	if (!ret)
		ret = answer_to(u, offer, &answer, err);
	if (!ret)
		ret = accept(u, offer, answer, source, arg);
	if (ret == -EINVAL) {
		*err = (struct sdp_error){.reason = "ICE credentials or fingerprint are too long"};
		ret = -EPROTO;
	}
	if (!ret)
		ret = sdp_write(answer, out);
	if (!ret)
		ret = buf_append(out, "", 1);
	sdp_free(answer);
	sdp_free(offer);
	return ret;
}
