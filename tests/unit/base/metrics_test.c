/* Metrics: rendered in the order listed, one help for those of a name. */
#include "base/metrics.h"

#include <errno.h>

#include "../../support/test.h"
#include "base/buf.h"

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
