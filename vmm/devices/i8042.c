/*
 * Keyboard controller 8042 with nothing plugged in.
 *
 * It comes up as firmware leaves it: self-test passed, keyboard interrupt and translation on. A
 * byte for the absent keyboard is answered as the controller answers when no clock comes back: FE
 * with the time-out bit, at once instead of after its 20 ms. There is no auxiliary port: its
 * loop-back (D3) comes back as keyboard data and its interface test (A9) says that the clock line
 * is stuck.
 *
 * Lock: the bus lock.
 * Source: PC AT Technical Reference, "Keyboard Controller"; PS/2 Hardware Interface Technical
 * Reference, "8042 Commands".
 */
#include "hv/dev_i8042.h"
#include "hv/string.h"
#include "isa.h"

#define COMMAND_BYTE_KEYBOARD_IRQ (1u << 0)
#define COMMAND_BYTE_AUX_IRQ (1u << 1)
#define COMMAND_BYTE_SYSTEM (1u << 2)
#define COMMAND_BYTE_KEYBOARD_OFF (1u << 4)
#define COMMAND_BYTE_AUX_OFF (1u << 5)
#define COMMAND_BYTE_TRANSLATE (1u << 6)
#define COMMAND_BYTE_RESERVED (1u << 7)

#define OUTPUT_PORT_RUN (1u << 0) /* low: the processor is held in reset */
#define OUTPUT_PORT_A20 (1u << 1)
#define OUTPUT_PORT_KEYBOARD_FULL (1u << 4)
#define OUTPUT_PORT_AUX_FULL (1u << 5)

#define INPUT_PORT 0x80u /* bit 7: keyboard not locked */
#define TEST_INPUTS 0x03u /* clock and data lines idle high */

#define ANSWER_SELF_TEST_OK 0x55
#define ANSWER_INTERFACE_OK 0x00
#define ANSWER_CLOCK_STUCK_LOW 0x01
#define ANSWER_NO_PASSWORD 0xF1
#define ANSWER_RESEND 0xFE

/* The interrupts are the "output buffer full" lines, gated by the command byte. */
static void update_irqs(struct i8042 *kbc)
{
    bool full = (kbc->state.status & I8042_STATUS_OBF) != 0;
    bool aux = (kbc->state.status & I8042_STATUS_AUX) != 0;
    uint8_t command_byte = kbc->state.ram[0];

    irq_set(&kbc->keyboard_irq, full && !aux && (command_byte & COMMAND_BYTE_KEYBOARD_IRQ));
    irq_set(&kbc->aux_irq, full && aux && (command_byte & COMMAND_BYTE_AUX_IRQ));
}

static void put_output(struct i8042 *kbc, uint8_t value, uint8_t flags)
{
    struct i8042_state *state = &kbc->state;

    state->output = value;
    state->status &= (uint8_t)~(I8042_STATUS_AUX | I8042_STATUS_TIMEOUT | I8042_STATUS_PARITY);
    state->status |= (uint8_t)(I8042_STATUS_OBF | flags);
    update_irqs(kbc);
}

static void write_ram(struct i8042 *kbc, unsigned index, uint8_t value)
{
    struct i8042_state *state = &kbc->state;

    state->ram[index] = value;
    if (index != 0)
        return;
    state->ram[0] = value & (uint8_t)~COMMAND_BYTE_RESERVED;
    state->status &= (uint8_t)~I8042_STATUS_SYSTEM;
    if (value & COMMAND_BYTE_SYSTEM)
        state->status |= I8042_STATUS_SYSTEM;
    update_irqs(kbc);
}

static void write_output_port(struct i8042 *kbc, uint8_t value)
{
    kbc->state.output_port =
        value & (uint8_t)~(OUTPUT_PORT_KEYBOARD_FULL | OUTPUT_PORT_AUX_FULL);
    irq_set(&kbc->a20, (value & OUTPUT_PORT_A20) != 0);
    if (!(value & OUTPUT_PORT_RUN))
        vm_control_request(kbc->control, VM_REQUEST_RESET, 0);
}

static uint8_t read_output_port(const struct i8042 *kbc)
{
    uint8_t value = kbc->state.output_port;

    if (kbc->state.status & I8042_STATUS_OBF)
        value |= (kbc->state.status & I8042_STATUS_AUX) ? OUTPUT_PORT_AUX_FULL
                                                       : OUTPUT_PORT_KEYBOARD_FULL;
    return value;
}

static void self_test(struct i8042 *kbc)
{
    kbc->state.ram[0] |= COMMAND_BYTE_SYSTEM;
    kbc->state.status |= I8042_STATUS_SYSTEM;
    put_output(kbc, ANSWER_SELF_TEST_OK, 0);
}

/* Commands F0 to FF: the low four bits of the output port that are 0 here are pulsed low. */
static void pulse_output_port(struct i8042 *kbc, uint8_t command)
{
    if (!(command & OUTPUT_PORT_RUN))
        vm_control_request(kbc->control, VM_REQUEST_RESET, 0);
}

static void run_command(struct i8042 *kbc, uint8_t command)
{
    uint8_t *command_byte = &kbc->state.ram[0];

    switch (command) {
    case 0xA4:
        put_output(kbc, ANSWER_NO_PASSWORD, 0);
        break;
    case 0xA7:
        *command_byte |= COMMAND_BYTE_AUX_OFF;
        break;
    case 0xA8:
        *command_byte &= (uint8_t)~COMMAND_BYTE_AUX_OFF;
        break;
    case 0xA9:
        put_output(kbc, ANSWER_CLOCK_STUCK_LOW, 0);
        break;
    case 0xAA:
        self_test(kbc);
        break;
    case 0xAB:
        put_output(kbc, ANSWER_INTERFACE_OK, 0);
        break;
    case 0xAD:
        *command_byte |= COMMAND_BYTE_KEYBOARD_OFF;
        break;
    case 0xAE:
        *command_byte &= (uint8_t)~COMMAND_BYTE_KEYBOARD_OFF;
        break;
    case 0xC0:
        put_output(kbc, INPUT_PORT, 0);
        break;
    case 0xD0:
        put_output(kbc, read_output_port(kbc), 0);
        break;
    case 0xE0:
        put_output(kbc, TEST_INPUTS, 0);
        break;
    default: /* no such command: the controller takes no notice */
        break;
    }
}

static bool wants_data(uint8_t command)
{
    return (command >= 0x60 && command <= 0x7F) || (command >= 0xD1 && command <= 0xD4);
}

static void write_command(struct i8042 *kbc, uint8_t command)
{
    kbc->state.status |= I8042_STATUS_COMMAND;
    kbc->state.command = wants_data(command) ? command : 0;
    if (command >= 0x20 && command <= 0x3F)
        put_output(kbc, kbc->state.ram[command & 0x1F], 0);
    else if (command >= 0xF0)
        pulse_output_port(kbc, command);
    else
        run_command(kbc, command);
}

/* Sending to the keyboard switches its interface on; nobody is there to answer. */
static void write_keyboard(struct i8042 *kbc)
{
    kbc->state.ram[0] &= (uint8_t)~COMMAND_BYTE_KEYBOARD_OFF;
    put_output(kbc, ANSWER_RESEND, I8042_STATUS_TIMEOUT);
}

static void write_data(struct i8042 *kbc, uint8_t value)
{
    uint8_t command = kbc->state.command;

    kbc->state.status &= (uint8_t)~I8042_STATUS_COMMAND;
    kbc->state.command = 0;
    switch (command) {
    case 0:
        write_keyboard(kbc);
        break;
    case 0xD1:
        write_output_port(kbc, value);
        break;
    case 0xD2:
    case 0xD3:
        put_output(kbc, value, 0);
        break;
    case 0xD4:
        put_output(kbc, ANSWER_RESEND, I8042_STATUS_AUX | I8042_STATUS_TIMEOUT);
        break;
    default:
        write_ram(kbc, command & 0x1F, value);
        break;
    }
}

static uint8_t read_data(struct i8042 *kbc)
{
    kbc->state.status &= (uint8_t)~(I8042_STATUS_OBF | I8042_STATUS_AUX | I8042_STATUS_TIMEOUT |
                                    I8042_STATUS_PARITY);
    update_irqs(kbc);
    return kbc->state.output; /* reading again gives the same byte, as the latch does */
}

static int i8042_read8(struct device *device, unsigned tag, uint64_t offset)
{
    struct i8042 *kbc = (struct i8042 *)device;

    if (offset != 0)
        return BUS_READ_UNCLAIMED;
    return tag == I8042_COMMAND ? kbc->state.status : read_data(kbc);
}

static enum bus_answer i8042_write8(struct device *device, unsigned tag, uint64_t offset,
                                    uint8_t value)
{
    struct i8042 *kbc = (struct i8042 *)device;

    if (offset != 0)
        return BUS_UNCLAIMED;
    if (tag == I8042_COMMAND)
        write_command(kbc, value);
    else
        write_data(kbc, value);
    return BUS_DONE;
}

static void i8042_reset(struct device *device)
{
    struct i8042 *kbc = (struct i8042 *)device;

    memset(&kbc->state, 0, sizeof(kbc->state));
    kbc->state.ram[0] = COMMAND_BYTE_KEYBOARD_IRQ | COMMAND_BYTE_SYSTEM | COMMAND_BYTE_AUX_OFF |
                        COMMAND_BYTE_TRANSLATE;
    kbc->state.status = I8042_STATUS_SYSTEM | I8042_STATUS_UNLOCKED;
    kbc->state.output_port =
        0xFF & ~(OUTPUT_PORT_KEYBOARD_FULL | OUTPUT_PORT_AUX_FULL);
    irq_set(&kbc->a20, true);
    update_irqs(kbc);
}

static bool i8042_check(const void *loaded)
{
    const struct i8042_state *state = loaded;

    return !(state->status & I8042_STATUS_IBF) && (state->status & I8042_STATUS_UNLOCKED) &&
           !(state->ram[0] & COMMAND_BYTE_RESERVED) &&
           !(state->output_port & (OUTPUT_PORT_KEYBOARD_FULL | OUTPUT_PORT_AUX_FULL)) &&
           (state->command == 0 || wants_data(state->command));
}

static void i8042_loaded(struct device *device)
{
    struct i8042 *kbc = (struct i8042 *)device;

    irq_set(&kbc->a20, (kbc->state.output_port & OUTPUT_PORT_A20) != 0);
    update_irqs(kbc);
}

static const struct device_field i8042_fields[] = {
    DEVICE_FIELD_ARRAY(struct i8042_state, ram),
    DEVICE_FIELD(struct i8042_state, status),
    DEVICE_FIELD(struct i8042_state, output),
    DEVICE_FIELD(struct i8042_state, output_port),
    DEVICE_FIELD(struct i8042_state, command),
    DEVICE_FIELD_END,
};

static const struct device_ops i8042_ops = {
    .name = "i8042",
    .version = 1,
    .state_offset = offsetof(struct i8042, state),
    .state_bytes = sizeof(struct i8042_state),
    .reset = i8042_reset,
    .access = isa_split_access,
    .read8 = i8042_read8,
    .write8 = i8042_write8,
    .fields = i8042_fields,
    .check = i8042_check,
    .loaded = i8042_loaded,
};

void i8042_init(struct i8042 *kbc, const struct irq_line *keyboard_irq,
                const struct irq_line *aux_irq, const struct irq_line *a20,
                const struct vm_control *control)
{
    memset(kbc, 0, sizeof(*kbc));
    kbc->device.ops = &i8042_ops;
    kbc->keyboard_irq = *keyboard_irq;
    kbc->aux_irq = *aux_irq;
    kbc->a20 = *a20;
    kbc->control = control;
    i8042_reset(&kbc->device);
}
