/* The bridge. */
#include "bridge.h"

#include <stddef.h>

bool bridge_owns(const struct bridge *b, const char *name)
{
	return b && name;
}

bool bridge_knows(const struct bridge *b, const char *name)
{
	return b && name;
}

bool bridge_takes(struct bridge *b, const struct post *p)
{
	return b && p;
}
