/* Descriptors behind sinks and sources: what "-" and paths stand for. Internal to lib/frame. */
#ifndef MSR_FRAME_STREAM_H
#define MSR_FRAME_STREAM_H

#include <stdbool.h>

enum stream_type {
	STREAM_PIPE,  /* pipe, FIFO or socket: can wait, and epoll(7) can wait for it */
	STREAM_FILE,  /* regular: never waits */
	STREAM_OTHER, /* terminal or other device: a read may block even if poll reports nothing */
};

struct stream {
	int fd;
	bool owned; /* close it; false for standard input and output */
	bool held;  /* a FIFO open at both ends: never end of file, never EPIPE */
	enum stream_type type;
};

/*
 * Opens for reading. With `nonblock` nothing waits, neither here nor in read(2) (of pipes), and
 * with `hold` a FIFO is held open at both ends. 0 or -errno.
 */
int stream_open_in(struct stream *st, const char *spec, bool nonblock, bool hold);
/*
 * Opens for writing; a path that does not exist becomes a file, a file is continued. With
 * `nonblock` a FIFO is held; otherwise opening waits for its reader. 0 or -errno.
 */
int stream_open_out(struct stream *st, const char *spec, bool nonblock);
void stream_close(struct stream *st);

#endif
