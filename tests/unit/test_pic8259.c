// SRCS: vmm/devices/pic8259.c
/* The pair of 8259A against its data sheet, and ELCR against the chipsets'. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "fake.h"
#include "fields.h"
#include "hv/dev_pic8259.h"

enum { M = PIC8259_TAG_MASTER, S = PIC8259_TAG_SLAVE, ELCR = PIC8259_TAG_ELCR };
enum { EOI = 0x20, READ_IRR = 0x0A, READ_ISR = 0x0B, POLL = 0x0C };

static struct fake_lines lines;
static struct pic8259 pic;

static int setup(void **state)
{
    (void)state;
    memset(&lines, 0, sizeof(lines));
    struct pic8259_wiring wiring = { fake_line(&lines, 0) };
    pic8259_init(&pic, &wiring);
    return 0;
}

static void sane(void)
{
    assert_true(pic8259_ops.check(&pic.state));
    assert_int_equal(pic8259_intr(&pic), lines.level[0]);
}

static uint8_t in(unsigned tag, unsigned port)
{
    uint8_t value = (uint8_t)fake_access(&pic.dev, tag, BUS_PORT, port, 1, false, 0, NULL);
    sane();
    return value;
}

static void out(unsigned tag, unsigned port, uint8_t value)
{
    fake_access(&pic.dev, tag, BUS_PORT, port, 1, true, value, NULL);
    sane();
}

static void raise(unsigned irq)
{
    pic8259_set_line(&pic, irq, true);
    sane();
}

static void lower(unsigned irq)
{
    pic8259_set_line(&pic, irq, false);
    sane();
}

static int ack(void)
{
    int vector = pic8259_acknowledge(&pic);
    sane();
    return vector;
}

static uint8_t irr(unsigned tag)
{
    out(tag, 0, READ_IRR);
    return in(tag, 0);
}

static uint8_t isr(unsigned tag)
{
    out(tag, 0, READ_ISR);
    return in(tag, 0);
}

static void chip_start(unsigned tag, uint8_t icw1, uint8_t icw2, uint8_t icw3, uint8_t icw4)
{
    out(tag, 0, icw1);
    out(tag, 1, icw2);
    if (!(icw1 & 2))
        out(tag, 1, icw3);
    if (icw1 & 1)
        out(tag, 1, icw4);
}

/* As a PC's firmware does it: 0x20 and 0x28, everything unmasked. */
static void start_with(uint8_t master_icw4, uint8_t slave_icw4)
{
    chip_start(M, 0x11, 0x20, 0x04, master_icw4);
    chip_start(S, 0x11, 0x28, 0x02, slave_icw4);
    out(M, 1, 0x00);
    out(S, 1, 0x00);
}

static void start(void)
{
    start_with(0x01, 0x01);
}

static void test_power_on_is_silent(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 16; i++)
        raise(i);
    assert_false(pic8259_intr(&pic));
    assert_int_equal(in(M, 1), 0xFF);
    assert_int_equal(in(S, 1), 0xFF);
    assert_int_equal(in(ELCR, 0), 0);
    assert_int_equal(in(ELCR, 1), 0);
}

static void test_each_line_has_its_vector(void **state)
{
    (void)state;
    start();
    for (unsigned i = 0; i < 16; i++) {
        if (i == 2)
            continue;
        raise(i);
        assert_true(pic8259_intr(&pic));
        assert_int_equal(ack(), 0x20 + i);
        assert_false(pic8259_intr(&pic));
        assert_int_equal(isr(M), i < 8 ? 1u << i : 4);
        assert_int_equal(isr(S), i < 8 ? 0 : 1u << (i - 8));
        if (i >= 8)
            out(S, 0, EOI);
        out(M, 0, EOI);
        assert_int_equal(isr(M) | isr(S), 0);
        lower(i);
    }
}

static void test_cascade_input_and_foreign_numbers_are_out_of_reach(void **state)
{
    (void)state;
    start();
    raise(2);
    raise(16);
    pic8259_irq_set(&pic, 255, true);
    assert_false(pic8259_intr(&pic));
    pic8259_irq_set(&pic, 4, true);
    assert_true(pic8259_intr(&pic));
}

/* ICW1: "edge sense circuit is reset, the mask register is cleared, IR7 is assigned priority 7, the
 * slave mode address is set to 7, special mask mode is cleared and status read is set to IRR" */
static void test_icw1_clears(void **state)
{
    (void)state;
    start();
    out(M, 0, 0xC3); /* lowest = 3 */
    out(M, 0, 0x68); /* special mask mode */
    out(M, 0, READ_ISR);
    out(M, 1, 0xA5);
    raise(4);
    ack();
    out(M, 0, 0x11);
    assert_false(pic8259_intr(&pic));
    assert_int_equal(in(M, 0), 0x00); /* IRR, without the edge of IR4, whose line is still up */
    assert_int_equal(pic.state.chip[0].lowest, 7);
    assert_int_equal(pic.state.chip[0].special_mask, 0);
    assert_int_equal(pic.state.chip[0].imr, 0);
    assert_int_equal(pic.state.chip[0].isr, 0);
    raise(1); /* latched, but nothing goes out before the sequence is over */
    assert_false(pic8259_intr(&pic));
    out(M, 1, 0x40);
    out(M, 1, 0x04);
    assert_false(pic8259_intr(&pic));
    out(M, 1, 0x01);
    assert_true(pic8259_intr(&pic));
    assert_int_equal(ack(), 0x41);
}

static void test_icw_sequences_of_all_lengths(void **state)
{
    (void)state;
    chip_start(M, 0x13, 0x30, 0, 0x01); /* single: no ICW3 */
    assert_int_equal(pic.state.chip[0].init_next, 0);
    out(M, 1, 0xF7);
    assert_int_equal(in(M, 1), 0xF7);
    raise(3);
    assert_int_equal(ack(), 0x33);
    lower(3);
    chip_start(M, 0x12, 0x30, 0, 0); /* neither */
    assert_int_equal(pic.state.chip[0].init_next, 0);
    chip_start(M, 0x10, 0x30, 4, 0);
    assert_int_equal(pic.state.chip[0].init_next, 0);
    /* A new ICW1 in the middle starts over. */
    out(M, 0, 0x11);
    out(M, 1, 0x50);
    chip_start(M, 0x11, 0x60, 4, 1);
    raise(3);
    assert_int_equal(ack(), 0x63);
}

/* MCS-80 mode: the second cycle is the low byte of a CALL's address, at an interval of 4 or 8. */
static void test_without_8086_mode(void **state)
{
    (void)state;
    chip_start(M, 0xF6, 0x12, 0, 0);
    raise(5);
    assert_int_equal(ack(), 0xE0 | 5 << 2);
    setup(NULL);
    chip_start(M, 0xF2, 0x12, 0, 0);
    raise(5);
    assert_int_equal(ack(), 0xC0 | 5 << 3);
}

static void test_edge_mode_needs_a_new_edge(void **state)
{
    (void)state;
    start();
    raise(4);
    assert_int_equal(irr(M), 0x10);
    assert_int_equal(ack(), 0x24);
    assert_int_equal(irr(M), 0x00);
    out(M, 0, EOI);
    raise(4);
    assert_false(pic8259_intr(&pic));
    lower(4);
    raise(4);
    assert_true(pic8259_intr(&pic));
}

/* "If the IR input goes low before this time a DEFAULT IR7 will occur" */
static void test_withdrawn_request_is_spurious_ir7(void **state)
{
    (void)state;
    start();
    raise(4);
    lower(4);
    assert_false(pic8259_intr(&pic));
    assert_int_equal(ack(), 0x27);
    assert_int_equal(isr(M), 0x00);
}

/* The slave's request may vanish between its INT and the second cycle: then IR15 is spurious and
 * the master has IR2 in service. Masking in between cannot happen, a poll of the slave can. */
static void test_spurious_ir15(void **state)
{
    (void)state;
    start();
    raise(9);
    out(S, 0, 0x0C);
    assert_int_equal(in(S, 0), 0x81);
    assert_false(pic8259_intr(&pic));
    assert_int_equal(ack(), 0x27); /* INT fell, so that it is the master's */
    out(S, 0, EOI);
    lower(9);
    /* A master whose ICW3 has a slave on IR4, with the slave programmed to that number. */
    chip_start(M, 0x11, 0x20, 0x10, 0x01);
    chip_start(S, 0x11, 0x28, 0x04, 0x01);
    raise(4);
    assert_int_equal(ack(), 0x2F);
    assert_int_equal(isr(M), 0x10);
    assert_int_equal(isr(S), 0x00);
}

static void test_level_mode_repeats(void **state)
{
    (void)state;
    start();
    out(ELCR, 0, 0x20);
    out(ELCR, 1, 0x08);
    raise(5);
    assert_int_equal(ack(), 0x25);
    assert_int_equal(irr(M), 0x20);
    assert_false(pic8259_intr(&pic));
    out(M, 0, EOI);
    assert_true(pic8259_intr(&pic));
    assert_int_equal(ack(), 0x25);
    lower(5);
    out(M, 0, EOI);
    assert_false(pic8259_intr(&pic));
    raise(11);
    assert_int_equal(ack(), 0x2B);
    out(S, 0, EOI);
    out(M, 0, EOI);
    assert_true(pic8259_intr(&pic));
    assert_int_equal(ack(), 0x2B);
    lower(11);
    out(S, 0, EOI);
    out(M, 0, EOI);
    assert_false(pic8259_intr(&pic));
}

static void test_elcr_writable_bits(void **state)
{
    (void)state;
    out(ELCR, 0, 0xFF);
    out(ELCR, 1, 0xFF);
    assert_int_equal(in(ELCR, 0), 0xF8);
    assert_int_equal(in(ELCR, 1), 0xDE);
    /* Initialisation does not touch ELCR. */
    start();
    assert_int_equal(in(ELCR, 0), 0xF8);
}

static void test_elcr_change_with_a_line_up(void **state)
{
    (void)state;
    start();
    raise(5);
    out(ELCR, 0, 0x20);
    assert_true(pic8259_intr(&pic));
    out(ELCR, 0, 0x00); /* back to edges: a new one is needed */
    assert_false(pic8259_intr(&pic));
}

/* "Fully Nested Mode" */
static void test_priorities_nest(void **state)
{
    (void)state;
    start();
    raise(5);
    raise(3);
    assert_int_equal(ack(), 0x23);
    assert_false(pic8259_intr(&pic)); /* 5 is lower than 3 in service */
    raise(1);
    assert_true(pic8259_intr(&pic));
    assert_int_equal(ack(), 0x21);
    assert_int_equal(isr(M), 0x0A);
    out(M, 0, EOI);
    assert_int_equal(isr(M), 0x08);
    assert_false(pic8259_intr(&pic));
    out(M, 0, EOI);
    assert_true(pic8259_intr(&pic));
    assert_int_equal(ack(), 0x25);
}

static void test_slave_ranks_between_ir1_and_ir3(void **state)
{
    (void)state;
    start();
    raise(3);
    raise(12);
    raise(1);
    assert_int_equal(ack(), 0x21);
    out(M, 0, EOI);
    assert_int_equal(ack(), 0x2C);
    /* Same level: a higher request of the same slave waits for the master's EOI. */
    raise(8);
    assert_false(pic8259_intr(&pic));
    out(M, 0, EOI);
    assert_true(pic8259_intr(&pic));
    assert_int_equal(ack(), 0x28);
    out(S, 0, EOI);
    out(M, 0, EOI);
    assert_int_equal(isr(S), 0x10);
    assert_int_equal(ack(), 0x23);
}

static void test_imr(void **state)
{
    (void)state;
    start();
    out(M, 1, 0x10);
    assert_int_equal(in(M, 1), 0x10);
    raise(4);
    assert_false(pic8259_intr(&pic));
    assert_int_equal(irr(M), 0x10); /* a masked request is remembered */
    out(M, 1, 0x00);
    assert_int_equal(ack(), 0x24);
    out(M, 0, EOI);
    out(S, 1, 0xFF);
    raise(10);
    assert_int_equal(irr(M), 0x00);
    assert_int_equal(irr(S), 0x04);
    out(S, 1, 0xFB);
    assert_int_equal(irr(M), 0x04);
    out(M, 1, 0x04);
    assert_false(pic8259_intr(&pic));
    out(M, 1, 0x00);
    assert_int_equal(ack(), 0x2A);
}

static void test_specific_eoi(void **state)
{
    (void)state;
    start();
    raise(5);
    ack();
    raise(3);
    ack();
    out(M, 0, 0x65);
    assert_int_equal(isr(M), 0x08);
    out(M, 0, 0x40); /* OCW2 "no operation" */
    assert_int_equal(isr(M), 0x08);
    out(M, 0, 0x63);
    assert_int_equal(isr(M), 0x00);
    out(M, 0, EOI); /* with nothing in service */
    out(M, 0, 0xA0);
    assert_int_equal(pic.state.chip[0].lowest, 7);
}

/* "Automatic Rotation (Equal Priority Devices)": the example with IS4 and IS6. */
static void test_rotate_on_non_specific_eoi(void **state)
{
    (void)state;
    start();
    raise(6);
    assert_int_equal(ack(), 0x26);
    raise(4);
    assert_int_equal(ack(), 0x24);
    out(M, 0, 0xA0);
    assert_int_equal(isr(M), 0x40);
    assert_int_equal(pic.state.chip[0].lowest, 4); /* now 5 is highest, 6 next */
    lower(4);
    raise(4);
    assert_false(pic8259_intr(&pic));
    raise(5);
    assert_int_equal(ack(), 0x25);
}

static void test_specific_rotation(void **state)
{
    (void)state;
    start();
    out(M, 0, 0xC5); /* lowest 5: 6 is highest */
    raise(0);
    raise(6);
    assert_int_equal(ack(), 0x26);
    assert_false(pic8259_intr(&pic));
    out(M, 0, 0xE6); /* rotate on specific EOI */
    assert_int_equal(isr(M), 0);
    assert_int_equal(pic.state.chip[0].lowest, 6);
    raise(7);
    assert_int_equal(ack(), 0x27);
    out(M, 0, EOI);
    assert_int_equal(ack(), 0x20);
}

static void test_automatic_eoi(void **state)
{
    (void)state;
    start_with(0x03, 0x03);
    raise(4);
    raise(5);
    assert_int_equal(ack(), 0x24);
    assert_int_equal(isr(M), 0);
    assert_true(pic8259_intr(&pic));
    assert_int_equal(ack(), 0x25);
    /* Two at once in the slave: INT of the slave is up again at once. */
    raise(8);
    raise(9);
    assert_int_equal(ack(), 0x28);
    assert_int_equal(ack(), 0x29);
    assert_int_equal(isr(S), 0);
    assert_false(pic8259_intr(&pic));
}

static void test_rotate_in_automatic_eoi(void **state)
{
    (void)state;
    start_with(0x03, 0x01);
    out(M, 0, 0x80);
    raise(0);
    raise(1);
    assert_int_equal(ack(), 0x20);
    assert_int_equal(pic.state.chip[0].lowest, 0);
    lower(0);
    raise(0);
    assert_int_equal(ack(), 0x21);
    assert_int_equal(ack(), 0x20);
    out(M, 0, 0x00);
    lower(3);
    raise(3);
    assert_int_equal(ack(), 0x23);
    assert_int_equal(pic.state.chip[0].lowest, 0);
}

/* "Special Mask Mode": a masked level in service inhibits nobody. */
static void test_special_mask_mode(void **state)
{
    (void)state;
    start();
    raise(3);
    ack();
    raise(6);
    assert_false(pic8259_intr(&pic));
    out(M, 1, 0x08);
    assert_false(pic8259_intr(&pic));
    out(M, 0, 0x68);
    assert_true(pic8259_intr(&pic));
    assert_int_equal(ack(), 0x26);
    out(M, 0, EOI); /* "will not clear an IS bit that is masked" */
    assert_int_equal(isr(M), 0x08);
    out(M, 0, EOI);
    assert_int_equal(isr(M), 0x08);
    out(M, 0, 0x28); /* without ESMM, SMM is don't-care */
    assert_int_equal(pic.state.chip[0].special_mask, 1);
    out(M, 0, 0x48);
    assert_int_equal(pic.state.chip[0].special_mask, 0);
    out(M, 0, 0x63);
    assert_int_equal(isr(M), 0);
}

/* "Special Fully Nested Mode": the slave in service is not locked out of the master. */
static void test_special_fully_nested_mode(void **state)
{
    (void)state;
    start_with(0x11, 0x01);
    raise(12);
    assert_int_equal(ack(), 0x2C);
    raise(14);
    assert_false(pic8259_intr(&pic)); /* lower within the slave */
    raise(8);
    assert_true(pic8259_intr(&pic));
    assert_int_equal(ack(), 0x28);
    assert_int_equal(isr(S), 0x11);
    out(S, 0, EOI);
    assert_int_equal(isr(S), 0x10);
    /* Inputs without a slave nest as ever. */
    out(S, 0, EOI);
    out(S, 1, 0xFF);
    out(M, 0, EOI);
    raise(4);
    ack();
    lower(4);
    raise(4);
    assert_false(pic8259_intr(&pic));
    raise(3);
    assert_true(pic8259_intr(&pic));
    /* The slave's own SFNM bit means nothing. */
    start_with(0x01, 0x11);
    lower(9);
    raise(9);
    ack();
    lower(9);
    raise(9);
    assert_false(pic8259_intr(&pic));
}

/* SFNM with an ICW3 that has no slave on IR2: nothing is special about it. */
static void test_special_fully_nested_mode_without_slave(void **state)
{
    (void)state;
    chip_start(M, 0x11, 0x20, 0x00, 0x11);
    chip_start(S, 0x11, 0x28, 0x02, 0x03);
    raise(8);
    assert_int_equal(ack(), 0x22); /* the master answers for itself */
    assert_int_equal(isr(M), 0x04);
    raise(9);
    assert_false(pic8259_intr(&pic));
}

static void test_poll(void **state)
{
    (void)state;
    start();
    out(M, 0, POLL);
    assert_int_equal(in(M, 0), 0x00);
    raise(6);
    raise(3);
    out(M, 0, POLL);
    assert_int_equal(in(M, 0), 0x83);
    assert_int_equal(isr(M), 0x08);
    out(M, 0, POLL);
    assert_int_equal(in(M, 1), 0x00); /* 6 is lower than 3; the odd port polls as well */
    assert_int_equal(in(M, 1), 0x00); /* and this is IMR again */
    out(M, 0, EOI);
    raise(13);
    out(M, 0, POLL);
    assert_int_equal(in(M, 0), 0x82);
    out(S, 0, POLL);
    assert_int_equal(in(S, 0), 0x85);
    assert_int_equal(isr(S), 0x20);
    assert_int_equal(isr(M), 0x04);
}

static void test_poll_comes_before_status(void **state)
{
    (void)state;
    start();
    raise(1);
    out(M, 0, 0x0F); /* POLL, RR, RIS */
    assert_int_equal(in(M, 0), 0x81);
    assert_int_equal(in(M, 0), 0x02); /* ISR was selected with it */
}

static void test_slave_with_another_identity(void **state)
{
    (void)state;
    chip_start(M, 0x11, 0x20, 0x04, 0x01);
    chip_start(S, 0x11, 0x28, 0x03, 0x01);
    raise(8);
    assert_int_equal(ack(), 0xFF); /* nobody answers the cascade lines */
    assert_int_equal(isr(M), 0x04);
    assert_int_equal(isr(S), 0x00);
}

/* The order of initialisation does not lose a request that waits in the slave. */
static void test_slave_first_initialisation(void **state)
{
    (void)state;
    out(ELCR, 1, 0x02);
    raise(9);
    chip_start(S, 0x11, 0x28, 0x02, 0x01);
    chip_start(M, 0x11, 0x20, 0x04, 0x01);
    assert_int_equal(ack(), 0x29);
}

static void test_intr_is_set_only_when_it_changes(void **state)
{
    (void)state;
    start();
    raise(4);
    raise(3);
    raise(1);
    assert_int_equal(lines.rises[0], 1);
    lower(1);
    lower(1);
    assert_true(lines.level[0]);
}

static void test_wide_accesses_are_split(void **state)
{
    (void)state;
    enum bus_answer answer;
    start();
    fake_access(&pic.dev, ELCR, BUS_PORT, 0, 2, true, 0x0C20, &answer);
    assert_int_equal(answer, BUS_DONE);
    assert_int_equal(fake_access(&pic.dev, ELCR, BUS_PORT, 0, 2, false, 0, &answer), 0x0C20);
    out(M, 1, 0x55);
    assert_int_equal(fake_access(&pic.dev, M, BUS_PORT, 0, 4, false, 0, &answer), 0xFFFF5500);
    assert_int_equal(fake_access(&pic.dev, M, BUS_PORT, 2, 1, false, 0, &answer), 0xFF);
    assert_int_equal(answer, BUS_UNCLAIMED);
}

static void test_reset(void **state)
{
    (void)state;
    start();
    out(ELCR, 0, 0x20);
    raise(5);
    pic8259_ops.reset(&pic.dev);
    sane();
    assert_false(pic8259_intr(&pic));
    assert_int_equal(in(ELCR, 0), 0);
    assert_int_equal(in(M, 1), 0xFF);
    assert_int_equal(irr(M), 0);
}

static void test_snapshot(void **state)
{
    (void)state;
    static struct pic8259 other;
    struct pic8259_wiring wiring = { fake_line(&lines, 1) };
    assert_true(fake_fields_cover(&pic8259_ops));
    start();
    raise(3);
    ack();
    raise(9);
    raise(6);
    pic8259_init(&other, &wiring);
    assert_true(fake_fields_load(&other.dev, &pic.dev));
    assert_memory_equal(&other.state, &pic.state, sizeof(pic.state));
    assert_true(pic8259_intr(&other));
    assert_true(lines.level[1]);
    assert_int_equal(pic8259_acknowledge(&other), 0x29);
}

static void test_check_refuses_what_cannot_be(void **state)
{
    (void)state;
    start();
    const struct pic8259_state good = pic.state;
    struct pic8259_state s;
#define REFUSES(change)                                                                            \
    do {                                                                                           \
        s = good;                                                                                  \
        change;                                                                                    \
        assert_false(pic8259_ops.check(&s));                                                       \
    } while (0)
#define TAKES(change)                                                                              \
    do {                                                                                           \
        s = good;                                                                                  \
        change;                                                                                    \
        assert_true(pic8259_ops.check(&s));                                                        \
    } while (0)
    REFUSES(s.chip[0].lines = 0x04);
    TAKES(s.chip[1].lines = 0x04);
    REFUSES(s.chip[0].edges = 0x01);
    TAKES((s.chip[0].edges = 0x01, s.chip[0].lines = 0x01));
    REFUSES((s.chip[0].edges = 0x20, s.chip[0].lines = 0x20, s.chip[0].elcr = 0x20));
    REFUSES(s.chip[0].elcr = 0x01);
    REFUSES(s.chip[1].elcr = 0x20);
    REFUSES(s.chip[0].icw1 = 0x01);
    REFUSES(s.chip[0].icw4 = 0x21);
    REFUSES(s.chip[0].icw1 = 0x10);
    REFUSES((s.chip[0].icw4 = 0x03, s.chip[0].isr = 1));
    REFUSES(s.chip[1].init_next = 1);
    REFUSES(s.chip[1].init_next = 5);
    TAKES(s.chip[1].init_next = 2);
    TAKES(s.chip[1].init_next = 3);
    TAKES(s.chip[1].init_next = 4);
    REFUSES((s.chip[1].init_next = 3, s.chip[1].icw1 = 0x13));
    REFUSES((s.chip[1].init_next = 4, s.chip[1].icw1 = 0x10, s.chip[1].icw4 = 0));
    REFUSES((s.chip[1].init_next = 2, s.chip[1].icw1 = 0, s.chip[1].icw4 = 0));
    REFUSES((s.chip[1].init_next = 2, s.chip[1].isr = 1));
    REFUSES((s.chip[1].init_next = 2, s.chip[1].imr = 1));
    REFUSES(s.chip[0].lowest = 8);
    REFUSES(s.chip[0].rotate_aeoi = 2);
    REFUSES(s.chip[0].special_mask = 2);
    REFUSES(s.chip[0].poll = 2);
    REFUSES(s.chip[0].read_isr = 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_power_on_is_silent, setup),
        cmocka_unit_test_setup(test_each_line_has_its_vector, setup),
        cmocka_unit_test_setup(test_cascade_input_and_foreign_numbers_are_out_of_reach, setup),
        cmocka_unit_test_setup(test_icw1_clears, setup),
        cmocka_unit_test_setup(test_icw_sequences_of_all_lengths, setup),
        cmocka_unit_test_setup(test_without_8086_mode, setup),
        cmocka_unit_test_setup(test_edge_mode_needs_a_new_edge, setup),
        cmocka_unit_test_setup(test_withdrawn_request_is_spurious_ir7, setup),
        cmocka_unit_test_setup(test_spurious_ir15, setup),
        cmocka_unit_test_setup(test_level_mode_repeats, setup),
        cmocka_unit_test_setup(test_elcr_writable_bits, setup),
        cmocka_unit_test_setup(test_elcr_change_with_a_line_up, setup),
        cmocka_unit_test_setup(test_priorities_nest, setup),
        cmocka_unit_test_setup(test_slave_ranks_between_ir1_and_ir3, setup),
        cmocka_unit_test_setup(test_imr, setup),
        cmocka_unit_test_setup(test_specific_eoi, setup),
        cmocka_unit_test_setup(test_rotate_on_non_specific_eoi, setup),
        cmocka_unit_test_setup(test_specific_rotation, setup),
        cmocka_unit_test_setup(test_automatic_eoi, setup),
        cmocka_unit_test_setup(test_rotate_in_automatic_eoi, setup),
        cmocka_unit_test_setup(test_special_mask_mode, setup),
        cmocka_unit_test_setup(test_special_fully_nested_mode, setup),
        cmocka_unit_test_setup(test_special_fully_nested_mode_without_slave, setup),
        cmocka_unit_test_setup(test_poll, setup),
        cmocka_unit_test_setup(test_poll_comes_before_status, setup),
        cmocka_unit_test_setup(test_slave_with_another_identity, setup),
        cmocka_unit_test_setup(test_slave_first_initialisation, setup),
        cmocka_unit_test_setup(test_intr_is_set_only_when_it_changes, setup),
        cmocka_unit_test_setup(test_wide_accesses_are_split, setup),
        cmocka_unit_test_setup(test_reset, setup),
        cmocka_unit_test_setup(test_snapshot, setup),
        cmocka_unit_test_setup(test_check_refuses_what_cannot_be, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
