/* The JSON writer: valid whatever goes in, and overflow is told. */
#include "base/json.h"

#include <errno.h>
#include <math.h>

#include "../../support/test.h"

TEST(json_is_always_valid)
{
	char out[256];
	struct json j;

	json_start(&j, out, sizeof(out));
	json_obj(&j, NULL);
	json_str(&j, "a", "q\"\\\n\x7f\xff\xc3\xa4\xed\xa0\x80");
	json_arr(&j, "b");
	json_int(&j, NULL, -1);
	json_num(&j, NULL, 0.5, 2);
	json_num(&j, NULL, NAN, 2);
	json_arr_end(&j);
	json_bool(&j, "c", true);
	json_obj_end(&j);
	CHECK(json_end(&j) > 0);
	CHECK_STR(out,
		  "{\"a\":\"q\\\"\\\\\\u000a\\u007f\xef\xbf\xbd\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd"
		  "\xef\xbf\xbd\",\"b\":[-1,0.50,null],\"c\":true}");
}

TEST(json_reports_overflow)
{
	char out[8];
	struct json j;

	json_start(&j, out, sizeof(out));
	json_str(&j, NULL, "much too long");
	CHECK_INT(json_end(&j), -ENOBUFS);
}
