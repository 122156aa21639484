/* Sample formats: the one place where bytes become floats and floats bytes. */
#ifndef MSR_AUDIOD_CONVERT_H
#define MSR_AUDIOD_CONVERT_H

#include <stddef.h>
#include <stdint.h>

enum sample_format { SAMPLE_U8, SAMPLE_S16LE, SAMPLE_F32LE, SAMPLE_FORMATS };

/* "u8", "s16le", "f32le"; -1 for unknown names. */
int sample_format_of(const char *name);
const char *sample_format_name(enum sample_format f);
size_t sample_bytes(enum sample_format f);

/*
 * `n` samples; full scale is 1. To floats and back without a change gives the same bytes. On the
 * way back values beyond full scale are clipped (not for f32le), NaN becomes silence.
 */
void samples_to_float(float *out, const uint8_t *in, size_t n, enum sample_format f);
void samples_from_float(uint8_t *out, const float *in, size_t n, enum sample_format f);
/* The largest value up to `v`, not negative, that the format has: it does not round up. */
float sample_floor(float v, enum sample_format f);

#endif
