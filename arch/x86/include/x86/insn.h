/*
 * Every privileged or special instruction that Trapline executes, one inline function each. The
 * only place with inline assembly.
 *
 * Not here: anything with policy (which bits, in which order).
 * No lock: each function acts on the executing core alone.
 * SDM volume 2 by mnemonic; VMX instructions: volume 3 "VMX Instruction Reference".
 */
#ifndef X86_INSN_H
#define X86_INSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Orders the compiler's memory accesses only. */
static inline void compiler_barrier(void)
{
    __asm__ volatile("" ::: "memory");
}

/* --- Identification ----------------------------------------------------------------------- */

struct cpuid_regs {
    uint32_t eax, ebx, ecx, edx;
};

/* CPUID with EAX = leaf and ECX = subleaf. A leaf above the maximum gives the data of the highest
 * basic leaf: ask for the maximum first. */
static inline struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_regs r;
    __asm__ volatile("cpuid"
                     : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
                     : "a"(leaf), "c"(subleaf)
                     : "memory");
    return r;
}

/* --- Model-specific registers ------------------------------------------------------------- */

/* #GP (a panic here) when the register does not exist: rdmsr_safe asks. */
static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
    return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

/* As rdmsr, wrmsr and xsetbv, but a #GP or #UD makes them return false (*value is 0 then). They
 * stand in arch/x86/cpu/traps.asm beside the table of addresses that may fault; usable once our IDT
 * is loaded. */
bool rdmsr_safe(uint32_t msr, uint64_t *value);
bool wrmsr_safe(uint32_t msr, uint64_t value);
bool xsetbv_safe(uint32_t xcr, uint64_t value);

/* --- Ports -------------------------------------------------------------------------------- */

static inline uint8_t in8(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline uint16_t in16(uint16_t port)
{
    uint16_t value;
    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline uint32_t in32(uint16_t port)
{
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port) : "memory");
}

static inline void out16(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" ::"a"(value), "Nd"(port) : "memory");
}

static inline void out32(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" ::"a"(value), "Nd"(port) : "memory");
}

/* --- Memory-mapped registers: one access of exactly this width ----------------------------- */

static inline uint8_t mmio_read8(const volatile void *address)
{
    uint8_t value;
    __asm__ volatile("movb %1, %0" : "=q"(value) : "m"(*(const volatile uint8_t *)address)
                     : "memory");
    return value;
}

static inline uint16_t mmio_read16(const volatile void *address)
{
    uint16_t value;
    __asm__ volatile("movw %1, %0" : "=r"(value) : "m"(*(const volatile uint16_t *)address)
                     : "memory");
    return value;
}

static inline uint32_t mmio_read32(const volatile void *address)
{
    uint32_t value;
    __asm__ volatile("movl %1, %0" : "=r"(value) : "m"(*(const volatile uint32_t *)address)
                     : "memory");
    return value;
}

static inline uint64_t mmio_read64(const volatile void *address)
{
    uint64_t value;
    __asm__ volatile("movq %1, %0" : "=r"(value) : "m"(*(const volatile uint64_t *)address)
                     : "memory");
    return value;
}

static inline void mmio_write8(volatile void *address, uint8_t value)
{
    __asm__ volatile("movb %1, %0" : "=m"(*(volatile uint8_t *)address) : "q"(value) : "memory");
}

static inline void mmio_write16(volatile void *address, uint16_t value)
{
    __asm__ volatile("movw %1, %0" : "=m"(*(volatile uint16_t *)address) : "r"(value) : "memory");
}

static inline void mmio_write32(volatile void *address, uint32_t value)
{
    __asm__ volatile("movl %1, %0" : "=m"(*(volatile uint32_t *)address) : "r"(value) : "memory");
}

static inline void mmio_write64(volatile void *address, uint64_t value)
{
    __asm__ volatile("movq %1, %0" : "=m"(*(volatile uint64_t *)address) : "r"(value) : "memory");
}

/* --- Control registers -------------------------------------------------------------------- */

#define X86_CONTROL_REGISTER(number)                                                               \
    static inline uint64_t read_cr##number(void)                                                   \
    {                                                                                              \
        uint64_t value;                                                                            \
        __asm__ volatile("movq %%cr" #number ", %0" : "=r"(value)::"memory");                      \
        return value;                                                                              \
    }                                                                                              \
    static inline void write_cr##number(uint64_t value)                                            \
    {                                                                                              \
        __asm__ volatile("movq %0, %%cr" #number ::"r"(value) : "memory");                         \
    }

X86_CONTROL_REGISTER(0) /* read_cr0, write_cr0 */
X86_CONTROL_REGISTER(2) /* read_cr2, write_cr2 */
X86_CONTROL_REGISTER(3) /* read_cr3, write_cr3 */
X86_CONTROL_REGISTER(4) /* read_cr4, write_cr4 */
X86_CONTROL_REGISTER(8) /* read_cr8, write_cr8 */
#undef X86_CONTROL_REGISTER

/* Needs CR4.OSXSAVE. */
static inline uint64_t xgetbv(uint32_t xcr)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(xcr) : "memory");
    return (uint64_t)high << 32 | low;
}

static inline void xsetbv(uint32_t xcr, uint64_t value)
{
    __asm__ volatile("xsetbv" ::"c"(xcr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

/* CR0.TS = 0. */
static inline void clts(void)
{
    __asm__ volatile("clts" ::: "memory");
}

/* --- Debug registers ---------------------------------------------------------------------- */

#define X86_DEBUG_REGISTER(number)                                                                 \
    static inline uint64_t read_dr##number(void)                                                   \
    {                                                                                              \
        uint64_t value;                                                                            \
        __asm__ volatile("movq %%db" #number ", %0" : "=r"(value)::"memory");                      \
        return value;                                                                              \
    }                                                                                              \
    static inline void write_dr##number(uint64_t value)                                            \
    {                                                                                              \
        __asm__ volatile("movq %0, %%db" #number ::"r"(value) : "memory");                         \
    }

X86_DEBUG_REGISTER(0) /* read_dr0, write_dr0 */
X86_DEBUG_REGISTER(1) /* read_dr1, write_dr1 */
X86_DEBUG_REGISTER(2) /* read_dr2, write_dr2 */
X86_DEBUG_REGISTER(3) /* read_dr3, write_dr3 */
X86_DEBUG_REGISTER(6) /* read_dr6, write_dr6 */
X86_DEBUG_REGISTER(7) /* read_dr7, write_dr7 */
#undef X86_DEBUG_REGISTER

/* --- Descriptor tables and segments ------------------------------------------------------- */

/* The operand of LGDT, SGDT, LIDT and SIDT in 64-bit mode. */
struct __attribute__((packed)) x86_table_register {
    uint16_t limit; /* bytes - 1 */
    uint64_t base;
};

_Static_assert(sizeof(struct x86_table_register) == 10, "16-bit limit, 64-bit base");

static inline void lgdt(const struct x86_table_register *table)
{
    __asm__ volatile("lgdt %0" ::"m"(*table) : "memory");
}

static inline struct x86_table_register sgdt(void)
{
    struct x86_table_register table;
    __asm__ volatile("sgdt %0" : "=m"(table)::"memory");
    return table;
}

static inline void lidt(const struct x86_table_register *table)
{
    __asm__ volatile("lidt %0" ::"m"(*table) : "memory");
}

static inline struct x86_table_register sidt(void)
{
    struct x86_table_register table;
    __asm__ volatile("sidt %0" : "=m"(table)::"memory");
    return table;
}

static inline void ltr(uint16_t selector)
{
    __asm__ volatile("ltr %0" ::"r"(selector) : "memory");
}

static inline uint16_t str(void)
{
    uint16_t selector;
    __asm__ volatile("str %0" : "=r"(selector)::"memory");
    return selector;
}

static inline void lldt(uint16_t selector)
{
    __asm__ volatile("lldt %0" ::"r"(selector) : "memory");
}

static inline uint16_t sldt(void)
{
    uint16_t selector;
    __asm__ volatile("sldt %0" : "=r"(selector)::"memory");
    return selector;
}

#define X86_SEGMENT_READ(name)                                                                     \
    static inline uint16_t read_##name(void)                                                       \
    {                                                                                              \
        uint16_t selector;                                                                         \
        __asm__ volatile("movw %%" #name ", %0" : "=r"(selector)::"memory");                       \
        return selector;                                                                           \
    }
#define X86_SEGMENT_WRITE(name)                                                                    \
    static inline void write_##name(uint16_t selector)                                             \
    {                                                                                              \
        __asm__ volatile("movw %0, %%" #name ::"r"(selector) : "memory");                          \
    }

X86_SEGMENT_READ(cs) /* CS is written by a far return only: gdt_load */
X86_SEGMENT_READ(ss)
X86_SEGMENT_READ(ds)
X86_SEGMENT_READ(es)
X86_SEGMENT_READ(fs)
X86_SEGMENT_READ(gs)
X86_SEGMENT_WRITE(ss)
X86_SEGMENT_WRITE(ds)
X86_SEGMENT_WRITE(es)
X86_SEGMENT_WRITE(fs) /* also zeroes the base: write the base after it */
X86_SEGMENT_WRITE(gs) /* the same */
#undef X86_SEGMENT_READ
#undef X86_SEGMENT_WRITE

/* The quadword at GS:0, where struct percpu keeps its own address. */
static inline void *gs_self(void)
{
    void *self;
    __asm__("movq %%gs:0, %0" : "=r"(self));
    return self;
}

/* Loads CS by a far return to the next instruction. */
static inline void write_cs(uint16_t selector)
{
    uint64_t scratch;
    __asm__ volatile("leaq 1f(%%rip), %0\n\t"
                     "pushq %1\n\t"
                     "pushq %0\n\t"
                     "lretq\n"
                     "1:"
                     : "=&r"(scratch)
                     : "r"((uint64_t)selector)
                     : "memory");
}

/* --- Time --------------------------------------------------------------------------------- */

/* Not ordered with anything around it. */
static inline uint64_t rdtsc(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

/* Reads after every earlier instruction has executed and before every later one: LFENCE on both
 * sides, which works where RDTSCP is missing. */
static inline uint64_t rdtsc_ordered(void)
{
    uint32_t low, high;
    __asm__ volatile("lfence\n\trdtsc\n\tlfence" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}

/* TSC and IA32_TSC_AUX together; waits for earlier instructions, later ones may start early. */
static inline uint64_t rdtscp(uint32_t *aux)
{
    uint32_t low, high, id;
    __asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(id)::"memory");
    *aux = id;
    return (uint64_t)high << 32 | low;
}

/* --- Random numbers: false when none was at hand (CF = 0) ---------------------------------- */

static inline bool rdrand(uint64_t *value)
{
    bool carry;
    __asm__ volatile("rdrand %0" : "=r"(*value), "=@ccc"(carry));
    return carry;
}

static inline bool rdseed(uint64_t *value)
{
    bool carry;
    __asm__ volatile("rdseed %0" : "=r"(*value), "=@ccc"(carry));
    return carry;
}

/* --- Flags, waiting, barriers ------------------------------------------------------------- */

static inline void cli(void)
{
    __asm__ volatile("cli" ::: "memory");
}

static inline void sti(void)
{
    __asm__ volatile("sti" ::: "memory");
}

static inline void hlt(void)
{
    __asm__ volatile("hlt" ::: "memory");
}

/* Opens a window of one instruction in which pending interrupts are taken. */
static inline void sti_nop_cli(void)
{
    __asm__ volatile("sti\n\tnop\n\tcli" ::: "memory");
}

static inline uint64_t read_rflags(void)
{
    uint64_t flags;
    __asm__ volatile("pushfq\n\tpopq %0" : "=r"(flags)::"memory");
    return flags;
}

static inline uint64_t read_rsp(void)
{
    uint64_t rsp;
    __asm__ volatile("movq %%rsp, %0" : "=r"(rsp));
    return rsp;
}

static inline void cpu_pause(void)
{
    __asm__ volatile("pause" ::: "memory");
}

/* Keeps the compiler from knowing a value: a mask that a comparison has made needless stays, for the
 * processor that speculates past the comparison. No instruction. */
static inline uint32_t opaque_u32(uint32_t value)
{
    __asm__("" : "+r"(value));
    return value;
}

static inline void mfence(void)
{
    __asm__ volatile("mfence" ::: "memory");
}

static inline void lfence(void)
{
    __asm__ volatile("lfence" ::: "memory");
}

static inline void sfence(void)
{
    __asm__ volatile("sfence" ::: "memory");
}

static inline _Noreturn void ud2(void)
{
    __asm__ volatile("ud2" ::: "memory");
    __builtin_unreachable();
}

/* Zeroes `count` words of 8 bytes. */
static inline void rep_stosq_zero(void *to, uint64_t count)
{
    __asm__ volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(0) : "memory");
}

/* Enters the NMI handler as an NMI does. Its IRET ends the blocking of NMIs that a VM exit for an
 * NMI has left: SDM volume 3 "VM Exits". */
static inline void int_nmi(void)
{
    __asm__ volatile("int $2" ::: "memory");
}

static inline void int3(void)
{
    __asm__ volatile("int3" ::: "memory");
}

/* --- Caches and translations -------------------------------------------------------------- */

static inline void invlpg(const void *linear)
{
    __asm__ volatile("invlpg (%0)" ::"r"(linear) : "memory");
}

static inline void wbinvd(void)
{
    __asm__ volatile("wbinvd" ::: "memory");
}

static inline void clflush(const volatile void *line)
{
    __asm__ volatile("clflush %0" ::"m"(*(const volatile char *)line) : "memory");
}

/* --- Floating-point and extended state ------------------------------------------------------
 * `area` is 64-byte aligned (FXSAVE: 16) and as large as CPUID.0DH says for `mask`. The hypervisor
 * itself is compiled without vector registers, so these move a guest's state only. */

#define X86_XSAVE(name)                                                                            \
    static inline void name(void *area, uint64_t mask)                                             \
    {                                                                                              \
        __asm__ volatile(#name " (%0)" ::"r"(area), "a"((uint32_t)mask),                           \
                         "d"((uint32_t)(mask >> 32))                                               \
                         : "memory");                                                              \
    }
#define X86_XRSTOR(name)                                                                           \
    static inline void name(const void *area, uint64_t mask)                                       \
    {                                                                                              \
        __asm__ volatile(#name " (%0)" ::"r"(area), "a"((uint32_t)mask),                           \
                         "d"((uint32_t)(mask >> 32))                                               \
                         : "memory");                                                              \
    }

X86_XSAVE(xsave64)
X86_XSAVE(xsaveopt64)
X86_XSAVE(xsavec64)
X86_XSAVE(xsaves64)
X86_XRSTOR(xrstor64)  /* #GP on a header or MXCSR with reserved bits */
X86_XRSTOR(xrstors64) /* the same */
#undef X86_XSAVE
#undef X86_XRSTOR

static inline void fxsave64(void *area)
{
    __asm__ volatile("fxsave64 (%0)" ::"r"(area) : "memory");
}

static inline void fxrstor64(const void *area)
{
    __asm__ volatile("fxrstor64 (%0)" ::"r"(area) : "memory");
}

static inline void fninit(void)
{
    __asm__ volatile("fninit" ::: "memory");
}

static inline uint32_t rdpkru(void)
{
    uint32_t value, high;
    __asm__ volatile("rdpkru" : "=a"(value), "=d"(high) : "c"(0));
    return value;
}

static inline void wrpkru(uint32_t value)
{
    __asm__ volatile("wrpkru" ::"a"(value), "c"(0), "d"(0) : "memory");
}

/* --- VMX ------------------------------------------------------------------------------------
 * SDM volume 3 "VMX Instruction Reference", "Conventions": VMfailInvalid sets CF, VMfailValid sets
 * ZF and leaves a number in the VM-instruction error field. Both flags are looked at. */

enum vmx_status {
    VMX_OK,
    VMX_FAIL_INVALID, /* CF: no current VMCS to hold an error number */
    VMX_FAIL_VALID,   /* ZF: read VMCS_VM_INSTRUCTION_ERROR */
};

static inline enum vmx_status vmx_status_of(bool carry, bool zero)
{
    return carry ? VMX_FAIL_INVALID : zero ? VMX_FAIL_VALID : VMX_OK;
}

/* The operand of these four is a variable that holds a physical address. */
#define X86_VMX_POINTER(name)                                                                      \
    static inline enum vmx_status name(uint64_t physical)                                          \
    {                                                                                              \
        bool carry, zero;                                                                          \
        __asm__ volatile(#name " %2" : "=@ccc"(carry), "=@ccz"(zero) : "m"(physical) : "memory");  \
        return vmx_status_of(carry, zero);                                                         \
    }

X86_VMX_POINTER(vmxon)
X86_VMX_POINTER(vmclear)
X86_VMX_POINTER(vmptrld)
#undef X86_VMX_POINTER

static inline enum vmx_status vmptrst(uint64_t *physical)
{
    bool carry, zero;
    __asm__ volatile("vmptrst %2" : "=@ccc"(carry), "=@ccz"(zero), "=m"(*physical)::"memory");
    return vmx_status_of(carry, zero);
}

static inline enum vmx_status vmxoff(void)
{
    bool carry, zero;
    __asm__ volatile("vmxoff" : "=@ccc"(carry), "=@ccz"(zero)::"memory");
    return vmx_status_of(carry, zero);
}

/* *value is 0 when it fails. */
static inline enum vmx_status vmread(uint64_t field, uint64_t *value)
{
    bool carry, zero;
    uint64_t v = 0;
    __asm__ volatile("vmread %3, %2" : "=@ccc"(carry), "=@ccz"(zero), "+r"(v) : "r"(field));
    *value = v;
    return vmx_status_of(carry, zero);
}

static inline enum vmx_status vmwrite(uint64_t field, uint64_t value)
{
    bool carry, zero;
    __asm__ volatile("vmwrite %3, %2"
                     : "=@ccc"(carry), "=@ccz"(zero)
                     : "r"(field), "r"(value)
                     : "memory");
    return vmx_status_of(carry, zero);
}

/* For the path of every exit, on fields that are known to exist in a VMCS that is known to be
 * current: no look at the flags. */
static inline uint64_t vmread_unchecked(uint64_t field)
{
    uint64_t value;
    __asm__ volatile("vmread %1, %0" : "=r"(value) : "r"(field) : "cc");
    return value;
}

static inline void vmwrite_unchecked(uint64_t field, uint64_t value)
{
    __asm__ volatile("vmwrite %1, %0" ::"r"(field), "r"(value) : "cc", "memory");
}

/* SDM "INVEPT": type 1 is single-context, 2 is global. */
enum invept_type { INVEPT_SINGLE_CONTEXT = 1, INVEPT_GLOBAL = 2 };

static inline enum vmx_status invept(enum invept_type type, uint64_t eptp)
{
    bool carry, zero;
    struct {
        uint64_t eptp, reserved;
    } descriptor = { eptp, 0 };
    __asm__ volatile("invept %2, %3"
                     : "=@ccc"(carry), "=@ccz"(zero)
                     : "m"(descriptor), "r"((uint64_t)type)
                     : "memory");
    return vmx_status_of(carry, zero);
}

/* SDM "INVVPID". */
enum invvpid_type {
    INVVPID_ADDRESS = 0,
    INVVPID_SINGLE_CONTEXT = 1,
    INVVPID_ALL_CONTEXTS = 2,
    INVVPID_SINGLE_CONTEXT_RETAINING_GLOBALS = 3,
};

static inline enum vmx_status invvpid(enum invvpid_type type, uint16_t vpid, uint64_t linear)
{
    bool carry, zero;
    struct {
        uint64_t vpid, linear;
    } descriptor = { vpid, linear };
    __asm__ volatile("invvpid %2, %3"
                     : "=@ccc"(carry), "=@ccz"(zero)
                     : "m"(descriptor), "r"((uint64_t)type)
                     : "memory");
    return vmx_status_of(carry, zero);
}

#endif
