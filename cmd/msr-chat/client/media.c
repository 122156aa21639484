/* Magic numbers, libsndfile, and tools that draw in a terminal. */
#include "media.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/proc.h"

static bool begins(const uint8_t *p, size_t n, const char *magic, size_t len)
{
	return n >= len && !memcmp(p, magic, len);
}

bool media_picture(const uint8_t *p, size_t n, struct picture *out)
{
	*out = (struct picture){0};
	if (begins(p, n, "\x89PNG\r\n\x1a\n", 8)) {
		out->kind = "png";
		if (n >= 24) {
			out->width = get_be32(p + 16);
			out->height = get_be32(p + 20);
		}
	} else if (begins(p, n, "GIF8", 4)) {
		out->kind = "gif";
		if (n >= 10) {
			out->width = get_le16(p + 6);
			out->height = get_le16(p + 8);
		}
	} else if (begins(p, n, "\xff\xd8\xff", 3)) {
		out->kind = "jpg";
	} else if (begins(p, n, "BM", 2) && n >= 26) {
		out->kind = "bmp";
		out->width = get_le32(p + 18);
		out->height = get_le32(p + 22);
	} else if (begins(p, n, "RIFF", 4) && n >= 12 && !memcmp(p + 8, "WEBP", 4)) {
		out->kind = "webp";
	} else if (begins(p, n, "<svg", 4) || begins(p, n, "<?xml", 5)) {
		out->kind = "svg";
	}
	return out->kind != NULL;
}

int media_sound(const char *path, struct sound *out)
{
	SF_INFO info = {0};
	SNDFILE *f = sf_open(path, SFM_READ, &info);

	if (!f)
		return -EINVAL;
	SF_FORMAT_INFO format = {0};
	format.format = info.format & SF_FORMAT_TYPEMASK;
	sf_command(NULL, SFC_GET_FORMAT_INFO, &format, sizeof(format));
	snprintf(out->kind, sizeof(out->kind), "%s", format.extension ? format.extension : "snd");
	out->rate = info.samplerate;
	out->channels = info.channels;
	out->seconds = info.samplerate > 0 ? (double)info.frames / info.samplerate : 0;
	sf_close(f);
	return 0;
}

/* Waits for a tool that draws; a picture made to keep it busy does not hold the client up. */
static void wait_for(pid_t pid)
{
	int pidfd = pidfd_open(pid, 0);
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	if (pidfd < 0 || poll(&p, 1, 5000) <= 0)
		kill(pid, SIGKILL);
	if (pidfd >= 0)
		close(pidfd);
	waitpid(pid, NULL, 0);
}

void media_show(const char *path)
{
	const char *const kitty[] = {"kitten", "icat", "--stdin=no", "--", path, NULL};
	const char *const chafa[] = {"chafa", "--size=60x20", "--", path, NULL};
	const char *const sixel[] = {"img2sixel", "-h", "320", path, NULL};
	const char *const *tools[] = {getenv("KITTY_WINDOW_ID") ? kitty : chafa, chafa,
				      strstr(getenv("TERM") ?: "", "sixel") ? sixel : NULL};
	struct proc_opts o = {.in = -1, .out = STDOUT_FILENO, .err = -1};
	pid_t pid;

	for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++)
		if (tools[i] && proc_spawn(tools[i], &o, &pid) == 0) {
			wait_for(pid);
			return;
		}
}
