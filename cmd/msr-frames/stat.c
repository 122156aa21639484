/* msr-frames stat: what the control page of a ring says, without touching it. */
#include <inttypes.h>
#include <stdio.h>

#include "base/json.h"
#include "command.h"
#include "frame/ring.h"
#include "ringname.h"

static bool as_json;

static void print_json(const char *name, const struct ring_stats *s)
{
	char line[1024], id[20];
	struct json j;

	snprintf(id, sizeof(id), "%016" PRIx64, s->id);
	json_start(&j, line, sizeof(line));
	json_obj(&j, NULL);
	json_str(&j, "ring", name);
	json_str(&j, "id", id); /* a string: many JSON readers keep only 53 bits of a number */
	json_uint(&j, "capacity", s->capacity);
	json_uint(&j, "used", s->head - s->tail);
	json_uint(&j, "high_water", s->high_water);
	json_uint(&j, "head", s->head);
	json_uint(&j, "tail", s->tail);
	json_uint(&j, "records", s->records);
	json_uint(&j, "full", s->full);
	json_uint(&j, "wakeups", s->wakeups);
	json_bool(&j, "producer", s->producer_live);
	json_bool(&j, "consumer", s->consumer_live);
	json_uint(&j, "producer_starts", s->producer_starts);
	json_uint(&j, "consumer_starts", s->consumer_starts);
	json_obj_end(&j);
	if (json_end(&j) >= 0)
		puts(line);
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

static void print_text(const char *name, const struct ring_stats *s)
{
	uint64_t used = s->head - s->tail;

	printf("shm:%s\n", name);
	printf("  capacity    %" PRIu64 " B\n", s->capacity);
	printf("  used        %" PRIu64 " B (%.1f %%), at most %" PRIu64 " B (%.1f %%)\n", used,
	       percent(used, s->capacity), s->high_water, percent(s->high_water, s->capacity));
	printf("  head, tail  %" PRIu64 ", %" PRIu64 "\n", s->head, s->tail);
	printf("  records     %" PRIu64 "\n", s->records);
	printf("  full        %" PRIu64 " times\n", s->full);
	printf("  wake-ups    %" PRIu64 "\n", s->wakeups);
	printf("  producer    %s, started %" PRIu64 " times\n", s->producer_live ? "here" : "none",
	       s->producer_starts);
	printf("  consumer    %s, started %" PRIu64 " times\n", s->consumer_live ? "here" : "none",
	       s->consumer_starts);
	printf("  id          %016" PRIx64 "\n", s->id);
}

static int run(int argc, char **argv)
{
	int status = 0;

	if (!argc)
		return command_usage("which ring? shm:NAME");
	for (int i = 0; i < argc; i++) {
		struct ring_stats s;
		const char *name = ring_operand(argv[i]);
		int ret = ring_inspect(name, &s);
		if (ret < 0)
			status = command_fail("'%s': %s", argv[i], command_why(ret));
		else if (as_json)
			print_json(name, &s);
		else
			print_text(name, &s);
	}
	return status;
}

static const struct opt opts[] = {
    {'j', "json", OPT_FLAG, &as_json, NULL, NULL, "a JSON object a line", 0, 0}, {0}};

const struct command cmd_stat = {"stat", "[--json] shm:NAME ...", "state and counters of rings",
				 opts, run};
