/*
 * The 16550A UART: registers, FIFOs and interrupts. See hv/dev_uart16550.h for what is modelled.
 *
 * Lock: the VM's device lock.
 * Source: PC16550D data sheet, "Registers", "Programmable Baud Generator", "FIFO Interrupt Mode
 * Operation", and the modem control register's loopback feature.
 */
#include "hv/dev_uart16550.h"
#include "hv/string.h"
#include "vmm/devices/isa.h"

enum uart_register {
    REG_RBR_THR = 0, /* DLL while DLAB is set */
    REG_IER = 1,     /* DLM while DLAB is set */
    REG_IIR_FCR = 2,
    REG_LCR = 3,
    REG_MCR = 4,
    REG_LSR = 5,
    REG_MSR = 6,
    REG_SCR = 7,
};

#define IER_RDA 0x01u
#define IER_THRE 0x02u
#define IER_RLS 0x04u
#define IER_MS 0x08u
#define IER_ALL 0x0Fu

#define IIR_NONE 0x01u
#define IIR_MS 0x00u
#define IIR_THRE 0x02u
#define IIR_RDA 0x04u
#define IIR_RLS 0x06u
#define IIR_TIMEOUT 0x0Cu
#define IIR_FIFOS 0xC0u

#define FCR_ENABLE 0x01u
#define FCR_CLEAR_RX 0x02u
#define FCR_DMA 0x08u
#define FCR_TRIGGER 0xC0u
#define FCR_TRIGGER_SHIFT 6

#define LCR_WORD 0x03u
#define LCR_STOP 0x04u
#define LCR_PARITY 0x08u
#define LCR_BREAK 0x40u
#define LCR_DLAB 0x80u

#define MCR_DTR 0x01u
#define MCR_RTS 0x02u
#define MCR_OUT1 0x04u
#define MCR_OUT2 0x08u
#define MCR_LOOP 0x10u
#define MCR_ALL 0x1Fu

#define LSR_DR 0x01u
#define LSR_OE 0x02u
#define LSR_CHARACTER (UART16550_LSR_PE | UART16550_LSR_FE | UART16550_LSR_BI)
#define LSR_ERRORS (LSR_OE | LSR_CHARACTER)
#define LSR_THRE 0x20u
#define LSR_TEMT 0x40u
#define LSR_FIFO_ERROR 0x80u

#define MSR_LINES 0xF0u
#define MSR_DELTAS 0x0Fu
#define MSR_TERI 0x04u

#define BAUD_BASE UINT64_C(115200) /* 1.8432 MHz / 16 */
#define DIVISOR_RESET 12u          /* 9,600 baud; the data sheet leaves it open */

static bool fifos_enabled(const struct uart16550_state *s)
{
    return s->fcr & FCR_ENABLE;
}

static unsigned receiver_capacity(const struct uart16550_state *s)
{
    return fifos_enabled(s) ? UART16550_FIFO_BYTES : 1;
}

static unsigned trigger_level(const struct uart16550_state *s)
{
    static const uint8_t levels[4] = { 1, 4, 8, 14 };
    return fifos_enabled(s) ? levels[s->fcr >> FCR_TRIGGER_SHIFT] : 1;
}

static uint8_t word_mask(const struct uart16550_state *s)
{
    return (uint8_t)(0xFFu >> (3 - (s->lcr & LCR_WORD)));
}

/* Four character times, in which nothing may happen before the time-out interrupt. */
static uint64_t timeout_length_ns(const struct uart16550_state *s)
{
    uint64_t divisor = (uint64_t)s->dlm << 8 | s->dll;
    if (divisor == 0)
        divisor = 0x10000; /* undefined by the data sheet; what a 16-bit down counter makes of it */
    unsigned word = 5 + (s->lcr & LCR_WORD);
    unsigned half_bits = 2 + 2 * word + (s->lcr & LCR_PARITY ? 2 : 0) + 2;
    if (s->lcr & LCR_STOP)
        half_bits += word == 5 ? 1 : 2;
    return 4 * half_bits * divisor * HV_NS_PER_SECOND / (2 * BAUD_BASE);
}

/* The four input lines as MSR shows them: in loopback the modem outputs stand in for them. */
static uint8_t modem_lines(const struct uart16550_state *s)
{
    if (!(s->mcr & MCR_LOOP))
        return s->msr_lines;
    return (uint8_t)((s->mcr & MCR_RTS ? UART16550_MSR_CTS : 0) |
                     (s->mcr & MCR_DTR ? UART16550_MSR_DSR : 0) |
                     (s->mcr & MCR_OUT1 ? UART16550_MSR_RI : 0) |
                     (s->mcr & MCR_OUT2 ? UART16550_MSR_DCD : 0));
}

/* RI counts only when it goes away (TERI), the others whenever they change. */
static void note_modem_change(struct uart16550_state *s, uint8_t before)
{
    uint8_t after = modem_lines(s);
    uint8_t changed = (uint8_t)((before ^ after) >> 4);
    if (after & UART16550_MSR_RI)
        changed &= (uint8_t)~MSR_TERI;
    s->msr_delta |= changed;
}

/* IIR without the FIFO bits: the pending source of highest priority. */
static uint8_t interrupt_source(const struct uart16550_state *s)
{
    if ((s->ier & IER_RLS) && s->lsr_errors)
        return IIR_RLS;
    if ((s->ier & IER_RDA) && s->rx_count >= trigger_level(s))
        return IIR_RDA;
    if ((s->ier & IER_RDA) && s->timed_out)
        return IIR_TIMEOUT;
    if ((s->ier & IER_THRE) && s->thre_pending)
        return IIR_THRE;
    if ((s->ier & IER_MS) && s->msr_delta)
        return IIR_MS;
    return IIR_NONE;
}

/* On a PC the INTR pin reaches the bus through a gate that OUT2 opens; in loopback the OUT2 pin is
 * forced inactive. */
static bool line_level(const struct uart16550_state *s)
{
    return (s->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2 && interrupt_source(s) != IIR_NONE;
}

static void update_line(struct uart16550 *uart)
{
    bool level = line_level(&uart->state);
    if (level == uart->line)
        return;
    uart->line = level;
    irq_set(&uart->wiring.irq, level);
}

/* The time-out is waited for only where it would interrupt and a filled FIFO does not already. */
static void update_timeout(struct uart16550 *uart)
{
    struct uart16550_state *s = &uart->state;
    bool wanted = fifos_enabled(s) && (s->ier & IER_RDA) && !s->timed_out && s->rx_count > 0 &&
                  s->rx_count < trigger_level(s);
    if (wanted && clock_now_ns(uart->wiring.clock) >= s->timeout_ns) {
        s->timed_out = 1;
        wanted = false;
    }
    if (wanted) {
        if (!uart->timer.armed || uart->timer.deadline_ns != s->timeout_ns)
            timer_arm(uart->wiring.clock, &uart->timer, s->timeout_ns);
    } else if (uart->timer.armed) {
        timer_cancel(uart->wiring.clock, &uart->timer);
    }
}

static void update(struct uart16550 *uart)
{
    update_timeout(uart);
    update_line(uart);
}

static void timeout_fired(struct hv_timer *timer, uint64_t now_ns)
{
    (void)now_ns;
    update(HV_CONTAINER_OF(timer, struct uart16550, timer));
}

static void restart_timeout(struct uart16550 *uart)
{
    struct uart16550_state *s = &uart->state;
    s->timed_out = 0;
    if (fifos_enabled(s))
        s->timeout_ns = clock_now_ns(uart->wiring.clock) + timeout_length_ns(s);
}

/* LSR shows a character's errors from when it is the oldest one until LSR is read. */
static void reveal_errors(struct uart16550_state *s)
{
    if (s->rx_count == 0)
        return;
    s->lsr_errors |= s->rx_errors[s->rx_head];
    s->rx_errors[s->rx_head] = 0;
}

/* A character is complete in the receiver's shift register. With a full FIFO it is lost; without
 * FIFOs it replaces the one in RBR. */
static void receiver_push(struct uart16550 *uart, uint8_t byte, uint8_t errors)
{
    struct uart16550_state *s = &uart->state;
    if (s->rx_count >= receiver_capacity(s)) {
        s->lsr_errors |= LSR_OE;
        if (fifos_enabled(s))
            return;
        s->rx_count = 0;
    }
    unsigned at = (s->rx_head + s->rx_count) % UART16550_FIFO_BYTES;
    s->rx_data[at] = byte & word_mask(s);
    s->rx_errors[at] = errors;
    s->rx_count++;
    reveal_errors(s);
    restart_timeout(uart);
}

static uint8_t receiver_pop(struct uart16550 *uart)
{
    struct uart16550_state *s = &uart->state;
    if (s->rx_count == 0)
        return s->rbr;
    s->rbr = s->rx_data[s->rx_head];
    s->rx_head = (s->rx_head + 1) % UART16550_FIFO_BYTES;
    s->rx_count--;
    reveal_errors(s);
    restart_timeout(uart);
    return s->rbr;
}

static void receiver_clear(struct uart16550_state *s)
{
    s->rx_head = 0;
    s->rx_count = 0;
    s->timed_out = 0;
    memset(s->rx_errors, 0, sizeof(s->rx_errors));
}

/* The character leaves at once. The THRE interrupt is withdrawn by the write and comes back when
 * the register is empty again, which the interrupt line must show as an edge. */
static void write_thr(struct uart16550 *uart, uint8_t value)
{
    struct uart16550_state *s = &uart->state;
    s->thre_pending = 0;
    update_line(uart);
    if (s->mcr & MCR_LOOP)
        receiver_push(uart, value, 0);
    else if (!(s->lcr & LCR_BREAK)) /* a break holds SOUT low: what is shifted out is not seen */
        uart->wiring.out.put(uart->wiring.out.context, value & word_mask(s));
    s->thre_pending = 1;
}

/* THR is empty, so that enabling its interrupt raises it. */
static void write_ier(struct uart16550_state *s, uint8_t value)
{
    if (!(s->ier & IER_THRE) && (value & IER_THRE))
        s->thre_pending = 1;
    s->ier = value & IER_ALL;
}

/* The other bits are programmed only by a write that has the enable bit set; a change of that bit
 * empties the FIFOs. The transmitter's is always empty. */
static void write_fcr(struct uart16550_state *s, uint8_t value)
{
    if ((value ^ s->fcr) & FCR_ENABLE)
        receiver_clear(s);
    if (!(value & FCR_ENABLE)) {
        s->fcr = 0;
        return;
    }
    if (value & FCR_CLEAR_RX)
        receiver_clear(s);
    s->fcr = value & (FCR_ENABLE | FCR_DMA | FCR_TRIGGER);
}

static void write_mcr(struct uart16550_state *s, uint8_t value)
{
    uint8_t before = modem_lines(s);
    s->mcr = value & MCR_ALL;
    note_modem_change(s, before);
}

static uint8_t read_iir(struct uart16550 *uart)
{
    struct uart16550_state *s = &uart->state;
    uint8_t source = interrupt_source(s);
    if (source == IIR_THRE) {
        s->thre_pending = 0;
        update_line(uart);
    }
    return fifos_enabled(s) ? source | IIR_FIFOS : source;
}

static bool fifo_holds_error(const struct uart16550_state *s)
{
    if (!fifos_enabled(s))
        return false;
    uint8_t errors = s->lsr_errors & LSR_CHARACTER;
    for (unsigned i = 0; i < s->rx_count; i++)
        errors |= s->rx_errors[(s->rx_head + i) % UART16550_FIFO_BYTES];
    return errors != 0;
}

static uint8_t read_lsr(struct uart16550 *uart)
{
    struct uart16550_state *s = &uart->state;
    uint8_t value = LSR_THRE | LSR_TEMT | s->lsr_errors;
    if (s->rx_count > 0)
        value |= LSR_DR;
    if (fifo_holds_error(s))
        value |= LSR_FIFO_ERROR;
    s->lsr_errors = 0;
    update_line(uart);
    return value;
}

static uint8_t read_msr(struct uart16550 *uart)
{
    struct uart16550_state *s = &uart->state;
    uint8_t value = modem_lines(s) | s->msr_delta;
    if (s->msr_delta) {
        s->msr_delta = 0;
        update_line(uart);
    }
    return value;
}

static void register_write(struct uart16550 *uart, uint64_t offset, uint8_t value)
{
    struct uart16550_state *s = &uart->state;
    bool dlab = s->lcr & LCR_DLAB;
    switch (offset) {
    case REG_RBR_THR:
        if (dlab)
            s->dll = value;
        else
            write_thr(uart, value);
        break;
    case REG_IER:
        if (dlab)
            s->dlm = value;
        else
            write_ier(s, value);
        break;
    case REG_IIR_FCR: write_fcr(s, value); break;
    case REG_LCR: s->lcr = value; break;
    case REG_MCR: write_mcr(s, value); break;
    case REG_SCR: s->scr = value; break;
    default: break; /* LSR and MSR: writes are for factory tests */
    }
}

/* Called last in an access, since the callback may receive more. */
static void offer_space(struct uart16550 *uart)
{
    if (!uart->refused || !uart16550_can_receive(uart))
        return;
    uart->refused = false;
    if (uart->wiring.space)
        uart->wiring.space(uart->wiring.space_context);
}

static uint8_t read_rbr(struct uart16550 *uart)
{
    uint8_t value = receiver_pop(uart);
    update(uart);
    offer_space(uart);
    return value;
}

/* Each of them sees to the interrupt line itself: most reads change nothing. */
static __attribute__((noinline)) int register_read(struct uart16550 *uart, uint64_t offset)
{
    struct uart16550_state *s = &uart->state;
    bool dlab = s->lcr & LCR_DLAB;
    switch (offset) {
    case REG_RBR_THR: return dlab ? s->dll : read_rbr(uart);
    case REG_IER: return dlab ? s->dlm : s->ier;
    case REG_IIR_FCR: return read_iir(uart);
    case REG_LCR: return s->lcr;
    case REG_MCR: return s->mcr;
    case REG_LSR: return read_lsr(uart);
    case REG_MSR: return read_msr(uart);
    case REG_SCR: return s->scr;
    default: return BUS_READ_UNCLAIMED;
    }
}

/* LSR with nothing received is what drivers poll. */
static int uart_read8(struct device *device, unsigned tag, uint64_t offset)
{
    struct uart16550 *uart = HV_CONTAINER_OF(device, struct uart16550, dev);
    (void)tag;
    if (HV_LIKELY(offset == REG_LSR && !(uart->state.rx_count | uart->state.lsr_errors)))
        return LSR_THRE | LSR_TEMT;
    return register_read(uart, offset);
}

static enum bus_answer uart_write8(struct device *device, unsigned tag, uint64_t offset,
                                   uint8_t value)
{
    struct uart16550 *uart = HV_CONTAINER_OF(device, struct uart16550, dev);
    (void)tag;
    if (offset >= UART16550_PORTS)
        return BUS_UNCLAIMED;
    register_write(uart, offset, value);
    update(uart);
    offer_space(uart);
    return BUS_DONE;
}

/* The master reset pin. The far end's modem lines are not ours to change. */
static void uart_reset(struct device *device)
{
    struct uart16550 *uart = HV_CONTAINER_OF(device, struct uart16550, dev);
    uint8_t msr_lines = uart->state.msr_lines;
    uart->state = (struct uart16550_state){ .msr_lines = msr_lines, .dll = DIVISOR_RESET };
    update(uart);
    offer_space(uart);
}

static bool receiver_check(const struct uart16550_state *s)
{
    if (s->rx_head >= UART16550_FIFO_BYTES || s->rx_count > receiver_capacity(s))
        return false;
    for (unsigned i = 0; i < UART16550_FIFO_BYTES; i++)
        if (s->rx_errors[i] & ~LSR_CHARACTER)
            return false;
    if (s->rx_count > 0 && s->rx_errors[s->rx_head])
        return false;
    return !s->timed_out || (fifos_enabled(s) && s->rx_count > 0);
}

static bool uart_check(const void *state)
{
    const struct uart16550_state *s = state;
    if ((s->ier & ~IER_ALL) || (s->mcr & ~MCR_ALL) || (s->lsr_errors & ~LSR_ERRORS))
        return false;
    if ((s->fcr & ~(FCR_ENABLE | FCR_DMA | FCR_TRIGGER)) || (s->fcr && !fifos_enabled(s)))
        return false;
    if ((s->msr_lines & ~MSR_LINES) || (s->msr_delta & ~MSR_DELTAS))
        return false;
    if (s->thre_pending > 1 || s->timed_out > 1)
        return false;
    return receiver_check(s);
}

static void uart_loaded(struct device *device)
{
    struct uart16550 *uart = HV_CONTAINER_OF(device, struct uart16550, dev);
    struct uart16550_state *s = &uart->state;
    uint64_t latest_ns = clock_now_ns(uart->wiring.clock) + timeout_length_ns(s);
    s->timeout_ns = hv_min_u64(s->timeout_ns, latest_ns);
    update_timeout(uart);
    uart->line = line_level(s);
    irq_set(&uart->wiring.irq, uart->line);
    offer_space(uart);
}

static const struct device_field uart_fields[] = {
    DEVICE_FIELD(struct uart16550_state, timeout_ns),
    DEVICE_FIELD(struct uart16550_state, ier),
    DEVICE_FIELD(struct uart16550_state, fcr),
    DEVICE_FIELD(struct uart16550_state, lcr),
    DEVICE_FIELD(struct uart16550_state, mcr),
    DEVICE_FIELD(struct uart16550_state, lsr_errors),
    DEVICE_FIELD(struct uart16550_state, msr_lines),
    DEVICE_FIELD(struct uart16550_state, msr_delta),
    DEVICE_FIELD(struct uart16550_state, scr),
    DEVICE_FIELD(struct uart16550_state, dll),
    DEVICE_FIELD(struct uart16550_state, dlm),
    DEVICE_FIELD(struct uart16550_state, thre_pending),
    DEVICE_FIELD(struct uart16550_state, timed_out),
    DEVICE_FIELD(struct uart16550_state, rbr),
    DEVICE_FIELD(struct uart16550_state, rx_head),
    DEVICE_FIELD(struct uart16550_state, rx_count),
    DEVICE_FIELD_ARRAY(struct uart16550_state, rx_data),
    DEVICE_FIELD_ARRAY(struct uart16550_state, rx_errors),
    DEVICE_FIELD_END,
};

const struct device_ops uart16550_ops = {
    .name = "uart16550",
    .version = 1,
    .state_offset = offsetof(struct uart16550, state),
    .state_bytes = sizeof(struct uart16550_state),
    .reset = uart_reset,
    .access = isa_split_access,
    .read8 = uart_read8,
    .write8 = uart_write8,
    .fields = uart_fields,
    .check = uart_check,
    .loaded = uart_loaded,
};

void uart16550_init(struct uart16550 *uart, const struct uart16550_wiring *wiring)
{
    *uart = (struct uart16550){
        .dev = { &uart16550_ops },
        .state = { .msr_lines = UART16550_MSR_CTS | UART16550_MSR_DSR | UART16550_MSR_DCD },
        .wiring = *wiring,
        .timer = { .fire = timeout_fired },
    };
    uart_reset(&uart->dev);
}

bool uart16550_can_receive(const struct uart16550 *uart)
{
    const struct uart16550_state *s = &uart->state;
    return !(s->mcr & MCR_LOOP) && s->rx_count < receiver_capacity(s);
}

bool uart16550_receive(struct uart16550 *uart, uint8_t byte)
{
    return uart16550_receive_with_errors(uart, byte, 0);
}

bool uart16550_receive_with_errors(struct uart16550 *uart, uint8_t byte, uint8_t lsr_errors)
{
    if (!uart16550_can_receive(uart)) {
        uart->refused = true;
        return false;
    }
    receiver_push(uart, byte, lsr_errors & LSR_CHARACTER);
    update(uart);
    return true;
}

void uart16550_set_modem(struct uart16550 *uart, uint8_t msr_lines)
{
    struct uart16550_state *s = &uart->state;
    uint8_t before = modem_lines(s);
    s->msr_lines = msr_lines & MSR_LINES;
    note_modem_change(s, before);
    update_line(uart);
}
