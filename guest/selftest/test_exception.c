/*
 * Exceptions and their error codes. SDM volume 3 "Exception and Interrupt Reference".
 */
#include "selftest.h"

#define DESCRIPTOR_DATA_ABSENT 0x00cf13000000ffffull
#define SEL_TEST SEL_FREE

static void check_arithmetic(void)
{
    static const struct snippet div = SNIPPET("#DE by DIV", 0x31, 0xc9, 0xf7, 0xf1);
    static const struct snippet int3 = SNIPPET("#BP by INT3", 0xcc);
    static const struct snippet int1 = SNIPPET("#DB by INT1", 0xf1);
    static const struct snippet ud2 = SNIPPET("#UD by UD2", 0x0f, 0x0b);
    uint64_t at = (uint64_t)snippet_code;

    snippet_run(&div);
    check_fault(div.name, VEC_DE, 0);
    check_equal("... at the instruction itself", guest_fault()->rip, at + 2);
    snippet_run(&int3);
    check_fault(int3.name, VEC_BP, 0);
    check_equal("... behind the instruction", guest_fault()->rip, at + 1);
    snippet_run(&int1);
    if (!lenient_skip(int1.name)) {
        check_fault(int1.name, VEC_DB, 0);
        check_equal("... behind the instruction", guest_fault()->rip, at + 1);
    }
    snippet_run(&ud2);
    check_fault(ud2.name, VEC_UD, 0);
    check_equal("... at the instruction itself", guest_fault()->rip, at);
    check(guest_fault()->rflags & FLAG_RF || !is_strict(), "... with RF in the saved flags",
          "0x%lx", guest_fault()->rflags);
}

static void check_fpu(void)
{
    static const struct snippet fnop = SNIPPET("x87 with TS", 0xd9, 0xd0);
    static const struct snippet sse = SNIPPET("SSE with TS", 0x0f, 0x57, 0xc0);
    static const struct snippet fwait = SNIPPET("FWAIT with TS and MP", 0x9b);
    uint64_t cr0 = read_cr0(), cr4 = read_cr4();

    write_cr0(cr0 | CR0_TS | CR0_MP);
    snippet_run(&fnop);
    check_fault(fnop.name, VEC_NM, 0);
    snippet_run(&sse);
    check_fault(sse.name, VEC_NM, 0);
    snippet_run(&fwait);
    check_fault(fwait.name, VEC_NM, 0);
    write_cr0((cr0 | CR0_EM) & ~CR0_TS);
    snippet_run(&fnop);
    check_fault("x87 with EM", VEC_NM, 0);
    snippet_run(&sse);
    check_fault("SSE with EM", VEC_UD, 0);
    write_cr0(cr0);
    write_cr4(cr4 & ~CR4_OSFXSR);
    snippet_run(&sse);
    check_fault("SSE without OSFXSR", VEC_UD, 0);
    write_cr4(cr4);
    snippet_run(&sse);
    check_no_fault("SSE when it is allowed");
}

/* #MF: a division by zero, unmasked, is reported by the next waiting instruction. */
static void fpu_divide(void *arg)
{
    static const uint16_t unmasked = 0x037b;

    (void)arg;
    __asm__ volatile("fninit; fldcw %0; fld1; fldz; fdivrp; fwait" : : "m"(unmasked) : "memory");
}

static void simd_divide(void *arg)
{
    static const uint32_t unmasked = 0x1f80 & ~BIT(9), one = 0x3f800000;

    (void)arg;
    __asm__ volatile("ldmxcsr %0; movss %1, %%xmm0; xorps %%xmm1, %%xmm1; divss %%xmm1, %%xmm0"
                     : : "m"(unmasked), "m"(one) : "memory");
}

static void check_numeric(void)
{
    static const uint32_t masked = 0x1f80;

    guest_catch(fpu_divide, NULL);
    check_fault("#MF with CR0.NE", VEC_MF, 0);
    __asm__ volatile("fninit");
    guest_catch(simd_divide, NULL);
    check_fault("#XM", VEC_XM, 0);
    __asm__ volatile("ldmxcsr %0" : : "m"(masked));
}

static void check_general_protection(void)
{
    static const struct snippet code_in_ss = SNIPPET("MOV SS, a code segment", 0xb8, 0x18, 0, 0, 0,
                                                     0x8e, 0xd0);
    static const struct snippet beyond = SNIPPET("MOV DS, beyond the table", 0xb8, 0xf8, 0xff, 0, 0,
                                                 0x8e, 0xd8);
    static const struct snippet ltr = SNIPPET("LTR of a busy TSS", 0xb8, SEL_TSS, 0, 0, 0, 0x0f,
                                              0x00, 0xd8);

    snippet_run(&code_in_ss);
    check_fault(code_in_ss.name, VEC_GP, SEL_CODE32);
    snippet_run(&beyond);
    check_fault(beyond.name, VEC_GP, 0xfff8);
    snippet_run(&ltr);
    check_fault(ltr.name, VEC_GP, SEL_TSS);
    probe_read32(BIT(63));
    check_fault("a non-canonical address", VEC_GP, 0);
}

static void check_segments(void)
{
    guest_gdt[SEL_TEST / 8] = DESCRIPTOR_DATA_ABSENT;
    guest_fault_clear();
    __asm__ volatile("1: mov %w0, %%ds\n2:\n" EXTABLE(1b, 2b) : : "r"(SEL_TEST) : "memory");
    check_fault("#NP", VEC_NP, SEL_TEST);
    guest_fault_clear();
    __asm__ volatile("1: mov %w0, %%ss\n2:\n" EXTABLE(1b, 2b) : : "r"(SEL_TEST) : "memory");
    check_fault("#SS by an absent segment", VEC_SS, SEL_TEST);
    guest_gdt[SEL_TEST / 8] = 0;
}

/* The stack is no good, so the handler needs one of its own: the stack fault's gate gets that of
 * the double fault meanwhile. */
static void push_nowhere(void *arg)
{
    (void)arg;
    __asm__ volatile("movabs $0x8000000000000000, %%rsp; push %%rax" : : : "memory");
}

static void check_stack_fault(void)
{
    if (lenient_skip("#SS by a non-canonical stack"))
        return;
    guest_idt[VEC_SS].ist = 1;
    guest_catch(push_nowhere, NULL);
    guest_idt[VEC_SS].ist = 0;
    check_fault("#SS by a non-canonical stack", VEC_SS, 0);
}

/* A second exception on the way to the first one's handler: the error code's EXT bit says so. SDM
 * volume 3 "Error Code", and table "Conditions for Generating a Double Fault". */
static void raise_ud(void *arg)
{
    (void)arg;
    __asm__ volatile("ud2");
}

static void raise_de(void *arg)
{
    (void)arg;
    __asm__ volatile("xor %%ecx, %%ecx; div %%ecx" : : : "rax", "rcx", "rdx");
}

static void check_double_fault(void)
{
    struct idt_gate saved_ud = guest_idt[VEC_UD], saved_de = guest_idt[VEC_DE];
    struct idt_gate saved_gp = guest_idt[VEC_GP];

    if (lenient_skip("exceptions on the way to a handler"))
        return;
    guest_idt[VEC_UD].type = 0;
    guest_catch(raise_ud, NULL);
    check_fault("#UD through an empty gate becomes #GP", VEC_GP, VEC_UD * 8 + 3);
    guest_idt[VEC_UD] = saved_ud;
    guest_idt[VEC_UD].type &= 0x7f;
    guest_catch(raise_ud, NULL);
    check_fault("#UD through an absent gate becomes #NP", VEC_NP, VEC_UD * 8 + 3);
    guest_idt[VEC_UD] = saved_ud;
    guest_idt[VEC_DE].type &= 0x7f;
    guest_catch(raise_de, NULL);
    check_fault("#DE through an absent gate becomes #DF", VEC_DF, 0);
    guest_idt[VEC_DE] = saved_de;
    guest_idt[VEC_GP].type &= 0x7f;
    probe_read32(BIT(63));
    check_fault("#GP through an absent gate becomes #DF", VEC_DF, 0);
    guest_idt[VEC_GP] = saved_gp;
}

void test_exception(void)
{
    check_arithmetic();
    check_fpu();
    if (is_strict())
        check_numeric();
    else
        skip("#MF and #XM", "not on Trapline");
    check_general_protection();
    check_segments();
    check_stack_fault();
    check_double_fault();
}
