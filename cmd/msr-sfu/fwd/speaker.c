/* The active speaker: see speaker.h. */
#include "speaker.h"

#define SILENCE 127

void speaker_begin(struct speaker *s)
{
	s->loudest = 0;
	s->best = s->current = SILENCE;
}

void speaker_level(struct speaker *s, uint64_t track, int level)
{
	if (track == s->now)
		s->current = level;
	if (level < s->best) {
		s->best = level;
		s->loudest = track;
	}
}

static bool change(struct speaker *s, uint64_t to, int64_t now_us)
{
	s->now = to;
	s->rival = 0;
	s->heard_us = now_us;
	return true;
}

bool speaker_end(struct speaker *s, int64_t now_us)
{
	if (s->current <= SPEAKER_LOUD)
		s->heard_us = now_us;
	bool louder = s->loudest && s->loudest != s->now && s->best <= SPEAKER_LOUD &&
		      s->best + SPEAKER_MARGIN <= s->current;
	if (!louder) {
		s->rival = 0;
		if (s->now && now_us - s->heard_us > SPEAKER_SILENT_US)
			return change(s, 0, now_us);
		return false;
	}
	if (!s->now)
		return change(s, s->loudest, now_us);
	if (s->rival != s->loudest) {
		s->rival = s->loudest;
		s->rival_us = now_us;
		return false;
	}
	return now_us - s->rival_us >= SPEAKER_HOLD_US && change(s, s->loudest, now_us);
}
