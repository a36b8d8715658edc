/*
 * Our own bug: who, what and where on every console, every other core stopped, nothing goes on.
 *
 * Not here: what is said (panic_report.c); a VM that cannot go on (vm_crash).
 * Lock: `panic_owner` is an atomic word; the first core to set it reports, the others halt.
 */
#include "arch/x86/cpu/panic_report.h"

#include "hv/console.h"
#include "hv/drv_console.h"
#include "hv/format.h"
#include "hv/log.h"
#include "hv/panic.h"
#include "hv/string.h"
#include "x86/host_apic.h"
#include "x86/insn.h"
#include "x86/msr.h"
#include "x86/percpu.h"
#include "x86/regs.h"
#include "x86/start.h"
#include "x86/tsc.h"

#define NOBODY UINT32_MAX
#define STOP_TIMEOUT_MS 50

static uint32_t panic_owner = NOBODY; /* core index, atomic */
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
    if (console_backend_count() == 0 && arch_boot_info()) { /* thin mode: the guest has had them */
        console_start_serial(arch_boot_info());
        console_start_screen(arch_boot_info());
    }
    console_enter_panic();
}

static HV_NORETURN void finish(const struct trap_frame *frame, const struct percpu *cpu)
{
    panic_report_state(frame, cpu);
    hv_error("PANIC: halted");
    panic_report_show_code();
    cpu_halt_forever();
}

/* What traps.asm keeps for hv_panic: the caller's registers, as in a trap frame. */
extern const uint64_t panic_registers[15];

void panic_assertion(const char *format, ...)
{
    struct percpu *cpu = cpu_or_null();
    struct trap_frame frame = { .rip = (uint64_t)__builtin_return_address(0),
                                .rsp = (uint64_t)__builtin_frame_address(0) + 16 };
    char text[200];
    va_list args;

    become_owner(cpu);
    memcpy(&frame, panic_registers, sizeof(panic_registers));
    va_start(args, format);
    hv_vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    panic_line("PANIC on core %u: %s", cpu ? cpu->index : 0, text);
    finish(&frame, cpu);
}

void panic_exception(const struct trap_frame *frame)
{
    struct percpu *cpu = cpu_or_null();

    become_owner(cpu);
    panic_report_exception(frame, cpu ? cpu->index : 0);
    finish(frame, cpu);
}

void panic_stop_this_core(const struct trap_frame *frame)
{
    struct percpu *cpu = this_cpu();

    cpu->stopped_rip = frame->rip;
    __atomic_store_n(&cpu->stopped, 1, __ATOMIC_RELEASE);
    cpu_halt_forever();
}
