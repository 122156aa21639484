/*
 * What sealing and opening have in common: session keys from a master's (RFC 3711 section 4.3, AES
 * in counter mode over a label), and the nonce of AES-GCM (RFC 7714 sections 8.1 and 9.1):
 *
 *	SRTP	00 00 | SSRC | ROC | SEQ	xor salt
 *	SRTCP	00 00 | SSRC | 00 00 | index	xor salt
 */
#ifndef MSR_PEER_DERIVE_H
#define MSR_PEER_DERIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SRTP_KEY_LEN	16
#define SRTP_GCM_TAG	16
#define SRTP_GCM_NONCE	12
#define SRTP_RTCP_CLEAR 8 /* bytes of SRTCP that are not encrypted */
#define SRTP_RTCP_E	0x80000000u
#define SRTP_RTCP_INDEX 0x7fffffffu

struct srtp_master;

/* RFC 3711 section 4.3.2; those of SRTCP are 3 more. */
enum srtp_label { LABEL_KEY = 0, LABEL_AUTH = 1, LABEL_SALT = 2, LABELS_RTCP = 3 };

/* False without memory. */
bool srtp_derive(const struct srtp_master *m, unsigned label, uint8_t *out, size_t n);

/* `ssrc` as in the packet; `high` and `low` are the last six bytes above. */
void srtp_gcm_nonce(uint8_t nonce[static SRTP_GCM_NONCE], const uint8_t *salt, const uint8_t *ssrc,
		    uint16_t high, uint32_t low);

#endif
