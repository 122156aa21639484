/*
 * An encoded message that is not part of the shared feed: for one receiver, or with a content in
 * a spool file. Shared by reference and freed with the last one, the file with it.
 */
#ifndef MSR_CHAT_PARCEL_H
#define MSR_CHAT_PARCEL_H

#include <stddef.h>
#include <stdint.h>

struct spool_file;

struct parcel {
	unsigned refs;
	size_t len;		 /* bytes of `data` */
	struct spool_file *file; /* owned; the content behind `data`, or NULL */
	uint8_t data[];		 /* descriptor, header, and a small content */
};

/* One reference, `len` bytes to be filled in. NULL: out of memory. Takes `file` (when not NULL). */
struct parcel *parcel_new(size_t len, struct spool_file *file);
static inline struct parcel *parcel_ref(struct parcel *p)
{
	p->refs++;
	return p;
}
void parcel_unref(struct parcel *p);

#endif
