/*
 * AV1 payloads (the AV1 RTP payload format of AOM): the aggregation header, key frames, the
 * sequence header, and the mandatory part of the dependency descriptor extension.
 */
#ifndef MSR_RTP_CODEC_AV1_H
#define MSR_RTP_CODEC_AV1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum av1_obu {
	AV1_SEQUENCE_HEADER = 1,
	AV1_TEMPORAL_DELIMITER = 2,
	AV1_FRAME_HEADER = 3,
	AV1_TILE_GROUP = 4,
	AV1_METADATA = 5,
	AV1_FRAME = 6,
	AV1_REDUNDANT_FRAME_HEADER = 7,
	AV1_TILE_LIST = 8,
	AV1_PADDING = 15,
};

struct av1_aggregation {
	bool continues;	    /* Z: the first element continues one of the packet before */
	bool continued;	    /* Y: the last element continues in the next packet */
	bool new_sequence;  /* N: a coded video sequence begins, that is a key frame */
	uint8_t n_elements; /* W: 1 to 3, or 0 when each element has its length */
};

/* 0 or -EBADMSG. */
int av1_parse(struct av1_aggregation *a, const uint8_t *payload, size_t len);

/* LEB128: returns the bytes used, 0 when it does not end or exceeds 32 bits. */
size_t av1_leb128(const uint8_t *p, size_t n, uint32_t *value);
size_t av1_put_leb128(uint8_t *p, uint32_t value); /* writes up to 5 bytes, returns how many */

/* What a sequence header OBU says. */
struct av1_sequence {
	uint8_t profile, level, tier;
	bool high_bitdepth, twelve_bit, monochrome, subsampling_x, subsampling_y;
	uint8_t chroma_sample_position;
	uint16_t width, height; /* pixels, the maximum of the sequence */
};

/* `obu` is the payload behind the OBU header (and size). 0 or -EBADMSG. */
int av1_parse_sequence(struct av1_sequence *s, const uint8_t *obu, size_t len);

/* The dependency descriptor's first three bytes. */
struct av1_dependency {
	bool start, end; /* of a frame */
	uint8_t template_id;
	uint16_t frame_number;
	bool structure; /* a template structure follows: sent with key frames */
};

/* `ext` is the extension's value. 0 or -EBADMSG. */
int av1_parse_dependency(struct av1_dependency *d, const uint8_t *ext, size_t len);

#endif
