/*
 * What the hypervisor's own exceptions, NMIs and interrupts do.
 *
 * Not here: the entries (traps.asm), the report of a fatal one (panic.c), the guest's events.
 * Lock: none. The handler table is filled before other cores run. The NMI path takes no lock and
 * touches only its own core's words, since it may come at any instruction.
 * SDM volume 3 "Interrupt and Exception Handling".
 */
#include "x86/trap.h"

#include "x86/host_apic.h"
#include "x86/panic.h"
#include "x86/percpu.h"
#include "x86/regs.h"
#include "x86/vmcs.h"

#define FIRST_IRQ_VECTOR 32

/* Boot-once. */
static host_irq_handler *irq_handlers[256];

struct trap_fixup {
    int32_t fault, resume; /* distances from the table */
};

extern const struct trap_fixup trap_fixups[], trap_fixups_end[];
extern const char idle_look[], idle_over[];

enum hv_err host_irq_register(unsigned vector, host_irq_handler *handler)
{
    if (vector < FIRST_IRQ_VECTOR || vector >= 256)
        return HV_ERR_RANGE;
    if (irq_handlers[vector])
        return HV_ERR_EXISTS;
    irq_handlers[vector] = handler;
    return HV_OK;
}

static bool may_be_spurious(unsigned vector)
{
    return vector == HOST_VECTOR_SPURIOUS ||
           (vector >= HOST_VECTOR_PIC_MASTER && vector < HOST_VECTOR_PIC_SLAVE + 8);
}

void host_irq_dispatch(unsigned vector)
{
    struct percpu *cpu = this_cpu();

    if (may_be_spurious(vector)) {
        /* A spurious one sets no ISR bit, and an EOI would hit another one's. But the vector may
         * also come from a guest to which this core belonged. */
        if (host_apic_in_service((uint8_t)vector))
            host_apic_eoi();
        cpu->spurious_count++;
        return;
    }
    if (vector < 256 && irq_handlers[vector])
        irq_handlers[vector](vector);
    else
        cpu->unexpected_count++;
    host_apic_eoi();
}

static bool fix_up(struct trap_frame *frame)
{
    uint64_t table = (uint64_t)trap_fixups;

    for (const struct trap_fixup *fixup = trap_fixups; fixup < trap_fixups_end; fixup++)
        if (frame->rip == table + (uint64_t)(int64_t)fixup->fault) {
            frame->rip = table + (uint64_t)(int64_t)fixup->resume;
            return true;
        }
    return false;
}

/* What RDMSR, WRMSR and XSETBV raise for what the processor does not have. */
static bool may_be_fixed(uint64_t vector)
{
    return vector == X86_EXC_GP || vector == X86_EXC_UD;
}

/*
 * An NMI may be the kick of a core that belongs to a guest (arch_kick_core), and the core may be
 * just past its last look at `kick`. Nothing is lost:
 * - before a VM entry: the last look comes after the write of the preemption timer (vmx/run.c), and
 *   the timer is set to 0 here, so that the guest is left before its first instruction;
 * - before HLT in arch_idle: the HLT is skipped.
 * The VMWRITE goes to the current VMCS, which is the guest's as long as the APIC is lent; its flags
 * are undone by IRET.
 */
static void take_kick(struct percpu *cpu, struct trap_frame *frame)
{
    if (__atomic_load_n(&cpu->apic_lent, __ATOMIC_RELAXED))
        vmwrite_unchecked(VMCS_PREEMPTION_TIMER_VALUE, 0);
    if (frame->rip - (uint64_t)idle_look < (uint64_t)(idle_over - idle_look))
        frame->rip = (uint64_t)idle_over;
}

static void take_nmi(struct trap_frame *frame)
{
    struct percpu *cpu = this_cpu();

    if (panic_is_active())
        panic_stop_this_core(frame);
    cpu->nmi_count++;
    __atomic_store_n(&cpu->nmi_pending, 1, __ATOMIC_RELEASE);
    take_kick(cpu, frame);
    if (cpu->on_nmi)
        cpu->on_nmi(cpu);
}

void trap_dispatch(struct trap_frame *frame)
{
    if (frame->vector == X86_EXC_NMI)
        take_nmi(frame);
    else if (!may_be_fixed(frame->vector) || !fix_up(frame))
        panic_exception(frame);
}
