/* Who speaks, by the levels of sound. */
#include "../../../cmd/msr-sfu/fwd/speaker.h"

#include "../../support/test.h"

static uint64_t look(struct speaker *s, int a, int b, int64_t at_ms)
{
	speaker_begin(s);
	speaker_level(s, 1, a);
	speaker_level(s, 2, b);
	speaker_end(s, at_ms * 1000);
	return s->now;
}

TEST(the_speaker_changes_with_inertia)
{
	struct speaker s = {0};

	CHECK_INT(look(&s, 127, 120, 0), 0);
	CHECK_INT(look(&s, 20, 127, 200), 1);
	CHECK_INT(look(&s, 30, 20, 400), 1); /* louder, but not for long yet */
	CHECK_INT(look(&s, 30, 20, 600), 1);
	CHECK_INT(look(&s, 20, 22, 800), 1); /* and quiet again: a cough */
	CHECK_INT(look(&s, 127, 20, 1000), 1);
	CHECK_INT(look(&s, 127, 20, 1200), 1);
	CHECK_INT(look(&s, 127, 20, 1700), 2);
	CHECK_INT(look(&s, 127, 127, 2000), 2);
	CHECK_INT(look(&s, 127, 127, 4000), 0);
}
