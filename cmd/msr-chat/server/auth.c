/* The password file and the thread that checks against it. */
#include "auth.h"

#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "../head.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "look.h"

enum {
	FILE_MAX = 16 * 1024 * 1024, /* bytes of the password file */
	WAITING_MAX = 256,	     /* checks queued; some 10 s of work */
};

struct entry {
	struct map_node node, by_look;
	char *look; /* owned; NULL when an earlier name looks the same */
	char name[NAME_SIZE];
	char hash[CRYPT_OUTPUT_SIZE];
};

/* What the file says. */
struct accounts {
	struct map users; /* by name */
	struct map looks; /* the same by what their names look like, see look.h */
};

struct check {
	struct list link; /* in auth.waiting, then auth.results */
	uint64_t serial;
	char name[NAME_SIZE];
	char password[PASSWORD_SIZE];
	bool ok;
};

struct auth {
	const char *path;	 /* lent */
	const struct look *look; /* lent */
	bool guests;
	void (*wake)(void *arg);
	void *arg;
	pthread_t thread;
	pthread_mutex_t lock; /* of everything below */
	pthread_cond_t more;
	struct accounts accounts;
	struct list waiting, results;
	size_t n_waiting;
	bool stop;
	/* Compared with for unknown names, so that these take as long as known ones. */
	char nobody[CRYPT_OUTPUT_SIZE];
};

/* ---- the file ---- */

static void free_accounts(struct accounts *all)
{
	map_each (i, &all->users) {
		struct entry *e = container_of(i, struct entry, node);
		map_remove(&all->users, i);
		if (e->look)
			map_remove(&all->looks, &e->by_look);
		free(e->look);
		free(e);
	}
	map_done(&all->users);
	map_done(&all->looks);
}

/* 0 or -ENOMEM. */
static int add_look(struct accounts *all, struct entry *e, const struct look *look)
{
	e->look = look_of(look, e->name);
	if (!e->look)
		return -ENOMEM;
	int ret = map_put(&all->looks, &e->by_look, e->look, strlen(e->look));
	if (!ret)
		return 0;
	free(e->look);
	e->look = NULL;
	return ret == -EEXIST ? 0 : ret;
}

static int add_line(struct accounts *all, const struct look *look, const char *line, size_t n)
{
	const char *colon = memrchr(line, ':', n);
	struct entry *e;

	if (!n || *line == '#')
		return 0;
	if (!colon || line + n - colon - 1 >= CRYPT_OUTPUT_SIZE)
		return -EINVAL;
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	memcpy(e->hash, colon + 1, (size_t)(line + n - colon - 1));
	int ret = text_name(line, (size_t)(colon - line), e->name);
	if (!ret && crypt_checksalt(e->hash) == CRYPT_SALT_INVALID)
		ret = -EINVAL;
	if (!ret)
		ret = map_put(&all->users, &e->node, e->name, strlen(e->name));
	if (ret) {
		free(e);
		return ret;
	}
	return add_look(all, e, look);
}

static int load(struct auth *a, struct accounts *all)
{
	struct buf b;
	int line = 1;

	map_init(&all->users);
	map_init(&all->looks);
	buf_init(&b, 0);
	int ret = file_read(AT_FDCWD, a->path, FILE_MAX, &b);
	if (ret < 0)
		log_error("cannot read the password file '%s': %s", a->path, strerror(-ret));
	const char *p = (const char *)buf_data(&b);
	for (size_t left = buf_len(&b); left && !ret; line++) {
		const char *end = memchr(p, '\n', left);
		size_t n = end ? (size_t)(end - p) : left;
		ret = add_line(all, a->look, p, n);
		if (ret)
			log_error("%s:%d: %s", a->path, line,
				  ret == -EEXIST
				      ? "this name came before"
				      : "not name:hash; make lines with msr-chat password");
		left -= n + (end ? 1 : 0);
		p += n + 1;
	}
	if (b.mem)
		explicit_bzero(b.mem, b.cap);
	buf_done(&b);
	if (ret)
		free_accounts(all);
	return ret;
}

void auth_reload(struct auth *a)
{
	struct accounts all, old;

	if (load(a, &all) < 0)
		return;
	pthread_mutex_lock(&a->lock);
	old = a->accounts;
	a->accounts = all;
	pthread_mutex_unlock(&a->lock);
	log_info("read the password file again: %zu users", all.users.n);
	free_accounts(&old);
}

/* ---- the thread ---- */

static bool matches(const char *password, const char *hash)
{
	struct crypt_data *data = calloc(1, sizeof(*data));
	const char *got = data ? crypt_r(password, hash, data) : NULL;
	bool ok = got && *got != '*' && !strcmp(got, hash);

	if (data)
		explicit_bzero(data, sizeof(*data));
	free(data);
	return ok;
}

static void check(struct auth *a, struct check *c)
{
	char hash[CRYPT_OUTPUT_SIZE], *look = look_of(a->look, c->name);

	pthread_mutex_lock(&a->lock);
	struct map_node *node = map_get(&a->accounts.users, c->name, strlen(c->name));
	/* A guest cannot pass for somebody with a password, even while that one is away. */
	bool alike = !look || map_get(&a->accounts.looks, look, strlen(look));
	strcpy(hash, node ? container_of(node, struct entry, node)->hash : a->nobody);
	pthread_mutex_unlock(&a->lock);
	free(look);
	if (!node && a->guests)
		c->ok = !alike;
	else
		c->ok = matches(c->password, hash) && node;
	explicit_bzero(c->password, sizeof(c->password));
}

static void *run(void *arg)
{
	struct auth *a = arg;

	pthread_mutex_lock(&a->lock);
	while (!a->stop) {
		struct list *first = list_first(&a->waiting);
		if (!first) {
			pthread_cond_wait(&a->more, &a->lock);
			continue;
		}
		list_remove(first);
		a->n_waiting--;
		pthread_mutex_unlock(&a->lock);
		check(a, container_of(first, struct check, link));
		pthread_mutex_lock(&a->lock);
		list_push(&a->results, first);
		a->wake(a->arg);
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

int auth_open(struct auth **ap, const char *path, bool guests, const struct look *look,
	      void (*wake)(void *arg), void *arg)
{
	struct auth *a = calloc(1, sizeof(*a));
	char *salt = crypt_gensalt_ra(NULL, 0, NULL, 0);
	int ret = -ENOMEM;

	if (!a || !salt)
		goto out;
	*a = (struct auth){.path = path, .look = look, .guests = guests, .wake = wake, .arg = arg};
	list_init(&a->waiting);
	list_init(&a->results);
	struct crypt_data data = {0};
	const char *nobody = crypt_r("", salt, &data);
	if (!nobody)
		goto out;
	strcpy(a->nobody, nobody);
	ret = load(a, &a->accounts);
	if (ret)
		goto out;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->more, NULL);
	ret = -pthread_create(&a->thread, NULL, run, a);
	if (ret)
		log_error("cannot start the thread that checks passwords: %s", strerror(-ret));
	if (!ret) {
		*ap = a;
		a = NULL;
	}
out:
	if (a)
		free_accounts(&a->accounts);
	free(a);
	free(salt);
	return ret;
}

static void free_checks(struct list *l)
{
	list_each_safe (i, l)
		free(container_of(i, struct check, link));
}

void auth_close(struct auth *a)
{
	if (!a)
		return;
	pthread_mutex_lock(&a->lock);
	a->stop = true;
	pthread_cond_signal(&a->more);
	pthread_mutex_unlock(&a->lock);
	pthread_join(a->thread, NULL);
	pthread_mutex_destroy(&a->lock);
	pthread_cond_destroy(&a->more);
	free_checks(&a->waiting);
	free_checks(&a->results);
	free_accounts(&a->accounts);
	free(a);
}

/* ---- questions and answers ---- */

int auth_check(struct auth *a, uint64_t serial, const char *name, const char *password)
{
	struct check *c = calloc(1, sizeof(*c));
	int ret = 0;

	if (!c)
		return -ENOMEM;
	c->serial = serial;
	strcpy(c->name, name);
	strcpy(c->password, password);
	pthread_mutex_lock(&a->lock);
	if (a->n_waiting < WAITING_MAX) {
		list_push(&a->waiting, &c->link);
		a->n_waiting++;
		pthread_cond_signal(&a->more);
	} else {
		ret = -ENOBUFS;
	}
	pthread_mutex_unlock(&a->lock);
	if (ret)
		free(c);
	return ret;
}

bool auth_result(struct auth *a, uint64_t *serial, bool *ok)
{
	pthread_mutex_lock(&a->lock);
	struct list *first = list_first(&a->results);
	if (first)
		list_remove(first);
	pthread_mutex_unlock(&a->lock);
	if (!first)
		return false;
	struct check *c = container_of(first, struct check, link);
	*serial = c->serial;
	*ok = c->ok;
	free(c);
	return true;
}

/* ---- msr-chat password ---- */

/* A line from standard input, not shown where that is a terminal. -EMSGSIZE: it is too long. */
static int read_password(char out[PASSWORD_SIZE])
{
	struct termios old, quiet;
	bool tty = tcgetattr(STDIN_FILENO, &old) == 0;

	if (tty) {
		fprintf(stderr, "Password: ");
		quiet = old;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	}
	char *got = fgets(out, PASSWORD_SIZE, stdin);
	if (tty) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
		fprintf(stderr, "\n");
	}
	if (!got)
		return -EIO;
	size_t len = strcspn(out, "\n");
	if (len == PASSWORD_SIZE - 1) {
		int next = getchar();
		if (next != '\n' && next != EOF)
			return -EMSGSIZE;
	}
	out[len] = '\0';
	return *out ? 0 : -EINVAL;
}

int auth_make_line(const char *name)
{
	char nfc[NAME_SIZE], password[PASSWORD_SIZE];
	struct crypt_data data = {0};

	if (text_name(name, strlen(name), nfc) < 0) {
		fprintf(stderr,
			"msr-chat password: '%s' is not a valid user name; see msr-chat(7)\n",
			name);
		return 2;
	}
	int ret = read_password(password);
	if (ret == -EMSGSIZE)
		fprintf(stderr, "msr-chat password: a password has at most %d bytes\n",
			PASSWORD_SIZE - 1);
	else if (ret < 0)
		fprintf(stderr, "msr-chat password: no password on standard input\n");
	if (ret < 0)
		return 1;
	char *salt = crypt_gensalt_ra(NULL, 0, NULL, 0);
	const char *hash = salt ? crypt_r(password, salt, &data) : NULL;
	explicit_bzero(password, sizeof(password));
	if (!hash || *hash == '*') {
		fprintf(stderr, "msr-chat password: cannot hash the password: %s\n",
			strerror(errno));
		free(salt);
		return 1;
	}
	printf("%s:%s\n", nfc, hash);
	free(salt);
	return 0;
}
