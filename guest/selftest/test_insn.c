/*
 * Single instructions that a hypervisor has to do with. SDM volume 2 for each; volume 3 "VMX
 * Instruction Reference": outside of VMX operation they are #UD.
 */
#include "selftest.h"

/* No CPUID bit that Trapline shows allows any of these. */
static const struct snippet undefined[] = {
    SNIPPET("VMLAUNCH", 0x0f, 0x01, 0xc2),
    SNIPPET("VMRESUME", 0x0f, 0x01, 0xc3),
    SNIPPET("VMXOFF", 0x0f, 0x01, 0xc4),
    SNIPPET("VMXON", 0xf3, 0x0f, 0xc7, 0x37),
    SNIPPET("VMCLEAR", 0x66, 0x0f, 0xc7, 0x37),
    SNIPPET("VMPTRLD", 0x0f, 0xc7, 0x37),
    SNIPPET("VMPTRST", 0x0f, 0xc7, 0x3f),
    SNIPPET("VMREAD", 0x0f, 0x78, 0xc0),
    SNIPPET("VMWRITE", 0x0f, 0x79, 0xc0),
    SNIPPET("INVEPT", 0x66, 0x0f, 0x38, 0x80, 0x07),
    SNIPPET("INVVPID", 0x66, 0x0f, 0x38, 0x81, 0x07),
    SNIPPET("VMFUNC", 0x0f, 0x01, 0xd4),
    SNIPPET("GETSEC", 0x0f, 0x37),
    SNIPPET("RSM", 0x0f, 0xaa),
    SNIPPET("MONITOR", 0x0f, 0x01, 0xc8),
    SNIPPET("MWAIT", 0x0f, 0x01, 0xc9),
    SNIPPET("ENCLS", 0x0f, 0x01, 0xcf),
    SNIPPET("ENCLV", 0x0f, 0x01, 0xc0),
    SNIPPET("PCONFIG", 0x0f, 0x01, 0xc5),
    SNIPPET("UMONITOR", 0xf3, 0x0f, 0xae, 0xf0),
    SNIPPET("UMWAIT", 0xf2, 0x0f, 0xae, 0xf0),
    SNIPPET("TPAUSE", 0x66, 0x0f, 0xae, 0xf0),
    SNIPPET("LOADIWKEY", 0xf3, 0x0f, 0x38, 0xdc, 0xc0),
    SNIPPET("VMRUN", 0x0f, 0x01, 0xd8),
};

static const struct snippet always_undefined[] = {
    SNIPPET("UD2", 0x0f, 0x0b),
    SNIPPET("UD1", 0x0f, 0xb9, 0xc0),
    SNIPPET("LOCK NOP", 0xf0, 0x90),
    SNIPPET("PUSH ES in 64-bit mode", 0x06),
    SNIPPET("AAM in 64-bit mode", 0xd4, 0x0a),
    SNIPPET("XGETBV without OSXSAVE", 0x0f, 0x01, 0xd0),
    SNIPPET("SYSCALL without SCE", 0x0f, 0x05),
};

static const struct snippet harmless[] = {
    SNIPPET("INVD", 0x0f, 0x08),
    SNIPPET("WBINVD", 0x0f, 0x09),
    SNIPPET("WBNOINVD", 0xf3, 0x0f, 0x09),
    SNIPPET("PAUSE", 0xf3, 0x90),
    SNIPPET("CLFLUSH", 0x0f, 0xae, 0x3f),
    SNIPPET("PREFETCHT0", 0x0f, 0x18, 0x0f),
    SNIPPET("SGDT", 0x0f, 0x01, 0x07),
    SNIPPET("SIDT", 0x0f, 0x01, 0x0f),
    SNIPPET("SLDT", 0x0f, 0x00, 0x07),
    SNIPPET("STR", 0x0f, 0x00, 0x0f),
    SNIPPET("LLDT 0", 0x0f, 0x00, 0xd0),
    SNIPPET("INVLPG", 0x0f, 0x01, 0x3f),
    SNIPPET("CPUID with 13 prefixes", 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
            0x66, 0x66, 0x66, 0x0f, 0xa2),
};

static void check_vmcall(void)
{
    static const struct snippet vmcall = SNIPPET("VMCALL", 0x0f, 0x01, 0xc1);
    uint32_t vector;

    snippet_run(&vmcall);
    vector = guest_fault()->vector;
    check(vector == NO_FAULT || vector == VEC_UD, "VMCALL is answered or #UD", "vector %d",
          (int)vector);
}

static void check_faults(const struct snippet *s, unsigned vector)
{
    snippet_run(s);
    check_fault(s->name, vector, 0);
}

static void check_optional(void)
{
    static const struct snippet invpcid = SNIPPET("INVPCID", 0xb0, 0x02, 0x66, 0x0f, 0x38,
                                                  0x82, 0x07);
    static const struct snippet rdpid = SNIPPET("RDPID", 0xf3, 0x0f, 0xc7, 0xf8);
    static const struct snippet rdrand = SNIPPET("RDRAND", 0x48, 0x0f, 0xc7, 0xf0);
    static const struct snippet rdseed = SNIPPET("RDSEED", 0x48, 0x0f, 0xc7, 0xf8);
    static const struct snippet rdtscp = SNIPPET("RDTSCP", 0x0f, 0x01, 0xf9);
    /* Of those that the CPUID hides, VM-execution controls make only the first two #UD. */
    const struct {
        const struct snippet *code;
        bool exists, controlled;
    } all[] = {
        { &invpcid, has_ebx7(10), true },
        { &rdtscp, cpuid(0x80000001, 0).edx & BIT(27), true },
        { &rdpid, has_ecx7(22), false },
        { &rdrand, has_ecx1(30), false },
        { &rdseed, has_ebx7(18), false },
    };

    for (unsigned i = 0; i < ARRAY_COUNT(all); i++) {
        snippet_run(all[i].code);
        if (all[i].exists || all[i].controlled)
            check_fault(all[i].code->name, all[i].exists ? NO_FAULT : VEC_UD, 0);
        else
            skip(all[i].code->name, "not there");
    }
}

/* The same without being caught: the frame of a software interrupt and the way back. */
static volatile uint32_t software_count;
static uint64_t software_rip;

static void software_handler(struct trap_frame *frame)
{
    software_count++;
    software_rip = frame->rip;
}

static void check_software_interrupt(void)
{
    uint64_t after;

    guest_trap_set(0x90, software_handler);
    software_count = 0;
    __asm__ volatile("int $0x90\n1: leaq 1b(%%rip), %0" : "=r"(after) : : "memory");
    guest_trap_set(0x90, NULL);
    check(software_count == 1 && software_rip == after, "INT n returns behind itself",
          "%u times, RIP 0x%lx, expected 0x%lx", software_count, software_rip, after);
}

static void check_limits(void)
{
    static const struct snippet too_long = SNIPPET("an instruction of 16 bytes", 0x66, 0x66, 0x66,
        0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90);

    snippet_run(&too_long);
    check_fault(too_long.name, VEC_GP, 0);
}

static void check_rdpmc(void)
{
    static const struct snippet rdpmc = SNIPPET("RDPMC without counters", 0x0f, 0x33);

    if (is_strict())
        check_faults(&rdpmc, VEC_GP);
    else
        skip(rdpmc.name, "not on Trapline");
}

void test_insn(void)
{
    for (unsigned i = 0; i < ARRAY_COUNT(undefined); i++) {
        if (is_trapline())
            check_faults(&undefined[i], VEC_UD);
        else
            skip(undefined[i].name, "not on Trapline");
    }
    for (unsigned i = 0; i < ARRAY_COUNT(always_undefined); i++)
        check_faults(&always_undefined[i], VEC_UD);
    for (unsigned i = 0; i < ARRAY_COUNT(harmless); i++)
        check_faults(&harmless[i], NO_FAULT);
    check_vmcall();
    check_rdpmc();
    check_optional();
    check_limits();
    check_software_interrupt();
}
