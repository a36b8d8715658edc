/*
 * The UEFI application: from the firmware, by way of a menu if there is one, to the hand-over.
 *
 * Whatever is wrong is found before firmware is left: then the reason is printed, everything is
 * given back, and the machine goes on as if nothing had been started. No lock: one core runs.
 * UEFI specification, "Images", "EFI_IMAGE_ENTRY_POINT"; what becomes of a boot option that
 * returns: "Boot Manager", "Boot Manager Programming".
 */
#include "boot/keep.h"
#include "boot/menu_screen.h"
#include "boot/thin.h"
#include "boot/uefi.h"
#include "hv/format.h"
#include "hv/string.h"
#include "x86/insn.h"

#define BANNER_SECONDS 3
#define HOLD_SECONDS 300

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

/* The unpacker's mark, unless firmware has loaded the image itself and its headers stand there. */
extern const struct boot_unpack_mark ImageBase __attribute__((visibility("hidden")));

static void take_times(struct boot *boot)
{
    boot->unpacked_tsc = rdtsc();
    boot->start_tsc =
        ImageBase.magic == BOOT_UNPACK_MAGIC ? ImageBase.start_tsc : boot->unpacked_tsc;
}

static void give_times(const struct boot *boot)
{
    boot->info->start_tsc = boot->start_tsc;
    boot->info->unpacked_tsc = boot->unpacked_tsc;
    boot->info->files_ticks = boot->files_ticks;
    boot->info->handover_tsc = rdtsc();
}

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
static bool prepare(struct boot *boot, bool config_read)
{
    char refusal[BOOT_REASON_BYTES];
    memcpy(refusal, boot->reason, sizeof(refusal));
    boot->reason[0] = 0;
    boot_find_machine(boot);
    boot_save_remains(boot);
    boot->info->start_page = boot_allocate_low_page(boot);
    if (!boot_check_machine(boot, config_read ? NULL : refusal))
        return false;
    if (boot->info->config.mode != CONFIG_MODE_GUESTS)
        return true;
    if (!boot_load_files(boot) || !create_stack(boot))
        return false;
    boot_volume_close(boot);
    return true;
}

/* Everything behind boot_thin runs in the guest, and nothing but the next program is left to do. */
static bool start_thin(struct boot *boot)
{
    if (!boot_thin(boot))
        return false;
    boot->is_guest = true;
    boot->guest_status = boot_next(boot);
    return true;
}

/* What a configuration asks for, from the machine check on. True: it was done, and firmware has
 * its machine back; false: it was refused. */
static bool start(struct boot *boot, bool config_read)
{
    if (!prepare(boot, config_read))
        return false;
    if (boot->info->config.mode == CONFIG_MODE_PREFLIGHT)
        return true;
    if (boot->info->config.mode == CONFIG_MODE_THIN)
        return start_thin(boot);
    give_times(boot);
    if (boot->info->config.on_exit == CONFIG_ON_EXIT_FIRMWARE)
        return boot_keep_run(boot);
    if (!boot_leave_firmware(boot))
        return false;
    give_times(boot);
    boot_handover(boot->info, boot->info->stack_start + boot->info->stack_bytes);
}

/* Back to where nothing was loaded, for the firmware or for another choice. */
static void give_back(struct boot *boot, unsigned kept)
{
    boot_volume_close(boot);
    boot_free_beyond(boot, kept);
}

/* Firmware may clear the screen as soon as it has the machine back. Somebody who sits there can
 * hold the text; where nobody does, it costs three seconds. Whoever chose from a menu sits there. */
static void hold_screen(struct boot *boot)
{
    if (!boot->system->ConIn)
        return;
    boot_drop_keys(boot); /* keys from before the message say nothing */
    if (!boot->by_menu) {
        boot_print(boot, "Back to the firmware in %u seconds; press a key to keep this on the "
                   "screen.\n", BANNER_SECONDS);
        if (!boot_wait_for_key(boot, BANNER_SECONDS))
            return;
    }
    boot_print(boot, "Press a key to go on%s.\n", boot->by_menu ? ", to the menu" : "");
    boot_wait_for_key(boot, HOLD_SECONDS);
}

static EFI_STATUS finish(struct boot *boot, bool done)
{
    if (!done && !boot->reason_printed)
        boot_print(boot, "\nTRAPLINE: refused: %s\n", boot->reason);
    /* Who starts a run from a shell wants the shell's prompt behind it. */
    bool hold = !done || boot->info->config.mode == CONFIG_MODE_PREFLIGHT;
    give_back(boot, 0);
    if (boot->is_guest)
        return boot->guest_status;
    if (hold)
        hold_screen(boot);
    return done ? EFI_SUCCESS : EFI_LOAD_ERROR;
}

/* --- the menu --- */

static bool load_entry(struct boot *boot, const struct config_menu_entry *entry)
{
    if (!boot_load_config(boot, entry->config))
        return false;
    if (boot->info->config.menu.count == 0)
        return true;
    return boot_refuse(boot, "%s, line %u: found [menu %s]; expected no menu in a file that a menu "
                       "names", entry->config, boot->info->config.menu.entries[0].line,
                       boot->info->config.menu.entries[0].title);
}

static void start_entry(struct boot *boot, struct menu_screen *screen,
                        const struct config_menu_entry *entry)
{
    char *message = screen->menu.message;
    boot->reason[0] = message[0] = 0;
    boot->reason_printed = false;
    bool done = create_info(boot) && boot_volume_open(boot);
    if (done) {
        const char *why = menu_choice_write(boot, entry->title);
        if (why)
            hv_snprintf(message, MENU_MESSAGE_BYTES, "The choice could not be remembered: %s.",
                        why);
        done = start(boot, load_entry(boot, entry));
    }
    if (!done)
        hv_snprintf(message, MENU_MESSAGE_BYTES, "%s: refused: %s", entry->title, boot->reason);
    if (!done && !boot->reason_printed)
        boot_print(boot, "\nTRAPLINE: refused: %s\n", boot->reason);
    if (!boot->is_guest)
        hold_screen(boot);
}

/* Until it is left, or something takes the machine over for good. The clock runs once only: a
 * start that is refused would be tried for ever. */
static EFI_STATUS run_menu(struct boot *boot, struct menu_screen *screen)
{
    const struct config_menu_entry *entry;
    char last_title[CONFIG_TITLE_BYTES];
    menu_choice_read(boot, last_title);
    menu_begin(&screen->menu, &boot->info->config.menu, last_title);
    boot->by_menu = true;
    give_back(boot, 1);
    while ((entry = menu_screen_ask(boot, screen)) != NULL) {
        start_entry(boot, screen, entry);
        if (boot->is_guest)
            return finish(boot, true);
        give_back(boot, 1);
    }
    give_back(boot, 0);
    boot_print(boot, "Trapline was left; nothing was started.\n");
    return EFI_ABORTED; /* the firmware goes on with its next boot option */
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
    struct boot boot = { .image = image, .system = system, .services = system->BootServices };
    take_times(&boot);
    /* Firmware resets a machine whose application has not returned after five minutes. */
    boot.services->SetWatchdogTimer(0, 0, 0, NULL);
    boot_print(&boot, "\nTrapline\n");
    /* The first allocation, because it stays while the menu does. */
    struct menu_screen *screen =
        (struct menu_screen *)boot_allocate(&boot, sizeof(struct menu_screen));
    if (!screen || !create_info(&boot) || !boot_volume_open(&boot)) {
        boot_refuse(&boot, "there is no memory for the menu");
        return finish(&boot, false);
    }
    bool config_read = boot_load_config(&boot, BOOT_CONFIG_FILE);
    if (config_read && boot.info->config.menu.count > 0)
        return run_menu(&boot, screen);
    return finish(&boot, start(&boot, config_read));
}
