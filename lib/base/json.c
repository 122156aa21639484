/* The bounded JSON writer. */
#include "json.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "utf8.h"

static void put(struct json *j, const char *s, size_t n)
{
	if (j->full || j->cap - j->len <= n) {
		j->full = true;
		return;
	}
	memcpy(j->out + j->len, s, n);
	j->len += n;
}

static void put_string(struct json *j, const char *s, size_t n)
{
	put(j, "\"", 1);
	while (n && !j->full) {
		unsigned char c = (unsigned char)*s;
		size_t len = utf8_len((const unsigned char *)s, n);
		char esc[8];

		if (c == '"' || c == '\\') {
			esc[0] = '\\';
			esc[1] = (char)c;
			put(j, esc, 2);
		} else if (c < 0x20 || c == 0x7f) {
			snprintf(esc, sizeof(esc), "\\u%04x", c);
			put(j, esc, 6);
		} else if (!len) {
			put(j, "\xef\xbf\xbd", 3);
		} else {
			put(j, s, len);
		}
		s += len ? len : 1;
		n -= len ? len : 1;
	}
	put(j, "\"", 1);
}

/* The comma and the key in front of a value. */
static void lead(struct json *j, const char *key)
{
	if (j->comma)
		put(j, ",", 1);
	if (key) {
		put_string(j, key, strlen(key));
		put(j, ":", 1);
	}
	j->comma = true;
}

static void __attribute__((format(printf, 3, 4)))
value(struct json *j, const char *key, const char *fmt, ...)
{
	char text[64];
	va_list ap;

	lead(j, key);
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(text))
		j->full = true;
	else
		put(j, text, (size_t)n);
}

static void open_with(struct json *j, const char *key, const char *bracket)
{
	lead(j, key);
	put(j, bracket, 1);
	j->comma = false;
}

static void close_with(struct json *j, const char *bracket)
{
	put(j, bracket, 1);
	j->comma = true;
}

void json_start(struct json *j, char *out, size_t cap)
{
	*j = (struct json){.out = out, .cap = cap};
}

void json_obj(struct json *j, const char *key)
{
	open_with(j, key, "{");
}

void json_obj_end(struct json *j)
{
	close_with(j, "}");
}

void json_arr(struct json *j, const char *key)
{
	open_with(j, key, "[");
}

void json_arr_end(struct json *j)
{
	close_with(j, "]");
}

void json_strn(struct json *j, const char *key, const char *s, size_t len)
{
	lead(j, key);
	put_string(j, s, len);
}

void json_str(struct json *j, const char *key, const char *s)
{
	json_strn(j, key, s, strlen(s));
}

void json_int(struct json *j, const char *key, int64_t v)
{
	value(j, key, "%" PRId64, v);
}

void json_uint(struct json *j, const char *key, uint64_t v)
{
	value(j, key, "%" PRIu64, v);
}

void json_bool(struct json *j, const char *key, bool v)
{
	value(j, key, "%s", v ? "true" : "false");
}

void json_num(struct json *j, const char *key, double v, int digits)
{
	if (isfinite(v))
		value(j, key, "%.*f", digits, v);
	else
		value(j, key, "null");
}

void json_raw(struct json *j, const char *key, const char *text)
{
	lead(j, key);
	put(j, text, strlen(text));
}

int json_end(struct json *j)
{
	if (j->full || !j->cap)
		return -ENOBUFS;
	j->out[j->len] = '\0';
	return (int)j->len;
}
