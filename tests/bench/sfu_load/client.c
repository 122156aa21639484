/* Clients: their transports, and the descriptions that they exchange with the server. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/buf.h"
#include "base/clock.h"
#include "load.h"
#include "loop/loop.h"
#include "peer/peer.h"
#include "sdp/negotiate.h"
#include "sdp/sdp.h"

#define STEP_US	    10000000
#define FEEDBACK_US 100000

static struct loop *loop;
static struct peer_io *io;
static struct peer_env *env;
static const struct peer_handler *handler;
static const char *address;
static unsigned n_connected;
static bool silent;

void fail(const char *what, const char *more)
{
	fprintf(stderr, "%s: %s: %.400s\n", program_invocation_short_name, what, more);
	exit(1);
}

void turn(int timeout_ms)
{
	loop_turn(loop, timeout_ms);
}

void clients_start(const char *at, bool gcm, bool no_estimation, const struct peer_handler *h)
{
	const char *const addresses[] = {at, NULL};
	struct peer_env_config c = {.addresses = addresses, .no_gcm = !gcm};
	struct rlimit files;

	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (loop_new(&loop) < 0 || peer_io_new(&io, loop) < 0 || peer_env_new(&env, &c) < 0)
		fail("cannot start", at);
	address = at;
	silent = no_estimation;
	handler = h;
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
	char print[32 * 3 + 1], sound[256] = "", *out;

	for (int i = 0; i < 32; i++)
		sprintf(print + 3 * i, ":%02X", hash[i]);
	if (c->with_sound)
		snprintf(sound, sizeof(sound),
			 "m=audio 9 UDP/TLS/RTP/SAVPF %d\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\n"
			 "a=sendonly\r\na=rtcp-mux\r\na=rtpmap:%d opus/48000/2\r\n"
			 "a=ssrc:%u cname:bench\r\n",
			 SOUND_PT, SOUND_PT, SOUND_SSRC);
	/* The transport's attributes stand before all sections, for all of them. */
	if (asprintf(&out,
		     "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0%s\r\n"
		     "a=setup:actpass\r\na=ice-ufrag:%s\r\na=ice-pwd:%s\r\n"
		     "a=fingerprint:sha-256 %s\r\n"
		     "m=video 9 UDP/TLS/RTP/SAVPF %d\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n"
		     "a=sendonly\r\na=rtcp-mux\r\na=rtpmap:%d VP8/90000\r\n"
		     "a=rtcp-fb:%d nack\r\na=rtcp-fb:%d nack pli\r\n"
		     "a=ssrc:%u cname:bench\r\n%s",
		     c->with_sound ? " 1" : "", c->local.ufrag, c->local.pwd, print + 1, PICTURE_PT,
		     PICTURE_PT, PICTURE_PT, PICTURE_PT, PICTURE_SSRC, sound) < 0)
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

/* ---- transports ---- */

void client_state(void *arg, enum peer_state state, enum peer_end why)
{
	struct client *c = arg;

	if (state == PEER_CONNECTED) {
		c->connected = true;
		n_connected++;
	} else if (state == PEER_ENDED) {
		fail("a transport ended", peer_end_name(why));
	}
}

void client_no_rtcp(void *arg, const uint8_t *p, size_t n, int64_t now_us)
{
	(void)arg;
	(void)p;
	(void)n;
	(void)now_us;
}

int client_received(struct client *c, struct rtp_packet *k, uint8_t *p, size_t n, int64_t now_us)
{
	uint16_t seq;

	if (rtp_parse(k, p, n, &c->ext) < 0)
		return -EBADMSG;
	if (rtp_twcc_seq(k, &seq))
		twcc_rx_packet(&c->rx, seq, now_us);
	if (!c->ssrc)
		c->ssrc = k->ssrc;
	return 0;
}

void client_feedback(void *arg, int64_t now_us)
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

void client_open(struct client *c, bool controlling)
{
	if (peer_new(&c->peer, env, controlling, &c->local) < 0 ||
	    peer_attach(c->peer, io, handler, c) < 0)
		fail("a client", "no port");
}

void turn_until(int64_t us)
{
	for (;;) {
		int64_t left = us - mono_now().us;
		if (left <= 0)
			return;
		loop_turn(loop, left > 2000 ? (int)(left / 1000) : 0);
	}
}

void clients_wait(unsigned n)
{
	int64_t give_up = mono_now().us + STEP_US + n * 20000;

	while (n_connected < n)
		if (mono_now().us > give_up)
			fail("clients", "not all were connected in time");
		else
			loop_turn(loop, 100);
}
