/*
 * Virtual machines, virtual CPUs, and the cores that they run on.
 *
 * A vCPU belongs to one core for its life; the core's loop (vmm/core/core.c) runs its vCPUs in
 * turn. What a vCPU is made of is the processor's affair (hv/arch_ops.h): the structures here are
 * embedded in larger ones there.
 *
 * Locks: `struct vm.bus.lock` for all devices and device timers of a VM; `struct core.timer_lock`,
 * ordered after it. `vm.phase`, `vm.paused`, `vcpu.parked`, `vcpu.stepping`, `core.kick` and the
 * state of `core.question` are atomic words. Everything else of a vCPU is
 * touched only by its core.
 */
#ifndef HV_VM_H
#define HV_VM_H

#include "hv/bus.h"
#include "hv/clock.h"
#include "hv/config.h"
#include "hv/gpa_space.h"
#include "hv/loader.h"
#include "hv/ratio.h"
#include "hv/spinlock.h"
#include "hv/timer_queue.h"
#include "hv/types.h"

#define HV_MAX_CORES 256

struct boot_info;
struct vm;
struct vcpu;
struct platform;

/* What the core's loop does with a vCPU after it came back. */
enum vcpu_next {
    VCPU_RUN = 0, /* enter again */
    VCPU_YIELD,   /* let others run, then again */
    VCPU_BLOCK,   /* nothing to do until an event comes */
    VCPU_END,     /* the VM is stopping: never again */
};

enum vm_phase {
    VM_RUNNING = 0,
    VM_RESETTING, /* every vCPU parks; the last one puts the VM back to its start */
    VM_ENDING,    /* every vCPU parks; the last one reports the result */
    VM_ENDED,
};

/* The VM's clock: counts from the VM's start, in TSC ticks turned into nanoseconds. */
struct vm_clock {
    struct hv_clock clock;
    struct vm *vm;
    uint64_t start_tsc;
    uint64_t last_ns;        /* later deadlines are beyond what the TSC can count */
    struct hv_ratio tsc_to_ns, ns_to_tsc;
    struct hv_timer *first;  /* sorted by deadline; under the bus lock */
    struct tq_timer wake;    /* stands for the first timer in the home core's queue */
};

struct vcpu {
    struct vm *vm;
    unsigned index;          /* in the VM */
    unsigned core;           /* where it lives */
    bool blocked;            /* returned VCPU_BLOCK and has had no event since */
    bool parked;             /* its VM is ending or resetting, and it has stopped */
    bool frozen;             /* has stopped for a pause, and its clock with it */
    uint64_t skipped_ticks;  /* of the VM's pauses, as far as its clock knows them */
    bool stepping;           /* runs one instruction although its VM is paused: the debugger's */
    struct vcpu *next;       /* on the same core */
};

/* What a VM has beyond its section of the operator's file; for VMs that Trapline makes of itself. */
struct vm_extra {
    bool boot_core_only;            /* its vCPUs live on the boot core */
    void *arch;                     /* for arch_vm_create */
    void (*ended)(struct vm *vm);   /* is told of the end, which then does not count for the machine's */
};

struct vm {
    unsigned index;
    const struct config_vm *config;
    const struct vm_extra *extra; /* NULL: none */
    enum vm_phase phase;     /* atomic */
    unsigned parked;         /* atomic: vCPUs that have stopped for the phase */
    bool paused;             /* atomic: no vCPU runs, but for one that steps */
    uint64_t frozen_tsc;     /* atomic: when the last vCPU stopped for the pause */
    uint64_t skipped_ticks;  /* atomic: that all pauses have taken; its clocks leave them out */
    bool result_claimed;     /* atomic: somebody writes the result below */
    bool result_ready;       /* atomic: it is written */
    unsigned exit_status;
    char exit_reason[24];
    struct gpa_space memory;
    struct bus bus;
    struct vm_clock clock;
    struct platform *platform;
    struct vcpu *vcpus[CONFIG_MAX_VCPUS];
    unsigned vcpu_count;
    uint64_t own_bytes;      /* of the hypervisor's memory, for all of the VM but its RAM */
    uint64_t vcpu_bytes;     /* of these, for each vCPU */
    unsigned home_core;      /* of its timers */
    void *arch;
};

/* What the operator's core asks of another one: see core_ask. */
enum core_question_state { QUESTION_NONE, QUESTION_ASKED, QUESTION_TAKEN, QUESTION_ANSWERED };

struct core_question {
    uint32_t state;          /* atomic: enum core_question_state */
    void (*answer)(void *context);
    void *context;
};

/* One physical core, as the scheduler sees it. */
struct core {
    unsigned index;
    bool online;
    unsigned owner;          /* 0: any VM's vCPUs; else the index + 1 of the VM whose own it is */
    uint32_t kick;           /* atomic: look around before entering a guest again */
    bool timers_shared;      /* other cores arm timers here: timer_lock is taken */
    struct spinlock timer_lock;  /* guards `timers`; its first deadline may be read without */
    struct timer_queue timers;
    struct tq_timer *patient;    /* fires with others once it is patient_tsc; NULL: none */
    uint64_t patient_tsc;
    struct vcpu *vcpus;      /* ring of those that live here */
    struct vcpu *last;       /* the one whose registers are in the core */
    unsigned vcpu_count;
    struct core_question question;
};

extern struct core hv_cores[HV_MAX_CORES];

/* --- vmm/core/vm.c --- */

/* Builds a VM from its section of the operator's file: memory, platform, vCPUs, kernel. Messages
 * name the section. `extra` may be NULL; what it points to outlives the VM. Boot core only, before
 * the cores run, or with extra->boot_core_only.
 * On an error *made is the VM, ended, or NULL. */
enum hv_err vm_create(const struct config_vm *config, const struct boot_info *info,
                      const struct vm_extra *extra, struct vm **made) HV_MUST_CHECK;

/* Gives everything back that the VM made last has taken. It has ended, every vCPU is parked, and it
 * was made with extra->boot_core_only. Boot core only, between two turns. */
void vm_destroy(struct vm *vm);

/* Stops a VM from any core: records the first caller's status and reason (a short word), tells all
 * its vCPUs. Returns at once; the vCPUs stop when they next leave the guest. */
void vm_stop(struct vm *vm, unsigned status, const char *reason);

/* As vm_stop, for a VM that cannot go on; prints `why` in full. */
void vm_crash(struct vm *vm, const char *why, ...) HV_PRINTF(2, 3);

/* Statuses that no guest has chosen. */
enum vm_status { VM_STATUS_CRASHED = 254, VM_STATUS_FAILED = 253 };

/* The VM has come to its end: prints its result; the machine ends with the last one. Called once,
 * with every vCPU parked. */
void vm_report_end(struct vm *vm);

/* Starts the VM over, as its reset button does. */
void vm_reset(struct vm *vm);

/* Called by a core for each of its vCPUs when the VM is not running. Returns true when the vCPU may
 * run again (after a reset). */
bool vm_park(struct vcpu *vcpu);

static inline enum vm_phase vm_phase(const struct vm *vm)
{
    return __atomic_load_n(&vm->phase, __ATOMIC_ACQUIRE);
}

/* Stops a VM's vCPUs where they are, and lets them go on, from any core. Its time stands still in
 * between: TSC, APIC timers and the devices' clock; unless it owns its cores, whose TSC is its own.
 * A vCPU has stopped when its core has answered a question (core_ask) since. */
void vm_pause(struct vm *vm);
void vm_resume(struct vm *vm);

/* For the core's loop: a vCPU of a paused VM stops, and goes on after. */
void vm_freeze(struct vcpu *vcpu);
void vm_thaw(struct vcpu *vcpu);

/* Do its vCPUs have a core each, whose interrupts and TSC are theirs? */
static inline bool vm_owns_cores(const struct vm *vm)
{
    return vm->config->interrupts == CONFIG_INTERRUPTS_GUEST;
}

static inline bool vm_is_paused(const struct vm *vm)
{
    return __atomic_load_n(&vm->paused, __ATOMIC_ACQUIRE);
}

/* Number of VMs, and the VM with an index. */
unsigned vm_count(void);
struct vm *vm_at(unsigned index);

/* --- vmm/core/vm_clock.c --- */
void vm_clock_init(struct vm_clock *clock, struct vm *vm, uint64_t epoch_seconds);
/* Leaves out `ticks` that a pause took, and wakes up for the first timer again. Takes the bus lock. */
void vm_clock_skip(struct vm_clock *clock, uint64_t ticks);

/* --- vmm/core/core_plan.c --- */

/* Says which cores belong to VMs with interrupts = guest: owner[i] as struct core.owner. The last
 * cores go first. One online core stays for the others if there is any VM with interrupts = vmm. A
 * VM for which too few are left gets none. Pure. */
void core_plan_make(const struct config *config, const bool *online, unsigned cores,
                    unsigned *owner);

/* Puts the plan into hv_cores. Boot core only, before the first VM is made. */
void core_plan_apply(const struct config *config);

/* The cores that belong to a VM. */
unsigned core_plan_count(unsigned vm_index);

/* Do VMs that share cores have more vCPUs than there are cores for them? */
bool core_plan_is_crowded(const struct config *config);

/* Where the work is done that belongs to no vCPU: the first core that is no VM's own, or 0. */
unsigned core_plan_housekeeper(void);

/* --- vmm/core/core.c --- */

/* The loop of one core; never returns. */
HV_NORETURN void core_run(unsigned index);

/* One turn of it: timers, then a vCPU until something has to be done for others, or sleep. */
void core_turn(unsigned index);

/* Gives a vCPU to a core. Boot core only, before the cores run. */
void core_add_vcpu(unsigned core, struct vcpu *vcpu);

/* Takes it away again. On the vCPU's core, with the vCPU parked. */
void core_remove_vcpu(struct vcpu *vcpu);

/* An event for this vCPU was posted, from any core: its core will look. */
void vcpu_wake(struct vcpu *vcpu);

/* Makes a core look around: leave the guest, see new timers and phases. Any core may call it. */
void core_kick(unsigned core);

/* Fires what is due in the queue of the core that executes. */
void core_fire_timers(struct core *core);

/* Has `answer` called on a core, between two turns of its loop, when no guest runs there, and waits
 * for it. False: the core did not come within a second. One asker at a time, and never from inside
 * an answer; `context` must outlive a core that comes too late. */
bool core_ask(unsigned core, void (*answer)(void *context), void *context) HV_MUST_CHECK;

/* Arms and cancels a timer in a core's queue, from any core. Absolute host TSC. */
void core_timer_arm(unsigned core, struct tq_timer *timer, uint64_t deadline_tsc);
/* The same, where the core that executes is known to be the one. */
void core_timer_arm_here(struct core *core, struct tq_timer *timer, uint64_t deadline_tsc);
void core_timer_cancel(unsigned core, struct tq_timer *timer);
/* Arms a timer of the core that executes that can wait: it fires from `when_tsc` on as soon as the
 * core is idle or another timer fires, so that no guest is interrupted for it alone, and at
 * `latest_tsc` at any rate. A core has one at most. */
void core_timer_arm_patient(struct tq_timer *timer, uint64_t when_tsc, uint64_t latest_tsc);

#endif
