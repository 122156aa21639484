/* The table of commands and what they do. */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../proto.h"
#include "client.h"
#include "media.h"
#include "net.h"
#include "show.h"
#include "voice.h"

struct command {
	const char *name, *args, *help;
	void (*run)(struct client *c, const char *args);
};

static const char *skip_blanks(const char *p)
{
	while (*p == ' ')
		p++;
	return p;
}

/* The name at *p, in double quotes if it has blanks; moves behind it. 0 or -EINVAL. */
static int take_name(const char **p, char out[static NAME_SIZE])
{
	const char *at = skip_blanks(*p), *end;
	bool quoted = *at == '"';

	if (quoted)
		at++;
	end = at + strcspn(at, quoted ? "\"" : " ");
	if (quoted && !*end)
		return -EINVAL;
	int ret = text_name(at, (size_t)(end - at), out);
	*p = skip_blanks(quoted ? end + 1 : end);
	return ret;
}

/* "@name " in front of a path. */
static int take_receiver(const char **p, char out[static NAME_SIZE])
{
	*out = '\0';
	*p = skip_blanks(*p);
	if (**p != '@')
		return 0;
	++*p;
	return take_name(p, out);
}

static void run_msg(struct client *c, const char *args)
{
	char to[NAME_SIZE];

	if (take_name(&args, to) < 0 || !*args) {
		show_error(c, "say /msg NAME TEXT, names with blanks in double quotes", "/msg");
		return;
	}
	if (net_text(c->net, to, args, strlen(args)) < 0)
		show_error(c, "out of memory", "/msg");
	else
		show_own(c, to, args);
}

void command_send(struct client *c, unsigned type, const char *to, const char *name, int fd)
{
	char visible[FILENAME_SIZE];
	int ret = net_file(c->net, type, to, name, fd);

	text_visible(name, strlen(name), false, visible, sizeof(visible));
	if (ret < 0)
		show_error(c, ret == -EINVAL ? "not a regular file" : strerror(-ret), name);
	else
		show_info(c, "sending %s%s%s", visible, to && *to ? " to " : "", to ? to : "");
}

/* A picture is a picture and sound is sound, or nobody could show or hear it. */
static const char *unfit(unsigned type, const char *path, int fd)
{
	uint8_t head[MEDIA_HEAD];
	struct picture picture;
	struct sound sound;
	struct stat st;

	if (type == PROTO_IMAGE) {
		ssize_t n = pread(fd, head, sizeof(head), 0);
		if (n < 0 || !media_picture(head, (size_t)n, &picture))
			return "not a picture that others can see; send it with /file";
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return "not a regular file"; /* libsndfile would wait for a pipe */
	if (type == PROTO_VOICE && media_sound(path, &sound) < 0)
		return "not a sound file that libsndfile knows; send it with /file";
	return NULL;
}

/* The path that a user typed: "~/" is the home folder, and completion leaves a blank behind it. */
static void take_path(const char *args, char path[static PATH_MAX])
{
	const char *home = getenv("HOME");

	if (args[0] == '~' && args[1] == '/' && home)
		snprintf(path, PATH_MAX, "%s%s", home, args + 1);
	else
		snprintf(path, PATH_MAX, "%s", args);
	for (size_t n = strlen(path); n && path[n - 1] == ' '; n--)
		path[n - 1] = '\0';
}

static void send_path(struct client *c, unsigned type, const char *args, const char *command)
{
	char to[NAME_SIZE], path[PATH_MAX];

	if (take_receiver(&args, to) < 0 || !*args) {
		show_error(c, "say which file, after @NAME if it is for one person", command);
		return;
	}
	take_path(args, path);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		show_error(c, strerror(errno), path);
		return;
	}
	const char *why = unfit(type, path, fd);
	if (why) {
		show_error(c, why, path);
		close(fd);
		return;
	}
	const char *slash = strrchr(path, '/');
	command_send(c, type, to, slash ? slash + 1 : path, fd);
}

static void run_file(struct client *c, const char *args)
{
	send_path(c, PROTO_FILE, args, "/file");
}

static void run_image(struct client *c, const char *args)
{
	send_path(c, PROTO_IMAGE, args, "/image");
}

static void run_voice(struct client *c, const char *args)
{
	char to[NAME_SIZE];
	const char *rest = args;

	if (c->voice && !*args) {
		voice_stop(c->voice);
		return;
	}
	if (take_receiver(&rest, to) < 0 || *rest) {
		send_path(c, PROTO_VOICE, args, "/voice");
		return;
	}
	if (c->voice) {
		show_error(c, "still recording; end it with /voice", "/voice");
		return;
	}
	if (!c->set.voice_command) {
		show_error(c, "name a file, or a recording command with --voice-command", "/voice");
		return;
	}
	int ret = voice_start(&c->voice, c, to);
	if (ret < 0)
		show_error(c, strerror(-ret), c->set.voice_command);
	else
		show_info(c, "recording; /voice ends it and sends");
}

static void run_users(struct client *c, const char *args)
{
	(void)args;
	show_users(c);
}

static void run_save(struct client *c, const char *args)
{
	static char dir[PATH_MAX];

	args = skip_blanks(args);
	if (*args) {
		take_path(args, dir);
		c->set.save_dir = dir;
	}
	show_info(c, "received files go to %s", c->set.save_dir);
}

static void run_quit(struct client *c, const char *args)
{
	(void)args;
	client_quit(c);
}

static void run_help(struct client *c, const char *args);

static const struct command commands[] = {
    {"/msg", "NAME TEXT", "say something to one user", run_msg},
    {"/file", "[@NAME] PATH", "send a file", run_file},
    {"/image", "[@NAME] PATH", "send a picture", run_image},
    {"/voice", "[@NAME] [PATH]", "send a sound file, or record until the next /voice", run_voice},
    {"/users", "", "who is here", run_users},
    {"/save", "[FOLDER]", "where received files go", run_save},
    {"/help", "", "this list", run_help},
    {"/quit", "", "leave", run_quit},
};
enum { N_COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static void run_help(struct client *c, const char *args)
{
	(void)args;
	for (size_t i = 0; i < N_COMMANDS; i++)
		show_info(c, "%-6s %-15s %s", commands[i].name, commands[i].args, commands[i].help);
	show_info(c,
		  "everything else is said to everybody; Tab completes names, commands and paths");
}

const char *command_name(size_t i)
{
	return i < N_COMMANDS ? commands[i].name : NULL;
}

void command_line(struct client *c, const char *line)
{
	size_t word = strcspn(line, " ");

	if (!*line)
		return;
	bool slash = c->set.commands && line[0] == '/';
	if (!slash || line[1] == '/') {
		line += slash;
		if (net_text(c->net, NULL, line, strlen(line)) < 0)
			show_error(c, "out of memory", "text");
		else
			show_own(c, NULL, line);
		return;
	}
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strlen(commands[i].name) == word && !strncmp(commands[i].name, line, word)) {
			commands[i].run(c, skip_blanks(line + word));
			return;
		}
	show_error(c, "no such command; /help lists them, // sends a slash", line);
}
