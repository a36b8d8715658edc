/*
 * Leaving firmware, and no way back.
 *
 * Not here: what can still be refused (main.c does that before), the calls that leave
 * (firmware_map.c). No lock: one core runs.
 */
#include "boot/firmware_map.h"
#include "hv/string.h"
#include "x86/insn.h"

#define COM1_DATA 0x3f8
#define COM1_LINE_STATUS 0x3fd
#define LINE_STATUS_EMPTY 0x20
#define SEND_TRIES 100000
/* Our page tables, where there are no pages of 1 GB: a table for each GB, two pages of tables and of
 * directories at both ends of each range; the boot core's stacks. */
#define EARLY_BASE_BYTES (UINT64_C(1) << 20)
#define EARLY_RANGE_BYTES (4 * HV_PAGE_BYTES)
#define EARLY_SHARE (UINT64_C(1) << 18)

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

/* Firmware may have taken free memory out of its page tables, which are in use until ours are made:
 * those are made in memory that it has allocated. Without it free memory is tried. */
static void take_early_memory(struct boot *boot)
{
    struct boot_info *info = boot->info;
    uint64_t bytes = EARLY_BASE_BYTES;

    for (uint32_t i = 0; i < info->memory_count; i++)
        bytes += EARLY_RANGE_BYTES + info->memory[i].bytes / EARLY_SHARE;
    info->early_start = boot_allocate_unzeroed(boot, bytes, UINT32_MAX);
    info->early_bytes = info->early_start ? hv_align_up(bytes, HV_PAGE_BYTES) : 0;
}

bool boot_leave_firmware(struct boot *boot)
{
    struct boot_info *info = boot->info;
    struct boot_map current = { 0 };
    bool complete;

    take_early_memory(boot);
    if (!boot_map_allocate(boot, &current))
        return false;
    EFI_STATUS status = boot_map_exit_services(boot, &current);
    cli();
    if (EFI_ERROR(status))
        give_up(boot);
    info->memory_count =
        memory_map_convert(&current.map, info->memory, BOOT_INFO_MAX_MEMORY, &complete);
    return true;
}
