/*
 * The UEFI application: from the firmware to the hand-over.
 *
 * Whatever is wrong is found before firmware is left: then the reason is printed, everything is
 * given back, and the machine goes on as if nothing had been started. No lock: one core runs.
 * UEFI specification, "Images", "EFI_IMAGE_ENTRY_POINT".
 */
#include "boot/keep.h"
#include "boot/uefi.h"
#include "hv/string.h"

#define BANNER_SECONDS 3
#define KEYS_DROPPED 256
#define STALL_SLICE_US 100000u
#define HOLD_SECONDS 300

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

static bool create_info(struct boot *boot)
{
    boot->info = (struct boot_info *)boot_allocate(boot, sizeof(struct boot_info));
    if (!boot->info)
        return boot_refuse(boot, "there is no memory for %llu KB",
                           (unsigned long long)(sizeof(struct boot_info) >> 10));
    boot->info->magic = BOOT_INFO_MAGIC;
    boot->info->version = BOOT_INFO_VERSION;
    boot->info->bytes = sizeof(struct boot_info);
    return true;
}

static bool create_stack(struct boot *boot)
{
    boot->info->stack_start = boot_allocate(boot, BOOT_STACK_BYTES);
    boot->info->stack_bytes = BOOT_STACK_BYTES;
    if (boot->info->stack_start == 0)
        return boot_refuse(boot, "there is no memory for a stack");
    return true;
}

/* The machine check comes before the files: they may be large, and a machine that can't run them
 * need not wait for them. A mistake in the configuration is one of its lines. */
static bool prepare(struct boot *boot)
{
    char refusal[BOOT_REASON_BYTES];
    if (!create_info(boot) || !boot_volume_open(boot))
        return false;
    bool config_read = boot_load_config(boot);
    memcpy(refusal, boot->reason, sizeof(refusal));
    boot->reason[0] = 0;
    boot_find_machine(boot);
    boot->info->start_page = boot_allocate_low_page(boot);
    if (!boot_check_machine(boot, config_read ? NULL : refusal) || !boot_load_files(boot) ||
        !create_stack(boot))
        return false;
    boot_volume_close(boot);
    return true;
}

static bool key_pressed(struct boot *boot)
{
    SIMPLE_INPUT_INTERFACE *in = boot->system->ConIn;
    EFI_INPUT_KEY key;
    return in && in->ReadKeyStroke(in, &key) == EFI_SUCCESS;
}

static bool wait_for_key(struct boot *boot, unsigned seconds)
{
    for (unsigned i = 0; i < seconds * (1000000u / STALL_SLICE_US); i++) {
        if (key_pressed(boot))
            return true;
        boot->services->Stall(STALL_SLICE_US);
    }
    return false;
}

/* Firmware may clear the screen as soon as it has the machine back. Somebody who sits there can
 * hold the text; where nobody does, it costs three seconds. */
static void hold_screen(struct boot *boot)
{
    if (!boot->system->ConIn)
        return;
    /* Keys from before the message say nothing; a console that never runs dry is no console. */
    for (unsigned i = 0; i < KEYS_DROPPED && key_pressed(boot); i++)
        ;
    boot_print(boot, "Back to the firmware in %u seconds; press a key to keep this on the screen.\n",
               BANNER_SECONDS);
    if (!wait_for_key(boot, BANNER_SECONDS))
        return;
    boot_print(boot, "Press a key to go on.\n");
    wait_for_key(boot, HOLD_SECONDS);
}

static EFI_STATUS refuse(struct boot *boot)
{
    boot_volume_close(boot);
    boot_free_all(boot);
    if (!boot->reason_printed)
        boot_print(boot, "\nTRAPLINE: refused: %s\n", boot->reason);
    hold_screen(boot);
    return EFI_LOAD_ERROR;
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
    struct boot boot = { .image = image, .system = system, .services = system->BootServices };
    /* Firmware resets a machine whose application has not returned after five minutes. */
    boot.services->SetWatchdogTimer(0, 0, 0, NULL);
    boot_print(&boot, "\nTrapline\n");
    if (!prepare(&boot))
        return refuse(&boot);
    if (boot.info->config.on_exit == CONFIG_ON_EXIT_FIRMWARE) {
        if (!boot_keep_run(&boot))
            return refuse(&boot);
        boot_free_all(&boot);
        return EFI_SUCCESS;
    }
    if (!boot_leave_firmware(&boot))
        return refuse(&boot);
    boot_handover(boot.info, boot.info->stack_start + boot.info->stack_bytes);
}
