// SRCS: vmm/devices/i8042.c vmm/devices/isa_misc.c vmm/devices/debug_exit.c
/*
 * The keyboard controller and the board's small ports under any sequence of accesses.
 */
#include "fake.h"
#include "hv/dev_debug_exit.h"
#include "hv/dev_i8042.h"
#include "hv/dev_isa_misc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void request(void *context, enum vm_request what, unsigned status)
{
    (void)context;
    if (what == VM_REQUEST_POWER_OFF || (what == VM_REQUEST_RESET && status != 0))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct vm_control control = { request, NULL };
    struct fake_lines lines = { 0 };
    struct irq_line kbd = fake_line(&lines, 1), aux = fake_line(&lines, 12);
    struct irq_line a20 = fake_line(&lines, 20), a20_board = fake_line(&lines, 21);
    struct i8042 kbc;
    struct isa_misc misc;
    struct debug_exit debug_exit;

    i8042_init(&kbc, &kbd, &aux, &a20, &control);
    isa_misc_init(&misc, &a20_board, &control);
    debug_exit_init(&debug_exit, &control);
    for (size_t at = 0; at + 2 <= size && at < 2 * 500; at += 2) {
        uint8_t op = data[at], value = data[at + 1];
        bool write = op & 1;
        unsigned bytes = op & 0x60 ? 1 : 1u << (op >> 3 & 3);

        if ((op & 6) == 6)
            fake_access(op & 8 ? &debug_exit.device : &misc.device, op >> 4 & 3, BUS_PORT,
                        op >> 7, bytes, write, value, NULL);
        else
            fake_access(&kbc.device, op >> 1 & 1, BUS_PORT, op >> 7, bytes, write,
                        value * UINT64_C(0x0101010101010101), NULL);
        bool full = kbc.state.status & I8042_STATUS_OBF;
        if (!kbc.device.ops->check(&kbc.state) || !misc.device.ops->check(&misc.state) ||
            (lines.level[1] && !full) || (lines.level[12] && !full) ||
            (lines.level[1] && lines.level[12]))
            abort();
    }
    return 0;
}
