/*
 * The guest's local APIC: xAPIC and x2APIC, its timer, and how messages reach it.
 *
 * Pure: no VMX and no privileged instruction. The surroundings come in through `struct lapic_env`.
 *
 * Concurrency: there is no lock. One core at a time owns an APIC: the one that runs its vCPU. Only
 * the owner may call anything here, except lapic_post, lapic_set_lint, lapic_matches and
 * lapic_route, which any core may call at any time. Other cores only post; the owner merges what
 * was posted with lapic_sync. Whether there is anything to merge or to deliver is one plain load:
 * lapic_attention.
 *
 * Source: SDM volume 3, "Advanced Programmable Interrupt Controller (APIC)".
 */
#ifndef X86_LAPIC_H
#define X86_LAPIC_H

#include "hv/irq.h"
#include "hv/ratio.h"
#include "hv/types.h"

/* Register offsets in the 4 KB page; the x2APIC MSR is LAPIC_MSR_BASE + offset / 16. */
enum lapic_register {
    LAPIC_ID = 0x020,
    LAPIC_VERSION = 0x030,
    LAPIC_TPR = 0x080,
    LAPIC_APR = 0x090,
    LAPIC_PPR = 0x0A0,
    LAPIC_EOI = 0x0B0,
    LAPIC_RRD = 0x0C0,
    LAPIC_LDR = 0x0D0,
    LAPIC_DFR = 0x0E0,
    LAPIC_SVR = 0x0F0,
    LAPIC_ISR = 0x100, /* eight registers, 16 bytes apart; the same for TMR and IRR */
    LAPIC_TMR = 0x180,
    LAPIC_IRR = 0x200,
    LAPIC_ESR = 0x280,
    LAPIC_LVT_CMCI = 0x2F0,
    LAPIC_ICR_LOW = 0x300,
    LAPIC_ICR_HIGH = 0x310,
    LAPIC_LVT_TIMER = 0x320,
    LAPIC_LVT_THERMAL = 0x330,
    LAPIC_LVT_PERF = 0x340,
    LAPIC_LVT_LINT0 = 0x350,
    LAPIC_LVT_LINT1 = 0x360,
    LAPIC_LVT_ERROR = 0x370,
    LAPIC_INITIAL_COUNT = 0x380,
    LAPIC_CURRENT_COUNT = 0x390,
    LAPIC_DIVIDE = 0x3E0,
    LAPIC_SELF_IPI = 0x3F0,
};

/* LVT entries */
#define LVT_MASKED (1u << 16)
#define LVT_TIMER_MODE_SHIFT 17
#define LVT_TIMER_MODE (3u << LVT_TIMER_MODE_SHIFT)

enum lapic_timer_mode { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_TSC_DEADLINE, TIMER_RESERVED };

#define LAPIC_MSR_BASE 0x800u
#define LAPIC_MSR_LAST 0x8FFu
#define LAPIC_PAGE_BYTES 4096u
#define LAPIC_DEFAULT_BASE 0xFEE00000u
#define LAPIC_BROADCAST UINT32_MAX /* destination: every local APIC */

/* IA32_APIC_BASE */
#define LAPIC_BASE_BSP (UINT64_C(1) << 8)
#define LAPIC_BASE_X2APIC (UINT64_C(1) << 10)
#define LAPIC_BASE_ENABLE (UINT64_C(1) << 11)

/* ESR bits (SDM "Error Status Register (ESR)") */
#define LAPIC_ESR_SEND_ILLEGAL_VECTOR (1u << 5)
#define LAPIC_ESR_RECEIVE_ILLEGAL_VECTOR (1u << 6)
#define LAPIC_ESR_ILLEGAL_REGISTER (1u << 7)

enum lapic_shorthand {
    LAPIC_TO_DESTINATION = 0,
    LAPIC_TO_SELF = 1,
    LAPIC_TO_ALL = 2,
    LAPIC_TO_OTHERS = 3,
};

struct lapic;

/* What an APIC needs of its surroundings. All are called on the owner's core, except `kick`. */
struct lapic_env {
    /* The guest's TSC now. */
    uint64_t (*tsc_now)(void *context);
    /* One timer: call lapic_timer_fired on the owner's core at or soon after this guest TSC.
     * Arming again replaces the deadline. A deadline that has passed fires at once. */
    void (*timer_arm)(void *context, uint64_t deadline_tsc);
    void (*timer_cancel)(void *context);
    /* The guest wrote the ICR or SELF IPI: the VM's routing, that is lapic_route over all APICs
     * of the VM with this one as the sender. */
    void (*send)(void *context, enum lapic_shorthand shorthand, const struct irq_message *message);
    /* A level-triggered interrupt has ended: tell the I/O APICs. */
    void (*eoi)(void *context, uint8_t vector);
    /* Something was posted: make the vCPU leave the guest or wake. ANY core calls it. It is not
     * called again until the owner has run lapic_sync. */
    void (*kick)(void *context);
    void *context;
    /* NULL, or: delivers an edge-triggered fixed interrupt to the APIC in another way than by posting.
     * ANY core calls it. false: it could not, and the interrupt is posted. */
    bool (*post_fixed)(void *context, uint8_t vector);
};

struct lapic_config {
    uint32_t id;                   /* x2APIC id; xAPIC mode shows its low 8 bits */
    bool bsp;
    bool has_x2apic;               /* as CPUID.1:ECX[21] says */
    bool x2apic_only;              /* starts in x2APIC mode and stays there, as firmware locks it */
    bool has_tsc_deadline;         /* as CPUID.1:ECX[24] says */
    bool suppress_eoi_broadcast;   /* offer it: version bit 24, SVR bit 12 */
    uint8_t physical_address_bits; /* as CPUID.80000008H says */
    /* The timer's input clock, before its divider: TSC ticks * numerator / denominator. With
     * CPUID.15H this is the crystal: numerator = EAX, denominator = EBX. Neither may be 0. */
    uint32_t timer_numerator;
    uint32_t timer_denominator;
};

/* What other cores post. The first 64 bytes have the layout of the processor's posted-interrupt
 * descriptor (SDM "Posted-Interrupt Processing"). */
struct lapic_posted {
    _Alignas(64) uint64_t pir[4]; /* posted-interrupt requests, a bit a vector */
    uint64_t control;             /* bit 0: ON, outstanding notification; the rest is not used */
    uint64_t reserved[3];
    uint64_t level[4];            /* how the vector was last posted: 1 = level-triggered */
};
_Static_assert(offsetof(struct lapic_posted, control) == 32, "posted-interrupt descriptor layout");
_Static_assert(offsetof(struct lapic_posted, level) == 64, "posted-interrupt descriptor layout");

/* Bits of attention.posted (set by any core, atomically) and attention.owner (the owner's own). */
enum lapic_attention_bit {
    LAPIC_ATTENTION_VECTOR = 1u << 0, /* posted: PIR is not empty; owner: a vector is deliverable */
    LAPIC_ATTENTION_NMI = 1u << 1,
    LAPIC_ATTENTION_INIT = 1u << 2,
    LAPIC_ATTENTION_SIPI = 1u << 3,
    LAPIC_ATTENTION_EXTINT = 1u << 4, /* owner: the PIC wants its INTA cycle through this APIC */
    LAPIC_ATTENTION_LINT = 1u << 5,   /* posted only: a LINT pin has changed */
    LAPIC_ATTENTION_EXTINT_EDGE = 1u << 6, /* posted only: an ExtINT message */
    LAPIC_ATTENTION_LINT0_EDGE = 1u << 7,  /* posted only: the pin rose */
    LAPIC_ATTENTION_LINT1_EDGE = 1u << 8,
    LAPIC_ATTENTION_BAD_VECTOR = 1u << 9,  /* posted only: a fixed message with vector 0 to 15 */
    LAPIC_ATTENTION_SIPI_VECTOR_SHIFT = 24, /* bits 31:24 hold the vector of a posted SIPI */
};

union lapic_attention {
    uint64_t any;
    struct {
        uint32_t posted;
        uint32_t owner;
    } half;
};

struct lapic {
    /* The registers at their architectural offsets, so that this page can become the processor's
     * virtual-APIC page. Only 4 bytes of each 16 are used. */
    _Alignas(4096) uint32_t page[LAPIC_PAGE_BYTES / 4];

    struct lapic_posted posted;
    union lapic_attention attention;
    /* What routing on other cores needs, as one word, stored by the owner: see lapic.c. */
    uint64_t published;
    uint32_t lint_level; /* bit n: level of LINTn; atomic, any core */

    /* The owner's. */
    struct lapic_config config;
    struct hv_ratio tsc_to_ticks; /* of the timer's input clock */
    struct lapic_env env;
    uint64_t base_msr;
    uint64_t mmio_page;        /* where the xAPIC page is; no page's address: nowhere */
    uint32_t esr_pending;      /* errors since the last write of ESR */
    uint32_t lvt_remote_irr;   /* bit n: remote IRR of LINTn */
    bool extint_latched;
    uint8_t sipi_vector;
    /* The timer. It expires `timer_first_count` counts after the epoch and, when periodic, every
     * initial count from there; period n is computed from the epoch, so that none drifts. */
    bool timer_running;
    bool timer_armed;            /* the surroundings hold a deadline of ours */
    uint32_t timer_first_count;
    uint64_t timer_epoch_tsc;
    uint64_t timer_periods;      /* of the next expiry; 0 = the first */
    uint64_t timer_deadline_tsc; /* the next expiry, in all three modes */
};

/* Sets everything up and resets it as power-up does. `lapic` must be 4 KB-aligned. Nothing may
 * post to it before. HV_ERR_INVALID: a timer ratio that is 0 or beyond 2^20 TSC ticks a tick, an
 * id of all ones (xAPIC-only: above 254), or an address width outside of 32 to 52. */
enum hv_err lapic_init(struct lapic *lapic, const struct lapic_config *config,
                       const struct lapic_env *env) HV_MUST_CHECK;

/* State at the VM's start: xAPIC mode; software-disabled as after power-up or RESET, but on the
 * boot processor in virtual wire mode, as firmware leaves it (LINT0 ExtINT, LINT1 NMI, enabled). */
void lapic_reset(struct lapic *lapic);

/* State after INIT: as after power-up, but APIC id, mode and base stay. lapic_take_init does not
 * call it: the vCPU does, with the rest of its INIT state. */
void lapic_reset_init(struct lapic *lapic);

/* ---- guest accesses, on the owner's core ---- */

/* An access to the xAPIC page (the caller has checked lapic_mmio_base). `offset` < 4096; `size` is
 * 1, 2, 4 or 8. Registers are 4 bytes wide and 16 apart; what the SDM leaves undefined reads as
 * the register's bytes and writes of anything but an aligned 32-bit register are ignored. Never
 * faults. */
uint64_t lapic_mmio_read(struct lapic *lapic, uint32_t offset, unsigned size_bytes);
void lapic_mmio_write(struct lapic *lapic, uint32_t offset, unsigned size_bytes, uint64_t value);

/* RDMSR, WRMSR of 0x800 to 0x8FF. false: #GP(0) (not in x2APIC mode, no such register, read-only,
 * write-only, reserved bits). */
bool lapic_msr_read(struct lapic *lapic, uint32_t msr, uint64_t *value) HV_MUST_CHECK;
bool lapic_msr_write(struct lapic *lapic, uint32_t msr, uint64_t value) HV_MUST_CHECK;

/* IA32_APIC_BASE. Relocation of the xAPIC page is supported as far as the caller moves it. */
enum lapic_base_answer {
    LAPIC_BASE_FAULT,   /* #GP(0): reserved bits, or a transition that the SDM forbids */
    LAPIC_BASE_SAME,    /* taken; nothing changed for the caller */
    LAPIC_BASE_CHANGED, /* taken; mode or address differ: ask lapic_mmio_base again, drop caches */
};
uint64_t lapic_base_read(const struct lapic *lapic);
enum lapic_base_answer lapic_base_write(struct lapic *lapic, uint64_t value) HV_MUST_CHECK;

/* Where the xAPIC page is now. false: there is none (disabled, or x2APIC mode). */
bool lapic_mmio_base(const struct lapic *lapic, gpa_t *base);

/* Is this an address of the xAPIC page? */
static inline bool lapic_is_at(const struct lapic *lapic, gpa_t gpa)
{
    return (gpa.v & ~UINT64_C(0xFFF)) == lapic->mmio_page;
}

static inline bool lapic_is_x2apic(const struct lapic *lapic)
{
    return (lapic->base_msr & LAPIC_BASE_X2APIC) != 0;
}

static inline bool lapic_is_enabled(const struct lapic *lapic)
{
    return (lapic->base_msr & LAPIC_BASE_ENABLE) != 0;
}

/* IA32_TSC_DEADLINE. The caller gives #GP where CPUID does not offer it. In any other timer mode
 * writes are ignored and reads give 0. */
uint64_t lapic_tsc_deadline_read(const struct lapic *lapic);
void lapic_tsc_deadline_write(struct lapic *lapic, uint64_t deadline_tsc);

/* The same where the timer is to be armed and nothing else; the caller arms it. False: nothing was
 * done. */
static inline bool lapic_tsc_deadline_take(struct lapic *lapic, uint64_t deadline_tsc)
{
    const uint32_t unmasked_deadline = (uint32_t)TIMER_TSC_DEADLINE << LVT_TIMER_MODE_SHIFT;
    uint32_t lvt = lapic->page[LAPIC_LVT_TIMER / 4];

    if (HV_UNLIKELY((lvt & (LVT_TIMER_MODE | LVT_MASKED)) != unmasked_deadline || !deadline_tsc))
        return false;
    lapic->timer_running = true;
    lapic->timer_armed = true;
    lapic->timer_deadline_tsc = deadline_tsc;
    return true;
}

/* The deadline has come, and somebody else delivers what is in IRR: puts the timer's vector there
 * and returns it. -1: nothing was done, lapic_timer_fired does it. */
int lapic_tsc_deadline_expire(struct lapic *lapic);

/* The guest's TSC has jumped by `delta` (a write to IA32_TSC or IA32_TSC_ADJUST): counting timers
 * go on as if nothing had happened, a TSC deadline stays where it is. */
void lapic_tsc_changed(struct lapic *lapic, int64_t delta);

/* CR8: bits 7:4 of TPR. The caller has checked that `value` is below 16. */
uint8_t lapic_cr8_read(const struct lapic *lapic);
void lapic_cr8_write(struct lapic *lapic, uint8_t value);

/* CPUID.1:EDX[9] shows the global enable bit: false after the guest has cleared it. */
static inline bool lapic_cpuid_apic(const struct lapic *lapic)
{
    return lapic_is_enabled(lapic);
}

/* ---- the vCPU's loop, on the owner's core ---- */

/* Is there anything to merge or deliver? One plain 64-bit load. After lapic_sync, what is left is
 * in attention.half.owner: VECTOR, NMI, INIT, SIPI, EXTINT. */
static inline uint64_t lapic_attention(const struct lapic *lapic)
{
    return __atomic_load_n(&lapic->attention.any, __ATOMIC_RELAXED);
}

void lapic_sync_posted(struct lapic *lapic);

/* Merges what other cores have posted into IRR and attention.owner. A no-op when nothing was. */
static inline void lapic_sync(struct lapic *lapic)
{
    if (HV_UNLIKELY(__atomic_load_n(&lapic->attention.half.posted, __ATOMIC_RELAXED)))
        lapic_sync_posted(lapic);
}

/* The vector that the APIC would deliver now (highest in IRR, above PPR), or -1. Does not sync. */
int lapic_pending_vector(const struct lapic *lapic);

/* Would it deliver one? */
static inline bool lapic_vector_waits(const struct lapic *lapic)
{
    return lapic->attention.half.owner & LAPIC_ATTENTION_VECTOR;
}

/* Takes the highest requested vector out of IRR, whatever PPR says, for somebody else who delivers
 * it; -1: there is none. Does not sync. */
int lapic_hand_over(struct lapic *lapic, bool *level_triggered);

/* The processor has taken it: IRR to ISR. */
void lapic_accept(struct lapic *lapic, uint8_t vector);

/* A write to the EOI register. */
void lapic_eoi(struct lapic *lapic);

/* The deadline that timer_arm was given has come (early calls are answered by arming again). */
void lapic_timer_fired(struct lapic *lapic);
/* The same for a caller that knows the guest's TSC. */
void lapic_timer_fired_at(struct lapic *lapic, uint64_t tsc);

/* Do the PIC's interrupts reach this processor: LINT0 unmasked in ExtINT mode, or APIC disabled
 * (LINT0 then is the INTR pin). The PIC's own vector bypasses IRR, ISR and PPR. */
bool lapic_accepts_pic(const struct lapic *lapic);

/* The PIC (or an ExtINT message) asks for an INTA cycle through this APIC. The caller asks the PIC
 * for the vector, then calls lapic_extint_taken. Does not sync; forgets a request that the PIC has
 * withdrawn. */
bool lapic_extint_pending(struct lapic *lapic);
void lapic_extint_taken(struct lapic *lapic);

/* Each takes the event away and says whether there was one. Do not sync. */
bool lapic_take_nmi(struct lapic *lapic);
bool lapic_take_init(struct lapic *lapic);
/* A SIPI counts only for a vCPU that waits for one; otherwise it is thrown away. One that came
 * after an INIT that is not yet taken stays latched: take INIT first. */
bool lapic_take_sipi(struct lapic *lapic, bool waiting, uint8_t *vector);

/* Vectors whose EOI must be seen (EOI-exit bitmap): those last posted as level-triggered. */
void lapic_level_vectors(const struct lapic *lapic, uint64_t bitmap[4]);

static inline uint64_t lapic_level_word(const struct lapic *lapic, unsigned word)
{
    return __atomic_load_n(&lapic->posted.level[word], __ATOMIC_RELAXED);
}

/* Was the vector last posted as level-triggered? */
static inline bool lapic_is_level(const struct lapic *lapic, uint8_t vector)
{
    return lapic_level_word(lapic, vector / 64u) >> (vector % 64u) & 1;
}

/* The owner's core has an edge-triggered interrupt for it. */
void lapic_take_edge(struct lapic *lapic, uint8_t vector);

/* The highest vector whose bit is set in LAPIC_ISR, LAPIC_TMR or LAPIC_IRR, or -1. */
int lapic_highest(const struct lapic *lapic, uint32_t base);

/* After the processor has changed the page itself (virtual-interrupt delivery): recompute PPR and
 * attention. */
void lapic_page_changed(struct lapic *lapic);

/* ---- any core ---- */

/* Posts a message that was already matched to this APIC. Lock-free. */
void lapic_post(struct lapic *lapic, const struct irq_message *message);

/* Level of the LINT0 (the PIC's INTR output) or LINT1 (NMI) pin. */
void lapic_set_lint(struct lapic *lapic, unsigned pin, bool level);

/* Is it addressed by this message? `destination` as x2APIC has it; LAPIC_BROADCAST is everyone. */
bool lapic_matches(const struct lapic *lapic, const struct irq_message *message);

/* Delivers to all that match; lowest priority picks one. `sender` is the APIC whose owner calls,
 * or NULL for a device's message, whose destination has 8 bits (0xFF is everyone) unless it is
 * LAPIC_BROADCAST. Returns how many were reached. */
unsigned lapic_route(struct lapic *const *all, unsigned count, struct lapic *sender,
                     enum lapic_shorthand shorthand, const struct irq_message *message);

#endif
