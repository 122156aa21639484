/* Recording with the user's command: /voice starts it, the next /voice ends it and sends. */
#ifndef MSR_CHAT_VOICE_H
#define MSR_CHAT_VOICE_H

#include <stdbool.h>

struct client;
struct voice;

bool voice_recording(const struct voice *v);
/* `to` as in net_file. 0 or -errno. */
int voice_start(struct voice **vp, struct client *c, const char *to);
/* The command is told to end; what it recorded is sent when it has. */
void voice_stop(struct voice *v);
/* Ends a recording without sending it. Accepts NULL. */
void voice_free(struct voice *v);

#endif
