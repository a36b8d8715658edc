/*
 * Our own bug: who, what and where on every console, every other core stopped, nothing goes on.
 *
 * Not here: a VM that cannot go on (vm_crash).
 * Lock: `panic_owner` is an atomic word; the first core to set it reports, the others halt.
 * The backtrace is a search of the stack for addresses that follow a call instruction: it may show
 * stale ones, but it needs no frame pointers, which would cost a register on every path.
 */
#include "x86/panic.h"

#include "hv/console.h"
#include "hv/format.h"
#include "hv/log.h"
#include "hv/panic.h"
#include "x86/host_apic.h"
#include "x86/insn.h"
#include "x86/msr.h"
#include "x86/percpu.h"
#include "x86/regs.h"
#include "x86/tsc.h"

#define NOBODY UINT32_MAX
#define BACKTRACE_DEPTH 24
#define STOP_TIMEOUT_MS 50

static uint32_t panic_owner = NOBODY; /* core index, atomic */
/* Boot-once. */
static uint64_t text_start, text_end;

static const char *const exception_names[] = {
    "#DE divide error", "#DB debug", "NMI", "#BP breakpoint", "#OF overflow", "#BR bound range",
    "#UD invalid opcode", "#NM device not available", "#DF double fault",
    "coprocessor segment overrun", "#TS invalid TSS", "#NP segment not present",
    "#SS stack-segment fault", "#GP general protection", "#PF page fault", "vector 15",
    "#MF x87 error", "#AC alignment check", "#MC machine check", "#XM SIMD error",
    "#VE virtualization", "#CP control protection",
};

void panic_init(uint64_t start, uint64_t bytes)
{
    text_start = start;
    text_end = start + bytes;
}

void cpu_halt_forever(void)
{
    for (;;) {
        cli();
        hlt();
    }
}

bool panic_is_active(void)
{
    return __atomic_load_n(&panic_owner, __ATOMIC_ACQUIRE) != NOBODY;
}

/* NULL before this core has its own structure. */
static struct percpu *cpu_or_null(void)
{
    return descriptors_are_loaded() ? this_cpu() : NULL;
}

static bool in_text(uint64_t address)
{
    return address >= text_start && address < text_end;
}

/* Is the instruction before `address` a call? E8 rel32, or FF /2 of two to seven bytes. */
static bool follows_call(uint64_t address)
{
    const uint8_t *code = (const uint8_t *)address;

    if (!in_text(address) || address - text_start < 8)
        return false;
    if (code[-5] == 0xe8)
        return true;
    for (int length = 2; length <= 7; length++)
        if (code[-length] == 0xff && (code[-length + 1] & 0x38) == 0x10)
            return true;
    return false;
}

static void print_backtrace(uint64_t rsp, const struct percpu *cpu)
{
    unsigned depth = 0;
    uint64_t top;

    if (!cpu || rsp % 8)
        return;
    if (cpu->stack_bottom - rsp <= HV_PAGE_BYTES) /* ran into the guard page */
        rsp = cpu->stack_bottom;
    if (rsp - cpu->stack_bottom < HOST_STACK_BYTES)
        top = cpu->stack_top;
    else
        top = hv_align_up(rsp + 1, HV_PAGE_BYTES); /* another stack: its page is mapped for sure */
    for (uint64_t at = rsp; at < top && depth < BACKTRACE_DEPTH; at += 8) {
        uint64_t word = *(const uint64_t *)at;
        if (follows_call(word)) {
            hv_error("  called from text+%#llx", (unsigned long long)(word - text_start));
            depth++;
        }
    }
}

static void print_place(const char *what, uint64_t rip)
{
    if (in_text(rip))
        hv_error("  %s text+%#llx (text starts at %#llx)", what,
                 (unsigned long long)(rip - text_start), (unsigned long long)text_start);
    else
        hv_error("  %s %#llx, outside of the program", what, (unsigned long long)rip);
}

static void print_registers(const struct trap_frame *f)
{
    hv_error("  rax %016llx rbx %016llx rcx %016llx rdx %016llx", (unsigned long long)f->rax,
             (unsigned long long)f->rbx, (unsigned long long)f->rcx, (unsigned long long)f->rdx);
    hv_error("  rsi %016llx rdi %016llx rbp %016llx rsp %016llx", (unsigned long long)f->rsi,
             (unsigned long long)f->rdi, (unsigned long long)f->rbp, (unsigned long long)f->rsp);
    hv_error("  r8  %016llx r9  %016llx r10 %016llx r11 %016llx", (unsigned long long)f->r8,
             (unsigned long long)f->r9, (unsigned long long)f->r10, (unsigned long long)f->r11);
    hv_error("  r12 %016llx r13 %016llx r14 %016llx r15 %016llx", (unsigned long long)f->r12,
             (unsigned long long)f->r13, (unsigned long long)f->r14, (unsigned long long)f->r15);
    hv_error("  cs %#llx ss %#llx rflags %#llx cr0 %#llx cr2 %#llx cr3 %#llx cr4 %#llx",
             (unsigned long long)f->cs, (unsigned long long)f->ss, (unsigned long long)f->rflags,
             (unsigned long long)read_cr0(), (unsigned long long)read_cr2(),
             (unsigned long long)read_cr3(), (unsigned long long)read_cr4());
}

static void print_machine_check(void)
{
    uint64_t capabilities = rdmsr(MSR_IA32_MCG_CAP);

    hv_error("  IA32_MCG_STATUS %#llx", (unsigned long long)rdmsr(MSR_IA32_MCG_STATUS));
    for (uint32_t bank = 0; bank < (capabilities & 0xff); bank++) {
        uint64_t status = rdmsr(MSR_IA32_MC0_STATUS + 4 * bank);
        if (status >> 63)
            hv_error("  bank %u status %#llx", bank, (unsigned long long)status);
    }
}

/* NMIs the other cores and waits for them, within a bound. A core in a guest leaves it for the
 * NMI; one that has not come up yet is not waited for. */
static void stop_other_cores(const struct percpu *self)
{
    uint64_t deadline = rdtsc() + tsc_from_us(STOP_TIMEOUT_MS * 1000);

    for (unsigned i = 0; i < percpu_count(); i++) {
        struct percpu *cpu = percpu_at(i);
        uint32_t state = __atomic_load_n(&cpu->state, __ATOMIC_ACQUIRE);
        if (cpu == self || (state != CORE_ONLINE && state != CORE_READY))
            continue;
        host_apic_send_nmi(cpu->apic_id);
        while (!__atomic_load_n(&cpu->stopped, __ATOMIC_ACQUIRE) && rdtsc() < deadline)
            cpu_pause();
    }
}

/* Makes this core the one that reports; another one that panics at the same time just stops. One
 * that panics inside its own report stops too: the consoles may be what is broken. */
static void become_owner(struct percpu *cpu)
{
    uint32_t nobody = NOBODY;
    uint32_t me = cpu ? cpu->index : 0;

    cli();
    if (!__atomic_compare_exchange_n(&panic_owner, &nobody, me, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE)) {
        if (cpu)
            __atomic_store_n(&cpu->stopped, 1, __ATOMIC_RELEASE);
        cpu_halt_forever();
    }
    if (cpu)
        stop_other_cores(cpu);
    log_set_level(HV_LOG_INFO);
    console_enter_panic();
}

static HV_NORETURN void finish(const struct percpu *cpu, uint64_t rsp)
{
    print_backtrace(rsp, cpu);
    for (unsigned i = 0; i < percpu_count(); i++) {
        const struct percpu *other = percpu_at(i);
        if (other != cpu && other->state >= CORE_ONLINE && other->state <= CORE_READY)
            hv_error("  core %u %s", i, other->stopped ? "is stopped" : "did not stop");
    }
    hv_error("PANIC: halted");
    cpu_halt_forever();
}

void hv_panic(const char *format, ...)
{
    struct percpu *cpu = cpu_or_null();
    char text[256];
    va_list args;

    become_owner(cpu);
    va_start(args, format);
    hv_vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    hv_error("PANIC on core %u: %s", cpu ? cpu->index : 0, text);
    print_place("at", (uint64_t)__builtin_return_address(0));
    finish(cpu, (uint64_t)__builtin_frame_address(0) + 8); /* from the return address up */
}

void panic_exception(const struct trap_frame *frame)
{
    struct percpu *cpu = cpu_or_null();
    const char *name = "reserved exception";

    if (frame->vector < HV_ARRAY_COUNT(exception_names))
        name = exception_names[frame->vector];
    become_owner(cpu);
    hv_error("PANIC on core %u: %s, error code %#llx", cpu ? cpu->index : 0, name,
             (unsigned long long)frame->error);
    if (frame->vector == X86_EXC_PF)
        hv_error("  %s at address %#llx%s",
                 frame->error & X86_PF_I ? "execute" : frame->error & X86_PF_W ? "write" : "read",
                 (unsigned long long)read_cr2(),
                 frame->error & X86_PF_P ? ", which its page forbids" : ", which is not mapped");
    if (frame->vector == X86_EXC_MC)
        print_machine_check();
    print_place("at", frame->rip);
    print_registers(frame);
    finish(cpu, frame->rsp);
}

void panic_stop_this_core(const struct trap_frame *frame)
{
    struct percpu *cpu = this_cpu();

    (void)frame;
    __atomic_store_n(&cpu->stopped, 1, __ATOMIC_RELEASE);
    cpu_halt_forever();
}
