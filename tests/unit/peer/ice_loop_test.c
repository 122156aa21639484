/* A GLib context on our loop: whose descriptors they are when numbers are given again. */
#include "../../../lib/peer/ice_loop.h"

#include <glib-unix.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../support/test.h"
#include "loop/loop.h"

static struct loop *loop;
static struct ice_loop *g;
static struct loop_io *io;
static int far[2]; /* the other ends of a connection that is closed, and of one that comes for it */
static int number; /* of both */
static int opened; /* with it */
static unsigned n_read;

static void watch(int fd, GUnixFDSourceFunc func)
{
	GSource *s = g_unix_fd_source_new(fd, G_IO_IN);

	g_source_set_callback(s, G_SOURCE_FUNC(func), NULL, NULL);
	g_source_attach(s, ice_loop_context(g));
	g_source_unref(s);
}

static gboolean on_end(gint fd, GIOCondition condition, gpointer arg)
{
	(void)condition, (void)arg;
	close(fd);
	return G_SOURCE_REMOVE;
}

static gboolean on_data(gint fd, GIOCondition condition, gpointer arg)
{
	char c;

	(void)condition, (void)arg;
	CHECK_INT(read(fd, &c, 1), 1);
	n_read++;
	return G_SOURCE_CONTINUE;
}

static void on_media(void *arg, int events)
{
	uint64_t n;

	(void)arg, (void)events;
	CHECK_INT(read(opened, &n, sizeof(n)), sizeof(n));
	n_read++;
}

/* As a listener does. */
static gboolean open_connection(gint fd, GIOCondition condition, gpointer arg)
{
	int pair[2];

	(void)fd, (void)condition, (void)arg;
	CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	opened = pair[0];
	far[1] = pair[1];
	watch(opened, on_data);
	return G_SOURCE_REMOVE;
}

/* As the peer does when a pair is selected. */
static gboolean open_media(gint fd, GIOCondition condition, gpointer arg)
{
	(void)fd, (void)condition, (void)arg;
	opened = eventfd(0, EFD_CLOEXEC);
	CHECK_INT(loop_io_new(&io, loop, opened, LOOP_IN, on_media, NULL), 0);
	return G_SOURCE_REMOVE;
}

/* A connection that is known ends, and in the same turn of the context `open` is called. */
static void end_and(GUnixFDSourceFunc open)
{
	int pair[2], other = eventfd(1, EFD_CLOEXEC);

	n_read = 0;
	CHECK_INT(loop_new(&loop), 0);
	CHECK_INT(ice_loop_new(&g), 0);
	CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	number = pair[0];
	far[0] = pair[1];
	watch(number, on_end);
	watch(other, open);
	ice_loop_attach(g, loop, NULL, NULL);
	ice_loop_known(g, number);
	close(far[0]);
	loop_turn(loop, 100);
	CHECK_INT(opened, number);
	close(other);
}

static void finish(void)
{
	loop_io_free(io);
	io = NULL;
	close(opened);
	ice_loop_free(g);
	loop_free(loop);
}

TEST(a_connection_with_the_number_of_one_that_ended_is_heard)
{
	end_and(open_connection);
	CHECK(ice_loop_stranger(g, number)); /* of it nobody has said that it is known */
	ice_loop_known(g, number);
	CHECK_INT(write(far[1], "x", 1), 1);
	for (int i = 0; i < 10 && !n_read; i++)
		loop_turn(loop, 20);
	CHECK_INT(n_read, 1);
	close(far[1]);
	finish();
}

TEST(a_socket_with_the_number_of_a_connection_that_ended_is_heard)
{
	const uint64_t one = 1;

	end_and(open_media);
	CHECK(!ice_loop_stranger(g, number));
	CHECK_INT(write(opened, &one, sizeof(one)), sizeof(one));
	for (int i = 0; i < 10 && !n_read; i++)
		loop_turn(loop, 20);
	CHECK_INT(n_read, 1);
	finish();
}
