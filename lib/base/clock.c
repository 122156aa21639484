/* Clocks and their text form. */
#include "clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

struct mono mono_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (struct mono){(int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000};
}

int64_t clock_wall_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void clock_rfc3339(int64_t wall_us, char out[static CLOCK_RFC3339_SIZE])
{
	const int64_t last = 253402300799LL; /* 9999-12-31T23:59:59Z */
	int64_t sec = wall_us / 1000000;
	int64_t us = wall_us % 1000000;
	struct tm tm;
	char text[64];

	if (us < 0) {
		us += 1000000;
		sec--;
	}
	if (sec < 0)
		sec = us = 0;
	if (sec > last) {
		sec = last;
		us = 999999;
	}
	time_t t = (time_t)sec;
	gmtime_r(&t, &tm);
	snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year + 1900,
		 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)us);
	memcpy(out, text, CLOCK_RFC3339_SIZE - 1);
	out[CLOCK_RFC3339_SIZE - 1] = '\0';
}
