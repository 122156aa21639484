/*
 * Writes JSON into a fixed buffer: for events, acknowledgements and replies on the hot path.
 * Bytes that are not UTF-8 become U+FFFD, so the result is always valid JSON text (RFC 8259).
 * After an overflow everything further is ignored and json_end() reports it. To read JSON, use
 * jansson, whose names json_object and json_array this keeps clear of.
 */
#ifndef MSR_BASE_JSON_H
#define MSR_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
	char *out;
	size_t cap, len;
	bool comma; /* the next member needs one */
	bool full;  /* something did not fit */
};

void json_start(struct json *j, char *out, size_t cap);

/* `key` is NULL inside arrays and for the outermost value. */
void json_obj(struct json *j, const char *key);
void json_obj_end(struct json *j);
void json_arr(struct json *j, const char *key);
void json_arr_end(struct json *j);
void json_str(struct json *j, const char *key, const char *value);
void json_strn(struct json *j, const char *key, const char *value, size_t len);
void json_int(struct json *j, const char *key, int64_t value);
void json_uint(struct json *j, const char *key, uint64_t value);
void json_bool(struct json *j, const char *key, bool value);
/* With `digits` after the point; infinities and NaN become null. */
void json_num(struct json *j, const char *key, double value, int digits);
/* `text` is JSON already. */
void json_raw(struct json *j, const char *key, const char *text);

/* The length without the NUL that follows the text, or -ENOBUFS when it did not fit. */
int json_end(struct json *j);

#endif
