#include "rtp/codec/vp9_header.h"

#include <errno.h>
#include <string.h>

#include "base/bits.h"

#define SYNC_CODE     0x498342u
#define SRGB	      7
#define REFS	      3
#define SEGMENTS      8
#define TILE_MIN_SB64 4u /* columns of 64 pixels */
#define TILE_MAX_SB64 64u

/* ---- parts of a header, in their order ---- */

static unsigned read_profile(struct bits *b)
{
	unsigned profile = bits_get(b, 1);

	profile |= bits_get(b, 1) << 1;
	if (profile == 3)
		bits_get(b, 1);
	return profile;
}

static void read_color(struct bits *b, unsigned profile)
{
	if (profile >= 2)
		bits_get(b, 1);
	if (bits_get(b, 3) != SRGB) {
		bits_get(b, 1);
		if (profile & 1)
			bits_get(b, 3);
	} else if (profile & 1) {
		bits_get(b, 1);
	}
}

static void read_size(struct bits *b, struct vp9_header *h)
{
	uint32_t w = bits_get(b, 16) + 1, height = bits_get(b, 16) + 1;

	b->failed |= w > UINT16_MAX || height > UINT16_MAX;
	h->width = (uint16_t)w;
	h->height = (uint16_t)height;
}

static void read_render_size(struct bits *b)
{
	if (bits_flag(b))
		bits_get(b, 32);
}

static void read_size_with_refs(struct bits *b, const struct vp9_slots *slots,
				const unsigned ref[REFS], struct vp9_header *h)
{
	unsigned i = 0;

	while (i < REFS && !bits_flag(b))
		i++;
	if (i == REFS) {
		read_size(b, h);
		return;
	}
	h->width = slots->width[ref[i]];
	h->height = slots->height[ref[i]];
	b->failed |= !h->width;
}

static void read_refs(struct bits *b, const struct vp9_slots *slots, struct vp9_header *h)
{
	unsigned ref[REFS];

	h->refresh = (uint8_t)bits_get(b, 8);
	for (unsigned i = 0; i < REFS; i++) {
		ref[i] = bits_get(b, 3);
		bits_get(b, 1);
	}
	read_size_with_refs(b, slots, ref, h);
	read_render_size(b);
	bits_get(b, 1);
	if (!bits_flag(b)) /* the filter does not change from block to block */
		bits_get(b, 2);
}

static void read_intra(struct bits *b, unsigned profile, struct vp9_header *h)
{
	b->failed |= bits_get(b, 24) != SYNC_CODE;
	if (profile || h->key)
		read_color(b, profile);
	h->refresh = h->key ? 0xff : (uint8_t)bits_get(b, 8);
	read_size(b, h);
	read_render_size(b);
}

/* Present if a bit says so, each of `n`. */
static void skip_coded(struct bits *b, unsigned n, unsigned bits)
{
	for (; n; n--)
		if (bits_flag(b))
			bits_get(b, bits);
}

static void skip_loop_filter(struct bits *b)
{
	bits_get(b, 9);
	if (bits_flag(b) && bits_flag(b))
		skip_coded(b, 4 + 2, 7);
}

static void skip_quantization(struct bits *b)
{
	bits_get(b, 8);
	skip_coded(b, 3, 5);
}

static void skip_segmentation(struct bits *b)
{
	static const uint8_t feature_bits[] = {8 + 1, 6 + 1, 2, 0}; /* the first two have a sign */

	if (!bits_flag(b))
		return;
	if (bits_flag(b)) {
		skip_coded(b, SEGMENTS - 1, 8);
		if (bits_flag(b))
			skip_coded(b, 3, 8);
	}
	if (!bits_flag(b))
		return;
	bits_get(b, 1);
	for (unsigned i = 0; i < SEGMENTS; i++)
		for (unsigned j = 0; j < sizeof(feature_bits); j++)
			skip_coded(b, 1, feature_bits[j]);
}

static void skip_tiles(struct bits *b, uint16_t width)
{
	unsigned columns = (width + 63u) / 64, least = 0, most = 0;

	while (TILE_MAX_SB64 << least < columns)
		least++;
	while (columns >> (most + 1) >= TILE_MIN_SB64)
		most++;
	while (least < most && bits_flag(b))
		least++;
	if (bits_flag(b))
		bits_get(b, 1);
}

/* ---- whole headers ---- */

/* Up to error_resilient_mode. False: this is no frame, or shows one that is there already. */
static bool read_begin(struct bits *b, struct vp9_header *h, unsigned *profile, bool *resilient)
{
	bool marked = bits_get(b, 2) == 2;

	*profile = read_profile(b);
	if (!marked || bits_flag(b))
		return false;
	*h = (struct vp9_header){.key = !bits_flag(b), .shown_at = b->at};
	h->shown = bits_flag(b);
	*resilient = bits_flag(b);
	return true;
}

bool vp9_frame_size(const uint8_t *frame, size_t len, uint16_t *width, uint16_t *height)
{
	struct bits b = bits_of(frame, len);
	struct vp9_header h;
	unsigned profile;
	bool resilient;

	if (!read_begin(&b, &h, &profile, &resilient) || !h.key)
		return false;
	read_intra(&b, profile, &h);
	if (b.failed)
		return false;
	*width = h.width;
	*height = h.height;
	return true;
}

int vp9_header_read(struct vp9_header *h, struct vp9_slots *slots, const uint8_t *frame, size_t len)
{
	struct bits b = bits_of(frame, len);
	unsigned profile;
	bool resilient;

	if (!read_begin(&b, h, &profile, &resilient))
		return -EBADMSG;
	bool intra = h->key;
	if (!h->key) {
		intra = !h->shown && bits_flag(&b);
		if (!resilient)
			bits_get(&b, 2);
	}
	if (intra)
		read_intra(&b, profile, h);
	else
		read_refs(&b, slots, h);
	bits_get(&b, resilient ? 2 : 4);
	skip_loop_filter(&b);
	skip_quantization(&b);
	skip_segmentation(&b);
	skip_tiles(&b, h->width);
	bits_get(&b, 16);
	if (b.failed)
		return -EBADMSG;
	h->bits = b.at;
	for (unsigned i = 0; i < VP9_SLOTS; i++) {
		if (h->refresh >> i & 1) {
			slots->width[i] = h->width;
			slots->height[i] = h->height;
		}
	}
	return 0;
}

/* Appends `n` bits of `from`, beginning with bit `at`, behind the `end` bits of `out`, which is
 * zero there. */
static void copy_bits(uint8_t *out, size_t end, const uint8_t *from, size_t at, size_t n)
{
	for (; n; n--, at++, end++)
		out[end / 8] |= (uint8_t)((from[at / 8] >> (7 - at % 8) & 1) << (7 - end % 8));
}

size_t vp9_hide(const struct vp9_header *h, const uint8_t *frame, size_t len, uint8_t *out)
{
	/* Where a frame that refers to others is not shown, a bit more says whether it really does:
	 * behind show_frame and error_resilient_mode, intra_only. */
	size_t added = h->shown && !h->key, kept = h->shown_at + 2;
	size_t old = (h->bits + 7) / 8, now = (h->bits + added + 7) / 8;

	memset(out, 0, now);
	copy_bits(out, 0, frame, 0, h->shown_at);
	copy_bits(out, h->shown_at + 1, frame, h->shown_at + 1, 1);
	copy_bits(out, kept + added, frame, kept, h->bits - kept);
	memcpy(out + now, frame + old, len - old);
	return now + len - old;
}
