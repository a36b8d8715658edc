/*
 * The PC that a VM sees: which devices, at which addresses, with which interrupt lines.
 *
 * A legacy interrupt runs to the PIC and to the I/O APIC, as on a board: ISA interrupt n to input n
 * of both, except that interrupt 0 (PIT) is input 2 of the I/O APIC; the ACPI tables say so.
 * Interrupts are edges but for the SCI and the PCI wires, which are levels.
 *
 * A hardware-reduced machine (`platform = reduced`) is the same without what ACPI calls legacy
 * hardware: its interrupts are the I/O APIC's, its timers the local APICs'.
 *
 * Lock: the bus lock of the VM.
 */
#include "hv/platform.h"

#include "hv/acpi_tables.h"
#include "hv/arch_ops.h"
#include "hv/console.h"
#include "hv/dev_acpi_pm.h"
#include "hv/dev_acpi_sleep.h"
#include "hv/dev_debug_exit.h"
#include "hv/dev_i8042.h"
#include "hv/dev_ioapic.h"
#include "hv/dev_isa_misc.h"
#include "hv/dev_latches.h"
#include "hv/dev_pci_host.h"
#include "hv/dev_pic8259.h"
#include "hv/dev_pit8254.h"
#include "hv/dev_rtc.h"
#include "hv/dev_uart16550.h"
#include "hv/log.h"
#include "hv/machine.h"
#include "hv/page_alloc.h"
#include "hv/panic.h"
#include "hv/string.h"

#define COM1_PORT 0x3f8u
#define COM1_IRQ 4u
#define ACPI_AREA 0xe0000u
/* Four PCI wires, COM1, and three that nobody drives. A kernel writes each one's entry several times
 * while it starts, with an exit for each half. */
#define REDUCED_PINS 8u
/* Above PCI configuration mechanism #1. */
#define LATCH_PORTS 0x2000u
#define PCI_WINDOW_START UINT64_C(0xC0000000)
#define PCI_WINDOW_BYTES UINT64_C(0x20000000)

struct platform {
    struct vm *vm;
    struct vm_control control;
    struct console_stream stream;
    struct uart16550 com1;
    struct pic8259 pic;
    struct pit8254 pit;
    struct rtc rtc;
    struct ioapic ioapic;
    struct acpi_pm pm;
    struct acpi_sleep sleep;
    struct pci_host pci;
    struct i8042 i8042;
    struct isa_misc misc;
    struct debug_exit debug_exit;
    struct latches latches;
    bool pci_wires[4];
    bool reduced;
    /* Each alone in its page: the guest reads them. */
    _Alignas(HV_PAGE_BYTES) uint32_t ioapic_page[HV_PAGE_BYTES / 4];
    _Alignas(HV_PAGE_BYTES) uint8_t pci_bridge_page[HV_PAGE_BYTES];
    _Alignas(HV_PAGE_BYTES) uint8_t pci_nobody_page[HV_PAGE_BYTES];
};

/* --- wires --- */

/* An ISA interrupt line. */
static void isa_line_set(void *context, unsigned irq, bool level)
{
    struct platform *p = context;

    if (!p->reduced)
        pic8259_set_line(&p->pic, irq, level);
    ioapic_set_line(&p->ioapic, irq == 0 ? 2 : irq, level);
}

/* PCI wires A to D are inputs 16 to 19 of the I/O APIC and interrupts 10 and 11 of the PIC; without
 * one, inputs 0 to 3. */
static void pci_wire_set(void *context, unsigned wire, bool level)
{
    struct platform *p = context;

    wire &= 3;
    p->pci_wires[wire] = level;
    ioapic_set_line(&p->ioapic, p->reduced ? ACPI_PCI_GSI_REDUCED(wire) : ACPI_PCI_GSI(wire), level);
    if (!p->reduced)
        pic8259_set_line(&p->pic, 10 + (wire & 1),
                         p->pci_wires[wire & 1] || p->pci_wires[(wire & 1) + 2]);
}

static void pic_output(void *context, unsigned line, bool level)
{
    struct platform *p = context;

    (void)line;
    arch_vm_set_pic_output(p->vm, level);
}

static void deliver(void *context, const struct irq_message *message)
{
    struct platform *p = context;

    arch_vm_deliver(p->vm, message);
}

static void control_request(void *context, enum vm_request what, unsigned status)
{
    struct platform *p = context;

    if (what == VM_REQUEST_RESET)
        vm_reset(p->vm);
    else if (what == VM_REQUEST_EXIT)
        vm_stop(p->vm, status & 0xff, "debug-exit");
    else
        vm_stop(p->vm, 0, "power-off");
}

static void com1_put(void *context, uint8_t byte)
{
    struct platform *p = context;
    char c = (char)byte;

    console_write_guest(&p->stream, &c, 1);
}

static struct irq_line isa_line(struct platform *p, unsigned irq)
{
    return (struct irq_line){ isa_line_set, p, irq };
}

/* --- building --- */

static void make_interrupt_controllers(struct platform *p)
{
    const struct irq_sink sink = { deliver, p };

    pic8259_init(&p->pic, &(struct pic8259_wiring){ .intr = { pic_output, p, 0 } });
    ioapic_init(&p->ioapic, &sink, p->reduced ? REDUCED_PINS : IOAPIC_PINS);
}

static void make_legacy(struct platform *p)
{
    struct hv_clock *clock = &p->vm->clock.clock;
    const struct irq_line none = { NULL, NULL, 0 };
    uint64_t high = 0, low = 0;

    for (unsigned i = 0; i < p->vm->memory.count; i++) {
        const struct gpa_slot *slot = &p->vm->memory.slots[i];
        *(slot->start.v < PLATFORM_HIGH_RAM_START ? &low : &high) += slot->bytes;
    }
    uart16550_init(&p->com1, &(struct uart16550_wiring){ .clock = clock,
                                                         .irq = isa_line(p, COM1_IRQ),
                                                         .out = { com1_put, p } });
    pit8254_init(&p->pit, &(struct pit8254_wiring){ .clock = clock, .irq = isa_line(p, 0) });
    rtc_init(&p->rtc, &(struct rtc_wiring){ .clock = clock,
                                            .irq = isa_line(p, 8),
                                            .memory_below_4g_bytes = low,
                                            .memory_above_4g_bytes = high });
    i8042_init(&p->i8042, &(struct irq_line){ isa_line_set, p, 1 },
               &(struct irq_line){ isa_line_set, p, 12 }, &none, &p->control);
    latches_init(&p->latches);
    isa_misc_init(&p->misc, &none, &p->control);
    debug_exit_init(&p->debug_exit, &p->control);
}

static void make_acpi_and_pci(struct platform *p)
{
    const struct irq_line sci = isa_line(p, PLATFORM_SCI_IRQ);
    struct irq_line wires[4];

    for (unsigned i = 0; i < 4; i++)
        wires[i] = (struct irq_line){ pci_wire_set, p, i };
    acpi_pm_init(&p->pm, &p->vm->clock.clock, &sci, &p->control);
    acpi_sleep_init(&p->sleep, &p->control);
    pci_host_init(&p->pci, PLATFORM_ECAM_BASE, wires, &p->control);
}

/* The address map. */
static enum hv_err attach_all(struct platform *p)
{
    const enum { BOTH, PC, REDUCED } mine = p->reduced ? REDUCED : PC;
    const struct {
        unsigned platform;
        enum bus_space space;
        uint64_t start, bytes;
        struct device *device;
        unsigned tag;
    } map[] = {
        { BOTH, BUS_PORT, COM1_PORT, UART16550_PORTS, &p->com1.dev, 0 },
        { PC, BUS_PORT, 0x20, PIC8259_PORTS, &p->pic.dev, PIC8259_TAG_MASTER },
        { PC, BUS_PORT, 0xa0, PIC8259_PORTS, &p->pic.dev, PIC8259_TAG_SLAVE },
        { PC, BUS_PORT, 0x4d0, PIC8259_PORTS, &p->pic.dev, PIC8259_TAG_ELCR },
        { PC, BUS_PORT, 0x40, PIT8254_PORTS, &p->pit.dev, PIT8254_TAG_COUNTERS },
        { PC, BUS_PORT, 0x61, 1, &p->pit.dev, PIT8254_TAG_PORT61 },
        { PC, BUS_PORT, 0x70, RTC_PORTS, &p->rtc.dev, RTC_TAG_STANDARD },
        { PC, BUS_PORT, 0x72, RTC_PORTS, &p->rtc.dev, RTC_TAG_EXTENDED },
        { PC, BUS_PORT, PLATFORM_PM_PORT, ACPI_PM_REGION_BYTES, &p->pm.device, 0 },
        { REDUCED, BUS_PORT, PLATFORM_PM_PORT, ACPI_SLEEP_REGION_BYTES, &p->sleep.device, 0 },
        { BOTH, BUS_PORT, PCI_HOST_PORT, PCI_HOST_PORT_BYTES, &p->pci.device, PCI_HOST_PORTS },
        { PC, BUS_PORT, I8042_DATA_PORT, 1, &p->i8042.device, I8042_DATA },
        { PC, BUS_PORT, I8042_COMMAND_PORT, 1, &p->i8042.device, I8042_COMMAND },
        { BOTH, BUS_PORT, ISA_POST_PORT, 1, &p->misc.device, ISA_MISC_POST },
        { BOTH, BUS_PORT, ISA_DELAY_PORT, 1, &p->misc.device, ISA_MISC_DELAY },
        { PC, BUS_PORT, ISA_PORT92, 1, &p->misc.device, ISA_MISC_PORT92 },
        { BOTH, BUS_PORT, DEBUG_EXIT_PORT, DEBUG_EXIT_PORT_BYTES, &p->debug_exit.device, 0 },
        { BOTH, BUS_MMIO, IOAPIC_DEFAULT_BASE, IOAPIC_REGION_BYTES, &p->ioapic.device, 0 },
        { BOTH, BUS_MMIO, PLATFORM_ECAM_BASE, PCI_HOST_ECAM_BYTES, &p->pci.device, PCI_HOST_ECAM },
    };

    for (unsigned i = 0; i < HV_ARRAY_COUNT(map); i++) {
        if (map[i].platform != BOTH && map[i].platform != mine)
            continue;
        enum hv_err err = bus_add(&p->vm->bus, map[i].space, map[i].start, map[i].bytes,
                                  map[i].device, map[i].tag);
        if (err != HV_OK) {
            hv_error("vm %s: no room on the bus for 0x%llx", p->vm->config->name,
                     (unsigned long long)map[i].start);
            return err;
        }
    }
    return HV_OK;
}

/* For measurements: half of them are ports, half are memory. */
static enum hv_err attach_latches(struct platform *p)
{
    enum hv_err err = HV_OK;

    for (unsigned i = 0; i < p->vm->config->latches && err == HV_OK; i++) {
        bool memory = i & 1;
        err = bus_add(&p->vm->bus, memory ? BUS_MMIO : BUS_PORT,
                      memory ? PCI_WINDOW_START + PCI_WINDOW_BYTES - (i + 1) * HV_PAGE_BYTES
                             : LATCH_PORTS + i * LATCH_BYTES,
                      LATCH_BYTES, &p->latches.device, i);
    }
    if (err != HV_OK)
        hv_error("vm %s: no room on the bus for %u latches", p->vm->config->name,
                 p->vm->config->latches);
    return err;
}

/* Configuration space by memory: what is read there has no side effects, so the guest reads it from
 * pages that are kept up to date. Places without a function are the same page of ones. */
static enum hv_err attach_pci_mirror(struct platform *p)
{
    enum hv_err err = HV_OK;

    memset(p->pci_nobody_page, 0xff, sizeof(p->pci_nobody_page));
    pci_host_set_mirror(&p->pci, p->pci_bridge_page);
    for (unsigned devfn = 0; devfn < PCI_HOST_FUNCTIONS && err == HV_OK; devfn++) {
        const uint8_t *page = devfn == 0 ? p->pci_bridge_page : p->pci_nobody_page;
        if (devfn != 0 && !pci_host_is_vacant(&p->pci, (uint8_t)devfn))
            continue;
        err = arch_vm_map_readable(p->vm, GPA(PLATFORM_ECAM_BASE + devfn * HV_PAGE_BYTES),
                                   HPA((uint64_t)page));
    }
    return err;
}

/* The guest reads the I/O APIC's registers from a page that the device keeps up to date: half of the
 * accesses that a kernel makes to it cause no exit. */
static enum hv_err attach_ioapic_mirror(struct platform *p)
{
    ioapic_set_mirror(&p->ioapic, p->ioapic_page);
    return arch_vm_map_readable(p->vm, GPA(IOAPIC_DEFAULT_BASE), HPA((uint64_t)p->ioapic_page));
}

/* What a PC's firmware leaves behind: COM1 at 115200 baud, eight bits, no parity. Small kernels print
 * without setting it up. */
static void firmware_state(struct vm *vm)
{
    const struct {
        uint8_t port, value;
    } writes[] = { { 3, 0x83 }, { 0, 1 }, { 1, 0 }, { 3, 0x03 } };

    for (unsigned i = 0; i < HV_ARRAY_COUNT(writes); i++) {
        uint64_t value = writes[i].value;
        bus_dispatch(&vm->bus, BUS_PORT, COM1_PORT + writes[i].port, 1, true, &value);
    }
}

enum hv_err platform_create(struct vm *vm)
{
    hpa_t memory;
    enum hv_err err =
        page_alloc_take(machine_pages(),
                        hv_align_up(sizeof(struct platform), HV_PAGE_BYTES) >> HV_PAGE_SHIFT,
                        PAGE_ALIGN_4K, PAGE_ALLOC_ZERO, &memory);
    struct platform *p = (struct platform *)memory.v;

    if (err != HV_OK)
        return err;
    p->vm = vm;
    p->reduced = vm->config->platform == CONFIG_PLATFORM_REDUCED;
    p->control = (struct vm_control){ control_request, p };
    p->stream.tag = machine_vm_total() > 1 ? vm->config->name : NULL;
    p->stream.name = vm->config->name;
    vm->platform = p;
    err = console_open_stream(&p->stream);
    if (err != HV_OK)
        return err;
    make_interrupt_controllers(p);
    make_legacy(p);
    make_acpi_and_pci(p);
    err = attach_all(p);
    if (err == HV_OK)
        err = attach_latches(p);
    if (err != HV_OK)
        return err;
    firmware_state(vm);
    err = attach_ioapic_mirror(p);
    return err == HV_OK ? attach_pci_mirror(p) : err;
}

void platform_destroy(struct vm *vm)
{
    const uint64_t pages = hv_align_up(sizeof(struct platform), HV_PAGE_BYTES) >> HV_PAGE_SHIFT;

    if (!vm->platform)
        return;
    console_close_stream(&vm->platform->stream);
    if (page_alloc_free(machine_pages(), HPA((uint64_t)vm->platform), pages) != HV_OK)
        hv_panic("vm %s: its devices are not ours", vm->config->name);
    vm->platform = NULL;
}

void platform_reset(struct vm *vm)
{
    struct platform *p = vm->platform;
    struct device *const devices[] = {
        &p->ioapic.device, &p->pic.dev,      &p->com1.dev,  &p->pit.dev,  &p->rtc.dev,
        &p->pm.device,     &p->pci.device,   &p->i8042.device, &p->misc.device,
        &p->debug_exit.device, &p->latches.device, &p->sleep.device,
    };

    bus_lock(&vm->bus);
    for (unsigned i = 0; i < HV_ARRAY_COUNT(devices); i++)
        devices[i]->ops->reset(devices[i]);
    bus_unlock(&vm->bus);
    firmware_state(vm);
}

enum hv_err platform_write_acpi(struct vm *vm, gpa_t *rsdp)
{
    uint32_t apic_ids[CONFIG_MAX_VCPUS];
    const struct acpi_config config = {
        .apic_ids = apic_ids,
        .cpus = vm->vcpu_count,
        .lapic_base = GPA(0xfee00000),
        .ioapic_base = GPA(IOAPIC_DEFAULT_BASE),
        .ioapic_id = 0,
        .sci_irq = PLATFORM_SCI_IRQ,
        .pm_base = PLATFORM_PM_PORT,
        .reduced = vm->platform->reduced,
        .century_cmos = RTC_REG_CENTURY,
        .has_i8042 = false, /* it resets the machine, and has nowhere to plug a keyboard in */
        .ecam_base = GPA(PLATFORM_ECAM_BASE),
        .pci_window = GPA(PCI_WINDOW_START),
        .pci_window_bytes = PCI_WINDOW_BYTES,
        .com_ports = { COM1_PORT },
        .com_irqs = { COM1_IRQ },
    };
    void *at = gpa_space_pointer(&vm->memory, GPA(ACPI_AREA), ACPI_TABLES_BYTES);

    if (!at)
        return HV_ERR_RANGE;
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        apic_ids[i] = i;
    *rsdp = GPA(ACPI_AREA);
    return acpi_tables_build(&config, at, ACPI_TABLES_BYTES, GPA(ACPI_AREA), NULL);
}

/* --- from the processor's side --- */

int platform_pic_acknowledge(struct vm *vm)
{
    int vector = -1;

    bus_lock(&vm->bus);
    if (pic8259_intr(&vm->platform->pic))
        vector = pic8259_acknowledge(&vm->platform->pic);
    bus_unlock(&vm->bus);
    return vector;
}

void platform_eoi(struct vm *vm, uint8_t vector)
{
    bus_lock(&vm->bus);
    ioapic_eoi(&vm->platform->ioapic, vector);
    bus_unlock(&vm->bus);
}

size_t platform_console_input(struct vm *vm, const uint8_t *bytes, size_t count)
{
    size_t taken = 0;

    bus_lock(&vm->bus);
    while (taken < count && uart16550_receive(&vm->platform->com1, bytes[taken]))
        taken++;
    bus_unlock(&vm->bus);
    return taken;
}

unsigned platform_console_pane(const struct vm *vm)
{
    return vm->platform ? vm->platform->stream.pane : CONSOLE_PANE_ALL;
}
