/* The recording command and its output. */
#include "voice.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../proto.h"
#include "base/clock.h"
#include "base/proc.h"
#include "client.h"
#include "command.h"
#include "loop/loop.h"
#include "media.h"
#include "show.h"

struct voice {
	struct client *client;
	struct loop_child *child;
	pid_t pid;
	int fd; /* what it records, without a name */
	bool stopping;
	char to[NAME_SIZE];
};

static int open_nameless(void)
{
	const char *dir = getenv("TMPDIR");
	int fd = open(dir ? dir : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	return fd >= 0 ? fd : memfd_create("voice", MFD_CLOEXEC);
}

/* Sends what was recorded, if it is sound. */
static void send_recording(struct voice *v)
{
	char path[64], stamp[CLOCK_RFC3339_SIZE], name[128];
	struct sound sound;
	struct client *c = v->client;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", v->fd);
	if (media_sound(path, &sound) < 0) {
		show_error(c, "what it recorded is not a sound file; see --voice-command",
			   "/voice");
		return;
	}
	clock_rfc3339(clock_wall_us(), stamp);
	for (char *p = stamp; *p; p++)
		if (*p == ':')
			*p = '-';
	snprintf(name, sizeof(name), "voice-%.19s.%s", stamp, sound.kind);
	show_info(c, "recorded %.1f s", sound.seconds);
	command_send(c, PROTO_VOICE, v->to, name, v->fd);
	v->fd = -1;
}

static void on_end(void *arg, pid_t pid, int status)
{
	struct voice *v = arg;
	struct client *c = v->client;

	(void)pid;
	v->child = NULL;
	v->pid = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		show_error(c, "the command was not found; see --voice-command",
			   c->set.voice_command);
	else
		send_recording(v);
	c->voice = NULL;
	voice_free(v);
}

int voice_start(struct voice **vp, struct client *c, const char *to)
{
	const char *const argv[] = {"sh", "-c", c->set.voice_command, NULL};
	struct voice *v = calloc(1, sizeof(*v));
	int ret;

	if (!v)
		return -ENOMEM;
	v->client = c;
	snprintf(v->to, sizeof(v->to), "%s", to ? to : "");
	v->fd = ret = open_nameless();
	if (ret >= 0) {
		/* A group of its own, so that signals reach all of a pipeline. */
		struct proc_opts o = {
		    .in = -1, .out = v->fd, .err = -1, .own_group = 1, .die_with_parent = 1};
		ret = proc_spawn(argv, &o, &v->pid);
	}
	if (!ret)
		ret = loop_child_new(&v->child, c->loop, v->pid, on_end, v);
	if (ret < 0) {
		voice_free(v);
		return ret;
	}
	*vp = v;
	return 0;
}

void voice_stop(struct voice *v)
{
	kill(-v->pid, v->stopping ? SIGKILL : SIGINT);
	v->stopping = true;
}

void voice_free(struct voice *v)
{
	if (!v)
		return;
	if (v->pid > 0) {
		loop_child_forget(v->child);
		kill(-v->pid, SIGKILL);
		waitpid(v->pid, NULL, 0);
	}
	if (v->fd >= 0)
		close(v->fd);
	free(v);
}
