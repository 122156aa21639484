/* WHIP (RFC 9725) and WHEP: publishing and playing with one HTTP request. */
#include "api.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "../room/session.h"
#include "../room/whep.h"
#include "base/buf.h"

#define SDP_TYPE  "application/sdp"
#define FRAG_TYPE "application/trickle-ice-sdpfrag"
#define RETRY_S	  "2" /* seconds after which a player may ask again */

/* Parameters behind a semicolon do not matter. False: replied. */
static bool has_type(struct web_req *req, const char *type)
{
	const char *got = web_header(req, "content-type");
	size_t n = strlen(type);

	if (got && !strncasecmp(got, type, n) && (!got[n] || strchr("; \t", got[n])))
		return true;
	web_reply_error(req, 415, "media_type", "the Content-Type is %s", type);
	return false;
}

/* The room of the path, or NULL. A user named behind it has shown a sign of life, whatever becomes
 * of the call. */
static struct room *named_room(struct sfu *sfu, struct web_req *req)
{
	struct room *r = room_get(sfu, web_param(req, "room"));
	struct user *u = r ? user_get(r, web_param(req, "user")) : NULL;

	if (u)
		user_touch(u);
	return r;
}

static void reply_session(struct web_req *req, const struct session *ss, const struct buf *answer)
{
	web_reply_header(req, "Location", "/sessions/%s", ss->id);
	web_reply_header(req, "ETag", "\"%llu\"", (unsigned long long)ss->etag);
	web_reply_header(req, "Accept-Patch", FRAG_TYPE);
	web_reply(req, 201, SDP_TYPE, buf_data(answer), buf_len(answer));
}

static void post_whip(void *arg, struct web_req *req)
{
	struct sfu *sfu = arg;
	struct room *r = named_room(sfu, req);
	bool made = !r;
	struct buf answer;
	struct user *u;
	struct fail f;
	size_t len;
	const char *offer = web_body(req, &len);

	if (!has_type(req, SDP_TYPE) || !path_id(req, "room") || !path_id(req, "user"))
		return;
	if (made && room_new(sfu, web_param(req, "room"), &r, &f) < 0) {
		reply_fail(req, &f);
		return;
	}
	buf_init(&answer, 0);
	if (user_publish(r, web_param(req, "user"), offer, len, &u, &answer, &f) == 0) {
		offer_refresh_room(r, u, NULL, NULL);
		if (made)
			room_end_when_empty(r);
		reply_session(req, u->session, &answer);
	} else {
		reply_fail(req, &f);
		if (made)
			room_free(r, "failed");
	}
	buf_done(&answer);
}

static void post_whep(void *arg, struct web_req *req)
{
	const char *user = web_param(req, "user");
	struct room *r = named_room(arg, req);
	struct session *ss;
	struct fail f;
	struct buf answer;
	size_t len;
	const char *offer = web_body(req, &len);

	if (!has_type(req, SDP_TYPE) || !path_id(req, "room") || (*user && !path_id(req, "user")))
		return;
	buf_init(&answer, 0);
	int ret = r ? viewer_new(r, *user ? user : NULL, offer, len, &answer, &ss, &f)
		    : fail_set(&f, FAIL_NOT_PUBLISHING, NULL);
	if (ret == 0) {
		reply_session(req, ss, &answer);
	} else {
		if (f.code == FAIL_NOT_PUBLISHING)
			web_reply_header(req, "Retry-After", RETRY_S);
		reply_fail(req, &f);
	}
	buf_done(&answer);
}

static struct session *path_session(struct sfu *sfu, struct web_req *req)
{
	struct session *ss = session_get(sfu, web_param(req, "session"));

	if (!ss)
		web_reply_error(req, 404, "not_found", "there is no such session; it has ended");
	return ss;
}

/* Whether a list of entity tags has this one, compared strongly (RFC 9110, section 8.8.3.2). */
static bool etag_listed(const char *list, const char *etag)
{
	size_t n = strlen(etag);

	while (*(list += strspn(list, " \t,"))) {
		bool weak = !strncmp(list, "W/", 2);
		const char *tag = list + 2 * weak, *end = *tag == '"' ? strchr(tag + 1, '"') : NULL;
		if (!end)
			return false;
		list = end + 1;
		if (!weak && (size_t)(list - tag) == n && !memcmp(tag, etag, n))
			return true;
	}
	return false;
}

/*
 * RFC 9725, section 4.3.1: trickling names the ICE session it belongs to; a restart names any, with
 * the asterisk in quotes in the RFC's own examples. False: replied.
 */
static bool etag_matches(struct web_req *req, const struct session *ss)
{
	const char *want = web_header(req, "if-match");
	char etag[32];

	snprintf(etag, sizeof(etag), "\"%llu\"", (unsigned long long)ss->etag);
	if (!want || !strcmp(want, "*") || !strcmp(want, "\"*\"") || etag_listed(want, etag))
		return true;
	web_reply_error(req, 412, "etag", "the ICE session has changed; its ETag is %s", etag);
	return false;
}

static void patch_session(void *arg, struct web_req *req)
{
	struct session *ss = path_session(arg, req);
	struct buf reply;
	struct fail f;
	size_t len;
	const char *frag = web_body(req, &len);

	if (!ss || !has_type(req, FRAG_TYPE) || !etag_matches(req, ss))
		return;
	buf_init(&reply, 0);
	int ret = session_patch(ss, frag, len, &reply, &f);
	if (ret < 0) {
		reply_fail(req, &f);
	} else if (ret == 0) {
		web_reply(req, 204, NULL, NULL, 0);
	} else {
		web_reply_header(req, "ETag", "\"%llu\"", (unsigned long long)ss->etag);
		web_reply(req, 200, FRAG_TYPE, buf_data(&reply), buf_len(&reply));
	}
	buf_done(&reply);
}

static void delete_session(void *arg, struct web_req *req)
{
	struct session *ss = path_session(arg, req);

	if (!ss)
		return;
	session_end(ss);
	web_reply(req, 200, NULL, NULL, 0);
}

void whip_routes(struct web_server *s, struct sfu *sfu)
{
	static const struct {
		const char *pattern;
		web_handler *handler;
	} endpoints[] = {
	    {"/whip/:room/:user", post_whip},
	    {"/whep/:room", post_whep},
	    {"/whep/:room/:user", post_whep},
	};

	for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++) {
		web_route(s, "POST", endpoints[i].pattern, BODY_MAX, endpoints[i].handler, sfu);
		web_accept_post(s, endpoints[i].pattern, SDP_TYPE);
	}
	web_route(s, "PATCH", "/sessions/:session", BODY_MAX, patch_session, sfu);
	web_route(s, "DELETE", "/sessions/:session", 0, delete_session, sfu);
}
