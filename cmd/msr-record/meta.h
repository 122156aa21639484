/* <name>.json: what a finished recording is. */
#ifndef MSR_RECORD_META_H
#define MSR_RECORD_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe.h"
#include "recording.h"

#define META_MAX   65536 /* bytes; two ids, names, sixteen gaps, recordings in a mix */
#define SHA256_HEX 64

struct json;
struct mix;

struct meta {
	const char *ext;
	uint64_t bytes;
	const char *sha256;
	const struct media_probe *probe; /* of the media file */
	bool wave, poster;
	unsigned unread;       /* set of streams, by bit, whose parts are kept beside it */
	const struct mix *mix; /* what it was made of; NULL if it is not a mix */
};

/* The text for the recording under its final name. Its length, or -ENOBUFS. */
int meta_write(char out[static META_MAX], const struct recording *rec,
	       const struct store_name *final, const struct meta *m);

/* What a publication that was interrupted continues with. */
struct meta_found {
	char stem[STEM_SIZE]; /* the final name */
	char ext[8];	      /* of the media */
	unsigned unread;      /* as in struct meta */
	double duration;      /* seconds */
	char sha256[SHA256_HEX + 1];
};

/* Takes it out of such a text. 0 or -EBADMSG when that is not whole. */
int meta_read(const char *text, size_t n, struct meta_found *out);

/* The array `unread`, where there are such streams: the names of their parts. */
void meta_put_unread(struct json *j, const struct store_name *final, unsigned unread);

#endif
