/* The worker process: `msr-audiod worker NAME [EXEC ...]`, started by the pool only. */
#ifndef MSR_AUDIOD_WORKER_H
#define MSR_AUDIOD_WORKER_H

#include "chain.h"

/* Serves segment `name` until it is killed. Returns the exit status. */
int worker_main(const char *name, const struct exec_list *execs);

#endif
