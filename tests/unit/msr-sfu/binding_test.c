/* Which stream a packet is of: by what it names, by what was signalled, by what it was before. */
#include "../../../cmd/msr-sfu/fwd/binding.h"

#include "../../../cmd/msr-sfu/fwd/endpoint.h"
#include "../../../cmd/msr-sfu/fwd/track.h"
#include "../../support/test.h"

#define MID  4 /* ids of header extensions */
#define RID  3
#define RRID 5

static struct endpoint e;
static const struct media_track_config layered = {
    .codec = RTP_CODEC_VP8, .pt = 96, .rtx_pt = 97, .mid = "v", .n_rids = 2, .rid = {"l", "h"}};
static const struct media_track_config screen = {
    .codec = RTP_CODEC_VP8, .pt = 96, .rtx_pt = 97, .mid = "s"};

static void begin(void)
{
	static struct media_stats stats;
	static const struct wire wire;

	endpoint_init(&e, &wire, NULL, &stats);
	rtp_extmap_set(&e.extmap, RTP_EXT_MID, MID);
	rtp_extmap_set(&e.extmap, RTP_EXT_RID, RID);
	rtp_extmap_set(&e.extmap, RTP_EXT_RRID, RRID);
}

static struct track *publish(const struct media_track_config *c)
{
	struct track *t;

	CHECK_INT(track_new(&t, &e, 1, c), 0);
	return t;
}

/* The binding of a packet that names its m-section and layer, where these are not NULL. */
static struct binding *find(uint32_t ssrc, uint8_t pt, const char *mid, const char *rid)
{
	static uint8_t p[200];
	struct rtp_header h = {.pt = pt, .ssrc = ssrc};
	struct rtp_ext_item item[2];
	struct rtp_packet packet;
	unsigned n = 0;

	if (mid)
		item[n++] =
		    (struct rtp_ext_item){.id = MID, .len = 1, .value = (const uint8_t *)mid};
	if (rid)
		item[n++] = (struct rtp_ext_item){
		    .id = pt == 97 ? RRID : RID, .len = 1, .value = (const uint8_t *)rid};
	int len = rtp_header_write(p, sizeof(p), &h, item, n);
	CHECK(len > 0);
	CHECK_INT(rtp_parse(&packet, p, (size_t)len + 50, &e.extmap), 0);
	return bindings_find(&e.bindings, &e.tracks, &packet, 0);
}

TEST(what_a_packet_names_holds_for_its_ssrc)
{
	begin();
	struct track *v = publish(&layered), *s = publish(&screen);
	CHECK(!find(11, 96, NULL, NULL)); /* two tracks have that payload type */
	CHECK(!find(11, 96, "v", NULL));  /* and this one has two layers */
	CHECK(!find(11, 96, "v", "x"));
	CHECK(!find(11, 98, "v", "l"));
	CHECK(find(11, 96, "v", "l")->stream == &v->stream[0]);
	CHECK(find(12, 96, "v", "h")->stream == &v->stream[1]);
	CHECK(find(21, 97, "v", "l")->rtx);
	CHECK(find(31, 96, "s", NULL)->track == s);
	CHECK(find(12, 96, NULL, NULL)->stream == &v->stream[1]);
	CHECK(find(21, 97, NULL, NULL)->stream == &v->stream[0]);
	CHECK(bindings_of(&e.bindings, 31)->track == s);
	CHECK(!bindings_of(&e.bindings, 32));
	endpoint_done(&e);
}

TEST(a_camera_that_is_switched_off_and_on_need_not_name_itself_again)
{
	begin();
	struct track *v = publish(&layered), *s = publish(&screen);
	find(11, 96, "v", "l");
	find(12, 96, "v", "h");
	find(22, 97, "v", "h");
	endpoint_drop_track(&e, v);
	/* What was on its way is not of the other track. */
	CHECK(!find(12, 96, NULL, NULL));
	CHECK(!find(22, 97, NULL, NULL));
	v = publish(&layered);
	CHECK(find(12, 96, NULL, NULL)->stream == &v->stream[1]);
	CHECK(find(11, 96, NULL, NULL)->stream == &v->stream[0]);
	CHECK(find(22, 97, NULL, NULL)->stream == &v->stream[1]);
	CHECK(find(22, 97, NULL, NULL)->rtx);
	/* What a packet names counts for more. */
	endpoint_drop_track(&e, v);
	CHECK(find(12, 96, "s", NULL)->track == s);
	endpoint_done(&e);
}

TEST(what_was_signalled_or_has_no_alternative_needs_no_name)
{
	struct media_track_config c = screen;

	begin();
	struct track *only = publish(&screen);
	CHECK(find(31, 96, NULL, NULL)->track == only);
	endpoint_drop_track(&e, only);
	c.ssrc = 41;
	struct track *signalled = publish(&c);
	c.ssrc = 42;
	c.mid[0] = 't';
	struct track *other = publish(&c);
	CHECK(find(42, 96, NULL, NULL)->track == other);
	CHECK(find(41, 96, NULL, NULL)->track == signalled);
	CHECK(!find(43, 96, NULL, NULL));
	endpoint_done(&e);
}

TEST(an_ssrc_that_changes_is_followed_where_nothing_else_can_be_meant)
{
	struct media_track_config c = screen;

	begin();
	c.ssrc = 41;
	c.rtx_ssrc = 42;
	struct track *only = publish(&c);
	CHECK(find(41, 96, NULL, NULL)->track == only);
	CHECK(find(43, 96, NULL, NULL)->track == only); /* silent so far */
	for (unsigned i = 0; i < 2 * BINDING_MAX; i++)
		CHECK(find(100 + i, 97, NULL, NULL)->rtx);
	CHECK_INT(e.bindings.n, 3);
	CHECK(!find(44, 98, NULL, NULL));
	endpoint_done(&e);
}

TEST(the_memory_is_bounded)
{
	begin();
	for (unsigned round = 0; round < 100; round++) {
		struct track *v = publish(&layered);
		for (unsigned i = 0; i < BINDING_MAX; i++)
			CHECK(find(1000 + round * 1000 + i, 96, "v", "l"));
		CHECK(!find(1, 96, "v", "l"));
		endpoint_drop_track(&e, v);
		CHECK_INT(e.bindings.n, 0);
	}
	struct track *v = publish(&layered);
	CHECK(!find(1000, 96, NULL, NULL)); /* long forgotten */
	/* The last ones are remembered, in whatever order they were dropped. */
	unsigned known = 0;
	for (unsigned i = 0; i < BINDING_MAX; i++)
		known += find(100000 + i, 96, NULL, NULL) != NULL;
	CHECK_INT(known, 32);
	CHECK(v->stream[0].ssrc);
	endpoint_done(&e);
}
