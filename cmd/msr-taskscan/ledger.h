/*
 * The ledger remembers which recordings have had a task, for all msr-taskscan processes that share
 * a tasks folder and for ever. It is a text file, only appended to, a line an entry:
 *
 *	TIME make KEY [START] CRC   the task was made
 *	TIME again KEY CRC          forgotten on request: it may be made again
 *
 * START is when the recording began, by its NAME.json: another one under the same name is told from
 * it by that. Without one the name alone counts.
 *
 * CRC is the CRC-32C of what stands before its blank, in eight hexadecimal digits. A line that was
 * torn by a crash fails it; the next writer begins on a fresh line. Writers hold flock(2) on it.
 */
#ifndef MSR_TASKSCAN_LEDGER_H
#define MSR_TASKSCAN_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEDGER_FILE ".ledger"

#define LEDGER_START 40 /* bytes of an RFC 3339 time with its NUL */

enum ledger_op { LEDGER_MAKE, LEDGER_AGAIN };

struct ledger;

/* Opens or creates the ledger in the folder `dirfd`, which must outlive it. 0 or -errno. */
int ledger_open(struct ledger **lp, int dirfd);
/* Accepts NULL. */
void ledger_close(struct ledger *l);

/*
 * Takes the lock without waiting, and reads what others appended. A ledger that was deleted starts
 * afresh. 0, -EAGAIN (another process holds it for a moment) or -errno. Not nested.
 */
int ledger_lock(struct ledger *l);
void ledger_unlock(struct ledger *l);

/* Whether a recording called `key` has had a task, as of the last ledger_lock. */
bool ledger_has(const struct ledger *l, const char *key);
/* Whether the one that began at `start` has; "": unknown, then as ledger_has. */
bool ledger_has_this(const struct ledger *l, const char *key, const char *start);
/*
 * Spares looking at `start`: whether the one called `key` whose NAME.json changed at this RFC 3339
 * time must be the one that has had a task, as it is from before that, or was found to be by
 * ledger_seen.
 */
bool ledger_has_since(const struct ledger *l, const char *key, const char *changed);
void ledger_seen(struct ledger *l, const char *key, const char *changed);
/* Appends durably; the lock must be held. `start` may be "". 0 or -errno: then nothing is noted. */
int ledger_add(struct ledger *l, enum ledger_op op, const char *key, const char *start);

struct ledger_stats {
	uint64_t entries; /* keys that have had a task */
	uint64_t damaged; /* lines skipped */
};

void ledger_stats(const struct ledger *l, struct ledger_stats *out);

struct ledger_line {
	enum ledger_op op;
	const char *time, *key, *start; /* lent, not terminated */
	size_t time_len, key_len, start_len;
};

/* One line without its end. False when it is damaged; `out` points into it. */
bool ledger_parse(const char *line, size_t len, struct ledger_line *out);

#endif
