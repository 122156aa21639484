/*
 * libsndfile writes into a small memory file that claims to be as long as the real one will be:
 * asked to update its header, it computes all lengths from that.
 */
#include "pcm.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <sndfile.h>

#include "frame/frame.h"

struct memory {
	uint8_t *out;
	sf_count_t pos;
	sf_count_t end;	    /* bytes written */
	sf_count_t claimed; /* length that libsndfile is told, if more */
	bool overflow;
};

static sf_count_t mem_len(void *arg)
{
	struct memory *m = arg;

	return m->claimed > m->end ? m->claimed : m->end;
}

static sf_count_t mem_seek(sf_count_t offset, int whence, void *arg)
{
	struct memory *m = arg;

	m->pos = offset + (whence == SEEK_CUR ? m->pos : whence == SEEK_END ? mem_len(arg) : 0);
	return m->pos;
}

static sf_count_t mem_read(void *to, sf_count_t n, void *arg)
{
	(void)to, (void)n, (void)arg;
	return 0;
}

static sf_count_t mem_write(const void *from, sf_count_t n, void *arg)
{
	struct memory *m = arg;

	if (m->pos < 0 || n < 0 || n > PCM_HEADER_MAX || m->pos > PCM_HEADER_MAX - n) {
		m->overflow = true;
		return 0;
	}
	memcpy(m->out + m->pos, from, (size_t)n);
	m->pos += n;
	if (m->pos > m->end)
		m->end = m->pos;
	return n;
}

static sf_count_t mem_tell(void *arg)
{
	return ((struct memory *)arg)->pos;
}

static int format_of(int codec)
{
	switch (codec) {
	case CODEC_U8:
		return SF_FORMAT_PCM_U8;
	case CODEC_S16LE:
		return SF_FORMAT_PCM_16;
	case CODEC_S24LE:
		return SF_FORMAT_PCM_24;
	case CODEC_S32LE:
		return SF_FORMAT_PCM_32;
	case CODEC_F32LE:
		return SF_FORMAT_FLOAT;
	}
	return 0;
}

int pcm_header(uint8_t out[static PCM_HEADER_MAX], int codec, uint32_t rate, unsigned channels,
	       uint64_t data_bytes)
{
	SF_VIRTUAL_IO io = {mem_len, mem_seek, mem_read, mem_write, mem_tell};
	struct memory m = {.out = out};
	SF_INFO info = {.samplerate = (int)rate,
			.channels = (int)channels,
			.format = SF_FORMAT_RF64 | format_of(codec)};

	if (!format_of(codec) || !rate || rate > PCM_RATE_MAX || !channels ||
	    channels > PCM_CHANNELS_MAX || data_bytes > INT64_MAX - PCM_HEADER_MAX)
		return -EINVAL;
	SNDFILE *f = sf_open_virtual(&io, SFM_WRITE, &info, &m);
	if (!f)
		return -EINVAL;
	/* RF64 only when it must be; the space for its longer sizes is kept free (a JUNK chunk). */
	sf_command(f, SFC_RF64_AUTO_DOWNGRADE, NULL, SF_TRUE);
	sf_command(f, SFC_UPDATE_HEADER_NOW, NULL, 0);
	sf_count_t len = m.end;
	m.claimed = len + (sf_count_t)data_bytes;
	m.pos = m.claimed; /* as after writing the samples */
	sf_command(f, SFC_UPDATE_HEADER_NOW, NULL, 0);
	int ret = m.overflow || m.end != len ? -EINVAL : (int)len;
	/* Closing writes the header once more, and perhaps a tail; not into the caller's memory. */
	uint8_t scratch[PCM_HEADER_MAX];
	m.out = scratch;
	sf_close(f);
	return ret;
}
