/*
 * What every emulated device is. A device knows neither vCPUs nor the processor: it gets a clock,
 * interrupt lines, guest memory and a byte channel through small interfaces, so that the same file
 * runs on the metal, under a unit test, a sanitizer and a fuzzer.
 *
 * `struct device` is the first member of the device's own structure. Its guest-visible state stands
 * in one nested structure that `fields` describes; `state_offset` says where.
 */
#ifndef HV_DEVICE_H
#define HV_DEVICE_H

#include "hv/bus.h"
#include "hv/clock.h"
#include "hv/irq.h"
#include "hv/types.h"

/* One row of the state that a snapshot holds: `count` elements of `size` bytes (1, 2, 4, 8), or of
 * a nested table. `since` is the version of the device in which the row appeared. */
struct device_field {
    const char *name;
    uint32_t offset;
    uint32_t size_bytes;
    uint32_t count;
    uint16_t since;
    const struct device_field *nested; /* NULL for scalars; ends with a row whose name is NULL */
};

#define DEVICE_FIELD(type, member)                                                                 \
    { #member, offsetof(type, member), sizeof(((type *)0)->member), 1, 1, NULL }
#define DEVICE_FIELD_ARRAY(type, member)                                                           \
    { #member, offsetof(type, member), sizeof(((type *)0)->member[0]),                             \
      HV_ARRAY_COUNT(((type *)0)->member), 1, NULL }
#define DEVICE_FIELD_NESTED(type, member, table)                                                   \
    { #member, offsetof(type, member), sizeof(((type *)0)->member), 1, 1, table }
#define DEVICE_FIELD_NESTED_ARRAY(type, member, table)                                             \
    { #member, offsetof(type, member), sizeof(((type *)0)->member[0]),                             \
      HV_ARRAY_COUNT(((type *)0)->member), 1, table }
#define DEVICE_FIELD_END { NULL, 0, 0, 0, 0, NULL }

struct device_ops {
    const char *name;
    uint16_t version;
    size_t state_offset; /* of the snapshot's structure inside the device's */
    size_t state_bytes;
    /* Power-on state; also what a platform reset does. */
    void (*reset)(struct device *device);
    /* One access to the region that was registered with `tag`. Called with the bus lock held. */
    enum bus_answer (*access)(struct device *device, unsigned tag, struct bus_access *access);
    /* The same for one size, where that is worth a shorter way; NULL: it is not. They give the value
     * that was read, or BUS_READ_. What they do not take (an offset without a register) has no
     * effect. */
    int (*read8)(struct device *device, unsigned tag, uint64_t offset);
    int64_t (*read32)(struct device *device, unsigned tag, uint64_t offset);
    enum bus_answer (*write8)(struct device *device, unsigned tag, uint64_t offset, uint8_t value);
    enum bus_answer (*write32)(struct device *device, unsigned tag, uint64_t offset, uint32_t value);
    const struct device_field *fields;
    /* Is this a state that the hardware can reach? NULL: every state is. */
    bool (*check)(const void *state);
    /* After a state was loaded: arms timers, drives lines. NULL: nothing to do. */
    void (*loaded)(struct device *device);
};

/* A channel of bytes between a device and the outside, such as a UART and a console. */
struct byte_sink {
    /* The device has sent a byte. Never blocks. */
    void (*put)(void *context, uint8_t byte);
    void *context;
};

/* Requests that a device makes of its VM. */
enum vm_request { VM_REQUEST_POWER_OFF, VM_REQUEST_RESET, VM_REQUEST_EXIT };

struct vm_control {
    /* `status` is the exit status for VM_REQUEST_EXIT, else 0. Returns; the VM stops soon. */
    void (*request)(void *context, enum vm_request what, unsigned status);
    void *context;
};

static inline void vm_control_request(const struct vm_control *control, enum vm_request what,
                                      unsigned status)
{
    control->request(control->context, what, status);
}

#endif
