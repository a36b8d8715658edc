/*
 * Firmware's memory map, and leaving boot services with it.
 *
 * Not here: what the map means (memory_map.c), what comes after (leave.c). No lock: one core runs.
 * UEFI specification, "EFI_BOOT_SERVICES.GetMemoryMap()", "ExitBootServices()": the map's key must
 * be current, and after a first refusal only GetMemoryMap and ExitBootServices may be called.
 */
#include "boot/firmware_map.h"

/* Leaving runs drivers' exit handlers, which may free and split ranges, more than once. */
#define LEAVE_TRIES 8
#define MAP_SPARE_BYTES (16u * 1024)

EFI_STATUS boot_map_read(struct boot *boot, struct boot_map *current)
{
    UINTN bytes = current->room_bytes, stride = 0;
    UINT32 version = 0;
    EFI_STATUS status = boot->services->GetMemoryMap(&bytes, current->room, &current->key, &stride,
                                                     &version);
    if (!EFI_ERROR(status))
        current->map = (struct firmware_map){ current->room, bytes, stride };
    return status;
}

/* Room for the map, with some to spare for what allocating it and leaving will add. */
bool boot_map_allocate(struct boot *boot, struct boot_map *current)
{
    UINTN bytes = 0, stride = 0;
    UINT32 version = 0;
    EFI_STATUS status =
        boot->services->GetMemoryMap(&bytes, NULL, &current->key, &stride, &version);
    if (status != EFI_BUFFER_TOO_SMALL)
        return boot_refuse(boot, "firmware gives no memory map: %s", boot_status_name(status));
    current->room_bytes = bytes + MAP_SPARE_BYTES;
    current->room = (void *)boot_allocate(boot, current->room_bytes);
    if (!current->room)
        return boot_refuse(boot, "there is no memory for the firmware's memory map");
    return true;
}

bool boot_read_memory_map(struct boot *boot)
{
    struct boot_info *info = boot->info;
    struct boot_map current = { 0 };
    bool complete;
    if (!boot_map_allocate(boot, &current))
        return false;
    EFI_STATUS status = boot_map_read(boot, &current);
    info->memory_count = EFI_ERROR(status) ? 0 : memory_map_convert(&current.map, info->memory,
                                                                    BOOT_INFO_MAX_MEMORY, &complete);
    boot_free(boot, (uint64_t)current.room);
    if (EFI_ERROR(status))
        return boot_refuse(boot, "firmware gives no memory map: %s", boot_status_name(status));
    return true;
}

uint64_t boot_free_memory(struct boot *boot)
{
    const struct boot_info *info = boot->info; /* its map is filled for good when we leave */
    uint64_t sum = 0;
    if (!boot_read_memory_map(boot))
        return 0;
    for (uint32_t i = 0; i < info->memory_count; i++)
        sum += info->memory[i].kind == BOOT_MEMORY_FREE ? info->memory[i].bytes : 0;
    return sum;
}

EFI_STATUS boot_map_exit_services(struct boot *boot, struct boot_map *current)
{
    EFI_STATUS status = EFI_ABORTED;
    for (unsigned i = 0; i < LEAVE_TRIES && EFI_ERROR(status); i++) {
        status = boot_map_read(boot, current);
        if (!EFI_ERROR(status))
            status = boot->services->ExitBootServices(boot->image, current->key);
    }
    return status;
}
