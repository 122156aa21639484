/*
 * The interface over HTTP: routes to the room layer. rest.c: rooms and users; subscription.c: what
 * users want to receive; sse.c: event streams; whip.c: WHIP and WHEP; body.c: what requests and
 * replies have in common.
 */
#ifndef MSR_SFU_API_API_H
#define MSR_SFU_API_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "../room/room.h"
#include "web/http.h"

#define BODY_MAX (256u << 10) /* bytes, as the manual says */

void rest_routes(struct web_server *s, struct sfu *sfu);
void sse_routes(struct web_server *s, struct sfu *sfu);
void subscription_routes(struct web_server *s, struct sfu *sfu);
void whip_routes(struct web_server *s, struct sfu *sfu);

/* ---- requests ---- */

/* The body as an object, owned; an empty body is an empty object. NULL: replied with bad_json. */
json_t *body_object(struct web_req *req);
/*
 * Member `key` as SDP text: a string, or an object with a string `sdp`. Lent by `body`. NULL:
 * replied with bad_request.
 */
const char *body_sdp(struct web_req *req, json_t *body, const char *key, size_t *len);

/*
 * The room or user that the path names. NULL: replied with bad_id, no_room or no_user. The user's
 * clock starts again, whatever becomes of the call.
 */
struct room *path_room(struct sfu *sfu, struct web_req *req);
struct user *path_user(struct sfu *sfu, struct web_req *req);
/* Whether the path parameter is an id; otherwise replied with bad_id. */
bool path_id(struct web_req *req, const char *name);

/* ---- replies ---- */

void reply_fail(struct web_req *req, const struct fail *f);
/* As JSON; takes `obj`. */
void reply_object(struct web_req *req, int status, json_t *obj);
/* {"users": {id: {"audio", "video"}}, "max_kbps"}: what the user wants to receive. */
json_t *subscription_json(const struct user *u);
/* {"id", "offer", "offer_id"} of a user, or NULL without memory. */
json_t *outbound_json(const struct user *u);
/* Makes new offers in the room and returns those as an array. */
json_t *outbound_of(struct room *r, const struct user *except);

#endif
