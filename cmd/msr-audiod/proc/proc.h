/*
 * A processor: one step of a chain. Each stands in a file of its own and is listed once in
 * proc.c. Samples are interleaved floats, full scale at 1, processed in place in blocks of any
 * length; a processor that needs blocks of its own keeps a remainder and delays.
 */
#ifndef MSR_AUDIOD_PROC_PROC_H
#define MSR_AUDIOD_PROC_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../convert.h"

#define PROC_PARAMS_MAX	  3
#define PROC_CHANNELS_MAX 2
#define PROC_RATE_MIN	  8000
#define PROC_RATE_MAX	  192000

struct proc_format {
	uint32_t rate; /* Hz */
	unsigned channels;
};

/* What a processor is told when it is opened; lent until close. */
struct proc_context {
	struct proc_format format;
	double param[PROC_PARAMS_MAX]; /* in the order of its table, checked against its bounds */
	enum sample_format samples;    /* of the client */
	bool patient;		       /* wait for programs: the sound is not live */
	const char *exec;	       /* of exec:NAME: the operator's command, otherwise NULL */
	/* Tells the client something; `json` is one object. May be NULL. */
	void (*event)(void *arg, const char *json, size_t len);
	void *arg;
};

struct proc_param {
	const char *name; /* NULL: no more */
	const char *unit; /* for messages: "dB" */
	double standard, min, max;
};

struct processor {
	const char *name;
	struct proc_param params[PROC_PARAMS_MAX]; /* the first is that of "name=value" */
	uint32_t rate_min, rate_max;		   /* 0: any between PROC_RATE_MIN and _MAX */
	/* Samples of each channel by which it delays; NULL: none. */
	unsigned (*delay)(const struct proc_context *c);
	/* 0 or -errno. `c` is lent until close. */
	int (*open)(void **state, const struct proc_context *c);
	/* `frames` samples of each channel, in place. 0, or -EIO when it cannot go on. */
	int (*process)(void *state, float *samples, size_t frames);
	void (*close)(void *state); /* accepts NULL */
};

/* By name, "exec" included; NULL when there is none. */
const struct processor *proc_find(const char *name, size_t len);
/* The i-th, in the order of the manual; NULL behind the last. */
const struct processor *proc_at(size_t i);

#endif
