/*
 * The monitor's `regs`, `vmcs` and `caps`.
 */
#include "arch/x86/vmx/monitor.h"
#include "hv/string.h"
#include "x86/caps_text.h"
#include "x86/percpu.h"
#include "x86/vmcs_dump.h"
#include "x86/vmx_core.h"

typedef unsigned long long ull;

/* --- regs --- */

static const char *activity(const struct vmx_vcpu *v)
{
    if (v->run_state == VMX_WAIT_FOR_SIPI)
        return "waits for a start-up message";
    return v->vcpu.blocked ? "sleeps in HLT" : "can run";
}

static void print_gprs(struct monitor *m, const struct vmx_vcpu *v)
{
    const uint64_t *r = v->gprs.r;

    monitor_print(m, "rax %016llx  rbx %016llx  rcx %016llx  rdx %016llx", (ull)r[X86_RAX],
                  (ull)r[X86_RBX], (ull)r[X86_RCX], (ull)r[X86_RDX]);
    monitor_print(m, "rsi %016llx  rdi %016llx  rbp %016llx  rsp %016llx", (ull)r[X86_RSI],
                  (ull)r[X86_RDI], (ull)r[X86_RBP], (ull)vmcs_read(VMCS_GUEST_RSP));
    monitor_print(m, "r8  %016llx  r9  %016llx  r10 %016llx  r11 %016llx", (ull)r[X86_R8],
                  (ull)r[X86_R9], (ull)r[X86_R10], (ull)r[X86_R11]);
    monitor_print(m, "r12 %016llx  r13 %016llx  r14 %016llx  r15 %016llx", (ull)r[X86_R12],
                  (ull)r[X86_R13], (ull)r[X86_R14], (ull)r[X86_R15]);
}

static void print_segments(struct monitor *m)
{
    static const char *const names[] = { "es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr" };

    for (uint32_t s = 0; s < HV_ARRAY_COUNT(names); s++) {
        uint32_t step = 2 * s; /* in the VMCS they stand in this order, two apart */
        monitor_print(m, "%-4s %04llx  base %016llx  limit %08llx  rights %05llx", names[s],
                      (ull)vmcs_read(VMCS_GUEST_ES_SELECTOR + step),
                      (ull)vmcs_read(VMCS_GUEST_ES_BASE + step),
                      (ull)vmcs_read(VMCS_GUEST_ES_LIMIT + step),
                      (ull)vmcs_read(VMCS_GUEST_ES_ACCESS_RIGHTS + step));
    }
    monitor_print(m, "gdtr       base %016llx  limit %08llx", (ull)vmcs_read(VMCS_GUEST_GDTR_BASE),
                  (ull)vmcs_read(VMCS_GUEST_GDTR_LIMIT));
    monitor_print(m, "idtr       base %016llx  limit %08llx", (ull)vmcs_read(VMCS_GUEST_IDTR_BASE),
                  (ull)vmcs_read(VMCS_GUEST_IDTR_LIMIT));
}

static void print_debug_registers(struct monitor *m, const struct vmx_vcpu *v)
{
    const struct vmx_switched *s = &v->switched;
    uint64_t dr[4] = { s->dr0, s->dr1, s->dr2, s->dr3 }, dr6 = s->dr6;

    if (v->loaded) {
        dr[0] = read_dr0();
        dr[1] = read_dr1();
        dr[2] = read_dr2();
        dr[3] = read_dr3();
        dr6 = read_dr6();
    }
    monitor_print(m, "dr0 %llx  dr1 %llx  dr2 %llx  dr3 %llx  dr6 %llx  dr7 %llx", (ull)dr[0],
                  (ull)dr[1], (ull)dr[2], (ull)dr[3], (ull)dr6, (ull)vmcs_read(VMCS_GUEST_DR7));
}

static void look_regs(struct monitor_visit *visit)
{
    struct vmx_vcpu *v = visit->v;
    struct monitor *m = visit->m;

    monitor_print(m, "%s vCPU %u, core %u: %s", v->vcpu.vm->config->name, v->vcpu.index,
                  v->vcpu.core, activity(v));
    monitor_print(m, "rip %016llx  rflags %08llx  cpl %u", (ull)vmcs_read(VMCS_GUEST_RIP),
                  (ull)vmcs_read(VMCS_GUEST_RFLAGS),
                  vmx_ar_dpl((uint32_t)vmcs_read(VMCS_GUEST_SS_ACCESS_RIGHTS)));
    print_gprs(m, v);
    monitor_print(m, "cr0 %08llx (guest sees %08llx)  cr2 %016llx  cr3 %016llx",
                  (ull)vmcs_read(VMCS_GUEST_CR0), (ull)vmx_guest_cr0(v),
                  (ull)(v->loaded ? read_cr2() : v->switched.cr2), (ull)vmcs_read(VMCS_GUEST_CR3));
    monitor_print(m, "cr4 %08llx (guest sees %08llx)  efer %04llx  xcr0 %llx",
                  (ull)vmcs_read(VMCS_GUEST_CR4), (ull)vmx_guest_cr4(v),
                  (ull)vmcs_read(VMCS_GUEST_IA32_EFER), (ull)v->switched.xcr0);
    print_segments(m);
    print_debug_registers(m, v);
    monitor_print(m, "interruptibility %llx  activity %llx  pending debug exceptions %llx",
                  (ull)vmcs_read(VMCS_GUEST_INTERRUPTIBILITY_STATE),
                  (ull)vmcs_read(VMCS_GUEST_ACTIVITY_STATE),
                  (ull)vmcs_read(VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS));
}

void monitor_run_regs(struct monitor *m, unsigned count, char *const words[])
{
    monitor_visit(m, count, words, look_regs);
}

/* --- vmcs --- */

static bool read_field(void *context, uint32_t encoding, uint64_t *value)
{
    (void)context;
    return vmread(encoding, value) == VMX_OK;
}

/* Is `part` somewhere in `line`? Either case. */
static bool contains(const char *line, const char *part)
{
    size_t length = strlen(part);

    for (; *line; line++) {
        size_t i = 0;
        while (i < length && line[i] && (line[i] | 0x20) == (part[i] | 0x20))
            i++;
        if (i == length)
            return true;
    }
    return false;
}

static void field_line(void *context, const char *line)
{
    struct monitor_visit *visit = context;

    if (visit->count == 0 || contains(line, visit->words[0]))
        monitor_print(visit->m, "%s", line);
}

static void look_vmcs(struct monitor_visit *visit)
{
    if (visit->count == 0)
        monitor_print(visit->m, "%s vCPU %u: VMCS at 0x%llx", visit->v->vcpu.vm->config->name,
                      visit->v->vcpu.index, (ull)visit->v->vmcs.v);
    vmcs_dump(vmx_host_caps(), read_field, NULL, field_line, visit);
}

void monitor_run_vmcs(struct monitor *m, unsigned count, char *const words[])
{
    monitor_visit(m, count, words, look_vmcs);
}

/* --- caps --- */

struct caps_question {
    struct vmx_caps caps;
    enum hv_err err;
};

static void caps_answer(void *context)
{
    struct caps_question *q = context;

    q->err = vmx_core_caps(&q->caps);
}

static void caps_line(void *context, const char *line)
{
    monitor_print(context, "%s", line);
}

static void print_core_caps(struct monitor *m, unsigned core, bool use_true, bool first)
{
    /* Outlive a core that comes too late. There is one operator. */
    static struct caps_question q, before;

    q.err = HV_ERR_TIMEOUT;
    if (!core_ask(core, caps_answer, &q)) {
        monitor_print(m, "core %u does not answer", core);
        return;
    }
    if (q.err != HV_OK) {
        monitor_print(m, "core %u: no VT-x", core);
        return;
    }
    if (!first && memcmp(&q.caps, &before.caps, sizeof(q.caps)) == 0) {
        monitor_print(m, "core %u: the same as the one before", core);
        return;
    }
    monitor_print(m, "core %u", core);
    vmx_caps_text(&q.caps, use_true, caps_line, m);
    before = q;
}

void monitor_run_caps(struct monitor *m, unsigned count, char *const words[])
{
    bool use_true = count > 1 && strcmp(words[1], "true") == 0;
    unsigned next = use_true ? 2 : 1;
    uint64_t core;

    if (count > next) {
        if (!monitor_number(words[next], 10, &core) || core >= arch_core_count())
            monitor_print(m, "caps [true] [CORE]: '%s' is no core; there are %u", words[next],
                          arch_core_count());
        else
            print_core_caps(m, (unsigned)core, use_true, true);
        return;
    }
    for (unsigned i = 0; i < arch_core_count(); i++)
        print_core_caps(m, i, use_true, i == 0);
}
