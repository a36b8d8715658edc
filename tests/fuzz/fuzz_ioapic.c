// SRCS: vmm/devices/ioapic.c
/*
 * I/O APIC under any sequence of accesses, pin changes and EOIs. Its own `check` must hold always,
 * and no level-triggered pin may be forgotten.
 */
#include "fake.h"
#include "hv/dev_ioapic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void deliver(void *context, const struct irq_message *message)
{
    (void)context;
    if (message->level_triggered && message->delivery > IRQ_LOWEST)
        abort();
}

static void check(const struct ioapic *ioapic)
{
    if (!ioapic->device.ops->check(&ioapic->state))
        abort();
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        uint64_t entry = ioapic->state.entry[pin];
        bool fixed = (entry >> IOAPIC_RTE_DELIVERY_SHIFT & 7) <= IRQ_LOWEST;
        if ((entry & IOAPIC_RTE_LEVEL) && fixed && !(entry & IOAPIC_RTE_MASKED) &&
            (ioapic->state.lines >> pin & 1) && !(entry & IOAPIC_RTE_REMOTE_IRR))
            abort(); /* active, unmasked, and not under way */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ioapic ioapic;
    struct irq_sink sink = { deliver, NULL };

    ioapic_init(&ioapic, &sink, IOAPIC_PINS);
    for (size_t at = 0; at + 6 <= size && at < 6 * 500; at += 6) {
        const uint8_t *op = data + at;
        uint64_t value = (uint64_t)op[2] << 24 | op[3] << 16 | op[4] << 8 | op[5];
        unsigned bytes = 1u << (op[0] >> 3 & 3);

        switch (op[0] & 7) {
        case 0:
            ioapic_set_line(&ioapic, op[1], op[2] & 1);
            break;
        case 1:
            ioapic_eoi(&ioapic, op[1]);
            break;
        case 2:
            fake_access(&ioapic.device, 0, BUS_MMIO, 0, 4, true, op[1], NULL);
            fake_access(&ioapic.device, 0, BUS_MMIO, 0x10, 4, true, value, NULL);
            break;
        case 3:
            fake_access(&ioapic.device, 0, BUS_MMIO, op[1], bytes, false, 0, NULL);
            break;
        case 4:
            ioapic.device.ops->reset(&ioapic.device);
            break;
        default:
            fake_access(&ioapic.device, 0, BUS_MMIO, op[1] | (op[0] & 0x20) << 3, bytes, true,
                        value << 32 | value, NULL);
            break;
        }
        check(&ioapic);
    }
    return 0;
}
