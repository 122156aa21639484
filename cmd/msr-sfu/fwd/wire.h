/*
 * Where packets of one peer leave: peer.h in the program, an array in the tests. The meaning of
 * each function is that of peer_out, peer_send_rtp, peer_flush and peer_send_rtcp.
 */
#ifndef MSR_SFU_FWD_WIRE_H
#define MSR_SFU_FWD_WIRE_H

#include <stddef.h>
#include <stdint.h>

struct wire {
	uint8_t *(*out)(void *arg);
	void (*send_rtp)(void *arg, size_t header_len, const uint8_t *payload, size_t len,
			 uint64_t index);
	void (*flush)(void *arg);
	void (*send_rtcp)(void *arg, const uint8_t *packet, size_t len);
};

#endif
