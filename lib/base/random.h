/*
 * Random bytes of the kernel, which nobody can foresee, and texts made of them: ids, passwords,
 * file names. The kernel has them from boot on; where it has none after all, the program ends, for
 * what could be guessed would be worse.
 */
#ifndef MSR_BASE_RANDOM_H
#define MSR_BASE_RANDOM_H

#include <stddef.h>

void random_bytes(void *out, size_t n);

/* `n` random bytes as 2 * n digits, 0 to 9 and a to f, and a NUL. */
void random_hex(char *out, size_t n);

/*
 * `n` of `letters`, and a NUL. There are 256 letters or a smaller power of two: so each is as
 * likely as another.
 */
void random_text(char *out, size_t n, const char *letters);

#endif
