// SRCS: vmm/devices/pci_host.c
/*
 * PCI configuration space by ports and ECAM, with a function that has BARs and capabilities: what
 * is read-only stays, and a BAR that decodes never wraps.
 */
#include "fake.h"
#include "hv/dev_pci_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct pci_host host;
static struct pci_function function;
static uint8_t config[4096], writable[4096], clears[4096];

static void request(void *context, enum vm_request what, unsigned status)
{
    (void)context;
    if (what != VM_REQUEST_RESET || status != 0)
        abort();
}

static void check(const uint8_t *before)
{
    uint64_t base, bytes;

    if (!host.device.ops->check(&host.state))
        abort();
    for (unsigned i = 0; i < sizeof(config); i++) {
        if ((config[i] ^ before[i]) & ~writable[i] & ~clears[i])
            abort();
    }
    for (unsigned i = 0; i < 8; i++) {
        if (pci_function_bar(&function, i, &base, &bytes) &&
            (base + bytes <= base || (base & (bytes - 1)) != 0))
            abort();
    }
}

static void set_up(uint8_t kind)
{
    static const struct vm_control control = { request, NULL };
    struct irq_line wires[4] = { 0 };

    memset(config, 0, sizeof(config));
    memset(writable, 0, sizeof(writable));
    memset(clears, 0, sizeof(clears));
    function = (struct pci_function){ .devfn = PCI_DEVFN(1, 0),
                                      .config_bytes = kind & 1 ? 4096 : 256,
                                      .config = config, .writable = writable,
                                      .write_1_clears = clears };
    pci_host_init(&host, 0xE0000000, wires, &control);
    pci_function_identify(&function, 0x1AF4, 0x1042, 0x010000, 1);
    (void)!pci_function_set_bar(&function, 0, PCI_BAR_IO, 4u << (kind >> 5), false);
    (void)!pci_function_set_bar(&function, 1, PCI_BAR_MEMORY32, UINT64_C(16) << (kind >> 3), true);
    (void)!pci_function_set_bar(&function, 4, PCI_BAR_MEMORY64, UINT64_C(16) << (kind >> 2), true);
    pci_function_add_capability(&function, 9, 20);
    clears[PCI_STATUS + 1] = 0xF9;
    config[PCI_INTERRUPT_PIN] = 1;
    if (pci_host_add(&host, &function) != HV_OK)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t before[4096];

    if (size < 1)
        return 0;
    set_up(data[0]);
    memcpy(before, config, sizeof(before));
    for (size_t at = 1; at + 8 <= size && at < 8 * 300; at += 8) {
        const uint8_t *op = data + at;
        uint64_t value = (uint64_t)op[4] << 24 | op[5] << 16 | op[6] << 8 | op[7];
        uint32_t offset = (uint32_t)op[1] << 16 | op[2] << 8 | op[3];
        unsigned bytes = 1u << (op[0] >> 3 & 3);
        bool write = op[0] & 0x80;

        switch (op[0] & 7) {
        case 0:
            fake_access(&host.device, PCI_HOST_PORTS, BUS_PORT, op[1] & 7, bytes & 7, write,
                        value << 32 | value, NULL);
            break;
        case 1: /* aimed at the function */
            fake_access(&host.device, PCI_HOST_PORTS, BUS_PORT, 0, 4, true,
                        0x80000800 | (op[2] & 0xFC), NULL);
            fake_access(&host.device, PCI_HOST_PORTS, BUS_PORT, 4 + (op[3] & 3), bytes & 7, write,
                        value, NULL);
            break;
        case 2:
            pci_host_set_intx(&host, &function, op[1] & 1);
            break;
        case 3:
            fake_access(&host.device, PCI_HOST_ECAM, BUS_MMIO, 0x8000 | (offset & 0xFFF), bytes,
                        write, value << 32 | value, NULL);
            break;
        case 4:
            host.device.ops->reset(&host.device);
            break;
        default:
            fake_access(&host.device, PCI_HOST_ECAM, BUS_MMIO, offset & 0xFFFFF, bytes, write,
                        value << 32 | value, NULL);
            break;
        }
        check(before);
    }
    return 0;
}
