/*
 * The doorbell of a ring: a named FIFO through which one process wakes another that sleeps.
 *
 *   ringer ── one byte ──> FIFO ──> listener, in whatever event loop it has
 *
 * The ringer keeps the FIFO open for writing as long as it lives. So the listener wakes not only
 * for a byte but also when the ringer dies (end of file), and no crash between "the data is there"
 * and "the bell is rung" can leave it asleep. As the end of file would last, the listener then
 * plugs the FIFO with a write end of its own until a byte tells that a ringer is back.
 */
#ifndef MSR_FRAME_BELL_H
#define MSR_FRAME_BELL_H

enum bell_end { BELL_RINGER, BELL_LISTENER };

struct bell {
	int fd;	  /* owned; -1 when closed. The listener waits on it for readability */
	int plug; /* owned; the listener's own write end, or -1 */
};

#define BELL_CLOSED    \
	{              \
		-1, -1 \
	}

/* Opens the FIFO `path`, making it if need be. 0, -EEXIST (not a FIFO of ours) or -errno. */
int bell_open(struct bell *b, const char *path, enum bell_end end);
void bell_close(struct bell *b);

/* Wakes the listener, now or when it next waits. */
void bell_ring(const struct bell *b);
/* The listener is awake: takes what was rung, so that it can wait again. */
void bell_drain(struct bell *b);

#endif
