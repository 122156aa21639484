/* CRC-32C (Castagnoli; RFC 3720, appendix B.4): the checksum of frames. */
#ifndef MSR_BASE_CRC32C_H
#define MSR_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/*
 * CRC of `n` bytes continuing from `crc`; 0 to start. crc32c(crc32c(0, a), b) is the CRC of a
 * followed by b. Uses the processor's instruction where it has one.
 */
uint32_t crc32c(uint32_t crc, const void *data, size_t n);

#endif
