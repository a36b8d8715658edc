/*
 * Branch targets of packed code (branches.c).
 */
#ifndef BOOT_UNPACK_BRANCHES_H
#define BOOT_UNPACK_BRANCHES_H

#include <stdint.h>

/* Puts back what tools/pack-image changed in `bytes` of code at `code`: the 32-bit operands of what
 * looks like CALL and JMP. Whatever stands there, nothing outside is touched. No errors, no lock. */
void branches_restore(uint8_t *code, uint32_t bytes);

#endif
