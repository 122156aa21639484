/* The list of processors, in the order of the manual. */
#include "proc.h"

#include <string.h>

#include "all.h"

static const struct processor *const all[] = {
    &proc_copy, &proc_gain,    &proc_highpass,	&proc_denoise, &proc_agc,
    &proc_vad,	&proc_limiter, &proc_normalize, &proc_meter,   &proc_exec,
};

const struct processor *proc_at(size_t i)
{
	return i < sizeof(all) / sizeof(all[0]) ? all[i] : NULL;
}

const struct processor *proc_find(const char *name, size_t len)
{
	for (size_t i = 0; proc_at(i); i++)
		if (strlen(all[i]->name) == len && !memcmp(all[i]->name, name, len))
			return all[i];
	return NULL;
}
