/*
 * What the files of boot/ share: the one include of efi.h, and the state of a start.
 *
 * Nothing here outlives the hand-over except struct boot_info.
 */
#ifndef BOOT_UEFI_H
#define BOOT_UEFI_H

#include <efi.h>

#include "hv/boot_info.h"

/* boot_info and the config in it are large: they have pages of their own. */
#define BOOT_STACK_BYTES (64u * 1024)
#define BOOT_CONFIG_FILE "trapline.cfg"
#define BOOT_CONFIG_MOST_BYTES (64u * 1024)
/* Each file one, as many pieces as guests' memory may have, and what is there beside them. */
#define BOOT_MOST_ALLOCATIONS (BOOT_INFO_MAX_FILES + 48)
#define BOOT_REASON_BYTES 480

struct boot_allocation {
    uint64_t start;
    uint64_t pages;
};

struct boot {
    EFI_HANDLE image;
    EFI_SYSTEM_TABLE *system;
    EFI_BOOT_SERVICES *services;
    EFI_FILE_PROTOCOL *root; /* of the volume that the image came from; NULL: not open */
    struct boot_info *info;
    /* Everything that is given back when the machine stays with the firmware. */
    struct boot_allocation allocations[BOOT_MOST_ALLOCATIONS];
    unsigned allocation_count;
    bool is_guest; /* thin mode: this code runs in the guest now */
    EFI_STATUS guest_status; /* what firmware is told then */
    uint64_t start_tsc, unpacked_tsc, files_ticks; /* struct boot_info */
    bool by_menu; /* the menu comes again when this is over */
    char reason[BOOT_REASON_BYTES]; /* why the start was refused: one sentence */
    bool reason_printed;
};

/* Output on the firmware's console, where there is one. */
void boot_print(struct boot *boot, const char *format, ...) HV_PRINTF(2, 3);

/* Firmware's logo and messages make way. */
void boot_clear_screen(struct boot *boot);

/* Rows of the firmware's console; 25 where it does not say. */
unsigned boot_screen_rows(struct boot *boot);

/* Waits for a key, so long. False: none came, or there is no keyboard (that is known at once). */
bool boot_wait_for_key(struct boot *boot, unsigned seconds);
/* Forgets the keys that were pressed so far. */
void boot_drop_keys(struct boot *boot);

/* Records why the machine goes back to the firmware; the first reason stays. Returns false. */
bool boot_refuse(struct boot *boot, const char *format, ...) HV_PRINTF(2, 3);

/* A name for the common statuses, for messages. */
const char *boot_status_name(EFI_STATUS status);

/* --- memory (allocate.c) --- */

/* Pages of loader data, zeroed, anywhere. 0: there are none (no reason recorded). */
uint64_t boot_allocate(struct boot *boot, uint64_t bytes);
/* The same as they are, and not above `highest_byte`: for large pieces. */
uint64_t boot_allocate_unzeroed(struct boot *boot, uint64_t bytes, uint64_t highest_byte);
/* One page below 1 MB. 0: none is free. */
uint64_t boot_allocate_low_page(struct boot *boot);
/* Gives one allocation back before the others. */
void boot_free(struct boot *boot, uint64_t start);
/* Gives everything back that was allocated, but for the first `kept` allocations. */
void boot_free_beyond(struct boot *boot, unsigned kept);

/* --- files (files.c, load.c) --- */

/* Opens the volume that the image was started from. */
bool boot_volume_open(struct boot *boot);
void boot_volume_close(struct boot *boot);

/* The same for those who only want to write a log: nothing is recorded where it fails. */
EFI_STATUS boot_volume_root(struct boot *boot, EFI_FILE_PROTOCOL **root);

/* A path to the form that firmware wants: UCS-2, backslashes, from the root. False: it is too long,
 * or no UTF-8 that UCS-2 can hold. */
bool boot_path_translate(const char *path, CHAR16 out[CONFIG_PATH_BYTES + 1]);

/* Where a file that was read lies. */
struct boot_bytes {
    uint64_t start, bytes;
};

/* Reads a whole file into pages of its own, followed by at least one zero byte. `what` names it in
 * messages ("vm 'debian': kernel"). Not found, a directory, empty, larger than most_bytes, no
 * memory and short reads each have their reason. */
bool boot_file_read(struct boot *boot, const char *what, const char *path, uint64_t most_bytes,
                    struct boot_bytes *out);

/* Reads a configuration into boot->info->config. */
bool boot_load_config(struct boot *boot, const char *path);
/* Reads every file that the config names into boot->info->files, each once. */
bool boot_load_files(struct boot *boot);

/* --- what Trapline leaves on the volume (log_file.c) --- */

/* Replaces \trapline\NAME on the boot volume by `text`, and has it written out; the folder is made
 * where it is missing. The volume need not be open; boot services must be alive. Returns NULL, or
 * why it could not be done, to be put behind "could not be written: ". Nothing is recorded as a
 * refusal: not to be able to write is no reason not to start. What was written of a file that
 * could not be finished is deleted again. */
const char *boot_log_write(struct boot *boot, const char *name, const char *text, size_t bytes);

/* Reads up to `most` bytes of \trapline\NAME. Returns how many; 0: it is not there, is empty, or
 * can't be read. */
size_t boot_log_read(struct boot *boot, const char *name, char *out, size_t most);

/* --- the machine (machine.c) --- */

/* Framebuffer, ACPI root, time, processors, image: whatever of it the firmware knows. */
void boot_find_machine(struct boot *boot);

/* --- the machine check (check.c) --- */

/* Finds the facts, judges, prints the page, writes it to the volume. False: the machine can't run
 * Trapline, or `config_refusal` (NULL: the configuration was read) says what is wrong with the
 * configuration; each reason has been printed, and the first one is recorded. With `mode =
 * preflight` the page is all, and whoever reads it turns its leaves. */
bool boot_check_machine(struct boot *boot, const char *config_refusal);

struct preflight_facts;

/* Writes \trapline\machine.txt: the machine in raw numbers. NULL, or why not (machine_write.c). */
const char *boot_machine_write(struct boot *boot, const struct preflight_facts *check);

/* --- leaving (leave.c) --- */

/* The free memory that will be left, in bytes; 0: firmware does not say. That of boot services is
 * not counted: whether it can be had is known only after the other cores have been started. */
uint64_t boot_free_memory(struct boot *boot);

/* Reads firmware's map, as it is now, into the hand-over; what allocates afterwards changes it. */
bool boot_read_memory_map(struct boot *boot);

/* Memory map and ExitBootServices. When this returns true, the machine is ours: no firmware call
 * and no message afterwards. False: there was no memory for the map. Firmware that refuses to be
 * left can't be returned to: this says so on COM1 and switches off. */
bool boot_leave_firmware(struct boot *boot);

/* handover.asm: to the new stack, and into the hypervisor. */
HV_NORETURN void boot_handover(struct boot_info *info, uint64_t stack_top);

#endif
