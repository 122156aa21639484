/* Names and text by the Unicode character database (utf8proc). */
#include "text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define MARKS_MAX 2 /* combining marks in a row; more only serve to deface other lines */

/* Bytes before the first one that is not ASCII, eight at a time. */
static size_t ascii_prefix(const uint8_t *p, size_t n)
{
	size_t i = 0;
	uint64_t w;

	for (; i + 8 <= n; i += 8) {
		memcpy(&w, p + i, 8);
		if (w & 0x8080808080808080ULL)
			break;
	}
	while (i < n && p[i] < 0x80)
		i++;
	return i;
}

bool text_is_utf8(const void *data, size_t n)
{
	const uint8_t *p = data;
	utf8proc_int32_t c;

	for (;;) {
		size_t ascii = ascii_prefix(p, n);
		p += ascii;
		n -= ascii;
		if (!n)
			return true;
		utf8proc_ssize_t len = utf8proc_iterate(p, (utf8proc_ssize_t)n, &c);
		if (len <= 0)
			return false;
		p += len;
		n -= (size_t)len;
	}
}

/* Bytes of the character that begins with `lead`, 1 when nothing does. */
static size_t char_len(uint8_t lead)
{
	return lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
}

bool text_check(struct text_check *t, const void *data, size_t n)
{
	const uint8_t *p = data;

	while (t->n && n) {
		t->part[t->n++] = *p++;
		n--;
		if (t->n == char_len(t->part[0])) {
			if (!text_is_utf8(t->part, t->n))
				return false;
			t->n = 0;
		} else if ((p[-1] & 0xc0) != 0x80) {
			return false;
		}
	}
	/* An unfinished character at the end is one of the last three bytes. */
	for (size_t back = 1; back <= 3 && back <= n; back++) {
		if ((p[n - back] & 0xc0) == 0x80)
			continue;
		if (char_len(p[n - back]) > back) {
			n -= back;
			memcpy(t->part, p + n, back);
			t->n = back;
		}
		break;
	}
	return text_is_utf8(p, n);
}

/* Invisible, unassigned, or with an effect on the text around it. */
static bool is_hidden(utf8proc_int32_t c)
{
	switch (utf8proc_category(c)) {
	case UTF8PROC_CATEGORY_CC:
	case UTF8PROC_CATEGORY_CF:
	case UTF8PROC_CATEGORY_CS:
	case UTF8PROC_CATEGORY_CO:
	case UTF8PROC_CATEGORY_CN:
	case UTF8PROC_CATEGORY_ZL:
	case UTF8PROC_CATEGORY_ZP:
		return true;
	default:
		/* Hangul fillers, variation selectors; and the empty Braille pattern. */
		return utf8proc_get_property(c)->ignorable || c == 0x2800;
	}
}

static bool is_mark(utf8proc_int32_t c)
{
	utf8proc_category_t cat = utf8proc_category(c);

	return cat == UTF8PROC_CATEGORY_MN || cat == UTF8PROC_CATEGORY_ME;
}

/* The rules on the normalised name. */
static bool name_ok(const uint8_t *p, size_t n)
{
	int chars = 0, marks = 0;
	utf8proc_int32_t c, last = ' ';

	for (; n; chars++) {
		utf8proc_ssize_t len = utf8proc_iterate(p, (utf8proc_ssize_t)n, &c);
		if (len <= 0 || is_hidden(c))
			return false;
		/* No blank at the beginning, and none behind another. */
		if (utf8proc_category(c) == UTF8PROC_CATEGORY_ZS && (c != ' ' || last == ' '))
			return false;
		marks = is_mark(c) ? marks + 1 : 0;
		if (marks > MARKS_MAX || (marks && !chars))
			return false;
		last = c;
		p += len;
		n -= (size_t)len;
	}
	return chars >= 1 && chars <= NAME_CHARS && last != ' ';
}

int text_name(const char *in, size_t n, char out[static NAME_SIZE])
{
	utf8proc_uint8_t *nfc = NULL;

	/* NFC can shrink a name (by at most three times in UTF-8), so longer ones are hopeless;
	 * a NUL would end the name early. */
	if (!n || n > 4 * NAME_SIZE || memchr(in, 0, n))
		return -EINVAL;
	utf8proc_ssize_t len =
	    utf8proc_map((const utf8proc_uint8_t *)in, (utf8proc_ssize_t)n, &nfc,
			 (utf8proc_option_t)(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
	if (len < 0)
		return len == UTF8PROC_ERROR_NOMEM ? -ENOMEM : -EINVAL;
	int ret = len < NAME_SIZE && name_ok(nfc, (size_t)len) ? 0 : -EINVAL;
	if (!ret)
		memcpy(out, nfc, (size_t)len + 1);
	free(nfc);
	return ret;
}

void text_filename(const char *in, size_t n, char out[static FILENAME_SIZE])
{
	size_t used = 0;

	for (size_t i = n; i > 0; i--)
		if (in[i - 1] == '/' || in[i - 1] == '\\') {
			in += i;
			n -= i;
			break;
		}
	while (n) {
		utf8proc_int32_t c;
		utf8proc_ssize_t len =
		    utf8proc_iterate((const utf8proc_uint8_t *)in, (utf8proc_ssize_t)n, &c);
		const char *from = in;
		size_t add = len > 0 ? (size_t)len : 1;

		in += add;
		n -= add;
		if (len > 0 && is_hidden(c))
			continue;
		if (len <= 0 || (!used && (c == '.' || c == '-')))
			from = "_", add = 1;
		if (used + add >= FILENAME_SIZE)
			break;
		memcpy(out + used, from, add);
		used += add;
	}
	while (used && out[used - 1] == ' ')
		used--;
	if (!used) {
		memcpy(out, "file", 4);
		used = 4;
	}
	out[used] = '\0';
}

/* How a character is shown that must not reach the terminal as it is. */
static const char *stand_in(utf8proc_int32_t c, bool lines)
{
	static char caret[3] = "^?";

	if (c == '\n' || c == '\t')
		return lines ? NULL : " ";
	if (c < 0x20) {
		caret[1] = (char)(c + '@');
		return caret;
	}
	if (c == 0x7f)
		return "^?";
	/* The zero-width joiner and variation selectors only join emoji. */
	if (c == 0x200d || c == 0x200c || (c >= 0xfe00 && c <= 0xfe0f))
		return NULL;
	return is_hidden(c) ? "\xef\xbf\xbd" : NULL;
}

size_t text_visible(const char *in, size_t n, bool lines, char *out, size_t size)
{
	size_t used = 0;

	while (n) {
		utf8proc_int32_t c;
		utf8proc_ssize_t len =
		    utf8proc_iterate((const utf8proc_uint8_t *)in, (utf8proc_ssize_t)n, &c);
		const char *show = len > 0 ? stand_in(c, lines) : "\xef\xbf\xbd";
		size_t step = len > 0 ? (size_t)len : 1;
		size_t add = show ? strlen(show) : step;

		if (used + add >= size)
			break;
		memcpy(out + used, show ? show : in, add);
		used += add;
		in += step;
		n -= step;
	}
	out[used] = '\0';
	return used;
}

size_t text_width(const char *in, size_t n)
{
	size_t width = 0;

	while (n) {
		utf8proc_int32_t c;
		utf8proc_ssize_t len =
		    utf8proc_iterate((const utf8proc_uint8_t *)in, (utf8proc_ssize_t)n, &c);
		if (len > 0) {
			int w = utf8proc_charwidth(c);
			width += w > 0 ? (size_t)w : 0;
		}
		in += len > 0 ? len : 1;
		n -= len > 0 ? (size_t)len : 1;
	}
	return width;
}
