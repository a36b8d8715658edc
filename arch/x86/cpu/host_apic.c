/*
 * The local APIC of the executing core, in xAPIC or x2APIC mode.
 *
 * Not here: the timer (host_timer.c), the choice of vectors (x86/trap.h).
 * Lock: none; each core has its own APIC. The mode and the register page are boot-once.
 * SDM volume 3 "Local APIC", "Extended XAPIC (x2APIC)", "Issuing Interprocessor Interrupts".
 */
#include "x86/host_apic.h"

#include "hv/log.h"
#include "hv/panic.h"
#include "x86/acpi_host.h"
#include "x86/apic_mode.h"
#include "x86/cpuid.h"
#include "x86/host_apic_regs.h"
#include "x86/host_paging.h"
#include "x86/insn.h"
#include "x86/kept.h"
#include "x86/msr.h"
#include "x86/percpu.h"
#include "x86/regs.h"
#include "x86/trap.h"

#define ICR_SPINS 1000000u

/* Boot-once. */
static bool x2apic;
static volatile uint8_t *xapic_page;
static uint8_t firmware_masks[2]; /* of the 8259As */
static uint32_t thermal_entry;    /* 0: not yet looked at */

bool host_apic_is_x2apic(void)
{
    return x2apic;
}

uint32_t apic_read(enum apic_register reg)
{
    if (x2apic)
        return (uint32_t)rdmsr(MSR_IA32_X2APIC_BASE + (reg >> 4));
    return mmio_read32(xapic_page + reg);
}

void apic_write(enum apic_register reg, uint32_t value)
{
    if (x2apic)
        wrmsr(MSR_IA32_X2APIC_BASE + (reg >> 4), value);
    else
        mmio_write32(xapic_page + reg, value);
}

uint32_t host_apic_id(void)
{
    if (cpuid(CPUID_LEAF_VENDOR, 0).eax >= CPUID_LEAF_TOPOLOGY) {
        struct cpuid_regs topology = cpuid(CPUID_LEAF_TOPOLOGY, 0);
        if (topology.ebx & 0xffff) /* the leaf is there */
            return topology.edx;
    }
    return cpuid(CPUID_LEAF_FEATURES, 0).ebx >> 24;
}

/* Everything masked; spurious interrupts of theirs would arrive at vectors that nobody else has. */
static void mask_8259s(void)
{
    static const struct {
        uint16_t port;
        uint8_t value;
    } writes[] = {
        { 0x21, 0xff }, { 0xa1, 0xff },                   /* OCW1: mask all */
        { 0x20, 0x11 }, { 0xa0, 0x11 },                   /* ICW1: edge, cascade, ICW4 follows */
        { 0x21, HOST_VECTOR_PIC_MASTER }, { 0xa1, HOST_VECTOR_PIC_SLAVE }, /* ICW2 */
        { 0x21, 0x04 }, { 0xa1, 0x02 },                   /* ICW3 */
        { 0x21, 0x01 }, { 0xa1, 0x01 },                   /* ICW4: 8086 mode */
        { 0x21, 0xff }, { 0xa1, 0xff },
    };

    for (size_t i = 0; i < HV_ARRAY_COUNT(writes); i++)
        out8(writes[i].port, writes[i].value);
}

/* Firmware's vectors can't be read back, so they stay; masked, nothing is delivered. */
static void mask_firmware_8259s(void)
{
    firmware_masks[0] = in8(0x21);
    firmware_masks[1] = in8(0xa1);
    out8(0x21, 0xff);
    out8(0xa1, 0xff);
}

static bool choose_x2apic(bool supported, uint64_t base)
{
    const struct acpi_host *acpi = acpi_host();
    uint32_t highest = 0;

    for (unsigned i = 0; i < acpi->core_count; i++)
        highest = (uint32_t)hv_max_u64(highest, acpi->apic_ids[i]);
    bool chosen = apic_mode_is_x2apic(supported, base, acpi->x2apic_opt_out, highest);
    if (supported && !chosen)
        hv_info("local APIC: firmware asks not to enter x2APIC mode (DMAR); it stays in xAPIC mode");
    return chosen;
}

void host_apic_init(void)
{
    struct cpuid_regs features = cpuid(CPUID_LEAF_FEATURES, 0);
    uint64_t base;

    if (!(features.edx & CPUID_1_EDX_APIC))
        hv_panic("the boot core's local APIC is switched off or missing");
    base = rdmsr(MSR_IA32_APIC_BASE);
    if (kept_is_on()) {
        mask_firmware_8259s();
        x2apic = base & APIC_BASE_EXTD;
    } else {
        mask_8259s();
        x2apic = choose_x2apic(features.ecx & CPUID_1_ECX_X2APIC, base);
    }
    if (x2apic)
        return;
    base &= APIC_BASE_ADDRESS;
    xapic_page = host_map_mmio(base, HV_PAGE_BYTES);
    if (!xapic_page)
        hv_panic("the local APIC's registers at %#llx cannot be mapped", (unsigned long long)base);
}

/* Brings IA32_APIC_BASE into the mode, and looks whether it got there. */
static enum hv_err enter_mode(void)
{
    uint64_t base = rdmsr(MSR_IA32_APIC_BASE), writes[2];
    unsigned count;
    enum hv_err err = apic_mode_plan(base, x2apic, kept_is_on(), writes, &count);

    if (err)
        return err;
    for (unsigned i = 0; i < count; i++)
        if (!wrmsr_safe(MSR_IA32_APIC_BASE, writes[i]))
            return HV_ERR_UNSUPPORTED;
    base = rdmsr(MSR_IA32_APIC_BASE);
    if (!(base & APIC_BASE_EN) || (x2apic && !(base & APIC_BASE_EXTD)))
        return HV_ERR_UNSUPPORTED;
    if (!x2apic && (base & APIC_BASE_ADDRESS) != (uint64_t)xapic_page)
        return HV_ERR_UNSUPPORTED;
    return HV_OK;
}

/* What firmware left in service would block everything of the same or a lower priority. */
static void finish_in_service(void)
{
    for (unsigned i = 0; i < 256; i++) {
        uint32_t any = 0;
        for (unsigned reg = 0; reg < 8; reg++)
            any |= apic_read(APIC_ISR + 0x10 * reg);
        if (!any)
            return;
        host_apic_eoi();
    }
}

static unsigned highest_local_vector(void)
{
    return apic_read(APIC_VERSION) >> 16 & 0xff;
}

static void mask_local_vectors(void)
{
    unsigned highest = highest_local_vector();

    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
    apic_write(APIC_LVT_LINT0, APIC_LVT_MASKED);
    apic_write(APIC_LVT_LINT1, APIC_LVT_MASKED | APIC_LVT_DELIVERY_NMI);
    apic_write(APIC_LVT_ERROR, APIC_LVT_MASKED);
    if (highest >= 4)
        apic_write(APIC_LVT_PERFORMANCE, APIC_LVT_MASKED);
    if (highest >= 5)
        apic_write(APIC_LVT_THERMAL, APIC_LVT_MASKED);
    if (highest >= 6)
        apic_write(APIC_LVT_CMCI, APIC_LVT_MASKED);
}

/* Firmware that keeps the machine cool in system-management mode has its interrupt at the thermal
 * sensor. INIT takes it from the other cores: they get the boot core's, which is looked at first. */
static void look_at_thermal_entry(void)
{
    if (thermal_entry || highest_local_vector() < 5)
        return;
    thermal_entry = apic_read(APIC_LVT_THERMAL) & ~APIC_LVT_READ_ONLY;
    if ((thermal_entry & APIC_LVT_DELIVERY) != APIC_LVT_DELIVERY_SMI)
        thermal_entry = APIC_LVT_MASKED;
}

/* Entries can be unmasked only in an APIC that is switched on, and switching it off masks them. */
static void open_local_vectors(void)
{
    apic_write(APIC_LVT_LINT1, APIC_LVT_DELIVERY_NMI);
    if (highest_local_vector() >= 5)
        apic_write(APIC_LVT_THERMAL, thermal_entry);
}

/* --- an APIC that firmware wants back --- */

static bool has_deadline(void)
{
    return cpuid(CPUID_LEAF_FEATURES, 0).ecx & CPUID_1_ECX_TSC_DEADLINE;
}

/* A local vector's entry without what can't be written. */
static uint32_t entry_of(enum apic_register reg)
{
    return apic_read(reg) & ~APIC_LVT_READ_ONLY;
}

void host_apic_read(struct kept_apic *apic)
{
    unsigned highest = highest_local_vector();

    apic->tpr = apic_read(APIC_TPR);
    apic->spurious = apic_read(APIC_SPURIOUS);
    apic->timer = entry_of(APIC_LVT_TIMER);
    apic->lint0 = entry_of(APIC_LVT_LINT0);
    apic->lint1 = entry_of(APIC_LVT_LINT1);
    apic->error = entry_of(APIC_LVT_ERROR);
    apic->divide = apic_read(APIC_DIVIDE);
    apic->initial = apic_read(APIC_INITIAL_COUNT);
    apic->current = apic_read(APIC_CURRENT_COUNT);
    apic->performance = highest >= 4 ? entry_of(APIC_LVT_PERFORMANCE) : 0;
    apic->thermal = highest >= 5 ? entry_of(APIC_LVT_THERMAL) : 0;
    apic->cmci = highest >= 6 ? entry_of(APIC_LVT_CMCI) : 0;
    apic->deadline = has_deadline() ? rdmsr(MSR_IA32_TSC_DEADLINE) : 0;
    apic->saved = true;
}

/* Takes what is requested of the host's own vectors; those of devices are held back by the TPR. */
static void drain_own(void)
{
    for (unsigned i = 0; i < 256; i++) {
        if (!(apic_read(APIC_IRR + 0x70) >> (HOST_VECTOR_TIMER % 32)))
            return;
        sti_nop_cli();
    }
}

/* The timer comes last but for the TPR: it may interrupt at once. In deadline mode the entry must
 * have been written before the deadline. */
static void give_back_timer(const struct kept_apic *before)
{
    apic_write(APIC_DIVIDE, before->divide);
    apic_write(APIC_LVT_TIMER, before->timer);
    mfence();
    if (before->deadline)
        wrmsr(MSR_IA32_TSC_DEADLINE, before->deadline);
    else
        apic_write(APIC_INITIAL_COUNT, kept_apic_count(before));
}

void host_apic_give_back(const struct kept_apic *before)
{
    unsigned highest;

    if (!before->saved)
        return;
    highest = highest_local_vector();
    host_timer_stop();
    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
    drain_own();
    apic_write(APIC_ERROR_STATUS, 0);
    apic_write(APIC_SPURIOUS, before->spurious); /* entries keep their masks while it is off */
    apic_write(APIC_LVT_LINT0, before->lint0);
    apic_write(APIC_LVT_LINT1, before->lint1);
    apic_write(APIC_LVT_ERROR, before->error);
    if (highest >= 4)
        apic_write(APIC_LVT_PERFORMANCE, before->performance);
    if (highest >= 5)
        apic_write(APIC_LVT_THERMAL, before->thermal);
    if (highest >= 6)
        apic_write(APIC_LVT_CMCI, before->cmci);
    give_back_timer(before);
    apic_write(APIC_TPR, before->tpr);
    if (this_cpu()->index != 0)
        return;
    out8(0x21, firmware_masks[0]);
    out8(0xa1, firmware_masks[1]);
}

enum hv_err host_apic_init_core(void)
{
    struct kept_core *kept = kept_of(this_cpu());
    enum hv_err err = enter_mode();

    if (err)
        return err;
    if (kept)
        host_apic_read(&kept->apic);
    look_at_thermal_entry();
    mask_local_vectors();
    /* An interrupt with an exception's vector would be taken for the exception. */
    apic_write(APIC_TPR, kept ? APIC_TPR_DEVICES : APIC_TPR_EXCEPTIONS);
    apic_write(APIC_SPURIOUS, APIC_SPURIOUS_ENABLE | HOST_VECTOR_SPURIOUS);
    open_local_vectors();
    apic_write(APIC_LVT_ERROR, HOST_VECTOR_APIC_ERROR);
    apic_write(APIC_ERROR_STATUS, 0); /* a write, then a read, gives and clears what was latched */
    if (!kept)
        finish_in_service();
    return HV_OK;
}

bool host_apic_in_service(uint8_t vector)
{
    return apic_read(APIC_ISR + 0x10 * (vector / 32u)) >> (vector % 32) & 1;
}

bool host_apic_requested(uint8_t vector)
{
    return apic_read(APIC_IRR + 0x10 * (vector / 32u)) >> (vector % 32) & 1;
}

/* --- an APIC that is a guest's for a while --- */

static bool is_requested(void)
{
    for (unsigned reg = 1; reg < 8; reg++) /* vectors below 32 are held back */
        if (apic_read(APIC_IRR + 0x10 * reg))
            return true;
    return false;
}

/* Takes every interrupt that waits, whoever it was meant for. Handlers of the host only wake. */
static void drain(void)
{
    for (unsigned i = 0; i < 256; i++) {
        finish_in_service();
        if (!is_requested())
            return;
        sti_nop_cli();
    }
}

static void stop_timer(void)
{
    wrmsr(MSR_IA32_TSC_DEADLINE, 0);
    apic_write(APIC_INITIAL_COUNT, 0);
    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
}

void host_apic_lend(uint32_t spurious)
{
    stop_timer();
    drain();
    apic_write(APIC_LVT_ERROR, APIC_LVT_MASKED);
    apic_write(APIC_DIVIDE, 0);
    apic_write(APIC_ERROR_STATUS, 0);
    apic_write(APIC_ERROR_STATUS, 0); /* the second write clears what the first has shown */
    __atomic_store_n(&this_cpu()->apic_lent, 1, __ATOMIC_RELAXED);
    host_apic_lent_svr(spurious);
    apic_write(APIC_TPR, 0);
}

void host_apic_lent_svr(uint32_t spurious)
{
    apic_write(APIC_SPURIOUS, spurious);
    if (spurious & APIC_SPURIOUS_ENABLE)
        open_local_vectors();
}

void host_apic_take_back(void)
{
    stop_timer();
    __atomic_store_n(&this_cpu()->apic_lent, 0, __ATOMIC_RELAXED);
    if (host_apic_init_core())
        hv_panic("core %u: the local APIC cannot be taken back", this_cpu()->index);
    drain();
}

void host_apic_self_ipi(uint8_t vector)
{
    apic_write(APIC_SELF_IPI, vector);
}

void host_apic_eoi(void)
{
    if (HV_LIKELY(x2apic))
        wrmsr(MSR_IA32_X2APIC_EOI, 0);
    else
        apic_write(APIC_EOI, 0);
}

/* xAPIC: a new command may only be written when the last one has been sent. */
static void wait_for_icr(void)
{
    for (unsigned i = 0; i < ICR_SPINS && (apic_read(APIC_ICR_LOW) & APIC_ICR_PENDING); i++)
        cpu_pause();
}

static void send(uint32_t apic_id, uint32_t command)
{
    uint64_t flags;

    if (x2apic) {
        mfence(); /* WRMSR to the x2APIC does not wait for stores that the receiver shall see */
        lfence();
        wrmsr(MSR_IA32_X2APIC_ICR, (uint64_t)apic_id << 32 | command);
        return;
    }
    flags = read_rflags();
    cli();
    wait_for_icr();
    apic_write(APIC_ICR_HIGH, apic_id << 24);
    apic_write(APIC_ICR_LOW, command);
    wait_for_icr();
    if (flags & RFLAGS_IF)
        sti();
}

void host_apic_send(uint32_t apic_id, uint8_t vector)
{
    send(apic_id, APIC_ICR_ASSERT | vector);
}

void host_apic_send_nmi(uint32_t apic_id)
{
    send(apic_id, APIC_ICR_ASSERT | APIC_ICR_NMI);
}

void host_apic_send_init(uint32_t apic_id)
{
    send(apic_id, APIC_ICR_ASSERT | APIC_ICR_INIT);
}

void host_apic_send_startup(uint32_t apic_id, uint32_t page_address)
{
    send(apic_id, APIC_ICR_ASSERT | APIC_ICR_STARTUP | (page_address >> 12 & 0xff));
}

void host_apic_broadcast_init(void)
{
    send(0, APIC_ICR_ASSERT | APIC_ICR_INIT | APIC_ICR_ALL_BUT_SELF);
}

void host_apic_broadcast_startup(uint32_t page_address)
{
    send(0, APIC_ICR_ASSERT | APIC_ICR_STARTUP | APIC_ICR_ALL_BUT_SELF |
                (page_address >> 12 & 0xff));
}
