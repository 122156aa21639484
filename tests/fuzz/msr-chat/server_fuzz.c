/*
 * What the server makes of a client's bytes: the whole server without a network. The input is
 * what arrives on one end of a socket pair; another user is in the room and must get a stream
 * that parses.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../../cmd/msr-chat/head.h"
#include "../../../cmd/msr-chat/proto.h"
#include "../../../cmd/msr-chat/server/conn.h"
#include "../../../cmd/msr-chat/server/hub.h"
#include "../../../cmd/msr-chat/server/server.h"
#include "event/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct server server;
static uint64_t heard; /* bytes of the largest File that the listener got */

static void start(void)
{
	struct server *s = &server;

	s->set = (struct settings){.max_content = 1 << 20,
				   .max_header = 1024,
				   .max_queue = 1 << 20,
				   .max_users = 10,
				   .history = 4,
				   .burst = 10,
				   .send_timeout = 1000000};
	list_init(&s->conns);
	list_init(&s->dirty);
	list_init(&s->dead);
	map_init(&s->addresses.map);
	s->spool = (struct spool){
	    .dir = "/dev/shm", .max = 1 << 20, .max_files = 64, .addresses = &s->addresses};
	if (loop_new(&s->loop) || hub_init(s) || events_open(&s->events, "/dev/null", "fuzz"))
		abort();
	s->message_events = true;
}

/* A connection; the other end of the pair. */
static int join(const char *name)
{
	struct sockaddr_storage peer = {.ss_family = AF_INET};
	uint8_t login[PROTO_DESC + NAME_SIZE];
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	conn_new(&server, pair[0], address_get(&server.addresses, &peer));
	if (name) {
		proto_put(login, PROTO_LOGIN, strlen(name), 0);
		memcpy(login + PROTO_DESC, name, strlen(name));
		if (write(pair[1], login, PROTO_DESC + strlen(name)) < 0)
			abort();
	}
	return pair[1];
}

static void turn(void)
{
	loop_turn(server.loop, 0);
	server_flush(&server);
	server.ticked = false;
}

/* Everything that the server sends must be whole messages with proper headers. */
static void check(struct proto_parser *p, int fd)
{
	static uint8_t bytes[65536];
	struct server_head head;
	enum proto_step step;
	ssize_t got;

	while ((got = read(fd, bytes, sizeof(bytes))) > 0) {
		const uint8_t *at = bytes;
		size_t n = (size_t)got;
		while ((step = proto_parse(p, &at, &n)) != PROTO_MORE) {
			assert(step != PROTO_NOMEM);
			assert(p->desc.type < PROTO_TYPES && p->desc.type != PROTO_LOGIN);
			if (step == PROTO_HEAD && proto_is_message(p->desc.type))
				assert(head_server(p->head, p->desc.header, &head) == 0);
			if (step == PROTO_DONE && p->desc.type == PROTO_FILE &&
			    p->desc.content > heard)
				heard = p->desc.content;
		}
	}
}

static void play(const uint8_t *data, size_t size)
{
	struct proto_parser seen[2];
	int listener, sender;

	listener = join("listener");
	turn();
	sender = join(size && data[0] & 1 ? "sender" : NULL);
	proto_parser_init(&seen[0], PROTO_HEADER_MAX);
	proto_parser_init(&seen[1], PROTO_HEADER_MAX);
	/* In pieces whose size the input chooses. */
	size_t piece = size ? (size_t)data[0] * 8 + 1 : 1;
	for (size_t at = 1; at < size; at += piece) {
		if (write(sender, data + at, size - at < piece ? size - at : piece) < 0)
			break;
		turn();
		check(&seen[0], listener);
		check(&seen[1], sender);
	}
	turn();
	check(&seen[0], listener);
	list_each_safe (i, &server.conns)
		conn_close(container_of(i, struct conn, link), "end");
	conn_reap(&server);
	close(listener);
	close(sender);
	proto_parser_done(&seen[0]);
	proto_parser_done(&seen[1]);
	assert(!server.spool.used && !server.spool.files && !server.users.n);
}

/* Large contents take the way through the spool here, too, or nothing is learned about it. */
static void check_spool(void)
{
	enum { SIZE = 20000 };
	static uint8_t input[1 + PROTO_DESC + 1 + SIZE] = {255};

	proto_put(input + 1, PROTO_FILE, 1, SIZE);
	input[1 + PROTO_DESC] = 'f';
	play(input, sizeof(input));
	assert(heard == SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool started;

	if (!started) {
		start();
		check_spool();
	}
	started = true;
	play(data, size);
	return 0;
}
