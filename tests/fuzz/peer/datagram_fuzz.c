/* What a datagram from anywhere meets first: the STUN check and SRTP with its length checks. */
#include <string.h>

#include "peer/dtls.h"
#include "peer/srtp.h"
#include "peer/stun.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct srtp_session *session[2];
	static const struct srtp_master key[2] = {{.key = "a", .salt = "b", .salt_len = 12},
						  {.key = "a", .salt = "b", .salt_len = 14}};
	uint8_t p[2100] __attribute__((aligned(8)));

	for (int i = 0; i < 2; i++)
		if (!session[i] && srtp_session_new(&session[i], i ? SRTP_AES_CM : SRTP_AES_GCM,
						    &key[i], &key[i]) < 0)
			return 0;
	if (size > 2048)
		return 0;
	stun_authentic(data, size, "local", "remote");
	stun_names(data, size, "local");
	for (int i = 0; i < 4; i++) {
		size_t n = size;
		memcpy(p, data, size);
		if (i & 1)
			srtp_open_rtp(session[i >> 1], p, &n);
		else
			srtp_open_rtcp(session[i >> 1], p, &n);
	}
	return dtls_is(data, size) && stun_is(data, size);
}
