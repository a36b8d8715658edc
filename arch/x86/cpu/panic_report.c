/*
 * What a panic says, on every console, and in short for the picture that carries it.
 *
 * Not here: who may say it, and what stops (panic.c).
 * Lock: none; one core reports. `report` is its own.
 */
#include "arch/x86/cpu/panic_report.h"

#include "hv/console.h"
#include "hv/format.h"
#include "hv/log.h"
#include "hv/report_text.h"
#include "hv/symbols.h"
#include "x86/backtrace.h"
#include "x86/insn.h"
#include "x86/msr.h"
#include "x86/regs.h"

#define BACKTRACE_DEPTH 16
#define CRC32_POLYNOMIAL 0xedb88320u

/* Boot-once. */
static struct backtrace_code code;
static void (*report_guest)(const struct percpu *cpu);

static struct report_text report;

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
    code = (struct backtrace_code){ start, bytes, (const uint8_t *)start, hv_symbols,
                                    hv_symbols_bytes };
}

void panic_set_guest_report(void (*say)(const struct percpu *cpu))
{
    report_guest = say;
}

void panic_line(const char *format, ...)
{
    char line[240];
    va_list args;

    va_start(args, format);
    hv_vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    hv_notice("%s", line);
    report_text_add(&report, line);
}

/* --- places --- */

/* `behind`: how far the address is behind what is meant: 1 for a return address. */
static void describe_place(char *out, size_t room, uint64_t address, unsigned behind)
{
    uint64_t offset = address - code.start;
    struct symbol symbol;

    if (offset >= code.bytes)
        hv_snprintf(out, room, "%#llx, outside of the program", (unsigned long long)address);
    else if (symbol_find(code.symbols, code.symbols_bytes, offset - behind, &symbol))
        hv_snprintf(out, room, "%s+0x%llx (text+%#llx)", symbol.name,
                    (unsigned long long)(offset - symbol.start), (unsigned long long)offset);
    else
        hv_snprintf(out, room, "text+%#llx", (unsigned long long)offset);
}

/* Which build this is: tools/symbolize compares it. */
static uint32_t code_crc32(void)
{
    uint32_t crc = UINT32_MAX;

    for (uint64_t i = 0; i < code.bytes; i++) {
        crc ^= code.at[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? CRC32_POLYNOMIAL : 0);
    }
    return ~crc;
}

/* The words of the stack that are there for sure. */
static size_t stack_words(const struct percpu *cpu, uint64_t *rsp)
{
    uint64_t top;

    if (!cpu || *rsp % 8)
        return 0;
    if (cpu->stack_bottom - *rsp <= HV_PAGE_BYTES) /* ran into the guard page */
        *rsp = cpu->stack_bottom;
    if (*rsp - cpu->stack_bottom < HOST_STACK_BYTES)
        top = cpu->stack_top;
    else
        top = hv_align_up(*rsp + 1, HV_PAGE_BYTES); /* another stack: its page is mapped for sure */
    return (top - *rsp) / 8;
}

/* Of an assertion RIP is a return address, behind a call that may be its function's last instruction. */
static unsigned rip_is_behind(const struct trap_frame *frame)
{
    return frame->cs ? 0 : 1;
}

static void say_backtrace(const struct trap_frame *frame, const struct percpu *cpu)
{
    struct backtrace_frame frames[BACKTRACE_DEPTH];
    char place[100];
    uint64_t rsp = frame->rsp;
    size_t words = stack_words(cpu, &rsp);
    unsigned count = backtrace_find(&code, frame->rip - rip_is_behind(frame),
                                    (const uint64_t *)rsp, words, frames, BACKTRACE_DEPTH);

    for (unsigned i = 0; i < count; i++) {
        describe_place(place, sizeof(place), frames[i].address, 1);
        panic_line("  %s %s", frames[i].sure ? "called from" : "perhaps from", place);
    }
}

/* --- registers --- */

static void say_registers(const struct trap_frame *f)
{
    panic_line("  rax %016llx rbx %016llx rcx %016llx rdx %016llx", (unsigned long long)f->rax,
               (unsigned long long)f->rbx, (unsigned long long)f->rcx, (unsigned long long)f->rdx);
    panic_line("  rsi %016llx rdi %016llx rbp %016llx rsp %016llx", (unsigned long long)f->rsi,
               (unsigned long long)f->rdi, (unsigned long long)f->rbp, (unsigned long long)f->rsp);
    panic_line("  r8  %016llx r9  %016llx r10 %016llx r11 %016llx", (unsigned long long)f->r8,
               (unsigned long long)f->r9, (unsigned long long)f->r10, (unsigned long long)f->r11);
    panic_line("  r12 %016llx r13 %016llx r14 %016llx r15 %016llx", (unsigned long long)f->r12,
               (unsigned long long)f->r13, (unsigned long long)f->r14, (unsigned long long)f->r15);
    if (f->cs) /* the processor's own, with an exception */
        panic_line("  cs %#llx ss %#llx rflags %#llx", (unsigned long long)f->cs,
                   (unsigned long long)f->ss, (unsigned long long)f->rflags);
    panic_line("  cr0 %#llx cr2 %#llx cr3 %#llx cr4 %#llx", (unsigned long long)read_cr0(),
               (unsigned long long)read_cr2(), (unsigned long long)read_cr3(),
               (unsigned long long)read_cr4());
}

static void say_machine_check(void)
{
    uint64_t capabilities = rdmsr(MSR_IA32_MCG_CAP);

    panic_line("  IA32_MCG_STATUS %#llx", (unsigned long long)rdmsr(MSR_IA32_MCG_STATUS));
    for (uint32_t bank = 0; bank < (capabilities & 0xff); bank++) {
        uint64_t status = rdmsr(MSR_IA32_MC0_STATUS + 4 * bank);
        if (status >> 63)
            panic_line("  bank %u status %#llx", bank, (unsigned long long)status);
    }
}

void panic_report_exception(const struct trap_frame *frame, unsigned core)
{
    const char *name = "reserved exception";

    if (frame->vector < HV_ARRAY_COUNT(exception_names))
        name = exception_names[frame->vector];
    panic_line("PANIC on core %u: %s, error code %#llx", core, name,
               (unsigned long long)frame->error);
    if (frame->vector == X86_EXC_PF)
        panic_line("  %s at address %#llx%s",
                   frame->error & X86_PF_I   ? "execute"
                   : frame->error & X86_PF_W ? "write"
                                             : "read",
                   (unsigned long long)read_cr2(),
                   frame->error & X86_PF_P ? ", which its page forbids" : ", which is not mapped");
    if (frame->vector == X86_EXC_MC)
        say_machine_check();
}

/* --- the rest --- */

static void say_other_cores(const struct percpu *cpu)
{
    char place[100];

    for (unsigned i = 0; i < percpu_count(); i++) {
        const struct percpu *other = percpu_at(i);
        if (other == cpu || other->state < CORE_ONLINE || other->state > CORE_READY)
            continue;
        describe_place(place, sizeof(place), other->stopped_rip, 0);
        if (!other->stopped)
            panic_line("  core %u did not stop", i);
        else if (other->stopped_rip)
            panic_line("  core %u is stopped at %s", i, place);
        else
            panic_line("  core %u is stopped", i);
    }
}

void panic_report_state(const struct trap_frame *frame, const struct percpu *cpu)
{
    char place[100];

    describe_place(place, sizeof(place), frame->rip, rip_is_behind(frame));
    panic_line("  at %s, code %08x at %#llx", place, code_crc32(), (unsigned long long)code.start);
    say_registers(frame);
    say_backtrace(frame, cpu);
    if (report_guest && cpu)
        report_guest(cpu);
    say_other_cores(cpu);
}

void panic_report_show_code(void)
{
    console_show_code(report.text, report.used);
}
