#include "world.h"

#include <stdlib.h>

#include "../../../cmd/msr-sfu/fwd/endpoint.h"
#include "../../../cmd/msr-sfu/fwd/sub.h"
#include "../../../cmd/msr-sfu/fwd/track.h"
#include "../../support/test.h"
#include "watcher.h"

#define AUDIO_BYTES  80
#define KEY_US	     50000 /* that an encoder takes */
#define KEY_SIZE     5	   /* times a frame */
#define RID_ID	     6
#define MID_ID	     7
#define WATCHERS_MAX 4

struct world world;
const double world_one[1] = {1.2e6};
const double world_layered[3] = {150e3, 500e3, 1.5e6};

static struct {
	struct endpoint e;
	struct track *video, *audio;
	unsigned n_layers;
	double bps[MEDIA_LAYERS_MAX];
	uint16_t seq[MEDIA_LAYERS_MAX], audio_seq;
	uint32_t frame;
	int64_t key_us[MEDIA_LAYERS_MAX]; /* when a key frame is due; 0: none */
	int64_t frame_us, audio_us;
} pub;
static struct watcher *watcher[WATCHERS_MAX];
static unsigned n_watchers;

/* ---- the publisher ---- */

static void pub_rtcp(void *arg, const uint8_t *p, size_t n)
{
	struct rtcp_msg m;
	uint32_t ssrc;

	(void)arg;
	for (struct rtcp_iter it = rtcp_begin(p, n); rtcp_next(&it, &m);)
		if (m.type == RTCP_PSFB && m.count == RTCP_PLI && !rtcp_get_media(&m, &ssrc) &&
		    ssrc - 1000 < pub.n_layers && !pub.key_us[ssrc - 1000])
			pub.key_us[ssrc - 1000] = world.now + KEY_US;
}

static const struct wire pub_wire = {.send_rtcp = pub_rtcp};

static uint8_t *room_for_packet(void)
{
	static uint8_t ring[1024][1500];
	static unsigned i;

	return ring[i++ % 1024];
}

static void pub_packet(uint32_t ssrc, uint8_t pt, uint16_t seq, uint32_t ts, const char *mid,
		       const char *rid, const uint8_t *payload, size_t n)
{
	uint8_t *p = room_for_packet();
	struct rtp_header h = {.pt = pt, .seq = seq, .ts = ts, .ssrc = ssrc};
	struct rtp_ext_item item[] = {
	    {.id = MID_ID, .len = 1, .value = (const uint8_t *)mid},
	    {.id = RID_ID, .len = 1, .value = (const uint8_t *)rid},
	};
	int len = rtp_header_write(p, 1500, &h, item, rid ? 2 : 1);

	memcpy(p + len, payload, n);
	endpoint_rtp(&pub.e, p, (size_t)len + n, world.now);
}

static void pub_frame(unsigned layer)
{
	static const char *const rid[] = {"0", "1", "2", "3"};
	bool key = pub.key_us[layer] && world.now >= pub.key_us[layer];
	double bytes = pub.bps[layer] / 8 * FRAME_US / 1e6 * (0.8 + 0.4 * (rand() % 100) / 100.0);
	uint8_t payload[1200];

	if (key) {
		bytes *= KEY_SIZE;
		pub.key_us[layer] = 0;
		world.keys++;
	}
	unsigned count = (unsigned)(bytes / 1100) + 1;
	for (unsigned i = 0; i < count; i++) {
		size_t n = (size_t)bytes / count + 4 + MARK;
		memset(payload, 0, sizeof(payload));
		payload[0] = i ? 0 : 0x10;
		payload[1] = key ? 0 : 1;
		memcpy(payload + 4, "\x9d\x01\x2a", 3);
		uint8_t *mark = payload + n - MARK;
		mark[0] = key;
		mark[1] = (uint8_t)layer;
		put_be16(mark + 2, (uint16_t)i);
		put_be16(mark + 4, (uint16_t)count);
		pub_packet(1000 + layer, 96, pub.seq[layer]++, pub.frame * 3000, "v",
			   pub.n_layers > 1 ? rid[layer] : NULL, payload, n);
	}
}

static void pub_step(void)
{
	uint8_t payload[AUDIO_BYTES] = {0};

	if (world.now >= pub.frame_us) {
		pub.frame_us += FRAME_US;
		pub.frame++;
		for (unsigned i = 0; i < pub.n_layers; i++)
			if (pub.bps[i] > 0)
				pub_frame(i);
	}
	if (world.now >= pub.audio_us) {
		pub.audio_us += AUDIO_US;
		put_be64(payload, (uint64_t)world.now);
		pub_packet(2000, 111, pub.audio_seq, pub.audio_seq * 960u, "a", NULL, payload,
			   sizeof(payload));
		pub.audio_seq++;
	}
	endpoint_batch_end(&pub.e, world.now);
}

/* ---- the world ---- */

void world_begin(unsigned n_layers, const double *bps)
{
	struct media_track_config video = {.codec = RTP_CODEC_VP8,
					   .pt = 96,
					   .ssrc = n_layers > 1 ? 0 : 1000,
					   .mid = "v",
					   .feedback = {.nack = true, .pli = true},
					   .n_rids = n_layers > 1 ? n_layers : 0,
					   .rid = {"0", "1", "2", "3"}};
	struct media_track_config audio = {
	    .codec = RTP_CODEC_OPUS, .pt = 111, .ssrc = 2000, .mid = "a"};

	memset(&pub, 0, sizeof(pub));
	world = (struct world){.now = 100 * SECOND};
	srand(1);
	pub.n_layers = n_layers;
	memcpy(pub.bps, bps, n_layers * sizeof(*bps));
	pub.frame_us = pub.audio_us = world.now;
	endpoint_init(&pub.e, &pub_wire, NULL, &world.stats);
	rtp_extmap_set(&pub.e.extmap, RTP_EXT_MID, MID_ID);
	rtp_extmap_set(&pub.e.extmap, RTP_EXT_RID, RID_ID);
	CHECK_INT(track_new(&pub.video, &pub.e, 1, &video), 0);
	CHECK_INT(track_new(&pub.audio, &pub.e, 2, &audio), 0);
	endpoint_connected(&pub.e, world.now);
}

struct watcher *world_add(double capacity)
{
	CHECK(n_watchers < WATCHERS_MAX);
	struct watcher *v = watcher_new(pub.video, pub.audio, n_watchers, capacity);

	watcher[n_watchers++] = v;
	return v;
}

void world_end(void)
{
	for (unsigned i = 0; i < n_watchers; i++)
		watcher_free(watcher[i]);
	n_watchers = 0;
	endpoint_done(&pub.e);
}

void world_step(void)
{
	world.now += 1000;
	pub_step();
	for (unsigned i = 0; i < n_watchers; i++) {
		struct watcher *v = watcher[i];
		watcher_step(v);
		if (world.now % FWD_TICK_US == 0)
			endpoint_tick(&v->e, world.now);
		else if (world.now % CONGEST_PAD_US == 0 && endpoint_probing(&v->e))
			congest_pad(&v->e, world.now);
	}
	if (world.now % FWD_TICK_US == 0)
		endpoint_tick(&pub.e, world.now);
}

void world_run(double seconds)
{
	int64_t end_us = world.now + (int64_t)(seconds * 1e6);

	for (unsigned i = 0; i < n_watchers; i++)
		watcher_figures_begin(watcher[i]);
	while (world.now < end_us)
		world_step();
	for (unsigned i = 0; i < n_watchers; i++)
		if (watcher[i]->shown_us &&
		    world.now - watcher[i]->shown_us > watcher[i]->freeze_us)
			watcher[i]->freeze_us = world.now - watcher[i]->shown_us;
}

double world_until_layer(const struct watcher *v, int layer, double limit)
{
	int64_t from_us = world.now;

	while (v->video->grant.layer != layer && (double)(world.now - from_us) / 1e6 < limit)
		world_step();
	return (double)(world.now - from_us) / 1e6;
}
