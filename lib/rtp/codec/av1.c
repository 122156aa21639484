/* The aggregation header is | Z Y W 2 N 0 0 0 |; OBU elements follow, with lengths unless W says.
 */
#include "rtp/codec/av1.h"

#include <errno.h>

#include "base/bits.h"
#include "base/buf.h"

#define SELECT_SCREEN_CONTENT 2

int av1_parse(struct av1_aggregation *a, const uint8_t *payload, size_t len)
{
	if (len < 2)
		return -EBADMSG;
	*a = (struct av1_aggregation){
	    .continues = payload[0] & 0x80,
	    .continued = payload[0] & 0x40,
	    .n_elements = payload[0] >> 4 & 3,
	    .new_sequence = payload[0] & 0x08,
	};
	/* A sequence does not begin in the middle of an OBU. */
	return a->continues && a->new_sequence ? -EBADMSG : 0;
}

size_t av1_leb128(const uint8_t *p, size_t n, uint32_t *value)
{
	uint64_t v = 0;

	for (size_t i = 0; i < 8 && i < n; i++) {
		v |= (uint64_t)(p[i] & 0x7f) << (7 * i);
		if (p[i] & 0x80)
			continue;
		if (v > UINT32_MAX)
			return 0;
		*value = (uint32_t)v;
		return i + 1;
	}
	return 0;
}

size_t av1_put_leb128(uint8_t *p, uint32_t value)
{
	size_t n = 0;

	for (; value > 0x7f; value >>= 7)
		p[n++] = (uint8_t)(value | 0x80);
	p[n++] = (uint8_t)value;
	return n;
}

/* ---- sequence header, AV1 specification section 5.5 ---- */

/* Returns equal_picture_interval's place passed; decoder model lengths go to the caller. */
static bool read_timing(struct bits *b, unsigned *delay_bits)
{
	bits_get(b, 32);
	bits_get(b, 32);
	if (bits_flag(b))
		bits_ue(b);
	bool model = bits_flag(b);
	if (model) {
		*delay_bits = bits_get(b, 5) + 1;
		bits_get(b, 32);
		bits_get(b, 10);
	}
	return model;
}

static void read_operating_points(struct bits *b, struct av1_sequence *s)
{
	unsigned delay_bits = 0;
	bool model = bits_flag(b) && read_timing(b, &delay_bits);
	bool delays = bits_flag(b);
	unsigned n = bits_get(b, 5) + 1;

	for (unsigned i = 0; i < n && !b->failed; i++) {
		bits_get(b, 12);
		uint8_t level = (uint8_t)bits_get(b, 5);
		uint8_t tier = level > 7 ? (uint8_t)bits_get(b, 1) : 0;
		if (model && bits_flag(b)) {
			bits_get(b, delay_bits);
			bits_get(b, delay_bits);
			bits_get(b, 1);
		}
		if (delays && bits_flag(b))
			bits_get(b, 4);
		if (i == 0) {
			s->level = level;
			s->tier = tier;
		}
	}
}

static void skip_tools(struct bits *b)
{
	bits_get(b, 4); /* interintra, masked, warped, dual filter */
	bool order_hint = bits_flag(b);
	if (order_hint)
		bits_get(b, 2); /* jnt_comp, ref_frame_mvs */
	unsigned screen = bits_flag(b) ? SELECT_SCREEN_CONTENT : bits_get(b, 1);
	if (screen && !bits_flag(b))
		bits_get(b, 1); /* force_integer_mv */
	if (order_hint)
		bits_get(b, 3);
}

static void read_color(struct bits *b, struct av1_sequence *s)
{
	s->high_bitdepth = bits_flag(b);
	if (s->profile == 2 && s->high_bitdepth)
		s->twelve_bit = bits_flag(b);
	s->monochrome = s->profile != 1 && bits_flag(b);
	uint32_t description = 0x020202; /* unspecified */
	if (bits_flag(b))
		description = bits_get(b, 24);
	s->subsampling_x = s->subsampling_y = true;
	if (s->monochrome) {
		bits_get(b, 1);
		return;
	}
	if (description == 0x010d00) { /* sRGB */
		s->subsampling_x = s->subsampling_y = false;
	} else {
		bits_get(b, 1); /* range */
		if (s->profile == 1) {
			s->subsampling_x = s->subsampling_y = false;
		} else if (s->profile == 2) {
			s->subsampling_x = !s->twelve_bit || bits_flag(b);
			s->subsampling_y = s->twelve_bit && s->subsampling_x && bits_flag(b);
		}
		if (s->subsampling_x && s->subsampling_y)
			s->chroma_sample_position = (uint8_t)bits_get(b, 2);
	}
}

int av1_parse_sequence(struct av1_sequence *s, const uint8_t *obu, size_t len)
{
	struct bits b = bits_of(obu, len);
	struct av1_sequence out = {.profile = (uint8_t)bits_get(&b, 3)};

	bits_get(&b, 1); /* still_picture */
	bool reduced = bits_flag(&b);
	if (reduced)
		out.level = (uint8_t)bits_get(&b, 5);
	else
		read_operating_points(&b, &out);
	unsigned width_bits = bits_get(&b, 4) + 1, height_bits = bits_get(&b, 4) + 1;
	out.width = (uint16_t)(bits_get(&b, width_bits) + 1);
	out.height = (uint16_t)(bits_get(&b, height_bits) + 1);
	if (!reduced && bits_flag(&b))
		bits_get(&b, 7); /* lengths of frame ids */
	bits_get(&b, 3);	 /* superblocks, filter intra, edge filter */
	if (!reduced)
		skip_tools(&b);
	bits_get(&b, 3); /* superres, cdef, restoration */
	read_color(&b, &out);
	if (b.failed || out.profile > 2)
		return -EBADMSG;
	*s = out;
	return 0;
}

/* | start 1 | end 1 | template 6 | frame number 16 | and with more bytes: structure present 1 ...
 */
int av1_parse_dependency(struct av1_dependency *d, const uint8_t *ext, size_t len)
{
	if (len < 3)
		return -EBADMSG;
	*d = (struct av1_dependency){
	    .start = ext[0] & 0x80,
	    .end = ext[0] & 0x40,
	    .template_id = ext[0] & 0x3f,
	    .frame_number = get_be16(ext + 1),
	    .structure = len > 3 && ext[3] & 0x80,
	};
	return 0;
}
