/* Inside lib/sdp only: what the files of the parser share. */
#ifndef MSR_SDP_PARSE_H
#define MSR_SDP_PARSE_H

#include "sdp.h"

/* A piece of a line, read from the front. */
struct text {
	const char *p, *end;
};

static inline struct text text_of(const char *p, size_t n)
{
	return (struct text){p, p + n};
}
static inline size_t text_len(struct text t)
{
	return (size_t)(t.end - t.p);
}

/* The next piece up to `stop` (which is taken too) or the end; blanks before it are skipped. */
struct text text_until(struct text *t, char stop);
/* The next word. */
static inline struct text text_word(struct text *t)
{
	return text_until(t, ' ');
}
bool text_is(struct text t, const char *word); /* in any case */
/* A whole piece that is a decimal number up to `max`. */
bool text_num(struct text t, uint64_t max, uint64_t *n);

struct parser {
	struct sdp *s;
	struct sdp_media *m;	  /* the present section, or &session */
	struct sdp_media session; /* what the session level says for all sections */
	struct text simulcast;	  /* of the present section; applied at its end */
	unsigned line;		  /* from 1 */
	bool has_version, has_origin;
	struct text attribute; /* its name, for error messages */
	struct sdp_error *err;
};

/* Notes what is wrong and returns -EBADMSG. */
int parse_fail(struct parser *p, const char *reason);
/* Notes that a limit was passed, or memory: NULL from an sdp_add_... */
int parse_full(struct parser *p, unsigned n, unsigned max);
/* "name" or "name:value" after "a=". */
int parse_attribute(struct parser *p, struct text line);
/* Applies a=simulcast to the section's rids. */
int parse_simulcast(struct parser *p);

/* A copy in the arena. NULL without memory. */
static inline const char *text_keep(struct sdp *s, struct text t)
{
	return arena_strdup(&s->arena, t.p, text_len(t));
}

#endif
