/*
 * Which of the machine's devices become its console. Boot core, once each, before the other cores
 * run.
 */
#ifndef HV_DRV_CONSOLE_H
#define HV_DRV_CONSOLE_H

#include "hv/boot_info.h"

/* Probes for a serial port and makes the first one that answers a backend, unless the operator's
 * file says `console = screen`. Needs nothing but the ports: the first thing to call, so that
 * everything after it can speak. Returns its base, or 0. */
uint16_t console_start_serial(const struct boot_info *info);

#endif
