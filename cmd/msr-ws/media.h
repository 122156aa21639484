/* Messages of a client whose session is live: media to the sink, text to the room. */
#ifndef MSR_WS_MEDIA_H
#define MSR_WS_MEDIA_H

#include <stddef.h>
#include <stdint.h>

struct client;

/* `text` is followed by a NUL and is overwritten. */
void media_text(struct client *c, char *text, size_t len);
void media_binary(struct client *c, const uint8_t *data, size_t len);

#endif
