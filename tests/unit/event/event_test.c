/* Events: one valid line each, whole or counted as dropped. */
#include "event/event.h"

#include "base/buf.h"
#include "base/metrics.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <fcntl.h>

#include "../../support/test.h"

TEST(an_event_is_one_line)
{
	struct events *e;
	struct event ev;
	char path[256], line[PIPE_BUF + 1];

	snprintf(path, sizeof(path), "%s/events", test_dir());
	CHECK_INT(events_open(&e, path, "msr-test"), 0);
	event_start(&ev, e, "connect", "room", "s1");
	json_int(&ev.json, "n", 5);
	event_send(&ev, e);
	FILE *f = fopen(path, "r");
	CHECK(f && fgets(line, sizeof(line), f));
	CHECK(strstr(line, "\"src\":\"msr-test\",\"ev\":\"connect\",\"room\":\"room\",\"session\":"
			   "\"s1\",\"n\":5}\n"));
	fclose(f);
	events_close(e);
}

TEST(too_long_or_unread_events_are_dropped_and_counted)
{
	struct events *e;
	struct event ev;
	char path[256], big[PIPE_BUF];

	snprintf(path, sizeof(path), "%s/fifo", test_dir());
	CHECK_INT(mkfifo(path, 0600), 0);
	CHECK_INT(events_open(&e, path, "msr-test"), 0);
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	event_start(&ev, e, "big", NULL, NULL);
	json_str(&ev.json, "text", big);
	event_send(&ev, e);
	CHECK_INT(events_dropped(e), 1);
	big[2000] = '\0';
	for (int i = 0; i < 100; i++) {
		event_start(&ev, e, "many", NULL, NULL);
		json_str(&ev.json, "text", big);
		event_send(&ev, e);
	}
	CHECK(events_dropped(e) > 1);
	struct metrics *m;
	struct buf text;
	char want[64];
	CHECK_INT(metrics_new(&m), 0);
	events_metrics(e, m);
	buf_init(&text, 0);
	CHECK_INT(metrics_render(m, &text), 0);
	CHECK_INT(buf_append(&text, "", 1), 0);
	snprintf(want, sizeof(want), "\nmsr_test_events_dropped_total %d\n",
		 (int)events_dropped(e));
	CHECK(strstr((char *)buf_data(&text), want));
	buf_done(&text);
	metrics_free(m);
	events_close(e);
}
