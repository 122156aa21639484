/*
 * A part file: what was received, written as it comes. Small appends gather in memory until
 * part_flush, large ones are written at once together with what gathered.
 *
 * Every call either does all it was asked or changes nothing that counts: after a full disk the
 * same call may simply be made again.
 */
#ifndef MSR_RECORD_PART_H
#define MSR_RECORD_PART_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define PART_GATHER_MAX (64u << 10) /* bytes in memory for one file */

struct part {
	int fd;		     /* owned, -1 when closed */
	uint64_t written;    /* bytes in the file that count */
	struct buf gathered; /* what comes behind them */
};

/* For a structure that part_close may be called on. */
void part_init(struct part *p);
/* Makes the file, which must not be there: media is never written over. 0 or -errno. */
int part_create(struct part *p, int dirfd, const char *path);
/*
 * Goes on with a file of which the first `length` bytes count; the rest is cut off. A shorter file
 * (after a power loss) is taken as it is: see part_length. 0 or -errno.
 */
int part_resume(struct part *p, int dirfd, const char *path, uint64_t length);
void part_close(struct part *p);

/* Bytes so far, those in memory included. */
uint64_t part_length(const struct part *p);

/* 0 or -errno: nothing was taken. */
int part_append(struct part *p, const void *data, size_t n);
/* Appends `n` times `byte`; zeros take no space. */
int part_fill(struct part *p, uint8_t byte, uint64_t n);
/* Everything appended is in the file. */
int part_flush(struct part *p);
/* Gives up what has not reached the file, and whatever a failed write left behind it. */
void part_cut(struct part *p);
/* Writes over the beginning, which must have been flushed. */
int part_patch(struct part *p, const void *data, size_t n);
/* Gives back memory that is not needed now. */
void part_rest(struct part *p);

#endif
