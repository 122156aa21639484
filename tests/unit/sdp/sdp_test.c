/* Parser and writer, on descriptions of real clients and on broken ones. */
#include "sample.h"

#include <errno.h>

#include "sdp/fmtp.h"

static const char *const samples[] = {
    "chromium-publish", "chromium-simulcast", "chromium-play",	   "chromium-answer",
    "firefox-publish",	"firefox-simulcast",  "firefox-play",	   "firefox-answer",
    "aiortc-publish",	"aiortc-answer",      "gstreamer-publish", "server-offer",
};

TEST(what_was_parsed_and_written_parses_to_the_same)
{
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		struct sdp *a = sample(samples[i]);
		char *once = text_of_sdp(a);
		struct sdp *b = parse_text(once);
		char *twice = text_of_sdp(b);
		CHECK_STR(twice, once);
		CHECK_INT(b->n_media, a->n_media);
		free(once);
		free(twice);
		sdp_free(a);
		sdp_free(b);
	}
}

TEST(a_chromium_offer_is_understood)
{
	struct sdp *s = sample("chromium-publish");
	const struct sdp_media *audio = &s->media[0], *video = &s->media[1];

	CHECK_INT(s->n_media, 2);
	CHECK_INT(s->n_bundle, 2);
	CHECK(s->extmap_allow_mixed && s->ice_trickle && !s->ice_lite);
	CHECK_INT(audio->kind, SDP_AUDIO);
	CHECK_INT(audio->direction, SDP_SENDONLY);
	CHECK_INT(audio->transport.setup, SDP_ACTPASS);
	CHECK_STR(audio->transport.fingerprint.hash, "sha-256");
	CHECK_INT(audio->transport.fingerprint.len, 32);
	CHECK_STR(audio->mid, "0");
	CHECK(audio->rtcp_mux && audio->stream && audio->track);
	CHECK_STR(audio->codecs[0].name, "opus");
	CHECK_INT(audio->codecs[0].channels, 2);
	CHECK_INT(audio->codecs[0].clock, 48000);
	CHECK(sdp_has_feedback(&audio->codecs[0], "transport-cc"));
	CHECK_STR(sdp_codec_by_pt(audio, 8)->name, "PCMA");
	CHECK_INT(video->n_codecs, 23);
	CHECK_STR(video->codecs[0].name, "VP8");
	CHECK_INT(sdp_rtx_of(video, 96)->pt, 97);
	CHECK(sdp_has_feedback(&video->codecs[0], "nack pli"));
	CHECK(sdp_ext_by_uri(video, "urn:ietf:params:rtp-hdrext:sdes:mid"));
	CHECK_INT(video->n_ssrcs, 2);
	CHECK_STR(video->ssrc_groups[0].semantics, "FID");
	CHECK_INT(video->ssrc_groups[0].ssrc[0], video->ssrcs[0].ssrc);
	sdp_free(s);
}

TEST(simulcast_layers_keep_their_order)
{
	static const char *const names[] = {"chromium-simulcast", "firefox-simulcast"};

	for (int i = 0; i < 2; i++) {
		struct sdp *s = sample(names[i]);
		const struct sdp_media *m = &s->media[1];
		CHECK_INT(m->n_rids, 3);
		CHECK(m->simulcast_send && !m->simulcast_recv);
		CHECK_STR(m->rids[0].id, "h");
		CHECK_STR(m->rids[2].id, "l");
		CHECK(m->rids[1].send && m->rids[1].simulcast && !m->rids[1].paused);
		CHECK_INT(s->media[2].kind, SDP_APPLICATION);
		CHECK_STR(s->media[2].formats, "webrtc-datachannel");
		CHECK(s->media[1].n_candidates > 0 || s->media[0].n_candidates > 0);
		sdp_free(s);
	}
}

TEST(session_level_values_reach_every_section)
{
	struct sdp *s = sample("firefox-publish");

	for (unsigned i = 0; i < s->n_media; i++)
		CHECK_INT(s->media[i].transport.fingerprint.len, 32);
	sdp_free(s);
}

TEST(candidates_of_all_kinds)
{
	static const char *const lines[] = {
	    "candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host",
	    "candidate:2 1 udp 1694498815 203.0.113.9 61000 typ srflx raddr 10.0.0.1 rport 5000",
	    "candidate:3 1 tcp 1518280447 2001:db8::7 9 typ host tcptype active",
	    "candidate:4 1 udp 2122260223 0e4c4fbb-2b1d.local 5001 typ host ufrag aBcD",
	};
	struct sdp *s = sdp_new();
	struct sdp_candidate c;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct buf b;
		buf_init(&b, 0);
		CHECK_INT(sdp_parse_candidate(s, lines[i], strlen(lines[i]), &c), 0);
		CHECK_INT(sdp_write_candidate(&c, &b), 0);
		CHECK_INT(buf_append(&b, "", 1), 0);
		CHECK_STR((char *)buf_data(&b), lines[i]);
		buf_done(&b);
	}
	CHECK_INT(
	    sdp_parse_candidate(s, "a=candidate:1 1 UDP 1 ::1 7 typ host generation 0", 49, &c), 0);
	CHECK_STR(c.address, "::1");
	static const char *const bad[] = {
	    "",
	    "candidate:",
	    "candidate:1 1 udp 1 1.2.3.4 70000 typ host",
	    "candidate:1 0 udp 1 1.2.3.4 7 typ host",
	    "candidate:1 1 sctp 1 1.2.3.4 7 typ host",
	    "candidate:1 1 udp 4294967296 1.2.3.4 7 typ host",
	    "candidate:1 1 udp 1 1.2.3.4 7 typ best",
	    "candidate:1 1 udp 1 a\nb 7 typ host",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_INT(sdp_parse_candidate(s, bad[i], strlen(bad[i]), &c), -EBADMSG);
	sdp_free(s);
}

#define HEAD "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"

TEST(what_is_no_sdp_is_refused_with_line_and_reason)
{
	static const struct {
		const char *text;
		unsigned line;
		const char *reason;
	} cases[] = {
	    {"", 0, "v= or o= is missing"},
	    {"hello\r\n", 1, "a line does not look like SDP (x=...)"},
	    {"v=1\r\n", 1, "the first line is not v=0"},
	    {"v=0\r\ns=-\r\n", 0, "v= or o= is missing"},
	    {"v=0\r\no=- x 1 IN IP4 0\r\n", 2, "o= needs a numeric session id and version"},
	    {HEAD "m=audio 70000 RTP/AVP 0\r\n", 5, "m= needs a port up to 65535"},
	    {HEAD "m=audio 9 RTP/AVP 128\r\n", 5, "m= names a payload type above 127"},
	    {HEAD "m=audio 9 RTP/AVP 0\r\na=mid:\r\n", 6,
	     "a=mid: the value is missing or too long"},
	    {HEAD "m=audio 9 RTP/AVP 0\r\na=extmap:0 x\r\n", 6, "a=extmap: the id is out of range"},
	    {HEAD "m=audio 9 RTP/AVP 0\r\na=mid:0\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n", 8,
	     "a=mid: two sections have the same mid"},
	    {HEAD "m=audio 9 RTP/AVP 111\r\na=fmtp:111 x=\xc3\xa9\r\n", 6,
	     "a=fmtp: parameters are ASCII"},
	    {HEAD "a=fingerprint:sha-256 A:B\r\n", 5, "a=fingerprint: bad digest"},
	    {HEAD "a=fingerprint:sha-256 AA:BB\r\n", 5,
	     "a=fingerprint: the digest is not as long as its hash"},
	    {HEAD "a=fingerprint:sha-384 AA\r\n", 5,
	     "a=fingerprint: the digest is not as long as its hash"},
	    {HEAD "a=x\x01\r\n", 5, "control character"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sdp_error err = {0};
		struct sdp *s;
		CHECK_INT(sdp_parse(&s, cases[i].text, strlen(cases[i].text), &err), -EBADMSG);
		CHECK_STR(err.reason, cases[i].reason);
		CHECK_INT(err.line, cases[i].line);
	}
}

/* A description with `n` times `line` behind `head`. */
static int parse_repeated(const char *head, const char *line, size_t n)
{
	struct buf b;
	struct sdp *s = NULL;

	buf_init(&b, 0);
	CHECK_INT(buf_append(&b, head, strlen(head)), 0);
	while (n--)
		CHECK_INT(buf_append(&b, line, strlen(line)), 0);
	int r = sdp_parse(&s, (char *)buf_data(&b), buf_len(&b), NULL);
	buf_done(&b);
	sdp_free(s);
	return r;
}

TEST(limits_hold)
{
	const char *media = HEAD "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\n";

	CHECK_INT(parse_repeated(HEAD, "a=x\r\n", 8000), 0);
	CHECK_INT(parse_repeated(HEAD, "a=x\r\n", 10000), -E2BIG);
	CHECK_INT(
	    parse_repeated(HEAD, "a=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n", 5500),
	    -E2BIG);
	CHECK_INT(parse_repeated(HEAD, "m=audio 9 RTP/AVP 0\r\n", SDP_MEDIA_MAX), 0);
	CHECK_INT(parse_repeated(HEAD, "m=audio 9 RTP/AVP 0\r\n", SDP_MEDIA_MAX + 1), -E2BIG);
	CHECK_INT(parse_repeated(media, "a=ssrc-group:FID 1 2\r\n", SDP_SSRCS_MAX + 1), -E2BIG);
	CHECK_INT(parse_repeated(media, "a=rtcp-fb:* nack\r\n", SDP_FEEDBACK_MAX + 1), -E2BIG);
	CHECK_INT(parse_repeated(HEAD "a=", "xxxxxxxx", 600), -E2BIG); /* one long line */
}

/* Nobody is refused for a candidate too many, or of a kind that is not known here. */
TEST(candidates_that_are_of_no_use_are_passed_over)
{
	struct buf b;
	struct sdp *s;

	buf_init(&b, 0);
	CHECK_INT(buf_printf(&b, HEAD "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n"
				      "a=candidate:1 1 ssltcp 1 192.0.2.1 443 typ host\r\n"
				      "a=candidate:2 1 udp 1 192.0.2.1 70000 typ host\r\n"
				      "a=candidate:\r\n"),
		  0);
	for (unsigned i = 0; i < SDP_CANDIDATES_MAX + 5; i++)
		CHECK_INT(
		    buf_printf(&b, "a=candidate:3 1 udp 1 192.0.2.1 %u typ host\r\n", 5000 + i), 0);
	CHECK_INT(buf_printf(&b, "a=mid:7\r\n"), 0);
	CHECK_INT(sdp_parse(&s, (char *)buf_data(&b), buf_len(&b), NULL), 0);
	CHECK_INT(s->media[0].n_candidates, SDP_CANDIDATES_MAX);
	CHECK_INT(s->media[0].candidates[0].port, 5000);
	CHECK_STR(s->media[0].mid, "7");
	sdp_free(s);
	buf_done(&b);
}

TEST(what_is_long_but_taken_can_be_written)
{
	char line[SDP_LINE_MAX + 1], *all = NULL;

	/* A type as long as its line lets it be. */
	int n = snprintf(line, sizeof(line), "m=%0*d 9 X", SDP_LINE_MAX - 6, 0);
	CHECK_INT(n, SDP_LINE_MAX);
	CHECK(asprintf(&all, "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n%s\r\n", line) > 0);
	struct sdp *s = parse_text(all);
	free(text_of_sdp(s));
	sdp_free(s);
	free(all);
}

TEST(parameters_of_a_codec_are_bounded)
{
	for (int more = 0; more < 2; more++) {
		char *all = NULL;
		struct sdp *s = NULL;
		CHECK(asprintf(&all,
			       "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\nm=video 9 RTP/SAVPF 96\r\n"
			       "a=rtpmap:96 VP8/90000\r\na=fmtp:96 x=%0*d\r\n",
			       SDP_FMTP_MAX - 2 + more, 0) > 0);
		CHECK_INT(sdp_parse(&s, all, strlen(all), NULL), more ? -EBADMSG : 0);
		sdp_free(s);
		free(all);
	}
}

TEST(format_parameters)
{
	const char *fmtp =
	    "level-asymmetry-allowed=1; packetization-mode=1 ;profile-level-id=42e01f";
	char value[8];

	CHECK(fmtp_get(fmtp, "Profile-Level-ID", value, sizeof(value)));
	CHECK_STR(value, "42e01f");
	CHECK_INT(fmtp_num(fmtp, "packetization-mode", 0), 1);
	CHECK_INT(fmtp_num(fmtp, "mode", 7), 7);
	CHECK_INT(fmtp_num(NULL, "apt", -1), -1);
	CHECK(!fmtp_get("apt=123456789", "apt", value, sizeof(value)));
}

static int parse_with(const char *attribute)
{
	char text[256];
	struct sdp *s = NULL;

	snprintf(text, sizeof(text),
		 "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=\xc3\xa4\r\nt=0 0\r\n"
		 "m=audio 9 UDP/TLS/RTP/SAVPF 96\r\n%s\r\n",
		 attribute);
	int r = sdp_parse(&s, text, strlen(text), NULL);
	sdp_free(s);
	return r;
}

/* What others are shown has to be text to them: half a character in a mid spoilt their offers. */
TEST(a_mid_is_visible_ascii_and_all_is_utf8)
{
	CHECK_INT(parse_with("a=mid:{0-audio}"), 0);
	CHECK_INT(parse_with("a=mid:0123456789abcdef0123456789abcdef"), 0);
	CHECK_INT(parse_with("a=mid:0123456789abcdef0123456789abcdef0"), -EBADMSG);
	CHECK_INT(parse_with("a=mid:\xc3\xa4"), -EBADMSG);
	CHECK_INT(parse_with("a=mid:a b"), -EBADMSG);
	CHECK_INT(parse_with("a=x:\xc3\xa4"), 0);
	CHECK_INT(parse_with("a=x:\xc3"), -EBADMSG);
}

/* RFC 6184 section 8.1, table 5. */
TEST(h264_profiles_have_several_names)
{
	static const struct {
		const char *id;
		enum h264_profile profile;
	} cases[] = {
	    {"42e01f", H264_CONSTRAINED_BASELINE},
	    {"42C01f", H264_CONSTRAINED_BASELINE},
	    {"4d801f", H264_CONSTRAINED_BASELINE},
	    {"58f01f", H264_CONSTRAINED_BASELINE},
	    {"42001f", H264_BASELINE},
	    {"58a01f", H264_BASELINE},
	    {"4d0032", H264_MAIN},
	    {"640034", H264_HIGH},
	    {"640c1f", H264_CONSTRAINED_HIGH},
	    {"f4001f", H264_HIGH444},
	    {"6e001f", H264_OTHER},
	};
	enum h264_profile p;
	uint8_t level;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK(h264_profile_level(cases[i].id, &p, &level));
		CHECK_INT(p, cases[i].profile);
	}
	CHECK(h264_profile_level("42e01f", &p, &level));
	CHECK_INT(level, 0x1f);
	CHECK(!h264_profile_level("42e01", &p, &level));
	CHECK(!h264_profile_level("42e01g", &p, &level));
}

static bool match(const char *name_a, const char *a, const char *name_b, const char *b)
{
	struct sdp_codec x = {.name = name_a, .clock = 90000, .channels = 1, .fmtp = a};
	struct sdp_codec y = {.name = name_b, .clock = 90000, .channels = 1, .fmtp = b};

	return sdp_codec_match(&x, &y);
}

TEST(codecs_match_by_what_a_decoder_needs)
{
	CHECK(match("vp8", NULL, "VP8", "max-fs=12288"));
	CHECK(match("VP9", NULL, "VP9", "profile-id=0"));
	CHECK(!match("VP9", "profile-id=2", "VP9", "profile-id=0"));
	CHECK(match("AV1", "level-idx=5;profile=0;tier=0", "AV1", NULL));
	CHECK(!match("AV1", "profile=1", "AV1", NULL));
	CHECK(match("H264", "packetization-mode=1;profile-level-id=42e01f", "H264",
		    "profile-level-id=42e034;packetization-mode=1"));
	CHECK(!match("H264", "packetization-mode=1;profile-level-id=42e01f", "H264",
		     "profile-level-id=42e01f"));
	CHECK(!match("H264", "packetization-mode=1;profile-level-id=42e01f", "H264",
		     "packetization-mode=1;profile-level-id=640c1f"));
	CHECK(!match("rtx", "apt=96", "rtx", "apt=96"));
	CHECK(!match("VP8", NULL, "VP9", NULL));
}
