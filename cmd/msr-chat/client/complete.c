/* Candidates are visited one by one; what they have in common grows shorter. */
#include "complete.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "client.h"
#include "command.h"
#include "names.h"

/* What fits so far. */
struct fit {
	const char *word; /* what stands before the cursor */
	size_t len;
	bool argument;		    /* a name that ends at a blank unless it is in quotes */
	bool quoted;		    /* it is: the quote stands in front of `word` */
	size_t n;		    /* candidates that begin with it */
	char common[COMPLETE_SIZE]; /* what all of them begin with */
	char *list;
	size_t used;
};

static void candidate(struct fit *f, const char *text)
{
	size_t i = 0;

	if (strncmp(text, f->word, f->len) != 0 || strlen(text) >= sizeof(f->common))
		return;
	if (!f->n++) {
		strcpy(f->common, text);
	} else {
		while (text[i] && text[i] == f->common[i])
			i++;
		while (i && ((unsigned char)text[i] & 0xc0) == 0x80)
			i--; /* not inside a character */
		f->common[i] = '\0';
	}
	char visible[COMPLETE_SIZE];
	size_t len = text_visible(text, strlen(text), false, visible, sizeof(visible));
	if (f->used + len + 3 < COMPLETE_LIST)
		f->used += (size_t)snprintf(f->list + f->used, COMPLETE_LIST - f->used, "%s%s",
					    f->used ? "  " : "", visible);
}

/* The paths that begin with the word, which is not a pattern; "~/" stays as it is. */
static void paths(struct fit *f)
{
	const char *home = getenv("HOME");
	size_t tilde = f->len >= 2 && !strncmp(f->word, "~/", 2) && home ? strlen(home) : 0;
	char pattern[COMPLETE_SIZE], path[COMPLETE_SIZE];
	glob_t g = {0};
	size_t n = 0;

	if (2 * (tilde + f->len) + 2 >= sizeof(pattern))
		return;
	snprintf(path, sizeof(path), "%s%.*s", tilde ? home : "", (int)f->len - !!tilde,
		 f->word + !!tilde);
	for (const char *p = path; *p; p++) {
		if (strchr("*?[\\", *p))
			pattern[n++] = '\\';
		pattern[n++] = *p;
	}
	strcpy(pattern + n, "*");
	if (glob(pattern, GLOB_MARK, NULL, &g) == 0)
		for (size_t i = 0; i < g.gl_pathc; i++) {
			if (tilde)
				snprintf(path, sizeof(path), "~%s", g.gl_pathv[i] + tilde);
			candidate(f, tilde ? path : g.gl_pathv[i]);
		}
	globfree(&g);
}

static bool begins(const char *at, const char *end, const char *word)
{
	return (size_t)(end - at) >= strlen(word) && !strncmp(at, word, strlen(word));
}

static const char *skip_blanks(const char *at, const char *end)
{
	while (at < end && *at == ' ')
		at++;
	return at;
}

/* The name at `at`, an argument, is the word when the cursor is still in it; otherwise returns
 * what follows, else NULL. */
static const char *take_name(struct fit *f, const char *at, const char *end)
{
	bool quoted = at < end && *at == '"';
	const char *close = memchr(at + quoted, quoted ? '"' : ' ', (size_t)(end - at - quoted));

	if (close)
		return skip_blanks(close + 1, end);
	f->word = at + quoted;
	f->argument = true;
	f->quoted = quoted;
	return NULL;
}

enum kind { COMMANDS, PATHS, NAMES };

/* Where the word begins, and what it could become. */
static enum kind find_word(struct fit *f, const char *line, const char *end)
{
	static const char *const with_path[] = {"/file ", "/image ", "/voice ", "/save "};
	const char *at = NULL;

	for (size_t i = 0; i < sizeof(with_path) / sizeof(with_path[0]); i++)
		if (begins(line, end, with_path[i]))
			at = skip_blanks(line + strlen(with_path[i]), end);
	if (at && at < end && *at == '@' && !(at = take_name(f, at + 1, end)))
		return NAMES;
	f->word = at ? at : line;
	if (at)
		return PATHS;
	if (begins(line, end, "/msg ") && !take_name(f, skip_blanks(line + 5, end), end))
		return NAMES;
	for (at = line; at < end; at++)
		if (*at == ' ')
			f->word = at + 1;
	if (f->word == line && line < end && *line == '/')
		return COMMANDS;
	if (f->word < end && *f->word == '@')
		f->word++;
	return NAMES;
}

static void visit(struct fit *f, enum kind kind, const struct names *names)
{
	if (kind == PATHS)
		paths(f);
	for (size_t i = 0; kind == COMMANDS && command_name(i); i++)
		candidate(f, command_name(i));
	for (size_t i = 0; kind == NAMES && i < names_count(names); i++)
		candidate(f, names_at(names, i));
}

static size_t characters(const char *text, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += ((unsigned char)text[i] & 0xc0) != 0x80;
	return count;
}

void complete(struct client *c, const char *line, size_t len, struct completion *out)
{
	struct fit f = {.list = out->list};

	out->erase = 0;
	*out->insert = *out->list = '\0';
	enum kind kind = find_word(&f, line, line + len);
	f.len = (size_t)(line + len - f.word);
	visit(&f, kind, c->names);
	const char *after = kind == NAMES && f.word == line ? ": " : " ";
	size_t n = strlen(f.common);
	if (!f.n || (n == f.len && f.n > 1))
		return;
	bool folder = f.n == 1 && n && f.common[n - 1] == '/';
	bool quote = f.quoted || (f.argument && strchr(f.common, ' '));
	out->erase = characters(f.word, f.len) + f.quoted;
	snprintf(out->insert, sizeof(out->insert), "%s%s%s%s", quote ? "\"" : "", f.common,
		 quote && f.n == 1 ? "\"" : "", f.n == 1 && !folder ? after : "");
	*out->list = '\0';
}
