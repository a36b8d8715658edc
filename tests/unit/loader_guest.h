/*
 * A guest's memory for the loaders' tests: RAM below 640 KB and above 1 MB, the ACPI tables' place
 * reserved, all filled with a pattern, so that whoever relies on zeros is found out.
 */
#ifndef LOADER_GUEST_H
#define LOADER_GUEST_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hv/loader.h"

#define GUEST_PATTERN 0xa5

static struct {
    uint8_t *memory, *high;
    struct gpa_space space;
    struct loader_range map[8];
    struct loader_request request;
    struct loader_result result;
    struct loader_diagnosis diagnosis;
} guest;

static inline void guest_free(void)
{
    free(guest.memory);
    free(guest.high);
    memset(&guest, 0, sizeof(guest));
}

static inline void guest_make(uint64_t megabytes)
{
    uint64_t bytes = megabytes << 20;
    memset(&guest, 0, sizeof(guest));
    guest.memory = malloc(bytes);
    memset(guest.memory, GUEST_PATTERN, bytes);
    assert_int_equal(gpa_space_add(&guest.space, GPA(0), 0xa0000, guest.memory, HPA(0), true),
                     HV_OK);
    if (megabytes > 1)
        assert_int_equal(gpa_space_add(&guest.space, GPA(0x100000), bytes - 0x100000,
                                       guest.memory + 0x100000, HPA(0x100000), true), HV_OK);
    guest.map[0] = (struct loader_range){ 0, 0x9fc00, LOADER_RANGE_RAM };
    guest.map[1] = (struct loader_range){ 0x9fc00, 0x400, LOADER_RANGE_RESERVED };
    guest.map[2] = (struct loader_range){ 0xe0000, 0x20000, LOADER_RANGE_ACPI };
    guest.map[3] = (struct loader_range){ 0x100000, bytes - 0x100000, LOADER_RANGE_RAM };
    guest.request.memory = &guest.space;
    guest.request.map = guest.map;
    guest.request.map_count = megabytes > 1 ? 4 : 3;
    guest.request.rsdp = 0xe1000;
    guest.request.cmdline = "";
}

/* 3 MB below, 4 MB from 4 GB on. */
static inline void guest_make_with_high_memory(void)
{
    guest_free();
    guest_make(4);
    guest.map[3].bytes = 0x280000;
    guest.high = malloc(4 << 20);
    assert_int_equal(gpa_space_add(&guest.space, GPA(UINT64_C(1) << 32), 4 << 20, guest.high,
                                   HPA(UINT64_C(1) << 32), true), HV_OK);
    guest.map[4] = (struct loader_range){ UINT64_C(1) << 32, 4 << 20, LOADER_RANGE_RAM };
    guest.request.map_count = 5;
}

/* Reserves a part of the RAM above 1 MB. */
static inline void guest_add_hole(uint64_t start, uint64_t bytes)
{
    uint64_t end = guest.map[3].start + guest.map[3].bytes;
    guest.map[3].bytes = start - guest.map[3].start;
    guest.map[4] = (struct loader_range){ start, bytes, LOADER_RANGE_RESERVED };
    guest.map[5] = (struct loader_range){ start + bytes, end - start - bytes, LOADER_RANGE_RAM };
    guest.request.map_count = 6;
}

static inline const void *guest_at(uint64_t gpa, uint64_t bytes)
{
    const void *host = gpa_space_pointer(&guest.space, GPA(gpa), bytes);
    assert_non_null(host);
    return host;
}

static inline bool guest_is_ram(uint64_t start, uint64_t bytes)
{
    for (unsigned i = 0; i < guest.request.map_count; i++)
        if (guest.map[i].kind == LOADER_RANGE_RAM && start >= guest.map[i].start &&
            start + bytes <= guest.map[i].start + guest.map[i].bytes)
            return true;
    return false;
}

static inline void guest_load(enum hv_err want)
{
    enum hv_err err = loader_load(&guest.request, &guest.result, &guest.diagnosis);
    if (err != want)
        fail_msg("error %d: %s", err, guest.diagnosis.text);
}

static inline void guest_refused(enum hv_err err, const char *text)
{
    guest_load(err);
    assert_string_equal(guest.diagnosis.text, text);
}

#endif
