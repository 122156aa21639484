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
#include <unistd.h>

#include "base/clock.h"
#include "peer/peer.h"
#include "rtp/packet.h"
#include "sfu_load/load.h"

#define RECEIVERS_MAX  1000
#define PUBLISHERS_MAX 200
#define SAMPLES	       (1u << 20)
#define FRAMES	       30  /* a second */
#define MARK	       24  /* bytes of payload that we look at: VP8, number, time */
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

static struct client publisher[PUBLISHERS_MAX], receiver[RECEIVERS_MAX];
static uint32_t sample[SAMPLES];
static unsigned n_samples;
static uint64_t measured_from = UINT64_MAX; /* number of the first packet that counts */

/* ---- media ---- */

static void on_rtp(void *arg, uint8_t *p, size_t n, int64_t now_us)
{
	struct client *c = arg;
	struct rtp_packet k;

	if (client_received(c, &k, p, n, now_us) < 0)
		return;
	/* Not what comes again to probe: that is not what was sent. */
	if (k.ssrc != c->ssrc || k.payload_len < MARK ||
	    get_be64(rtp_payload(&k) + 8) < measured_from)
		return;
	c->received++;
	int64_t sent_us = (int64_t)get_be64(rtp_payload(&k) + 16);
	if (n_samples < SAMPLES)
		sample[n_samples++] = (uint32_t)(mono_now().us - sent_us);
}

static const struct peer_handler handler = {client_state, on_rtp, client_no_rtcp, client_feedback};

static void send_packet(struct peer *to, uint64_t number, size_t size, unsigned per_frame)
{
	uint8_t payload[PEER_PACKET_MAX] = {0};
	uint8_t *h = peer_out(to);
	bool first = number % per_frame == 0, last = number % per_frame == per_frame - 1;

	memset(h, 0, RTP_HEADER);
	h[0] = 0x80;
	rtp_set_pt(h, PICTURE_PT);
	rtp_set_marker(h, last);
	rtp_set_seq(h, (uint16_t)number);
	rtp_set_ts(h, (uint32_t)(number / per_frame * 90000 / FRAMES));
	rtp_set_ssrc(h, PICTURE_SSRC);
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

/* Returns the server's memory once it serves one receiver: what others need comes on top. */
static long set_up(const struct plan *p)
{
	long rss = 0;

	clients_start(p->address, p->gcm, p->silent, &handler);
	for (unsigned i = 0; i < p->publishers; i++) {
		client_open(&publisher[i], true);
		p->target->publish(&publisher[i], i);
	}
	for (unsigned i = 0; i < p->receivers; i++) {
		client_open(&receiver[i], p->target->lite);
		p->target->receive(&receiver[i], i, i % p->publishers);
		if (i == 0) {
			clients_wait(p->publishers + 1);
			send_for(WARM_UP_S, p); /* fills what is kept for retransmission */
			rss = rss_kb(p->pid);
		}
		turn(0);
	}
	clients_wait(p->publishers + p->receivers);
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
