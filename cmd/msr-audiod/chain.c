/* Chains: parsing and checking of specs, and running them. */
#include "chain.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"

struct running {
	const struct processor *proc;
	struct proc_context context;
	void *state;
};

struct chain {
	struct chain_spec spec;
	struct running step[CHAIN_MAX];
	float *samples; /* of one block, grown to the longest */
	size_t cap;
};

static int refuse(char *why, size_t size, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int refuse(char *why, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, size, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

int exec_check(const struct exec_list *l, char *why, size_t size)
{
	for (size_t i = 0; i < l->n; i++) {
		size_t n = strcspn(l->allowed[i], "=");
		if (!id_valid(l->allowed[i], n) || n > CHAIN_EXEC_MAX)
			return refuse(
			    why, size,
			    "--allow-exec '%.40s': a name is 1 to %d of A-Z a-z 0-9 . _ -, "
			    "not starting with a dot",
			    l->allowed[i], CHAIN_EXEC_MAX);
		if (!l->allowed[i][n] || !l->allowed[i][n + 1])
			return refuse(why, size, "--allow-exec is NAME=COMMAND, not '%.40s'",
				      l->allowed[i]);
	}
	return 0;
}

const char *exec_command(const struct exec_list *l, const char *name)
{
	size_t n = strlen(name);

	if (!id_valid(name, n)) /* "a=b" would match a=b=c and run its end */
		return NULL;
	for (size_t i = 0; i < l->n; i++)
		if (!strncmp(l->allowed[i], name, n) && l->allowed[i][n] == '=')
			return l->allowed[i] + n + 1;
	return NULL;
}

size_t chain_frame_bytes(const struct chain_spec *s)
{
	return sample_bytes((enum sample_format)s->format) * s->channels;
}

/* ---- specs ---- */

static uint8_t index_of(const struct processor *p)
{
	uint8_t i = 0;

	while (proc_at(i) != p)
		i++;
	return i;
}

static int set_param(struct chain_step *st, const struct processor *p, const char *name,
		     double value, char *why, size_t size)
{
	for (int i = 0; i < PROC_PARAMS_MAX && p->params[i].name; i++) {
		const struct proc_param *q = &p->params[i];
		if (name && strcmp(name, q->name) != 0)
			continue;
		if (!(value >= q->min && value <= q->max))
			return refuse(why, size, "'%s' of '%s' is between %g and %g %s", q->name,
				      p->name, q->min, q->max, q->unit);
		st->param[i] = value;
		return 0;
	}
	return refuse(why, size, name ? "'%s' has no parameter '%.40s'" : "'%s' has no parameter",
		      p->name, name ? name : "");
}

/* A new last step with standard parameters. `name` may be "exec:NAME". */
static int add_step(struct chain_spec *s, const char *name, size_t len,
		    const struct exec_list *execs, struct chain_step **out, char *why, size_t size)
{
	const char *colon = memchr(name, ':', len);
	bool exec = colon && colon - name == 4 && !memcmp(name, "exec", 4);
	const struct processor *p = proc_find(name, exec ? 4 : len);
	struct chain_step *st = &s->step[s->n];

	if (!p || (!exec && !strcmp(p->name, "exec")))
		return refuse(why, size, "there is no processor '%.*s'", (int)(len < 40 ? len : 40),
			      name);
	if (s->n == CHAIN_MAX)
		return refuse(why, size, "a chain has at most %d processors", CHAIN_MAX);
	if (p->rate_max && (s->rate < p->rate_min || s->rate > p->rate_max))
		return refuse(why, size, "'%s' works at %u to %u Hz, not at %u", p->name,
			      p->rate_min, p->rate_max, s->rate);
	*st = (struct chain_step){.proc = index_of(p)};
	for (int i = 0; i < PROC_PARAMS_MAX && p->params[i].name; i++)
		st->param[i] = p->params[i].standard;
	if (exec) {
		size_t n = len - 5;
		memcpy(st->exec, colon + 1, n < CHAIN_EXEC_MAX ? n : CHAIN_EXEC_MAX);
		if (n > CHAIN_EXEC_MAX || !exec_command(execs, st->exec))
			return refuse(why, size, "the operator allows no 'exec:%s'", st->exec);
	}
	s->n++;
	*out = st;
	return 0;
}

int chain_add(struct chain_spec *s, const char *name, const struct chain_value *values,
	      size_t n_values, const struct exec_list *execs, char *why, size_t size)
{
	struct chain_step *st;
	int ret = add_step(s, name, strlen(name), execs, &st, why, size);

	for (size_t i = 0; i < n_values && !ret; i++)
		ret = set_param(st, proc_at(st->proc), values[i].name, values[i].value, why, size);
	return ret;
}

/* "name", "name=value", "name:parameter=value", "exec:name" */
static int parse_step(struct chain_spec *s, const char *text, size_t len,
		      const struct exec_list *execs, char *why, size_t size)
{
	const char *equal = memchr(text, '=', len), *colon = memchr(text, ':', len);
	size_t name_len = equal ? (size_t)(equal - text) : len;
	char param[32] = "", number[32];
	struct chain_step *st;

	if (equal && colon && colon < equal) {
		name_len = (size_t)(colon - text);
		snprintf(param, sizeof(param), "%.*s", (int)(equal - colon - 1), colon + 1);
	}
	int ret = add_step(s, text, name_len, execs, &st, why, size);
	if (ret || !equal)
		return ret;
	snprintf(number, sizeof(number), "%.*s", (int)(text + len - equal - 1), equal + 1);
	char *end;
	double v = strtod(number, &end);
	if (end == number || *end)
		return refuse(why, size, "'%s' is not a number", number);
	return set_param(st, proc_at(st->proc), param[0] ? param : NULL, v, why, size);
}

int chain_parse(struct chain_spec *s, const char *text, const struct exec_list *execs, char *why,
		size_t size)
{
	if (strlen(text) > CHAIN_TEXT_MAX)
		return refuse(why, size, "a chain has at most %d characters", CHAIN_TEXT_MAX);
	for (;;) {
		size_t n = strcspn(text, ",");
		int ret = parse_step(s, text, n, execs, why, size);
		if (ret)
			return ret;
		if (!text[n])
			return 0;
		text += n + 1;
	}
}

bool chain_valid(const struct chain_spec *s)
{
	if (s->format >= SAMPLE_FORMATS || s->channels < 1 || s->channels > PROC_CHANNELS_MAX ||
	    s->rate < PROC_RATE_MIN || s->rate > PROC_RATE_MAX || s->n > CHAIN_MAX)
		return false;
	for (int i = 0; i < s->n; i++) {
		const struct processor *p = proc_at(s->step[i].proc);
		if (!p || (p->rate_max && (s->rate < p->rate_min || s->rate > p->rate_max)) ||
		    !memchr(s->step[i].exec, 0, sizeof(s->step[i].exec)))
			return false;
		for (int k = 0; k < PROC_PARAMS_MAX && p->params[k].name; k++)
			if (!(s->step[i].param[k] >= p->params[k].min &&
			      s->step[i].param[k] <= p->params[k].max))
				return false;
	}
	return true;
}

static void fill_context(struct proc_context *c, const struct chain_spec *s, int i)
{
	*c = (struct proc_context){
	    .format = {s->rate, s->channels},
	    .samples = (enum sample_format)s->format,
	};
	memcpy(c->param, s->step[i].param, sizeof(c->param));
}

unsigned chain_delay(const struct chain_spec *s)
{
	unsigned sum = 0;

	for (int i = 0; i < s->n; i++) {
		struct proc_context c;
		fill_context(&c, s, i);
		if (proc_at(s->step[i].proc)->delay)
			sum += proc_at(s->step[i].proc)->delay(&c);
	}
	return sum;
}

bool chain_is_copy(const struct chain_spec *s)
{
	for (int i = 0; i < s->n; i++)
		if (strcmp(proc_at(s->step[i].proc)->name, "copy") != 0)
			return false;
	return true;
}

/* ---- running ---- */

int chain_open(struct chain **out, const struct chain_spec *spec, const struct exec_list *execs,
	       void (*event)(void *arg, const char *json, size_t len), void *arg)
{
	struct chain *c = calloc(1, sizeof(*c));
	int ret = 0;

	if (!c)
		return -ENOMEM;
	c->spec = *spec;
	for (int i = 0; i < spec->n && !ret; i++) {
		struct running *r = &c->step[i];
		fill_context(&r->context, spec, i);
		r->context.event = event;
		r->context.arg = arg;
		r->context.exec =
		    spec->step[i].exec[0] ? exec_command(execs, spec->step[i].exec) : NULL;
		r->proc = proc_at(spec->step[i].proc);
		ret = r->proc->open(&r->state, &r->context);
		if (ret)
			r->proc = NULL;
	}
	if (ret) {
		chain_close(c);
		return ret;
	}
	*out = c;
	return 0;
}

void chain_set_patient(struct chain *c)
{
	for (int i = 0; i < c->spec.n; i++)
		c->step[i].context.patient = true;
}

static int grow(struct chain *c, size_t n)
{
	if (n <= c->cap)
		return 0;
	float *p = realloc(c->samples, n * sizeof(*p));
	if (!p)
		return -ENOMEM;
	c->samples = p;
	c->cap = n;
	return 0;
}

int chain_process(struct chain *c, uint8_t *data, size_t len)
{
	enum sample_format f = (enum sample_format)c->spec.format;
	size_t n = len / sample_bytes(f);
	int ret = 0;

	if (chain_is_copy(&c->spec))
		return 0;
	if (grow(c, n) < 0)
		return -ENOMEM;
	samples_to_float(c->samples, data, n, f);
	for (int i = 0; i < c->spec.n && !ret; i++)
		ret = c->step[i].proc->process(c->step[i].state, c->samples, n / c->spec.channels);
	if (!ret)
		samples_from_float(data, c->samples, n, f);
	return ret;
}

void chain_close(struct chain *c)
{
	if (!c)
		return;
	for (int i = 0; i < c->spec.n; i++)
		if (c->step[i].proc)
			c->step[i].proc->close(c->step[i].state);
	free(c->samples);
	free(c);
}
