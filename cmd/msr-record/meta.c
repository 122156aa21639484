/* Metadata as JSON, written by us and read again only after an interruption. */
#include "meta.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/json.h"
#include "mix.h"

static void write_time(struct json *j, const char *key, int64_t us)
{
	char text[CLOCK_RFC3339_SIZE];

	clock_rfc3339(us, text);
	json_str(j, key, text);
}

static void write_media(struct json *j, const struct media_probe *p)
{
	const struct probe_stream *video = probe_first(p, true), *audio = probe_first(p, false);

	json_num(j, "duration", p->duration, 3);
	json_arr(j, "codecs");
	for (int i = 0; i < p->n; i++)
		json_str(j, NULL, p->streams[i].codec);
	json_arr_end(j);
	if (video) {
		json_int(j, "width", video->width);
		json_int(j, "height", video->height);
	}
	if (audio) {
		json_int(j, "sample_rate", audio->rate);
		json_int(j, "channels", audio->channels);
	}
}

static void write_parts(struct json *j, const struct journal_state *st)
{
	uint64_t parts = 0, missing = 0, duplicates = 0;

	for (int i = 0; i < STREAMS; i++) {
		parts += st->streams[i].parts;
		missing += st->streams[i].missing;
		duplicates += st->streams[i].duplicates;
	}
	json_uint(j, "parts", parts);
	json_uint(j, "missing", missing);
	json_uint(j, "duplicates", duplicates);
	json_arr(j, "gaps");
	for (uint32_t i = 0; i < st->n_gaps && i < JOURNAL_GAPS; i++) {
		const struct journal_gap *g = &st->gaps[i];
		json_obj(j, NULL);
		json_str(j, "kind", stream_names[g->stream]);
		/* Packets of calls count afresh all the time. */
		if (!st->streams[STREAM_RTP].present)
			json_uint(j, "part", g->part);
		json_uint(j, "missing", g->missing);
		json_num(j, "at", (double)g->at_us / 1e6, 3);
		json_obj_end(j);
	}
	json_arr_end(j);
}

static void write_name(struct json *j, const char *key, const struct store_name *n,
		       const char *suffix)
{
	char text[STEM_SIZE + 32];

	snprintf(text, sizeof(text), "%s%s", n->stem, suffix);
	json_str(j, key, text);
}

static void unread_name(char out[static STORE_PATH_MAX], const char *stem, int stream)
{
	snprintf(out, STORE_PATH_MAX, "%s.%s.part", stem, stream_names[stream]);
}

void meta_put_unread(struct json *j, const struct store_name *final, unsigned unread)
{
	char name[STORE_PATH_MAX];

	if (!unread)
		return;
	json_arr(j, "unread");
	for (int i = 0; i < STREAMS; i++)
		if (unread & 1u << i) {
			unread_name(name, final->stem, i);
			json_str(j, NULL, name);
		}
	json_arr_end(j);
}

static unsigned read_unread(const json_t *names, const char *stem)
{
	char name[STORE_PATH_MAX];
	unsigned unread = 0;
	const json_t *v;
	size_t i;

	json_array_foreach(names, i, v)
	{
		for (int k = 0; json_is_string(v) && k < STREAMS; k++) {
			unread_name(name, stem, k);
			if (!strcmp(json_string_value(v), name))
				unread |= 1u << k;
		}
	}
	return unread;
}

int meta_write(char out[static META_MAX], const struct recording *rec,
	       const struct store_name *final, const struct meta *m)
{
	struct json j;
	char suffix[16];

	json_start(&j, out, META_MAX - 1);
	json_obj(&j, NULL);
	json_str(&j, "room", rec->head.room);
	json_str(&j, "session", rec->head.session);
	if (*rec->head.storage)
		json_str(&j, "storage", rec->head.storage);
	json_str(&j, "name", final->stem);
	snprintf(suffix, sizeof(suffix), ".%s", m->ext);
	write_name(&j, "file", final, suffix);
	write_time(&j, "start", recording_start_us(rec));
	write_time(&j, "end", recording_end_us(rec));
	write_media(&j, m->probe);
	json_str(&j, "container", m->ext);
	json_uint(&j, "bytes", m->bytes);
	json_str(&j, "sha256", m->sha256);
	write_parts(&j, &rec->state);
	if (m->mix) {
		json_arr(&j, "recordings");
		for (int i = 0; i < m->mix->n; i++)
			json_str(&j, NULL, m->mix->in[i].file);
		json_arr_end(&j);
	}
	meta_put_unread(&j, final, m->unread);
	if (m->wave)
		write_name(&j, "wave", final, ".wave.png");
	if (m->poster)
		write_name(&j, "poster", final, ".poster.jpg");
	json_obj_end(&j);
	int len = json_end(&j);
	if (len > 0)
		out[len++] = '\n';
	return len;
}

int meta_read(const char *text, size_t n, struct meta_found *out)
{
	json_t *root = json_loadb(text, n, 0, NULL);
	const char *name = json_string_value(json_object_get(root, "name"));
	const char *container = json_string_value(json_object_get(root, "container"));
	const char *sha256 = json_string_value(json_object_get(root, "sha256"));
	int ret = -EBADMSG;

	if (name && container && sha256 && strlen(name) < sizeof(out->stem) &&
	    strlen(container) < sizeof(out->ext) && strlen(sha256) == SHA256_HEX &&
	    !strchr(name, '/') && !strchr(container, '/')) {
		snprintf(out->stem, sizeof(out->stem), "%s", name);
		snprintf(out->ext, sizeof(out->ext), "%s", container);
		snprintf(out->sha256, sizeof(out->sha256), "%s", sha256);
		out->duration = json_number_value(json_object_get(root, "duration"));
		out->unread = read_unread(json_object_get(root, "unread"), out->stem);
		ret = 0;
	}
	json_decref(root);
	return ret;
}
