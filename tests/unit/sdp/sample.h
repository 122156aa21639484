/* Descriptions that real clients made: the corpus of the SDP fuzzer, by name. */
#ifndef MSR_TESTS_SDP_SAMPLE_H
#define MSR_TESTS_SDP_SAMPLE_H

#include <stdio.h>
#include <stdlib.h>

#include "sdp/sdp.h"
#include "../../support/test.h"

/* Text of a sample, NUL-terminated, to be freed. */
static inline char *sample_text(const char *name)
{
	char path[128], *text = calloc(1, SDP_MAX + 1);

	snprintf(path, sizeof(path), "tests/fuzz/sdp/sdp.corpus/%s.sdp", name);
	FILE *f = fopen(path, "rb");
	CHECK(f && text);
	CHECK(fread(text, 1, SDP_MAX, f) > 0);
	fclose(f);
	return text;
}

static inline struct sdp *parse_text(const char *text)
{
	struct sdp_error err = {0};
	struct sdp *s = NULL;
	int r = sdp_parse(&s, text, strlen(text), &err);

	if (r < 0)
		test_fail(__FILE__, __LINE__, "line %u: %s", err.line, err.reason);
	return s;
}

static inline struct sdp *sample(const char *name)
{
	char *text = sample_text(name);
	struct sdp *s = parse_text(text);

	free(text);
	return s;
}

/* The text of a description, NUL-terminated, to be freed. */
static inline char *text_of_sdp(const struct sdp *s)
{
	struct buf b;

	buf_init(&b, SDP_MAX);
	CHECK_INT(sdp_write(s, &b), 0);
	CHECK_INT(buf_append(&b, "", 1), 0);
	return (char *)b.mem; /* nothing was consumed: the data begins there */
}

#endif
