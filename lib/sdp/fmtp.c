/* Parameters are "key=value" pairs between semicolons, with blanks anywhere around them. */
#include "fmtp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sdp.h"

#define H264_DEFAULT "420010" /* RFC 6184 section 8.1: what a missing profile-level-id means */

bool fmtp_get(const char *fmtp, const char *key, char *out, size_t size)
{
	size_t key_len = strlen(key);

	while (fmtp && *fmtp) {
		fmtp += strspn(fmtp, "; \t");
		size_t len = strcspn(fmtp, ";");
		if (len > key_len && fmtp[key_len] == '=' && !strncasecmp(fmtp, key, key_len)) {
			const char *value = fmtp + key_len + 1;
			size_t n = len - key_len - 1;
			while (n && (value[n - 1] == ' ' || value[n - 1] == '\t'))
				n--;
			if (n >= size)
				return false;
			memcpy(out, value, n);
			out[n] = 0;
			return true;
		}
		fmtp += len;
	}
	return false;
}

long fmtp_num(const char *fmtp, const char *key, long missing)
{
	char text[16], *end;

	if (!fmtp_get(fmtp, key, text, sizeof(text)) || !*text)
		return missing;
	long n = strtol(text, &end, 10);
	return *end ? missing : n;
}

/* profile_idc, which bits of profile-iop count, and what they must be (RFC 6184, table 5). */
static const struct {
	uint8_t idc, mask, iop;
	enum h264_profile profile;
} profiles[] = {
    {0x42, 0x4f, 0x40, H264_CONSTRAINED_BASELINE},
    {0x4d, 0x8f, 0x80, H264_CONSTRAINED_BASELINE},
    {0x58, 0xcf, 0xc0, H264_CONSTRAINED_BASELINE},
    {0x42, 0x4f, 0x00, H264_BASELINE},
    {0x58, 0xcf, 0x80, H264_BASELINE},
    {0x4d, 0xaf, 0x00, H264_MAIN},
    {0x64, 0xff, 0x00, H264_HIGH},
    {0x64, 0xff, 0x0c, H264_CONSTRAINED_HIGH},
    {0xf4, 0xff, 0x00, H264_HIGH444},
};

bool h264_profile_level(const char *id, enum h264_profile *profile, uint8_t *level_idc)
{
	if (!id)
		id = H264_DEFAULT;
	if (strlen(id) != 6 || strspn(id, "0123456789abcdefABCDEF") != 6)
		return false;
	unsigned long v = strtoul(id, NULL, 16);
	uint8_t idc = (uint8_t)(v >> 16), iop = (uint8_t)(v >> 8);
	*profile = H264_OTHER;
	*level_idc = (uint8_t)v;
	for (size_t i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++) {
		if (idc == profiles[i].idc && (iop & profiles[i].mask) == profiles[i].iop) {
			*profile = profiles[i].profile;
			break;
		}
	}
	return true;
}

bool h264_is_usual(const char *fmtp)
{
	char id[8] = H264_DEFAULT;
	enum h264_profile profile;
	uint8_t level;

	fmtp_get(fmtp, "profile-level-id", id, sizeof(id));
	long mode = fmtp_num(fmtp, "packetization-mode", 0);
	return h264_profile_level(id, &profile, &level) && profile < H264_HIGH444 &&
	       (mode == 0 || mode == 1);
}

static bool same_h264(const char *a, const char *b)
{
	char id_a[8] = H264_DEFAULT, id_b[8] = H264_DEFAULT;
	enum h264_profile pa, pb;
	uint8_t level;

	fmtp_get(a, "profile-level-id", id_a, sizeof(id_a));
	fmtp_get(b, "profile-level-id", id_b, sizeof(id_b));
	if (!h264_profile_level(id_a, &pa, &level) || !h264_profile_level(id_b, &pb, &level) ||
	    pa != pb)
		return false;
	if (pa == H264_OTHER && strncasecmp(id_a, id_b, 4) != 0)
		return false;
	return fmtp_num(a, "packetization-mode", 0) == fmtp_num(b, "packetization-mode", 0);
}

bool sdp_codec_match(const struct sdp_codec *a, const struct sdp_codec *b)
{
	static const char *const helpers[] = {"rtx",	    "red", "ulpfec",
					      "flexfec-03", "CN",  "telephone-event"};

	if (!sdp_pt_muxes(a->pt) || !sdp_pt_muxes(b->pt))
		return false;
	if (strcasecmp(a->name, b->name) != 0 || a->clock != b->clock || a->channels != b->channels)
		return false;
	for (size_t i = 0; i < sizeof(helpers) / sizeof(helpers[0]); i++)
		if (!strcasecmp(a->name, helpers[i]))
			return false;
	if (!strcasecmp(a->name, "H264"))
		return same_h264(a->fmtp, b->fmtp);
	if (!strcasecmp(a->name, "VP9"))
		return fmtp_num(a->fmtp, "profile-id", 0) == fmtp_num(b->fmtp, "profile-id", 0);
	if (!strcasecmp(a->name, "AV1"))
		return fmtp_num(a->fmtp, "profile", 0) == fmtp_num(b->fmtp, "profile", 0);
	return true;
}

const char *fmtp_common(const struct sdp_codec *c, char out[static FMTP_COMMON_SIZE])
{
	char id[8];

	if (!strcasecmp(c->name, "opus"))
		return "minptime=10;useinbandfec=1";
	if (!strcasecmp(c->name, "H264")) {
		/* One that is not there means less to browsers than RFC 6184 says: none is made up.
		 */
		bool has_id = fmtp_get(c->fmtp, "profile-level-id", id, sizeof(id));
		snprintf(out, FMTP_COMMON_SIZE,
			 "level-asymmetry-allowed=1;packetization-mode=%ld%s%s",
			 fmtp_num(c->fmtp, "packetization-mode", 0),
			 has_id ? ";profile-level-id=" : "", has_id ? id : "");
		return out;
	}
	bool vp9 = !strcasecmp(c->name, "VP9");
	const char *profile = vp9 ? "profile-id" : "profile";
	if (!vp9 && strcasecmp(c->name, "AV1") != 0)
		return NULL;
	snprintf(out, FMTP_COMMON_SIZE, "%s=%ld", profile, fmtp_num(c->fmtp, profile, 0));
	return out;
}
