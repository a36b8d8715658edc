/*
 * What INIT does to a core's local APIC, which a VM exit for INIT leaves undone: everything masked,
 * switched off by software, nothing in service. Mode and id stay. What has been requested stays
 * requested, since no write takes that back: systems look for such leftovers as they set up a core.
 *
 * The guest's APIC is the machine's, in whichever mode the guest has put it; its page is mapped
 * before the first guest runs, at the address that firmware uses. A guest that has moved it away
 * finds its registers unchanged by INIT, as the APIC cannot be reached then.
 * No lock: the core's own.
 * SDM volume 3 "Local APIC State After It Receives an INIT-Deassert IPI", "x2APIC State Transitions".
 */
#include "arch/x86/vmx/thin_internal.h"
#include "x86/host_apic_regs.h"
#include "x86/host_paging.h"
#include "x86/msr.h"

#define SVR_INIT 0xffu
#define VECTORS 256
#define LVT_CMCI 6u /* of the version register's "Max LVT Entry" */

/* Boot-once. */
static volatile uint8_t *page;
static uint64_t page_address;

void thin_apic_prepare(void)
{
    page_address = rdmsr(MSR_IA32_APIC_BASE) & APIC_BASE_ADDRESS;
    page = host_map_mmio(page_address, HV_PAGE_BYTES);
}

static void write_register(uint64_t base, uint32_t offset, uint32_t value)
{
    if (base & APIC_BASE_EXTD)
        wrmsr(MSR_IA32_X2APIC_BASE + offset / 16, value);
    else
        mmio_write32(page + offset, value);
}

static uint32_t read_register(uint64_t base, uint32_t offset)
{
    if (base & APIC_BASE_EXTD)
        return (uint32_t)rdmsr(MSR_IA32_X2APIC_BASE + offset / 16);
    return mmio_read32(page + offset);
}

static bool is_reachable(uint64_t base)
{
    if (!(base & APIC_BASE_EN))
        return false;
    return (base & APIC_BASE_EXTD) || (page && (base & APIC_BASE_ADDRESS) == page_address);
}

static bool anything_in_service(uint64_t base)
{
    for (uint32_t word = 0; word < VECTORS / 32; word++) {
        if (read_register(base, APIC_ISR + 16 * word))
            return true;
    }
    return false;
}

void thin_apic_init(void)
{
    uint64_t base = rdmsr(MSR_IA32_APIC_BASE);
    uint32_t most;

    if (!is_reachable(base))
        return;
    most = read_register(base, APIC_VERSION) >> 16 & 0xff;
    for (unsigned i = 0; i < VECTORS && anything_in_service(base); i++)
        write_register(base, APIC_EOI, 0);
    write_register(base, APIC_INITIAL_COUNT, 0);
    for (uint32_t i = 0; i <= hv_min_u64(most, 5); i++)
        write_register(base, APIC_LVT_TIMER + 16 * i, APIC_LVT_MASKED);
    if (most >= LVT_CMCI)
        write_register(base, APIC_LVT_CMCI, APIC_LVT_MASKED);
    if (!(base & APIC_BASE_EXTD)) {
        write_register(base, APIC_LDR, 0);
        write_register(base, APIC_DFR, UINT32_MAX);
    }
    write_register(base, APIC_TPR, 0);
    write_register(base, APIC_DIVIDE, 0);
    write_register(base, APIC_SPURIOUS, SVR_INIT);
}

/* By its id: the shorthand for "self" does not take NMIs. SDM "Interrupt Command Register (ICR)". */
void thin_apic_send_nmi(void)
{
    uint64_t base = rdmsr(MSR_IA32_APIC_BASE);
    uint32_t id = this_cpu()->apic_id;

    if (!is_reachable(base))
        return;
    if (base & APIC_BASE_EXTD) {
        wrmsr(MSR_IA32_X2APIC_ICR, (uint64_t)id << 32 | APIC_ICR_NMI | APIC_ICR_ASSERT);
        return;
    }
    /* The guest may be between its own two writes. */
    uint32_t high = read_register(base, APIC_ICR_HIGH);
    write_register(base, APIC_ICR_HIGH, id << 24);
    write_register(base, APIC_ICR_LOW, APIC_ICR_NMI | APIC_ICR_ASSERT);
    write_register(base, APIC_ICR_HIGH, high);
}
