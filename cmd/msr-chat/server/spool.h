/*
 * Contents too large for memory: files without a name, so that nothing is left of them however
 * the server ends, within budgets of bytes and descriptors for all together, of which one address
 * gets half.
 *
 * A content is passed on when it is complete. To begin earlier would be faster, but a message that
 * has begun cannot be interrupted: a sender that stops would keep its receivers from everything
 * else.
 */
#ifndef MSR_CHAT_SPOOL_H
#define MSR_CHAT_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct address;
struct addresses;

struct spool {
	const char *dir;	     /* lent */
	uint64_t max;		     /* bytes of all files together */
	uint64_t used;		     /* now */
	uint64_t max_files;	     /* each takes a descriptor, which connections need too */
	uint64_t files;		     /* now */
	struct addresses *addresses; /* lent: those of the files */
};

struct spool_file {
	struct spool *spool;
	int fd;
	uint64_t size;	      /* bytes written */
	struct address *from; /* counted in it, see limits.h */
	uint64_t share;	      /* bytes that it may have in the spool */
};

/*
 * For a content of `size` bytes to come from an address that may have half of the spool
 * (`limited`) or all of it. 0, -ENOSPC when there is no room for it, -EMFILE when there are too
 * many, or another -errno.
 */
int spool_open(struct spool *s, struct address *from, bool limited, uint64_t size,
	       struct spool_file **fp);
/* 0, -ENOSPC or -errno. What was written before stays counted until the file is freed. */
int spool_write(struct spool_file *f, const void *data, size_t n);
/* Accepts NULL. */
void spool_free(struct spool_file *f);

#endif
