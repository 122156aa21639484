/* Random bytes and texts. */
#include "base/random.h"

#include "../../support/test.h"

static bool consists_of(const char *s, size_t n, const char *letters)
{
	return strlen(s) == n && strspn(s, letters) == n;
}

TEST(texts_have_their_length_and_their_letters)
{
	char out[301];

	for (size_t n = 0; n < 150; n++) {
		memset(out, 'x', sizeof(out));
		random_hex(out, n);
		CHECK(consists_of(out, 2 * n, "0123456789abcdef"));
		CHECK_INT(out[2 * n + 1], 'x');
		memset(out, 'x', sizeof(out));
		random_text(out, n, "AB+/");
		CHECK(consists_of(out, n, "AB+/"));
		CHECK_INT(out[n + 1], 'x');
	}
}

TEST(every_letter_comes_at_every_place)
{
	static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";
	unsigned seen[32][100] = {0};
	char out[101];

	for (unsigned i = 0; i < 2000; i++) {
		random_text(out, 100, letters);
		for (unsigned k = 0; k < 100; k++)
			seen[strchr(letters, out[k]) - letters][k]++;
	}
	/* 62.5 is the mean; one of all that never comes is as likely as 1e-24. */
	for (unsigned i = 0; i < 32; i++)
		for (unsigned k = 0; k < 100; k++)
			CHECK(seen[i][k] > 0);
}

TEST(bytes_fill_what_was_asked_for_and_no_more)
{
	uint8_t all[1001] = {0}, once[1001];

	for (unsigned i = 0; i < 100; i++) {
		memset(once, 0, sizeof(once));
		random_bytes(once, 1000);
		CHECK_INT(once[1000], 0);
		for (unsigned k = 0; k < 1000; k++)
			all[k] |= once[k];
	}
	for (unsigned k = 0; k < 1000; k++)
		CHECK(all[k]);
}

TEST(no_two_are_the_same)
{
	char a[33], b[33];

	random_hex(a, 16);
	random_hex(b, 16);
	CHECK(strcmp(a, b) != 0);
}
