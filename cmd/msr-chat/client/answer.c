/* Questions about pictures, and a filter for the answers. */
#include "answer.h"

#include <string.h>

#define ESC 0x1b

/* A picture of one pixel that is only checked, not shown. */
#define ASK_KITTY      "\033_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\033\\"
#define ASK_ATTRIBUTES "\033[c"

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

const char *answer_ask(struct answer *a, const char *term)
{
	*a = (struct answer){0};
	if (!term || !*term || !strcmp(term, "dumb"))
		return "";
	a->waiting = true;
	/* The console shows the first question; multiplexers take it for a title. */
	if (!strcmp(term, "linux") || begins(term, "screen") || begins(term, "tmux"))
		return ASK_ATTRIBUTES;
	return ASK_KITTY ASK_ATTRIBUTES;
}

/* "?62;4;22": is 4 among the attributes? */
static bool has_sixel(const uint8_t *p, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (p[i] == '4' && (p[i - 1] == ';' || p[i - 1] == '?') &&
		    (i + 1 == n || p[i + 1] == ';'))
			return true;
	return false;
}

static bool contains(const uint8_t *p, size_t n, const char *what)
{
	return memmem(p, n, what, strlen(what)) != NULL;
}

/* What the held bytes are: 1 a whole answer, 0 perhaps the beginning of one, -1 none. */
static int judge(struct answer *a)
{
	const uint8_t *p = a->held;
	uint8_t last = p[a->n - 1];

	if (p[0] != ESC || a->n == ANSWER_MAX)
		return -1;
	if (a->n == 1)
		return 0;
	if (p[1] == '_') {
		if (a->n == 3 && last != 'G')
			return -1;
		if (a->n < 5 || last != '\\' || p[a->n - 2] != ESC)
			return 0;
		if (contains(p, a->n, ";OK"))
			a->graphics = GRAPHICS_KITTY;
		return 1;
	}
	if (p[1] != '[' || (a->n == 3 && last != '?'))
		return -1;
	if (a->n <= 3 || last == ';' || (last >= '0' && last <= '9'))
		return 0;
	if (last != 'c')
		return -1;
	if (a->graphics == GRAPHICS_NONE && has_sixel(p + 2, a->n - 3))
		a->graphics = GRAPHICS_SIXEL;
	a->waiting = false;
	return 1;
}

size_t answer_feed(struct answer *a, uint8_t byte, uint8_t keys[static ANSWER_MAX])
{
	size_t n = 0;

	if (!a->waiting) {
		keys[0] = byte;
		return 1;
	}
	/* A new escape sequence in place of the end of one: what was held are keys. */
	bool in_string = a->n > 1 && a->held[1] == '_';
	if (byte == ESC && a->n && !in_string) {
		memcpy(keys, a->held, a->n);
		n = a->n;
		a->n = 0;
	}
	a->held[a->n++] = byte;
	int verdict = judge(a);
	if (verdict < 0) {
		memcpy(keys + n, a->held, a->n);
		n += a->n;
	}
	if (verdict)
		a->n = 0;
	return n;
}
