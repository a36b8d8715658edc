/*
 * The warm ways: exits of an instruction that needs RAX, RCX and RDX alone, answered by ordinary
 * code. entry.asm saves what a function may change; RBX, RBP and R12 to R15 stay in the core, so
 * nothing here, or called from here, may look at them in v->gprs.
 *
 * Each function either does all that the exit asks for, or has changed nothing and refuses; then
 * the long way (run.c) answers, with every register in memory: a fault, a report, a string.
 * SDM volume 3 "VM Exits", "Exit Qualification for I/O Instructions".
 */
#include "arch/x86/vmx/hot.h"
#include "x86/msr.h"

/* --- the way out --- */

/*
 * The preemption timer is to be set anew, and that may be all. Timers that are due are fired the
 * long way. The kick is looked at behind the timer: see run_ready_slow().
 */
static __attribute__((noinline)) unsigned warm_set_timer(struct vmx_vcpu *v, uint64_t now)
{
    const struct core *core = v->core;
    uint64_t first = tq_first_tsc(&core->timers), deadline = hv_min_u64(first, v->deadline_tsc);

    if (HV_UNLIKELY(!v->preemption_on || now >= deadline))
        return VMX_WARM_GO_ON;
    v->timer_tsc = first;
    v->timer_budget = v->timer_reload;
    vmcs_write(VMCS_PREEMPTION_TIMER_VALUE,
               hv_min_u64((deadline - now) >> v->preemption_shift, UINT32_MAX));
    return __atomic_load_n(&core->kick, __ATOMIC_RELAXED) ? VMX_WARM_GO_ON : VMX_WARM_ENTER;
}

static inline __attribute__((always_inline)) unsigned warm_ready(struct vmx_vcpu *v)
{
    if (HV_UNLIKELY(v->attention | lapic_attention(v->lapic) |
                    __atomic_load_n(&v->core->kick, __ATOMIC_RELAXED)))
        return VMX_WARM_GO_ON;
    if (HV_UNLIKELY(tq_first_tsc(&v->core->timers) != v->timer_tsc) ||
        HV_UNLIKELY(--v->timer_budget < 0))
        return warm_set_timer(v, rdtsc());
    return VMX_WARM_ENTER;
}

static __attribute__((noinline)) unsigned warm_done_unusual(struct vmx_vcpu *v, uint64_t length)
{
    vmx_advance_rip(v, (uint32_t)length);
    return warm_ready(v);
}

/* Moves RIP; says whether the guest can be entered at once. Nothing is called on the common way, so
 * that nothing has to be saved for it. */
static inline __attribute__((always_inline)) unsigned warm_done(struct vmx_vcpu *v,
                                                                enum vmexit_reason reason)
{
    const uint64_t flags = RFLAGS_TF | RFLAGS_RF;
    uint64_t length = vmcs_read(VMCS_EXIT_INSTRUCTION_LENGTH);
    uint64_t rip = vmcs_read(VMCS_GUEST_RIP);
    uint64_t next = rip + length, rflags = vmcs_read(VMCS_GUEST_RFLAGS), unusual;

    unusual = (rflags & flags) | (rip ^ next) >> 32;
    if (HV_UNLIKELY(rflags & v->blocking_matters))
        unusual |= vmcs_read(VMCS_GUEST_INTERRUPTIBILITY_STATE) & HOT_BLOCKING_ENDS;
    v->exits[reason]++;
    if (HV_UNLIKELY(unusual))
        return warm_done_unusual(v, length);
    vmcs_write(VMCS_GUEST_RIP, next);
    return warm_ready(v);
}

unsigned vmx_warm_refuse(struct vmx_vcpu *v)
{
    (void)v;
    return VMX_WARM_REFUSED;
}

/* --- MSRs that are a word in memory --- */

/* The rows of msr.def that read a value and at most replace some of its bits. */
struct plain_msr {
    uint32_t msr;
    uint16_t offset; /* in struct vmx_guest_msrs */
    bool writable;
    uint64_t mask;   /* of the bits that a write replaces; the others are ignored */
};

#define SLOTS 64
#define PLAIN_MSR(number, member, can_write, bits)                                                 \
    [(number) % SLOTS] = { number, offsetof(struct vmx_guest_msrs, member), can_write, bits }

/* A number has its place by its last bits; two at one place do not compile (-Woverride-init). */
static const struct plain_msr plain_msrs[SLOTS] = {
    [0] = { .msr = UINT32_MAX }, /* an empty place holds 0, which belongs here */
    PLAIN_MSR(MSR_IA32_APIC_BASE, apic_base, false, 0),
    PLAIN_MSR(MSR_IA32_TSC_ADJUST, tsc_adjust, false, 0),
    PLAIN_MSR(MSR_IA32_BIOS_SIGN_ID, bios_sign_id, true, 0),
    PLAIN_MSR(MSR_IA32_MISC_ENABLE, misc_enable, true, VMX_MISC_ENABLE_WRITABLE),
    PLAIN_MSR(MSR_IA32_MTRR_DEF_TYPE, mtrr_def_type, false, 0),
};

static inline const struct plain_msr *find_plain(uint32_t msr)
{
    const struct plain_msr *at = &plain_msrs[msr % SLOTS];

    return HV_LIKELY(at->msr == msr) ? at : NULL;
}

static inline uint64_t *plain_value(struct vmx_vcpu *v, const struct plain_msr *at)
{
    return (uint64_t *)((uint8_t *)&v->msrs + at->offset);
}

static inline bool is_apic_register(uint32_t msr)
{
    return msr - LAPIC_MSR_BASE <= LAPIC_MSR_LAST - LAPIC_MSR_BASE;
}

static inline unsigned rdmsr_done(struct vmx_vcpu *v, uint64_t value)
{
    v->gprs.r[X86_RAX] = (uint32_t)value;
    v->gprs.r[X86_RDX] = value >> 32;
    return warm_done(v, VMEXIT_RDMSR);
}

static __attribute__((noinline)) unsigned rdmsr_apic(struct vmx_vcpu *v, uint32_t msr)
{
    uint64_t value;

    if (!lapic_msr_read(v->lapic, msr, &value))
        return VMX_WARM_REFUSED;
    return rdmsr_done(v, value);
}

unsigned vmx_warm_rdmsr(struct vmx_vcpu *v)
{
    uint32_t msr = (uint32_t)v->gprs.r[X86_RCX];
    const struct plain_msr *plain = find_plain(msr);

    if (HV_LIKELY(plain != NULL))
        return rdmsr_done(v, *plain_value(v, plain));
    return is_apic_register(msr) ? rdmsr_apic(v, msr) : VMX_WARM_REFUSED;
}

static __attribute__((noinline)) unsigned wrmsr_apic(struct vmx_vcpu *v, uint32_t msr,
                                                     uint64_t value)
{
    return vmx_msr_write(v, msr, value) ? warm_done(v, VMEXIT_WRMSR) : VMX_WARM_REFUSED;
}

static __attribute__((noinline)) unsigned wrmsr_deadline_any(struct vmx_vcpu *v, uint64_t value)
{
    lapic_tsc_deadline_write(v->lapic, value);
    return warm_done(v, VMEXIT_WRMSR);
}

/* The timer has to find a new place among the core's. */
static __attribute__((noinline)) unsigned wrmsr_deadline_add(struct vmx_vcpu *v, uint64_t host)
{
    tq_add(&v->core->timers, &v->apic_timer, host);
    return warm_done(v, VMEXIT_WRMSR);
}

static __attribute__((noinline)) unsigned wrmsr_deadline(struct vmx_vcpu *v, uint64_t value)
{
    struct core *core = v->core;
    uint64_t host = value - v->tsc_offset;

    /* Both below 2^63: neither has wrapped. */
    if (HV_UNLIKELY((int64_t)(value | host) <= 0 || core->timers_shared) ||
        HV_UNLIKELY(!lapic_tsc_deadline_take(v->lapic, value)))
        return wrmsr_deadline_any(v, value);
    if (HV_UNLIKELY(!tq_move_in_place(&core->timers, &v->apic_timer, host)))
        return wrmsr_deadline_add(v, host);
    return warm_done(v, VMEXIT_WRMSR);
}

unsigned vmx_warm_wrmsr(struct vmx_vcpu *v)
{
    uint64_t value = (uint32_t)v->gprs.r[X86_RAX] | v->gprs.r[X86_RDX] << 32;
    uint32_t msr = (uint32_t)v->gprs.r[X86_RCX];
    const struct plain_msr *plain;
    uint64_t *at;

    if (msr == MSR_IA32_TSC_DEADLINE)
        return wrmsr_deadline(v, value);
    plain = find_plain(msr);
    if (HV_UNLIKELY(!plain))
        return is_apic_register(msr) ? wrmsr_apic(v, msr, value) : VMX_WARM_REFUSED;
    if (HV_UNLIKELY(!plain->writable))
        return VMX_WARM_REFUSED;
    at = plain_value(v, plain);
    *at = (*at & ~plain->mask) | (value & plain->mask);
    return warm_done(v, VMEXIT_WRMSR);
}

/* --- ports --- */

static unsigned warm_in32(struct vmx_vcpu *v, struct bus *bus, uint16_t port)
{
    int64_t value = bus_port_read32(bus, port);

    if (HV_UNLIKELY(value < 0))
        return VMX_WARM_REFUSED;
    v->gprs.r[X86_RAX] = (uint64_t)value;
    return warm_done(v, VMEXIT_IO_INSTRUCTION);
}

static unsigned warm_out8(struct vmx_vcpu *v, struct bus *bus, uint16_t port)
{
    if (HV_UNLIKELY(bus_port_write8(bus, port, (uint8_t)v->gprs.r[X86_RAX]) != BUS_DONE))
        return VMX_WARM_REFUSED;
    return warm_done(v, VMEXIT_IO_INSTRUCTION);
}

/* Size, direction and kind are five adjacent bits. */
unsigned vmx_warm_io(struct vmx_vcpu *v)
{
    uint64_t qualification = vmcs_read(VMCS_EXIT_QUALIFICATION);
    uint64_t kind = qualification & (VMX_IO_SIZE | VMX_IO_IN | VMX_IO_STRING);
    uint16_t port = vmx_io_access_decode(qualification).port;
    struct bus *bus = &v->vcpu.vm->bus;
    int value;

    if (HV_UNLIKELY(vmx_has_breakpoints(v)))
        return VMX_WARM_REFUSED;
    if (kind == VMX_IO_SIZE_1)
        return warm_out8(v, bus, port);
    if (kind == (VMX_IO_SIZE_4 | VMX_IO_IN))
        return warm_in32(v, bus, port);
    if (HV_UNLIKELY(kind != (VMX_IO_SIZE_1 | VMX_IO_IN)))
        return VMX_WARM_REFUSED;
    value = bus_port_read8(bus, port);
    if (HV_UNLIKELY(value < 0))
        return VMX_WARM_REFUSED;
    *(uint8_t *)&v->gprs.r[X86_RAX] = (uint8_t)value;
    return warm_done(v, VMEXIT_IO_INSTRUCTION);
}

/* --- the guest's deadline has come --- */

/*
 * A guest whose local APIC the processor runs, with nothing else to be done: the vector goes into
 * IRR and RVI, and the timer on to the next deadline. Another core's timers may be in the queue too;
 * those that go along with this one (core_timer_arm_patient) do so the long way.
 */
unsigned vmx_warm_timer(struct vmx_vcpu *v)
{
    struct timer_queue *timers = &v->core->timers;
    uint64_t now = rdtsc(), status;
    int vector;

    if (HV_UNLIKELY(timers->head.next != &v->apic_timer || v->apic_timer.deadline_tsc > now) ||
        HV_UNLIKELY(!v->apicv || v->core->timers_shared) ||
        HV_UNLIKELY(v->core->patient && v->core->patient_tsc <= now) ||
        HV_UNLIKELY(v->attention | lapic_attention(v->lapic)))
        return VMX_WARM_REFUSED;
    vector = lapic_tsc_deadline_expire(v->lapic);
    if (HV_UNLIKELY(vector < 0))
        return VMX_WARM_REFUSED;
    v->apic_timer_fires++;
    tq_remove(timers, &v->apic_timer);
    status = vmcs_read(VMCS_GUEST_INTERRUPT_STATUS);
    if (HV_LIKELY((uint64_t)vector > (status & 0xff)))
        vmcs_write(VMCS_GUEST_INTERRUPT_STATUS, (status & ~UINT64_C(0xff)) | (uint64_t)vector);
    v->exits[VMEXIT_PREEMPTION_TIMER]++;
    return warm_set_timer(v, now);
}
