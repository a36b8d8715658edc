/*
 * Thin mode: the machine itself becomes the guest. What boot/ calls while firmware is alive, and
 * what the guest's owner can ask for.
 *
 * The functions here are called in a copy of the image that lies in the block of memory that stays
 * Trapline's (boot/thin.c). docs/thin.md tells the whole way.
 * SDM volume 3 "VMM Setup & Tear Down".
 */
#ifndef X86_THIN_H
#define X86_THIN_H

#include "hv/boot_info.h"

struct percpu;

/* Where a core goes on as a guest: the caller's stack and flags, and an address in the caller's own
 * image, since the copy is not there for the guest. */
struct thin_return {
    uint64_t rip, rsp, rflags;
};

struct thin_setup {
    struct boot_info *info;           /* in the block; `apic_ids` are the cores, boot core first */
    uint64_t block_start, block_bytes;/* what the guest will not see */
    const char *why;                  /* out: a phrase, where something went wrong */
};

/* Builds everything that is not a core's own. Boot core, once, interrupts closed, firmware's tables
 * in use. False: setup->why. */
bool thin_prepare(struct thin_setup *setup);

/* The block of the core with this APIC id, or NULL; and the top of its stack. */
struct percpu *thin_core_of(uint32_t apic_id);
uint64_t thin_stack_of(const struct percpu *cpu);

/* Puts the core that executes into VMX operation and on into the guest, which continues at
 * `where`. Called on the core's own stack, interrupts closed, firmware's tables in use. Returns only
 * when it fails, with everything on the core as it was, and a phrase. */
const char *thin_enter(struct percpu *cpu, const struct thin_return *where);

/* How many bytes a block for so many cores has, with the image's and the processor's needs. */
uint64_t thin_block_bytes(unsigned cores, uint64_t image_bytes);
#define THIN_BLOCK_ALIGN UINT64_C(0x200000)

/* --- what the guest can ask ------------------------------------------------------------------ */

/* CPUID, at any privilege level. The hypervisor bit of leaf 1 is the machine's own: these leaves are
 * there only for who knows them. */
#define THIN_LEAF_FIRST   0x4fff5400u /* EAX: the last one; EBX, ECX, EDX: "TraplineThin" */
#define THIN_LEAF_CORE    0x4fff5401u /* EAX: version; EBX: cores; ECX: exit reasons; EDX: this core */
#define THIN_LEAF_EXITS   0x4fff5402u /* ECX: reason; EBX:EAX exits of this core, EDX:ECX ticks */
#define THIN_LEAF_CAPS    0x4fff5403u /* ECX: THIN_CAPS_; EBX:EAX and EDX:ECX two values */
#define THIN_LEAF_LAST    THIN_LEAF_CAPS
#define THIN_VERSION      2u /* 2: VMCALL */

enum thin_caps {
    THIN_CAPS_PIN_CPU,    /* pin-based controls; primary processor-based */
    THIN_CAPS_CPU2_CPU3,
    THIN_CAPS_EXIT_ENTRY,
    THIN_CAPS_CR0_CR4,    /* guest/host masks */
    THIN_CAPS_EPT,        /* EPT pointer; 1-GB pages in the low half, 2-MB pages in the high half */
    THIN_CAPS_BLOCK,      /* what is hidden: start, bytes */
    THIN_CAPS_COUNT,
};

/* MSRs, so at privilege level 0 alone: beyond the ranges of the MSR bitmaps, so that they exit, and
 * in the range that the SDM leaves to software. Any other access there is #GP, as without us. */
#define THIN_MSR_SIGNATURE 0x40005400u /* read: "Trapline" */
#define THIN_MSR_CONTROL   0x40005401u /* write: THIN_CONTROL_ */
#define THIN_MSR_COUNT     0x40005402u /* read: exits ever recorded on this core */
#define THIN_MSR_SELECT    0x40005403u /* read, write: a word of the ring */
#define THIN_MSR_DATA      0x40005404u /* read: the word, and on to the next */
#define THIN_MSR_OFF       0x40005405u /* read, once armed: this core leaves VMX operation */
#define THIN_MSR_LAST      THIN_MSR_OFF
/* The same functions by VMCALL, in 64-bit mode at privilege level 0: RAX is the signature, RCX an MSR's
 * number, with THIN_CALL_WRITE to write RDX to it. Comes back with THIN_CALL_DONE or
 * THIN_CALL_REFUSED in RAX, and what was read in RDX; after THIN_MSR_OFF, RAX and RDX mean nothing.
 * Without the signature, or anywhere else, VMCALL is an invalid opcode, as without us. */
#define THIN_CALL_WRITE    (UINT64_C(1) << 32)
#define THIN_CALL_DONE     UINT64_C(0)
#define THIN_CALL_REFUSED  UINT64_MAX
#define THIN_SIGNATURE     UINT64_C(0x656e696c70617254) /* "Trapline" */
#define THIN_CONTROL_FREEZE UINT64_C(1) /* stop recording on this core, to read the ring */
#define THIN_CONTROL_RECORD UINT64_C(2)
#define THIN_CONTROL_ARM    UINT64_C(0x66664f656e6c7254) /* the next read of THIN_MSR_OFF counts */

#endif
