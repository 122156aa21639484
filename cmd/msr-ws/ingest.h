/*
 * From parts to the sink: order, backpressure, beginning and end of sessions.
 *
 * Full sink: sessions that send media are not read, what they have sent already waits here
 * (app.blocked), and goes out first when there is room again.
 */
#ifndef MSR_WS_INGEST_H
#define MSR_WS_INGEST_H

#include <stdint.h>

#include "frame/frame.h"

struct app;
struct session;

void ingest_init(struct session *s);
void ingest_done(struct session *s);

/* The session begins: tells the sink, now or when it has room. */
void ingest_open(struct session *s);

/*
 * Takes a numbered frame; room and session are filled in. 0; -ENOMEM, -EMSGSIZE (larger than the
 * sink ever takes) or -EPIPE.
 */
int ingest_part(struct session *s, struct frame *f);

/*
 * Ends the session once the sink has everything, and its client the acknowledgements that it wants;
 * `reason` is static.
 */
void ingest_end(struct session *s, const char *reason);

/*
 * Whether a session that ends still has acknowledgements to wait for. A client that is lost before
 * it has them comes again, and sends again what the recording must know then.
 */
bool ingest_is_untold(const struct session *s);

/* The session's client has been told of all that was to be acknowledged. */
void ingest_acknowledged(struct session *s);

/* The sink has room again. */
void ingest_resume(struct app *a);

#endif
