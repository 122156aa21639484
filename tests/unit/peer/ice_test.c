/* What ice.c does besides libnice: whose checks are signs of life, and which are answered here. */
#include "peer/ice.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "loop/loop.h"
#include "../../support/stun.h"
#include "../../support/test.h"

#define THEIR_UFRAG "theirs" /* as in binding_request */
#define THEIR_PWD   "theirpasswordtheirpassword"
#define STRANGERS   40
#define WAIT_US	    5000000
#define IDLE_US	    2500000 /* libnice's own checks have ended */

static struct loop *loop;
static struct ice *ice;
static struct peer_local local;
static struct ice_pair pair; /* selected last */
static unsigned n_pairs, n_alive;
static bool closed;

static void on_selected(void *arg, const struct ice_pair *p)
{
	(void)arg;
	pair = *p;
	n_pairs++;
}

static void on_nothing(void *arg)
{
	(void)arg;
}

static void on_packet(void *arg, uint8_t *p, size_t n)
{
	(void)arg;
	(void)p;
	(void)n;
}

static void on_alive(void *arg)
{
	(void)arg;
	n_alive++;
}

static const struct ice_handler handler = {on_selected, on_nothing, on_nothing, on_packet,
					   on_alive};

/* On 127.0.0.1 and the `n - 1` addresses that follow. */
static void start(unsigned n, bool tcp)
{
	struct sockaddr_storage address[2] = {0};
	struct ice_config c = {.addresses = address, .n_addresses = n, .tcp = tcp};

	for (unsigned i = 0; i < n; i++)
		*(struct sockaddr_in *)&address[i] = (struct sockaddr_in){
		    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + i)};
	n_pairs = n_alive = 0;
	memset(&pair, 0, sizeof(pair));
	memset(&local, 0, sizeof(local));
	CHECK_INT(loop_new(&loop), 0);
	CHECK_INT(ice_new(&ice, &c, &local), 0);
	CHECK_INT(ice_attach(ice, loop, &handler, NULL), 0);
	CHECK_INT(ice_set_remote(ice, THEIR_UFRAG, THEIR_PWD), 0);
}

static void on_closed(void *arg)
{
	(void)arg;
	closed = true;
}

static void stop(void)
{
	closed = false;
	ice_close(ice, on_closed, NULL);
	while (!closed)
		loop_turn(loop, 10);
	loop_free(loop);
}

/* ---- the other side, by hand ---- */

static const struct peer_candidate *candidate(bool tcp, const char *address)
{
	for (unsigned i = 0; i < local.n_candidates; i++)
		if (local.candidate[i].tcp == tcp && !strcmp(local.candidate[i].address, address))
			return &local.candidate[i];
	test_fail(__FILE__, __LINE__, "no candidate on %s", address);
}

static struct sockaddr_in address_of(const struct peer_candidate *c)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(c->port)};

	inet_pton(AF_INET, c->address, &a.sin_addr);
	return a;
}

static int bound(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	CHECK_INT(bind(s, (struct sockaddr *)&a, sizeof(a)), 0);
	return s;
}

/* Turns the loop until `*what` is at least `n`. */
static bool until(const unsigned *what, unsigned n)
{
	struct mono end = mono_add_us(mono_now(), WAIT_US);

	while (*what < n && mono_diff_us(end, mono_now()) > 0)
		loop_turn(loop, 20);
	return *what >= n;
}

TEST(checks_over_tcp_are_signs_of_life)
{
	uint8_t frame[400];

	start(1, true);
	struct sockaddr_in to = address_of(candidate(true, "127.0.0.1"));
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK_INT(connect(s, (struct sockaddr *)&to, sizeof(to)), 0);
	size_t n = binding_request(frame + 2, &local, true);
	put_be16(frame, (uint16_t)n); /* RFC 4571 */
	for (unsigned i = 1; i < 4; i++) {
		CHECK_INT(send(s, frame, n + 2, 0), n + 2);
		CHECK(until(&n_alive, i));
	}
	/* As long as one, but not by our password. */
	frame[40] ^= 1;
	send(s, frame, n + 2, 0);
	for (int i = 0; i < 5; i++)
		loop_turn(loop, 10);
	CHECK_INT(n_alive, 3);
	close(s);
	stop();
}

/* Turns the loop; the checks that come to `s` are answered. */
static void answer_checks(int s, int64_t us)
{
	struct mono end = mono_add_us(mono_now(), us);
	uint8_t p[1500], reply[400];
	struct sockaddr_in from;
	socklen_t len = sizeof(from);

	while (mono_diff_us(end, mono_now()) > 0) {
		loop_turn(loop, 10);
		while (recvfrom(s, p, sizeof(p), MSG_DONTWAIT, (struct sockaddr *)&from, &len) >
		       0) {
			if (get_be16(p) != 1)
				continue;
			size_t n = binding_response(reply, p, &from, THEIR_PWD);
			sendto(s, reply, n, 0, (struct sockaddr *)&from, sizeof(from));
		}
	}
}

/* Nominates from `s` our `address`, until it is selected. */
static bool nominate(int s, const char *address)
{
	struct sockaddr_in to = address_of(candidate(false, address));
	const struct sockaddr_in *at = (const struct sockaddr_in *)&pair.local;
	uint8_t p[400];

	for (unsigned i = 0; i < 20 && at->sin_addr.s_addr != to.sin_addr.s_addr; i++) {
		sendto(s, p, binding_request(p, &local, true), 0, (struct sockaddr *)&to,
		       sizeof(to));
		answer_checks(s, 100000);
	}
	return at->sin_addr.s_addr == to.sin_addr.s_addr;
}

/* From one socket of theirs: that their address is the same does not make it the pair in use. */
TEST(another_address_of_ours_may_be_nominated)
{
	start(2, false);
	const char *worse = "127.0.0.1", *better = "127.0.0.2";
	if (candidate(false, worse)->priority > candidate(false, better)->priority)
		worse = "127.0.0.2", better = "127.0.0.1";
	int s = bound();
	CHECK(nominate(s, worse));
	/* Until libnice has nothing to do any more, and reads only what it is told of. */
	answer_checks(s, IDLE_US);
	CHECK(nominate(s, better));
	close(s);
	stop();
}

static int connect_tcp(void)
{
	struct sockaddr_in to = address_of(candidate(true, "127.0.0.1"));
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK_INT(connect(s, (struct sockaddr *)&to, sizeof(to)), 0);
	return s;
}

static bool is_closed(int s)
{
	uint8_t p[400];
	ssize_t n;

	while ((n = recv(s, p, sizeof(p), MSG_DONTWAIT)) > 0)
		;
	return n == 0 || errno != EAGAIN;
}

static void turn_for(int64_t us)
{
	struct mono end = mono_add_us(mono_now(), us);

	while (mono_diff_us(end, mono_now()) > 0)
		loop_turn(loop, 20);
}

/* Those who say nothing have no password; each takes a descriptor. */
TEST(strangers_over_tcp_are_few_and_do_not_stay)
{
	int stranger[STRANGERS];
	uint8_t frame[400];
	unsigned open = 0;

	start(1, true);
	/* Theirs stays. */
	int s = connect_tcp();
	size_t n = binding_request(frame + 2, &local, true);
	put_be16(frame, (uint16_t)n);
	CHECK_INT(send(s, frame, n + 2, 0), n + 2);
	CHECK(until(&n_alive, 1));
	unsigned before = test_descriptors();
	for (int i = 0; i < STRANGERS; i++) {
		stranger[i] = connect_tcp();
		CHECK_INT(send(stranger[i], "\0", 1, 0), 1); /* half a length */
		loop_turn(loop, 5);
	}
	turn_for(300000);
	for (int i = 0; i < STRANGERS; i++)
		open += !is_closed(stranger[i]);
	printf("# %u of %d are open, %u descriptors\n", open, STRANGERS,
	       test_descriptors() - before - STRANGERS);
	CHECK(open <= 8);
	CHECK(test_descriptors() - before - STRANGERS <= 8);
	CHECK(!is_closed(s));
	turn_for(11000000);
	for (int i = 0; i < STRANGERS; i++)
		CHECK(is_closed(stranger[i]));
	CHECK_INT(test_descriptors(), before + STRANGERS);
	CHECK(!is_closed(s));
	for (int i = 0; i < STRANGERS; i++)
		close(stranger[i]);
	close(s);
	stop();
}

TEST(without_descriptors_a_new_one_fails)
{
	struct sockaddr_storage address = {0};
	struct ice_config c = {.addresses = &address, .n_addresses = 1, .tcp = true};
	struct rlimit all, few;
	struct ice *another;
	int fd[64], n = 0;

	*(struct sockaddr_in *)&address =
	    (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	CHECK_INT(getrlimit(RLIMIT_NOFILE, &all), 0);
	few = (struct rlimit){.rlim_cur = 40, .rlim_max = all.rlim_max};
	CHECK_INT(setrlimit(RLIMIT_NOFILE, &few), 0);
	while (n < 64 && (fd[n] = dup(2)) >= 0)
		n++;
	for (; n > 0; close(fd[--n])) { /* whatever is missing, it is an error and no abort */
		int ret = ice_new(&another, &c, &local);
		if (!ret)
			ice_free(another);
		else
			CHECK(ret == -EMFILE || ret == -EADDRINUSE);
	}
	CHECK_INT(ice_new(&another, &c, &local), 0);
	ice_free(another);
	setrlimit(RLIMIT_NOFILE, &all);
}
