/*
 * Log lines on standard error: "2026-01-02T03:04:05.678901Z level what happened".
 * One write(2) a line, so lines of several programs on one terminal stay whole.
 * Never log secrets or media.
 */
#ifndef MSR_BASE_LOG_H
#define MSR_BASE_LOG_H

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Lines above this level are dropped. The default is LOG_INFO; -v makes it LOG_DEBUG. */
void log_set_level(enum log_level level);
enum log_level log_level(void);

/* Writes one line. Keeps errno. Lines are cut at 2 KiB and control characters become '?'. */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "cannot WHAT: REASON" as an error, for a failed step of a program; `err` (-errno) is returned. */
int log_failure(const char *what, int err);

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)                                    \
	do {                                              \
		if (log_level() >= LOG_DEBUG)             \
			log_line(LOG_DEBUG, __VA_ARGS__); \
	} while (0)

#endif
