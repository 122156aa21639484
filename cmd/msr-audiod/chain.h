/*
 * Chains of processors: the text that clients and users write, checked; and the running thing.
 *
 *	text "highpass,gain=6,limiter" ─ chain_parse ─> spec ─ chain_open ─> struct chain
 *	bytes of the client's format ─ chain_process ─> the same, processed, in place
 *
 * The spec has no pointers: the front process checks it and puts it into shared memory, a worker
 * opens it there.
 */
#ifndef MSR_AUDIOD_CHAIN_H
#define MSR_AUDIOD_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "convert.h"
#include "proc/proc.h"

#define CHAIN_MAX      16  /* processors */
#define CHAIN_TEXT_MAX 512 /* bytes on the command line */
#define CHAIN_EXEC_MAX 32  /* bytes of the name behind exec: */

struct chain_step {
	uint8_t proc; /* index for proc_at */
	char exec[CHAIN_EXEC_MAX + 1];
	double param[PROC_PARAMS_MAX];
};

struct chain_spec {
	uint8_t format; /* enum sample_format */
	uint8_t channels;
	uint8_t n;
	uint32_t rate;
	struct chain_step step[CHAIN_MAX];
};

/* What exec:NAME may run. */
struct exec_list {
	const char *const *allowed; /* "NAME=COMMAND"; lent */
	size_t n;
};
/* Whether each has a name that clients can say, and a command. 0, or -EINVAL with `why`. */
int exec_check(const struct exec_list *l, char *why, size_t why_size);
/* The command, or NULL. */
const char *exec_command(const struct exec_list *l, const char *name);

/* Bytes of one sample of all channels. */
size_t chain_frame_bytes(const struct chain_spec *s);

/*
 * Adds steps to a spec whose format, rate and channels are set. `text` is the command-line form.
 * 0, or -EINVAL with `why` (at least 128 bytes) saying what is wrong.
 */
int chain_parse(struct chain_spec *s, const char *text, const struct exec_list *execs, char *why,
		size_t why_size);
/* One step of the JSON form: its name (or "exec:NAME") and parameters by name. As above. */
struct chain_value {
	const char *name;
	double value;
};
int chain_add(struct chain_spec *s, const char *name, const struct chain_value *values,
	      size_t n_values, const struct exec_list *execs, char *why, size_t why_size);
/* Whether a spec out of shared memory is one that chain_parse could have made. */
bool chain_valid(const struct chain_spec *s);
/* Samples of each channel by which it delays. */
unsigned chain_delay(const struct chain_spec *s);
/* Whether it changes nothing at all: then bytes need not be converted. */
bool chain_is_copy(const struct chain_spec *s);

struct chain;

/* `spec` is copied, `execs` lent until close. 0, -EINVAL, -ENOMEM, or what a processor says. */
int chain_open(struct chain **out, const struct chain_spec *spec, const struct exec_list *execs,
	       void (*event)(void *arg, const char *json, size_t len), void *arg);
/* For input that is not live: exec:NAME waits for its program instead of falling silent. */
void chain_set_patient(struct chain *c);
/* `len` is a whole number of samples of all channels. 0, or -EIO (the chain cannot go on). */
int chain_process(struct chain *c, uint8_t *data, size_t len);
/* Accepts NULL. */
void chain_close(struct chain *c);

#endif
