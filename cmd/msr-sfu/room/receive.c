/* Receiving: see receive.h. */
#include "receive.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int receive_add(struct user *u, struct pub *p)
{
	struct media *m = u->room->rooms->config.media;
	struct want *w = calloc(1, sizeof(*w));
	char stream[ID_SIZE + 8], track[ID_SIZE + RTP_MID_MAX + 16];

	if (!w)
		return -ENOMEM;
	w->user = u;
	w->pub = p;
	w->ssrc = media_new_ssrc(m);
	w->rtx_ssrc = p->rtx ? media_new_ssrc(m) : 0;
	bool screen = !strcmp(p->source, "screen");
	snprintf(stream, sizeof(stream), "%s%s", p->user->id, screen ? "~screen" : "");
	snprintf(track, sizeof(track), "%s-%s", stream, p->mid);
	struct section_track t = {.kind = p->kind,
				  .codec = p->described,
				  .rtx = p->rtx,
				  .stream = stream,
				  .track = track,
				  .cname = stream,
				  .ssrc = w->ssrc,
				  .rtx_ssrc = w->rtx_ssrc};
	int ret = sections_add(u->sections, &t);
	if (ret < 0) {
		free(w);
		return ret;
	}
	w->section = (unsigned)ret;
	list_init(&w->user_link);
	list_init(&w->pub_link);
	list_push(&u->wants, &w->user_link);
	list_push(&p->wants, &w->pub_link);
	return 0;
}

void receive_remove(struct want *w)
{
	if (w->sub)
		media_sub_close(w->user->room->rooms->config.media, w->sub);
	sections_remove(w->user->sections, w->section);
	list_remove(&w->user_link);
	list_remove(&w->pub_link);
	free(w);
}

int receive_offer(struct user *u, bool force)
{
	struct sdp_local local;
	struct sdp *offer;
	struct buf text;

	if ((u->offer_unanswered || !sections_changed(u->sections)) && !force)
		return 0;
	line_describe(&u->out, &local);
	int ret = sections_offer(u->sections, &offer, &local);
	if (ret < 0)
		return ret;
	buf_init(&text, SDP_MAX);
	ret = sdp_write(offer, &text);
	if (!ret)
		ret = buf_append(&text, "", 1);
	sdp_free(offer);
	if (ret < 0) {
		buf_done(&text);
		return ret;
	}
	free(u->offer);
	u->offer = strdup((const char *)buf_data(&text));
	buf_done(&text);
	u->offer_id++;
	u->offer_unanswered = true;
	return u->offer ? 1 : -ENOMEM;
}

/* Extension ids are the same in all our offers; only what the receiver took is sent to it. */
static void set_extensions(struct user *u)
{
	struct rtp_extmap map = {0};

	for (int k = 0; k < RTP_EXT_KINDS; k++) {
		const char *uri = rtp_ext_uri((enum rtp_ext_kind)k);
		uint8_t id = sections_ext_id(uri);
		if (id && (sections_ext_agreed(u->sections, SDP_AUDIO, uri) ||
			   sections_ext_agreed(u->sections, SDP_VIDEO, uri)))
			rtp_extmap_set(&map, (enum rtp_ext_kind)k, id);
	}
	media_peer_extensions(u->room->rooms->config.media, u->out.peer, &map);
}

static void send_to(struct user *u, struct want *w)
{
	struct media *m = u->room->rooms->config.media;
	struct section_view v;

	if (sections_get(u->sections, w->section, &v) < 0 || v.state != SECTION_ACCEPTED) {
		if (w->sub)
			media_sub_close(m, w->sub);
		w->sub = 0;
		return;
	}
	struct media_sub_config c = {.peer = u->out.peer,
				     .track = w->pub->track,
				     .pt = v.pt,
				     .rtx_pt = v.rtx_pt,
				     .ssrc = w->ssrc,
				     .rtx_ssrc = v.rtx_pt ? w->rtx_ssrc : 0,
				     .nack = v.nack,
				     .pli = v.pli,
				     .fir = v.fir,
				     .twcc = v.twcc,
				     .remb = v.remb};
	snprintf(c.mid, sizeof(c.mid), "%s", v.mid);
	snprintf(c.cname, sizeof(c.cname), "%.*s", (int)sizeof(c.cname) - 1, w->pub->user->id);
	if (!w->sub)
		w->sub = media_new_id(m);
	media_sub_new(m, w->sub, &c);
}

int receive_answer(struct user *u, const char *text, size_t len, struct sdp_error *err)
{
	struct sdp *answer;

	if (!u->offer_unanswered)
		return -ENOENT;
	int ret = sdp_parse(&answer, text, len, err);
	if (ret < 0)
		return ret == -E2BIG ? -EBADMSG : ret;
	ret = sections_answer(u->sections, answer, err);
	if (!ret && sdp_transport_media(answer)) {
		ret = line_remote(&u->out, answer);
		if (ret == -EINVAL) {
			*err = (struct sdp_error){.reason = "no ICE credentials or fingerprint"};
			ret = -EPROTO;
		}
	}
	sdp_free(answer);
	if (ret < 0)
		return ret;
	u->offer_unanswered = false;
	set_extensions(u);
	list_each (i, &u->wants)
		send_to(u, container_of(i, struct want, user_link));
	return 0;
}
