/*
 * A VM's guest-physical memory: a sorted table of RAM slots. See hv/gpa_space.h for its rules.
 */
#include "hv/gpa_space.h"

#include "hv/string.h"

enum hv_err gpa_space_add(struct gpa_space *space, gpa_t start, uint64_t bytes, void *host,
                          hpa_t hpa, bool writable)
{
    if (((start.v | bytes | hpa.v) & HV_PAGE_MASK) || bytes == 0 || !host)
        return HV_ERR_INVALID;
    /* The end itself must be an address too, so that `start + bytes` never wraps elsewhere. */
    if (start.v + bytes < start.v || hpa.v + bytes < hpa.v)
        return HV_ERR_INVALID;
    unsigned at = 0;
    while (at < space->count && space->slots[at].start.v < start.v)
        at++;
    if (at > 0 && space->slots[at - 1].start.v + space->slots[at - 1].bytes > start.v)
        return HV_ERR_EXISTS;
    if (at < space->count && start.v + bytes > space->slots[at].start.v)
        return HV_ERR_EXISTS;
    if (space->count == GPA_SPACE_MAX_SLOTS)
        return HV_ERR_NO_MEMORY;
    memmove(&space->slots[at + 1], &space->slots[at],
            (space->count - at) * sizeof(space->slots[0]));
    space->slots[at] = (struct gpa_slot){
        .start = start, .bytes = bytes, .host = host, .hpa = hpa, .writable = writable,
    };
    space->count++;
    return HV_OK;
}

const struct gpa_slot *gpa_space_find(const struct gpa_space *space, gpa_t gpa)
{
    for (unsigned i = 0; i < space->count; i++)
        if (gpa.v - space->slots[i].start.v < space->slots[i].bytes)
            return &space->slots[i];
    return NULL;
}

/* The offset, and 0 where the processor speculates past the comparison with the size: a guest chooses
 * the address, and what is read there may become an address itself. Both are below 2^63. */
static uint64_t offset_within(uint64_t offset, uint64_t bytes)
{
    return offset & (uint64_t)((int64_t)(offset - bytes) >> 63);
}

void *gpa_space_pointer(const struct gpa_space *space, gpa_t gpa, uint64_t bytes)
{
    const struct gpa_slot *slot = gpa_space_find(space, gpa);
    if (!slot)
        return NULL;
    uint64_t offset = gpa.v - slot->start.v;
    if (bytes > slot->bytes - offset)
        return NULL;
    return slot->host + offset_within(offset, slot->bytes);
}

/* Is every byte RAM? */
static bool is_ram(const struct gpa_space *space, gpa_t gpa, uint64_t bytes)
{
    while (bytes) {
        const struct gpa_slot *slot = gpa_space_find(space, gpa);
        if (!slot)
            return false;
        uint64_t part = hv_min_u64(bytes, slot->bytes - (gpa.v - slot->start.v));
        gpa.v += part;
        bytes -= part;
    }
    return true;
}

enum gpa_operation { GPA_READ, GPA_WRITE, GPA_ZERO };

/* One pass over the slots that the range touches. `buffer` is NULL for GPA_ZERO. */
static enum hv_err gpa_space_walk(const struct gpa_space *space, gpa_t gpa, uint8_t *buffer,
                                  uint64_t bytes, enum gpa_operation operation)
{
    if (!is_ram(space, gpa, bytes))
        return HV_ERR_RANGE;
    while (bytes) {
        const struct gpa_slot *slot = gpa_space_find(space, gpa);
        uint64_t offset = gpa.v - slot->start.v;
        uint64_t part = hv_min_u64(bytes, slot->bytes - offset);
        if (operation == GPA_ZERO) {
            memset(slot->host + offset, 0, part);
        } else {
            if (operation == GPA_READ)
                memcpy(buffer, slot->host + offset, part);
            else
                memcpy(slot->host + offset, buffer, part);
            buffer += part;
        }
        gpa.v += part;
        bytes -= part;
    }
    return HV_OK;
}

enum hv_err gpa_space_read(const struct gpa_space *space, gpa_t gpa, void *to, uint64_t bytes)
{
    return gpa_space_walk(space, gpa, to, bytes, GPA_READ);
}

enum hv_err gpa_space_write(const struct gpa_space *space, gpa_t gpa, const void *from,
                            uint64_t bytes)
{
    return gpa_space_walk(space, gpa, (uint8_t *)(uintptr_t)from, bytes, GPA_WRITE);
}

enum hv_err gpa_space_zero(const struct gpa_space *space, gpa_t gpa, uint64_t bytes)
{
    return gpa_space_walk(space, gpa, NULL, bytes, GPA_ZERO);
}

uint64_t gpa_space_total_bytes(const struct gpa_space *space)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < space->count; i++)
        total += space->slots[i].bytes;
    return total;
}
