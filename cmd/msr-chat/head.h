/*
 * Headers: what clients put into them and what the server sends, and the error codes.
 */
#ifndef MSR_CHAT_HEAD_H
#define MSR_CHAT_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

enum chat_error {
	CHAT_OK,
	CHAT_ALREADY_LOGGED_IN,
	CHAT_BAD_HEADER,
	CHAT_BAD_TEXT,
	CHAT_BAD_TYPE,
	CHAT_BUSY,
	CHAT_FLOOD,
	CHAT_NO_SPACE,
	CHAT_RATE,
	CHAT_RATE_WARNING,
	CHAT_SERVER_FULL,
	CHAT_SHUTTING_DOWN,
	CHAT_TIMEOUT,
	CHAT_TOO_LARGE,
	CHAT_USER_NOT_FOUND,
	CHAT_ERRORS /* one behind the last */
};

/* The code of msr-chat(7), and the text that goes with it. */
const char *chat_error_code(enum chat_error e);
const char *chat_error_text(enum chat_error e);

enum { PASSWORD_SIZE = 256 };

struct login_head {
	char name[NAME_SIZE];
	char password[PASSWORD_SIZE]; /* "" when there is none */
	bool bad_password;	      /* there is something that cannot be anybody's */
	bool presence;
};
/* 0, or -EINVAL for a bad name. */
int head_login(const void *data, size_t n, struct login_head *out);

struct message_head {
	char to[NAME_SIZE];	      /* "" for everybody */
	char filename[FILENAME_SIZE]; /* "" when there is none */
};
/* The header of a message of `type` from a client. CHAT_OK, CHAT_BAD_HEADER, or
 * CHAT_USER_NOT_FOUND where `to` cannot be anybody's name. */
enum chat_error head_message(unsigned type, const void *data, size_t n, struct message_head *out);

/* What a client reads from the server's headers; absent strings are "". */
struct server_head {
	char from[NAME_SIZE], to[NAME_SIZE];
	char timestamp[64];
	char filename[FILENAME_SIZE];
	char error[64], message[512];
};
/* 0, or -EINVAL when it is not a JSON object or a member has a wrong type. */
int head_server(const void *data, size_t n, struct server_head *out);

#endif
