/* The steps of a job. Each starts a child or has nothing to do; the last one publishes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "event/event.h"
#include "frame/frame.h"
#include "job.h"
#include "meta.h"
#include "mix.h"
#include "mixer.h"

#define LIST_MAX (1u << 20) /* bytes of the names of recordings of a room */

static void full_path(struct job *j, const char *suffix, char out[static FULL_PATH_MAX])
{
	char path[STORE_PATH_MAX];

	store_hidden(&j->rec->name, suffix, path);
	snprintf(out, FULL_PATH_MAX, "%s/%s", j->r->store.path, path);
}

/* ---- steps ---- */

static int start_probe(struct job *j, struct args *a)
{
	struct input *in = &j->in[j->step];
	const struct journal_stream *s = &j->rec->state.streams[j->step];
	char suffix[32];

	*in = (struct input){
	    .codec = s->codec, .first_us = s->first_us, .last_us = s->last_us, .bytes = s->bytes};
	if (!s->present || !s->bytes)
		return 1;
	snprintf(suffix, sizeof(suffix), ".%s.part", stream_names[j->step]);
	full_path(j, suffix, j->in_path[j->step]);
	in->path = j->in_path[j->step];
	if (probe_pcm(s->codec, s->rate, s->channels, s->bytes, &in->probe) ||
	    (s->codec == CODEC_WEBM && probe_file(in->path, s->codec, &in->probe)))
		return 1;
	ffmpeg_probe(a, in->path, in->codec);
	return 0;
}

static int done_probe(struct job *j, struct buf *out)
{
	return probe_parse((const char *)buf_data(out), buf_len(out), &j->in[j->step].probe);
}

static void set_out(struct job *j)
{
	char suffix[32];

	snprintf(suffix, sizeof(suffix), ".out.%s", j->plan.ext);
	full_path(j, suffix, j->out);
	j->done = 0;
}

static void picture_path(struct job *j, char out[static FULL_PATH_MAX])
{
	full_path(j, j->plan.video ? ".poster.jpg" : ".wave.png", out);
}

static int start_convert(struct job *j, struct args *a)
{
	char picture[FULL_PATH_MAX];
	bool lost = false;

	j->unread = 0;
	for (int i = 0; i < STREAMS; i++) {
		lost |= j->rec->state.streams[i].missing > 0;
		j->unread |= (unsigned)(j->in[i].path && !j->in[i].probe.n) << i;
	}
	if (!ffmpeg_plan(j->in, &j->r->set, lost, &j->plan))
		return -ENODATA;
	if (j->plan.seconds <= 0)
		j->plan.seconds =
		    (double)(recording_end_us(j->rec) - recording_start_us(j->rec)) / 1e6;
	set_out(j);
	picture_path(j, picture);
	ffmpeg_convert(a, j->in, &j->plan, j->out,
		       j->r->set.pictures && !j->plain ? picture : NULL);
	return 0;
}

static int start_probe_result(struct job *j, struct args *a)
{
	int codec = CODEC_NONE;

	if (!strcmp(j->plan.ext, "webm") || !strcmp(j->plan.ext, "mkv"))
		codec = CODEC_WEBM;
	if (probe_file(j->out, codec, &j->probe) && j->probe.duration > 0)
		return 1;
	ffmpeg_probe(a, j->out, codec);
	return 0;
}

static int done_probe_result(struct job *j, struct buf *out)
{
	int ret = probe_parse((const char *)buf_data(out), buf_len(out), &j->probe);

	return ret ? ret : j->probe.n ? 0 : -ENODATA;
}

/* False, and nothing left of it, when it is empty. */
static bool has_picture(struct job *j)
{
	struct stat st;
	char path[FULL_PATH_MAX];

	picture_path(j, path);
	bool there = stat(path, &st) == 0 && st.st_size;
	if (!there)
		remove(path);
	*(j->plan.video ? &j->poster : &j->wave) = there;
	return there;
}

/* Where the conversion has not made it in passing. */
static int start_picture(struct job *j, struct args *a)
{
	char out[FULL_PATH_MAX];

	if (!j->r->set.pictures || has_picture(j))
		return 1;
	picture_path(j, out);
	if (j->plan.video)
		ffmpeg_poster(a, j->out, j->probe.duration, out);
	else
		ffmpeg_wave(a, j->out, j->probe.duration, out);
	return 0;
}

static int done_picture(struct job *j, struct buf *out)
{
	(void)out;
	return has_picture(j) ? 0 : -ENODATA;
}

static int start_hash(struct job *j, struct args *a)
{
	args_start(a, "sha256sum");
	args_add(a, "--");
	args_add(a, "%s", j->out);
	return 0;
}

static int done_hash(struct job *j, struct buf *out)
{
	const char *text = (const char *)buf_data(out);
	size_t n = buf_len(out);

	if (n && *text == '\\') { /* so it marks names with odd characters */
		text++;
		n--;
	}
	if (n < SHA256_HEX || strspn(text, "0123456789abcdef") != SHA256_HEX)
		return -EBADMSG;
	memcpy(j->sha256, text, SHA256_HEX);
	return 0;
}

static int start_sync(struct job *j, struct args *a)
{
	char path[FULL_PATH_MAX];

	args_start(a, "sync");
	args_add(a, "--");
	args_add(a, "%s", j->out);
	if (j->wave || j->poster) {
		full_path(j, j->poster ? ".poster.jpg" : ".wave.png", path);
		args_add(a, "%s", path);
	}
	return 0;
}

static int describe(void *arg, const struct store_name *final)
{
	struct job *j = arg;
	struct stat st;
	char text[META_MAX];

	if (stat(j->out, &st) < 0)
		return -errno;
	struct meta m = {
	    j->plan.ext, (uint64_t)st.st_size, j->sha256, &j->probe, j->wave, j->poster, j->unread,
	    j->mix};
	int len = meta_write(text, j->rec, final, &m);
	return len < 0 ? len : store_write_json(&j->r->store, &j->rec->name, text, (size_t)len);
}

void job_say_finished(struct job *j, const struct store_name *final, const char *ext)
{
	struct recorder *r = j->r;
	char suffix[16], file[STORE_PATH_MAX];
	struct event ev;
	struct stat st;

	snprintf(suffix, sizeof(suffix), ".%s", ext);
	store_visible(final, suffix, file);
	event_start(&ev, r->events, "finished", j->rec->head.room, j->rec->head.session);
	if (*j->rec->head.storage)
		json_str(&ev.json, "storage", j->rec->head.storage);
	json_str(&ev.json, "name", final->stem);
	json_str(&ev.json, "file", file);
	json_num(&ev.json, "duration", j->probe.duration, 3);
	json_str(&ev.json, "sha256", j->sha256);
	if (fstatat(r->store.dirfd, file, &st, 0) == 0)
		json_uint(&ev.json, "bytes", (uint64_t)st.st_size);
	meta_put_unread(&ev.json, final, j->unread);
	event_send(&ev, r->events);
	log_info("finished room %s session %s: %s", j->rec->head.room, j->rec->head.session, file);
	metric_add(&r->n.finished, 1);
}

/*
 * Before it appears: what is in the list and is not there after all does no harm. A mix that cannot
 * be made keeps no recording from appearing; only for space they wait, as for everything else.
 */
int job_note_in_mix(struct job *j, const struct store_name *final)
{
	int ret = j->rec->mix ? mixer_note(j->rec->mix, j->rec, final) : 0;

	if (!ret || ret == -ENOSPC || ret == -EDQUOT)
		return ret;
	log_error("'%s' will not be in the mix of room %s: %s", final->stem, j->rec->head.room,
		  strerror(-ret));
	return 0;
}

/* Never over another file. One that was moved there already is not an error. */
static int keep_part(struct job *j, enum stream stream, const struct store_name *final)
{
	char suffix[32], from[STORE_PATH_MAX], to[STORE_PATH_MAX];

	store_part(&j->rec->name, stream, from);
	snprintf(suffix, sizeof(suffix), ".%s.part", stream_names[stream]);
	store_visible(final, suffix, to);
	int ret = file_rename_excl(j->r->store.dirfd, from, to);
	if (ret < 0)
		return ret == -ENOENT ? 0 : ret;
	log_warn("what could not be read of '%s' stays as '%s/%s'", final->stem, j->r->store.path,
		 to);
	return 0;
}

int job_keep_unread(struct job *j, const struct store_name *final)
{
	int ret = 0;

	for (int i = 0; i < STREAMS && !ret; i++)
		if (j->unread & 1u << i)
			ret = keep_part(j, (enum stream)i, final);
	return ret;
}

static int start_publish(struct job *j, struct args *a)
{
	struct store *s = &j->r->store;
	struct store_name final;
	int ret = store_claim(s, &j->rec->name, j->plan.ext, describe, j, &final);

	(void)a;
	if (ret)
		return ret;
	j->claimed = true;
	if ((ret = job_note_in_mix(j, &final)))
		return ret;
	if ((ret = job_keep_unread(j, &final)))
		return ret;
	if ((ret = store_publish(s, &j->rec->name, &final)))
		return ret;
	job_say_finished(j, &final, j->plan.ext);
	return 1;
}

/* ---- a mix ---- */

/* Recordings that somebody took away are not in it. */
static void add_to_mix(struct job *j, char *path)
{
	char *slash = strrchr(path, '/');
	struct buf b;

	buf_init(&b, 0);
	int ret = file_read(j->r->store.dirfd, path, META_MAX, &b);
	if (slash)
		*slash = '\0';
	if (!ret)
		ret = mix_add(j->mix, slash ? path : "", (const char *)buf_data(&b), buf_len(&b));
	if (ret)
		log_warn("'%s': cannot add '%s%s%s': %s", j->rec->name.stem, slash ? path : "",
			 slash ? "/" : "", slash ? slash + 1 : path, strerror(-ret));
	buf_done(&b);
}

/* What is in the file now. Formats that are not told from their first bytes are taken at their
 * word.
 */
static bool is_playable(const struct job *j, struct mix_input *in)
{
	const char *ext = strrchr(in->file, '.');
	char path[FULL_PATH_MAX];
	struct media_probe p;
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", j->r->store.path, in->file);
	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || !st.st_size)
		return false;
	if (!probe_file(path, CODEC_NONE, &p))
		return ext && strcmp(ext, ".webm") && strcmp(ext, ".mkv") && strcmp(ext, ".mp3");
	in->video = probe_first(&p, true);
	in->audio = probe_first(&p, false);
	return in->video || in->audio;
}

/* One file that is gone, or damaged, must not keep the others from being mixed. */
static void leave_out_unplayable(struct job *j)
{
	int kept = 0;

	for (int i = 0; i < j->mix->n; i++) {
		struct mix_input in = j->mix->in[i];
		if (is_playable(j, &in))
			j->mix->in[kept++] = in;
		else
			log_warn("'%s': '%s' cannot be played any more, and is left out",
				 j->rec->name.stem, in.file);
	}
	j->mix->n = kept;
}

/* What its list names, if it still exists. */
static int read_list(struct job *j)
{
	struct journal_stream *s = &j->rec->state.streams[STREAM_LIST];
	char path[STORE_PATH_MAX], *rest;
	struct buf b;

	store_part(&j->rec->name, STREAM_LIST, path);
	buf_init(&b, 0);
	int ret = file_read(j->r->store.dirfd, path, LIST_MAX, &b);
	size_t n = buf_len(&b) < s->bytes ? buf_len(&b) : (size_t)s->bytes;
	char *text = ret ? NULL : strndup(n ? (const char *)buf_data(&b) : "", n);
	buf_done(&b);
	if (!text)
		return ret ? ret : -ENOMEM;
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		add_to_mix(j, line);
	free(text);
	return 0;
}

static int start_mix(struct job *j, struct args *a)
{
	struct journal_stream *s = &j->rec->state.streams[STREAM_LIST];

	free(j->mix);
	j->mix = calloc(1, sizeof(*j->mix));
	int ret = j->mix ? read_list(j) : -ENOMEM;
	if (ret)
		return ret;
	leave_out_unplayable(j);
	mix_arrange(j->mix);
	if (!j->mix->n)
		return -ENODATA;
	if (j->mix->left_out)
		log_warn("'%s': %d recordings are too many, or too late, and left out",
			 j->rec->name.stem, j->mix->left_out);
	s->first_us = j->mix->start_us;
	s->last_us = j->mix->start_us + (int64_t)(j->mix->seconds * 1e6);
	j->plan = (struct plan){
	    .ext = mix_ext(j->mix, &j->r->set), .video = j->mix->video, .seconds = j->mix->seconds};
	set_out(j);
	mix_command(a, j->mix, j->r->store.path, j->plan.ext, j->plain, j->out);
	return 0;
}

/* ---- in their order ---- */

#define COMMON_STEPS                                                       \
	{"read the result", start_probe_result, done_probe_result, false}, \
	    {"make the picture", start_picture, done_picture, true},       \
	    {"compute the checksum", start_hash, done_hash, false},        \
	    {"make it safe on disk", start_sync, NULL, false},             \
	    {"give it its name", start_publish, NULL, false},              \
	{                                                                  \
		NULL, NULL, NULL, false                                    \
	}

const struct step record_steps[] = {
    /* one for each stream that is media, in their order */
    {"read what was received", start_probe, done_probe, true},
    {"read what was received", start_probe, done_probe, true},
    {"read what was received", start_probe, done_probe, true},
    {"convert it", start_convert, NULL, false},
    COMMON_STEPS,
};
_Static_assert(STREAM_LIST == 3, "the first steps are one for each stream before the list");

const struct step mix_steps[] = {
    {"mix the room", start_mix, NULL, false},
    COMMON_STEPS,
};

bool step_converts(const struct step *s)
{
	return s->start == start_convert || s->start == start_mix;
}
