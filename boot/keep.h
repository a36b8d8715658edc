/*
 * A start after which the machine goes back to firmware (on-exit = firmware).
 */
#ifndef BOOT_KEEP_H
#define BOOT_KEEP_H

#include "boot/uefi.h"

/* After boot_load_files: takes memory and the other cores from firmware, runs what the operator's
 * file says, gives everything back but what boot_free_beyond gives back, and leaves the log and the
 * report on the boot volume. False: it could not be done, and the reason is recorded. */
bool boot_keep_run(struct boot *boot);

#endif
