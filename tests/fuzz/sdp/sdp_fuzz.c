/*
 * Any text: what the parser takes, the writer writes so that it means the same again; and no
 * description, however odd, makes an answer or a renegotiation go wrong.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sdp/sections.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct sdp_local local = {
    .ufrag = "abcd",
    .pwd = "0123456789012345678901",
    .fingerprint = {.hash = "sha-256", .len = 32},
};

static void write_and_parse_again(const struct sdp *s)
{
	struct buf once, twice;
	struct sdp *again;

	buf_init(&once, 4 * SDP_MAX);
	buf_init(&twice, 4 * SDP_MAX);
	if (sdp_write(s, &once) == 0 && buf_len(&once) <= SDP_MAX &&
	    sdp_parse(&again, (char *)buf_data(&once), buf_len(&once), NULL) == 0) {
		assert(again->n_media == s->n_media);
		if (sdp_write(again, &twice) == 0) {
			assert(buf_len(&once) == buf_len(&twice));
			assert(!memcmp(buf_data(&once), buf_data(&twice), buf_len(&once)));
		}
		sdp_free(again);
	}
	buf_done(&once);
	buf_done(&twice);
}

static void answer(const struct sdp *offer)
{
	static struct sdp_wish wish[SDP_MEDIA_MAX];
	struct sdp *out;

	for (unsigned i = 0; i < offer->n_media; i++)
		sdp_wish_receive(&wish[i], &offer->media[i]);
	if (sdp_answer(&out, offer, wish, &local, NULL) < 0)
		return;
	assert(out->n_media == offer->n_media);
	for (unsigned i = 0; i < out->n_media; i++) {
		struct sdp_agreed a;
		sdp_agree(&a, &out->media[i], &offer->media[i]);
	}
	write_and_parse_again(out);
	sdp_free(out);
}

/* Our offer answered by whatever came. */
static void take_answer(const struct sdp *theirs)
{
	static const struct sdp_codec vp8 = {.name = "VP8", .clock = 90000, .channels = 1};
	struct section_track t = {
	    .kind = SDP_VIDEO, .codec = &vp8, .rtx = true, .ssrc = 1, .rtx_ssrc = 2};
	struct sections *s;
	struct sdp *o;

	if (sections_new(&s) < 0)
		return;
	for (unsigned i = 0; i < theirs->n_media && i < 8; i++)
		sections_add(s, &t);
	for (int round = 0; round < 2; round++) {
		if (sections_offer(s, &o, &local) == 0) {
			sections_offered(s);
			sdp_free(o);
		}
		sections_answer(s, theirs, NULL);
		if (round)
			sections_answered(s);
		sections_remove(s, 0);
		sections_add(s, &t);
	}
	sections_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sdp_error err;
	struct sdp *s;

	if (sdp_parse(&s, (const char *)data, size, &err) < 0)
		return 0;
	write_and_parse_again(s);
	answer(s);
	take_answer(s);
	sdp_free(s);
	return 0;
}
