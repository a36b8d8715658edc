/*
 * The machine's i8042 and the keyboard behind it, polled.
 *
 * Not here: what the codes mean (ps2_decode.c). No reset and no self-test: on machines where
 * firmware imitates the controller for a USB keyboard, both are known to break it.
 * Lock: the caller's (the console's).
 * IBM PS/2 hardware interface technical reference, "Keyboard and Auxiliary Device Controller".
 */
#include "hv/drv_ps2.h"

#define PORT_DATA 0x60
#define PORT_STATUS 0x64
#define PORT_COMMAND 0x64

#define STATUS_OUTPUT_FULL 0x01
#define STATUS_INPUT_FULL 0x02
#define STATUS_FROM_MOUSE 0x20
#define STATUS_ABSENT 0xff

#define COMMAND_READ_CONFIG 0x20
#define COMMAND_WRITE_CONFIG 0x60
#define COMMAND_DISABLE_MOUSE 0xa7
#define COMMAND_ENABLE_KEYBOARD 0xae
#define CONFIG_INTERRUPTS 0x03
#define CONFIG_KEYBOARD_OFF 0x10
#define CONFIG_MOUSE_OFF 0x20
#define CONFIG_TRANSLATE 0x40
#define KEYBOARD_ENABLE 0xf4

/* A keyboard answers within 20 ms; a port read takes about a microsecond. */
#define WAIT_TRIES 50000u
#define DRAIN_BYTES 32

static bool wait_status(const struct hv_ports *ports, uint8_t mask, uint8_t value)
{
    for (unsigned i = 0; i < WAIT_TRIES; i++) {
        uint8_t status = ports_in8(ports, PORT_STATUS);
        if (status == STATUS_ABSENT)
            return false;
        if ((status & mask) == value)
            return true;
        ports->pause(ports->ctx);
    }
    return false;
}

static bool send(const struct hv_ports *ports, uint16_t port, uint8_t byte)
{
    if (!wait_status(ports, STATUS_INPUT_FULL, 0))
        return false;
    ports_out8(ports, port, byte);
    return true;
}

static int receive(const struct hv_ports *ports)
{
    for (unsigned i = 0; i < DRAIN_BYTES; i++) {
        if (!wait_status(ports, STATUS_OUTPUT_FULL, STATUS_OUTPUT_FULL))
            return -1;
        bool from_mouse = ports_in8(ports, PORT_STATUS) & STATUS_FROM_MOUSE;
        uint8_t byte = ports_in8(ports, PORT_DATA);
        if (!from_mouse)
            return byte;
    }
    return -1;
}

static void drain(const struct hv_ports *ports)
{
    for (unsigned i = 0; i < DRAIN_BYTES; i++) {
        if (!(ports_in8(ports, PORT_STATUS) & STATUS_OUTPUT_FULL))
            return;
        ports_in8(ports, PORT_DATA);
    }
}

static int read_config(const struct hv_ports *ports)
{
    return send(ports, PORT_COMMAND, COMMAND_READ_CONFIG) ? receive(ports) : -1;
}

bool ps2_keyboard_init(struct ps2_keyboard *keyboard, const struct hv_ports *ports)
{
    *keyboard = (struct ps2_keyboard){ .ports = ports };
    if (ports_in8(ports, PORT_STATUS) == STATUS_ABSENT)
        return false;
    drain(ports);
    /* The next command is a bit of this byte: it has to be read before. A mouse that moves at this
     * moment may speak first. */
    keyboard->config_before = read_config(ports);
    if (!send(ports, PORT_COMMAND, COMMAND_DISABLE_MOUSE))
        return false;
    drain(ports);
    int config = read_config(ports);
    if (config < 0)
        return false;
    config = (config & ~(CONFIG_INTERRUPTS | CONFIG_KEYBOARD_OFF)) | CONFIG_MOUSE_OFF |
             CONFIG_TRANSLATE;
    if (!send(ports, PORT_COMMAND, COMMAND_WRITE_CONFIG) || !send(ports, PORT_DATA, (uint8_t)config))
        return false;
    /* Some controllers can't translate: then set 2 arrives, and it is decoded here. */
    config = read_config(ports);
    keyboard->decoder.set2 = config >= 0 && !(config & CONFIG_TRANSLATE);
    if (!send(ports, PORT_COMMAND, COMMAND_ENABLE_KEYBOARD))
        return false;
    /* Firmware may have stopped it from scanning. Its answer is an ACK, or nothing where no
     * keyboard is plugged in (yet). */
    if (send(ports, PORT_DATA, KEYBOARD_ENABLE))
        (void)receive(ports);
    return true;
}

void ps2_keyboard_restore(const struct ps2_keyboard *keyboard)
{
    const struct hv_ports *ports = keyboard->ports;

    drain(ports);
    if (keyboard->config_before >= 0 && send(ports, PORT_COMMAND, COMMAND_WRITE_CONFIG))
        (void)send(ports, PORT_DATA, (uint8_t)keyboard->config_before);
}

static int next_typed(struct ps2_keyboard *keyboard)
{
    if (keyboard->typed_next == keyboard->typed_count)
        return -1;
    return (uint8_t)keyboard->typed[keyboard->typed_next++];
}

int ps2_keyboard_read(struct ps2_keyboard *keyboard)
{
    const struct hv_ports *ports = keyboard->ports;
    int byte = next_typed(keyboard);
    for (unsigned i = 0; i < DRAIN_BYTES && byte < 0; i++) {
        uint8_t status = ports_in8(ports, PORT_STATUS);
        if (status == STATUS_ABSENT || !(status & STATUS_OUTPUT_FULL))
            return -1;
        uint8_t code = ports_in8(ports, PORT_DATA);
        if (status & STATUS_FROM_MOUSE)
            continue;
        keyboard->typed_next = 0;
        keyboard->typed_count = ps2_decode(&keyboard->decoder, code, keyboard->typed);
        byte = keyboard->decoder.hot_key ? keyboard->decoder.hot_key : next_typed(keyboard);
    }
    return byte;
}
