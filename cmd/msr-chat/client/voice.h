/* Recording with the user's command: /voice starts it, the next /voice ends it and sends. */
#ifndef MSR_CHAT_VOICE_H
#define MSR_CHAT_VOICE_H

struct client;
struct voice;

/* `to` as in net_file. 0 or -errno. */
int voice_start(struct voice **vp, struct client *c, const char *to);
/* The command is told to end, the second time killed; what it recorded is sent then. */
void voice_stop(struct voice *v);
/* Ends a recording without sending it. Accepts NULL. */
void voice_free(struct voice *v);

#endif
