/*
 * Firmware's memory map as it is now, and leaving boot services with it.
 */
#ifndef BOOT_FIRMWARE_MAP_H
#define BOOT_FIRMWARE_MAP_H

#include "boot/memory_map.h"
#include "boot/uefi.h"

struct boot_map {
    struct firmware_map map; /* as it was read last */
    void *room;
    size_t room_bytes;
    UINTN key;               /* what ExitBootServices wants to see */
};

/* Room for the map, with some to spare. False: a refusal is recorded. */
bool boot_map_allocate(struct boot *boot, struct boot_map *current);

/* Reads the map into its room. */
EFI_STATUS boot_map_read(struct boot *boot, struct boot_map *current);

/* ExitBootServices with a current map, tried again where the map has changed meanwhile. After an
 * error firmware is half gone: nothing but this may be called any more. */
EFI_STATUS boot_map_exit_services(struct boot *boot, struct boot_map *current);

#endif
