/* The processors, each defined in the file of its name. */
#ifndef MSR_AUDIOD_PROC_ALL_H
#define MSR_AUDIOD_PROC_ALL_H

#include <math.h>

#include "proc.h"

extern const struct processor proc_copy, proc_gain, proc_highpass, proc_denoise, proc_agc, proc_vad,
    proc_limiter, proc_normalize, proc_meter, proc_exec;

static inline double from_db(double db)
{
	return pow(10, db / 20);
}
/* Silence is -120 dB, not minus infinity. */
static inline double to_db(double v)
{
	return v > 1e-6 ? 20 * log10(v) : -120;
}

#endif
