/* UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing beyond U+10FFFF. */
#ifndef MSR_BASE_UTF8_H
#define MSR_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the sequence at `s`, 0 when it is not a whole and valid one. */
size_t utf8_len(const unsigned char *s, size_t n);

/* Whether all of it is UTF-8. Fast for ASCII. */
bool utf8_valid(const void *s, size_t n);

#endif
