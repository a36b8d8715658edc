/*
 * The guest's local APIC: its registers as the guest sees them, through the xAPIC page, through the
 * x2APIC's MSRs, and IA32_APIC_BASE; and its state after power-up and INIT. There is no firmware
 * in a guest: the boot processor's APIC starts as firmware leaves it.
 *
 * Not here: priorities and pins (lapic_irq.c), the timer (lapic_timer.c), the way between cores
 * (lapic_route.c). No lock: only the owner's core comes here.
 * Source: SDM volume 3, "Local APIC", "Extended XAPIC (x2APIC)".
 */
#include "hv/string.h"
#include "lapic_internal.h"

#define NOINLINE __attribute__((noinline))

#define TPR_BITS 0xFFu
#define VERSION_INTEGRATED 0x14u
#define VERSION_MAX_LVT (5u << 16) /* six entries; there is no CMCI */
#define VERSION_SUPPRESS_EOI (1u << 24)

#define ICR_LOW_WRITABLE 0x000CCFFFu
#define ICR_LOW_STATUS (1u << 12) /* ignored when written, always idle */
#define ICR_LOGICAL (1u << 11)
#define ICR_ASSERT (1u << 14)
#define ICR_LEVEL (1u << 15)
#define ICR_SHORTHAND_SHIFT 18
#define ICR_DELIVERY_SHIFT 8
/* x2APIC: the upper half stands right above the lower one, as the processor's own virtualization
 * of this register has it. */
#define ICR_X2APIC_HIGH (LAPIC_ICR_LOW + 4)

/* The longest count is 2^39 ticks; with this no expiry comes near 2^64. */
#define MAX_TSC_PER_TICK (1u << 20)

#define BASE_RESERVED_LOW UINT64_C(0x2FF)
#define BASE_MODE (LAPIC_BASE_ENABLE | LAPIC_BASE_X2APIC)

/* How a register answers in each mode. */
enum {
    REG_READ = 1,
    REG_WRITE = 2,
    REG_XAPIC_ONLY = 4,
    REG_X2APIC_ONLY = 8,
};

#define REG_READ_WRITE (REG_READ | REG_WRITE)
#define TRAITS(offset) [(offset) / 16]

static const uint8_t register_table[] = {
    TRAITS(LAPIC_ID) = REG_READ,
    TRAITS(LAPIC_VERSION) = REG_READ,
    TRAITS(LAPIC_TPR) = REG_READ_WRITE,
    TRAITS(LAPIC_APR) = REG_READ | REG_XAPIC_ONLY,
    TRAITS(LAPIC_PPR) = REG_READ,
    TRAITS(LAPIC_EOI) = REG_WRITE,
    TRAITS(LAPIC_RRD) = REG_READ | REG_XAPIC_ONLY,
    TRAITS(LAPIC_LDR) = REG_READ_WRITE, /* read-only in x2APIC mode; see lapic_msr_write */
    TRAITS(LAPIC_DFR) = REG_READ_WRITE | REG_XAPIC_ONLY,
    TRAITS(LAPIC_SVR) = REG_READ_WRITE,
    [LAPIC_ISR / 16 ... LAPIC_ESR / 16 - 1] = REG_READ,
    TRAITS(LAPIC_ESR) = REG_READ_WRITE,
    TRAITS(LAPIC_ICR_LOW) = REG_READ_WRITE,
    TRAITS(LAPIC_ICR_HIGH) = REG_READ_WRITE | REG_XAPIC_ONLY,
    TRAITS(LAPIC_LVT_TIMER) = REG_READ_WRITE,
    TRAITS(LAPIC_LVT_THERMAL) = REG_READ_WRITE,
    TRAITS(LAPIC_LVT_PERF) = REG_READ_WRITE,
    TRAITS(LAPIC_LVT_LINT0) = REG_READ_WRITE,
    TRAITS(LAPIC_LVT_LINT1) = REG_READ_WRITE,
    TRAITS(LAPIC_LVT_ERROR) = REG_READ_WRITE,
    TRAITS(LAPIC_INITIAL_COUNT) = REG_READ_WRITE,
    TRAITS(LAPIC_CURRENT_COUNT) = REG_READ,
    TRAITS(LAPIC_DIVIDE) = REG_READ_WRITE,
    TRAITS(LAPIC_SELF_IPI) = REG_WRITE | REG_X2APIC_ONLY,
};

/* 0: no such register. */
static inline unsigned register_traits(uint32_t offset)
{
    return offset / 16 < HV_ARRAY_COUNT(register_table) ? register_table[offset / 16] : 0;
}

/* The bits that a write may set; for x2APIC all others are reserved. */
static uint32_t writable_bits(const struct lapic *lapic, uint32_t offset)
{
    switch (offset) {
    case LAPIC_TPR:
        return TPR_BITS;
    case LAPIC_SELF_IPI:
        return 0xFF;
    case LAPIC_LDR:
        return 0xFF000000;
    case LAPIC_DFR:
        return 0xF0000000;
    case LAPIC_SVR: /* bit 9, focus checking, is kept and means nothing */
        return 0x3FF | (lapic->config.suppress_eoi_broadcast ? SVR_SUPPRESS_EOI : 0);
    case LAPIC_ICR_LOW:
        return ICR_LOW_WRITABLE;
    case LAPIC_ICR_HIGH:
        return 0xFF000000;
    case LAPIC_LVT_TIMER:
        return LVT_VECTOR | LVT_MASKED | 1u << LVT_TIMER_MODE_SHIFT |
               (lapic->config.has_tsc_deadline ? 2u << LVT_TIMER_MODE_SHIFT : 0);
    case LAPIC_LVT_THERMAL:
    case LAPIC_LVT_PERF:
        return LVT_VECTOR | LVT_DELIVERY | LVT_MASKED;
    case LAPIC_LVT_LINT0:
    case LAPIC_LVT_LINT1:
        return LVT_VECTOR | LVT_DELIVERY | LVT_ACTIVE_LOW | LVT_LEVEL | LVT_MASKED;
    case LAPIC_LVT_ERROR:
        return LVT_VECTOR | LVT_MASKED;
    case LAPIC_INITIAL_COUNT:
        return UINT32_MAX;
    case LAPIC_DIVIDE:
        return 0xB;
    default: /* EOI, ESR: no bit has a meaning */
        return 0;
    }
}

static void publish(struct lapic *lapic)
{
    uint64_t who;

    if (lapic_is_x2apic(lapic))
        who = lapic->config.id | PUBLISHED_X2APIC;
    else
        who = (lapic->config.id & 0xFF) |
              (uint64_t)(lapic_get(lapic, LAPIC_LDR) >> 24) << PUBLISHED_LDR_SHIFT;
    if (lapic_get(lapic, LAPIC_DFR) >> 28 == 0xF)
        who |= PUBLISHED_FLAT;
    if (lapic_is_enabled(lapic))
        who |= PUBLISHED_ENABLED;
    if (lapic_is_enabled(lapic) && lapic_is_sw_enabled(lapic))
        who |= PUBLISHED_SW_ENABLED;
    __atomic_store_n(&lapic->published, who, __ATOMIC_RELEASE);
}

/* ID and LDR look different in the two modes. */
static void put_identity(struct lapic *lapic)
{
    uint32_t id = lapic->config.id;

    if (lapic_is_x2apic(lapic)) {
        lapic_put(lapic, LAPIC_ID, id);
        lapic_put(lapic, LAPIC_LDR, id >> 4 << 16 | 1u << (id & 15));
    } else {
        lapic_put(lapic, LAPIC_ID, id << 24);
        lapic_put(lapic, LAPIC_LDR, 0);
    }
}

/* ---- reset ---- */

static void reset_registers(struct lapic *lapic)
{
    static const uint16_t lvts[] = { LAPIC_LVT_TIMER, LAPIC_LVT_THERMAL, LAPIC_LVT_PERF,
                                     LAPIC_LVT_LINT0, LAPIC_LVT_LINT1,   LAPIC_LVT_ERROR };

    lapic_timer_stop(lapic);
    memset(lapic->page, 0, sizeof(lapic->page));
    put_identity(lapic);
    lapic_put(lapic, LAPIC_VERSION,
              VERSION_INTEGRATED | VERSION_MAX_LVT |
                  (lapic->config.suppress_eoi_broadcast ? VERSION_SUPPRESS_EOI : 0));
    lapic_put(lapic, LAPIC_DFR, UINT32_MAX);
    lapic_put(lapic, LAPIC_SVR, 0xFF);
    for (size_t i = 0; i < HV_ARRAY_COUNT(lvts); i++)
        lapic_put(lapic, lvts[i], LVT_MASKED);
    publish(lapic);
    /* From here on nobody posts a vector: the APIC is software-disabled. */
    for (unsigned word = 0; word < 4; word++) {
        __atomic_store_n(&lapic->posted.pir[word], 0, __ATOMIC_RELAXED);
        __atomic_store_n(&lapic->posted.level[word], 0, __ATOMIC_RELAXED);
    }
    lapic->esr_pending = 0;
    lapic->extint_latched = false;
    lapic_update(lapic);
    lapic_resample_pins(lapic);
}

/* MultiProcessor Specification, "Virtual Wire Mode": LINT0 passes the PIC's interrupts on, LINT1 is
 * NMI. A kernel that never touches its APIC depends on it. */
static void set_virtual_wire(struct lapic *lapic)
{
    lapic_put(lapic, LAPIC_SVR, SVR_ENABLE | 0xF);
    lapic_put(lapic, LAPIC_LVT_LINT0, IRQ_EXTINT << LVT_DELIVERY_SHIFT);
    lapic_put(lapic, LAPIC_LVT_LINT1, IRQ_NMI << LVT_DELIVERY_SHIFT);
    publish(lapic);
    lapic_resample_pins(lapic);
}

static void note_mmio_page(struct lapic *lapic)
{
    gpa_t base;

    lapic->mmio_page = lapic_mmio_base(lapic, &base) ? base.v : UINT64_MAX;
}

void lapic_reset(struct lapic *lapic)
{
    lapic->base_msr = LAPIC_DEFAULT_BASE | LAPIC_BASE_ENABLE |
                      (lapic->config.bsp ? LAPIC_BASE_BSP : 0) |
                      (lapic->config.x2apic_only ? LAPIC_BASE_X2APIC : 0);
    note_mmio_page(lapic);
    lapic->attention.half.owner = 0;
    __atomic_store_n(&lapic->attention.half.posted, 0, __ATOMIC_RELAXED);
    reset_registers(lapic);
    if (lapic->config.bsp)
        set_virtual_wire(lapic);
}

void lapic_reset_init(struct lapic *lapic)
{
    /* An NMI from before is gone with the rest; a SIPI that has come since stays. */
    lapic_owner_clear(lapic, LAPIC_ATTENTION_NMI);
    reset_registers(lapic);
}

static uint32_t greatest_common_divisor(uint32_t a, uint32_t b)
{
    while (b) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

enum hv_err lapic_init(struct lapic *lapic, const struct lapic_config *config,
                       const struct lapic_env *env)
{
    if (config->timer_numerator == 0 || config->timer_denominator == 0 ||
        config->timer_denominator / config->timer_numerator > MAX_TSC_PER_TICK ||
        config->id == LAPIC_BROADCAST || (config->x2apic_only && !config->has_x2apic) || (!config->has_x2apic && config->id > 254) ||
        config->physical_address_bits < 32 || config->physical_address_bits > 52)
        return HV_ERR_INVALID;
    memset(lapic, 0, sizeof(*lapic));
    lapic->config = *config;
    lapic->env = *env;
    /* The smaller the ratio's terms, the longer products fit 64 bits and need no long division. */
    uint32_t common = greatest_common_divisor(config->timer_numerator, config->timer_denominator);
    lapic->config.timer_numerator /= common;
    lapic->config.timer_denominator /= common;
    lapic->tsc_to_ticks =
        hv_ratio_make(lapic->config.timer_numerator, lapic->config.timer_denominator);
    lapic_reset(lapic);
    return HV_OK;
}

/* ---- sending ---- */

/* SDM "Valid Combinations for the Pentium 4 and Intel Xeon Processors' Local xAPIC Interrupt
 * Command Register": what is left undefined there (INIT and SIPI to oneself, reserved delivery
 * modes) sends nothing. */
static bool icr_is_sendable(enum irq_delivery delivery, enum lapic_shorthand shorthand)
{
    bool to_self = shorthand == LAPIC_TO_SELF || shorthand == LAPIC_TO_ALL;

    switch (delivery) {
    case IRQ_FIXED:
    case IRQ_LOWEST:
    case IRQ_NMI:
        return true;
    case IRQ_INIT:
    case IRQ_STARTUP:
        return !to_self;
    default:
        return false;
    }
}

static void send_ipi(struct lapic *lapic, uint32_t low, uint32_t destination)
{
    enum lapic_shorthand shorthand = (enum lapic_shorthand)(low >> ICR_SHORTHAND_SHIFT & 3);
    struct irq_message message = {
        .destination = destination,
        .vector = (uint8_t)low,
        .delivery = (enum irq_delivery)(low >> ICR_DELIVERY_SHIFT & 7),
        .logical = (low & ICR_LOGICAL) != 0,
        .level_triggered = false, /* IPIs are edges, whatever the trigger mode bit says */
        .asserted = true,
    };

    if (!icr_is_sendable(message.delivery, shorthand))
        return;
    if (message.delivery == IRQ_INIT && (low & (ICR_LEVEL | ICR_ASSERT)) == ICR_LEVEL)
        return; /* INIT level de-assert means nothing since the Pentium 4 */
    if ((message.delivery == IRQ_FIXED || message.delivery == IRQ_LOWEST) &&
        message.vector < FIRST_LEGAL_VECTOR) {
        lapic_error(lapic, LAPIC_ESR_SEND_ILLEGAL_VECTOR);
        return;
    }
    if (shorthand == LAPIC_TO_SELF)
        lapic_take_message(lapic, &message);
    else
        lapic->env.send(lapic->env.context, shorthand, &message);
}

static void write_icr_xapic(struct lapic *lapic, uint32_t low)
{
    uint32_t destination = lapic_get(lapic, LAPIC_ICR_HIGH) >> 24;

    lapic_put(lapic, LAPIC_ICR_LOW, low);
    send_ipi(lapic, low, destination == 0xFF ? LAPIC_BROADCAST : destination);
}

static void write_self_ipi(struct lapic *lapic, uint8_t vector)
{
    if (vector < FIRST_LEGAL_VECTOR)
        lapic_error(lapic, LAPIC_ESR_SEND_ILLEGAL_VECTOR);
    else
        lapic_take_fixed(lapic, vector, false);
}

/* ---- registers, whichever way they are reached ---- */

static void write_svr(struct lapic *lapic, uint32_t value)
{
    static const uint16_t lvts[] = { LAPIC_LVT_THERMAL, LAPIC_LVT_PERF, LAPIC_LVT_LINT0,
                                     LAPIC_LVT_LINT1, LAPIC_LVT_ERROR };

    lapic_put(lapic, LAPIC_SVR, value);
    if (!(value & SVR_ENABLE)) {
        lapic_timer_write_lvt(lapic, lapic_get(lapic, LAPIC_LVT_TIMER) | LVT_MASKED);
        for (size_t i = 0; i < HV_ARRAY_COUNT(lvts); i++)
            lapic_put(lapic, lvts[i], lapic_get(lapic, lvts[i]) | LVT_MASKED);
    }
    publish(lapic);
    lapic_resample_pins(lapic);
}

static void write_lvt(struct lapic *lapic, uint32_t offset, uint32_t value)
{
    if (!lapic_is_sw_enabled(lapic))
        value |= LVT_MASKED;
    if (offset == LAPIC_LVT_TIMER) {
        lapic_timer_write_lvt(lapic, value);
        return;
    }
    /* Remote IRR is read-only, and means nothing once the pin is an edge or not fixed. */
    if ((value & (LVT_LEVEL | LVT_DELIVERY)) == LVT_LEVEL)
        value |= lapic_get(lapic, offset) & LVT_REMOTE_IRR;
    lapic_put(lapic, offset, value);
    if (offset == LAPIC_LVT_LINT0)
        lapic_resample_pins(lapic);
}

/* `value` holds writable bits only. */
static void write_register(struct lapic *lapic, uint32_t offset, uint32_t value)
{
    switch (offset) {
    case LAPIC_EOI:
        lapic_eoi(lapic);
        break;
    case LAPIC_TPR:
        lapic_put(lapic, LAPIC_TPR, value);
        lapic_update(lapic);
        break;
    case LAPIC_ICR_LOW:
        write_icr_xapic(lapic, value);
        break;
    case LAPIC_LVT_TIMER:
    case LAPIC_LVT_THERMAL:
    case LAPIC_LVT_PERF:
    case LAPIC_LVT_LINT0:
    case LAPIC_LVT_LINT1:
    case LAPIC_LVT_ERROR:
        write_lvt(lapic, offset, value);
        break;
    case LAPIC_INITIAL_COUNT:
        lapic_timer_write_initial(lapic, value);
        break;
    case LAPIC_DIVIDE:
        lapic_timer_write_divide(lapic, value);
        break;
    case LAPIC_SVR:
        write_svr(lapic, value);
        break;
    case LAPIC_ESR: /* shows what was found since the last write, and collects anew */
        lapic_put(lapic, LAPIC_ESR, lapic->esr_pending);
        lapic->esr_pending = 0;
        break;
    case LAPIC_SELF_IPI:
        write_self_ipi(lapic, (uint8_t)value);
        break;
    case LAPIC_DFR:
        lapic_put(lapic, LAPIC_DFR, value | 0x0FFFFFFF);
        publish(lapic);
        break;
    case LAPIC_LDR:
        lapic_put(lapic, LAPIC_LDR, value);
        publish(lapic);
        break;
    default: /* the upper half of the ICR */
        lapic_put(lapic, offset, value);
        break;
    }
}

static uint32_t read_register(const struct lapic *lapic, uint32_t offset)
{
    if (offset == LAPIC_CURRENT_COUNT)
        return lapic_timer_current(lapic);
    if (offset == LAPIC_APR) /* without an arbitration bus, what it would have been at rest */
        return lapic_get(lapic, LAPIC_PPR);
    return lapic_get(lapic, offset);
}

/* ---- xAPIC page ---- */

static NOINLINE uint64_t mmio_read_any(struct lapic *lapic, uint32_t offset, unsigned size_bytes)
{
    uint32_t reg = offset & 0xFF0, byte = offset & 0xF;
    unsigned traits = register_traits(reg);

    if (traits == 0 || (traits & REG_X2APIC_ONLY)) {
        lapic_error(lapic, LAPIC_ESR_ILLEGAL_REGISTER);
        return 0;
    }
    if (!(traits & REG_READ) || byte > 3)
        return 0;
    uint64_t value = read_register(lapic, reg) >> (byte * 8);
    return size_bytes >= 4 ? value : value & ((UINT64_C(1) << (size_bytes * 8)) - 1);
}

/* What there is to read, 4 bytes at a register's start: the page, but for two. */
uint64_t lapic_mmio_read(struct lapic *lapic, uint32_t offset, unsigned size_bytes)
{
    unsigned traits = register_traits(offset);

    if (HV_LIKELY((traits & (REG_READ | REG_X2APIC_ONLY)) == REG_READ && (offset & 0xF) == 0 &&
                  size_bytes == 4))
        return read_register(lapic, offset);
    return mmio_read_any(lapic, offset, size_bytes);
}

static NOINLINE void mmio_write_any(struct lapic *lapic, uint32_t offset, unsigned size_bytes,
                                    uint64_t value)
{
    uint32_t reg = offset & 0xFF0;
    unsigned traits = register_traits(reg);

    if (traits == 0 || (traits & REG_X2APIC_ONLY)) {
        lapic_error(lapic, LAPIC_ESR_ILLEGAL_REGISTER);
        return;
    }
    if (!(traits & REG_WRITE) || (offset & 0xF) != 0 || size_bytes != 4)
        return;
    write_register(lapic, reg, (uint32_t)value & writable_bits(lapic, reg));
}

/* What comes with every interrupt goes first. */
void lapic_mmio_write(struct lapic *lapic, uint32_t offset, unsigned size_bytes, uint64_t value)
{
    if (HV_UNLIKELY(size_bytes != 4)) {
        mmio_write_any(lapic, offset, size_bytes, value);
    } else if (offset == LAPIC_EOI) {
        lapic_eoi(lapic);
    } else if (offset == LAPIC_TPR) {
        lapic_put(lapic, LAPIC_TPR, (uint32_t)value & TPR_BITS);
        lapic_update(lapic);
    } else {
        mmio_write_any(lapic, offset, 4, value);
    }
}

/* ---- x2APIC MSRs ---- */

/* The offset of the register behind an MSR, or UINT32_MAX. */
static uint32_t msr_register(const struct lapic *lapic, uint32_t msr, unsigned direction)
{
    uint32_t reg = (msr - LAPIC_MSR_BASE) * 16;

    if (!lapic_is_x2apic(lapic) || msr < LAPIC_MSR_BASE || reg >= LAPIC_PAGE_BYTES)
        return UINT32_MAX;
    unsigned traits = register_traits(reg);
    return (traits & direction) && !(traits & REG_XAPIC_ONLY) ? reg : UINT32_MAX;
}

bool lapic_msr_read(struct lapic *lapic, uint32_t msr, uint64_t *value)
{
    uint32_t reg = msr_register(lapic, msr, REG_READ);

    if (reg == UINT32_MAX)
        return false;
    *value = read_register(lapic, reg);
    if (reg == LAPIC_ICR_LOW)
        *value |= (uint64_t)lapic_get(lapic, ICR_X2APIC_HIGH) << 32;
    return true;
}

static bool write_icr_x2apic(struct lapic *lapic, uint64_t value)
{
    uint32_t low = (uint32_t)value & ~ICR_LOW_STATUS;

    if (low & ~ICR_LOW_WRITABLE)
        return false;
    lapic_put(lapic, LAPIC_ICR_LOW, low);
    lapic_put(lapic, ICR_X2APIC_HIGH, (uint32_t)(value >> 32));
    send_ipi(lapic, low, (uint32_t)(value >> 32));
    return true;
}

bool lapic_msr_write(struct lapic *lapic, uint32_t msr, uint64_t value)
{
    uint32_t reg = msr_register(lapic, msr, REG_WRITE);

    if (reg == UINT32_MAX || reg == LAPIC_LDR)
        return false;
    if (reg == LAPIC_ICR_LOW)
        return write_icr_x2apic(lapic, value);
    uint64_t allowed = writable_bits(lapic, reg);
    /* The read-only status bits of an LVT entry may be written back as they were read. */
    if (reg >= LAPIC_LVT_TIMER && reg <= LAPIC_LVT_ERROR)
        allowed |= ICR_LOW_STATUS;
    if (reg == LAPIC_LVT_LINT0 || reg == LAPIC_LVT_LINT1)
        allowed |= LVT_REMOTE_IRR;
    if (value & ~allowed)
        return false;
    write_register(lapic, reg, (uint32_t)value & writable_bits(lapic, reg));
    return true;
}

/* ---- CR8, IA32_APIC_BASE ---- */

uint8_t lapic_cr8_read(const struct lapic *lapic)
{
    return (uint8_t)(lapic_get(lapic, LAPIC_TPR) >> 4 & 0xF);
}

void lapic_cr8_write(struct lapic *lapic, uint8_t value)
{
    lapic_put(lapic, LAPIC_TPR, (uint32_t)(value & 0xF) << 4);
    lapic_update(lapic);
}

uint64_t lapic_base_read(const struct lapic *lapic)
{
    return lapic->base_msr;
}

static uint64_t base_reserved(const struct lapic *lapic)
{
    uint64_t reserved =
        BASE_RESERVED_LOW | ~((UINT64_C(1) << lapic->config.physical_address_bits) - 1);

    return lapic->config.has_x2apic ? reserved : reserved | LAPIC_BASE_X2APIC;
}

/* SDM "x2APIC State Transitions": x2APIC mode is entered from xAPIC mode only and left only to
 * disabled, from where it takes xAPIC mode to come back. */
static bool is_legal_transition(uint64_t from, uint64_t to)
{
    if ((to & BASE_MODE) == LAPIC_BASE_X2APIC)
        return false;
    if ((from & BASE_MODE) == BASE_MODE && (to & BASE_MODE) == LAPIC_BASE_ENABLE)
        return false;
    return (from & LAPIC_BASE_ENABLE) || !(to & LAPIC_BASE_X2APIC);
}

bool lapic_mmio_base(const struct lapic *lapic, gpa_t *base)
{
    *base = GPA(lapic->base_msr & ~UINT64_C(0xFFF));
    return (lapic->base_msr & BASE_MODE) == LAPIC_BASE_ENABLE;
}

enum lapic_base_answer lapic_base_write(struct lapic *lapic, uint64_t value)
{
    uint64_t before = lapic->base_msr;

    if ((value & base_reserved(lapic)) || !is_legal_transition(before, value))
        return LAPIC_BASE_FAULT;
    if (lapic->config.x2apic_only && (value & BASE_MODE) != BASE_MODE)
        return LAPIC_BASE_FAULT;
    lapic->base_msr = value;
    note_mmio_page(lapic);
    if (((before ^ value) & LAPIC_BASE_ENABLE) != 0) {
        reset_registers(lapic); /* off and on again is like power-up */
    } else if (((before ^ value) & LAPIC_BASE_X2APIC) != 0) {
        put_identity(lapic);
        publish(lapic);
    }
    return ((before ^ value) & ~LAPIC_BASE_BSP) ? LAPIC_BASE_CHANGED : LAPIC_BASE_SAME;
}
