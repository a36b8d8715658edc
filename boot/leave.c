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
    struct boot_map current = { 0 };
    bool complete;

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
