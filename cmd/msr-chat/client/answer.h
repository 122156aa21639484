/*
 * What a terminal answers when it is asked for pictures, found among the keys of the user.
 *
 *	kitty's graphics protocol:	ESC _ G i=31 ; OK ESC \
 *	primary device attributes:	ESC [ ? 62 ; 4 ; 22 c	(4: sixel graphics)
 *
 * Every terminal answers the second question, so its answer ends the waiting. Pure: bytes in,
 * bytes of keys out.
 */
#ifndef MSR_CHAT_ANSWER_H
#define MSR_CHAT_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum graphics { GRAPHICS_NONE, GRAPHICS_SIXEL, GRAPHICS_KITTY };

enum { ANSWER_MAX = 128 }; /* bytes of an answer; something longer is none */

struct answer {
	bool waiting;		/* for the last answer */
	enum graphics graphics; /* as far as is known */
	size_t n;		/* bytes held that may be an answer */
	uint8_t held[ANSWER_MAX];
};

/*
 * The questions to write to a terminal of this TERM, and waits for the answers. "" where asking
 * would leave traces on the screen.
 */
const char *answer_ask(struct answer *a, const char *term);

/* One byte of the input; writes those that are keys and returns how many. */
size_t answer_feed(struct answer *a, uint8_t byte, uint8_t keys[static ANSWER_MAX]);

#endif
