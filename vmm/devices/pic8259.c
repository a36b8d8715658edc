/*
 * The pair of 8259A interrupt controllers and their ELCR. See hv/dev_pic8259.h.
 *
 * Not modelled: buffered mode's pin (SP/EN is hard-wired on a PC, so ICW4's BUF and M/S change
 * nothing) and ICW1's LTIM, which ELCR replaces on every chipset that has it.
 *
 * Lock: the VM's device lock.
 * Source: 8259A data sheet, "Initialization Command Words", "Operation Command Words", "Fully
 * Nested Mode" to "Cascade Mode"; chipset data sheets for ELCR1 and ELCR2.
 */
#include "hv/dev_pic8259.h"
#include "vmm/devices/isa.h"

#define MASTER 0u
#define SLAVE 1u
_Static_assert(PIC8259_TAG_MASTER == MASTER && PIC8259_TAG_SLAVE == SLAVE, "a tag is an index");
#define CASCADE_IR 2u
#define CASCADE_BIT 0x04u

#define ICW1_SELECT 0x10u
#define ICW1_IC4 0x01u
#define ICW1_SNGL 0x02u
#define ICW1_ADI 0x04u
#define ICW4_8086 0x01u
#define ICW4_AEOI 0x02u
#define ICW4_SFNM 0x10u
#define ICW4_ALL 0x1Fu
#define SLAVE_ID 0x07

#define OCW3_SELECT 0x08u
#define OCW3_RIS 0x01u
#define OCW3_RR 0x02u
#define OCW3_POLL 0x04u
#define OCW3_SMM 0x20u
#define OCW3_ESMM 0x40u

#define POLL_INTERRUPT 0x80u
#define FLOATING_BUS 0xFF /* nobody drives the vector */

#define ELCR_MASTER_WRITABLE 0xF8u /* IRQ0, 1 and 2 are always edge-triggered */
#define ELCR_SLAVE_WRITABLE 0xDEu  /* IRQ8 and 13 too */

enum ocw2_command {
    OCW2_ROTATE_AEOI_CLEAR = 0,
    OCW2_EOI = 1,
    OCW2_NONE = 2,
    OCW2_SPECIFIC_EOI = 3,
    OCW2_ROTATE_AEOI_SET = 4,
    OCW2_ROTATE_EOI = 5,
    OCW2_SET_PRIORITY = 6,
    OCW2_ROTATE_SPECIFIC_EOI = 7,
};

#define NO_IR (-1)

/* The IR of highest priority in a set, or NO_IR. Priority falls from `lowest` + 1 around: turned so
 * that this one is bit 0, the lowest bit that is set has it. */
static int highest_ir(uint8_t set, uint8_t lowest)
{
    unsigned first = (lowest + 1u) & 7;
    unsigned turned = (set | (unsigned)set << 8) >> first;
    if (!set)
        return NO_IR;
    return (int)((first + (unsigned)__builtin_ctz(turned)) & 7);
}

/* 0 is the highest priority. */
static unsigned priority_of(int ir, uint8_t lowest)
{
    return ((unsigned)ir - lowest - 1) & 7;
}

static bool cascades(const struct pic8259_chip_state *master, int ir)
{
    return !(master->icw1 & ICW1_SNGL) && (master->icw3 >> ir & 1);
}

/* In-service bits that hold back others; special mask mode takes the masked ones out. */
static uint8_t inhibiting(const struct pic8259_chip_state *c)
{
    return c->special_mask ? c->isr & (uint8_t)~c->imr : c->isr;
}

/* The request that INT stands for, or NO_IR. `nested_ir` is the input that special fully nested
 * mode lets through although it is in service. */
static int eligible_ir(const struct pic8259_chip_state *c, uint8_t irr, int nested_ir)
{
    if (c->init_next)
        return NO_IR;
    int request = highest_ir(irr & (uint8_t)~c->imr, c->lowest);
    int service = highest_ir(inhibiting(c), c->lowest);
    if (request == NO_IR || service == NO_IR)
        return request;
    if (request == service && request == nested_ir)
        return request;
    return priority_of(request, c->lowest) < priority_of(service, c->lowest) ? request : NO_IR;
}

static uint8_t slave_irr(const struct pic8259_state *s)
{
    const struct pic8259_chip_state *c = &s->chip[SLAVE];
    return c->edges | (c->lines & c->elcr);
}

static int slave_request(const struct pic8259_state *s)
{
    return eligible_ir(&s->chip[SLAVE], slave_irr(s), NO_IR);
}

/* INT of the slave stays up from request to acknowledge, so that it is taken as a level. */
static uint8_t master_irr(const struct pic8259_state *s)
{
    const struct pic8259_chip_state *c = &s->chip[MASTER];
    uint8_t cascade = slave_request(s) != NO_IR ? CASCADE_BIT : 0;
    return c->edges | (c->lines & c->elcr) | cascade;
}

static int master_request(const struct pic8259_state *s)
{
    const struct pic8259_chip_state *c = &s->chip[MASTER];
    bool nested = (c->icw4 & ICW4_SFNM) && cascades(c, CASCADE_IR);
    return eligible_ir(c, master_irr(s), nested ? (int)CASCADE_IR : NO_IR);
}

static int chip_request(const struct pic8259_state *s, unsigned chip)
{
    return chip == MASTER ? master_request(s) : slave_request(s);
}

static void update_intr(struct pic8259 *pic)
{
    bool intr = master_request(&pic->state) != NO_IR;
    if (intr == pic->intr)
        return;
    pic->intr = intr;
    irq_set(&pic->wiring.intr, intr);
}

/* What INTA does inside one chip. */
static void take_into_service(struct pic8259_chip_state *c, int ir)
{
    uint8_t bit = (uint8_t)(1u << ir);
    c->edges &= (uint8_t)~bit;
    if (!(c->icw4 & ICW4_AEOI))
        c->isr |= bit;
    else if (c->rotate_aeoi)
        c->lowest = (uint8_t)ir;
}

/* Without 8086 mode the second INTA cycle carries the low byte of a CALL's address. */
static uint8_t vector_of(const struct pic8259_chip_state *c, int ir)
{
    if (c->icw4 & ICW4_8086)
        return (uint8_t)((c->icw2 & 0xF8) | ir);
    if (c->icw1 & ICW1_ADI)
        return (uint8_t)((c->icw1 & 0xE0) | ir << 2);
    return (uint8_t)((c->icw1 & 0xC0) | ir << 3);
}

static uint8_t chip_inta(struct pic8259_chip_state *c, int ir)
{
    if (ir == NO_IR)
        return vector_of(c, 7); /* "Default IR7": nothing enters service */
    take_into_service(c, ir);
    return vector_of(c, ir);
}

int pic8259_acknowledge(struct pic8259 *pic)
{
    struct pic8259_state *s = &pic->state;
    struct pic8259_chip_state *master = &s->chip[MASTER];
    int ir = master_request(s);
    int slave_ir = slave_request(s);
    int vector = chip_inta(master, ir);
    /* The slave answers for whatever input of the master has its number on the cascade lines. */
    if (ir != NO_IR && cascades(master, ir)) {
        struct pic8259_chip_state *slave = &s->chip[SLAVE];
        vector = (slave->icw3 & SLAVE_ID) == ir ? chip_inta(slave, slave_ir) : FLOATING_BUS;
    }
    update_intr(pic);
    return vector;
}

static void write_icw1(struct pic8259_chip_state *c, uint8_t value)
{
    uint8_t lines = c->lines, elcr = c->elcr, icw2 = c->icw2;
    uint8_t icw4 = value & ICW1_IC4 ? c->icw4 : 0;
    *c = (struct pic8259_chip_state){
        .lines = lines,
        .elcr = elcr,
        .icw1 = value,
        .icw2 = icw2,
        .icw3 = SLAVE_ID, /* "the slave mode address is set to 7" */
        .icw4 = icw4,
        .init_next = 2,
        .lowest = 7,
    };
}

static void write_icw(struct pic8259_chip_state *c, uint8_t value)
{
    bool icw4_follows = c->icw1 & ICW1_IC4;
    switch (c->init_next) {
    case 2:
        c->icw2 = value;
        if (c->icw1 & ICW1_SNGL)
            c->init_next = icw4_follows ? 4 : 0;
        else
            c->init_next = 3;
        break;
    case 3:
        c->icw3 = value;
        c->init_next = icw4_follows ? 4 : 0;
        break;
    default:
        c->icw4 = value & ICW4_ALL;
        c->init_next = 0;
        break;
    }
}

static void end_of_interrupt(struct pic8259_chip_state *c, bool rotate)
{
    int ir = highest_ir(inhibiting(c), c->lowest);
    if (ir == NO_IR)
        return;
    c->isr &= (uint8_t)~(1u << ir);
    if (rotate)
        c->lowest = (uint8_t)ir;
}

static void write_ocw2(struct pic8259_chip_state *c, uint8_t value)
{
    uint8_t level = value & 7;
    switch ((enum ocw2_command)(value >> 5)) {
    case OCW2_ROTATE_AEOI_CLEAR: c->rotate_aeoi = 0; break;
    case OCW2_ROTATE_AEOI_SET: c->rotate_aeoi = 1; break;
    case OCW2_EOI: end_of_interrupt(c, false); break;
    case OCW2_ROTATE_EOI: end_of_interrupt(c, true); break;
    case OCW2_SPECIFIC_EOI: c->isr &= (uint8_t)~(1u << level); break;
    case OCW2_ROTATE_SPECIFIC_EOI:
        c->isr &= (uint8_t)~(1u << level);
        c->lowest = level;
        break;
    case OCW2_SET_PRIORITY: c->lowest = level; break;
    case OCW2_NONE: break;
    }
}

static void write_ocw3(struct pic8259_chip_state *c, uint8_t value)
{
    if (value & OCW3_ESMM)
        c->special_mask = (value & OCW3_SMM) != 0;
    if (value & OCW3_RR)
        c->read_isr = (value & OCW3_RIS) != 0;
    if (value & OCW3_POLL)
        c->poll = 1;
}

static void chip_write(struct pic8259_chip_state *c, bool odd_port, uint8_t value)
{
    if (odd_port) {
        if (c->init_next)
            write_icw(c, value);
        else
            c->imr = value;
    } else if (value & ICW1_SELECT) {
        write_icw1(c, value);
    } else if (value & OCW3_SELECT) {
        write_ocw3(c, value);
    } else {
        write_ocw2(c, value);
    }
}

/* "Poll Command": the next read, of either port, acknowledges within this one chip. */
static uint8_t chip_poll(struct pic8259_state *s, unsigned chip)
{
    struct pic8259_chip_state *c = &s->chip[chip];
    int ir = chip_request(s, chip);
    c->poll = 0;
    if (ir == NO_IR)
        return 0;
    take_into_service(c, ir);
    return (uint8_t)(POLL_INTERRUPT | (unsigned)ir);
}

static uint8_t chip_read(const struct pic8259_state *s, unsigned chip, bool odd_port)
{
    const struct pic8259_chip_state *c = &s->chip[chip];
    if (odd_port)
        return c->imr;
    if (c->read_isr)
        return c->isr;
    return chip == MASTER ? master_irr(s) : slave_irr(s);
}

static void elcr_write(struct pic8259_chip_state *c, uint8_t value, uint8_t writable)
{
    c->elcr = value & writable;
    c->edges &= (uint8_t)~c->elcr;
}

static __attribute__((noinline)) int register_read(struct pic8259 *pic, unsigned tag,
                                                   uint64_t offset)
{
    struct pic8259_state *s = &pic->state;
    if (offset >= PIC8259_PORTS)
        return BUS_READ_UNCLAIMED;
    if (tag == PIC8259_TAG_ELCR)
        return s->chip[offset].elcr;
    if (!s->chip[tag].poll)
        return chip_read(s, tag, offset);
    uint8_t value = chip_poll(s, tag);
    update_intr(pic);
    return value;
}

/* Reading changes nothing but by a poll. IMR is what drivers read most. */
static int pic_read8(struct device *device, unsigned tag, uint64_t offset)
{
    struct pic8259 *pic = HV_CONTAINER_OF(device, struct pic8259, dev);
    if (HV_LIKELY(offset == 1 && tag != PIC8259_TAG_ELCR && !pic->state.chip[tag].poll))
        return pic->state.chip[tag].imr;
    return register_read(pic, tag, offset);
}

static enum bus_answer pic_write8(struct device *device, unsigned tag, uint64_t offset,
                                  uint8_t value)
{
    static const uint8_t elcr_writable[2] = { ELCR_MASTER_WRITABLE, ELCR_SLAVE_WRITABLE };
    struct pic8259 *pic = HV_CONTAINER_OF(device, struct pic8259, dev);
    struct pic8259_state *s = &pic->state;
    if (offset >= PIC8259_PORTS)
        return BUS_UNCLAIMED;
    if (tag == PIC8259_TAG_ELCR)
        elcr_write(&s->chip[offset], value, elcr_writable[offset]);
    else
        chip_write(&s->chip[tag], offset, value);
    update_intr(pic);
    return BUS_DONE;
}

void pic8259_set_line(struct pic8259 *pic, unsigned irq, bool level)
{
    if (irq >= PIC8259_LINES || irq == CASCADE_IR)
        return;
    struct pic8259_chip_state *c = &pic->state.chip[irq / 8];
    uint8_t bit = (uint8_t)(1u << (irq % 8));
    if (level == ((c->lines & bit) != 0))
        return;
    c->lines ^= bit;
    if (level)
        c->edges |= bit & (uint8_t)~c->elcr;
    else
        c->edges &= (uint8_t)~bit;
    update_intr(pic);
}

void pic8259_irq_set(void *context, unsigned irq, bool level)
{
    pic8259_set_line(context, irq, level);
}

bool pic8259_intr(const struct pic8259 *pic)
{
    return pic->intr;
}

/* The inputs belong to the devices, which drive them in their own resets. */
static void pic_reset(struct device *device)
{
    struct pic8259 *pic = HV_CONTAINER_OF(device, struct pic8259, dev);
    for (unsigned i = 0; i < 2; i++) {
        struct pic8259_chip_state *c = &pic->state.chip[i];
        *c = (struct pic8259_chip_state){ .lines = c->lines, .imr = 0xFF, .lowest = 7 };
    }
    update_intr(pic);
}

static bool init_check(const struct pic8259_chip_state *c)
{
    if (c->icw1 && !(c->icw1 & ICW1_SELECT))
        return false;
    if ((c->icw4 & ~ICW4_ALL) || (c->icw4 && !(c->icw1 & ICW1_IC4)))
        return false;
    if ((c->icw4 & ICW4_AEOI) && c->isr)
        return false;
    switch (c->init_next) {
    case 0: return true;
    case 2: break;
    case 3:
        if (c->icw1 & ICW1_SNGL)
            return false;
        break;
    case 4:
        if (!(c->icw1 & ICW1_IC4))
            return false;
        break;
    default: return false;
    }
    return c->icw1 && !c->isr && !c->imr; /* ICW1 cleared them, and nothing sets them before OCW1 */
}

static bool chip_check(const struct pic8259_chip_state *c, uint8_t elcr_writable, uint8_t inputs)
{
    if ((c->lines & ~inputs) || (c->elcr & ~elcr_writable))
        return false;
    if (c->edges & ~(c->lines & ~c->elcr))
        return false;
    if (c->lowest > 7 || c->rotate_aeoi > 1 || c->special_mask > 1)
        return false;
    if (c->poll > 1 || c->read_isr > 1)
        return false;
    return init_check(c);
}

static bool pic_check(const void *state)
{
    const struct pic8259_state *s = state;
    return chip_check(&s->chip[MASTER], ELCR_MASTER_WRITABLE, (uint8_t)~CASCADE_BIT) &&
           chip_check(&s->chip[SLAVE], ELCR_SLAVE_WRITABLE, 0xFF);
}

static void pic_loaded(struct device *device)
{
    struct pic8259 *pic = HV_CONTAINER_OF(device, struct pic8259, dev);
    pic->intr = master_request(&pic->state) != NO_IR;
    irq_set(&pic->wiring.intr, pic->intr);
}

static const struct device_field chip_fields[] = {
    DEVICE_FIELD(struct pic8259_chip_state, lines),
    DEVICE_FIELD(struct pic8259_chip_state, edges),
    DEVICE_FIELD(struct pic8259_chip_state, isr),
    DEVICE_FIELD(struct pic8259_chip_state, imr),
    DEVICE_FIELD(struct pic8259_chip_state, elcr),
    DEVICE_FIELD(struct pic8259_chip_state, icw1),
    DEVICE_FIELD(struct pic8259_chip_state, icw2),
    DEVICE_FIELD(struct pic8259_chip_state, icw3),
    DEVICE_FIELD(struct pic8259_chip_state, icw4),
    DEVICE_FIELD(struct pic8259_chip_state, init_next),
    DEVICE_FIELD(struct pic8259_chip_state, lowest),
    DEVICE_FIELD(struct pic8259_chip_state, rotate_aeoi),
    DEVICE_FIELD(struct pic8259_chip_state, special_mask),
    DEVICE_FIELD(struct pic8259_chip_state, poll),
    DEVICE_FIELD(struct pic8259_chip_state, read_isr),
    DEVICE_FIELD_END,
};

static const struct device_field pic_fields[] = {
    DEVICE_FIELD_NESTED_ARRAY(struct pic8259_state, chip, chip_fields),
    DEVICE_FIELD_END,
};

const struct device_ops pic8259_ops = {
    .name = "pic8259",
    .version = 1,
    .state_offset = offsetof(struct pic8259, state),
    .state_bytes = sizeof(struct pic8259_state),
    .reset = pic_reset,
    .access = isa_split_access,
    .read8 = pic_read8,
    .write8 = pic_write8,
    .fields = pic_fields,
    .check = pic_check,
    .loaded = pic_loaded,
};

void pic8259_init(struct pic8259 *pic, const struct pic8259_wiring *wiring)
{
    *pic = (struct pic8259){ .dev = { &pic8259_ops }, .wiring = *wiring };
    pic_reset(&pic->dev);
}
