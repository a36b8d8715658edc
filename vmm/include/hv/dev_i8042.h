/*
 * Keyboard controller 8042 with nothing plugged into its keyboard port and no auxiliary port.
 * Source: IBM Personal Computer AT Technical Reference, "Keyboard Controller"; IBM PS/2 Hardware
 * Interface Technical Reference, "Keyboard and Auxiliary Device Controller".
 *
 * Lock: the bus lock, for every function here.
 */
#ifndef HV_DEV_I8042_H
#define HV_DEV_I8042_H

#include "hv/device.h"

/* Port regions of one byte each; tags. */
#define I8042_DATA_PORT 0x60u
#define I8042_COMMAND_PORT 0x64u
enum i8042_region { I8042_DATA, I8042_COMMAND };

#define I8042_STATUS_OBF (1u << 0)     /* output buffer full */
#define I8042_STATUS_IBF (1u << 1)     /* input buffer full: never seen, bytes are taken at once */
#define I8042_STATUS_SYSTEM (1u << 2)  /* self-test passed */
#define I8042_STATUS_COMMAND (1u << 3) /* the last write went to the command port */
#define I8042_STATUS_UNLOCKED (1u << 4)
#define I8042_STATUS_AUX (1u << 5)     /* the byte comes from the auxiliary device */
#define I8042_STATUS_TIMEOUT (1u << 6)
#define I8042_STATUS_PARITY (1u << 7)

struct i8042_state {
    uint8_t ram[32];  /* byte 0 is the controller's command byte */
    uint8_t status;
    uint8_t output;   /* the output buffer */
    uint8_t output_port;
    uint8_t command;  /* a command that waits for its data byte; 0 = none */
};

struct i8042 {
    struct device device;
    struct i8042_state state;
    struct irq_line keyboard_irq; /* IRQ 1 */
    struct irq_line aux_irq;      /* IRQ 12 */
    struct irq_line a20;          /* level: is A20 passed? set may be NULL */
    const struct vm_control *control;
};

/* `control` must outlive the device. */
void i8042_init(struct i8042 *kbc, const struct irq_line *keyboard_irq,
                const struct irq_line *aux_irq, const struct irq_line *a20,
                const struct vm_control *control);

#endif
