#include "base/random.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define PIECE 64 /* bytes of randomness for a text at once */

void random_bytes(void *out, size_t n)
{
	uint8_t *at = out;

	while (n) {
		ssize_t got = getrandom(at, n, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			abort();
		at += got;
		n -= (size_t)got;
	}
}

void random_hex(char *out, size_t n)
{
	random_text(out, 2 * n, "0123456789abcdef");
}

void random_text(char *out, size_t n, const char *letters)
{
	size_t n_letters = strlen(letters);
	uint8_t r[PIECE];

	assert(n_letters && n_letters <= 256 && !(n_letters & (n_letters - 1)));
	for (size_t i = 0; i < n; i++) {
		if (i % PIECE == 0)
			random_bytes(r, n - i < PIECE ? n - i : PIECE);
		out[i] = letters[r[i % PIECE] % n_letters];
	}
	out[n] = '\0';
}
