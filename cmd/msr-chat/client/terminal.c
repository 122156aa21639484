/*
 * libedit edits the line; its reading of a character turns our loop meanwhile. Whatever is to be
 * shown then first wipes the line, is printed, and has libedit draw the line again below it.
 */
#include "terminal.h"

#include <errno.h>
#include <histedit.h>
#include <langinfo.h>
#include <limits.h>
#include <locale.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "answer.h"
#include "base/clock.h"
#include "client.h"
#include "complete.h"
#include "loop/loop.h"
#include "picture.h"

enum {
	HISTORY_LINES = 500,
	PROMPT_SIZE = 512,
	BAR = 20,	    /* characters of a progress bar */
	REDRAW_US = 100000, /* between two states of it */
};

struct terminal {
	struct client *client;
	EditLine *el;
	History *history;
	char history_path[PATH_MAX];
	struct loop_io *input;
	bool readable; /* standard input has something */
	bool asked;
	struct answer answer;	  /* to what we asked the terminal */
	uint8_t keys[ANSWER_MAX]; /* bytes read that turned out to be keys */
	size_t n_keys, keys_at;
	struct pictures *pictures;
	bool editing; /* the input line is on the screen */
	char prompt[PROMPT_SIZE];
	struct mono drawn; /* when the bar was drawn last */
	bool bar;
};

/* ---- the line on the screen ---- */

static int columns(void)
{
	struct winsize ws;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col ? ws.ws_col : 80;
}

static void wipe(struct terminal *t)
{
	if (!t->editing)
		return;
	const LineInfo *li = el_line(t->el);
	size_t width = text_width(t->prompt, strlen(t->prompt)) +
		       text_width(li->buffer, (size_t)(li->cursor - li->buffer));
	int up = (int)width / columns();
	if (up)
		printf("\033[%dA", up);
	printf("\r\033[J");
}

static void redraw(struct terminal *t)
{
	fflush(stdout);
	if (t->editing)
		el_set(t->el, EL_REFRESH);
}

void terminal_print(struct terminal *t, const char *lines)
{
	wipe(t);
	printf("%s\n", lines);
	redraw(t);
}

/* The drawing of a tool; it may end below its last row or in it. */
static void show_picture(void *arg, const char *bytes, size_t n)
{
	struct terminal *t = arg;

	wipe(t);
	fwrite(bytes, 1, n, stdout);
	if (bytes[n - 1] != '\n')
		putchar('\n');
	putchar('\r');
	redraw(t);
}

void terminal_picture(struct terminal *t, const char *path)
{
	pictures_draw(t->pictures, path, t->answer.graphics);
}

void terminal_bell(struct terminal *t)
{
	(void)t;
	putchar('\a');
	fflush(stdout);
}

static void plain_prompt(struct terminal *t)
{
	snprintf(t->prompt, sizeof(t->prompt), "%s> ", t->client->name);
}

void terminal_progress(struct terminal *t, const char *what, const char *name, uint64_t done,
		       uint64_t of)
{
	struct mono now = mono_now();
	char shown[64], bar[BAR + 1];

	if (done >= of) {
		if (!t->bar)
			return;
		wipe(t);
		t->bar = false;
		plain_prompt(t);
		redraw(t);
		return;
	}
	if (t->bar && mono_diff_us(now, t->drawn) < REDRAW_US)
		return;
	size_t full = (size_t)((double)done / (double)of * BAR);
	memset(bar, '#', full);
	memset(bar + full, '.', BAR - full);
	bar[BAR] = '\0';
	text_visible(name, strlen(name), false, shown, 24);
	wipe(t);
	snprintf(t->prompt, sizeof(t->prompt), "%s %s [%s] %d%% %s> ", what, shown, bar,
		 (int)((double)done / (double)of * 100), t->client->name);
	t->bar = true;
	t->drawn = now;
	redraw(t);
}

bool terminal_interrupt(struct terminal *t)
{
	const LineInfo *li = el_line(t->el);
	int n = (int)(li->lastchar - li->buffer);

	if (!t->editing || !n)
		return true;
	wipe(t);
	el_cursor(t->el, n);
	el_deletestr(t->el, n);
	redraw(t);
	return false;
}

void terminal_resize(struct terminal *t)
{
	el_resize(t->el);
	wipe(t);
	redraw(t);
}

/* ---- libedit's view ---- */

static struct terminal *of(EditLine *el)
{
	struct terminal *t;

	el_get(el, EL_CLIENTDATA, &t);
	return t;
}

static char *prompt(EditLine *el)
{
	return of(el)->prompt;
}

static void on_input(void *arg, int events)
{
	struct terminal *t = arg;

	(void)events;
	t->readable = true;
	loop_io_want(t->input, 0);
}

/* Whether it can show pictures. Once libedit has the terminal, or it would echo the answers. */
static void ask(struct terminal *t)
{
	if (t->asked || !t->client->set.images)
		return;
	t->asked = true;
	fputs(answer_ask(&t->answer, getenv("TERM")), stdout);
	fflush(stdout);
}

/* A byte of a key; meanwhile everything else continues. 0 at the end of the input or ours. */
static int read_byte(struct terminal *t, unsigned char *byte)
{
	ask(t);
	while (t->keys_at == t->n_keys) {
		while (!t->readable && !t->client->done)
			if (loop_turn(t->client->loop, -1) < 0)
				return 0;
		if (t->client->done)
			return 0;
		ssize_t n = read(STDIN_FILENO, byte, 1);
		t->readable = false;
		loop_io_want(t->input, LOOP_IN);
		if (!n || (n < 0 && errno != EINTR && errno != EAGAIN))
			return 0;
		t->keys_at = 0;
		t->n_keys = n > 0 ? answer_feed(&t->answer, *byte, t->keys) : 0;
	}
	*byte = t->keys[t->keys_at++];
	return 1;
}

static int read_char(EditLine *el, wchar_t *out)
{
	struct terminal *t = of(el);
	mbstate_t state = {0};
	unsigned char byte;

	for (int i = 0; i < MB_LEN_MAX; i++) {
		if (read_byte(t, &byte) <= 0)
			return 0;
		size_t got = mbrtowc(out, (char *)&byte, 1, &state);
		if (got == (size_t)-1) {
			state = (mbstate_t){0}; /* not a character: continue with the next byte */
			i = -1;
			continue;
		}
		if (got != (size_t)-2)
			return 1;
	}
	return 0;
}

/* Tab. */
static unsigned char on_tab(EditLine *el, int ch)
{
	struct terminal *t = of(el);
	const LineInfo *li = el_line(el);
	struct completion found;

	(void)ch;
	complete(t->client, li->buffer, (size_t)(li->cursor - li->buffer), &found);
	if (*found.insert) {
		el_deletestr(el, (int)found.erase);
		el_insertstr(el, found.insert);
	}
	if (*found.list) {
		terminal_print(t, found.list);
		return CC_NORM;
	}
	return *found.insert ? CC_REFRESH : CC_REFRESH_BEEP;
}

/* ---- life ---- */

static void load_history(struct terminal *t)
{
	const struct passwd *pw = getpwuid(getuid());
	const char *home = getenv("HOME");
	HistEvent ev;

	if (!home && pw)
		home = pw->pw_dir;
	history(t->history, &ev, H_SETSIZE, HISTORY_LINES);
	history(t->history, &ev, H_SETUNIQUE, 1);
	if (!home)
		return;
	snprintf(t->history_path, sizeof(t->history_path), "%s/.msr_chat_history", home);
	history(t->history, &ev, H_LOAD, t->history_path);
}

int terminal_open(struct terminal **tp, struct client *c)
{
	struct terminal *t = calloc(1, sizeof(*t));
	int ret = -ENOMEM;

	if (!t)
		return ret;
	t->client = c;
	/* Names and texts are UTF-8 whatever the locale says. */
	setlocale(LC_ALL, "");
	if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
		setlocale(LC_CTYPE, "C.UTF-8");
	plain_prompt(t);
	t->history = history_init();
	t->el = t->history ? el_init("msr-chat", stdin, stdout, stderr) : NULL;
	if (!t->el)
		goto fail;
	load_history(t);
	el_set(t->el, EL_CLIENTDATA, t);
	el_set(t->el, EL_PROMPT, prompt);
	el_set(t->el, EL_EDITOR, "emacs");
	el_set(t->el, EL_HIST, history, t->history);
	el_set(t->el, EL_GETCFN, read_char);
	el_set(t->el, EL_ADDFN, "msr-complete", "complete names, commands and paths", on_tab);
	el_set(t->el, EL_BIND, "^I", "msr-complete", NULL);
	el_set(t->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
	el_source(t->el, NULL);
	ret = loop_io_new(&t->input, c->loop, STDIN_FILENO, LOOP_IN, on_input, t);
	if (!ret)
		ret = pictures_new(&t->pictures, c->loop, show_picture, t);
	if (ret < 0)
		goto fail;
	*tp = t;
	return 0;
fail:
	terminal_close(t);
	return ret;
}

void terminal_close(struct terminal *t)
{
	HistEvent ev;

	if (!t)
		return;
	pictures_free(t->pictures);
	loop_io_free(t->input);
	if (t->history && *t->history_path)
		history(t->history, &ev, H_SAVE, t->history_path);
	if (t->el)
		el_end(t->el);
	if (t->history)
		history_end(t->history);
	free(t);
}

/* Takes back the line that was just entered: it is shown again as a message. */
static void take_back(struct terminal *t, const char *line)
{
	size_t width = text_width(t->prompt, strlen(t->prompt)) + text_width(line, strlen(line));

	printf("\033[%dA\r\033[J", (int)width / columns() + 1);
	fflush(stdout);
}

void terminal_run(struct terminal *t)
{
	struct client *c = t->client;
	HistEvent ev;
	int n;

	while (!c->done) {
		t->editing = true;
		const char *line = el_gets(t->el, &n);
		if (!line || n <= 0) {
			wipe(t);
			t->editing = false;
			if (!c->done)
				client_quit(c);
			while (!c->done)
				loop_turn(c->loop, -1);
			break;
		}
		t->editing = false;
		char *copy = strndup(line, strcspn(line, "\n"));
		if (!copy)
			continue;
		take_back(t, copy);
		if (*copy) {
			history(t->history, &ev, H_ENTER, copy);
			client_line(c, copy);
		}
		free(copy);
	}
	fflush(stdout);
}
