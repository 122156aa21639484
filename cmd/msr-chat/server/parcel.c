/* Reference-counted messages. */
#include "parcel.h"

#include <stdlib.h>

#include "spool.h"

struct parcel *parcel_new(size_t len, struct spool_file *file)
{
	struct parcel *p = malloc(sizeof(*p) + len);

	if (!p) {
		spool_free(file);
		return NULL;
	}
	p->refs = 1;
	p->len = len;
	p->file = file;
	return p;
}

void parcel_unref(struct parcel *p)
{
	if (--p->refs)
		return;
	spool_free(p->file);
	free(p);
}
