/*
 * Targets in packed code (branches.c).
 */
#ifndef BOOT_UNPACK_BRANCHES_H
#define BOOT_UNPACK_BRANCHES_H

#include <stdint.h>

/* Puts back what tools/pack-image changed in the first `code_bytes` of the `bytes` at `image`: the
 * 32-bit operands of what looks like CALL, JMP, Jcc, and LEA relative to RIP, when their targets lie in
 * the image. Whatever stands there, nothing outside of the code is touched. No errors, no lock. */
void branches_restore(uint8_t *image, uint32_t code_bytes, uint32_t bytes);

#endif
