/*
 * The contents of a VMCS as text, for crash reports and the monitor.
 *
 * Pure: fields are read through a function, lines go to a function. No lock; the caller has the
 * VMCS current, or reads from a copy.
 */
#ifndef X86_VMCS_DUMP_H
#define X86_VMCS_DUMP_H

#include "hv/types.h"
#include "x86/vmx_caps.h"

/* False: the field can't be read. */
typedef bool (*vmcs_read_fn)(void *context, uint32_t encoding, uint64_t *value);
/* Takes one line, without its end. */
typedef void (*vmcs_line_fn)(void *context, const char *line);

/* Every field that exists under `caps`, and no other, in four groups; control words are followed
 * by the names of their bits. Lines have at most 100 characters. */
void vmcs_dump(const struct vmx_caps *caps, vmcs_read_fn read, void *read_context,
               vmcs_line_fn line, void *line_context);

/* The names of the bits that are set in a control word, wrapped into lines behind `indent` spaces;
 * bits that the SDM does not name are left out. */
void vmcs_dump_controls(enum vmx_word word, uint64_t value, unsigned indent, vmcs_line_fn line,
                        void *line_context);

#endif
