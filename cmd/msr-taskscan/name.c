/* Names of recordings: checked here once, before they become paths. */
#include "name.h"

#include <stdio.h>
#include <string.h>

const struct name_media name_media[] = {
    {"mp3", "audio"}, {"opus", "audio"}, {"flac", "audio"}, {"wav", "audio"}, {"m4a", "audio"},
    {"aac", "audio"}, {"oga", "audio"},	 {"ogg", "audio"},  {"mka", "audio"}, {"webm", "video"},
    {"mkv", "video"}, {"mp4", "video"},	 {"ogv", "video"},  {NULL, NULL},
};

size_t name_of_media(const char *file)
{
	const char *dot = strrchr(file, '.');

	if (!dot || dot == file)
		return 0;
	for (const struct name_media *m = name_media; m->ext; m++)
		if (!strcmp(dot + 1, m->ext))
			return (size_t)(dot - file);
	return 0;
}

size_t name_session(const char *name, size_t len)
{
	const char *tilde = memchr(name, '~', len);
	size_t id = tilde ? (size_t)(tilde - name) : len;

	if (!id_valid(name, id))
		return 0;
	if (!tilde)
		return id;
	size_t digits = len - id - 1;
	if (digits < 1 || digits > 10 || tilde[1] == '0')
		return 0;
	for (size_t i = 1; i <= digits; i++)
		if (tilde[i] < '0' || tilde[i] > '9')
			return 0;
	return id;
}

void name_key(char key[static KEY_SIZE], const char *folder, const char *name, size_t len)
{
	snprintf(key, KEY_SIZE, "%s%s%.*s", folder ? folder : "", folder ? "/" : "", (int)len,
		 name);
}

bool name_key_valid(const char *key, size_t len)
{
	const char *slash = memchr(key, '/', len);
	size_t folder = slash ? (size_t)(slash - key) + 1 : 0;

	return (!slash || id_valid(key, folder - 1)) && name_session(key + folder, len - folder);
}

const char *name_in_key(const char *key)
{
	const char *slash = strchr(key, '/');

	return slash ? slash + 1 : key;
}

void name_path(char path[static PATH_ROOM], const char *key, const char *prefix, const char *suffix)
{
	const char *name = name_in_key(key);

	snprintf(path, PATH_ROOM, "%.*s%s%s%s", (int)(name - key), key, prefix, name, suffix);
}
