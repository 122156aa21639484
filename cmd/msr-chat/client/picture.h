/*
 * Pictures in the terminal, drawn by chafa(1) where it is installed. That is a child with bounds
 * on time, memory and output, which goes to memory; the terminal gets it when it is complete, so
 * that nobody waits for a picture and none is torn.
 */
#ifndef MSR_CHAT_PICTURE_H
#define MSR_CHAT_PICTURE_H

#include <stddef.h>

#include "answer.h"

struct loop;
struct pictures;

/* `shown` gets the bytes for the terminal. 0 or -ENOMEM. */
int pictures_new(struct pictures **pp, struct loop *l,
		 void (*shown)(void *arg, const char *bytes, size_t n), void *arg);
/* Accepts NULL. */
void pictures_free(struct pictures *p);

/* Draws a file; while others are drawn up to 8 wait, further ones are left out. */
void pictures_draw(struct pictures *p, const char *path, enum graphics graphics);

#endif
