/* The monitor's own commands, for operator.c. */
#ifndef MONITOR_COMMANDS_H
#define MONITOR_COMMANDS_H

#include "hv/monitor.h"

extern const struct monitor_command monitor_vm_commands[];
extern const unsigned monitor_vm_command_count;

#endif
