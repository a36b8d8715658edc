/*
 * Finds the screen and the keyboard that make the machine's console.
 *
 * Not here: the console itself (vmm/core/console.c), serial ports (machine_serial.c), USB keyboards
 * (machine_keyboard.c). Boot core only; no lock.
 */
#include "hv/drv_console.h"
#include "hv/drv_ps2.h"
#include "hv/drv_screen.h"
#include "hv/log.h"

/* A screen, and the keyboard in front of it, if there is one. */
struct seat {
    struct screen screen;
    struct ps2_keyboard keyboard;
    bool has_keyboard;
    bool taken; /* the console has it: a second call must not start it again */
};

static void seat_write(void *ctx, const char *bytes, size_t n)
{
    struct seat *seat = ctx;
    screen_write(&seat->screen, bytes, n);
}

/* Asked for many times a second: also the moment to show what has been put off. */
static int seat_read(void *ctx)
{
    struct seat *seat = ctx;
    screen_flush(&seat->screen);
    int key = seat->has_keyboard ? ps2_keyboard_read(&seat->keyboard) : -1;
    return key >= 0 ? key : usb_keyboards_read();
}

static void seat_flush(void *ctx)
{
    struct seat *seat = ctx;
    screen_flush(&seat->screen);
}

/* Boot-once: the console keeps it. */
static struct seat seat;

bool console_start_screen(const struct boot_info *info)
{
    const struct hv_console_backend backend = { "screen", seat_write, seat_read, &seat,
                                                seat_flush };
    if (seat.taken || (info->config.console == CONFIG_CONSOLE_SERIAL && console_backend_count() > 0))
        return false;
    if (!screen_init(&seat.screen, &info->framebuffer, &hv_font))
        return false;
    seat.has_keyboard = ps2_keyboard_init(&seat.keyboard, &hv_machine_ports);
    seat.taken = console_add(&backend) == HV_OK;
    if (!seat.taken)
        return false;
    hv_info("screen of %u x %u characters, %s", seat.screen.terminal.columns,
            seat.screen.terminal.rows,
            seat.has_keyboard ? "PS/2 keyboard" : "no keyboard controller");
    return true;
}

bool console_has_screen(void)
{
    return seat.taken;
}

void console_stop(void)
{
    console_stop_serial();
    if (seat.taken && seat.has_keyboard)
        ps2_keyboard_restore(&seat.keyboard);
}
