/* Base64 (RFC 4648). Pure. */
#ifndef MSR_WS_BASE64_H
#define MSR_WS_BASE64_H

#include <stddef.h>
#include <stdint.h>

/*
 * Decodes in place: the standard alphabet; padding may be missing, bits beyond the last byte are
 * zero. The length, or -1.
 */
long base64_decode(uint8_t *text, size_t len);

#endif
