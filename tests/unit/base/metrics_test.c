/* Metrics: rendered in the order listed, one help for those of a name; and their file. */
#include "base/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "../../support/test.h"
#include "base/buf.h"
#include "base/file.h"

static double half(void *arg)
{
	(void)arg;
	return 0.5;
}

TEST(metrics_become_prometheus_text)
{
	metric_t in = 0, out = 7, open = -1;
	struct metrics *m;
	struct buf b;

	CHECK_INT(metrics_new(&m), 0);
	metrics_counter(m, "msr_x_total", "way=\"in\"", "Passed", &in);
	metrics_counter(m, "msr_x_total", "way=\"out\"", "", &out);
	metrics_gauge(m, "msr_open", NULL, "Open", &open);
	metrics_call(m, "msr_half", NULL, "Half", half, NULL);
	metrics_call(m, "msr_half_total", NULL, "Half", half, NULL);
	metric_add(&in, 3);
	metric_set(&open, 2);
	buf_init(&b, 0);
	CHECK_INT(metrics_render(m, &b), 0);
	CHECK_INT(buf_append(&b, "", 1), 0);
	CHECK_STR((char *)buf_data(&b),
		  "# HELP msr_x_total Passed\n# TYPE msr_x_total counter\n"
		  "msr_x_total{way=\"in\"} 3\nmsr_x_total{way=\"out\"} 7\n"
		  "# HELP msr_open Open\n# TYPE msr_open gauge\nmsr_open 2\n"
		  "# HELP msr_half Half\n# TYPE msr_half gauge\nmsr_half 0.5\n"
		  "# HELP msr_half_total Half\n"
		  "# TYPE msr_half_total counter\nmsr_half_total 0.5\n");
	buf_done(&b);
	metrics_free(m);
}

TEST(the_process_tells_of_itself_within_bounds)
{
	struct metrics *m;
	struct buf b;

	CHECK_INT(metrics_new(&m), 0);
	metrics_process(m);
	buf_init(&b, 20);
	CHECK_INT(metrics_render(m, &b), -ENOBUFS);
	buf_done(&b);
	buf_init(&b, 4096);
	CHECK_INT(metrics_render(m, &b), 0);
	CHECK_INT(buf_append(&b, "", 1), 0);
	CHECK(strstr((char *)buf_data(&b), "\nprocess_open_fds "));
	CHECK(!strstr((char *)buf_data(&b), "process_resident_memory_bytes 0\n"));
	buf_done(&b);
	metrics_free(m);
}

TEST(a_file_has_the_present_values_whenever_it_is_written)
{
	static metric_t frames, waiting;
	struct metrics *m;
	char path[256];
	struct buf b;

	snprintf(path, sizeof(path), "%s/metrics", test_dir());
	CHECK_INT(metrics_new(&m), 0);
	metrics_counter(m, "frames_total", "kind=\"audio\"", "Frames", &frames);
	metrics_gauge(m, "waiting", NULL, "Now", &waiting);
	for (int i = 1; i <= 2; i++) {
		char want[256];
		metric_add(&frames, 2);
		metric_set(&waiting, -i);
		CHECK_INT(metrics_write(m, path), 0);
		int n = snprintf(want, sizeof(want),
				 "# HELP frames_total Frames\n# TYPE frames_total counter\n"
				 "frames_total{kind=\"audio\"} %d\n"
				 "# HELP waiting Now\n# TYPE waiting gauge\nwaiting %d\n",
				 2 * i, -i);
		buf_init(&b, 0);
		CHECK_INT(file_read(AT_FDCWD, path, 4096, &b), 0);
		CHECK_INT(buf_len(&b), n);
		CHECK_MEM(buf_data(&b), want, (size_t)n);
		buf_done(&b);
	}
	unlink(path);
	CHECK_INT(metrics_write(m, "no/such/folder"), -ENOENT);
	metrics_free(m);
}
