// SRCS: vmm/devices/acpi_pm.c
/*
 * ACPI registers under any sequence of accesses, events and passing time: the state stays one that
 * hardware can reach, and the SCI is what status and enable say.
 */
#include "fake.h"
#include "hv/dev_acpi_pm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void request(void *context, enum vm_request what, unsigned status)
{
    (void)context;
    if (what != VM_REQUEST_POWER_OFF || status != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct vm_control control = { request, NULL };
    struct fake_clock clock;
    struct fake_lines lines = { 0 };
    struct irq_line sci = fake_line(&lines, 9);
    struct acpi_pm pm;

    fake_clock_init(&clock);
    acpi_pm_init(&pm, &clock.clock, &sci, &control);
    for (size_t at = 0; at + 6 <= size && at < 6 * 300; at += 6) {
        const uint8_t *op = data + at;
        uint64_t value = (uint64_t)op[2] << 24 | op[3] << 16 | op[4] << 8 | op[5];

        switch (op[0] & 7) {
        case 0:
            acpi_pm_press_power_button(&pm);
            break;
        case 1:
            acpi_pm_raise_gpe(&pm, op[1]);
            break;
        case 2: /* at most ten minutes, so that few timers are passed */
            fake_clock_advance(&clock, value * 140);
            break;
        case 3:
            pm.device.ops->reset(&pm.device);
            break;
        default:
            fake_access(&pm.device, 0, BUS_PORT, op[1] % ACPI_PM_REGION_BYTES,
                        1u << (op[0] >> 3 & 3), op[0] & 0x80, value << 32 | value, NULL);
            break;
        }
        bool want = (pm.state.pm1_status & pm.state.pm1_enable) ||
                    (pm.state.gpe0_status & pm.state.gpe0_enable);
        if (!pm.device.ops->check(&pm.state) || (lines.level[9] != want))
            abort();
    }
    return 0;
}
