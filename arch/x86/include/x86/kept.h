/*
 * A run after which firmware has its machine back (on-exit = firmware): boot services stay alive, the
 * cores are lent by firmware, and each of them goes back in the state that it came in.
 *
 * What is not brought back, because no instruction does: IA32_FEATURE_CONTROL, which stays locked
 * with VMX on, and a TR that was 0 (see kept_task_plan). What firmware's timer would have counted
 * meanwhile is lost: its interrupts are held back.
 * UEFI Platform Initialization specification, volume 2, "MP Services Protocol"; SDM volume 3,
 * "System Architecture Overview", "Local APIC".
 */
#ifndef X86_KEPT_H
#define X86_KEPT_H

#include "hv/boot_info.h"
#include "x86/insn.h"

struct percpu;

/* --- Pure: kept_plan.c ---------------------------------------------------------------------- */

/* A TSS descriptor of 64-bit mode, as it stands in a GDT. */
struct kept_descriptor {
    uint64_t low, high;
};

/* How TR is loaded when a core goes back. */
struct kept_task {
    uint16_t selector;
    struct kept_descriptor descriptor; /* available, so that LTR takes it */
};

/* Firmware often runs with TR 0, which nothing can load once VMX has been used. Such a core gets
 * this selector, which lies outside of firmware's GDT: who keeps selectors to load them again sees
 * that it is none. What it points to is never looked at in ring 0 without interrupt stacks. */
#define KEPT_TASK_SELECTOR 0xffe0u

/* `gdt_bytes` is the table's limit plus 1; the table is only read inside of it. */
struct kept_task kept_task_plan(uint16_t selector, const uint64_t *gdt, uint32_t gdt_bytes);

/* Is this a selector of the table that LLDT takes again? */
bool kept_ldt_fits(uint16_t selector, uint32_t gdt_bytes);

struct kept_apic {
    bool saved;
    uint32_t tpr, spurious, timer, lint0, lint1, error, divide, initial, current;
    uint32_t performance, thermal, cmci; /* where the APIC has them */
    uint64_t deadline;                   /* IA32_TSC_DEADLINE */
};

/* What to write to the initial count so that the timer goes on: a periodic one begins a period
 * anew, a one-shot one has what was left, and one that had run out or counts to a deadline has 0. */
uint32_t kept_apic_count(const struct kept_apic *apic);

/* Why firmware with these registers can't be kept; NULL: it can. */
const char *kept_refusal(uint64_t apic_base, uint64_t cr4);

/* --- A core's state as firmware had it: kept_state.c; thin mode uses it, too ----------------- */

struct kept_core {
    _Alignas(16) uint8_t fx[512]; /* x87 and SSE; the wider registers are volatile in UEFI's calls */
    uint64_t rsp;                 /* firmware's stack, for kept_return */
    uint64_t cr0, cr2, cr3, cr4, xcr0;
    uint64_t efer, pat, debugctl, xss, spec_ctrl, tsx_ctrl;
    uint64_t fs_base, gs_base, kernel_gs_base, star, lstar, cstar, fmask;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip, tsc_aux;
    uint64_t dr0, dr1, dr2, dr3, dr6, dr7;
    uint32_t pkru;
    uint16_t cs, ss, ds, es, fs, gs, ldt;
    struct x86_table_register gdt, idt;
    struct kept_task task;
    struct kept_apic apic; /* host_apic_init_core fills it */
};

_Static_assert(sizeof(struct kept_core) <= HV_PAGE_BYTES / 2, "a page for two of each core");

/* Pure: the first register that two have different values of, by its name; NULL: none. */
const char *kept_difference(const struct kept_core *before, const struct kept_core *after);

/* With firmware's tables, interrupts off, after kept_state_restore: is the core as it was? As
 * kept_difference. `scratch` is room for a second look. */
const char *kept_state_check(const struct kept_core *core, struct kept_core *scratch);

/* With firmware's tables, interrupts off. Registers are only read, but for DR7, which is closed. */
void kept_state_save(struct kept_core *core);

/* With ours, interrupts off, VMX off, the local APIC as it was or given back; returns with firmware's tables. The
 * stack must be mapped in both. this_cpu() is gone afterwards. */
void kept_state_restore(const struct kept_core *core);

/* --- The run: kept.c, kept_switch.asm ------------------------------------------------------- */

/* kept_refusal of this core as it is now. */
const char *kept_check(void);

/* Boot core, interrupts as firmware has them: the whole run. Returns when every core has gone back
 * to where it came from; if one does not, it does not return: the machine is started over. NULL, or
 * the name of a register of this core that is not as firmware had it (another core's is logged). */
const char *kept_run(struct boot_info *info);

/* Another core, inside of the procedure that firmware runs on it: waits for kept_run to give it a
 * place, takes part in the run, and returns with the core as it was. Returns at once when there is no
 * place (any more). */
void kept_join(void);

/* Is firmware kept in this run? */
bool kept_is_on(void);

/* Boot core, while cores are started: lets those in kept_join in, or no more. */
void kept_open_gate(bool open);

/* Where firmware's state of a core is kept; NULL: firmware is not kept. */
struct kept_core *kept_of(const struct percpu *cpu);

/* This core goes back, now. For one that can't take part, and at the end. */
HV_NORETURN void kept_leave(void);

/* Calls next(argument) on another stack. Comes back when somebody calls kept_return(*saved_rsp). */
void kept_call(uint64_t *saved_rsp, uint64_t stack_top, void (*next)(void *argument),
               void *argument);
HV_NORETURN void kept_return(uint64_t rsp);

#endif
