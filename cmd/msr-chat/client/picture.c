/* One drawing child at a time, and the pictures that wait for it. */
#include "picture.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/proc.h"
#include "loop/loop.h"

enum {
	WAITING_MAX = 8,	 /* pictures */
	DRAW_US = 5000000,	 /* for one; made to take long it is left out */
	OUTPUT_MAX = 4 << 20,	 /* bytes for the terminal */
	MEMORY_MAX = 1024 << 20, /* bytes of the child: a picture can claim any size */
};

struct pictures {
	struct loop *loop;
	void (*shown)(void *arg, const char *bytes, size_t n);
	void *arg;
	struct loop_child *child; /* the tool that draws now, or NULL */
	pid_t pid;
	int out; /* owned: its output, or -1 */
	struct loop_timer limit;
	char *waiting[WAITING_MAX]; /* owned paths */
	size_t n;
	enum graphics graphics;
};

static void draw_next(struct pictures *p);

/* Hands the output over, if the tool made one that is whole. */
static void hand_over(struct pictures *p)
{
	struct stat st;

	if (fstat(p->out, &st) < 0 || st.st_size <= 0 || st.st_size >= OUTPUT_MAX)
		return;
	char *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, p->out, 0);
	if (bytes == MAP_FAILED)
		return;
	p->shown(p->arg, bytes, (size_t)st.st_size);
	munmap(bytes, (size_t)st.st_size);
}

static void on_end(void *arg, pid_t pid, int status)
{
	struct pictures *p = arg;

	(void)pid;
	p->child = NULL;
	loop_timer_stop(&p->limit);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		hand_over(p);
	close(p->out);
	p->out = -1;
	draw_next(p);
}

static void on_limit(void *arg)
{
	struct pictures *p = arg;

	kill(p->pid, SIGKILL);
}

/* 0 or -errno (-ENOENT: not installed). */
static int spawn(struct pictures *p, const char *path)
{
	const char *format = p->graphics == GRAPHICS_KITTY ? "kitty" : "sixels";
	const char *const chafa[] = {"chafa",	     "-f", format, "--animate=off",
				     "--size=60x20", "--", path,   NULL};
	struct proc_opts o = {.in = -1, .out = p->out, .err = -1, .nice = 5, .die_with_parent = 1};
	int ret = proc_spawn(chafa, &o, &p->pid);

	if (ret < 0)
		return ret;
	prlimit(p->pid, RLIMIT_AS, &(struct rlimit){MEMORY_MAX, MEMORY_MAX}, NULL);
	prlimit(p->pid, RLIMIT_FSIZE, &(struct rlimit){OUTPUT_MAX, OUTPUT_MAX}, NULL);
	ret = loop_child_new(&p->child, p->loop, p->pid, on_end, p);
	if (ret < 0) {
		kill(p->pid, SIGKILL);
		waitpid(p->pid, NULL, 0);
	}
	return ret;
}

static void draw_next(struct pictures *p)
{
	while (p->n && !p->child) {
		char *path = p->waiting[0];
		memmove(p->waiting, p->waiting + 1, --p->n * sizeof(*p->waiting));
		p->out = memfd_create("picture", MFD_CLOEXEC);
		if (p->out >= 0 && spawn(p, path) == 0) {
			loop_timer_in_us(&p->limit, DRAW_US);
		} else if (p->out >= 0) {
			close(p->out);
			p->out = -1;
		}
		free(path);
	}
}

int pictures_new(struct pictures **pp, struct loop *l,
		 void (*shown)(void *arg, const char *bytes, size_t n), void *arg)
{
	struct pictures *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->loop = l;
	p->shown = shown;
	p->arg = arg;
	p->out = -1;
	loop_timer_init(&p->limit, l, on_limit, p);
	*pp = p;
	return 0;
}

void pictures_free(struct pictures *p)
{
	if (!p)
		return;
	if (p->child) {
		loop_child_forget(p->child);
		kill(p->pid, SIGKILL);
		waitpid(p->pid, NULL, 0);
	}
	loop_timer_stop(&p->limit);
	while (p->n)
		free(p->waiting[--p->n]);
	if (p->out >= 0)
		close(p->out);
	free(p);
}

void pictures_draw(struct pictures *p, const char *path, enum graphics graphics)
{
	if (graphics == GRAPHICS_NONE || p->n == WAITING_MAX)
		return;
	char *copy = strdup(path);
	if (!copy)
		return;
	p->graphics = graphics;
	p->waiting[p->n++] = copy;
	draw_next(p);
}
