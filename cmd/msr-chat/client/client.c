/* msr-chat client: options, and what happens between terminal or pipe and the network. */
#include "client.h"

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../address.h"
#include "../commands.h"
#include "base/log.h"
#include "base/opt.h"
#include "command.h"
#include "inbox.h"
#include "loop/loop.h"
#include "names.h"
#include "net.h"
#include "pipe.h"
#include "show.h"
#include "terminal.h"
#include "voice.h"

static struct client_settings set = {
    .address = DEFAULT_ADDRESS ":" DEFAULT_PORT,
    .save_dir = ".",
    .max_file = 1LL << 30,
    .images = true,
    .commands = true,
};

static const struct opt options[] = {
    {'a', "address", OPT_STR, &set.address, "MSR_CHAT_ADDRESS", "ADDR[:PORT]",
     "the server (127.0.0.1:8080)", 0, 0},
    {'u', "username", OPT_STR, &set.username, "MSR_CHAT_USERNAME", "NAME", "your name", 0, 0},
    {'d', "save-directory", OPT_STR, &set.save_dir, "MSR_CHAT_SAVE_DIRECTORY", "DIR",
     "where received files go (.)", 0, 0},
    {'j', "json", OPT_FLAG, &set.json, NULL, NULL, "write JSON lines", 0, 0},
    {0, "password-from", OPT_STR, &set.password_file, NULL, "FILE",
     "send its first line as password", 0, 0},
    {0, "reconnect", OPT_FLAG, &set.reconnect, NULL, NULL,
     "try again when the connection is lost (in a terminal)", 0, 0},
    {0, "commands", OPT_FLAG, &set.commands, NULL, NULL,
     "a line that begins with a slash is a command (yes)", 0, 0},
    {0, "wait", OPT_TIME, &set.wait, NULL, "TIME",
     "in a pipe: stay this long after the input ends (0)", 0, INT64_MAX},
    {0, "max-file", OPT_SIZE, &set.max_file, NULL, "SIZE", "save no larger files (1G)", 0,
     INT64_MAX},
    {0, "bell", OPT_FLAG, &set.bell, NULL, NULL, "ring for private messages", 0, 0},
    {0, "color", OPT_FLAG, &set.color, NULL, NULL, "use colours (in a terminal)", 0, 0},
    {0, "images", OPT_FLAG, &set.images, NULL, NULL, "show pictures where the terminal can (yes)",
     0, 0},
    {0, "voice-command", OPT_STR, &set.voice_command, "MSR_CHAT_VOICE_COMMAND", "CMD",
     "what /voice runs to record", 0, 0},
    {0, "tls", OPT_FLAG, &set.tls, NULL, NULL, "speak TLS", 0, 0},
    {0, "ca", OPT_STR, &set.ca, NULL, "FILE", "trust these certificates", 0, 0},
    {0},
};

static const struct opt_program program = {
    .name = "msr-chat client",
    .usage = "[-a ADDRESS:PORT] [-u NAME] [OPTION ...]",
    .summary = "Chats in the terminal, or from a pipe: one line in, one message out.",
    .opts = options,
};

/* What only this file needs besides the shared state. */
struct program {
	struct client client;
	struct pipe_input *pipe; /* or NULL: a terminal */
	struct loop_timer wait;	 /* --wait */
	bool ready_once, quitting;
	bool told_to_end; /* by a signal: the next one ends at once */
};

static struct program *program_of(struct client *c)
{
	return (struct program *)c; /* its first member */
}

void client_ready(struct client *c)
{
	struct program *p = program_of(c);

	p->ready_once = true;
	show_state(c, "login", "name", c->name);
	if (p->pipe)
		pipe_start(p->pipe);
}

void client_lost(struct client *c, const char *why, bool final)
{
	struct program *p = program_of(c);

	if (final) {
		/* An empty reason is the proper end. */
		if (*why) {
			char what[256];
			snprintf(what, sizeof(what), "not connected to %s", c->set.address);
			show_error(c, why, p->ready_once ? "connection lost" : what);
			c->failed = true;
		}
		c->done = true;
		loop_wake(c->loop);
		return;
	}
	show_state(c, "disconnect", "reason", why);
}

void client_line(struct client *c, const char *line)
{
	if (!program_of(c)->quitting)
		command_line(c, line);
}

static void on_wait(void *arg)
{
	struct client *c = arg;

	net_finish(c->net);
}

void client_quit(struct client *c)
{
	struct program *p = program_of(c);

	if (p->quitting)
		return;
	p->quitting = true;
	if (p->pipe && c->set.wait && !p->told_to_end)
		loop_timer_in_us(&p->wait, c->set.wait);
	else
		net_finish(c->net);
}

/* Whatever is left. */
static void leave(struct program *p)
{
	struct client *c = &p->client;

	if (net_has_unsent(c->net) || (p->pipe && pipe_has_more(p->pipe)))
		show_error(c, "not everything was sent", "interrupted");
	c->done = true;
}

/* What was read so far is still sent. */
static void finish(struct program *p)
{
	struct client *c = &p->client;

	p->told_to_end = true;
	loop_timer_stop(&p->wait);
	if (p->quitting)
		net_finish(c->net);
	else if (p->pipe)
		pipe_end(p->pipe);
	else
		client_quit(c);
}

static void on_signal(void *arg, int sig)
{
	struct program *p = arg;
	struct client *c = &p->client;

	if (sig == SIGWINCH) {
		if (c->term)
			terminal_resize(c->term);
		return;
	}
	if (sig == SIGINT && c->term && !terminal_interrupt(c->term))
		return;
	if (p->told_to_end || !net_connected(c->net))
		leave(p);
	else
		finish(p);
}

static int take_username(struct client *c)
{
	const struct passwd *pw = getpwuid(getuid());
	const char *name = set.username ? set.username : pw ? pw->pw_name : "";

	if (text_name(name, strlen(name), c->name) == 0)
		return 0;
	return opt_usage(
	    &program,
	    "'%s' is not a valid user name: 1 to 32 visible characters, no blanks at the "
	    "ends; choose one with --username",
	    name);
}

static int start(struct program *p, bool terminal)
{
	static const int sigs[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH, 0};
	struct client *c = &p->client;
	int ret;

	signal(SIGPIPE, SIG_IGN);
	if ((ret = loop_new(&c->loop)) || (ret = loop_signals(c->loop, sigs, on_signal, p)) ||
	    (ret = names_new(&c->names)) || (ret = inbox_new(&c->inbox, c)))
		return ret;
	loop_timer_init(&p->wait, c->loop, on_wait, c);
	ret = terminal ? terminal_open(&c->term, c) : pipe_open(&p->pipe, c);
	if (ret)
		return ret;
	return net_open(&c->net, c);
}

static void stop(struct program *p)
{
	struct client *c = &p->client;

	voice_free(c->voice);
	net_close(c->net);
	terminal_close(c->term);
	c->term = NULL;
	pipe_close(p->pipe);
	inbox_free(c->inbox);
	names_free(c->names);
	loop_free(c->loop);
}

int client_main(int argc, char **argv)
{
	bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	struct program p = {0};
	struct client *c = &p.client;
	int next;

	const char *no_color = getenv("NO_COLOR"); /* no-color.org: counts unless it is empty */
	set.color = terminal && !(no_color && *no_color);
	set.reconnect = terminal;
	enum opt_result parsed = opt_parse(&program, argc, argv, &next);
	if (parsed != OPT_OK)
		return (int)parsed;
	if (next < argc)
		return opt_usage(&program, "'%s' is one argument too many", argv[next]);
	int ret = take_username(c);
	if (ret)
		return ret;
	c->set = set;
	ret = start(&p, terminal && !set.json);
	if (ret == -ENOMEM)
		log_error("out of memory");
	if (!ret && c->term) {
		show_info(c, "msr-chat: /help lists the commands");
		terminal_run(c->term);
	}
	while (!ret && !c->done)
		ret = loop_turn(c->loop, -1);
	stop(&p);
	return ret || c->failed ? 1 : 0;
}
