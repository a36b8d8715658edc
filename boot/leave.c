/*
 * Leaving firmware: the memory map, ExitBootServices, and no way back.
 *
 * Not here: what can still be refused (main.c does that before). No lock: one core runs.
 * UEFI specification, "EFI_BOOT_SERVICES.ExitBootServices()": the map's key must be current, and
 * after a first refusal only GetMemoryMap and ExitBootServices may be called.
 */
#include "boot/memory_map.h"
#include "boot/uefi.h"
#include "hv/string.h"
#include "x86/insn.h"

/* Leaving runs drivers' exit handlers, which may free and split ranges, more than once. */
#define LEAVE_TRIES 8
#define MAP_SPARE_BYTES (16u * 1024)
#define COM1_DATA 0x3f8
#define COM1_LINE_STATUS 0x3fd
#define LINE_STATUS_EMPTY 0x20
#define SEND_TRIES 100000

struct current_map {
    struct firmware_map map;
    void *room;
    size_t room_bytes;
    UINTN key;
};

static EFI_STATUS map_read(struct boot *boot, struct current_map *current)
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
static bool map_allocate(struct boot *boot, struct current_map *current)
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
    struct current_map current = { 0 };
    bool complete;
    if (!map_allocate(boot, &current))
        return false;
    EFI_STATUS status = map_read(boot, &current);
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

static void send_bounded(const char *text)
{
    for (; *text; text++) {
        for (unsigned i = 0; i < SEND_TRIES && !(in8(COM1_LINE_STATUS) & LINE_STATUS_EMPTY); i++)
            cpu_pause();
        out8(COM1_DATA, (uint8_t)*text);
    }
}

/* Firmware that has begun to shut down can neither print nor be returned to. */
static HV_NORETURN void give_up(struct boot *boot)
{
    send_bounded("\r\nTRAPLINE: refused: firmware did not let go (ExitBootServices)\r\n");
    boot->system->RuntimeServices->ResetSystem(EfiResetShutdown, EFI_ABORTED, 0, NULL);
    for (;;) {
        cli();
        hlt();
    }
}

bool boot_leave_firmware(struct boot *boot)
{
    struct boot_info *info = boot->info;
    struct current_map current = { 0 };
    EFI_STATUS status = EFI_ABORTED;
    bool complete;

    if (!map_allocate(boot, &current))
        return false;
    for (unsigned i = 0; i < LEAVE_TRIES && EFI_ERROR(status); i++) {
        status = map_read(boot, &current);
        if (!EFI_ERROR(status))
            status = boot->services->ExitBootServices(boot->image, current.key);
    }
    cli();
    if (EFI_ERROR(status))
        give_up(boot);
    info->memory_count =
        memory_map_convert(&current.map, info->memory, BOOT_INFO_MAX_MEMORY, &complete);
    return true;
}
