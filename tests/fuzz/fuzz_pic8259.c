// SRCS: vmm/devices/pic8259.c
/* The interrupt controllers under random commands, lines and acknowledges. */
#include "fuzz_device.h"
#include "hv/dev_pic8259.h"

static struct fake_clock fake;
static struct fake_lines lines;
static struct pic8259 pic, twin;

static void acknowledge(void)
{
    bool intr = pic8259_intr(&pic);
    uint8_t isr = pic.state.chip[0].isr;
    int vector = pic8259_acknowledge(&pic);
    FUZZ_CHECK(vector >= 0 && vector <= 255);
    if (!intr) /* spurious: nothing enters service */
        FUZZ_CHECK(pic.state.chip[0].isr == isr);
}

static void input(struct fuzz_input *in)
{
    uint8_t what = fuzz_byte(in);
    if (what & 0x80)
        acknowledge();
    else
        pic8259_set_line(&pic, what & 31, what & 0x20);
}

/* INTR is up only for an unmasked request of a chip that is ready. */
static bool invariant(void)
{
    const struct pic8259_chip_state *master = &pic.state.chip[0];
    if (pic8259_intr(&pic) != lines.level[0])
        return false;
    if (!pic8259_intr(&pic))
        return true;
    return !master->init_next && master->imr != 0xFF;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = { data, size };
    memset(&lines, 0, sizeof(lines));
    fake_clock_init(&fake);
    struct pic8259_wiring wiring = { fake_line(&lines, 0) };
    pic8259_init(&pic, &wiring);
    wiring.intr.line = 1;
    pic8259_init(&twin, &wiring);
    const struct fuzz_device fuzz = { &pic.dev, &twin.dev, &fake, 3, PIC8259_PORTS, input,
                                      invariant };
    fuzz_device_run(&fuzz, &in);
    return 0;
}
