/*
 * Contents too large for memory: files without a name, so that nothing is left of them however
 * the server ends, within a budget of bytes for all together.
 */
#ifndef MSR_CHAT_SPOOL_H
#define MSR_CHAT_SPOOL_H

#include <stddef.h>
#include <stdint.h>

struct spool {
	const char *dir; /* lent */
	uint64_t max;	 /* bytes of all files together */
	uint64_t used;	 /* now */
	uint64_t files;	 /* now */
};

struct spool_file {
	struct spool *spool;
	int fd;
	uint64_t size; /* bytes written */
};

/* For a content of `size` bytes to come. 0, -ENOSPC when there is no room for it, or -errno. */
int spool_open(struct spool *s, uint64_t size, struct spool_file **fp);
/* 0, -ENOSPC or -errno. What was written before stays counted until the file is freed. */
int spool_write(struct spool_file *f, const void *data, size_t n);
/* Accepts NULL. */
void spool_free(struct spool_file *f);

#endif
