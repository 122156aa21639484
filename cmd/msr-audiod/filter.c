/*
 * The same chain without a server: reads samples, processes, writes. Events of processors go to
 * standard error, one JSON object a line. What a chain delays comes out at the end, so input and
 * output are equally long.
 */
#include "filter.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/opt.h"
#include "chain.h"

#define BLOCK_BYTES 16384 /* read at most; what is there is processed at once */

static const char *format = "s16le";
static int64_t rate = 48000, channels = 1;
static struct opt_list execs;

static const struct opt opts[] = {
    {0, "format", OPT_STR, &format, NULL, "FORMAT", "u8, s16le or f32le (s16le)", 0, 0},
    {0, "rate", OPT_INT, &rate, NULL, "HZ", "samples a second (48000)", PROC_RATE_MIN,
     PROC_RATE_MAX},
    {0, "channels", OPT_INT, &channels, NULL, "N", "interleaved channels (1)", 1,
     PROC_CHANNELS_MAX},
    {0, "allow-exec", OPT_LIST, &execs, NULL, "NAME=COMMAND", "what exec:NAME runs", 0, 0},
    {0},
};

static char footer[512];

static const struct opt_program program = {
    "msr-audiod filter",
    "[--format FORMAT] [--rate HZ] [--channels N] CHAIN",
    "Processes sound from standard input to standard output.",
    footer,
    opts,
};

static void list_processors(void)
{
	size_t len = (size_t)snprintf(
	    footer, sizeof(footer),
	    "A chain is a list such as highpass,gain=6,limiter; see msr-audiod(8).\nProcessors:");

	for (size_t i = 0; proc_at(i) && len < sizeof(footer); i++)
		len +=
		    (size_t)snprintf(footer + len, sizeof(footer) - len, " %s", proc_at(i)->name);
}

static void on_event(void *arg, const char *json, size_t len)
{
	(void)arg;
	fprintf(stderr, "%.*s\n", (int)len, json);
}

/* Silence of the client's format: what the end of the input is followed by. */
static void silence(uint8_t *p, size_t n, const struct chain_spec *s)
{
	memset(p, s->format == SAMPLE_U8 ? 128 : 0, n);
}

/* Writes without the first *skip bytes, which are the chain's delay. */
static int emit(const uint8_t *p, size_t n, size_t *skip)
{
	size_t cut = *skip < n ? *skip : n;

	*skip -= cut;
	return file_write_all(STDOUT_FILENO, p + cut, n - cut);
}

/* Pushes the delayed rest out with as much silence. */
static int finish(struct chain *c, const struct chain_spec *s, size_t delay, size_t *skip)
{
	uint8_t block[BLOCK_BYTES];
	size_t frame = chain_frame_bytes(s);

	while (delay) {
		size_t n =
		    delay < BLOCK_BYTES / frame * frame ? delay : BLOCK_BYTES / frame * frame;
		silence(block, n, s);
		int ret = chain_process(c, block, n);
		if (!ret)
			ret = emit(block, n, skip);
		if (ret < 0)
			return ret;
		delay -= n;
	}
	return 0;
}

static int run(struct chain *c, const struct chain_spec *s)
{
	uint8_t block[BLOCK_BYTES];
	size_t frame = chain_frame_bytes(s), have = 0;
	size_t delay = chain_delay(s) * frame, skip = delay;
	ssize_t n;

	while ((n = read(STDIN_FILENO, block + have, sizeof(block) - have)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		have += (size_t)n;
		size_t whole = have / frame * frame;
		int ret = chain_process(c, block, whole);
		if (!ret)
			ret = emit(block, whole, &skip);
		if (ret < 0)
			return ret;
		memmove(block, block + whole, have - whole);
		have -= whole;
	}
	if (have)
		fprintf(stderr, "msr-audiod filter: the last %zu bytes are not a whole sample\n",
			have);
	return finish(c, s, delay, &skip);
}

int filter_main(int argc, char **argv)
{
	struct exec_list allowed;
	struct chain_spec spec = {0};
	struct chain *chain = NULL;
	char why[192];
	int next, f;

	list_processors();
	enum opt_result parsed = opt_parse(&program, argc, argv, &next);
	if (parsed != OPT_OK)
		return (int)parsed;
	/* Options may follow the chain, as people write them. */
	const char *text = next < argc ? argv[next] : NULL;
	if (text && next + 1 < argc) {
		int more;
		parsed = opt_parse(&program, argc - next, argv + next, &more);
		if (parsed != OPT_OK)
			return (int)parsed;
		if (next + more < argc)
			return opt_usage(&program, "'%s' is one argument too many",
					 argv[next + more]);
	}
	if (!text)
		return opt_usage(&program, "name a chain, for example denoise,agc");
	if ((f = sample_format_of(format)) < 0)
		return opt_usage(&program, "--format is u8, s16le or f32le, not '%s'", format);
	allowed = (struct exec_list){execs.v, execs.n};
	spec.format = (uint8_t)f;
	spec.rate = (uint32_t)rate;
	spec.channels = (uint8_t)channels;
	if (exec_check(&allowed, why, sizeof(why)) < 0 ||
	    chain_parse(&spec, text, &allowed, why, sizeof(why)) < 0)
		return opt_usage(&program, "%s", why);
	signal(SIGPIPE, SIG_IGN);
	int ret = chain_open(&chain, &spec, &allowed, on_event, NULL);
	if (!ret) {
		chain_set_patient(chain);
		ret = run(chain, &spec);
	}
	chain_close(chain);
	if (ret < 0 && ret != -EPIPE)
		fprintf(stderr, "msr-audiod filter: %s\n",
			ret == -EIO
			    ? "a program of the chain ended, or kept its sound back for too "
			      "long; see exec in msr-audiod(8)"
			    : strerror(-ret));
	return ret ? 1 : 0;
}
