/*
 * What VMX can do, control by control, in the line format of course assignments.
 * Pure; no lock. SDM volume 3, Appendix "VMX Capability Reporting Facility".
 */
#ifndef X86_CAPS_TEXT_H
#define X86_CAPS_TEXT_H

#include "x86/vmx_caps.h"

/* Takes one line, without its end. */
typedef void (*vmx_caps_line_fn)(void *context, const char *line);

/* For each group of controls that the processor has: a heading with the MSR's name, number and value,
 * then a line for each bit that the SDM names or the processor lets be set:
 * "  NAME: Can set=Yes|No, Can clear=Yes|No". Can set: the bit in the high word; can clear: not the
 * bit in the low word. The tertiary and the secondary exit controls have one word of 64 bits, which
 * says what can be set; all of it can be cleared. `use_true`: the TRUE MSRs where they exist. */
void vmx_caps_text(const struct vmx_caps *caps, bool use_true, vmx_caps_line_fn line,
                   void *context);

#endif
