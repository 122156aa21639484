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
#include "../../support/skip.h"
#include "../../support/stun.h"
#include "../../support/test.h"

#define THEIR_UFRAG "theirs" /* as in binding_request */
#define THEIR_PWD   "theirpasswordtheirpassword"
#define STRANGERS   40
#define WAIT_US	    5000000
#define IDLE_US	    2500000  /* libnice's own checks have ended */
#define CONSENT_US  50000000 /* libnice's clock, were it to ask on its own */

static struct loop *loop;
static struct ice *ice;
static struct peer_local local;
static struct ice_pair pair; /* selected last */
static unsigned n_pairs, n_alive, n_stray;
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

static void on_stray(void *arg)
{
	(void)arg;
	n_stray++;
}

static const struct ice_handler handler = {on_selected, on_nothing, on_nothing,
					   on_packet,	on_alive,   on_stray};

/* On 127.0.0.1 and the `n - 1` addresses that follow. */
static void start(unsigned n, bool tcp)
{
	struct sockaddr_storage address[2] = {0};
	struct ice_config c = {.addresses = address, .n_addresses = n, .tcp = tcp};

	for (unsigned i = 0; i < n; i++)
		*(struct sockaddr_in *)&address[i] = (struct sockaddr_in){
		    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + i)};
	n_pairs = n_alive = n_stray = 0;
	memset(&pair, 0, sizeof(pair));
	memset(&local, 0, sizeof(local));
	CHECK_INT(loop_new(&loop), 0);
	CHECK_INT(ice_new(&ice, &c, &local), 0);
	ice_attach(ice, loop, &handler, NULL);
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

static int connect_tcp(void)
{
	struct sockaddr_in to = address_of(candidate(true, "127.0.0.1"));
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK_INT(connect(s, (struct sockaddr *)&to, sizeof(to)), 0);
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
	int s = connect_tcp();
	size_t n = framed_request(frame, &local);
	for (unsigned i = 1; i < 4; i++) {
		CHECK_INT(send(s, frame, n, 0), n);
		CHECK(until(&n_alive, i));
	}
	/* As long as one, but not by our password. */
	frame[40] ^= 1;
	send(s, frame, n, 0);
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

/* The next check of libnice's that comes to `s`, and whence. */
static void take_check(int s, uint8_t *p, size_t size, struct sockaddr_in *from)
{
	struct mono end = mono_add_us(mono_now(), WAIT_US);
	socklen_t len = sizeof(*from);

	while (mono_diff_us(end, mono_now()) > 0) {
		loop_turn(loop, 10);
		if (recvfrom(s, p, size, MSG_DONTWAIT, (struct sockaddr *)from, &len) > 0 &&
		    get_be16(p) == 1)
			return;
	}
	test_fail(__FILE__, __LINE__, "no check came");
}

static void turn_for(int64_t us)
{
	struct mono end = mono_add_us(mono_now(), us);

	while (mono_diff_us(end, mono_now()) > 0)
		loop_turn(loop, 20);
}

static void send_to(int s, const uint8_t *p, size_t n)
{
	struct sockaddr_in to = address_of(candidate(false, "127.0.0.1"));

	CHECK_INT(sendto(s, p, n, 0, (struct sockaddr *)&to, sizeof(to)), n);
}

/* libnice would answer each of them with an error. */
TEST(requests_of_strangers_are_dropped_unanswered)
{
	struct peer_local wrong[4];
	struct sockaddr_in from;
	uint8_t p[400], reply[400], nameless[60] = {0, 1};

	start(1, false);
	int s = bound();
	for (unsigned i = 0; i < 4; i++)
		wrong[i] = local;
	snprintf(wrong[0].ufrag, sizeof(wrong[0].ufrag), "another1");
	strcat(wrong[1].ufrag, "x");
	wrong[2].ufrag[strlen(wrong[2].ufrag) - 1] = '\0';
	wrong[3].pwd[3] ^= 1;
	for (unsigned i = 0; i < 4; i++) {
		send_to(s, p, binding_request(p, &wrong[i], true));
		CHECK(until(&n_stray, i + 1));
	}
	put_be32(nameless + 4, 0x2112a442);
	send_to(s, nameless, seal_stun(nameless, 20, local.pwd));
	CHECK(until(&n_stray, 5));
	turn_for(100000);
	CHECK(recv(s, p, sizeof(p), MSG_DONTWAIT) < 0);
	CHECK_INT(n_alive, 0);
	send_to(s, p, binding_request(p, &local, true));
	CHECK(until(&n_alive, 1));
	take_check(s, p, sizeof(p), &from); /* libnice has heard of that */
	/* Of answers only libnice knows what they are to. */
	send_to(s, reply, binding_response(reply, p, &from, "no-password-of-anybodys"));
	turn_for(100000); /* libnice reads all that is there */
	CHECK_INT(n_stray, 5);
	send_to(s, p, binding_request(p, &wrong[0], true));
	CHECK(until(&n_stray, 6));
	CHECK_INT(n_stray, 6);
	close(s);
	stop();
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

/* libnice aborts when one is answered after it has given up a component. */
TEST(a_check_that_is_answered_late_does_no_harm)
{
	uint8_t p[1500], reply[400];
	struct sockaddr_in to, from;

	start(1, false);
	int s = bound(), other = bound();
	CHECK(nominate(s, "127.0.0.1"));
	struct mono selected = mono_now();
	answer_checks(s, IDLE_US);
	skip(CONSENT_US - 500000 - mono_diff_us(mono_now(), selected));
	to = address_of(candidate(false, "127.0.0.1"));
	sendto(other, p, binding_request(p, &local, true), 0, (struct sockaddr *)&to, sizeof(to));
	take_check(other, p, sizeof(p), &from);
	skip(1000000);
	turn_for(200000);
	size_t n = binding_response(reply, p, &from, THEIR_PWD);
	sendto(other, reply, n, 0, (struct sockaddr *)&from, sizeof(from));
	turn_for(200000);
	close(other);
	close(s);
	stop();
}

/* Where there is no socket of our own, libnice sends: for as long as the other side is there. */
TEST(libnice_sends_on_after_minutes)
{
	uint8_t p[1500];

	start(1, false);
	int s = bound();
	CHECK(nominate(s, "127.0.0.1"));
	for (int i = 0; i < 4; i++) {
		skip(CONSENT_US);
		turn_for(200000);
		CHECK(ice_send(ice, (const uint8_t *)"\x80 media", 7));
		while (recv(s, p, sizeof(p), MSG_DONTWAIT) > 0 && p[0] != 0x80)
			;
		CHECK_INT(p[0], 0x80);
	}
	close(s);
	stop();
}

/* Sends a check and takes libnice's own, into `check` behind its length; what else comes is lost.
 */
static void exchange_over_tcp(int s, uint8_t check[static 1500])
{
	struct mono end = mono_add_us(mono_now(), WAIT_US);
	uint8_t frame[400];
	size_t n = framed_request(frame, &local), len = 0, at = 0;

	CHECK_INT(send(s, frame, n, 0), n);
	while (mono_diff_us(end, mono_now()) > 0) {
		loop_turn(loop, 10);
		ssize_t got = recv(s, check + len, 1500 - len, MSG_DONTWAIT);
		len += got > 0 ? (size_t)got : 0;
		while (at + 2 <= len && at + 2 + get_be16(check + at) <= len) {
			if (get_be16(check + at + 2) == 1) {
				memmove(check, check + at, len - at);
				return;
			}
			at += 2 + get_be16(check + at);
		}
	}
	test_fail(__FILE__, __LINE__, "no check came");
}

static void answer_over_tcp(int s, const uint8_t *check)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	uint8_t frame[400];

	getsockname(s, (struct sockaddr *)&from, &len);
	getpeername(s, (struct sockaddr *)&from, &len);
	size_t n = binding_response(frame + 2, check + 2, &from, THEIR_PWD);
	put_be16(frame, (uint16_t)n);
	CHECK_INT(send(s, frame, n + 2, 0), n + 2);
}

/* A check on the pair in use, which libnice answers. */
static bool is_answered_over_tcp(int s)
{
	struct mono end = mono_add_us(mono_now(), 2000000);
	uint8_t frame[400], reply[400];
	size_t n = framed_request(frame, &local);

	CHECK_INT(send(s, frame, n, 0), n);
	while (mono_diff_us(end, mono_now()) > 0) {
		loop_turn(loop, 10);
		if (recv(s, reply, sizeof(reply), MSG_DONTWAIT) > 4)
			return get_be16(reply + 2) == 0x0101;
	}
	return false;
}

static int select_tcp(void)
{
	uint8_t check[1500];
	int s = connect_tcp();

	exchange_over_tcp(s, check);
	answer_over_tcp(s, check);
	CHECK(until(&n_pairs, 1));
	turn_for(IDLE_US);
	recv(s, check, sizeof(check), MSG_DONTWAIT);
	return s;
}

static bool is_closed(int s);

/* Frames that never become whole, and no checks: of neither may anything reach libnice. */
TEST(a_stranger_over_tcp_disturbs_no_other_connection)
{
	static const struct {
		const char *bytes;
		size_t n;
		bool stays; /* more could follow */
	} sent[] = {{"\xff\xff\0", 3, false},
		    {"\0", 1, true},
		    {"\0\x64\0\1", 4, true},
		    {"\0\4junk", 6, false},
		    {"GET / HTTP/1.1\r\n\r\n", 18, false}};

	start(1, true);
	int s = select_tcp();
	CHECK(is_answered_over_tcp(s));
	for (unsigned i = 0; i < sizeof(sent) / sizeof(sent[0]); i++) {
		int other = connect_tcp();
		turn_for(100000);
		CHECK_INT(send(other, sent[i].bytes, sent[i].n, 0), sent[i].n);
		/* In the same turn too. */
		CHECK(is_answered_over_tcp(s));
		turn_for(200000);
		CHECK_INT(is_closed(other), !sent[i].stays);
		unsigned turns = 0;
		struct mono end = mono_add_us(mono_now(), 200000);
		for (; mono_diff_us(end, mono_now()) > 0; turns++)
			loop_turn(loop, 20);
		CHECK(turns < 50); /* nothing that waits keeps us busy */
		close(other);
		CHECK(is_answered_over_tcp(s));
	}
	close(s);
	stop();
}

/* Sends until no more is taken; reads all of that; and the next one goes out. */
TEST(sending_over_tcp_goes_on_once_the_other_side_reads)
{
	static const uint8_t packet[1200] = {0x80};
	static uint8_t p[65536];

	start(1, true);
	int s = select_tcp();
	for (int i = 0; i < 100000 && ice_send(ice, packet, sizeof(packet)); i++)
		;
	CHECK(!ice_send(ice, packet, sizeof(packet)));
	bool goes_on = false;
	struct mono end = mono_add_us(mono_now(), 3000000);
	while (!goes_on && mono_diff_us(end, mono_now()) > 0) {
		while (recv(s, p, sizeof(p), MSG_DONTWAIT) > 0)
			;
		loop_turn(loop, 50);
		goes_on = ice_send(ice, packet, sizeof(packet));
	}
	CHECK(goes_on);
	close(s);
	stop();
}

/* The same where the pair in use is a connection, and ends. */
TEST(a_connection_that_ends_may_leave_checks_unanswered)
{
	uint8_t check[1500];

	start(1, true);
	int s = select_tcp();
	int other = connect_tcp();
	exchange_over_tcp(other, check);
	close(s);
	answer_over_tcp(other, check);
	turn_for(500000);
	close(other);
	stop();
}

TEST(candidates_that_are_repeated_count_once)
{
	struct peer_candidate c = {.address = "127.0.0.1", .priority = 1000};

	start(1, false);
	for (unsigned times = 0; times < 5; times++)
		for (unsigned i = 0; i < PEER_REMOTE_MAX - 1; i++) {
			c.port = (uint16_t)(50000 + i);
			CHECK_INT(ice_add_candidate(ice, &c), 0);
		}
	c.port = 60000;
	CHECK_INT(ice_add_candidate(ice, &c), 0);
	c.port++;
	CHECK_INT(ice_add_candidate(ice, &c), -ENOSPC);
	c.port--;
	CHECK_INT(ice_add_candidate(ice, &c), 0);
	stop();
}

static bool is_closed(int s)
{
	uint8_t p[400];
	ssize_t n;

	while ((n = recv(s, p, sizeof(p), MSG_DONTWAIT)) > 0)
		;
	return n == 0 || errno != EAGAIN;
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
