/* copy: changes nothing. A chain of nothing else is not even converted. */
#include "all.h"

static int open_copy(void **state, const struct proc_context *c)
{
	(void)c;
	*state = NULL;
	return 0;
}

static int process(void *state, float *samples, size_t frames)
{
	(void)state, (void)samples, (void)frames;
	return 0;
}

static void close_copy(void *state)
{
	(void)state;
}

const struct processor proc_copy = {
    .name = "copy",
    .open = open_copy,
    .process = process,
    .close = close_copy,
};
