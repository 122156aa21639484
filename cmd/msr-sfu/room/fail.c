/* The table of failures. */
#include "fail.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/id.h"

static const struct {
	const char *name;
	int status;
	const char *text;
} fails[FAIL_CODES] = {
#define FAIL_ROW(name, code, status, text) [FAIL_##name] = {code, status, text},
    FAILS(FAIL_ROW)
#undef FAIL_ROW
};

int fail_set(struct fail *f, enum fail_code code, const char *fmt, ...)
{
	f->code = code;
	if (fmt) {
		va_list ap;
		va_start(ap, fmt);
		vsnprintf(f->text, sizeof(f->text), fmt, ap);
		va_end(ap);
	} else {
		snprintf(f->text, sizeof(f->text), "%s",
			 code == FAIL_BAD_ID ? ID_RULE : fails[code].text);
	}
	return -1;
}

const char *fail_name(enum fail_code code)
{
	return fails[code].name;
}

int fail_status(enum fail_code code)
{
	return fails[code].status;
}
