/* ICU's spoof checker; the only user of ICU. */
#include "look.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unicode/uspoof.h>

#include "../text.h"
#include "base/log.h"

/* A character becomes at most 18 (U+FDFA). */
enum { LOOK_SIZE = 18 * NAME_SIZE };

struct look {
	USpoofChecker *checker;
};

int look_open(struct look **lp)
{
	struct look *l = calloc(1, sizeof(*l));
	UErrorCode err = U_ZERO_ERROR;

	if (!l)
		return -ENOMEM;
	l->checker = uspoof_open(&err);
	if (U_FAILURE(err)) {
		log_error("cannot compare names: %s; is the data of ICU installed?",
			  u_errorName(err));
		free(l);
		return err == U_MEMORY_ALLOCATION_ERROR ? -ENOMEM : -ENOENT;
	}
	*lp = l;
	return 0;
}

void look_close(struct look *l)
{
	if (!l)
		return;
	uspoof_close(l->checker);
	free(l);
}

char *look_of(const struct look *l, const char *name)
{
	char look[LOOK_SIZE];
	UErrorCode err = U_ZERO_ERROR;
	int32_t n = uspoof_getSkeletonUTF8(l->checker, 0, name, -1, look, LOOK_SIZE, &err);

	/* One that ICU cannot judge looks like itself. */
	if (U_FAILURE(err) || n >= LOOK_SIZE)
		return strdup(name);
	return strndup(look, (size_t)n);
}
