/* WHIP and WHEP sessions: their ids, and the fragments that they are sent. */
#include "session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/random.h"
#include "link.h"
#include "room.h"
#include "whep.h"

#define FRAG_CANDIDATES_MAX 64 /* of one fragment; clients send a handful */

static int keep_mids(struct session *ss, const struct sdp *offer)
{
	int ret = buf_append(&ss->mids, "\n", 1);

	for (unsigned i = 0; !ret && i < offer->n_media; i++)
		if (offer->media[i].mid)
			ret = buf_printf(&ss->mids, "%s\n", offer->media[i].mid);
	return ret;
}

int session_new(struct sfu *s, const struct sdp *offer, struct session **sp, struct fail *f)
{
	struct session *ss = calloc(1, sizeof(*ss));

	if (!ss)
		return fail_set(f, FAIL_NO_MEMORY, NULL);
	buf_init(&ss->mids, 0);
	random_hex(ss->id, (SESSION_ID_SIZE - 1) / 2);
	ss->sfu = s;
	ss->etag = 1;
	if (keep_mids(ss, offer) < 0 ||
	    map_put(&s->sessions, &ss->node, ss->id, strlen(ss->id)) < 0) {
		buf_done(&ss->mids);
		free(ss);
		return fail_set(f, FAIL_NO_MEMORY, NULL);
	}
	*sp = ss;
	return 0;
}

struct session *session_get(const struct sfu *s, const char *id)
{
	struct map_node *n = map_get(&s->sessions, id, strlen(id));

	return n ? container_of(n, struct session, node) : NULL;
}

void session_free(struct session *ss)
{
	if (!ss)
		return;
	map_remove(&ss->sfu->sessions, &ss->node);
	buf_done(&ss->mids);
	free(ss);
}

void session_end(struct session *ss)
{
	if (ss->user)
		user_free(ss->user, "ended");
	else
		viewer_free(ss->viewer);
}

static struct link *link_of(const struct session *ss)
{
	return ss->user ? ss->user->pub : viewer_link(ss->viewer);
}

/* What a fragment says; the strings lie in `text`. */
struct frag {
	char ufrag[257], pwd[257]; /* RFC 8839, section 5.4: at most 256 */
	const char *candidate[FRAG_CANDIDATES_MAX];
	size_t candidate_len[FRAG_CANDIDATES_MAX];
	size_t n;
	bool end;	    /* of candidates */
	char stranger[257]; /* the first mid that is of no section of the session; "": none */
};

/* Whether the offer had a section with that mid, or none at all. */
static bool knows_mid(const struct session *ss, const char *mid)
{
	char line[260];
	int n = snprintf(line, sizeof(line), "\n%s\n", mid);

	return buf_len(&ss->mids) == 1 ||
	       memmem(buf_data(&ss->mids), buf_len(&ss->mids), line, (size_t)n);
}

/* Copies the value of "a=NAME:value" if the line is that. Whether it was. */
static bool take(const char *line, size_t len, const char *name, char out[static 257])
{
	size_t n = strlen(name);

	if (len <= n || len - n > 256 || memcmp(line, name, n) != 0)
		return false;
	memcpy(out, line + n, len - n);
	out[len - n] = '\0';
	return true;
}

static void parse_frag(const struct session *ss, struct frag *fr, const char *p, size_t len)
{
	const char *end = p + len;
	char mid[257] = "";

	*fr = (struct frag){0};
	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		const char *stop = nl ? nl : end;
		size_t n = (size_t)(stop - p);
		if (n && p[n - 1] == '\r')
			n--;
		take(p, n, "a=ice-ufrag:", fr->ufrag);
		take(p, n, "a=ice-pwd:", fr->pwd);
		if (take(p, n, "a=mid:", mid) && !fr->stranger[0] && !knows_mid(ss, mid))
			memcpy(fr->stranger, mid, sizeof(mid));
		if (n > 12 && !memcmp(p, "a=candidate:", 12) && fr->n < FRAG_CANDIDATES_MAX) {
			fr->candidate[fr->n] = p;
			fr->candidate_len[fr->n++] = n;
		}
		fr->end |= n == 19 && !memcmp(p, "a=end-of-candidates", 19);
		p = stop + 1;
	}
}

/* One that cannot be read is of a kind that came after us, and is passed over (RFC 9725, section
 * 4.3.2); so is one that cannot be used. */
static int add_candidates(struct link *l, const struct frag *fr, struct fail *f)
{
	struct sdp *arena = sdp_new();
	int ret = arena ? 0 : -ENOMEM;

	for (size_t i = 0; i < fr->n && ret != -ENOMEM; i++) {
		struct sdp_candidate c;
		ret = sdp_parse_candidate(arena, fr->candidate[i], fr->candidate_len[i], &c);
		if (!ret)
			link_candidate(l, &c);
	}
	if (fr->end)
		link_candidates_end(l);
	sdp_free(arena);
	return ret == -ENOMEM ? fail_set(f, FAIL_NO_MEMORY, NULL) : 0;
}

/* Candidates stand below an m-line, as if in a description, with the mid they are of (RFC 8840,
 * section 9). */
static int write_frag(const struct session *ss, struct buf *b, struct fail *f)
{
	const char *mid;
	enum sdp_kind kind = SDP_AUDIO;
	struct sdp_local local;
	int ret;

	if (ss->user) {
		const struct sdp_media *m = sdp_transport_media(ss->user->pub_answer);
		mid = m && m->mid ? m->mid : "";
		kind = m ? m->kind : kind;
	} else {
		mid = viewer_mid(ss->viewer, &kind);
	}
	link_local(link_of(ss), &local);
	ret =
	    buf_printf(b, "m=%s 9 UDP/TLS/RTP/SAVPF 0\r\n", kind == SDP_VIDEO ? "video" : "audio");
	if (!ret && *mid)
		ret = buf_printf(b, "a=mid:%s\r\n", mid);
	if (!ret)
		ret = buf_printf(b, "a=ice-ufrag:%s\r\na=ice-pwd:%s\r\n", local.ufrag, local.pwd);
	for (unsigned i = 0; i < local.n_candidates && !ret; i++) {
		ret = buf_append(b, "a=", 2);
		if (!ret)
			ret = sdp_write_candidate(&local.candidates[i], b);
		if (!ret)
			ret = buf_append(b, "\r\n", 2);
	}
	if (!ret && local.end_of_candidates)
		ret = buf_printf(b, "a=end-of-candidates\r\n");
	return ret < 0 ? fail_set(f, FAIL_NO_MEMORY, NULL) : 0;
}

int session_patch(struct session *ss, const char *text, size_t len, struct buf *reply,
		  struct fail *f)
{
	struct link *l = link_of(ss);
	struct frag fr;
	int restarted = 0;

	parse_frag(ss, &fr, text, len);
	if (ss->user)
		user_touch(ss->user);
	if (!fr.n && !fr.ufrag[0] && !fr.end)
		return fail_set(f, FAIL_BAD_SDP,
				"the fragment has neither candidates nor credentials");
	if (fr.stranger[0])
		return fail_set(f, FAIL_BAD_SDP, "a=mid:%.64s is of no section of this session",
				fr.stranger);
	if (fr.ufrag[0] && link_is_restart(l, fr.ufrag)) {
		if (link_restart_with(l, fr.ufrag, fr.pwd, f) < 0)
			return -1;
		ss->etag++;
		restarted = 1;
	}
	if (add_candidates(l, &fr, f) < 0)
		return -1;
	if (restarted && write_frag(ss, reply, f) < 0)
		return -1;
	return restarted;
}
