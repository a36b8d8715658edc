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

/* Makes the firmware's framebuffer a backend, and the PS/2 keyboard its input, unless the operator's
 * file says `console = serial` and there is a serial console. The framebuffer must be mapped at its
 * physical address: by firmware's page tables or ours. False: there is no screen to draw on. */
bool console_start_screen(const struct boot_info *info);

#endif
