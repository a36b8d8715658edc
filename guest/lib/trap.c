/*
 * Traps: who takes one, and how a program goes on after one.
 * SDM volume 3 "Interrupt and Exception Handling", "64-Bit Mode Stack Frame".
 */
#include "guest_internal.h"

#define GATE_INTERRUPT 0x8eu
#define GATE_USER 0xeeu
#define USER_VECTOR 0x80u
#define RIGHTS_TSS 0x89ull

/* Interrupt stacks: a double fault, an NMI and a machine check may come when RSP is no good. */
enum { IST_DF = 1, IST_NMI = 2, IST_MC = 3, IST_COUNT = 3, IST_BYTES = 4096 };

struct extable_entry {
    uint64_t from, to;
};
extern const struct extable_entry guest_extable_start[], guest_extable_end[];

/* Of each processor; used by no other. */
struct cpu_traps {
    struct guest_fault fault;
    uint64_t *landing_rsp; /* of the innermost guest_catch or guest_user */
    uint64_t user_result;
    bool in_user;
};

static struct cpu_traps cpu_traps[GUEST_MAX_CPUS];
static trap_handler *handlers[256];
static uint8_t trap_stacks[GUEST_MAX_CPUS][IST_COUNT + 1][IST_BYTES] __attribute__((aligned(16)));
static uint8_t user_stacks[GUEST_MAX_CPUS][IST_BYTES] __attribute__((aligned(16)));

volatile uint32_t guest_unexpected[256];
struct idt_gate guest_idt[256] __attribute__((aligned(16)));
struct tss64 guest_tss[GUEST_MAX_CPUS] __attribute__((aligned(16)));

_Static_assert(sizeof(struct idt_gate) == 16, "a gate of 64-bit mode has 16 bytes");
_Static_assert(offsetof(struct tss64, io_bits) == 104, "a 64-bit TSS has 104 bytes");

unsigned guest_cpu(void)
{
    uint16_t tr = read_tr();

    return tr < SEL_TSS ? 0 : (tr - SEL_TSS) / 16u % GUEST_MAX_CPUS;
}

struct guest_fault *guest_fault(void)
{
    return &cpu_traps[guest_cpu()].fault;
}

void guest_fault_clear(void)
{
    memset(guest_fault(), 0, sizeof(struct guest_fault));
    guest_fault()->vector = NO_FAULT;
}

void guest_trap_set(unsigned vector, trap_handler *handler)
{
    handlers[vector & 255] = handler;
}

static void record(struct cpu_traps *cpu, const struct trap_frame *frame)
{
    cpu->fault = (struct guest_fault){
        .vector = (uint32_t)frame->vector,
        .error = (uint32_t)frame->error,
        .rip = frame->rip,
        .cs = frame->cs,
        .rflags = frame->rflags,
        .rsp = frame->rsp,
        .cr2 = read_cr2(),
        .dr6 = read_dr6(),
    };
}

static void print_frame(const struct trap_frame *f)
{
    guest_print("\nguest: vector %u error 0x%x on cpu %u\n", (unsigned)f->vector,
                (unsigned)f->error, guest_cpu());
    guest_print("  rip %04x:%016lx rflags %08lx rsp %04x:%016lx cr2 %016lx\n", (unsigned)f->cs,
                f->rip, f->rflags, (unsigned)f->ss, f->rsp, read_cr2());
    guest_print("  rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", f->rax, f->rbx, f->rcx, f->rdx);
    guest_print("  rsi %016lx rdi %016lx rbp %016lx r8  %016lx\n", f->rsi, f->rdi, f->rbp, f->r8);
}

static bool find_fixup(struct trap_frame *frame)
{
    for (const struct extable_entry *e = guest_extable_start; e < guest_extable_end; e++) {
        if (e->from == frame->rip) {
            frame->rip = e->to;
            return true;
        }
    }
    return false;
}

/* Makes the trap return to the end of the innermost guest_catch or guest_user. */
static void land(struct cpu_traps *cpu, struct trap_frame *frame, bool faulted)
{
    frame->rip = (uint64_t)guest_landing;
    frame->cs = SEL_CODE64;
    frame->ss = SEL_DATA;
    frame->rsp = *cpu->landing_rsp;
    frame->rflags = 2;
    frame->rax = faulted;
}

void guest_trap(struct trap_frame *frame)
{
    struct cpu_traps *cpu = &cpu_traps[guest_cpu()];
    unsigned vector = (unsigned)frame->vector & 255;

    if (handlers[vector]) {
        handlers[vector](frame);
    } else if (vector == USER_VECTOR && cpu->in_user) {
        cpu->user_result = frame->rax;
        land(cpu, frame, false);
    } else if (vector >= 32) {
        __atomic_add_fetch(&guest_unexpected[vector], 1, __ATOMIC_RELAXED);
        if (vector != 0xff)
            guest_eoi();
    } else {
        record(cpu, frame);
        if (find_fixup(frame))
            return;
        if (cpu->landing_rsp) {
            land(cpu, frame, true);
            return;
        }
        print_frame(frame);
        guest_exit(255);
    }
}

bool guest_catch(void (*fn)(void *), void *arg)
{
    struct cpu_traps *cpu = &cpu_traps[guest_cpu()];
    uint64_t *outer = cpu->landing_rsp, rsp;
    bool faulted;

    guest_fault_clear();
    cpu->landing_rsp = &rsp;
    faulted = guest_catch_enter(fn, arg, &rsp);
    cpu->landing_rsp = outer;
    return faulted;
}

bool guest_user(uint64_t (*fn)(uint64_t), uint64_t arg, uint64_t flags, uint64_t *result)
{
    unsigned number = guest_cpu();
    struct cpu_traps *cpu = &cpu_traps[number];
    uint64_t *outer = cpu->landing_rsp, rsp;
    uint64_t *top = (uint64_t *)&user_stacks[number][IST_BYTES - 16];
    bool faulted;

    guest_fault_clear();
    *--top = (uint64_t)guest_user_return;
    cpu->landing_rsp = &rsp;
    cpu->in_user = true;
    faulted = guest_user_enter(fn, arg, &rsp, flags | 2, (uint64_t)top);
    cpu->in_user = false;
    cpu->landing_rsp = outer;
    if (result)
        *result = cpu->user_result;
    return faulted;
}

static void set_gate(unsigned vector, unsigned ist, unsigned type)
{
    uint64_t entry = (uint64_t)&guest_trap_entries[0];

    entry += vector * 16u;
    guest_idt[vector] = (struct idt_gate){
        .offset_low = (uint16_t)entry,
        .selector = SEL_CODE64,
        .ist = (uint8_t)ist,
        .type = (uint8_t)type,
        .offset_middle = (uint16_t)(entry >> 16),
        .offset_high = (uint32_t)(entry >> 32),
    };
}

void guest_trap_init(void)
{
    for (unsigned v = 0; v < 256; v++)
        set_gate(v, 0, GATE_INTERRUPT);
    set_gate(VEC_DF, IST_DF, GATE_INTERRUPT);
    set_gate(VEC_NMI, IST_NMI, GATE_INTERRUPT);
    set_gate(VEC_MC, IST_MC, GATE_INTERRUPT);
    /* INT3, INTO and the way back from user mode may be used there. */
    set_gate(VEC_BP, 0, GATE_USER);
    set_gate(VEC_OF, 0, GATE_USER);
    set_gate(USER_VECTOR, 0, GATE_USER);
}

void guest_idt_load(void)
{
    const struct table_register idt = { sizeof(guest_idt) - 1, (uint64_t)guest_idt };

    lidt(&idt);
}

void guest_trap_init_cpu(unsigned cpu)
{
    struct tss64 *tss = &guest_tss[cpu];
    uint64_t base = (uint64_t)tss, limit = sizeof(*tss) - 1;
    unsigned slot = SEL_TSS / 8 + cpu * 2;

    memset(tss, 0, sizeof(*tss));
    tss->rsp[0] = (uint64_t)&trap_stacks[cpu][IST_COUNT][IST_BYTES];
    for (unsigned i = 0; i < IST_COUNT; i++)
        tss->ist[i] = (uint64_t)&trap_stacks[cpu][i][IST_BYTES];
    tss->io_map = offsetof(struct tss64, io_bits);
    memset(tss->io_bits, 0xff, sizeof(tss->io_bits));
    guest_gdt[slot] = (limit & 0xffff) | (base & 0xffffff) << 16 | RIGHTS_TSS << 40 |
                      (limit >> 16 & 15) << 48 | (base >> 24 & 0xff) << 56;
    guest_gdt[slot + 1] = base >> 32;
    guest_idt_load();
    write_tr((uint16_t)(slot * 8));
    cpu_traps[cpu].fault.vector = NO_FAULT;
    cpu_traps[cpu].landing_rsp = NULL;
}
