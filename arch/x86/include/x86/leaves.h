/*
 * Exit statistics as CPUID leaves 4FFFFFFCH to 4FFFFFFFH, as courses on virtualization define them:
 * students read them inside of a VM. Three layouts are in use, named by the term that they come from.
 *
 *   leaf      s21                                   f21                 f22
 *   4FFFFFFF  EAX: all exits; EBX:ECX: all ticks    EAX: all exits      EBX:ECX: ticks of a reason
 *   4FFFFFFE  EAX: exits of a reason                EBX:ECX: all ticks  EAX: exits of a reason
 *   4FFFFFFD  -                                     EAX: exits of one   EBX:ECX: all ticks
 *   4FFFFFFC  -                                     EBX:ECX: its ticks  EAX: all exits
 *
 * EBX holds the upper half of a sum. A reason comes in ECX; leaves of totals ignore ECX. What a leaf
 * does not show is 0. A reason that the SDM of those terms does not define (35, 38, 42, above 69)
 * is answered with EDX all ones; one that cannot happen, with zeros. Counts are cut to 32 bits.
 * Pure; no lock.
 */
#ifndef X86_LEAVES_H
#define X86_LEAVES_H

#include "hv/config.h"
#include "hv/types.h"
#include "x86/insn.h"

#define VMX_LEAVES_FIRST 0x4ffffffcu
#define VMX_LEAVES_COUNT 4u
#define VMX_LEAVES_ALL UINT32_MAX /* for `sum`: every reason */

/* Where the counters are: fills in a VM's exits and ticks of a reason, or of all. */
struct vmx_leaves_source {
    void (*sum)(void *context, uint32_t reason, uint64_t *exits, uint64_t *ticks);
    void *context;
};

/* False: the layout has no such leaf, and `regs` is untouched. */
bool vmx_leaves_answer(enum config_leaves layout, uint32_t leaf, uint32_t ecx,
                       const struct vmx_leaves_source *source, struct cpuid_regs *regs);

#endif
