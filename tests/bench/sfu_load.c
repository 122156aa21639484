/*
 * Load for an SFU on this machine: publishers of video, each in a room of its own, and receivers
 * dealt out to them, through the server's own signalling and real transports.
 *
 *	sfu_load msr|janus ADDRESS PORT PID PUBLISHERS RECEIVERS SECONDS RATE SIZE even|burst gcm|cm
 *		[silent]
 *
 * Receivers answer with transport-wide feedback where the server numbers packets, as browsers do;
 * silent ones do not want such numbers, so that nothing is estimated.
 *
 * ADDRESS is a local one for media. Each publisher sends RATE packets a second; with 0 all are only
 * connected. Prints one line of JSON: what was sent and received, CPU of the server process (of a
 * core, and for each packet that it forwarded), latency in µs (from before encryption here to after
 * decryption here), resident memory of the server, and what each receiver after the first adds.
 * Exit status 1: it could not measure.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "loop/loop.h"
#include "peer/peer.h"
#include "rtp/packet.h"
#include "sdp/negotiate.h"
#include "sdp/sdp.h"
#include "sfu_load/load.h"

#define RECEIVERS_MAX  1000
#define PUBLISHERS_MAX 200
#define SAMPLES	       (1u << 20)
#define FRAMES	       30 /* a second */
#define SSRC	       1000u
#define MARK	       24 /* bytes of payload that we look at: VP8, number, time */
#define STEP_US	       10000000
#define FEEDBACK_US    100000
#define WARM_UP_S      1.5 /* key frames reach everybody */
#define SETTLE_S       6.0 /* ICE has no more to check after that */

struct plan {
	const struct target *target;
	const char *address;
	int pid;
	unsigned publishers, receivers, rate;
	double seconds;
	size_t size;
	bool burst, gcm, silent;
};

static struct loop *loop;
static struct peer_io *io;
static struct peer_env *env;
static struct client publisher[PUBLISHERS_MAX], receiver[RECEIVERS_MAX];
static uint32_t sample[SAMPLES];
static unsigned n_samples, n_connected;
static uint64_t measured_from = UINT64_MAX; /* number of the first packet that counts */
static const char *address;
static bool silent;

void fail(const char *what, const char *more)
{
	fprintf(stderr, "sfu_load: %s: %.400s\n", what, more);
	exit(1);
}

void turn(int timeout_ms)
{
	loop_turn(loop, timeout_ms);
}

/* ---- descriptions ---- */

static struct sdp *parse(const char *text)
{
	struct sdp_error err;
	struct sdp *s;

	if (sdp_parse(&s, text, strlen(text), &err) < 0)
		fail(err.reason, text);
	return s;
}

void connect_to(struct client *c, const char *sdp)
{
	struct sdp *theirs = parse(sdp);
	const struct sdp_media *m = sdp_transport_media(theirs);
	struct peer_remote r = {.hash = "sha-256", .fingerprint_len = 32};

	if (!m)
		fail("no transport in the description", sdp);
	snprintf(r.ufrag, sizeof(r.ufrag), "%s", m->transport.ufrag);
	snprintf(r.pwd, sizeof(r.pwd), "%s", m->transport.pwd);
	memcpy(r.fingerprint, m->transport.fingerprint.value, 32);
	r.dtls_client = m->transport.setup == SDP_PASSIVE;
	if (peer_set_remote(c->peer, &r) < 0)
		fail("cannot use the description", sdp);
	for (unsigned i = 0; i < m->n_candidates; i++) {
		struct peer_candidate k = {.priority = m->candidates[i].priority,
					   .port = m->candidates[i].port,
					   .tcp = m->candidates[i].tcp,
					   .foundation = "1"};
		snprintf(k.address, sizeof(k.address), "%s", m->candidates[i].address);
		if (!strcmp(k.address, address))
			peer_add_candidate(c->peer, &k);
	}
	sdp_free(theirs);
}

char *publisher_offer(const struct client *c)
{
	const uint8_t *hash = peer_env_fingerprint(env);
	char print[32 * 3 + 1], *out;

	for (int i = 0; i < 32; i++)
		sprintf(print + 3 * i, ":%02X", hash[i]);
	if (asprintf(&out,
		     "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
		     "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n"
		     "a=sendonly\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\n"
		     "a=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\na=setup:actpass\r\n"
		     "a=ssrc:%u cname:bench\r\na=ice-ufrag:%s\r\na=ice-pwd:%s\r\n"
		     "a=fingerprint:sha-256 %s\r\n",
		     SSRC, c->local.ufrag, c->local.pwd, print + 1) < 0)
		fail("publisher", "out of memory");
	return out;
}

/* All that is offered of a section, but for transport-wide numbers. */
static void wish_silent(struct sdp_wish *w)
{
	static const char *exts[2][SDP_EXTS_MAX + 1];
	const char **out = exts[w->exts == sdp_exts_video];
	unsigned n = 0;

	for (const char *const *uri = w->exts; *uri; uri++)
		if (rtp_ext_of(*uri) != RTP_EXT_TWCC)
			out[n++] = *uri;
	w->exts = out;
}

char *answer(struct client *c, const char *text, unsigned n)
{
	struct sdp_local local = {.session_id = n + 1,
				  .version = 1,
				  .ufrag = c->local.ufrag,
				  .pwd = c->local.pwd,
				  .fingerprint = {.hash = "sha-256", .len = 32}};
	struct sdp_wish wish[8] = {0};
	struct sdp *offer = parse(text), *reply;
	struct sdp_error err;
	struct buf out;

	memcpy(local.fingerprint.value, peer_env_fingerprint(env), 32);
	for (unsigned i = 0; i < offer->n_media && i < 8; i++) {
		sdp_wish_receive(&wish[i], &offer->media[i]);
		if (silent)
			wish_silent(&wish[i]);
	}
	if (offer->n_media > 8 || sdp_answer(&reply, offer, wish, &local, &err) < 0)
		fail("cannot answer the offer", text);
	buf_init(&out, SDP_MAX);
	if (sdp_write(reply, &out) < 0 || buf_append(&out, "", 1) < 0)
		fail("receiver", "out of memory");
	char *sdp = strdup((char *)buf_data(&out));
	buf_done(&out);
	for (unsigned i = 0; i < reply->n_media; i++)
		for (unsigned k = 0; k < reply->media[i].n_exts; k++)
			if (rtp_ext_of(reply->media[i].exts[k].uri) == RTP_EXT_TWCC)
				rtp_extmap_set(&c->ext, RTP_EXT_TWCC, reply->media[i].exts[k].id);
	sdp_free(offer);
	sdp_free(reply);
	return sdp;
}

/* ---- media ---- */

static void on_state(void *arg, enum peer_state state, enum peer_end why)
{
	struct client *c = arg;

	if (state == PEER_CONNECTED) {
		c->connected = true;
		n_connected++;
	} else if (state == PEER_ENDED) {
		fail("a transport ended", peer_end_name(why));
	}
}

static void on_rtp(void *arg, uint8_t *p, size_t n, int64_t now_us)
{
	struct client *c = arg;
	struct rtp_packet k;
	uint16_t seq;

	if (rtp_parse(&k, p, n, &c->ext) < 0)
		return;
	if (rtp_twcc_seq(&k, &seq))
		twcc_rx_packet(&c->rx, seq, now_us);
	if (!c->ssrc)
		c->ssrc = k.ssrc;
	/* Not what comes again to probe: that is not what was sent. */
	if (k.ssrc != c->ssrc || k.payload_len < MARK ||
	    get_be64(rtp_payload(&k) + 8) < measured_from)
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
	struct client *c = arg;
	uint8_t out[1200];

	if (now_us - c->feedback_us < FEEDBACK_US)
		return;
	c->feedback_us = now_us;
	while (twcc_rx_pending(&c->rx)) {
		struct rtcp_writer w = rtcp_writer(out, sizeof(out));
		if (twcc_rx_write(&c->rx, &w, 1, c->ssrc) < 0)
			return;
		peer_send_rtcp(c->peer, out, w.len);
	}
}

static const struct peer_handler handler = {on_state, on_rtp, on_rtcp, on_batch};

static void open_client(struct client *c, bool controlling)
{
	if (peer_new(&c->peer, env, controlling, &c->local) < 0 ||
	    peer_attach(c->peer, io, &handler, c) < 0)
		fail("a client", "no port");
}

static void send_packet(struct peer *to, uint64_t number, size_t size, unsigned per_frame)
{
	uint8_t payload[PEER_PACKET_MAX] = {0};
	uint8_t *h = peer_out(to);
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
	peer_send_rtp(to, RTP_HEADER, payload, size, number);
}

/* ---- measuring ---- */

/* Of all its threads, to the ns: times(2) counts in steps of 10 ms. */
static double cpu_us(int pid)
{
	char path[320];
	double us = 0;
	unsigned long long ns;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	DIR *d = opendir(path);
	if (!d)
		fail("no such server process", path);
	for (struct dirent *e; (e = readdir(d));) {
		snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", pid, e->d_name);
		FILE *f = e->d_name[0] != '.' ? fopen(path, "r") : NULL;
		if (f && fscanf(f, "%llu", &ns) == 1)
			us += (double)ns / 1e3;
		if (f)
			fclose(f);
	}
	closedir(d);
	return us;
}

static long rss_kb(int pid)
{
	char path[64];
	long pages = 0;

	snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	FILE *f = fopen(path, "r");
	if (!f || fscanf(f, "%*d %ld", &pages) != 1)
		fail("no such server process", path);
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

static uint64_t next_number = 1;

/* All publishers send for that long, one after another; returns how many packets each sent. */
static uint64_t send_for(double seconds, const struct plan *p)
{
	unsigned per_frame = p->rate / FRAMES ? p->rate / FRAMES : 1;
	int64_t start = mono_now().us;
	uint64_t total = (uint64_t)(seconds * p->rate), step = p->burst ? per_frame : 1, n;

	for (n = 0; n < total; n += step) {
		for (unsigned k = 0; k < p->publishers; k++) {
			uint64_t turns = n * p->publishers + k * step;
			turn_until(start + (int64_t)(turns * 1000000 / p->rate / p->publishers));
			for (uint64_t i = 0; i < step; i++)
				send_packet(publisher[k].peer, next_number + i, p->size, per_frame);
			peer_flush(publisher[k].peer);
		}
		next_number += step;
	}
	turn_until(start + (int64_t)(seconds * 1e6));
	return n;
}

static void wait_connected(unsigned n)
{
	int64_t give_up = mono_now().us + STEP_US + n * 20000;

	while (n_connected < n)
		if (mono_now().us > give_up)
			fail("clients", "not all were connected in time");
		else
			loop_turn(loop, 100);
}

/* Returns the server's memory once it serves one receiver: what others need comes on top. */
static long set_up(const struct plan *p)
{
	const char *const addresses[] = {p->address, NULL};
	struct peer_env_config c = {.addresses = addresses, .no_gcm = !p->gcm};
	struct rlimit files;
	long rss = 0;

	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (loop_new(&loop) < 0 || peer_io_new(&io, loop) < 0 || peer_env_new(&env, &c) < 0)
		fail("cannot start", p->address);
	address = p->address;
	silent = p->silent;
	for (unsigned i = 0; i < p->publishers; i++) {
		open_client(&publisher[i], true);
		p->target->publish(&publisher[i], i);
	}
	for (unsigned i = 0; i < p->receivers; i++) {
		open_client(&receiver[i], p->target->lite);
		p->target->receive(&receiver[i], i, i % p->publishers);
		if (i == 0) {
			wait_connected(p->publishers + 1);
			send_for(WARM_UP_S, p); /* fills what is kept for retransmission */
			rss = rss_kb(p->pid);
		}
		loop_turn(loop, 0);
	}
	wait_connected(p->publishers + p->receivers);
	return rss;
}

static unsigned quantile(unsigned percent)
{
	return n_samples ? sample[(size_t)n_samples * percent / 100] : 0;
}

static void measure(const struct plan *p, long rss_of_one)
{
	uint64_t got = 0;

	send_for(p->rate ? WARM_UP_S : SETTLE_S, p);
	turn_until(mono_now().us + 200000);
	measured_from = next_number;
	double before = cpu_us(p->pid);
	uint64_t sent = send_for(p->seconds, p);
	double used = cpu_us(p->pid) - before;
	turn_until(mono_now().us + 300000);
	for (unsigned i = 0; i < p->receivers; i++)
		got += receiver[i].received;
	if (p->rate && p->receivers && !got)
		fail("packets", "none arrived");
	uint64_t expected = sent * p->receivers, in = sent * p->publishers;
	long rss = rss_kb(p->pid);
	qsort(sample, n_samples, sizeof(sample[0]), ascending);
	printf("{\"server\": \"%s\", \"publishers\": %u, \"receivers\": %u, \"rate\": %u, "
	       "\"size\": %zu, "
	       "\"pace\": \"%s\", \"srtp\": \"%s\", \"seconds\": %.1f, "
	       "\"expected\": %llu, \"received\": %llu, \"lost_percent\": %.3f, "
	       "\"cpu_percent\": %.2f, \"us_per_packet\": %.3f, \"us_per_packet_in\": %.3f, "
	       "\"p50_us\": %u, "
	       "\"p99_us\": %u, \"rss_kib\": %ld, \"kib_per_receiver\": %.1f}\n",
	       p->target->name, p->publishers, p->receivers, p->rate, p->size,
	       p->burst ? "burst" : "even", p->gcm ? "gcm" : "cm", p->seconds,
	       (unsigned long long)expected, (unsigned long long)got,
	       expected ? 100.0 * ((double)expected - (double)got) / (double)expected : 0,
	       used / p->seconds / 1e4, got ? used / (double)got : 0, in ? used / (double)in : 0,
	       quantile(50), quantile(99), rss,
	       p->receivers > 1 ? (double)(rss - rss_of_one) / (p->receivers - 1) : 0);
}

int main(int argc, char **argv)
{
	if (argc != 12 && argc != 13) {
		fprintf(stderr, "usage: sfu_load msr|janus ADDRESS PORT PID PUBLISHERS RECEIVERS "
				"SECONDS RATE SIZE even|burst gcm|cm [silent]\n");
		return 2;
	}
	struct plan p = {
	    .target = strcmp(argv[1], "janus") ? &msr : &janus,
	    .address = argv[2],
	    .pid = atoi(argv[4]),
	    .publishers = (unsigned)atoi(argv[5]),
	    .receivers = (unsigned)atoi(argv[6]),
	    .seconds = atof(argv[7]),
	    .rate = (unsigned)atoi(argv[8]),
	    .size = (size_t)atoi(argv[9]),
	    .burst = !strcmp(argv[10], "burst"),
	    .gcm = strcmp(argv[11], "cm") != 0,
	    .silent = argc == 13,
	};

	if (!p.publishers || p.publishers > PUBLISHERS_MAX || p.receivers > RECEIVERS_MAX ||
	    p.size < MARK || p.size > 1300)
		fail("arguments", "a number is out of range");
	http_port(atoi(argv[3]));
	measure(&p, set_up(&p));
	for (unsigned i = 0; i < p.publishers; i++)
		peer_close(publisher[i].peer);
	for (unsigned i = 0; i < p.receivers; i++)
		peer_close(receiver[i].peer);
	turn_until(mono_now().us + 50000);
	return 0;
}
