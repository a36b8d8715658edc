/*
 * A vCPU as VT-x runs it, private to arch/x86/vmx.
 *
 * All of it belongs to the core that the vCPU lives on, except what `lapic` lets other cores post.
 * SDM volume 3 "Virtual-Machine Control Structures".
 */
#ifndef ARCH_X86_VMX_VCPU_H
#define ARCH_X86_VMX_VCPU_H

#include "arch/x86/vmx/vcpu_code_path.h"
#include "hv/arch_ops.h"
#include "hv/vm.h"
#include "x86/breakpoint.h"
#include "x86/cpuid_view.h"
#include "x86/emul.h"
#include "x86/ept.h"
#include "x86/insn.h"
#include "x86/lapic.h"
#include "x86/posted.h"
#include "x86/regs.h"
#include "x86/trace.h"
#include "x86/vmcs.h"
#include "x86/vmx_bits.h"
#include "x86/vmx_caps.h"
#include "x86/vmx_policy.h"

/* Basic exit reasons: VMEXIT_CPUID and so on. */
enum vmexit_reason {
#define EXIT(number, name, handler, needs, experiment, sdm, doc) VMEXIT_##name = (number),
#include "arch/x86/vmx/exits.def"
#undef EXIT
    VMEXIT_LAST = VMEXIT_UWRMSR,
    VMEXIT_COUNT
};

/* What a row of exits.def may ask for. */
enum vmexit_needs {
    NEED_LEN = 1u << 0,
    NEED_QUAL = 1u << 1,
    NEED_GPA = 1u << 2,
    NEED_INTR = 1u << 3,
    NEED_INSN = 1u << 4,
    NEED_VECT = 1u << 5,
};

/* The facts of one exit, each read once. What the row did not ask for is stale. */
struct vmexit {
    uint32_t reason;         /* the whole field, with bit 31 */
    uint32_t length;         /* of the instruction, in bytes */
    uint64_t qualification;
    gpa_t gpa;
    uint32_t intr_info;
    uint32_t intr_error;
    uint32_t insn_info;
    uint32_t vect_info;      /* IDT-vectoring information; 0 once somebody has taken the event */
    uint32_t vect_error;
};

/* A handler's two answers: what becomes of RIP, and what comes next (enum vcpu_next). */
#define EXIT_KEEP 0x000u
#define EXIT_NEXT 0x100u
#define EXIT_ANSWER_NEXT_MASK 0xffu

/* An event to be delivered by the next VM entry. */
struct vmx_event {
    uint32_t info;           /* 0: none; else as VMCS_ENTRY_INTERRUPTION_INFORMATION */
    uint32_t error;
    uint32_t length;         /* software events */
};

#define VMX_GUEST_MTRR_VARIABLE 8

/* MSRs whose value only software keeps. */
struct vmx_guest_msrs {
    uint64_t tsc_adjust;
    uint64_t misc_enable;
    uint64_t apic_base;      /* the local APIC's, which keeps it */
    uint64_t bios_sign_id;
    uint64_t mtrr_def_type;
    uint64_t mtrr_base[VMX_GUEST_MTRR_VARIABLE];
    uint64_t mtrr_mask[VMX_GUEST_MTRR_VARIABLE];
    uint64_t mtrr_fixed[11];
    uint64_t mcg_status;
    uint64_t kvm_wall_clock, kvm_system_time; /* as written: kvm_clock.c */
    uint64_t refused_reads, refused_writes; /* answered with #GP */
    uint32_t refused_last;
};

/* What VM entry does not switch and vcpu_load/vcpu_put do. */
struct vmx_switched {
    uint64_t xcr0;
    uint64_t star, lstar, cstar, fmask, kernel_gs_base, tsc_aux;
    uint64_t dr0, dr1, dr2, dr3, dr6;
    uint64_t cr2;
    uint64_t spec_ctrl;      /* the guest's, while it is not in the register: mitigate.c */
};

enum vmx_run_state { VMX_RUNNABLE, VMX_HALTED, VMX_WAIT_FOR_SIPI };

struct vmx_vm;
struct vmx_vcpu;

/* Sees each exit before its handler, with the VMCS as the processor left it, and after it, with the
 * handler's answer (EXIT_NEXT included). Trace, cycle accounting, laboratory and debugger hang here
 * and nowhere else. */
struct vmx_observer {
    void (*before)(struct vmx_observer *observer, struct vmx_vcpu *v);
    void (*after)(struct vmx_observer *observer, struct vmx_vcpu *v, unsigned answer);
    /* An entry failed: v->exit.reason has bit 31, or is 0 and VMLAUNCH or VMRESUME itself failed
     * (v->entry_status). NULL: not asked. */
    void (*failed)(struct vmx_observer *observer, struct vmx_vcpu *v);
    struct vmx_observer *next; /* the list's own */
};

/* The short ways that entry.asm takes. Hot: `v`, or NULL for the long way. Warm: what follows. */
enum vmx_warm {
    VMX_WARM_ENTER = 0, /* handled: the guest goes on */
    VMX_WARM_GO_ON,     /* handled; there is something to do before the entry */
    VMX_WARM_REFUSED,   /* nothing has been done: the long way */
};

struct vmx_hot {
    struct vmx_vcpu *(*cpuid)(struct vmx_vcpu *v);
    struct vmx_vcpu *(*vmcall)(struct vmx_vcpu *v);
    /* IO_INSTRUCTION, RDMSR, WRMSR, as they are numbered; PREEMPTION_TIMER. */
    unsigned (*warm[4])(struct vmx_vcpu *v);
};

/* Counts ticks by reason and keeps the last exits: recorder.c. */
enum vmx_record_what { VMX_RECORD_TICKS = 1u << 0, VMX_RECORD_RING = 1u << 1, VMX_RECORD_WAYS = 4 };

struct vmx_recorder {
    struct vmx_observer observer;
    unsigned what;             /* VMX_RECORD_ that are on */
    uint64_t begin_tsc;        /* of the exit that is being handled */
    uint64_t end_tsc;          /* when its handler was through */
    uint64_t between_ticks;    /* from there to the next entry, of all exits */
    struct vmx_stats *stats;   /* NULL: was never on */
    struct vmx_trace trace;
};

/* What the operator's debugger does with a vCPU: debug.c. */
#define VMX_BREAKPOINTS 4

struct vmx_debug {
    struct vmx_observer stepper, breaker;
    bool stepping;             /* an instruction is to be run: armed */
    bool by_mtf;               /* by the monitor trap flag, else by RFLAGS.TF */
    bool mtf_is_dead;          /* it is advertised, and did not come */
    bool guest_tf;             /* the guest has TF set itself */
    uint8_t slots;             /* debug registers in use, a bit each */
    unsigned steps_left;
    uint64_t address[VMX_BREAKPOINTS];
    uint64_t exits[2];         /* reasons to stop at, a bit each */
};

/* What the core of the vCPU does at each exit and entry against guests that use speculation. */
struct vmx_guard {
    uint32_t actions;          /* SPEC_EXIT_, SPEC_ENTRY_; 0: the plain ways */
    uint64_t host_spec_ctrl;   /* IA32_SPEC_CTRL with SPEC_EXIT_SPEC_CTRL */
};

/* `launched`: entered by VMLAUNCH since the last VMCLEAR, with which ways of entry.asm. */
enum vmx_launched { VMX_LAUNCHED_NOT = 0, VMX_LAUNCHED_PLAIN, VMX_LAUNCHED_GUARDED };

struct vmx_vcpu {
    struct x86_gprs gprs;      /* first: entry.asm addresses it from the structure's start */
    uint8_t launched;          /* enum vmx_launched */
    uint8_t entry_status;      /* after a failed VMLAUNCH/VMRESUME: bit 0 CF, bit 1 ZF */
    uint32_t attention;        /* anything to do before the next entry: VMX_ATTENTION_ */
    uint64_t deadline_tsc;     /* end of the slice */
    struct core *core;
    struct lapic *lapic;
    struct vmx_observer *observer; /* the first; NULL: nobody looks; changed by vmx_add_observer */
    unsigned (*const *dispatch)(struct vmx_vcpu *v);
    /* Instead of the handlers of exits.def, by reason; NULL: those. Thin mode's: thin_exits.c. */
    unsigned (*const *handlers)(struct vmx_vcpu *v);
    uint64_t timer_tsc;        /* the core's first deadline when the preemption timer was set */
    struct vmx_hot hot;        /* as the recorder's state asks for */
    uint32_t blocking_matters; /* RFLAGS bits with which it may: vmx_blocking_update */
    bool dr7_watched;          /* no breakpoint is enabled; MOV DR exits */
    int32_t timer_budget;      /* exits until it is set anew; not above 0: no hot way */
    int32_t timer_reload;     /* 0 with an observer, or where exits cannot save the timer */
    uint32_t preemption_shift; /* timer rate: TSC ticks = value << shift */
    bool preemption_on;

    struct vmx_guard guard;
    struct vmexit exit;
    struct vmx_event event;
    uint32_t deferred;         /* an interrupt that was taken, and that an exception overtook */
    uint32_t cpu_controls;     /* as last written */
    bool apicv;                /* the processor runs the local APIC: apicv.c */
    uint64_t eoi_exits[4];     /* as last written */
    bool posted;               /* interrupts are posted to it while it runs: posted.c */
    bool in_guest;             /* atomic: and it does */
    bool lent;                 /* atomic: the core's local APIC is the guest's: own_core.c */
    bool tsc_write_seen;
    uint64_t level_sent[4];    /* level-triggered vectors whose EOI is waited for, if it is */
    enum vmx_run_state run_state;
    bool halted_with_if;       /* the HLT that stopped it ran with interrupts open */
    bool halted_in_nmi;        /* ... and with NMIs blocked */
    bool crashing;             /* the report is being written */

    struct vcpu vcpu;
    struct vmx_vm *vm;
    const struct vmx_controls *controls;
    hpa_t vmcs;
    bool loaded;               /* its registers and VMCS are in this core */
    uint64_t host_rsp;
    unsigned host_core;        /* whose host state the VMCS holds */
    struct vmx_vcpu *lender;   /* whose VMCS was current when this one was borrowed */
    uint64_t tsc_offset;
    uint16_t vpid;

    struct vmx_switched switched;
    void *xsave;               /* 64-byte aligned; XSAVE's standard format */
    struct vmx_guest_msrs msrs;
    struct cpuid_view cpuid;
    struct tq_timer apic_timer;
    uint64_t apic_timer_fires; /* ever */
    bool apic_timer_waits;     /* it was running when its VM was paused */

    /* 64-byte alignment is the SDM's; Bochs 3.0 refuses what does not begin a page. */
    _Alignas(HV_PAGE_BYTES) struct posted_descriptor descriptor;

    /* The instructions that were decoded last, and where. */
    struct vmx_code_path code_paths[VMX_CODE_PATHS];
    struct vmx_code_path *recording; /* NULL: paging-structure entries are not noted */

    /* Debug build: told of each access to the VMCS through vmcs_read and vmcs_write; NULL: nobody. */
    void (*accessed)(struct vmx_vcpu *v, uint32_t field, bool write);
    void *accessed_context;

    uint64_t exits[VMEXIT_COUNT];
    struct vmx_recorder recorder;
    struct vmx_debug debug;
    bool watching;             /* emulated accesses are compared with the guest's breakpoints */
    uint8_t watch_met;         /* B0 to B3, until they are raised: watch.c */
    uint32_t injected;         /* the event that the last entry delivered, for the recorder */
};

enum vmx_attention {
    VMX_ATTENTION_EVENT = 1u << 0,   /* `event` waits */
    VMX_ATTENTION_WINDOW = 1u << 1,  /* a window exit is requested */
    VMX_ATTENTION_APICV = 1u << 3,   /* software has changed the APIC's page */
    VMX_ATTENTION_FLUSH = 1u << 2,   /* the guest's translations are stale: INVVPID before entry */
};

/* What the maker of a VM may have to say about it (struct vm_extra.arch); both may be called before
 * the VM is complete. */
struct vmx_customize {
    void (*policy)(struct vmx_customize *customize, struct vm_policy *policy);
    void (*refused)(struct vmx_customize *customize, const char *why);
};

/* One VM's part. */
struct vmx_vm {
    struct vm *vm;
    struct vm_policy policy;
    struct vmx_controls controls;
    struct vmx_controls controls_apicv; /* the same with APIC virtualization, for x2APIC mode */
    bool apicv_available;
    bool owns_cores;           /* interrupts = guest: own_core.c */
    hpa_t msr_bitmap;
    union {
        hpa_t msr_bitmap_apicv;
        hpa_t msr_bitmap_eoi;  /* owns_cores: the same but for EOI, which exits */
    };
    hpa_t io_bitmaps;          /* A, then B */
    struct ept ept;
    uint64_t eptp;
    uint8_t physical_address_bits; /* as the guest's CPUID says */
    struct lapic *lapics[CONFIG_MAX_VCPUS];
    unsigned lapic_count;
    uint64_t halt_poll_ticks;  /* how long HLT looks for events before it gives the core away */
    uint64_t start_tsc;        /* of the VM: what a trace's times count from */
    uint64_t entry_tsc;        /* when it was entered first; 0: not yet */
    uint64_t exits_shown[VMEXIT_COUNT]; /* when the operator last looked */
};

static inline struct vmx_vcpu *vmx_of(struct vcpu *vcpu)
{
    return HV_CONTAINER_OF(vcpu, struct vmx_vcpu, vcpu);
}

/* --- VMCS access: the debug build checks each for success and for the field's existence --- */
#if HV_DEBUG
uint64_t vmcs_read_checked(uint32_t field);
void vmcs_write_checked(uint32_t field, uint64_t value);
#define vmcs_read(field) vmcs_read_checked(field)
#define vmcs_write(field, value) vmcs_write_checked(field, value)
#else
static inline uint64_t vmcs_read(uint32_t field)
{
    return vmread_unchecked(field);
}

static inline void vmcs_write(uint32_t field, uint64_t value)
{
    vmwrite_unchecked(field, value);
}
#endif

/* Does the guest (or the operator's debugger) have any breakpoint? If not, none is compared. */
static inline bool vmx_has_breakpoints(const struct vmx_vcpu *v)
{
    return !v->dr7_watched && (vmcs_read(VMCS_GUEST_DR7) & BREAKPOINT_DR7_ENABLES);
}

/* --- entry.asm --- */

/* Enters the guest again and again, until vmx_exit() gives something other than VCPU_RUN, which is
 * returned; or an entry fails without an exit: then VMX_ENTRY_FAILED, with v->entry_status. */
#define VMX_ENTRY_FAILED 0xffu
unsigned vmx_run_guest(struct vmx_vcpu *v);

/* After so many exits the preemption timer is set anew. */
#define VMX_TIMER_BUDGET 15

/* --- run.c --- */
/* By VMX_RECORD_ bits: hot_recorded.c. */
extern const struct vmx_hot vmx_hot_ways[VMX_RECORD_WAYS];

/* Called by entry.asm after each other exit, with v->exit.reason read. */
unsigned vmx_exit(struct vmx_vcpu *v);
/* Called by entry.asm after VMX_WARM_GO_ON. Both give enum vcpu_next. */
unsigned vmx_exit_go_on(struct vmx_vcpu *v);
/* The full end of an instruction that has exited. */
void vmx_advance_rip(struct vmx_vcpu *v, uint32_t length);
/* An iteration of a string instruction is done and others follow: ends the blocking by STI and
 * MOV SS and raises the single-step trap, as after an instruction, but leaves RIP. */
void vmx_end_iteration(struct vmx_vcpu *v);

/* On the vCPU's own core, or before it runs. The one added last sees an exit first. Removing one that
 * is not there does nothing. */
void vmx_add_observer(struct vmx_vcpu *v, struct vmx_observer *observer);
void vmx_remove_observer(struct vmx_vcpu *v, struct vmx_observer *observer);

/* What VMCALL answers in RAX to an unknown number (KVM's -KVM_ENOSYS). */
#define VMX_HYPERCALL_UNKNOWN ((uint64_t)-1000)

/* --- recorder.c --- */

/* Switches recording to VMX_RECORD_ bits (0: off; what was recorded stays). On the vCPU's own core,
 * or before it runs. HV_ERR_NO_MEMORY: nothing was changed. */
enum hv_err vmx_record(struct vmx_vcpu *v, unsigned what) HV_MUST_CHECK;
/* What the operator's file asks for. */
unsigned vmx_record_configured(const struct config_vm *config);
/* The last exits, decoded, as part of a crash's report. */
void vmx_recorder_log_last(struct vmx_vcpu *v);
/* Answers a leaf that shows statistics, if the VM has it: x86/leaves.h. */
void vmx_recorder_leaf(struct vmx_vcpu *v, uint32_t leaf, uint32_t ecx, struct cpuid_regs *regs);
/* All of the ring, a line an exit, for tools/trace. */
typedef void (*vmx_record_line_fn)(void *context, const char *line);
void vmx_recorder_dump(struct vmx_vcpu *v, vmx_record_line_fn line, void *context);
/* The VM has ended: ticks by reason, and the ring for tools/trace if the operator wants it. */
void vmx_recorder_log_end(struct vmx_vcpu *v);

/* --- debug.c: on the vCPU's core, with its VMCS current --- */

/* Has the vCPU of a paused VM run `steps` instructions; each is told on the log. */
void vmx_debug_step(struct vmx_vcpu *v, unsigned steps);
void vmx_debug_step_stop(struct vmx_vcpu *v);
/* Stops the VM when the instruction at a linear address is about to run. False: the four debug
 * registers are in use. */
bool vmx_debug_break_add(struct vmx_vcpu *v, uint64_t address) HV_MUST_CHECK;
/* Stops the VM after each exit of a reason below VMEXIT_COUNT. */
void vmx_debug_break_exit(struct vmx_vcpu *v, uint32_t reason);
void vmx_debug_break_clear(struct vmx_vcpu *v);
/* A #DB, or an exit of the monitor trap flag: true if it was the debugger's, and not the guest's. */
bool vmx_debug_exception(struct vmx_vcpu *v);
bool vmx_debug_trap_flag(struct vmx_vcpu *v);
/* The vCPU starts over. */
void vmx_debug_reset(struct vmx_vcpu *v);

/* --- monitor_commands.c --- */
void vmx_monitor_start(void);
/* Lets a panic say which guest ran. Boot core, once. */
void vmx_panic_start(void);

/* --- event.c --- */

/* Makes what has to be delivered part of the next entry. Answers enum vcpu_next: VCPU_BLOCK when an
 * INIT message has put the vCPU to sleep. */
unsigned vmx_prepare_events(struct vmx_vcpu *v);

/* Queues an exception for the guest, merged with one that was being delivered (double and triple
 * faults): SDM "Interrupt 8 - Double Fault Exception". */
void vmx_queue_exception(struct vmx_vcpu *v, uint8_t vector, bool has_error, uint32_t error);
void vmx_queue_fault(struct vmx_vcpu *v, const struct x86_fault *fault);

/* #GP(0) and #UD as a handler's answer. */
unsigned vmx_answer_gp(struct vmx_vcpu *v);
unsigned vmx_answer_ud(struct vmx_vcpu *v);

/* Puts an event whose delivery was interrupted by the exit back in the queue. */
void vmx_requeue_vectoring(struct vmx_vcpu *v);
bool vmx_has_event(struct vmx_vcpu *v);

/* --- guest_access.c --- */
extern const struct emul_ops vmx_emul_ops;
/* Fills in the emulator's view of the guest. */
void vmx_emul_state(struct vmx_vcpu *v, struct emul_state *state);
/* Decodes the instruction at the guest's RIP. Answers as emul_decode; EMUL_FAULT with `fault`. */
enum emul_status vmx_fetch_decode(struct vmx_vcpu *v, const struct emul_insn **insn,
                                  struct x86_fault *fault);
/* Executes it in full and turns the result into a handler's answer. */
unsigned vmx_emulate(struct vmx_vcpu *v, const struct emul_insn *insn);
/* An access to guest-physical memory that is not RAM: local APIC, then the bus. */
enum bus_answer vmx_mmio(struct vmx_vcpu *v, gpa_t gpa, unsigned size_bytes, bool write,
                         uint64_t *value);
/* Where a linear address is, for somebody who only looks: every right, no accessed flag set, the
 * VMCS current. False: it is not mapped. */
bool vmx_peek_linear(struct vmx_vcpu *v, gva_t linear, gpa_t *gpa);
uint64_t vmx_guest_rsp(struct vmx_vcpu *v);
void vmx_guest_gpr_write(struct vmx_vcpu *v, unsigned gpr, unsigned size_bytes, uint64_t value);
uint64_t vmx_guest_gpr(struct vmx_vcpu *v, unsigned gpr);
/* Guest memory at a linear address; `access` is GUEST_ACCESS_ of x86/guest_walk.h. At most
 * VMX_LINEAR_BYTES_MAX; an access that crosses pages is translated in full before a byte moves.
 * Each gives EMUL_OK, EMUL_FAULT with `fault`, EMUL_RETRY, or EMUL_ABORT with the VM crashed. */
#define VMX_LINEAR_BYTES_MAX 128u
enum emul_status vmx_linear_read(struct vmx_vcpu *v, gva_t linear, void *bytes,
                                 unsigned size_bytes, unsigned access, struct x86_fault *fault);
enum emul_status vmx_linear_write(struct vmx_vcpu *v, gva_t linear, const void *bytes,
                                  unsigned size_bytes, unsigned access, struct x86_fault *fault);
enum emul_status vmx_linear_probe(struct vmx_vcpu *v, gva_t linear, unsigned size_bytes,
                                  unsigned access, struct x86_fault *fault);
/* Replaces `expected` in one atomic step; EMUL_RETRY if the memory holds something else. A plain
 * write on a device, and where the operand (at most 8 bytes) crosses pages. */
enum emul_status vmx_linear_exchange(struct vmx_vcpu *v, gva_t linear, unsigned size_bytes,
                                     uint64_t expected, uint64_t desired, unsigned access,
                                     struct x86_fault *fault);
enum emul_mode vmx_guest_mode(struct vmx_vcpu *v);

/* --- exit_policy_dr.c --- */
/* DR7 has its initial value: MOV DR exits until a breakpoint is set. */
void vmx_breakpoints_watch(struct vmx_vcpu *v);
/* A breakpoint is about to be enabled, by the guest or the operator. */
void vmx_breakpoints_set(struct vmx_vcpu *v);
/* After v->apicv has changed. */
void vmx_blocking_update(struct vmx_vcpu *v);

/* --- exit_task_switch.c --- */
struct task_ops;
extern const struct task_ops vmx_task_ops; /* the guest's tables, as the processor accesses them */
/* What the delivery of #DB does to DR6, DR7 and DEBUGCTL; `why` is DR6_ bits. Injection does none
 * of it. */
void vmx_set_debug_cause(struct vmx_vcpu *v, uint64_t why);

/* --- exit_operand.c: operands by the VM-exit instruction information --- */
struct vmx_operand {
    struct vmx_instruction info;
    gva_t linear;              /* of a memory operand */
};
/* False: a fault has been queued. */
bool vmx_operand_locate(struct vmx_vcpu *v, unsigned size_bytes, bool is_write,
                        struct vmx_operand *operand);
/* Explicit accesses with the guest's CPL. False: a fault has been queued, or the access is to be
 * tried again: the answer is EXIT_KEEP | VCPU_RUN either way. */
bool vmx_operand_read(struct vmx_vcpu *v, const struct vmx_operand *operand, void *bytes,
                      unsigned size_bytes);
bool vmx_operand_write(struct vmx_vcpu *v, const struct vmx_operand *operand, const void *bytes,
                       unsigned size_bytes);

/* --- watch.c: breakpoints on accesses that the hypervisor makes --- */
/* Compares an access, and keeps what it meets until it is raised with the end of the instruction or
 * iteration, or dropped with a fault. */
void vmx_watch(struct vmx_vcpu *v, enum breakpoint_access access, uint64_t address, unsigned bytes);
void vmx_watch_raise(struct vmx_vcpu *v);

/* --- exit_basic.c --- */
void vmx_cpuid_follow(struct vmx_vcpu *v);

/* --- exit_cr.c: the registers as the guest believes them --- */
uint64_t vmx_guest_cr0(struct vmx_vcpu *v);
uint64_t vmx_guest_cr4(struct vmx_vcpu *v);
/* MOV to CR3, PDPTEs included. False: #GP(0), nothing has changed. */
bool vmx_set_cr3(struct vmx_vcpu *v, uint64_t value);

#include "arch/x86/vmx/vmcs_setup.h"

/* --- event.c --- */
void vmx_set_cpu_controls(struct vmx_vcpu *v, uint32_t set, uint32_t clear);

/* --- switch.c --- */

/* The guest is to be left at `deadline` at the latest; the TSC is at `now`. By the preemption timer,
 * or, where there is none, by the core's own. */
void vmx_set_wake(struct vmx_vcpu *v, uint64_t deadline_tsc, uint64_t now_tsc);
enum hv_err vmx_switch_create(struct vmx_vcpu *v) HV_MUST_CHECK;
void vmx_switch_reset(struct vmx_vcpu *v);
/* Size of the area that holds a vCPU's extended state. */
uint64_t vmx_xsave_bytes(void);
void vmx_vcpu_load(struct vmx_vcpu *v);
void vmx_flush_guest_tlb(struct vmx_vcpu *v);
/* Calls `look` with the vCPU's VMCS current, on the core that it lives on and while its VM runs or
 * is paused; then puts back what was current. */
void vmx_vmcs_visit(struct vmx_vcpu *v, void (*look)(void *context), void *context);
/* Makes a VMCS that no core holds current here, to write it, and gives it back cleared. */
void vmx_vmcs_borrow(struct vmx_vcpu *v);
void vmx_vmcs_return(struct vmx_vcpu *v);

/* --- ept_glue.c --- */

/* Maps all of the VM's RAM, before its first entry, with the types of the MTRRs. */
enum hv_err vmx_ept_create(struct vmx_vm *x) HV_MUST_CHECK;

/* --- msr.c --- */
/* Of IA32_MISC_ENABLE; writes leave the other bits as they are. */
#define VMX_MISC_ENABLE_WRITABLE MISC_ENABLE_FAST_STRINGS
bool vmx_msr_read(struct vmx_vcpu *v, uint32_t msr, uint64_t *value);
bool vmx_msr_write(struct vmx_vcpu *v, uint32_t msr, uint64_t value);
void vmx_msrs_reset(struct vmx_vcpu *v);
void vmx_msr_bitmap_fill(uint8_t *bitmap, const struct vmx_vm *vm);
/* Lets RDMSR or WRMSR of one register through. */
void vmx_msr_bitmap_clear(uint8_t *bitmap, uint32_t msr, bool write);

/* --- apic.c --- */
enum hv_err vmx_apic_create(struct vmx_vcpu *v) HV_MUST_CHECK;

/* --- apicv.c --- */

/* Finds out whether the VM can have APIC virtualization, and with which controls. */
void vmx_apicv_make_controls(struct vmx_vm *x);
/* Lets the guest at those registers of the x2APIC that the processor virtualizes. */
void vmx_apicv_open_msrs(uint8_t *bitmap);
/* The APIC's mode has changed: takes the controls that go with it. */
void vmx_apicv_update_mode(struct vmx_vcpu *v);
/* Tells the processor what software has done to IRR and TMR. */
void vmx_apicv_prepare(struct vmx_vcpu *v);
void vmx_apicv_clear(struct vmx_vcpu *v);

/* --- own_core.c: interrupts = guest --- */

/* Lets the guest at the registers of its core's local APIC. */
void vmx_own_core_open_msrs(uint8_t *bitmap, bool eoi_exits);
/* The vCPU's registers come into the core, or leave it: the APIC goes with them. */
void vmx_own_core_lend(struct vmx_vcpu *v);
void vmx_own_core_take_back(struct vmx_vcpu *v);
/* Delivers an edge-triggered interrupt at once, from any core. false: the APIC is not lent now. */
bool vmx_own_core_send(struct vmx_vcpu *v, uint8_t vector);
/* Delivers what had to wait for the vCPU's core. */
void vmx_own_core_forward(struct vmx_vcpu *v);
/* WRMSR of a local APIC's register that exits. false: #GP(0). */
bool vmx_own_core_apic_write(struct vmx_vcpu *v, uint32_t msr, uint64_t value);
/* A write to IA32_TSC or IA32_TSC_ADJUST, which has no effect: says so once. */
bool vmx_own_core_tsc_write(struct vmx_vcpu *v);

/* --- crash.c --- */

/* Stops the VM with all that is known about the exit: reason, qualification, registers. */
unsigned vmx_crash(struct vmx_vcpu *v, const char *why, ...) HV_PRINTF(2, 3);

/* The vCPU shuts down: a crash, or a reset of the VM, as the operator's file has it. */
unsigned vmx_triple_fault(struct vmx_vcpu *v, const char *why, ...) HV_PRINTF(2, 3);

/* --- entry_failure.c --- */

/* After VMfailInvalid or VMfailValid: says why, by the explainer. */
void vmx_log_entry_failure(struct vmx_vcpu *v);

/* --- core_enable.c --- */

/* What all cores that are in VMX operation can do. */
const struct vmx_caps *vmx_host_caps(void);
/* What this core can do by itself. */
enum hv_err vmx_core_caps(struct vmx_caps *caps) HV_MUST_CHECK;
/* State components that the host saves and guests may enable; 0: no XSAVE. */
uint64_t vmx_host_xcr0(void);
/* What CPUID leaf 0DH.1 says of the compacted format's size with all of them enabled. */
uint32_t vmx_host_compacted_bytes(void);

/* --- handlers: exit_*.c --- */
#define EXIT(number, name, handler, needs, experiment, sdm, doc) unsigned handler(struct vmx_vcpu *v);
#include "arch/x86/vmx/exits.def"
#undef EXIT

#endif
