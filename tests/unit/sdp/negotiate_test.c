/* Answers to publishers and players: real offers in, what must stand in the answer out. */
#include "sample.h"

#include <errno.h>

#include "sdp/negotiate.h"
#include "sdp/sections.h"

#define TWCC "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
#define MID  "urn:ietf:params:rtp-hdrext:sdes:mid"

static const struct sdp_candidate host = {
    .foundation = "1", .component = 1, .priority = 2130706431, .address = "127.0.0.1", .port = 4};

static const struct sdp_local local = {
    .session_id = 1,
    .version = 2,
    .ufrag = "Ufrg",
    .pwd = "0123456789012345678901",
    .fingerprint = {.hash = "sha-256", .value = {1, 2, 3}, .len = 32},
    .candidates = &host,
    .n_candidates = 1,
    .end_of_candidates = true,
};

static int answer_receiving(struct sdp **answer, const struct sdp *offer, struct sdp_error *err)
{
	struct sdp_wish wish[SDP_MEDIA_MAX];

	for (unsigned i = 0; i < offer->n_media; i++)
		sdp_wish_receive(&wish[i], &offer->media[i]);
	return sdp_answer(answer, offer, wish, &local, err);
}

TEST(every_client_that_publishes_gets_an_answer)
{
	static const char *const names[] = {"chromium-publish", "firefox-publish", "aiortc-publish",
					    "gstreamer-publish", "chromium-simulcast"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct sdp *offer = sample(names[i]), *answer;
		CHECK_INT(answer_receiving(&answer, offer, NULL), 0);
		CHECK_INT(answer->n_media, offer->n_media);
		CHECK_INT(answer->n_bundle, 2);
		for (unsigned k = 0; k < 2; k++) {
			const struct sdp_media *a = &answer->media[k], *o = &offer->media[k];
			struct sdp_agreed agreed;
			CHECK_STR(a->mid, o->mid);
			CHECK_INT(a->direction, SDP_RECVONLY);
			CHECK_INT(a->transport.setup, SDP_PASSIVE);
			CHECK(a->rtcp_mux && a->port);
			sdp_agree(&agreed, a, o);
			CHECK(agreed.alive && agreed.codec);
			CHECK_STR(agreed.codec->name, o->kind == SDP_VIDEO ? "VP8"
						      : i == 3		   ? "OPUS"
									   : "opus");
			CHECK_INT(agreed.direction, SDP_RECVONLY);
			if (o->kind == SDP_VIDEO)
				CHECK(agreed.feedback.pli);
		}
		/* Only the first section carries candidates: the others are bundled with it. */
		CHECK_INT(answer->media[0].n_candidates, 1);
		CHECK_INT(answer->media[1].n_candidates, 0);
		sdp_free(offer);
		sdp_free(answer);
	}
}

/* RFC 5506 section 5: who does not offer it is sent whole compounds, and not told of it. */
TEST(reduced_size_rtcp_is_what_both_name)
{
	for (int i = 0; i < 2; i++) {
		struct sdp *offer = sample(i ? "chromium-publish" : "aiortc-publish"), *answer;
		struct sdp_agreed agreed;
		CHECK_INT(answer_receiving(&answer, offer, NULL), 0);
		for (unsigned k = 0; k < answer->n_media; k++) {
			CHECK_INT(offer->media[k].rtcp_rsize, i);
			CHECK_INT(answer->media[k].rtcp_rsize, i);
			sdp_agree(&agreed, &answer->media[k], &offer->media[k]);
			CHECK_INT(agreed.feedback.rsize, i);
		}
		sdp_free(offer);
		sdp_free(answer);
	}
}

TEST(an_answer_keeps_payload_types_and_extension_ids)
{
	struct sdp *offer = sample("chromium-publish"), *answer;

	CHECK_INT(answer_receiving(&answer, offer, NULL), 0);
	const struct sdp_media *a = &answer->media[1], *o = &offer->media[1];
	CHECK_INT(a->n_codecs, 2);
	CHECK_INT(a->codecs[0].pt, 96);
	CHECK_INT(a->codecs[1].pt, 97);
	CHECK_STR(a->codecs[1].fmtp, "apt=96");
	CHECK_INT(sdp_ext_by_uri(a, TWCC)->id, sdp_ext_by_uri(o, TWCC)->id);
	CHECK_INT(sdp_ext_by_uri(a, MID)->id, sdp_ext_by_uri(o, MID)->id);
	CHECK(!sdp_ext_by_uri(a, "http://www.webrtc.org/experiments/rtp-hdrext/color-space"));
	struct sdp_agreed agreed;
	sdp_agree(&agreed, a, o);
	CHECK(agreed.feedback.nack && agreed.feedback.pli && agreed.feedback.fir &&
	      agreed.feedback.twcc);
	CHECK(!agreed.feedback.remb); /* not beside transport-cc */
	CHECK_INT(agreed.rtx_pt, 97);
	sdp_free(offer);
	sdp_free(answer);
}

TEST(all_layers_of_a_simulcast_are_taken_and_the_data_channel_refused)
{
	struct sdp *offer = sample("firefox-simulcast"), *answer;
	struct sdp_agreed a;

	CHECK_INT(answer_receiving(&answer, offer, NULL), 0);
	sdp_agree(&a, &answer->media[1], &offer->media[1]);
	CHECK_INT(a.n_rids, 3);
	CHECK_STR(a.rid[0], "h");
	CHECK_STR(a.rid[2], "l");
	CHECK(sdp_is_rejected(&answer->media[2]));
	char *text = text_of_sdp(answer);
	CHECK(strstr(text, "a=rid:m recv\r\n"));
	CHECK(strstr(text, "a=simulcast:recv h;m;l\r\n"));
	CHECK(strstr(text, "m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\n"));
	free(text);
	sdp_free(offer);
	sdp_free(answer);
}

TEST(layers_need_a_name_that_packets_can_carry)
{
	struct sdp *offer = sample("chromium-simulcast"), *answer;
	struct sdp_media *m = NULL;
	struct sdp_agreed a;
	unsigned at = 0;

	for (; at < offer->n_media && !offer->media[at].n_rids; at++)
		;
	m = &offer->media[at];
	m->rids[1].id = "seventeen-letters"; /* no one-byte header extension holds it */
	CHECK_INT(answer_receiving(&answer, offer, NULL), 0);
	sdp_agree(&a, &answer->media[at], m);
	CHECK_INT(a.n_rids, 2);
	CHECK_STR(a.rid[0], "h");
	CHECK_STR(a.rid[1], "l");
	sdp_free(answer);
	/* Without the extension for names all layers would look alike: then only one is taken. */
	for (unsigned i = 0; i < m->n_exts; i++)
		if (strstr(m->exts[i].uri, "sdes:rtp-stream-id"))
			m->exts[i].uri = "urn:x";
	CHECK_INT(answer_receiving(&answer, offer, NULL), 0);
	sdp_agree(&a, &answer->media[at], m);
	CHECK_INT(a.n_rids, 0);
	char *text = text_of_sdp(answer);
	CHECK(!strstr(text, "a=simulcast"));
	free(text);
	sdp_free(answer);
	sdp_free(offer);
}

/* Puts another codec in front, as setCodecPreferences does. */
static void prefer(struct sdp_media *m, uint8_t pt)
{
	for (unsigned i = 0; i < m->n_codecs; i++) {
		if (m->codecs[i].pt == pt) {
			struct sdp_codec c = m->codecs[i];
			memmove(m->codecs + 1, m->codecs, i * sizeof(c));
			m->codecs[0] = c;
		}
	}
}

TEST(the_publisher_chooses_the_codec_and_we_its_variant)
{
	static const struct {
		uint8_t first, chosen;
	} cases[] = {{45, 45}, {98, 98}, {100, 96}, {102, 108}, {39, 108}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sdp *offer = sample("chromium-publish"), *answer;
		prefer(&offer->media[1], cases[i].first);
		CHECK_INT(answer_receiving(&answer, offer, NULL), 0);
		CHECK_INT(answer->media[1].codecs[0].pt, cases[i].chosen);
		sdp_free(offer);
		sdp_free(answer);
	}
}

TEST(a_player_gets_the_one_codec_that_there_is)
{
	static const struct sdp_cap h264[] = {
	    {.name = "H264",
	     .clock = 90000,
	     .channels = 1,
	     .rtx = true,
	     .fmtp = "packetization-mode=1;profile-level-id=42e01f"},
	    {0}};
	struct sdp *offer = sample("chromium-play"), *answer;
	struct sdp_wish wish[2] = {{.reject = true},
				   {.direction = SDP_SENDONLY,
				    .caps = h264,
				    .exts = sdp_exts_video,
				    .stream = "anna",
				    .track = "camera",
				    .cname = "anna",
				    .ssrc = 11,
				    .rtx_ssrc = 12}};

	CHECK_INT(sdp_answer(&answer, offer, wish, &local, NULL), 0);
	const struct sdp_media *m = &answer->media[1];
	CHECK(sdp_is_rejected(&answer->media[0]));
	CHECK_INT(answer->n_bundle, 1);
	CHECK_INT(m->direction, SDP_SENDONLY);
	CHECK_STR(m->codecs[0].name, "H264");
	CHECK_STR(m->stream, "anna");
	CHECK_INT(m->ssrcs[0].ssrc, 11);
	CHECK_INT(m->ssrc_groups[0].ssrc[1], 12);
	CHECK_INT(m->n_candidates, 1); /* the first living section has them */
	sdp_free(offer);
	sdp_free(answer);
}

#define OFFER(session, media)                                       \
	"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n" session \
	"m=audio 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:a\r\na=rtpmap:96 opus/48000/2\r\n" media
#define HEX8 "00:11:22:33:44:55:66:77"
#define KEYS                                                                                  \
	"a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 " HEX8 \
	":" HEX8 ":" HEX8 ":" HEX8 "\r\n"

TEST(offers_that_cannot_be_served_say_why)
{
	static const struct {
		const char *text, *reason;
	} cases[] = {
	    {OFFER("", "a=rtcp-mux\r\n"), "a=ice-ufrag or a=ice-pwd is missing"},
	    {OFFER("a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n", "a=rtcp-mux\r\n"),
	     "a=fingerprint is missing"},
	    {OFFER(KEYS, ""), "a section does not offer a=rtcp-mux, which is needed"},
	    {OFFER(KEYS, "a=rtcp-mux\r\nm=video 9 UDP/TLS/RTP/SAVPF 97\r\na=rtcp-mux\r\n"),
	     "several sections need a=group:BUNDLE"},
	    {"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\n", "the offer has no m= section"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sdp *offer = parse_text(cases[i].text), *answer = NULL;
		struct sdp_error err = {0};
		CHECK_INT(answer_receiving(&answer, offer, &err), -EPROTO);
		CHECK_STR(err.reason, cases[i].reason);
		sdp_free(offer);
	}
}

TEST(no_codec_in_common_rejects_only_that_section)
{
	struct sdp *offer = parse_text(
	    OFFER(KEYS "a=group:BUNDLE a v\r\n",
		  "a=rtcp-mux\r\na=sendonly\r\nm=video 9 UDP/TLS/RTP/SAVPF 97\r\na=mid:v\r\n"
		  "a=rtcp-mux\r\na=rtpmap:97 H261/90000\r\n"));
	struct sdp *answer;

	CHECK_INT(answer_receiving(&answer, offer, NULL), 0);
	CHECK(!sdp_is_rejected(&answer->media[0]));
	CHECK(sdp_is_rejected(&answer->media[1]));
	CHECK_INT(answer->n_bundle, 1);
	CHECK_STR(answer->bundle[0], "a");
	sdp_free(offer);
	sdp_free(answer);
}

/* What RTCP in the same stream would be taken for (RFC 5761 section 4). */
TEST(payload_types_of_rtcp_are_not_taken)
{
	static const struct {
		unsigned pt, rtx;
		unsigned want, want_rtx; /* 0: none */
	} cases[] = {{63, 96, 63, 96}, {64, 96, 0, 0},	{72, 73, 0, 0},
		     {95, 35, 0, 0},   {96, 95, 96, 0}, {96, 64, 96, 0}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[1024];
		struct sdp *answer;
		struct sdp_agreed a;

		snprintf(text, sizeof(text),
			 OFFER(KEYS "a=group:BUNDLE a v\r\n",
			       "a=rtcp-mux\r\na=sendonly\r\nm=video 9 UDP/TLS/RTP/SAVPF %u %u\r\n"
			       "a=mid:v\r\na=rtcp-mux\r\na=sendonly\r\na=rtpmap:%u VP8/90000\r\n"
			       "a=rtpmap:%u rtx/90000\r\na=fmtp:%u apt=%u\r\n"),
			 cases[i].pt, cases[i].rtx, cases[i].pt, cases[i].rtx, cases[i].rtx,
			 cases[i].pt);
		struct sdp *offer = parse_text(text);
		CHECK_INT(answer_receiving(&answer, offer, NULL), 0);
		CHECK(!sdp_is_rejected(&answer->media[0]));
		CHECK_INT(sdp_is_rejected(&answer->media[1]), !cases[i].want);
		sdp_agree(&a, &answer->media[1], &offer->media[1]);
		CHECK_INT(a.pt, cases[i].want);
		CHECK_INT(a.rtx_pt, cases[i].want_rtx);
		/* Nor from who answers. */
		answer->media[1].port = 9;
		answer->media[1].codecs[0].pt = 97;
		sdp_agree(&a, &answer->media[1], &offer->media[1]);
		CHECK_INT(a.pt, cases[i].want);
		sdp_free(offer);
		sdp_free(answer);
	}
}

/* What is taken of one m-section with H.264 alone, in these variants. */
static struct sdp *answer_h264(const char *first, const char *second)
{
	char text[1024];
	struct sdp *answer;

	snprintf(
	    text, sizeof(text),
	    OFFER(KEYS "a=group:BUNDLE a v\r\n",
		  "a=rtcp-mux\r\na=sendonly\r\nm=video 9 UDP/TLS/RTP/SAVPF 97 98\r\na=mid:v\r\n"
		  "a=rtcp-mux\r\na=sendonly\r\na=rtpmap:97 H264/90000\r\na=fmtp:97 %s\r\n"
		  "a=rtpmap:98 H264/90000\r\na=fmtp:98 %s\r\n"),
	    first, second);
	struct sdp *offer = parse_text(text);
	CHECK_INT(answer_receiving(&answer, offer, NULL), 0);
	sdp_free(offer);
	return answer;
}

TEST(of_h264_only_the_usual_variants_are_taken)
{
	static const struct {
		const char *first, *second;
		int pt; /* taken; 0: the section is rejected */
	} cases[] = {
	    {"profile-level-id=640c1f", "profile-level-id=640c1f", 97},
	    {"profile-level-id=4d001f;packetization-mode=0", "profile-level-id=42e01f", 97},
	    {"profile-level-id=f4001f;packetization-mode=1", "profile-level-id=64001f", 98},
	    {"profile-level-id=6e001f", "profile-level-id=42001f;packetization-mode=1", 98},
	    {"profile-level-id=f4001f", "profile-level-id=640d1f", 0},
	    {"profile-level-id=42e01f;packetization-mode=2", "packetization-mode=-1", 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sdp *answer = answer_h264(cases[i].first, cases[i].second);
		const struct sdp_media *m = &answer->media[1];
		CHECK_INT(sdp_is_rejected(m) ? 0 : m->codecs[0].pt, cases[i].pt);
		sdp_free(answer);
	}
}

TEST(no_publisher_uses_up_the_payload_types_of_others)
{
	struct sections *s;

	CHECK_INT(sections_new(&s), 0);
	for (unsigned i = 0; i < 1u << 16; i += 5) {
		char fmtp[64];
		snprintf(fmtp, sizeof(fmtp), "profile-level-id=%04x1f;packetization-mode=%u", i,
			 i % 4);
		struct sdp *answer = answer_h264(fmtp, fmtp);
		const struct sdp_media *m = &answer->media[1];
		struct section_track t = {.kind = SDP_VIDEO, .codec = m->codecs, .rtx = true};
		if (!sdp_is_rejected(m)) {
			CHECK_INT(sections_add(s, &t), 0);
			sections_remove(s, 0);
		}
		sdp_free(answer);
	}
	sections_free(s);
}

TEST(setup_follows_the_offer)
{
	struct sdp *offer = sample("chromium-publish"), *answer;

	for (unsigned i = 0; i < offer->n_media; i++)
		offer->media[i].transport.setup = SDP_PASSIVE;
	CHECK_INT(answer_receiving(&answer, offer, NULL), 0);
	CHECK_INT(answer->media[0].transport.setup, SDP_ACTIVE);
	sdp_free(offer);
	sdp_free(answer);
}

/* Browsers list it behind Opus; who wants it lists it first. */
TEST(redundant_sound_is_for_those_who_ask_for_it)
{
	static const char *const others[] = {"111/0", "111", "63/63", "111/111/", "", NULL};
	struct sdp *offer = sample("chromium-publish"), *answer;
	struct sdp_media *m = &offer->media[0];
	struct sdp_agreed agreed;

	CHECK_INT(answer_receiving(&answer, offer, NULL), 0);
	sdp_agree(&agreed, &answer->media[0], m);
	CHECK_STR(answer->media[0].codecs[0].name, "opus");
	CHECK_INT(answer->media[0].n_codecs, 1);
	CHECK_INT(agreed.red_pt, 0);
	sdp_free(answer);

	struct sdp_codec opus = m->codecs[0];
	CHECK_STR(m->codecs[1].name, "red");
	m->codecs[0] = m->codecs[1];
	m->codecs[1] = opus;
	CHECK_INT(answer_receiving(&answer, offer, NULL), 0);
	sdp_agree(&agreed, &answer->media[0], m);
	CHECK_INT(answer->media[0].n_codecs, 2);
	CHECK_STR(answer->media[0].codecs[0].name, "red");
	CHECK_STR(answer->media[0].codecs[0].fmtp, "111/111");
	CHECK(sdp_has_feedback(&answer->media[0].codecs[1], "transport-cc"));
	CHECK_INT(agreed.pt, 111);
	CHECK_INT(agreed.red_pt, 63);
	CHECK_STR(agreed.codec->name, "opus");
	sdp_free(answer);

	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		m->codecs[0].fmtp = others[i];
		CHECK_INT(answer_receiving(&answer, offer, NULL), 0);
		sdp_agree(&agreed, &answer->media[0], m);
		CHECK_INT(agreed.red_pt, i == 1 ? 63 : 0);
		sdp_free(answer);
	}
	sdp_free(offer);
}
