/*
 * A 16550A UART (National PC16550D) as it sits in a PC: eight byte ports, one interrupt line that
 * OUT2 gates.
 *
 * Not modelled: the time that a character takes on the wire when sending (a byte written to THR has
 * left at once, so THRE and TEMT always read 1), DMA pins, and the baud rate other than for the
 * receiver's character time-out.
 *
 * Lock: the VM's device lock for every function here. `out.put`, `space` and the interrupt line are
 * called with it held.
 */
#ifndef HV_DEV_UART16550_H
#define HV_DEV_UART16550_H

#include "hv/device.h"

#define UART16550_PORTS 8u
#define UART16550_FIFO_BYTES 16u

/* Line status bits that can travel with a received character. */
#define UART16550_LSR_PE 0x04u
#define UART16550_LSR_FE 0x08u
#define UART16550_LSR_BI 0x10u

/* Modem status bits that the far end drives. */
#define UART16550_MSR_CTS 0x10u
#define UART16550_MSR_DSR 0x20u
#define UART16550_MSR_RI 0x40u
#define UART16550_MSR_DCD 0x80u

struct uart16550_state {
    uint64_t timeout_ns;  /* when four character times of silence are over */
    uint8_t ier;
    uint8_t fcr;          /* FIFO enable, DMA mode, trigger level */
    uint8_t lcr;
    uint8_t mcr;
    uint8_t lsr_errors;   /* OE, PE, FE, BI as the next read of LSR shows them */
    uint8_t msr_lines;    /* the far end's CTS, DSR, RI, DCD in MSR positions */
    uint8_t msr_delta;    /* low four bits of MSR */
    uint8_t scr;
    uint8_t dll;
    uint8_t dlm;
    uint8_t thre_pending; /* the THRE interrupt has neither been read from IIR nor withdrawn */
    uint8_t timed_out;    /* the character time-out interrupt is pending */
    uint8_t rbr;          /* the last character that was read; an empty receiver shows it again */
    uint8_t rx_head;
    uint8_t rx_count;
    uint8_t rx_data[UART16550_FIFO_BYTES];
    uint8_t rx_errors[UART16550_FIFO_BYTES]; /* PE, FE, BI of each character */
};

struct uart16550_wiring {
    struct hv_clock *clock;
    struct irq_line irq;
    struct byte_sink out; /* what the guest sends */
    /* A receive was refused and now there is room. May call uart16550_receive. NULL: the caller
     * polls. */
    void (*space)(void *context);
    void *space_context;
};

struct uart16550 {
    struct device dev;
    struct uart16550_state state;
    struct uart16550_wiring wiring;
    struct hv_timer timer; /* the character time-out */
    bool line;             /* what the interrupt line was last set to */
    bool refused;          /* a receive was refused since the last `space` */
};

extern const struct device_ops uart16550_ops;

/* Power-on state, with CTS, DSR and DCD asserted as by a terminal that is switched on. One region
 * of UART16550_PORTS ports, any tag. */
void uart16550_init(struct uart16550 *uart, const struct uart16550_wiring *wiring);

/* Would uart16550_receive take a character now? Never in loopback mode. */
bool uart16550_can_receive(const struct uart16550 *uart);

/* A character arrives. False: no room, the caller keeps it and gets `space` when there is. */
bool uart16550_receive(struct uart16550 *uart, uint8_t byte);

/* The same with errors, any of UART16550_LSR_{PE,FE,BI}; a break is byte 0 with BI. */
bool uart16550_receive_with_errors(struct uart16550 *uart, uint8_t byte, uint8_t lsr_errors);

/* The far end drives its modem lines: any of UART16550_MSR_{CTS,DSR,RI,DCD}, 1 = asserted. */
void uart16550_set_modem(struct uart16550 *uart, uint8_t msr_lines);

#endif
