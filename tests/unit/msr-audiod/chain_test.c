/*
 * Chains: what may be written, and that processors do to sound what the manual says, measured on
 * generated sound.
 */
#include "../../../cmd/msr-audiod/chain.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../support/test.h"

#define RATE 48000

static const char *const allowed[] = {"cat=cat", "gone=exit 0"};
static const struct exec_list execs = {allowed, 2};
static char events[65536];

static void on_event(void *arg, const char *json, size_t len)
{
	(void)arg;
	strncat(events, json, len);
	strcat(events, "\n");
}

static struct chain_spec spec_of(const char *text, int format, unsigned channels)
{
	struct chain_spec s = {
	    .format = (uint8_t)format, .rate = RATE, .channels = (uint8_t)channels};
	char why[192] = "";

	if (chain_parse(&s, text, &execs, why, sizeof(why)) < 0)
		test_fail(__FILE__, __LINE__, "'%s': %s", text, why);
	return s;
}

static bool refused(const char *text)
{
	struct chain_spec s = {.format = SAMPLE_S16LE, .rate = RATE, .channels = 1};
	char why[192] = "";

	return chain_parse(&s, text, &execs, why, sizeof(why)) < 0 && why[0];
}

/* Runs float samples through a chain in blocks of changing length, as clients send them. */
static void run_at(const char *text, float *samples, size_t n, unsigned channels, uint32_t rate)
{
	struct chain_spec s = spec_of(text, SAMPLE_F32LE, channels);
	struct chain *c;
	size_t frames = n / channels, at = 0;

	s.rate = rate;
	events[0] = '\0';
	CHECK_INT(chain_open(&c, &s, &execs, on_event, NULL), 0);
	chain_set_patient(c);
	for (size_t block = 1; at < frames; block = block * 3 % 1021 + 1) {
		size_t k = frames - at < block ? frames - at : block;
		CHECK_INT(chain_process(c, (uint8_t *)(samples + at * channels), k * channels * 4),
			  0);
		at += k;
	}
	chain_close(c);
}

static void run(const char *text, float *samples, size_t n, unsigned channels)
{
	run_at(text, samples, n, channels, RATE);
}

static float *sine(size_t n, double hz, double amplitude)
{
	float *s = malloc(n * sizeof(*s));

	for (size_t i = 0; i < n; i++)
		s[i] = (float)(amplitude * sin(2 * M_PI * hz * (double)i / RATE));
	return s;
}

static double rms_db(const float *s, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (double)s[i] * s[i];
	return 10 * log10(sum / (double)n + 1e-12);
}

/* White noise that is the same in every run. */
static float noise(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return (float)(*seed >> 8) / (1 << 23) - 1;
}

TEST(specs_are_checked)
{
	CHECK(!refused("highpass,gain=6,limiter"));
	CHECK(!refused("agc:dbfs=-18"));
	CHECK(!refused("exec:cat"));
	CHECK(refused("") && refused("nothing") && refused("gain=61") && refused("gain=x"));
	CHECK(refused("gain:hz=3") && refused("copy=1") && refused("exec") && refused("exec:rm"));
	CHECK(refused("gain,,gain") && refused("gain=nan") && refused("limiter=1"));
	char many[200] = "copy";
	for (int i = 0; i < 16; i++)
		strcat(many, ",copy");
	CHECK(refused(many));
	struct chain_spec s = {.format = SAMPLE_S16LE, .rate = 96000, .channels = 1};
	char why[192];
	CHECK(chain_parse(&s, "denoise", &execs, why, sizeof(why)) < 0);
	CHECK(strstr(why, "8000 to 48000"));
}

TEST(programs_are_those_of_the_operator_and_no_others)
{
	static const char *const list[] = {"tidy=RATE=8000 cat",
					   "a-name-as-long-as-one-may-be-000=cat"};
	static const char *const bad[] = {"cat",
					  "=cat",
					  "cat=",
					  "a b=cat",
					  "a,b=cat",
					  "../a=cat",
					  "a-name-that-is-longer-than-one-may=cat"};
	const struct exec_list l = {list, 2};
	struct chain_spec s = {.format = SAMPLE_S16LE, .rate = RATE, .channels = 1};
	char why[192];

	CHECK_INT(exec_check(&l, why, sizeof(why)), 0);
	CHECK_INT(chain_add(&s, "exec:tidy", NULL, 0, &l, why, sizeof(why)), 0);
	CHECK_INT(
	    chain_add(&s, "exec:a-name-as-long-as-one-may-be-000", NULL, 0, &l, why, sizeof(why)),
	    0);
	/* Not the end of a command, and not another name that begins alike. */
	CHECK(chain_add(&s, "exec:tidy=RATE", NULL, 0, &l, why, sizeof(why)) < 0);
	CHECK(chain_add(&s, "exec:a-name-as-long-as-one-may-be-0001", NULL, 0, &l, why,
			sizeof(why)) < 0);
	CHECK(chain_add(&s, "exec:", NULL, 0, &l, why, sizeof(why)) < 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct exec_list one = {&bad[i], 1};
		CHECK(exec_check(&one, why, sizeof(why)) < 0);
	}
}

TEST(a_spec_out_of_shared_memory_is_not_trusted)
{
	struct chain_spec s = spec_of("gain=6,exec:cat", SAMPLE_S16LE, 2);

	CHECK(chain_valid(&s));
	struct chain_spec bad = s;
	bad.n = 200;
	CHECK(!chain_valid(&bad));
	bad = s;
	bad.step[0].proc = 99;
	CHECK(!chain_valid(&bad));
	bad = s;
	bad.step[0].param[0] = NAN;
	CHECK(!chain_valid(&bad));
	bad = s;
	memset(bad.step[1].exec, 'x', sizeof(bad.step[1].exec));
	CHECK(!chain_valid(&bad));
}

TEST(formats_survive_there_and_back)
{
	for (int f = 0; f < SAMPLE_FORMATS; f++) {
		uint8_t in[1024], out[1024];
		float x[1024];
		size_t n = sizeof(in) / sample_bytes((enum sample_format)f);
		for (size_t i = 0; i < sizeof(in); i++)
			in[i] = (uint8_t)(f == SAMPLE_F32LE ? i % 4 == 3 ? 0x3e : i : i * 7);
		samples_to_float(x, in, n, (enum sample_format)f);
		samples_from_float(out, x, n, (enum sample_format)f);
		CHECK_MEM(in, out, sizeof(in));
	}
	float beyond[] = {2, -2, NAN, INFINITY};
	uint8_t out[8];
	samples_from_float(out, beyond, 4, SAMPLE_U8);
	CHECK(out[0] == 255 && out[1] == 0 && out[2] == 128 && out[3] == 255);
}

TEST(gain_is_in_decibels)
{
	float *s = sine(RATE, 1000, 0.1);
	double before = rms_db(s, RATE);

	run("gain=6", s, RATE, 1);
	CHECK(fabs(rms_db(s, RATE) - before - 6) < 0.01);
	free(s);
}

TEST(highpass_takes_rumble_and_leaves_speech)
{
	float *low = sine(RATE, 20, 0.5), *high = sine(RATE, 1000, 0.5);

	run("highpass=100", low, RATE, 1);
	run("highpass=100", high, RATE, 1);
	CHECK(rms_db(low + RATE / 2, RATE / 2) < -9.03 - 24);
	CHECK(fabs(rms_db(high + RATE / 2, RATE / 2) + 9.03) < 0.2);
	free(low);
	free(high);
}

TEST(limiter_never_exceeds_its_ceiling)
{
	size_t n = 4 * RATE;
	float *s = malloc(n * sizeof(*s));
	uint32_t seed = 1;
	float ceiling = (float)pow(10, -3.0 / 20), peak = 0;

	/* Bursts far beyond full scale, single spikes, and quiet in between; two channels. */
	for (size_t i = 0; i < n; i++)
		s[i] = noise(&seed) * (i / 5000 % 3 == 0 ? 8.0f : i % 9973 == 0 ? 20.0f : 0.2f);
	run("limiter=-3", s, n, 2);
	for (size_t i = 0; i < n; i++)
		peak = fmaxf(peak, fabsf(s[i]));
	CHECK(peak <= ceiling * 1.000001f);
	CHECK(peak > ceiling * 0.9f);
	free(s);
	/* What is below passes unchanged but for the delay. */
	float *q = sine(RATE, 500, 0.5), *same = sine(RATE, 500, 0.5);
	struct chain_spec spec = spec_of("limiter=-3", SAMPLE_F32LE, 1);
	run("limiter=-3", q, RATE, 1);
	size_t delay = chain_delay(&spec);
	CHECK_INT(delay, RATE / 200);
	for (size_t i = delay; i < RATE; i++)
		CHECK(fabsf(q[i] - same[i - delay]) < 1e-4f);
	free(q);
	free(same);
}

TEST(limiter_holds_its_ceiling_in_every_format)
{
	uint32_t seed = 1;

	for (int f = 0; f < SAMPLE_FORMATS; f++) {
		struct chain_spec spec = spec_of("gain=20,limiter=-3", f, 1);
		enum { N = 9600 };
		static uint8_t data[4 * N];
		static float x[N];
		struct chain *c;
		float peak = 0;
		for (size_t i = 0; i < N; i++)
			x[i] = noise(&seed);
		samples_from_float(data, x, N, (enum sample_format)f);
		CHECK_INT(chain_open(&c, &spec, &execs, NULL, NULL), 0);
		CHECK_INT(chain_process(c, data, N * chain_frame_bytes(&spec)), 0);
		chain_close(c);
		samples_to_float(x, data, N, (enum sample_format)f);
		for (size_t i = 0; i < N; i++)
			peak = fmaxf(peak, fabsf(x[i]));
		if (peak > (float)pow(10, -3.0 / 20) || peak < 0.69f)
			test_fail(__FILE__, __LINE__, "%s comes out at %g",
				  sample_format_name((enum sample_format)f), (double)peak);
	}
}

TEST(agc_reaches_its_level_within_one_decibel)
{
	static const double levels[] = {0.005, 0.05, 0.9};

	for (int k = 0; k < 3; k++) {
		size_t n = 8 * RATE;
		float *s = sine(n, 300, levels[k]);
		/* Syllables: 250 ms of sound, 100 ms of pause. The level is that of the sound. */
		for (size_t i = 0; i < n; i++)
			if (i % (RATE * 35 / 100) > RATE * 25 / 100)
				s[i] = 0;
		run("agc=-20", s, n, 1);
		double sum = 0;
		size_t m = 0;
		for (size_t i = 6 * RATE; i < n; i++)
			if (i % (RATE * 35 / 100) <= RATE * 25 / 100) {
				sum += (double)s[i] * s[i];
				m++;
			}
		double db = 10 * log10(sum / (double)m);
		if (fabs(db + 20) > 1)
			test_fail(__FILE__, __LINE__, "level %g came out at %.2f dBFS", levels[k],
				  db);
		free(s);
	}
}

TEST(normalize_reaches_its_loudness_within_one_decibel)
{
	/* 997 Hz at -23 dBFS peak in one channel is -26.0 LUFS or so; ask for -16. */
	size_t n = 10 * RATE;
	float *s = sine(n, 997, pow(10, -23.0 / 20));

	run("normalize=-16,meter=1000", s, n, 1);
	/* BS.1770: mono sine of peak P dBFS has P - 3.01 - 0.691 + ~0.69 LUFS at 997 Hz. */
	double lufs = rms_db(s + n - RATE, RATE);
	CHECK(fabs(lufs + 16) < 1);
	const char *last = strrchr(events, '{');
	double told = strtod(strstr(last, "\"lufs\":") + 7, NULL);
	CHECK(fabs(told + 16) < 1);
	free(s);
}

TEST(meter_tells_peak_and_rms)
{
	float *s = sine(RATE, 1000, 0.5);

	run("meter=500", s, RATE, 1);
	CHECK(strstr(events, "\"peak\":-6.0,\"rms\":-9.0"));
	int lines = 0;
	for (const char *p = events; (p = strchr(p, '\n')); p++)
		lines++;
	CHECK_INT(lines, 2);
	free(s);
}

/* Bytes of one channel of the sound in `f`: a sine with a period of `n` samples, half of full
 * scale; silence for 0. */
static void put_channel(uint8_t *data, int f, size_t frames, unsigned channels, unsigned ch, int n)
{
	size_t width = sample_bytes((enum sample_format)f);

	for (size_t i = 0; i < frames; i++) {
		float v = n ? 0.5f * (float)sin(2 * M_PI * (double)i / n) : 0;
		samples_from_float(data + (i * channels + ch) * width, &v, 1,
				   (enum sample_format)f);
	}
}

static void get_channel(uint8_t *out, const uint8_t *data, int f, size_t frames, unsigned ch)
{
	size_t width = sample_bytes((enum sample_format)f);

	for (size_t i = 0; i < frames; i++)
		memcpy(out + i * width, data + (2 * i + ch) * width, width);
}

static void run_bytes(const char *text, int f, unsigned channels, uint8_t *data, size_t frames)
{
	struct chain_spec s = spec_of(text, f, channels);
	struct chain *c;

	CHECK_INT(chain_open(&c, &s, &execs, NULL, NULL), 0);
	chain_set_patient(c);
	CHECK_INT(chain_process(c, data, frames * chain_frame_bytes(&s)), 0);
	chain_close(c);
}

/* Processors that treat each channel for itself: what a channel becomes depends on it alone. */
TEST(channels_do_not_mix_in_any_format)
{
	static const char *const chains[] = {"copy",	"gain=-6",   "highpass=200",
					     "denoise", "vad,meter", "exec:cat"};
	enum { FRAMES = 16000 };
	static uint8_t both[2][8 * FRAMES], one[4 * FRAMES], left[4 * FRAMES], right[4 * FRAMES];

	for (size_t k = 0; k < sizeof(chains) / sizeof(*chains); k++)
		for (int f = 0; f < SAMPLE_FORMATS; f++) {
			size_t n = FRAMES * sample_bytes((enum sample_format)f);
			put_channel(both[0], f, FRAMES, 2, 0, 100);
			put_channel(both[0], f, FRAMES, 2, 1, 37);
			run_bytes(chains[k], f, 2, both[0], FRAMES);
			get_channel(left, both[0], f, FRAMES, 0);
			get_channel(right, both[0], f, FRAMES, 1);
			put_channel(one, f, FRAMES, 1, 0, 100);
			run_bytes(chains[k], f, 1, one, FRAMES);
			CHECK_MEM(left, one, n);
			put_channel(one, f, FRAMES, 1, 0, 37);
			run_bytes(chains[k], f, 1, one, FRAMES);
			CHECK_MEM(right, one, n);
		}
}

/* Those whose gain is that of both: silence beside the sound stays silence. */
TEST(a_silent_channel_stays_silent_in_every_format)
{
	static const char *const chains[] = {"agc", "normalize", "limiter=-10", "agc,limiter"};
	enum { FRAMES = 48000 };
	static uint8_t both[8 * FRAMES], one[4 * FRAMES], silence[4 * FRAMES];

	for (size_t k = 0; k < sizeof(chains) / sizeof(*chains); k++)
		for (int f = 0; f < SAMPLE_FORMATS; f++)
			for (unsigned ch = 0; ch < 2; ch++) {
				size_t n = FRAMES * sample_bytes((enum sample_format)f);
				put_channel(both, f, FRAMES, 2, ch, 100);
				put_channel(both, f, FRAMES, 2, 1 - ch, 0);
				put_channel(silence, f, FRAMES, 1, 0, 0);
				run_bytes(chains[k], f, 2, both, FRAMES);
				get_channel(one, both, f, FRAMES, 1 - ch);
				CHECK_MEM(one, silence, n);
				get_channel(one, both, f, FRAMES, ch);
				CHECK(memcmp(one + n / 2, silence + n / 2, n / 2) != 0);
			}
}

TEST(denoise_takes_noise_away_at_every_rate)
{
	static const uint32_t rates[] = {8000, 16000, 44100, 48000};

	for (size_t k = 0; k < sizeof(rates) / sizeof(*rates); k++) {
		size_t n = 3 * rates[k], second = rates[k];
		float *s = malloc(n * sizeof(*s));
		uint32_t seed = 1;
		for (size_t i = 0; i < n; i++)
			s[i] = 0.02f * noise(&seed);
		double before = rms_db(s + n - second, second);
		run_at("denoise", s, n, 1, rates[k]);
		double gone = before - rms_db(s + n - second, second);
		if (gone < 10)
			test_fail(__FILE__, __LINE__, "%g dB less at %u Hz", gone, rates[k]);
		free(s);
	}
}

static void vad_finds_a_vowel(uint32_t rate, int at_s)
{
	size_t n = (size_t)(at_s + 2) * rate;
	float *s = calloc(n, sizeof(*s));
	uint32_t seed = 1;

	/* Quiet noise; in the end a vowel: harmonics of 150 Hz. */
	for (size_t i = 0; i < n; i++) {
		double t = (double)i / rate;
		s[i] = 0.0005f * noise(&seed);
		if (t >= at_s)
			for (int k = 1; k <= 10; k++)
				s[i] += (float)(0.3 / k * sin(2 * M_PI * 150 * k * t));
	}
	run_at("vad", s, n, 1, rate);
	const char *start = strstr(events, "\"start\",\"at\":");
	CHECK(start);
	double at = strtod(start + strlen("\"start\",\"at\":"), NULL);
	if (at < at_s - 0.1 || at > at_s + 0.1)
		test_fail(__FILE__, __LINE__, "what begins at %d s begins at %g s at %u Hz", at_s,
			  at, rate);
	free(s);
}

TEST(vad_finds_speech_at_every_rate)
{
	vad_finds_a_vowel(8000, 3);
	vad_finds_a_vowel(44100, 3);
	vad_finds_a_vowel(48000, 3);
}

TEST(vad_tells_the_time_where_20_ms_are_no_whole_number_of_samples)
{
	vad_finds_a_vowel(11025, 200);
}

TEST(exec_passes_through_a_program)
{
	size_t n = 2 * RATE;
	float *s = sine(n, 440, 0.5), *same = sine(n, 440, 0.5);
	struct chain_spec spec = spec_of("exec:cat", SAMPLE_F32LE, 1);
	size_t delay = chain_delay(&spec);

	run("exec:cat", s, n, 1);
	for (size_t i = 0; i < delay; i++)
		CHECK(s[i] == 0);
	CHECK_MEM(s + delay, same, (n - delay) * sizeof(*s));
	free(s);
	free(same);
}

TEST(a_program_that_ends_fails_the_chain)
{
	struct chain_spec s = spec_of("exec:gone", SAMPLE_S16LE, 1);
	uint8_t data[960] = {0};
	struct chain *c;
	int ret = 0;

	signal(SIGPIPE, SIG_IGN); /* as both programs do that run chains */
	CHECK_INT(chain_open(&c, &s, &execs, NULL, NULL), 0);
	chain_set_patient(c);
	for (int i = 0; i < 1000 && !ret; i++)
		ret = chain_process(c, data, sizeof(data));
	CHECK(ret < 0);
	chain_close(c);
}
