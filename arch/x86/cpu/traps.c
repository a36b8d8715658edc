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

#define FIRST_IRQ_VECTOR 32

/* Boot-once. */
static host_irq_handler *irq_handlers[256];

struct trap_fixup {
    int32_t fault, resume; /* distances from the table */
};

extern const struct trap_fixup trap_fixups[], trap_fixups_end[];

enum hv_err host_irq_register(unsigned vector, host_irq_handler *handler)
{
    if (vector < FIRST_IRQ_VECTOR || vector >= 256)
        return HV_ERR_RANGE;
    if (irq_handlers[vector])
        return HV_ERR_EXISTS;
    irq_handlers[vector] = handler;
    return HV_OK;
}

void host_irq_dispatch(unsigned vector)
{
    struct percpu *cpu = this_cpu();

    if (vector == HOST_VECTOR_SPURIOUS) { /* sets no ISR bit, so an EOI would hit another one's */
        cpu->spurious_count++;
        return;
    }
    if (vector >= HOST_VECTOR_PIC_MASTER && vector < HOST_VECTOR_PIC_SLAVE + 8) {
        cpu->spurious_count++; /* not through the local APIC's ISR either */
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

static void take_nmi(struct trap_frame *frame)
{
    struct percpu *cpu = this_cpu();

    if (panic_is_active())
        panic_stop_this_core(frame);
    cpu->nmi_count++;
    __atomic_store_n(&cpu->nmi_pending, 1, __ATOMIC_RELEASE);
}

void trap_dispatch(struct trap_frame *frame)
{
    if (frame->vector >= FIRST_IRQ_VECTOR)
        host_irq_dispatch((unsigned)frame->vector);
    else if (frame->vector == X86_EXC_NMI)
        take_nmi(frame);
    else if (!may_be_fixed(frame->vector) || !fix_up(frame))
        panic_exception(frame);
}
