/*
 * The run in which firmware is kept: cores come from firmware and go back to it.
 *
 * The boot core calls kept_run; every other one is in kept_join by then, in a procedure that
 * firmware's MP services run on it, and waits at the gate. At the end (arch_back_to_firmware, on any
 * core) each core leaves VMX operation, gives its local APIC back and loads what firmware had in its
 * registers; the boot core is the last one, and gives the console's devices back.
 *
 * Not here: registers (kept_state.c), memory and reports (boot/keep.c). A panic is not brought back:
 * the machine halts with its report, as without firmware.
 * Lock: `gate` and `end` are atomic words. A core goes to CORE_HOME last of all, with firmware's
 * registers in place; nothing of its block is used after that.
 */
#include "x86/kept.h"

#include "hv/arch_ops.h"
#include "hv/drv_console.h"
#include "hv/log.h"
#include "x86/host_apic.h"
#include "x86/msr.h"
#include "x86/percpu.h"
#include "x86/regs.h"
#include "x86/smp.h"
#include "x86/start.h"
#include "x86/tsc.h"
#include "x86/vmx_core.h"

#define HOME_TIMEOUT_US 2000000
#define LATE_KICKS_US 100 /* an interrupt between cores takes a few microseconds */

enum gate { GATE_NOT_YET, GATE_OPEN, GATE_CLOSED };
enum end { END_NOT_YET, END_CALLED, END_KICKED };

/* Boot-once. */
static struct {
    uint32_t gate; /* atomic */
    uint32_t end;  /* atomic */
    bool on;
    struct kept_core boot_core, scratch;
} kept;

bool kept_is_on(void)
{
    return kept.on;
}

struct kept_core *kept_of(const struct percpu *cpu)
{
    if (!kept.on)
        return NULL;
    return cpu->index == 0 ? &kept.boot_core : cpu->kept;
}

void kept_open_gate(bool open)
{
    __atomic_store_n(&kept.gate, open ? GATE_OPEN : GATE_CLOSED, __ATOMIC_RELEASE);
}

/* --- into the run ---------------------------------------------------------------------------- */

const char *kept_check(void)
{
    return kept_refusal(rdmsr(MSR_IA32_APIC_BASE), read_cr4());
}

static void enter(void *argument)
{
    arch_entry(argument);
}

const char *kept_run(struct boot_info *info)
{
    uint64_t flags = read_rflags();
    const char *different;

    cli();
    kept.on = true;
    kept_state_save(&kept.boot_core);
    kept_call(&kept.boot_core.rsp, info->stack_start + info->stack_bytes, enter, info);
    different = kept_state_check(&kept.boot_core, &kept.scratch);
    if (flags & RFLAGS_IF)
        sti();
    return different;
}

static void join(void *argument)
{
    smp_core_main(argument);
}

void kept_join(void)
{
    uint64_t flags = read_rflags();
    struct percpu *cpu;

    while (__atomic_load_n(&kept.gate, __ATOMIC_ACQUIRE) == GATE_NOT_YET)
        cpu_pause();
    cpu = smp_claim_block(host_apic_id());
    if (!cpu)
        return;
    cli(); /* PI says nothing of IF in an AP's procedure */
    kept_state_save(cpu->kept);
    kept_call(&cpu->kept->rsp, cpu->stack_top, join, cpu);
    cpu->failure = kept_state_check(cpu->kept, cpu->kept + 1); /* a page has room for two */
    if (flags & RFLAGS_IF)
        sti();
    __atomic_store_n(&cpu->state, CORE_HOME, __ATOMIC_RELEASE);
}

/* --- and out of it --------------------------------------------------------------------------- */

bool arch_run_is_over(void)
{
    return HV_UNLIKELY(__atomic_load_n(&kept.end, __ATOMIC_RELAXED) != END_NOT_YET);
}

/* All kicks are sent before anybody leaves: one that came later would hit firmware, which has no
 * handler for it. */
void arch_back_to_firmware(void)
{
    uint32_t not_yet = END_NOT_YET;

    if (__atomic_compare_exchange_n(&kept.end, &not_yet, END_CALLED, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST)) {
        core_release_all();
        for (unsigned i = 0; i < percpu_count(); i++)
            if (__atomic_load_n(&percpu_at(i)->state, __ATOMIC_ACQUIRE) == CORE_READY)
                core_kick(i);
        __atomic_store_n(&kept.end, END_KICKED, __ATOMIC_RELEASE);
    }
    kept_leave();
}

static bool is_away(const struct percpu *cpu)
{
    switch (__atomic_load_n(&cpu->state, __ATOMIC_ACQUIRE)) {
    case CORE_ABSENT:
    case CORE_SILENT: /* firmware's still: it finds the gate closed */
    case CORE_HOME:
        return false;
    default:
        return true;
    }
}

static void report_difference(const struct percpu *cpu)
{
    if (cpu->state == CORE_HOME && cpu->failure)
        hv_error("core %u (APIC id %u): its %s is not as firmware had it", cpu->index, cpu->apic_id,
                 cpu->failure);
}

/* Firmware without one of its cores would not know it, and wait for it sooner or later: better to
 * start the machine over. */
static void wait_for_others(void)
{
    uint64_t deadline = rdtsc() + tsc_from_us(HOME_TIMEOUT_US);
    unsigned missing = 0;

    for (unsigned i = 1; i < percpu_count(); i++) {
        const struct percpu *cpu = percpu_at(i);
        while (is_away(cpu) && rdtsc() < deadline)
            cpu_pause();
        if (!is_away(cpu)) {
            report_difference(cpu);
            continue;
        }
        hv_error("core %u (APIC id %u): does not go back to firmware", i, cpu->apic_id);
        missing++;
    }
    if (!missing)
        return;
    hv_error("firmware can't have the machine back without %s: starting the machine over",
             missing == 1 ? "that core" : "those cores");
    arch_reset();
}

void kept_leave(void)
{
    struct percpu *cpu = this_cpu();
    struct kept_core *core = kept_of(cpu);

    cli();
    vmx_core_disable();
    if (cpu->index == 0) {
        wait_for_others();
        hv_info("firmware has its cores back");
        console_stop();
        tsc_delay_us(LATE_KICKS_US);
    }
    host_apic_give_back(&core->apic);
    kept_state_restore(core);
    kept_return(core->rsp);
}

void arch_leave_run(void)
{
    while (__atomic_load_n(&kept.end, __ATOMIC_ACQUIRE) != END_KICKED)
        cpu_pause();
    kept_leave();
}
