/* The web page and config.json. */
#include "pages.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "base/opt.h"
#include "web/http.h"
#include "policy.h"

#define PAGE "examples/web"

static void handle_config(void *arg, struct web_req *req)
{
	const struct pages_opts *o = arg;
	char text[4096];
	struct json j;

	json_start(&j, text, sizeof(text));
	json_obj(&j, NULL);
	if (o->sfu_url)
		json_str(&j, "sfu", o->sfu_url);
	if (o->audiod_url)
		json_str(&j, "audiod", o->audiod_url);
	json_num(&j, "resume_window", (double)o->resume_window_us / 1e6, 3);
	json_bool(&j, "recordings", o->recordings);
	json_str(&j, "version", opt_version);
	json_obj_end(&j);
	int len = json_end(&j);
	web_reply_header(req, "Cache-Control", "no-store");
	if (len < 0)
		web_reply_error(req, 500, "too_long", "the URLs of the server are too long");
	else
		web_reply_json(req, 200, text, (size_t)len);
}

/* In the working directory; from build/bin; installed. */
static const char *find_page(char out[static PATH_MAX])
{
	static const char *const places[] = {"../../" PAGE, "../share/msr/" PAGE};
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (access(PAGE "/index.html", R_OK) == 0)
		return PAGE;
	exe[n > 0 ? n : 0] = '\0';
	char *slash = strrchr(exe, '/');
	for (size_t i = 0; slash && i < sizeof(places) / sizeof(*places); i++) {
		slash[1] = '\0';
		int len = snprintf(out, PATH_MAX, "%s%s", exe, places[i]);
		if (len > 0 && len < PATH_MAX && access(out, R_OK) == 0)
			return out;
	}
	return NULL;
}

int pages_route(struct web_server *s, const struct pages_opts *opts)
{
	static char found[PATH_MAX], policy[2048];
	struct web_static_opts files = {.prefix = "/", .dir = opts->dir, .policy = policy};
	int ret = policy_make(policy, sizeof(policy), opts->sfu_url, opts->audiod_url);

	if (ret)
		return ret;

	web_route(s, "GET", "/config.json", 0, handle_config, (void *)(uintptr_t)opts);
	if (!files.dir)
		files.dir = find_page(found);
	if (!files.dir) {
		log_info("no web page found; name it with --page");
		return 0;
	}
	return web_static(s, &files);
}
