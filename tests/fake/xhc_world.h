/*
 * What the tests of the xHCI driver share: one controller (xhc.h), the driver, and the operator's view
 * of both. Header-only; for tests with cmocka.
 */
#ifndef FAKE_XHC_WORLD_H
#define FAKE_XHC_WORLD_H

#include <stdio.h>

#include "xhc.h"

static struct xhc h;
static struct xhci x;

static inline int setup(void **state)
{
    (void)state;
    xhc_init(&h);
    return 0;
}

static inline const char *start(void)
{
    return xhci_start(&x, &h.access, XHC_BASE, XHC_BYTES, &h.memory);
}

/* Is something under way, or a port or a device yet to be looked at? */
static inline bool xhci_is_busy(const struct xhci *driver)
{
    bool busy = driver->operation != XHCI_NOTHING;

    for (unsigned i = 0; i < 8; i++)
        busy |= driver->changed_ports[i] != 0;
    for (unsigned i = 1; i <= driver->slots; i++)
        busy |= driver->devices[i].state == XHCI_DEVICE_GONE ||
                (driver->devices[i].state == XHCI_DEVICE_READY && driver->devices[i].hub_changed);
    return busy && !driver->dead;
}

/* Polls as the console does, every 20 ms. */
static inline void run_ms(unsigned ms)
{
    for (unsigned i = 0; i < ms; i += 20) {
        h.now_us += 20000;
        xhc_tick(&h);
        xhci_poll(&x);
    }
}

static inline const char *typed(void)
{
    static char text[512];
    size_t n = 0;
    int key;
    xhci_poll(&x);
    while ((key = xhci_read_key(&x)) >= 0 && n + 1 < sizeof(text))
        text[n++] = (char)key;
    text[n] = 0;
    return text;
}

static inline void press(struct xhc_device *d, uint8_t usage)
{
    const uint8_t down[8] = { 0, 0, usage }, up[8] = { 0 };
    xhc_report(&h, d, down);
    xhc_report(&h, d, up);
}

/* All notes since the last call, in one line. */
static inline const char *notes(void)
{
    static char text[1024];
    struct xhci_note note;
    size_t n = 0;
    text[0] = 0;
    while (xhci_take_note(&x, &note))
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%u.%u %s; ", note.place.root_port,
                              note.place.hub_port, note.what);
    return text;
}

static inline struct xhc_device keyboard(enum xhc_speed speed)
{
    return (struct xhc_device){ .kind = XHC_KEYBOARD, .speed = speed };
}

static inline struct xhc_device hub(enum xhc_speed speed, unsigned ports)
{
    return (struct xhc_device){ .kind = XHC_HUB, .speed = speed, .ports = ports };
}

#endif
