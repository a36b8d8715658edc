/*
 * The explainer against the processor: every case of the entry checks is entered for real, and the
 * processor's verdict printed beside the explainer's.
 */
#ifndef X86_EXPLAIN_H
#define X86_EXPLAIN_H

#include "hv/boot_info.h"

/* Enters the cases that the operator's file chooses (`explain = ...`) and switches the machine off.
 * Boot core, before its loop. */
void explain_run(const struct boot_info *info);

#endif
