/*
 * The PC's pair of 8259A interrupt controllers with the edge/level control registers (ELCR) that
 * PCI chipsets add. The slave's INT is wired to IR2 of the master.
 *
 * A line is a level. As the data sheet says ("Edge and Level Triggered Modes"), an edge-triggered
 * request is withdrawn when its line falls before it is acknowledged: a source must hold its line
 * until it is served; a pulse of no length requests nothing.
 *
 * Lock: the VM's device lock for every function here; the INTR line is set with it held.
 */
#ifndef HV_DEV_PIC8259_H
#define HV_DEV_PIC8259_H

#include "hv/device.h"

/* The regions: 0x20 and 0xA0 with two ports each, 0x4D0 with two. */
enum pic8259_tag { PIC8259_TAG_MASTER, PIC8259_TAG_SLAVE, PIC8259_TAG_ELCR };

#define PIC8259_PORTS 2u
#define PIC8259_LINES 16u

struct pic8259_chip_state {
    uint8_t lines;       /* IR inputs; the master's bit 2 is the slave's INT and not kept here */
    uint8_t edges;       /* edge-triggered requests that wait */
    uint8_t isr;
    uint8_t imr;
    uint8_t elcr;        /* 1 = level-triggered */
    uint8_t icw1;
    uint8_t icw2;
    uint8_t icw3;
    uint8_t icw4;
    uint8_t init_next;   /* the ICW that the next write to the odd port is: 2, 3, 4; 0 = ready */
    uint8_t lowest;      /* the IR of lowest priority */
    uint8_t rotate_aeoi; /* rotate in automatic EOI mode */
    uint8_t special_mask;
    uint8_t poll;        /* the next read is a poll */
    uint8_t read_isr;    /* the even port reads ISR instead of IRR */
};

struct pic8259_state {
    struct pic8259_chip_state chip[2]; /* master, slave */
};

struct pic8259_wiring {
    struct irq_line intr; /* the master's INT output */
};

struct pic8259 {
    struct device dev;
    struct pic8259_state state;
    struct pic8259_wiring wiring;
    bool intr; /* what INTR was last set to */
};

extern const struct device_ops pic8259_ops;

/* Power-on: nothing initialised, every input masked, every line low. */
void pic8259_init(struct pic8259 *pic, const struct pic8259_wiring *wiring);

/* Sets input `irq`, 0 to 15. The cascade, 2, and numbers above 15 are ignored. */
void pic8259_set_line(struct pic8259 *pic, unsigned irq, bool level);

/* pic8259_set_line in the shape of irq_line.set: `context` is the struct pic8259. */
void pic8259_irq_set(void *context, unsigned irq, bool level);

/* Is INTR asserted? */
bool pic8259_intr(const struct pic8259 *pic);

/* The pair of INTA cycles: the request of highest priority goes into service and its vector (0 to
 * 255) is returned. With no request left, the vector of a spurious IR7. INTR follows. */
int pic8259_acknowledge(struct pic8259 *pic);

#endif
