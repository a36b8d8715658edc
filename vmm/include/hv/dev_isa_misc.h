/*
 * The ISA board's odds and ends: system control port A (0x92: fast A20 and reset), the POST code
 * port 0x80, and port 0xED, which software writes to in order to wait.
 * Source: IBM PS/2 Hardware Interface Technical Reference, "System Control Port A"; PIIX3 data
 * sheet, "Port 92"; DMA page register 0 of the AT stands at 0x80 and can be read back.
 *
 * Lock: the bus lock.
 */
#ifndef HV_DEV_ISA_MISC_H
#define HV_DEV_ISA_MISC_H

#include "hv/device.h"

/* Port regions of one byte each; tags. */
#define ISA_POST_PORT 0x80u
#define ISA_DELAY_PORT 0xEDu
#define ISA_PORT92 0x92u
enum isa_misc_region { ISA_MISC_POST, ISA_MISC_DELAY, ISA_MISC_PORT92 };

#define PORT92_RESET (1u << 0)
#define PORT92_A20 (1u << 1)

struct isa_misc_state {
    uint8_t post;   /* last byte written to 0x80 */
    uint8_t port92;
};

struct isa_misc {
    struct device device;
    struct isa_misc_state state;
    struct irq_line a20; /* level: is A20 passed? set may be NULL */
    const struct vm_control *control;
};

/* `control` must outlive the device. */
void isa_misc_init(struct isa_misc *misc, const struct irq_line *a20,
                   const struct vm_control *control);

#endif
