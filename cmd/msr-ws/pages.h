/* The web page and what it asks for. */
#ifndef MSR_WS_PAGES_H
#define MSR_WS_PAGES_H

#include <stdbool.h>
#include <stdint.h>

struct web_server;

struct pages_opts {
	const char *dir;	/* of the page; NULL: find it */
	const char *sfu_url;	/* NULL: not said */
	const char *audiod_url; /* NULL: not said */
	int64_t resume_window_us;
	bool recordings; /* there is a storage to list */
};

/* Adds the routes. `opts` is lent. 0 or -errno of the folder. */
int pages_route(struct web_server *s, const struct pages_opts *opts);

#endif
