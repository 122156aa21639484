/* The server's offers over the life of a connection, answered by recorded and made-up clients. */
#include "sample.h"

#include <errno.h>

#include "sdp/sections.h"

static const struct sdp_codec opus = {
    .name = "opus", .clock = 48000, .channels = 2, .fmtp = "minptime=10;useinbandfec=1"};
static const struct sdp_codec vp8 = {.name = "VP8", .clock = 90000, .channels = 1};
static const struct sdp_codec vp9 = {
    .name = "VP9", .clock = 90000, .channels = 1, .fmtp = "profile-id=0"};
static const struct sdp_codec h264 = {
    .name = "H264",
    .clock = 90000,
    .channels = 1,
    .fmtp = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"};
static const struct sdp_codec av1 = {
    .name = "AV1", .clock = 90000, .channels = 1, .fmtp = "level-idx=5;profile=0;tier=0"};

static struct sdp_local local = {
    .session_id = 1,
    .ufrag = "abcd",
    .pwd = "0123456789012345678901",
    .fingerprint = {.hash = "sha-256", .value = {1}, .len = 32},
};

static int add(struct sections *s, enum sdp_kind kind, const struct sdp_codec *c, const char *user)
{
	static uint32_t ssrc = 1000;

	ssrc += 2;
	return sections_add(s, &(struct section_track){.kind = kind,
						       .codec = c,
						       .rtx = kind == SDP_VIDEO,
						       .stream = user,
						       .track = "t",
						       .cname = user,
						       .ssrc = ssrc,
						       .rtx_ssrc = ssrc + 1});
}

static struct sdp *offer(struct sections *s)
{
	struct sdp *o = NULL;

	local.version++;
	CHECK_INT(sections_offer(s, &o, &local), 0);
	sections_offered(s);
	CHECK(!sections_changed(s));
	return o;
}

/* What a client that takes everything answers; `reject` is the index of a section it does not. */
static int accept_first(struct sections *s, const struct sdp *o, int reject)
{
	struct sdp_wish wish[SDP_MEDIA_MAX];
	struct sdp *answer;

	for (unsigned i = 0; i < o->n_media; i++) {
		sdp_wish_receive(&wish[i], &o->media[i]);
		wish[i].reject = (int)i == reject;
	}
	CHECK_INT(sdp_answer(&answer, o, wish, &local, NULL), 0);
	int r = sections_answer(s, answer, NULL);
	sdp_free(answer);
	return r;
}

static int accept(struct sections *s, const struct sdp *o, int reject)
{
	int r = accept_first(s, o, reject);

	if (!r)
		sections_answered(s);
	return r;
}

static enum section_state state(struct sections *s, unsigned i)
{
	struct section_view v;

	CHECK_INT(sections_get(s, i, &v), 0);
	return v.state;
}

TEST(an_empty_room_offers_one_inactive_audio_section)
{
	struct sections *s;

	CHECK_INT(sections_new(&s), 0);
	CHECK(sections_changed(s));
	struct sdp *o = offer(s);
	CHECK_INT(o->n_media, 1);
	CHECK_INT(o->media[0].kind, SDP_AUDIO);
	CHECK_INT(o->media[0].direction, SDP_INACTIVE);
	CHECK(!sdp_is_rejected(&o->media[0]));
	CHECK_INT(accept(s, o, -1), 0);
	sdp_free(o);

	/* The first track takes its place. */
	CHECK_INT(add(s, SDP_AUDIO, &opus, "anna"), 0);
	CHECK(sections_changed(s));
	o = offer(s);
	CHECK_INT(o->n_media, 1);
	CHECK_INT(o->media[0].direction, SDP_SENDONLY);
	CHECK_STR(o->media[0].stream, "anna");
	CHECK_INT(accept(s, o, -1), 0);
	CHECK_INT(state(s, 0), SECTION_ACCEPTED);
	sdp_free(o);
	sections_free(s);
}

/* Builds what tests/fuzz/sdp/sdp.corpus/server-offer.sdp is, which browsers have answered. */
static struct sections *recorded(struct sdp **o)
{
	static const struct sdp_codec *const video[] = {&vp8, &vp9, &h264, &av1};
	struct sections *s;

	CHECK_INT(sections_new(&s), 0);
	for (int i = 0; i < 4; i++) {
		CHECK_INT(add(s, SDP_AUDIO, &opus, "u"), 2 * i);
		CHECK_INT(add(s, SDP_VIDEO, video[i], "u"), 2 * i + 1);
	}
	*o = offer(s);
	return s;
}

TEST(chromium_takes_all_sections)
{
	struct sdp *o, *answer = sample("chromium-answer");
	struct sections *s = recorded(&o);
	struct section_view v;

	CHECK_INT(sections_answer(s, answer, NULL), 0);
	for (unsigned i = 0; i < 8; i++) {
		CHECK_INT(sections_get(s, i, &v), 0);
		CHECK_INT(v.state, SECTION_ACCEPTED);
		CHECK_INT(v.pt, o->media[i].codecs[0].pt);
		CHECK(v.feedback.twcc);
		if (i % 2)
			CHECK(v.rtx_pt && v.feedback.nack && v.feedback.pli);
	}
	CHECK(sections_ext_agreed(s, SDP_VIDEO, "urn:3gpp:video-orientation"));
	CHECK(sections_ext_agreed(s, SDP_AUDIO, "urn:ietf:params:rtp-hdrext:ssrc-audio-level"));
	CHECK(!sections_ext_agreed(s, SDP_AUDIO, "urn:3gpp:video-orientation"));
	sdp_free(o);
	sdp_free(answer);
	sections_free(s);
}

TEST(firefox_without_h264_refuses_one_section_and_the_others_live)
{
	struct sdp *o, *answer = sample("firefox-answer");
	struct sections *s = recorded(&o);

	CHECK_INT(sections_answer(s, answer, NULL), 0);
	for (unsigned i = 0; i < 8; i++)
		CHECK_INT(state(s, i), i == 5 ? SECTION_REJECTED : SECTION_ACCEPTED);
	sdp_free(o);

	/* Refused means port 0 from now on, and out of the bundle. */
	CHECK_INT(add(s, SDP_AUDIO, &opus, "late"), 8);
	o = offer(s);
	CHECK(sdp_is_rejected(&o->media[5]));
	CHECK_INT(o->n_bundle, 8);
	CHECK_INT(accept(s, o, -1), 0);
	CHECK_INT(state(s, 5), SECTION_REJECTED);
	sdp_free(o);

	/* Its place is used again only under a new mid. */
	sections_remove(s, 5);
	CHECK_INT(add(s, SDP_VIDEO, &vp8, "later"), 5);
	o = offer(s);
	CHECK_STR(o->media[5].mid, "9");
	CHECK(!sdp_is_rejected(&o->media[5]));
	CHECK_INT(accept(s, o, -1), 0);
	CHECK_INT(state(s, 5), SECTION_ACCEPTED);
	sdp_free(o);
	sdp_free(answer);
	sections_free(s);
}

TEST(a_section_is_seen_inactive_before_it_holds_another_track)
{
	struct sections *s;

	CHECK_INT(sections_new(&s), 0);
	CHECK_INT(add(s, SDP_VIDEO, &vp8, "anna"), 0);
	struct sdp *o = offer(s);
	CHECK_INT(accept(s, o, -1), 0);
	sdp_free(o);

	sections_remove(s, 0);
	CHECK_INT(add(s, SDP_VIDEO, &vp8, "bert"), 1);
	o = offer(s);
	CHECK_INT(o->media[0].direction, SDP_INACTIVE);
	CHECK_STR(o->media[0].mid, "0");
	CHECK(!o->media[0].stream);
	CHECK_INT(accept(s, o, -1), 0);
	sdp_free(o);

	CHECK_INT(add(s, SDP_VIDEO, &vp8, "carl"), 0);
	o = offer(s);
	CHECK_STR(o->media[0].stream, "carl");
	CHECK_STR(o->media[0].mid, "0");
	CHECK_INT(o->n_media, 2);
	sdp_free(o);
	sections_free(s);
}

TEST(a_track_that_was_never_offered_leaves_its_place_at_once)
{
	struct sections *s;

	CHECK_INT(sections_new(&s), 0);
	CHECK_INT(add(s, SDP_VIDEO, &vp8, "anna"), 0);
	sections_remove(s, 0);
	CHECK_INT(add(s, SDP_VIDEO, &vp9, "bert"), 0);
	struct sdp *o = offer(s);
	CHECK_INT(o->n_media, 1);
	CHECK_STR(o->media[0].codecs[0].name, "VP9");
	sdp_free(o);
	sections_free(s);
}

TEST(an_answer_says_nothing_about_what_changed_after_its_offer)
{
	struct sections *s;

	CHECK_INT(sections_new(&s), 0);
	CHECK_INT(add(s, SDP_VIDEO, &vp8, "anna"), 0);
	struct sdp *o = offer(s);
	sections_remove(s, 0); /* while the offer is on its way */
	CHECK_INT(add(s, SDP_AUDIO, &opus, "anna"), 1);
	CHECK_INT(accept(s, o, -1), 0);
	CHECK_INT(state(s, 0), SECTION_FREE);
	CHECK_INT(state(s, 1), SECTION_NEW);
	CHECK_INT(add(s, SDP_VIDEO, &vp8, "bert"), 2); /* section 0 still drains */
	sdp_free(o);
	sections_free(s);
}

TEST(payload_types_keep_their_meaning)
{
	static const struct sdp_codec h264_level = {
	    .name = "H264",
	    .clock = 90000,
	    .channels = 1,
	    .fmtp = "packetization-mode=1;profile-level-id=42e034"};
	struct sections *s;
	uint8_t pt[128] = {0};

	CHECK_INT(sections_new(&s), 0);
	for (int round = 0; round < 20; round++) {
		const struct sdp_codec *const c[] = {&vp8, &h264, &vp9, &h264_level, &av1};
		unsigned i = (unsigned)add(s, SDP_VIDEO, c[round % 5], "u");
		struct sdp *o = offer(s);
		for (unsigned m = 0; m < o->n_media; m++) {
			const struct sdp_codec *now = &o->media[m].codecs[0];
			uint8_t first = (uint8_t)now->name[2]; /* tells the codecs apart */
			CHECK(!pt[now->pt] || pt[now->pt] == first);
			pt[now->pt] = first;
		}
		CHECK_INT(accept(s, o, -1), 0);
		sdp_free(o);
		if (round % 2)
			sections_remove(s, i);
	}
	sections_free(s);
}

/* Each stands for all later tracks of its codec, and browsers refuse what it says too much. */
TEST(parameters_of_one_publisher_do_not_speak_for_others)
{
	static const struct {
		struct sdp_codec codec;
		const char *offered;
	} cases[] = {
	    {{.name = "VP9", .clock = 90000, .channels = 1, .fmtp = "profile-id= 0;profile-id=9"},
	     "profile-id=0"},
	    {{.name = "AV1", .clock = 90000, .channels = 1, .fmtp = "profile=0;tier=1;profile=2"},
	     "profile=0"},
	    {{.name = "H264",
	      .clock = 90000,
	      .channels = 1,
	      .fmtp = "profile-level-id=42e01f;packetization-mode=1;profile-level-id=640034"},
	     "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"},
	    {{.name = "H264", .clock = 90000, .channels = 1},
	     "level-asymmetry-allowed=1;packetization-mode=0"},
	    {{.name = "VP8", .clock = 90000, .channels = 1, .fmtp = "max-fs=1"}, NULL},
	};
	struct sections *s;

	CHECK_INT(sections_new(&s), 0);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK_INT(add(s, SDP_VIDEO, &cases[i].codec, "u"), i);
	struct sdp *o = offer(s);
	for (unsigned i = 0; i < o->n_media; i++) {
		const char *fmtp = o->media[i].codecs[0].fmtp;
		CHECK_STR(fmtp ? fmtp : "", cases[i].offered ? cases[i].offered : "");
	}
	sdp_free(o);
	sections_free(s);
}

TEST(an_offer_that_nobody_got_changes_nothing)
{
	struct sections *s;
	struct sdp *lost;

	CHECK_INT(sections_new(&s), 0);
	CHECK_INT(add(s, SDP_AUDIO, &opus, "anna"), 0);
	struct sdp *first = offer(s);

	/* Made, but it never became text: the one before is still answered. */
	CHECK_INT(add(s, SDP_VIDEO, &vp8, "bert"), 1);
	CHECK_INT(sections_offer(s, &lost, &local), 0);
	sdp_free(lost);
	CHECK(sections_changed(s));
	CHECK_INT(accept(s, first, -1), 0);
	CHECK_INT(state(s, 0), SECTION_ACCEPTED);
	CHECK_INT(state(s, 1), SECTION_NEW);
	CHECK(sections_changed(s));
	sdp_free(first);

	/* Nor has anybody seen its sections. */
	sections_remove(s, 1);
	CHECK_INT(add(s, SDP_VIDEO, &vp9, "carl"), 1);
	struct sdp *o = offer(s);
	CHECK_INT(o->n_media, 2);
	CHECK_INT(accept(s, o, -1), 0);
	CHECK_INT(state(s, 1), SECTION_ACCEPTED);
	sdp_free(o);
	sections_free(s);
}

TEST(an_answer_may_come_again_until_it_is_done)
{
	struct sections *s;

	CHECK_INT(sections_new(&s), 0);
	CHECK_INT(add(s, SDP_AUDIO, &opus, "ann"), 0);
	CHECK_INT(add(s, SDP_VIDEO, &vp8, "ann"), 1);
	struct sdp *o = offer(s);
	CHECK_INT(accept(s, o, -1), 0);
	sdp_free(o);
	sections_remove(s, 0);
	o = offer(s);
	CHECK_INT(accept_first(s, o, -1), 0);
	/* What came meanwhile is in no offer that is answered here. */
	CHECK_INT(add(s, SDP_AUDIO, &opus, "bob"), 0);
	sections_remove(s, 1);
	CHECK_INT(accept_first(s, o, -1), 0);
	CHECK_INT(state(s, 0), SECTION_NEW);
	CHECK_INT(state(s, 1), SECTION_FREE);
	CHECK(sections_changed(s));
	sections_answered(s);
	CHECK_INT(accept(s, o, -1), -EPROTO);
	sdp_free(o);
	o = offer(s);
	CHECK_INT(accept(s, o, -1), 0);
	CHECK_INT(state(s, 0), SECTION_ACCEPTED);
	CHECK_INT(state(s, 1), SECTION_FREE);
	sdp_free(o);
	sections_free(s);
}

TEST(answers_that_do_not_belong_change_nothing)
{
	struct sdp *o, *other = sample("chromium-publish");
	struct sections *s = recorded(&o);
	struct sdp_error err;

	CHECK_INT(sections_answer(s, other, &err), -EPROTO);
	CHECK_STR(err.reason, "the answer has not as many m= sections as the offer");
	CHECK_INT(state(s, 0), SECTION_NEW);
	CHECK_INT(accept(s, o, -1), 0);
	CHECK_INT(accept(s, o, -1), -EPROTO); /* answered already */
	CHECK_INT(state(s, 0), SECTION_ACCEPTED);
	sdp_free(o);
	sdp_free(other);
	sections_free(s);
}

TEST(sections_and_payload_types_are_bounded)
{
	struct sections *s;

	CHECK_INT(sections_new(&s), 0);
	for (int i = 0; i < SECTIONS_MAX; i++)
		CHECK_INT(add(s, SDP_AUDIO, &opus, "u"), i);
	CHECK_INT(add(s, SDP_AUDIO, &opus, "u"), -ENOSPC);
	sections_free(s);

	CHECK_INT(sections_new(&s), 0);
	int r = 0;
	for (int i = 0; i < 100 && r >= 0; i++) {
		char name[8];
		snprintf(name, sizeof(name), "X%d", i);
		struct sdp_codec c = {.name = name, .clock = 90000, .channels = 1};
		r = add(s, SDP_VIDEO, &c, "u");
	}
	CHECK_INT(r, -ENOSPC);
	struct sdp_codec rtx = {.name = "rtx", .clock = 90000, .channels = 1, .fmtp = "apt=96"};
	CHECK_INT(add(s, SDP_VIDEO, &rtx, "u"), -EINVAL);
	sections_free(s);
}
