/*
 * Names for crash reports and traces. Constant data, no lock.
 */
#include "x86/emul.h"

const char *emul_status_name(enum emul_status status)
{
    static const char *const names[] = {
        [EMUL_OK] = "ok",
        [EMUL_AGAIN] = "again",
        [EMUL_RETRY] = "retry",
        [EMUL_FAULT] = "fault",
        [EMUL_ABORT] = "abort",
        [EMUL_NEED_BYTES] = "more bytes needed",
        [EMUL_UD] = "illegal instruction",
        [EMUL_TOO_LONG] = "instruction longer than 15 bytes",
        [EMUL_REFUSED] = "not emulated",
    };

    return (unsigned)status < HV_ARRAY_COUNT(names) ? names[status] : "?";
}

const char *emul_refusal_name(enum emul_refusal refusal)
{
    static const char *const names[] = {
        [EMUL_REFUSAL_NONE] = "none",
        [EMUL_REFUSAL_OPCODE] = "opcode that is not emulated",
        [EMUL_REFUSAL_REGISTER] = "no memory operand",
        [EMUL_REFUSAL_VEX] = "VEX-encoded",
        [EMUL_REFUSAL_EVEX] = "EVEX-encoded",
    };

    return (unsigned)refusal < HV_ARRAY_COUNT(names) ? names[refusal] : "?";
}

const char *emul_op_name(enum emul_op op)
{
    static const char *const names[EMUL_OP_COUNT] = {
        "none", "add", "or", "adc", "sbb", "and", "sub", "xor", "cmp",
        "rol", "ror", "rcl", "rcr", "shl", "shr", "sal", "sar",
        "bt", "bts", "btr", "btc", "test", "not", "neg", "inc", "dec",
        "xchg", "xadd", "cmpxchg", "cmpxchg8b/16b",
        "mov", "movzx", "movsx", "movbe", "cmovcc", "setcc", "push", "pop",
        "movs", "cmps", "stos", "lods", "scas", "ins", "outs",
    };

    return (unsigned)op < EMUL_OP_COUNT ? names[op] : "?";
}
