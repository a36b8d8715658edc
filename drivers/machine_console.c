/*
 * Finds the screen and the keyboard that make the machine's console.
 *
 * Not here: the console itself (vmm/core/console.c), serial ports (machine_serial.c), USB keyboards
 * (machine_keyboard.c). Boot core only; no lock.
 */
#include "hv/drv_console.h"
#include "hv/drv_panes.h"
#include "hv/drv_ps2.h"
#include "hv/log.h"
#include "hv/machine.h"
#include "hv/page_alloc.h"

/* A screen, and the keyboard in front of it, if there is one. */
struct seat {
    struct panes panes;
    struct ps2_keyboard keyboard;
    bool has_keyboard;
    bool taken; /* the console has it: a second call must not start it again */
};

/* --- what the console calls, with its lock --- */

static void seat_write_pane(void *ctx, unsigned pane, const char *bytes, size_t n)
{
    struct seat *seat = ctx;
    panes_write(&seat->panes, pane, bytes, n);
}

static void seat_write(void *ctx, const char *bytes, size_t n)
{
    seat_write_pane(ctx, CONSOLE_PANE_ALL, bytes, n);
}

static void seat_select(void *ctx, unsigned pane)
{
    struct seat *seat = ctx;
    panes_select(&seat->panes, pane);
}

static void seat_scroll(void *ctx, int pages)
{
    struct seat *seat = ctx;
    panes_scroll(&seat->panes, pages);
}

static void seat_panic(void *ctx)
{
    struct seat *seat = ctx;
    panes_panic(&seat->panes);
}

static void seat_show_code(void *ctx, const char *text, size_t n)
{
    struct seat *seat = ctx;
    panes_show_code(&seat->panes, text, n);
}

/* Asked for many times a second: also the moment to show what has been put off. */
static int seat_read(void *ctx)
{
    struct seat *seat = ctx;
    int key;
    panes_flush(&seat->panes);
    key = seat->has_keyboard ? ps2_keyboard_read(&seat->keyboard) : -1;
    if (key < 0)
        key = usb_keyboards_read();
    if (key >= 0 && key < CONSOLE_KEY_PANE)
        panes_end_scroll(&seat->panes);
    return key;
}

static void seat_flush(void *ctx)
{
    struct seat *seat = ctx;
    panes_flush(&seat->panes);
}

/* --- what a pane needs --- */

static void *take_memory(void *ctx, size_t bytes)
{
    hpa_t at;
    (void)ctx;
    if (page_alloc_take(machine_pages(), hv_align_up(bytes, HV_PAGE_BYTES) >> HV_PAGE_SHIFT,
                        PAGE_ALIGN_4K, PAGE_ALLOC_ZERO, &at) != HV_OK)
        return NULL;
    return (void *)at.v;
}

static const char *name_pane(void *ctx, unsigned pane)
{
    (void)ctx;
    return console_pane_name(pane);
}

/* Boot-once: the console keeps it. */
static struct seat seat;

bool console_start_screen(const struct boot_info *info)
{
    const struct hv_console_backend backend = { "screen", seat_write, seat_read, &seat,
                                                seat_flush, NULL };
    const struct console_pane_ops ops = { seat_write_pane, seat_select, seat_scroll, seat_panic,
                                          seat_show_code };
    const struct panes_env env = { take_memory, name_pane, NULL };
    if (seat.taken || (info->config.console == CONFIG_CONSOLE_SERIAL && console_backend_count() > 0))
        return false;
    if (!panes_init(&seat.panes, &info->framebuffer, &hv_font, &env))
        return false;
    seat.has_keyboard = ps2_keyboard_init(&seat.keyboard, &hv_machine_ports);
    seat.taken = console_add_panes(&backend, &ops) == HV_OK;
    if (!seat.taken)
        return false;
    hv_info("screen of %u x %u characters, %s", seat.panes.screen.columns, seat.panes.screen.rows,
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
