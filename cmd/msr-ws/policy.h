/*
 * Content-Security-Policy of the page: its own files, the server's own media, and connections to
 * the programs that config.json names, nothing else.
 */
#ifndef MSR_WS_POLICY_H
#define MSR_WS_POLICY_H

#include <stddef.h>

/*
 * Writes the policy into `out`. `sfu_url` and `audiod_url` are http(s) and ws(s) URLs, or paths on
 * the same host; NULL: none. 0, or -ENOSPC where they do not fit.
 */
int policy_make(char *out, size_t size, const char *sfu_url, const char *audiod_url);

#endif
