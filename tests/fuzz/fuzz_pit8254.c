// SRCS: vmm/devices/pit8254.c vmm/devices/pit8254_counter.c
/* The timer under random programs, gates and time, with bounded edges. */
#include "fuzz_device.h"
#include "hv/dev_pit8254.h"

static struct fake_clock fake;
static struct fake_lines lines;
static struct pit8254 pit, twin;

static void input(struct fuzz_input *in)
{
    pit8254_out(&pit, fuzz_byte(in) & 3);
}

/* The line is what the state says, and an edge that lies ahead has its timer. */
static bool invariant(void)
{
    const struct pit8254_state *s = &pit.state;
    if (lines.level[0] != s->out0)
        return false;
    return pit.timer.armed == (s->edge_ahead || s->backlog);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = { data, size };
    memset(&lines, 0, sizeof(lines));
    fake_clock_init(&fake);
    struct pit8254_wiring wiring = { &fake.clock, fake_line(&lines, 0) };
    pit8254_init(&pit, &wiring);
    wiring.irq.line = 1;
    pit8254_init(&twin, &wiring);
    const struct fuzz_device fuzz = { &pit.dev, &twin.dev, &fake, 2, PIT8254_PORTS, input,
                                      invariant };
    fuzz_device_run(&fuzz, &in);
    return 0;
}
