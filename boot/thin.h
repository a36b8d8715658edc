/*
 * Thin mode: the machine goes on as Trapline's guest (thin.c), and what it starts then (next_boot.c).
 */
#ifndef BOOT_THIN_H
#define BOOT_THIN_H

#include "boot/uefi.h"

/* Takes every core. True: from here on all code of this image runs in the guest. False, with the
 * reason recorded: the machine is firmware's as before. A machine of which some cores could be taken
 * and others not cannot go on either way: it is reset, with the reason on the screen. */
bool boot_thin(struct boot *boot);

/* Starts what the configuration names as `boot`, with `boot-options`; without it, tells firmware's
 * boot manager to go on with its next entry. Returns what the application shall return. */
EFI_STATUS boot_next(struct boot *boot);

/* Writes what an earlier thin mode has left in memory to \trapline\thin.txt, once. Says so, or why
 * not; nothing depends on it. */
void boot_save_remains(struct boot *boot);

#endif
