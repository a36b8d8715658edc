/*
 * A hot key on a serial port that belongs to somebody else: what its owner reads passes through here,
 * and the key with the character after it is taken out. What is said goes out between the owner's own
 * characters; no register is changed.
 *
 * For a port that the hypervisor has for itself: hv/drv_uart16550.h. Lock: none; what two cores do to
 * the port at once is mixed, as without us.
 * PC16550D data sheet, "Registers".
 */
#ifndef HV_DRV_SERIAL_KEY_H
#define HV_DRV_SERIAL_KEY_H

#include "hv/drv_access.h"
#include "hv/types.h"

#define SERIAL_KEY 0x01     /* Ctrl-A */
#define SERIAL_KEY_XON 0x11 /* what the owner reads where there was nothing but the key */

struct serial_key {
    const struct hv_access *access;
    uint16_t base;  /* I/O port of the first register; 0: there is no port */
    bool pending;   /* the key has come, and the character after it has not */
    bool stopped;   /* the port has not taken a character in time; until the next key */
};

/* The owner reads the port's first register: gives the byte that it finds. `command` is called for each
 * character that followed the key, but the key itself, which is given as it is. */
uint8_t serial_key_read(struct serial_key *key, void (*command)(void *ctx, char what), void *ctx);

/* Sends a line, each character with a bounded wait; nothing, once a character was not taken. */
void serial_key_line(struct serial_key *key, const char *format, ...) HV_PRINTF(2, 3);

#endif
