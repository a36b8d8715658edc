/*
 * Events for the guest: exceptions that handlers queue, NMIs, interrupts of the local APIC and the
 * PIC, INIT and start-up messages; and events whose delivery an exit has interrupted.
 *
 * One event is delivered by an entry. Order: what was interrupted or queued, then NMI, then
 * interrupt (SDM "Priority Among Concurrent Events"). What has to wait opens a window exit.
 * SDM volume 3 "VM-Entry Controls for Event Injection", "Interrupt-Window Exiting",
 * "Information for VM Exits That Occur During Event Delivery", "Double Fault Exception".
 */
#include "arch/x86/vmx/posted_vcpu.h"
#include "arch/x86/vmx/vcpu.h"
#include "hv/platform.h"

void vmx_set_cpu_controls(struct vmx_vcpu *v, uint32_t set, uint32_t clear)
{
    uint32_t wanted = (v->cpu_controls & ~clear) | set;

    if (wanted != v->cpu_controls) {
        v->cpu_controls = wanted;
        vmcs_write(VMCS_PRIMARY_PROC_BASED_CONTROLS, wanted);
    }
}

/* --- exceptions --- */

enum exception_class { CLASS_BENIGN, CLASS_CONTRIBUTORY, CLASS_PAGE_FAULT, CLASS_DOUBLE_FAULT };

/* SDM "Interrupt and Exception Classes". */
static enum exception_class exception_class(uint32_t info)
{
    if (!vmx_intr_valid(info) || vmx_intr_type(info) != VMX_INTR_HARDWARE_EXCEPTION)
        return CLASS_BENIGN;
    switch (vmx_intr_vector(info)) {
    case X86_EXC_DE:
    case X86_EXC_TS:
    case X86_EXC_NP:
    case X86_EXC_SS:
    case X86_EXC_GP:
    case X86_EXC_CP:
        return CLASS_CONTRIBUTORY;
    case X86_EXC_PF:
    case X86_EXC_VE:
        return CLASS_PAGE_FAULT;
    case X86_EXC_DF:
        return CLASS_DOUBLE_FAULT;
    default:
        return CLASS_BENIGN;
    }
}

static bool exceptions_double(enum exception_class first, enum exception_class second)
{
    if (first == CLASS_CONTRIBUTORY)
        return second == CLASS_CONTRIBUTORY;
    if (first == CLASS_PAGE_FAULT)
        return second == CLASS_CONTRIBUTORY || second == CLASS_PAGE_FAULT;
    return false;
}

static void event_set(struct vmx_vcpu *v, uint32_t info, uint32_t error, uint32_t length)
{
    v->event = (struct vmx_event){ info, error, length };
    v->attention |= VMX_ATTENTION_EVENT;
}

void vmx_queue_exception(struct vmx_vcpu *v, uint8_t vector, bool has_error, uint32_t error)
{
    bool real_mode = !(vmcs_read(VMCS_GUEST_CR0) & CR0_PE);
    /* In real-address mode no exception has an error code. */
    uint32_t info =
        vmx_intr_make(VMX_INTR_HARDWARE_EXCEPTION, vector, has_error && !real_mode);
    uint32_t first = v->exit.vect_info ? v->exit.vect_info : v->event.info;

    if (exception_class(first) == CLASS_DOUBLE_FAULT && exception_class(info) != CLASS_BENIGN) {
        vmx_triple_fault(v, "triple fault: vector %u while a double fault was delivered", vector);
        return;
    }
    if (exceptions_double(exception_class(first), exception_class(info))) {
        info = vmx_intr_make(VMX_INTR_HARDWARE_EXCEPTION, X86_EXC_DF, !real_mode);
        error = 0;
    }
    /* The processor sets RF in what a fault pushes, so that an instruction breakpoint is not met
     * again after IRET; for an injected one it pushes RF as it stands. */
    if (vmx_intr_vector(info) != X86_EXC_DB && vmx_intr_vector(info) != X86_EXC_DF)
        vmcs_write(VMCS_GUEST_RFLAGS, vmcs_read(VMCS_GUEST_RFLAGS) | RFLAGS_RF);
    /* What was being delivered is dropped: the exception's handler returns to the instruction, or
     * the event comes again (SDM "Information for VM Exits That Occur During Event Delivery"). */
    if (vmx_intr_type(first) == VMX_INTR_HARDWARE_EXCEPTION || vmx_intr_is_software(first))
        v->exit.vect_info = 0;
    event_set(v, info, error, 0);
}

void vmx_queue_fault(struct vmx_vcpu *v, const struct x86_fault *fault)
{
    if (fault->vector == X86_EXC_PF)
        write_cr2(fault->cr2);
    vmx_queue_exception(v, fault->vector, fault->has_error, fault->error);
}

unsigned vmx_answer_gp(struct vmx_vcpu *v)
{
    vmx_queue_exception(v, X86_EXC_GP, true, 0);
    return EXIT_KEEP | VCPU_RUN;
}

unsigned vmx_answer_ud(struct vmx_vcpu *v)
{
    vmx_queue_exception(v, X86_EXC_UD, false, 0);
    return EXIT_KEEP | VCPU_RUN;
}

void vmx_requeue_vectoring(struct vmx_vcpu *v)
{
    uint32_t info = vmx_intr_from_idt_vectoring(v->exit.vect_info);
    uint32_t length = 0;

    v->exit.vect_info = 0;
    if (vmx_intr_is_software(info))
        length = (uint32_t)vmcs_read(VMCS_EXIT_INSTRUCTION_LENGTH);
    /* An NMI blocks further ones from the moment its delivery begins: lift that, since the entry
     * that delivers it sets it again. */
    if (vmx_intr_type(info) == VMX_INTR_NMI)
        vmcs_write(VMCS_GUEST_INTERRUPTIBILITY_STATE,
                   vmcs_read(VMCS_GUEST_INTERRUPTIBILITY_STATE) & ~(uint64_t)VMX_BLOCKING_BY_NMI);
    if (v->event.info) {
        /* An exception came on top of an interrupt or NMI. The exception is delivered first; an
         * interrupt, which its controller has handed over already, follows as soon as it can. */
        if (vmx_intr_type(info) == VMX_INTR_NMI)
            lapic_post(v->lapic, &(struct irq_message){ .delivery = IRQ_NMI, .asserted = true });
        else if (vmx_intr_type(info) == VMX_INTR_EXTERNAL)
            v->deferred = info;
        return;
    }
    event_set(v, info, v->exit.vect_error, length);
}

/* --- what the local APIC has --- */

static bool guest_interruptible(uint64_t rflags, uint32_t blocking)
{
    return (rflags & RFLAGS_IF) && !(blocking & (VMX_BLOCKING_BY_STI | VMX_BLOCKING_BY_MOV_SS));
}

/* Takes the vector of the interrupt that is to be delivered now, or -1. */
static int take_interrupt(struct vmx_vcpu *v)
{
    int vector;

    if (v->deferred) {
        vector = vmx_intr_vector(v->deferred);
        v->deferred = 0;
        return vector;
    }
    if (lapic_extint_pending(v->lapic)) {
        vector = platform_pic_acknowledge(v->vcpu.vm);
        lapic_extint_taken(v->lapic);
        if (vector >= 0)
            return vector;
    }
    vector = lapic_pending_vector(v->lapic);
    if (vector >= 0)
        lapic_accept(v->lapic, (uint8_t)vector);
    return vector;
}

/* With APIC virtualization the owner's VECTOR bit is cleared once the processor has been told, so
 * that lapic_pending_vector finds nothing to inject. */
static bool interrupt_waits(const struct vmx_vcpu *v)
{
    return v->deferred || lapic_vector_waits(v->lapic) || lapic_extint_pending(v->lapic);
}

static unsigned take_init_and_sipi(struct vmx_vcpu *v)
{
    uint8_t vector;

    if (lapic_take_init(v->lapic)) {
        vmx_guest_state_init_ipi(v);
        v->event.info = 0;
    }
    if (lapic_take_sipi(v->lapic, v->run_state == VMX_WAIT_FOR_SIPI, &vector))
        vmx_guest_state_sipi(v, vector);
    return v->run_state == VMX_WAIT_FOR_SIPI ? VCPU_BLOCK : VCPU_RUN;
}

/* NMI or interrupt, if nothing else is to be delivered and the guest can take it. */
static void choose_event(struct vmx_vcpu *v, uint32_t blocking)
{
    const uint64_t debug_traps =
        VMX_PENDING_DBG_ENABLED | VMX_PENDING_DBG_BS | VMX_PENDING_DBG_RTM;
    const uint32_t nmi_blocked = VMX_BLOCKING_BY_NMI | VMX_BLOCKING_BY_MOV_SS | VMX_BLOCKING_BY_STI;

    if (v->event.info || v->debug.stepping)
        return;
    /* A debug trap of the last instruction comes first, and an entry that injects would lose it
     * (SDM "Delivery of Pending Debug Exceptions after VM Entry"): the windows come after it. */
    if (HV_UNLIKELY(vmcs_read(VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS) & debug_traps))
        return;
    if ((v->lapic->attention.half.owner & LAPIC_ATTENTION_NMI) && !(blocking & nmi_blocked)) {
        if (lapic_take_nmi(v->lapic))
            event_set(v, vmx_intr_make(VMX_INTR_NMI, X86_EXC_NMI, false), 0, 0);
        return;
    }
    if (interrupt_waits(v) && guest_interruptible(vmcs_read(VMCS_GUEST_RFLAGS), blocking)) {
        int vector = take_interrupt(v);
        if (vector >= 0)
            event_set(v, vmx_intr_make(VMX_INTR_EXTERNAL, (uint8_t)vector, false), 0, 0);
    }
}

static void write_event(struct vmx_vcpu *v, uint32_t blocking)
{
    const uint32_t shadow = VMX_BLOCKING_BY_STI | VMX_BLOCKING_BY_MOV_SS;

    if (!v->event.info)
        return;
    /* Delivery ends the blocking. Left in, a single-step #DB after STI that goes back in would fail
     * the entry: with TF and this blocking, a pending single step is expected (SDM "Checks on Guest
     * Non-Register State"). */
    if (HV_UNLIKELY(blocking & shadow) &&
        vmx_intr_type(v->event.info) == VMX_INTR_HARDWARE_EXCEPTION)
        vmcs_write(VMCS_GUEST_INTERRUPTIBILITY_STATE, blocking & ~shadow);
    if (v->event.info & VMX_INTR_ERROR_CODE)
        vmcs_write(VMCS_ENTRY_EXCEPTION_ERROR_CODE, v->event.error);
    if (vmx_intr_is_software(v->event.info))
        vmcs_write(VMCS_ENTRY_INSTRUCTION_LENGTH, v->event.length);
    vmcs_write(VMCS_ENTRY_INTERRUPTION_INFORMATION, v->event.info);
    v->injected = v->event.info;
    v->event.info = 0;
}

/* Window exits for what still waits. NMI-window exiting needs virtual NMIs, which the policy has. */
static void open_windows(struct vmx_vcpu *v)
{
    uint32_t set = 0;

    if (v->lapic->attention.half.owner & LAPIC_ATTENTION_NMI)
        set |= CPU_NMI_WINDOW_EXITING;
    if (interrupt_waits(v))
        set |= CPU_INTERRUPT_WINDOW_EXITING;
    vmx_set_cpu_controls(v, set, CPU_NMI_WINDOW_EXITING | CPU_INTERRUPT_WINDOW_EXITING);
    v->attention = set ? v->attention | VMX_ATTENTION_WINDOW
                       : v->attention & ~(uint32_t)VMX_ATTENTION_WINDOW;
}

/* Is there anything to deliver, or a window to close? What the processor delivers itself is gone from
 * the owner's attention by now; the pins have been looked at by lapic_sync. */
static inline bool event_is_due(const struct vmx_vcpu *v)
{
    return v->event.info || v->deferred || v->lapic->attention.half.owner ||
           (v->attention & VMX_ATTENTION_WINDOW);
}

unsigned vmx_prepare_events(struct vmx_vcpu *v)
{
    uint32_t blocking;

    lapic_sync(v->lapic);
    if (HV_UNLIKELY(v->lapic->attention.half.owner & (LAPIC_ATTENTION_INIT | LAPIC_ATTENTION_SIPI)) ||
        HV_UNLIKELY(v->run_state == VMX_WAIT_FOR_SIPI)) {
        if (take_init_and_sipi(v) == VCPU_BLOCK) {
            if (v->vm->owns_cores) /* the core sleeps with its own local APIC */
                arch_vcpu_put(&v->vcpu);
            return VCPU_BLOCK;
        }
    }
    if (v->attention & VMX_ATTENTION_FLUSH) { /* also for INIT, just now */
        vmx_flush_guest_tlb(v);
        v->attention &= ~(uint32_t)VMX_ATTENTION_FLUSH;
    }
    if (v->apicv)
        vmx_apicv_prepare(v);
    else if (HV_UNLIKELY(v->vm->owns_cores))
        vmx_own_core_forward(v);
    if (HV_UNLIKELY(event_is_due(v))) {
        blocking = (uint32_t)vmcs_read(VMCS_GUEST_INTERRUPTIBILITY_STATE);
        choose_event(v, blocking);
        write_event(v, blocking);
        open_windows(v);
    }
    v->attention &= ~(uint32_t)(VMX_ATTENTION_EVENT | VMX_ATTENTION_APICV);
    return VCPU_RUN;
}

/* Does a vCPU that sleeps have a reason to wake? It may not be the one that is loaded, so nothing
 * is read from the VMCS. */
bool vmx_has_event(struct vmx_vcpu *v)
{
    uint32_t owner;

    vmx_posted_collect(v);
    if (!lapic_attention(v->lapic) && !v->attention)
        return false;
    lapic_sync(v->lapic);
    owner = v->lapic->attention.half.owner;
    if (HV_LIKELY(v->halted_with_if && v->run_state == VMX_HALTED && lapic_vector_waits(v->lapic)))
        return true;
    if (v->run_state == VMX_WAIT_FOR_SIPI)
        return owner & (LAPIC_ATTENTION_INIT | LAPIC_ATTENTION_SIPI);
    if ((owner & LAPIC_ATTENTION_INIT) || ((owner & LAPIC_ATTENTION_NMI) && !v->halted_in_nmi))
        return true;
    return (v->halted_with_if && interrupt_waits(v)) || (v->attention & VMX_ATTENTION_EVENT);
}

bool arch_vcpu_has_event(struct vcpu *vcpu)
{
    return vmx_has_event(vmx_of(vcpu));
}

unsigned exit_interrupt_window(struct vmx_vcpu *v)
{
    v->attention |= VMX_ATTENTION_WINDOW;
    return EXIT_KEEP | VCPU_RUN;
}

unsigned exit_nmi_window(struct vmx_vcpu *v)
{
    v->attention |= VMX_ATTENTION_WINDOW;
    return EXIT_KEEP | VCPU_RUN;
}
