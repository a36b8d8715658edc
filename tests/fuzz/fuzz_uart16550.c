// SRCS: vmm/devices/uart16550.c
/* The UART under random register programs, characters, errors and modem lines. */
#include "fuzz_device.h"
#include "hv/dev_uart16550.h"

static struct fake_clock fake;
static struct fake_lines lines;
static struct uart16550 uart, twin;
static unsigned sent, refills;

static void sink_put(void *context, uint8_t byte)
{
    (void)context;
    (void)byte;
    sent++;
}

/* Sometimes gives the UART a character from within. */
static void on_space(void *context)
{
    (void)context;
    FUZZ_CHECK(uart16550_can_receive(&uart));
    if (refills++ % 2)
        FUZZ_CHECK(uart16550_receive(&uart, (uint8_t)refills));
}

static void input(struct fuzz_input *in)
{
    uint8_t what = fuzz_byte(in);
    bool room = uart16550_can_receive(&uart);
    if (what & 0x80)
        uart16550_set_modem(&uart, fuzz_byte(in));
    else if (what & 0x40)
        FUZZ_CHECK(uart16550_receive_with_errors(&uart, what, fuzz_byte(in)) == room);
    else
        for (unsigned i = 0; i < (what & 31u); i++)
            uart16550_receive(&uart, (uint8_t)i);
}

static bool invariant(void)
{
    return uart.line == lines.level[4] && (!uart.timer.armed || uart.state.rx_count > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = { data, size };
    memset(&lines, 0, sizeof(lines));
    fake_clock_init(&fake);
    refills = 0;
    struct uart16550_wiring wiring = { &fake.clock, fake_line(&lines, 4), { sink_put, NULL },
                                       on_space, NULL };
    uart16550_init(&uart, &wiring);
    wiring.irq.line = 5;
    wiring.space = NULL;
    uart16550_init(&twin, &wiring);
    const struct fuzz_device fuzz = { &uart.dev, &twin.dev, &fake, 1, UART16550_PORTS, input,
                                      invariant };
    fuzz_device_run(&fuzz, &in);
    return 0;
}
