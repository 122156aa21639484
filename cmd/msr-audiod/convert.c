/* Conversion of samples. u8 has its middle at 128, as in WAV files. */
#include "convert.h"

#include <math.h>
#include <string.h>

#include "base/buf.h"

static const char *const names[SAMPLE_FORMATS] = {"u8", "s16le", "f32le"};
static const uint8_t widths[SAMPLE_FORMATS] = {1, 2, 4};

int sample_format_of(const char *name)
{
	for (int i = 0; i < SAMPLE_FORMATS; i++)
		if (!strcmp(names[i], name))
			return i;
	return -1;
}

const char *sample_format_name(enum sample_format f)
{
	return names[f];
}

size_t sample_bytes(enum sample_format f)
{
	return widths[f];
}

void samples_to_float(float *out, const uint8_t *in, size_t n, enum sample_format f)
{
	switch (f) {
	case SAMPLE_U8:
		for (size_t i = 0; i < n; i++)
			out[i] = (float)(in[i] - 128) / 128;
		break;
	case SAMPLE_S16LE:
		for (size_t i = 0; i < n; i++)
			out[i] = (float)(int16_t)get_le16(in + 2 * i) / 32768;
		break;
	case SAMPLE_F32LE:
		for (size_t i = 0; i < n; i++) {
			uint32_t bits = get_le32(in + 4 * i);
			memcpy(&out[i], &bits, sizeof(bits));
			if (!isfinite(out[i]))
				out[i] = 0;
		}
		break;
	case SAMPLE_FORMATS:
		break;
	}
}

float sample_floor(float v, enum sample_format f)
{
	float scale = f == SAMPLE_U8 ? 128 : 32768;

	return f == SAMPLE_F32LE ? v : floorf(v * scale) / scale;
}

/* To an integer between `low` and `high`. */
static int to_int(float v, float scale, int low, int high)
{
	float s = v * scale;

	if (!(s > (float)low)) /* NaN too: but that is silence */
		return isnan(s) ? 0 : low;
	return s > (float)high ? high : (int)lrintf(s);
}

void samples_from_float(uint8_t *out, const float *in, size_t n, enum sample_format f)
{
	switch (f) {
	case SAMPLE_U8:
		for (size_t i = 0; i < n; i++)
			out[i] = (uint8_t)(to_int(in[i], 128, -128, 127) + 128);
		break;
	case SAMPLE_S16LE:
		for (size_t i = 0; i < n; i++)
			put_le16(out + 2 * i, (uint16_t)to_int(in[i], 32768, INT16_MIN, INT16_MAX));
		break;
	case SAMPLE_F32LE:
		for (size_t i = 0; i < n; i++) {
			float v = isnan(in[i]) ? 0 : in[i];
			uint32_t bits;
			memcpy(&bits, &v, sizeof(bits));
			put_le32(out + 4 * i, bits);
		}
		break;
	case SAMPLE_FORMATS:
		break;
	}
}
