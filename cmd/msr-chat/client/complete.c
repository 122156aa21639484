/* Candidates are visited one by one; what they have in common grows shorter. */
#include "complete.h"

#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "client.h"
#include "command.h"
#include "names.h"

/* What fits so far. */
struct fit {
	const char *word; /* what stands before the cursor */
	size_t len;
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

static void paths(struct fit *f)
{
	char pattern[COMPLETE_SIZE];
	glob_t g = {0};

	if (f->len + 2 >= sizeof(pattern) || memchr(f->word, '*', f->len))
		return;
	snprintf(pattern, sizeof(pattern), "%.*s*", (int)f->len, f->word);
	if (glob(pattern, GLOB_MARK, NULL, &g) == 0)
		for (size_t i = 0; i < g.gl_pathc; i++)
			candidate(f, g.gl_pathv[i]);
	globfree(&g);
}

static bool begins(const char *line, size_t len, const char *word)
{
	return len >= strlen(word) && !strncmp(line, word, strlen(word));
}

void complete(struct client *c, const char *line, size_t len, char insert[static COMPLETE_SIZE],
	      char list[static COMPLETE_LIST])
{
	struct fit f = {.word = line, .list = list};
	bool files = begins(line, len, "/file ") || begins(line, len, "/image ") ||
		     begins(line, len, "/voice ") || begins(line, len, "/save ");
	const char *after = " ";

	*insert = *list = '\0';
	for (size_t i = 0; i < len; i++)
		if (line[i] == ' ')
			f.word = line + i + 1;
	f.len = (size_t)(line + len - f.word);
	if (f.word == line && len && *line == '/') {
		for (size_t i = 0; command_name(i); i++)
			candidate(&f, command_name(i));
	} else if (files && (!f.len || *f.word != '@')) {
		paths(&f);
	} else {
		if (f.len && *f.word == '@') {
			f.word++;
			f.len--;
		} else if (f.word == line) {
			after = ": ";
		}
		for (size_t i = 0; i < names_count(c->names); i++)
			candidate(&f, names_at(c->names, i));
	}
	if (!f.n)
		return;
	size_t n = strlen(f.common);
	if (n > f.len || f.n == 1) {
		bool folder = f.n == 1 && n && f.common[n - 1] == '/';
		snprintf(insert, COMPLETE_SIZE, "%s%s", f.common + f.len,
			 f.n == 1 && !folder ? after : "");
		*list = '\0';
	}
}
