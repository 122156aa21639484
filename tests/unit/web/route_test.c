/* Path patterns, and origins. */
#include "web/web_int.h"

#include "../../support/test.h"

static struct params p;

static bool is(int i, const char *name, const char *value)
{
	return p.name_len[i] == strlen(name) && memcmp(p.name[i], name, p.name_len[i]) == 0 &&
	       p.value_len[i] == strlen(value) && memcmp(p.value[i], value, p.value_len[i]) == 0;
}

TEST(parameters_are_found)
{
	CHECK(web_route_match("/rooms/:room/users/:user", "/rooms/a b/users/c", &p));
	CHECK_INT(p.n, 2);
	CHECK(is(0, "room", "a b") && is(1, "user", "c"));
	CHECK(web_route_match("/rooms", "/rooms", &p));
	CHECK_INT(p.n, 0);
}

TEST(other_paths_do_not_fit)
{
	CHECK(!web_route_match("/rooms/:room", "/rooms/", &p));
	CHECK(!web_route_match("/rooms/:room", "/rooms", &p));
	CHECK(!web_route_match("/rooms/:room", "/rooms/a/b", &p));
	CHECK(!web_route_match("/rooms/:room", "/rooms/a/", &p));
	CHECK(!web_route_match("/:room/:session", "/a", &p));
	CHECK(!web_route_match("/:room/:session", "//a", &p));
	CHECK(!web_route_match("/a", "/", &p));
	CHECK(!web_route_match("/", "", &p));
}

TEST(own_origin)
{
	struct web_origins same = {.same = true};

	CHECK(web_origin_ok(&same, "http://host:8000", "host:8000"));
	CHECK(web_origin_ok(&same, "http://Host:8000", "host:8000"));
	CHECK(web_origin_ok(&same, "https://host", "host:443"));
	CHECK(!web_origin_ok(&same, "http://host", "host:443"));
	CHECK(!web_origin_ok(&same, "http://host:8001", "host:8000"));
	CHECK(!web_origin_ok(&same, "http://evil.host:8000", "host:8000"));
	CHECK(!web_origin_ok(&same, "http://host:8000", NULL));
	CHECK(!web_origin_ok(&same, "null", "null"));
	CHECK(!web_origin_ok(&same, "", ""));
}

TEST(origins_on_this_machine)
{
	struct web_origins local = {.localhost = true};

	CHECK(web_origin_ok(&local, "http://localhost", NULL));
	CHECK(web_origin_ok(&local, "https://localhost:1234", NULL));
	CHECK(web_origin_ok(&local, "http://127.0.0.1:99", NULL));
	CHECK(web_origin_ok(&local, "http://[::1]:99", NULL));
	CHECK(!web_origin_ok(&local, "http://localhost.evil.example", NULL));
	CHECK(!web_origin_ok(&local, "http://localhost:1@evil.example", NULL));
	CHECK(!web_origin_ok(&local, "http://127.0.0.1.evil.example", NULL));
	CHECK(!web_origin_ok(&local, "ftp://localhost", NULL));
	CHECK(!web_origin_ok(&local, "null", NULL));
}

/* Only they may read what a user's password gets them (Fetch standard, section 3.3.5). */
TEST(named_origins)
{
	static const char *const names[] = {"https://a.example", "*", "null"};
	struct web_origins list = {.list = names, .n = 3, .localhost = true, .same = true};

	CHECK(web_origin_named(&list, "https://a.example"));
	CHECK(!web_origin_named(&list, "http://a.example"));
	CHECK(web_origin_ok(&list, "https://b.example", NULL));
	CHECK(!web_origin_named(&list, "https://b.example"));
	CHECK(!web_origin_named(&list, "http://localhost"));
	CHECK(!web_origin_named(&list, "*"));
	CHECK(!web_origin_named(&list, "null"));
}

TEST(listed_origins)
{
	static const char *const names[] = {"https://a.example"}, *const all[] = {"*"};
	struct web_origins list = {.list = names, .n = 1}, any = {.list = all, .n = 1};

	CHECK(web_origin_ok(&list, "https://a.example", NULL));
	CHECK(!web_origin_ok(&list, "http://a.example", NULL));
	CHECK(!web_origin_ok(&list, "https://a.example.evil", NULL));
	CHECK(web_origin_ok(&any, "null", NULL));
}
