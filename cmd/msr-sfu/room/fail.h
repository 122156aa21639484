/* What a call to the interface can fail with: one table for code, status and manual. */
#ifndef MSR_SFU_ROOM_FAIL_H
#define MSR_SFU_ROOM_FAIL_H

/*      name           code                status  default message */
#define FAILS(X)                                                                                 \
	X(BAD_JSON, "bad_json", 400, "the body is not JSON of the expected shape")               \
	X(BAD_ID, "bad_id", 400, "")                                                             \
	X(BAD_SDP, "bad_sdp", 400, "the session description cannot be used")                     \
	X(BAD_REQUEST, "bad_request", 400, "a member is missing or has an unknown value")        \
	X(NO_ROOM, "no_room", 404, "there is no such room")                                      \
	X(NO_USER, "no_user", 404, "there is no such user in the room")                          \
	X(NOT_FOUND, "not_found", 404, "there is no such resource")                              \
	X(NOT_PUBLISHING, "not_publishing", 404, "nobody publishes yet")                         \
	X(ROOM_EXISTS, "room_exists", 409, "the room id is taken")                               \
	X(USER_EXISTS, "user_exists", 409, "the user id is taken; say {\"replace\": true}")      \
	X(NO_OFFER, "no_offer", 409, "nothing was offered that could be answered")               \
	X(STALE_OFFER, "stale_offer", 409, "the offer was replaced; answer this one")            \
	X(OTHER_CONNECTION, "other_connection", 409,                                             \
	  "a=fingerprint is not that of the PeerConnection before; take the user over with "     \
	  "{\"replace\": true}")                                                                 \
	X(CONNECTION_ENDED, "connection_ended", 409,                                             \
	  "the receiving connection has ended; take the user over with {\"replace\": true}")     \
	X(ETAG, "etag", 412, "the session has changed meanwhile")                                \
	X(MEDIA_TYPE, "media_type", 415, "another Content-Type is expected")                     \
	X(NO_PORTS, "no_ports", 503, "every media port is in use; try again when somebody left") \
	X(LIMIT, "limit", 503, "a limit of the server is reached")                               \
	X(NO_MEMORY, "no_memory", 503, "out of memory")

enum fail_code {
	FAIL_NONE,
#define FAIL_ENUM(name, code, status, text) FAIL_##name,
	FAILS(FAIL_ENUM)
#undef FAIL_ENUM
	    FAIL_CODES
};

/* Filled by whatever returns -1 with a `struct fail *`. */
struct fail {
	enum fail_code code;
	char text[192]; /* for people */
};

/* Sets the code with a message of its own (NULL: the default). Returns -1, so callers can write
 * `return fail_set(...)`. */
int fail_set(struct fail *f, enum fail_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

const char *fail_name(enum fail_code code);
int fail_status(enum fail_code code);

#endif
