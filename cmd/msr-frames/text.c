/*
 * Printing frames: conditions, the pump, and standard output that is safe before it is committed.
 */
#include "text.h"

#include <errno.h>
#include <stdio.h>

#include "command.h"

static const struct {
	uint8_t flag;
	const char *name;
} flags_table[] = {
    {FRAME_NO_BODY_CRC, "no-crc"}, {FRAME_KEY, "key"}, {FRAME_GAP, "gap"}, {FRAME_LAST, "last"}};

void text_flags(uint8_t flags, void (*each)(void *arg, const char *name), void *arg)
{
	for (size_t i = 0; i < sizeof(flags_table) / sizeof(*flags_table); i++)
		if (flags & flags_table[i].flag)
			each(arg, flags_table[i].name);
}

struct printer {
	void (*print)(const struct frame *f);
};

static int on_frame(void *arg, const struct frame *f)
{
	struct printer *p = arg;

	p->print(f);
	return ferror(stdout) ? -errno : 0;
}

static int on_settle(void *arg)
{
	(void)arg;
	return fflush(stdout) ? -errno : 0;
}

int text_run(int argc, char **argv, void (*print)(const struct frame *f))
{
	struct printer printer = {print};
	struct match match;
	struct pump *p;

	if (match_parse(&match, argc, argv))
		return 2;
	if (pump_open(&p, &match, &(struct pump_handler){on_frame, on_settle, &printer}))
		return 1;
	int status = pump_run(p);
	pump_close(p);
	return status;
}
