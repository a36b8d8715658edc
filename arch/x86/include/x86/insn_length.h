/*
 * How long an instruction is, and what it is called: for people who look at a guest's code.
 *
 * Names are mnemonics without operands, but for the targets of branches; where none is known, the
 * opcode stands instead. Nothing that runs a guest depends on this (x86/emul.h does).
 * Pure; no lock. SDM volume 2 "Instruction Format" and "Opcode Map".
 */
#ifndef X86_INSN_LENGTH_H
#define X86_INSN_LENGTH_H

#include "hv/types.h"
#include "x86/emul.h"

/* The length in bytes of the instruction at the start of `count` bytes; 0: it goes on behind them,
 * is longer than 15, or its opcode is in no map. Whether it is legal is not looked at. */
unsigned insn_length(const uint8_t *bytes, unsigned count, enum emul_mode mode);

/* Its name, always terminated. `address`: of the instruction, for the targets of branches. */
void insn_name(char *out, size_t room, uint64_t address, const uint8_t *bytes, unsigned count,
               enum emul_mode mode);

#endif
