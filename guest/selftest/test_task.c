/*
 * Hardware task switches, which VMX leaves to the hypervisor. SDM volume 3 "Task Management",
 * "Treatment of Task Switches".
 */
#include "selftest.h"

#define SEL_MAIN 0x180u
#define SEL_OTHER 0x188u
#define GATE_VECTOR 0x30u
#define RIGHTS_TSS32 0x0089ull
#define RIGHTS_BUSY 0x2u

struct tss32 {
    uint32_t link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags;
    uint32_t eax, ecx, edx, ebx, esp, ebp, esi, edi;
    uint32_t es, cs, ss, ds, fs, gs, ldt;
    uint16_t trap, io_map;
};
_Static_assert(sizeof(struct tss32) == 104, "a 32-bit TSS has 104 bytes");

extern const uint8_t task_jmp[], task_call[], task_gate[], task_other[], task_back[],
    task_gate_handler[];
extern volatile uint32_t task_nested_flags;

static struct tss32 main_tss, other_tss;
static uint64_t idt32[64];
static uint32_t other_stack[256];
static struct mode_registers r;

static uint64_t tss_descriptor(const struct tss32 *tss)
{
    uint64_t base = (uint64_t)tss, limit = sizeof(*tss) - 1;

    return limit | (base & 0xffffff) << 16 | RIGHTS_TSS32 << 40 | (base >> 24 & 0xff) << 56;
}

static bool is_busy(unsigned selector)
{
    return guest_gdt[selector / 8] >> 40 & RIGHTS_BUSY;
}

static void prepare(const uint8_t *entry)
{
    memset(&main_tss, 0, sizeof(main_tss));
    memset(&other_tss, 0, sizeof(other_tss));
    other_tss = (struct tss32){
        .eip = (uint32_t)(uint64_t)entry,
        .eflags = 2,
        .eax = 0x100,
        .esp = (uint32_t)(uint64_t)&other_stack[ARRAY_COUNT(other_stack)],
        .es = SEL_DATA, .cs = SEL_CODE32, .ss = SEL_DATA, .ds = SEL_DATA,
        .io_map = sizeof(struct tss32),
    };
    guest_gdt[SEL_MAIN / 8] = tss_descriptor(&main_tss);
    guest_gdt[SEL_OTHER / 8] = tss_descriptor(&other_tss);
    task_nested_flags = 0;
    memset(&r, 0, sizeof(r));
}

/* The 64-bit TSS was marked busy by LTR at the start; it has to be loaded again afterwards. */
static void restore(void)
{
    guest_gdt[SEL_TSS / 8] &= ~((uint64_t)RIGHTS_BUSY << 40);
    write_tr(SEL_TSS);
}

static void check_jmp(void)
{
    prepare(task_back);
    guest_protected_mode(task_jmp, &r, false);
    restore();
    check(r.eax == 0x55 && r.edx == 0x77 && r.ebx == SEL_MAIN, "JMP to a task and back",
          "EAX 0x%x EBP 0x%x TR 0x%x", r.eax, r.edx, r.ebx);
    check_equal("... the other task's registers are in its TSS", other_tss.eax, 0x1100);
    check(r.ecx & CR0_TS, "... CR0.TS is set", "CR0 0x%x", r.ecx);
    check(is_busy(SEL_MAIN) && !is_busy(SEL_OTHER), "... one of the two is busy", "%d %d",
          is_busy(SEL_MAIN), is_busy(SEL_OTHER));
    __asm__ volatile("clts");
}

static void check_call(void)
{
    prepare(task_other);
    guest_protected_mode(task_call, &r, false);
    restore();
    check(r.eax == 0x66 && r.ebx == SEL_MAIN, "CALL of a task and IRET", "EAX 0x%x TR 0x%x", r.eax,
          r.ebx);
    check(task_nested_flags & FLAG_NT, "... NT is set in the called task", "0x%x",
          task_nested_flags);
    check_equal("... linked to the caller", other_tss.link & 0xffff, SEL_MAIN);
    check(!(r.edx & FLAG_NT), "... NT is clear again", "0x%x", r.edx);
    check_equal("... the called task's EAX", other_tss.eax, 0x101);
    __asm__ volatile("clts");
}

/* The far pointer that LIDT in protected mode wants is loaded here: guest_protected_mode leaves the
 * IDT register as it is. */
static void check_gate(void)
{
    const struct table_register idt = { sizeof(idt32) - 1, (uint64_t)idt32 };
    uint64_t flags = read_flags();

    prepare(task_gate_handler);
    idt32[GATE_VECTOR] = (uint64_t)SEL_OTHER << 16 | 0x8500ull << 32;
    cli();
    lidt(&idt);
    guest_protected_mode(task_gate, &r, false);
    restore();
    write_flags(flags);
    check(r.eax == 0x88 && r.ebx == SEL_MAIN, "INT through a task gate and IRET",
          "EAX 0x%x TR 0x%x", r.eax, r.ebx);
    check(task_nested_flags & FLAG_NT, "... NT is set in the handler's task", "0x%x",
          task_nested_flags);
    check_equal("... the handler's EAX", other_tss.eax, 0x110);
    __asm__ volatile("clts");
}

void test_task(void)
{
    check_jmp();
    check_call();
    check_gate();
}
