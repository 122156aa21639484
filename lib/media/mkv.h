/*
 * Matroska and WebM (RFC 9559), written live: the file can be played up to its last whole block at
 * any time, and nothing after the header is ever written again.
 *
 *	| EBML header | Segment, unknown size: | Info | Tracks | Void | Cluster ... | Cluster ...
 *	|<------------- MKV_HEAD bytes, rewritten as a whole ------->|  appended only
 *
 * The header has a fixed size, so that a track that begins later, or the duration, is put in by
 * writing the header again over itself. Pure: bytes go to a struct buf.
 */
#ifndef MSR_MEDIA_MKV_H
#define MSR_MEDIA_MKV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define MKV_HEAD	8192 /* bytes of header */
#define MKV_TRACKS_MAX	4
#define MKV_PRIVATE_MAX 1536	    /* bytes of codec private data of a track */
#define MKV_BLOCK_MAX	(16u << 20) /* bytes of a frame */

enum mkv_codec { MKV_OPUS, MKV_VP8, MKV_VP9, MKV_AV1, MKV_H264, MKV_CODECS };

struct mkv_track {
	enum mkv_codec codec;
	uint16_t width, height; /* pixels, of pictures */
	uint8_t channels;	/* of sound */
	uint16_t private_len;
	uint8_t private[MKV_PRIVATE_MAX]; /* avcC, av1C; made here for Opus */
};

struct mkv {
	int64_t start_wall_us; /* time 0 of the file, since 1970 */
	int64_t duration_us;   /* of all that was written */
	struct mkv_track tracks[MKV_TRACKS_MAX];
	unsigned n_tracks;
	bool open;	    /* a cluster is under way */
	int64_t cluster_ms; /* its time */
};

void mkv_init(struct mkv *m, int64_t start_wall_us);

/* The number of the new track, from 1; -ENOSPC, or -EINVAL for private data that is too long. */
int mkv_add_track(struct mkv *m, const struct mkv_track *t);

/* Whether WebM allows what is in it; otherwise it is Matroska. */
bool mkv_is_webm(const struct mkv *m);

/* Writes the header as things stand. */
void mkv_head(const struct mkv *m, uint8_t out[static MKV_HEAD]);

/*
 * Reads the beginning of any Matroska file: tracks, and the duration where it says so. 0; -ENOTSUP
 * for codecs or numbers of tracks that struct mkv cannot tell; -EBADMSG when it is not one, or
 * begins with more than `len` bytes of header.
 */
int mkv_read_head(struct mkv *m, const uint8_t *head, size_t len);
/*
 * Takes over the tracks of a header that mkv_head wrote, to continue its file. 0 or -EBADMSG.
 */
int mkv_resume(struct mkv *m, const uint8_t *head, size_t len);

/*
 * Appends a frame, beginning a cluster where one is due. `time_us` is in file time and may be up
 * to some seconds behind that of other tracks. 0, -EINVAL for a frame too long or a time below 0,
 * or what buf_append returns; then nothing was taken.
 */
int mkv_block(struct mkv *m, struct buf *out, unsigned track, int64_t time_us, bool key,
	      const uint8_t *data, size_t len);

#endif
