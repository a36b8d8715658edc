/*
 * Hardware task switches, which always exit: by CALL, IRET, JMP, by INT n through a task gate, and
 * by an exception with an error code. SDM volume 3 "Task Management".
 */
#include "selftest.h"

#define SEL_TASK_A 0x1e0u /* both behind the processors' own TSSs */
#define SEL_TASK_B 0x1e8u
#define FLAGS_NT 0x4000u
#define CR0_TS_BIT 8u
#define GATE_VECTOR 0x40u

struct task_log {
    uint32_t visits, call_flags, call_tr, call_cr0, back_eax, back_ebp, back_tr, jmp_flags;
    uint32_t int_flags, error, step_tr;
};

extern struct task_log task_log;
extern uint16_t task_idt_pointer[4];
void task_main(void);
void task_b_entry(void);

uint32_t task_tss_a[26] __attribute__((aligned(128)));
static uint32_t task_tss_b[26] __attribute__((aligned(128)));
static uint64_t task_idt[GATE_VECTOR + 1] __attribute__((aligned(16)));
static uint32_t task_stack[256];

static uint32_t low(const void *at)
{
    return (uint32_t)(uint64_t)at;
}

static uint64_t tss_descriptor(const uint32_t *tss)
{
    uint64_t base = (uint64_t)tss;

    return 103 | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
}

static void build_tasks(void)
{
    static const uint16_t flat[] = { SEL_DATA, SEL_CODE32, SEL_DATA, SEL_DATA, SEL_DATA, SEL_DATA };

    memset(&task_log, 0, sizeof(task_log));
    memset(task_tss_a, 0, sizeof(task_tss_a));
    memset(task_tss_b, 0, sizeof(task_tss_b));
    task_tss_b[8] = low(task_b_entry);
    task_tss_b[9] = 2;
    task_tss_b[14] = low(task_stack + 256);
    for (unsigned i = 0; i < 6; i++)
        task_tss_b[18 + i] = flat[i];
    guest_gdt[SEL_TASK_A / 8] = tss_descriptor(task_tss_a);
    guest_gdt[SEL_TASK_B / 8] = tss_descriptor(task_tss_b);
    task_idt[13] = task_idt[GATE_VECTOR] = (uint64_t)SEL_TASK_B << 16 | 0x85ull << 40;
    task_idt_pointer[0] = sizeof(task_idt) - 1;
    task_idt_pointer[1] = (uint16_t)low(task_idt);
    task_idt_pointer[2] = (uint16_t)(low(task_idt) >> 16);
}

static unsigned busy(uint32_t selector)
{
    return guest_gdt[selector / 8] >> 41 & 1;
}

static void check_log(void)
{
    const struct task_log *l = &task_log;

    check_equal("task B ran after CALL, JMP, INT and #GP", l->visits, 4);
    check_equal("CALL sets NT in the new task", l->call_flags & FLAGS_NT, FLAGS_NT);
    check_equal("CALL loads TR", l->call_tr, SEL_TASK_B);
    check_equal("a task switch sets CR0.TS", l->call_cr0 & CR0_TS_BIT, CR0_TS_BIT);
    check_equal("IRET brings EAX back", l->back_eax, 0x11223344);
    check_equal("IRET brings EBP back", l->back_ebp, 0x55667788);
    check_equal("IRET brings TR back", l->back_tr, SEL_TASK_A);
    check_equal("JMP leaves NT as the new task had it", l->jmp_flags & FLAGS_NT, 0);
    check_equal("INT n through a task gate sets NT", l->int_flags & FLAGS_NT, FLAGS_NT);
    check_equal("#GP through a task gate pushes its error code", l->error, 0xfff8);
    check_equal("the link names task A", task_tss_b[0] & 0xffff, SEL_TASK_A);
    check_equal("task A is busy at the end", busy(SEL_TASK_A), 1);
    check_equal("task B is not", busy(SEL_TASK_B), 0);
}

void test_task(void)
{
    struct mode_registers registers = { 0 };

    build_tasks();
    guest_protected_mode((const void *)task_main, &registers, false);
    guest_gdt[SEL_TSS / 8] &= ~(2ull << 40);
    write_tr(SEL_TSS);
    check_log();
}
