/*
 * Text that strangers chose: user names, file names, and what may reach a terminal.
 */
#ifndef MSR_CHAT_TEXT_H
#define MSR_CHAT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	NAME_CHARS = 32,		/* code points of a user's name, after NFC */
	NAME_SIZE = NAME_CHARS * 4 + 1, /* a buffer for one, with the NUL */
	FILENAME_SIZE = 256,		/* a buffer for a file name of up to 255 bytes */
};

/* Valid UTF-8 (RFC 3629)? NUL bytes are fine. */
bool text_is_utf8(const void *data, size_t n);

/* The same for text that comes in pieces. Start with zeroes; at the end `n` must be 0. */
struct text_check {
	uint8_t part[4]; /* a character whose end has not come */
	size_t n;	 /* bytes of it */
};
bool text_check(struct text_check *t, const void *data, size_t n);

/*
 * Writes the NFC form of a user's name. 0, or -EINVAL when it breaks a rule of msr-chat(7):
 * nothing invisible, nothing that moves other text, nothing that looks like another name.
 */
int text_name(const char *in, size_t n, char out[static NAME_SIZE]);

/*
 * The base name of what a peer calls a file: behind the last slash or backslash, without control
 * and format characters, leading dots and dashes replaced by '_', cut to 255 bytes between
 * characters. "file" when nothing is left. Invalid UTF-8 becomes '_'.
 */
void text_filename(const char *in, size_t n, char out[static FILENAME_SIZE]);

/*
 * Copies text for a terminal: control characters (except line feed and tab, where `lines`),
 * escape sequences' introducers, direction changes and invalid UTF-8 become visible stand-ins.
 * Returns the length; the result is cut to fit `size` with its NUL.
 */
size_t text_visible(const char *in, size_t n, bool lines, char *out, size_t size);

/* Columns that printable text takes. */
size_t text_width(const char *in, size_t n);

#endif
