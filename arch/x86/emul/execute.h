/*
 * What the parts of the executor share. Internal to arch/x86/emul; see x86/emul.h for what it does.
 * One struct emul_exec lives on the stack for one instruction; no lock.
 */
#ifndef EMUL_EXECUTE_H
#define EMUL_EXECUTE_H

#include "x86/emul.h"

struct emul_exec {
    const struct emul_insn *insn;
    struct emul_state *state;
    const struct emul_ops *ops;
    void *ctx;
    struct x86_fault *fault;
    unsigned iterations_max;
    struct emul_segment segments[X86_SEG_COUNT];
    uint8_t segments_known; /* one bit a segment */
};

/* --- registers.c ------------------------------------------------------------------------------ */

/* Reads `size_bytes` of a register; the upper bytes of the result are zero. */
uint64_t emul_gpr_read(const struct x86_gprs *gprs, unsigned reg, unsigned size_bytes);

/*
 * Writes a register as an instruction does: 4 bytes clear the upper half, 1 and 2 leave what is
 * above them. SDM volume 1 "General-Purpose Registers in 64-Bit Mode".
 */
void emul_gpr_write(struct x86_gprs *gprs, unsigned reg, unsigned size_bytes, uint64_t value);

/* The same for insn->reg and insn->register_bytes, AH to BH included. */
uint64_t emul_operand_read(const struct emul_insn *insn, const struct x86_gprs *gprs);
void emul_operand_write(const struct emul_insn *insn, struct x86_gprs *gprs, uint64_t value);

/* --- address.c -------------------------------------------------------------------------------- */

/* The offset of the ModR/M operand, cut to the address size. */
uint64_t emul_effective_address(const struct emul_exec *x);

/*
 * Checks an access of `size_bytes` at `offset` in `segment` and gives its linear address, or
 * EMUL_FAULT with #GP, #SS or #AC. Volume 3 "Limit Checking", "Type Checking", "Alignment Check
 * Exception (#AC)"; volume 1 "Canonical Addressing".
 */
enum emul_status emul_linear(struct emul_exec *x, enum x86_seg segment, uint64_t offset,
                             unsigned size_bytes, bool is_write, gva_t *linear);

/* Width of the stack pointer: 8 in 64-bit mode, otherwise 4 or 2 by SS.B. */
unsigned emul_stack_bytes(struct emul_exec *x);

/* Fills in a fault with error code 0; real-address mode has no error codes. Gives EMUL_FAULT. */
enum emul_status emul_raise(struct emul_exec *x, enum x86_exception vector);

/* --- string.c --------------------------------------------------------------------------------- */

/* MOVS, CMPS, STOS, LODS, SCAS, INS, OUTS, once or repeated. */
enum emul_status emul_execute_string(struct emul_exec *x);

#endif
