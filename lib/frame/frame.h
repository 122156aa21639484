/*
 * msr-frame(5): the one record format on pipes, FIFOs, files and rings.
 *
 *   0      4   5    6     7     8        12   13   14   15   16        24
 *   +------+---+----+-----+-----+--------+----+----+----+----+---------+
 *   | MSRF | 1 |kind|flags|codec| body n |room|sess|stor|chan| time us |
 *   +------+---+----+-----+-----+--------+----+----+----+----+---------+
 *   24     32     36     37               40        44        48
 *   +------+------+------+----------------+---------+---------+-----------------+------+-----+
 *   | part | rate |source|    reserved    | head crc| body crc| room sess stor  | body | pad |
 *   +------+------+------+----------------+---------+---------+-----------------+------+-----+
 *
 * All integers are little-endian. Records are padded with zeros to a multiple of 8 bytes. The head
 * CRC covers bytes 0 to 39 and the ids; the body CRC covers the body and is absent (zero) with
 * FRAME_NO_BODY_CRC. A reader that meets damage looks for the next magic whose head CRC is right.
 */
#ifndef MSR_FRAME_FRAME_H
#define MSR_FRAME_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/id.h"

#define FRAME_HEAD	 48	     /* bytes before the ids */
#define FRAME_BODY_MAX	 (16u << 20) /* bytes */
#define FRAME_VERSION	 1
#define FRAME_RECORD_MAX (FRAME_HEAD + 3 * ID_MAX + FRAME_BODY_MAX + 8)

enum frame_kind {
	FRAME_OPEN = 1,	 /* a session begins; body: JSON, may be empty */
	FRAME_CLOSE = 2, /* it has ended; body: JSON {"reason": ...}, may be empty */
	FRAME_AUDIO = 3, /* a chunk of a container or raw samples; part counts from 0 or 1 */
	FRAME_VIDEO = 4,
	FRAME_RTP = 5,	/* one RTP packet, decrypted (RFC 3550); codec says of what */
	FRAME_RTCP = 6, /* one compound RTCP packet, decrypted */
	FRAME_TEXT = 7, /* room text, UTF-8 */
	FRAME_KINDS	/* one more than the last */
};

enum frame_codec {
	CODEC_NONE = 0,
	/* containers, in chunks that continue each other */
	CODEC_WEBM = 1,
	CODEC_OGG = 2,
	CODEC_WAV = 3,
	CODEC_MP4 = 4,
	/* raw PCM, interleaved; rate and channels are set */
	CODEC_U8 = 16,
	CODEC_S16LE = 17,
	CODEC_S24LE = 18,
	CODEC_S32LE = 19,
	CODEC_F32LE = 20,
	/* RTP payloads, or the codec inside a container where it is known */
	CODEC_OPUS = 32,
	CODEC_VP8 = 33,
	CODEC_VP9 = 34,
	CODEC_H264 = 35,
	CODEC_AV1 = 36,
	CODEC_PCMU = 37,
	CODEC_PCMA = 38,
};

enum frame_flag {
	FRAME_NO_BODY_CRC = 1, /* inside a ring, where memory is trusted */
	FRAME_KEY = 2,	       /* video: a key frame begins here */
	FRAME_GAP = 4,	       /* parts before this one were lost for good, or packets dropped */
	FRAME_LAST = 8,	       /* the last part of its kind */
};

enum frame_source { SOURCE_NONE, SOURCE_MICROPHONE, SOURCE_CAMERA, SOURCE_SCREEN };

/* A frame outside its record. The pointers are lent; ids need not end with a NUL. */
struct frame {
	uint8_t kind;  /* enum frame_kind */
	uint8_t flags; /* enum frame_flag */
	uint8_t codec; /* enum frame_codec */
	uint8_t channels;
	uint8_t source;	 /* enum frame_source */
	uint32_t rate;	 /* Hz: sampling rate, or RTP clock */
	int64_t time_us; /* when it was captured or arrived, since 1970 UTC */
	uint64_t part;	 /* part number, or sequence number for RTP */
	const char *room, *session, *storage;
	uint8_t room_len, session_len, storage_len; /* storage may be empty */
	bool ids_checked;			    /* by frame_check_ids */
	const uint8_t *body;
	uint32_t body_len;
};

/* Bytes of the whole record with padding. */
size_t frame_size(const struct frame *f);

/* For many frames with the same ids: notes that these are valid, if they are, so that encoding does
 * not look at every byte of them each time. */
void frame_check_ids(struct frame *f);

/*
 * Writes the record into `out`, which has frame_size(f) bytes. 0, or -EINVAL when a field breaks
 * the format (ids, kind, body length).
 */
int frame_encode(const struct frame *f, uint8_t *out);

/*
 * The same without the body, for a body that is written elsewhere or already in place: head and
 * ids go to `out`; *head_len says how many bytes. The body of f->body_len bytes follows, then
 * frame_padding() zeros. With FRAME_NO_BODY_CRC f->body is not looked at.
 */
#define FRAME_PREFIX_MAX (FRAME_HEAD + 3 * ID_MAX)
int frame_encode_head(const struct frame *f, uint8_t out[static FRAME_PREFIX_MAX],
		      size_t *head_len);
size_t frame_padding(const struct frame *f);

/*
 * Looks at the record at `p`, of which `n` bytes are there. Returns its size and fills *f, whose
 * pointers lead into `p`; -EAGAIN when more bytes are needed (*need, if not NULL, says how many in
 * all, at most FRAME_RECORD_MAX); -EBADMSG when this is not a valid record: skip frame_resync
 * bytes.
 */
long frame_decode(const uint8_t *p, size_t n, struct frame *f, size_t *need);

/*
 * The same without the body, which need not be there nor be right: head and ids are checked, and
 * f->body points to where the body begins. The size returned is that of the whole record.
 */
long frame_decode_head(const uint8_t *p, size_t n, struct frame *f, size_t *need);
/* Whether the body's checksum in the record's head `p` fits; true where it was left out. */
bool frame_body_ok(const uint8_t *p, const struct frame *f);

/* How many bytes at `p` cannot begin a record: at least 1 for n >= 1; `n` when none of them can. */
size_t frame_resync(const uint8_t *p, size_t n);

/* Names as in msr-frame(5): "audio", "opus"; "?" for unknown numbers, -1 for unknown names. */
const char *frame_kind_name(int kind);
const char *frame_codec_name(int codec);
const char *frame_source_name(int source);
int frame_kind_of(const char *name);
int frame_codec_of(const char *name);
int frame_source_of(const char *name);

/* Bytes of one sample of one channel for raw PCM codecs, otherwise 0. */
unsigned frame_pcm_bytes(int codec);

/* Copies an id out of a frame; `out` has ID_SIZE bytes. */
void frame_id(const char *id, uint8_t len, char *out);

#endif
