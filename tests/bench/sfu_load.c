/*
 * Load for msr-sfu: one publisher of video and N receivers, through the REST interface and real
 * transports, on this machine.
 *
 *	sfu_load PORT PID RECEIVERS SECONDS PACKETS_PER_SECOND SIZE even|burst
 *
 * Prints one line: receivers, packets expected and received, CPU of the server process in µs for
 * each packet that it forwarded, latency p50 and p99 in µs (from before encryption here to after
 * decryption here), resident memory of the server in KiB. Exit status 1 when it could not measure.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "loop/loop.h"
#include "peer/peer.h"
#include "rtp/packet.h"
#include "sdp/negotiate.h"
#include "sdp/sdp.h"

#define RECEIVERS_MAX 1000
#define SAMPLES	      (1u << 20)
#define FRAMES	      30 /* a second */
#define SSRC	      1000u
#define MARK	      24 /* bytes of payload that we look at: VP8, number, time */
#define REPLY_MAX     (512u << 10)
#define STEP_US	      10000000

struct client {
	struct peer *peer;
	struct peer_local local;
	bool connected;
	uint64_t received;
};

static struct loop *loop;
static struct peer_io *io;
static struct peer_env *env;
static struct client publisher, receiver[RECEIVERS_MAX];
static uint32_t sample[SAMPLES];
static unsigned n_samples, n_connected;
static bool measuring;
static int port;
static char room[64], reply[REPLY_MAX], text[REPLY_MAX];

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "sfu_load: %s\n%.400s\n", what, reply);
	exit(1);
}

/* ---- signalling ---- */

/* The value of a string member, unescaped into `text`. */
static char *json_text(const char *json, const char *name)
{
	char key[40], *out = text;
	snprintf(key, sizeof(key), "\"%s\":\"", name);
	const char *p = strstr(json, key);

	if (!p)
		fail("a member is missing in the reply");
	for (p += strlen(key); *p && *p != '"'; p++) {
		if (*p != '\\')
			*out++ = *p;
		else if (*++p == 'r' || *p == 'n')
			*out++ = *p == 'r' ? '\r' : '\n';
		else
			*out++ = *p;
	}
	*out = '\0';
	return text;
}

static void http(const char *path, const char *member, const char *value)
{
	static char body[REPLY_MAX], head[512];
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	size_t n = 0, got = 0;
	ssize_t r;

	n += (size_t)sprintf(body, "{");
	if (member) {
		n += (size_t)sprintf(body + n, "\"%s\":\"", member);
		for (const char *p = value; *p; p++) {
			bool line_end = *p == '\r' || *p == '\n';
			if (line_end || *p == '"')
				body[n++] = '\\';
			body[n++] = (char)(*p == '\r' ? 'r' : *p == '\n' ? 'n' : *p);
		}
		body[n++] = '"';
	}
	body[n++] = '}';
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s < 0 || connect(s, (struct sockaddr *)&to, sizeof(to)) < 0)
		fail("cannot connect");
	int h = sprintf(head,
			"POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
			"Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
			path, n);
	if (write(s, head, (size_t)h) != h || write(s, body, n) != (ssize_t)n)
		fail("cannot send the request");
	while (got < sizeof(reply) - 1 && (r = read(s, reply + got, sizeof(reply) - 1 - got)) > 0)
		got += (size_t)r;
	reply[got] = '\0';
	close(s);
	if (strncmp(reply, "HTTP/1.1 20", 11) != 0)
		fail(path);
}

static struct sdp *parse(const char *sdp)
{
	struct sdp_error err;
	struct sdp *s;

	if (sdp_parse(&s, sdp, strlen(sdp), &err) < 0)
		fail(err.reason);
	return s;
}

static void connect_to(struct client *c, const struct sdp *theirs)
{
	const struct sdp_media *m = sdp_transport_media(theirs);
	struct peer_remote r = {.hash = "sha-256", .fingerprint_len = 32};

	if (!m)
		fail("no transport in the description");
	snprintf(r.ufrag, sizeof(r.ufrag), "%s", m->transport.ufrag);
	snprintf(r.pwd, sizeof(r.pwd), "%s", m->transport.pwd);
	memcpy(r.fingerprint, m->transport.fingerprint.value, 32);
	r.dtls_client = m->transport.setup == SDP_PASSIVE;
	if (peer_set_remote(c->peer, &r) < 0)
		fail("cannot use the description");
	for (unsigned i = 0; i < m->n_candidates; i++) {
		struct peer_candidate k = {.priority = m->candidates[i].priority,
					   .port = m->candidates[i].port,
					   .tcp = m->candidates[i].tcp,
					   .foundation = "1"};
		snprintf(k.address, sizeof(k.address), "%s", m->candidates[i].address);
		if (!strcmp(k.address, "127.0.0.1"))
			peer_add_candidate(c->peer, &k);
	}
}

static void publish(void)
{
	char path[128], *p = text;
	const uint8_t *hash = peer_env_fingerprint(env);

	snprintf(path, sizeof(path), "/rooms/%s/users/publisher", room);
	http(path, NULL, NULL);
	p += sprintf(p,
		     "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
		     "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n"
		     "a=sendonly\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\n"
		     "a=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\na=setup:actpass\r\n"
		     "a=ssrc:%u cname:bench\r\na=ice-ufrag:%s\r\na=ice-pwd:%s\r\n"
		     "a=fingerprint:sha-256 ",
		     SSRC, publisher.local.ufrag, publisher.local.pwd);
	for (int i = 0; i < 32; i++)
		p += sprintf(p, "%s%02X", i ? ":" : "", hash[i]);
	sprintf(p, "\r\n");
	char *offer = strdup(text);
	strcat(path, "/produce");
	http(path, "offer", offer);
	free(offer);
	struct sdp *answer = parse(json_text(reply, "answer"));
	connect_to(&publisher, answer);
	sdp_free(answer);
}

static void receive(struct client *c, unsigned n)
{
	char path[128];
	struct sdp_local local = {.session_id = n + 1,
				  .version = 1,
				  .ufrag = c->local.ufrag,
				  .pwd = c->local.pwd,
				  .fingerprint = {.hash = "sha-256", .len = 32}};
	struct sdp_wish wish[8] = {0};
	struct sdp_error err;
	struct sdp *answer;
	struct buf out;

	memcpy(local.fingerprint.value, peer_env_fingerprint(env), 32);
	snprintf(path, sizeof(path), "/rooms/%s/users/r%u", room, n);
	http(path, NULL, NULL);
	struct sdp *offer = parse(json_text(reply, "offer"));
	for (unsigned i = 0; i < offer->n_media && i < 8; i++)
		sdp_wish_receive(&wish[i], &offer->media[i]);
	if (offer->n_media > 8 || sdp_answer(&answer, offer, wish, &local, &err) < 0)
		fail("cannot answer the offer");
	buf_init(&out, SDP_MAX);
	if (sdp_write(answer, &out) < 0 || buf_append(&out, "", 1) < 0)
		fail("out of memory");
	strcat(path, "/consume");
	http(path, "answer", (char *)buf_data(&out));
	buf_done(&out);
	connect_to(c, offer);
	sdp_free(offer);
	sdp_free(answer);
}

/* ---- media ---- */

static void on_state(void *arg, enum peer_state state, enum peer_end why)
{
	struct client *c = arg;

	if (state == PEER_CONNECTED) {
		c->connected = true;
		n_connected++;
	} else if (state == PEER_ENDED) {
		fprintf(stderr, "sfu_load: a transport ended: %s\n", peer_end_name(why));
		exit(1);
	}
}

static void on_rtp(void *arg, uint8_t *p, size_t n, int64_t now_us)
{
	struct client *c = arg;
	struct rtp_packet k;

	(void)now_us;
	if (!measuring || rtp_parse(&k, p, n, NULL) < 0 || k.payload_len < MARK)
		return;
	c->received++;
	int64_t sent_us = (int64_t)get_be64(rtp_payload(&k) + 16);
	if (n_samples < SAMPLES)
		sample[n_samples++] = (uint32_t)(mono_now().us - sent_us);
}

static void on_rtcp(void *arg, const uint8_t *p, size_t n, int64_t now_us)
{
	(void)arg;
	(void)p;
	(void)n;
	(void)now_us;
}

static void on_batch(void *arg, int64_t now_us)
{
	(void)arg;
	(void)now_us;
}

static const struct peer_handler handler = {on_state, on_rtp, on_rtcp, on_batch};

static void open_client(struct client *c)
{
	if (peer_new(&c->peer, env, false, &c->local) < 0 ||
	    peer_attach(c->peer, io, &handler, c) < 0)
		fail("no port for a client");
}

static void send_packet(uint64_t number, size_t size, unsigned per_frame)
{
	uint8_t payload[PEER_PACKET_MAX] = {0};
	uint8_t *h = peer_out(publisher.peer);
	bool first = number % per_frame == 0, last = number % per_frame == per_frame - 1;

	memset(h, 0, RTP_HEADER);
	h[0] = 0x80;
	rtp_set_pt(h, 96);
	rtp_set_marker(h, last);
	rtp_set_seq(h, (uint16_t)number);
	rtp_set_ts(h, (uint32_t)(number / per_frame * 90000 / FRAMES));
	rtp_set_ssrc(h, SSRC);
	payload[0] = first ? 0x10 : 0;
	/* A key frame a second: nobody waits, and nobody asks. */
	payload[1] = number / per_frame % FRAMES ? 1 : 0;
	memcpy(payload + 4, "\x9d\x01\x2a", 3);
	put_be64(payload + 8, number);
	put_be64(payload + 16, (uint64_t)mono_now().us);
	peer_send_rtp(publisher.peer, RTP_HEADER, payload, size, number);
}

/* ---- measuring ---- */

static double cpu_us(int pid)
{
	char path[64];
	unsigned long user = 0, sys = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	FILE *f = fopen(path, "r");
	if (!f || fscanf(f, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
			 &sys) != 2)
		fail("no such server process");
	fclose(f);
	return (double)(user + sys) * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

static long rss_kb(int pid)
{
	char path[64];
	long pages = 0;

	snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	FILE *f = fopen(path, "r");
	if (!f || fscanf(f, "%*d %ld", &pages) != 1)
		fail("no such server process");
	fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static int ascending(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

static void turn_until(int64_t us)
{
	for (;;) {
		int64_t left = us - mono_now().us;
		if (left <= 0)
			return;
		loop_turn(loop, left > 2000 ? (int)(left / 1000) : 0);
	}
}

/* Sends for that long; returns how many packets. */
static uint64_t send_for(double seconds, unsigned rate, size_t size, bool burst)
{
	static uint64_t number = 1;
	unsigned per_frame = rate / FRAMES ? rate / FRAMES : 1;
	int64_t start = mono_now().us;
	uint64_t total = (uint64_t)(seconds * rate), step = burst ? per_frame : 1;

	for (uint64_t n = 0; n < total; n += step) {
		turn_until(start + (int64_t)(n * 1000000 / rate));
		for (uint64_t i = 0; i < step; i++)
			send_packet(number++, size, per_frame);
		peer_flush(publisher.peer);
	}
	return total / step * step + (total % step ? step : 0);
}

static void set_up(unsigned receivers)
{
	static const char *const addresses[] = {"127.0.0.1", NULL};
	struct peer_env_config c = {.addresses = addresses};
	struct rlimit files;

	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (loop_new(&loop) < 0 || peer_io_new(&io, loop) < 0 || peer_env_new(&env, &c) < 0)
		fail("cannot start");
	snprintf(room, sizeof(room), "bench-%d", (int)getpid());
	http("/rooms", "room_id", room);
	open_client(&publisher);
	publish();
	for (unsigned i = 0; i < receivers; i++) {
		open_client(&receiver[i]);
		receive(&receiver[i], i);
		loop_turn(loop, 0);
	}
	int64_t give_up = mono_now().us + STEP_US + receivers * 20000;
	while (n_connected < receivers + 1)
		if (mono_now().us > give_up)
			fail("not everybody was connected in time");
		else
			loop_turn(loop, 100);
}

int main(int argc, char **argv)
{
	if (argc != 8) {
		fprintf(stderr,
			"usage: sfu_load PORT PID RECEIVERS SECONDS RATE SIZE even|burst\n");
		return 2;
	}
	port = atoi(argv[1]);
	int pid = atoi(argv[2]);
	unsigned receivers = (unsigned)atoi(argv[3]), rate = (unsigned)atoi(argv[5]);
	size_t size = (size_t)atoi(argv[6]);
	bool burst = !strcmp(argv[7], "burst");
	uint64_t got = 0;

	if (!receivers || receivers > RECEIVERS_MAX || !rate || size < MARK || size > 1300)
		fail("a number is out of range");
	set_up(receivers);
	send_for(2.5, rate, size, burst); /* key frames reach everybody */
	turn_until(mono_now().us + 200000);
	measuring = true;
	double before = cpu_us(pid);
	uint64_t sent = send_for(atof(argv[4]), rate, size, burst);
	turn_until(mono_now().us + 500000);
	double used = cpu_us(pid) - before;
	for (unsigned i = 0; i < receivers; i++)
		got += receiver[i].received;
	if (!got)
		fail("nothing arrived");
	qsort(sample, n_samples, sizeof(sample[0]), ascending);
	printf("%u %llu %llu %.2f %u %u %ld\n", receivers, (unsigned long long)sent * receivers,
	       (unsigned long long)got, used / (double)got, sample[n_samples / 2],
	       sample[(size_t)n_samples * 99 / 100], rss_kb(pid));
	peer_close(publisher.peer);
	for (unsigned i = 0; i < receivers; i++)
		peer_close(receiver[i].peer);
	turn_until(mono_now().us + 50000);
	return 0;
}
