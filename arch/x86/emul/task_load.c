/*
 * The task switch from its commit point on: the new task's registers, then its descriptors with
 * their checks; faults are the new task's. See x86/task_switch.h.
 * SDM volume 3 "Task Switching" (table "Exception Conditions Checked During a Task Switch"),
 * "Segment Descriptors".
 */
#include "hv/string.h"
#include "task.h"

#define EFLAGS_LOADABLE ((uint32_t)(RFLAGS_DEFINED & ~RFLAGS_FIXED1))
#define DR7_LOCAL 0x155u       /* L0 to L3 and LE */

/* --- descriptors --- */

enum emul_status task_fail(struct task_run *t, enum x86_exception vector, uint16_t selector)
{
    *t->fault = (struct x86_fault){
        .vector = (uint8_t)vector,
        .has_error = true,
        .error = (selector & 0xfffcu) | (t->request->external ? 1u : 0u),
    };
    return EMUL_FAULT;
}

uint32_t task_descriptor_base(const struct task_descriptor *d)
{
    return d->low >> 16 | (d->high & 0xffu) << 16 | (d->high & 0xff000000u);
}

uint32_t task_descriptor_limit(const struct task_descriptor *d)
{
    uint32_t limit = (d->low & 0xffffu) | (d->high & 0xf0000u);

    return vmx_ar_from_descriptor(d->high) & VMX_AR_G ? limit << 12 | 0xfffu : limit;
}

/* Reads the descriptor that `selector` names, if it names one. */
enum emul_status task_descriptor_read(struct task_run *t, uint16_t selector,
                                      struct task_descriptor *d)
{
    const struct task_cpu *cpu = t->cpu;
    uint32_t offset = selector & 0xfff8u;
    bool local = in_ldt(selector);
    uint32_t limit = local ? cpu->ldtr.limit : cpu->gdt_limit;
    uint32_t words[2];
    enum emul_status status;

    *d = (struct task_descriptor){ .in_table = false };
    if (selector_is_null(selector) || offset + 7 > limit ||
        (local && (cpu->ldtr.rights & VMX_AR_UNUSABLE)))
        return EMUL_OK;
    d->at = GVA((uint32_t)((local ? cpu->ldtr.base : cpu->gdt_base) + offset));
    status = t->ops->read(t->ctx, d->at, sizeof(words), words, t->fault);
    if (status != EMUL_OK)
        return status;
    d->low = words[0];
    d->high = words[1];
    d->in_table = true;
    return EMUL_OK;
}

/* Changes the type field of a descriptor that has been read; EMUL_RETRY if it is another now. */
enum emul_status task_descriptor_mark(struct task_run *t, struct task_descriptor *d, uint8_t bits)
{
    uint8_t old = (uint8_t)(d->high >> 8);
    enum emul_status status;

    if ((old & bits) == bits)
        return EMUL_OK;
    status = t->ops->exchange(t->ctx, GVA((uint32_t)(d->at.v + 5)), old, old | bits, t->fault);
    if (status == EMUL_OK)
        d->high |= (uint32_t)bits << 8;
    return status;
}

struct task_segment task_segment_of(uint16_t selector, const struct task_descriptor *d)
{
    return (struct task_segment){
        .selector = selector,
        .base = task_descriptor_base(d),
        .limit = task_descriptor_limit(d),
        .rights = descriptor_rights(d),
    };
}

/* --- after the commit point --- */

static unsigned new_cpl(const struct task_cpu *cpu)
{
    return cpu->eflags & RFLAGS_VM ? 3u : rpl_of(cpu->segments[X86_CS].selector);
}

/* SDM "Virtual-8086 Mode": segments as in real-address mode, at privilege level 3. */
static struct task_segment segment_v86(uint16_t selector)
{
    return (struct task_segment){
        .selector = selector,
        .base = (uint32_t)selector << 4,
        .limit = 0xffff,
        .rights = VMX_AR_P | VMX_AR_DPL_MASK | VMX_AR_S | VMX_AR_WRITABLE | VMX_AR_ACCESSED,
    };
}

/* Selectors whose descriptors have not been looked at. CS must be usable for a VM entry: a fault
 * that is delivered in this state pushes its selector and needs its privilege, no more. */
static struct task_segment segment_unloaded(enum x86_seg segment, uint16_t selector, unsigned cpl)
{
    struct task_segment s = { .selector = selector, .rights = cpl << VMX_AR_DPL_SHIFT };

    if (segment != X86_CS) {
        s.rights |= VMX_AR_UNUSABLE;
        return s;
    }
    s.limit = UINT32_MAX;
    s.rights |= VMX_AR_P | VMX_AR_S | VMX_AR_CODE | VMX_AR_WRITABLE | VMX_AR_ACCESSED | VMX_AR_DB |
                VMX_AR_G;
    return s;
}

void task_enter(struct task_run *t, const struct task_segment *tr,
                           const struct task_image *image)
{
    struct task_cpu *cpu = t->cpu;

    cpu->tr = *tr;
    cpu->cr0 |= CR0_TS;
    cpu->dr7 &= ~DR7_LOCAL;
    cpu->eip = image->eip;
    cpu->eflags = (image->eflags & EFLAGS_LOADABLE) | (uint32_t)RFLAGS_FIXED1;
    if (task_nests(t))
        cpu->eflags |= RFLAGS_NT;
    memcpy(cpu->gprs, image->gprs, sizeof(cpu->gprs));
    cpu->segments[X86_CS].selector = image->selectors[X86_CS];
    for (unsigned i = 0; i < X86_SEG_COUNT; i++) {
        uint16_t selector = image->selectors[i];
        cpu->segments[i] = cpu->eflags & RFLAGS_VM
                               ? segment_v86(selector)
                               : segment_unloaded((enum x86_seg)i, selector, new_cpl(cpu));
    }
    cpu->ldtr = (struct task_segment){ .selector = image->ldt, .rights = VMX_AR_UNUSABLE };
}

static enum emul_status mark_and_load(struct task_run *t, enum x86_seg segment,
                                      struct task_descriptor *d)
{
    enum emul_status status = task_descriptor_mark(t, d, VMX_AR_ACCESSED);

    if (status == EMUL_OK)
        t->cpu->segments[segment] = task_segment_of(t->cpu->segments[segment].selector, d);
    return status;
}

/* LDTR is loaded with whatever P says, so that what lies in the LDT can be found; its presence is
 * the last thing that is looked at: see check_ldt_present. */
static enum emul_status load_ldtr(struct task_run *t)
{
    uint16_t selector = t->cpu->ldtr.selector;
    struct task_descriptor d;
    enum emul_status status;

    t->cpu->ldtr = (struct task_segment){ .selector = selector, .rights = VMX_AR_UNUSABLE };
    if (selector_is_null(selector))
        return EMUL_OK;
    if (in_ldt(selector))
        return task_fail(t, X86_EXC_TS, selector);
    status = task_descriptor_read(t, selector, &d);
    if (status != EMUL_OK)
        return status;
    if (!d.in_table ||
        (descriptor_rights(&d) & (VMX_AR_S | VMX_AR_TYPE_MASK)) != VMX_AR_TYPE_LDT)
        return task_fail(t, X86_EXC_TS, selector);
    t->cpu->ldtr = task_segment_of(selector, &d);
    return EMUL_OK;
}

static enum emul_status check_ldt_present(struct task_run *t)
{
    struct task_segment *ldtr = &t->cpu->ldtr;

    if (ldtr->rights & (VMX_AR_UNUSABLE | VMX_AR_P))
        return EMUL_OK;
    ldtr->rights |= VMX_AR_UNUSABLE;
    return task_fail(t, X86_EXC_TS, ldtr->selector);
}

/* Reads a descriptor for CS or SS; one in an LDT that is not there is that LDT's fault. */
static enum emul_status read_for(struct task_run *t, enum x86_seg segment,
                                 struct task_descriptor *d)
{
    uint16_t selector = t->cpu->segments[segment].selector;
    enum emul_status status = EMUL_OK;

    *d = (struct task_descriptor){ .in_table = false };
    if (in_ldt(selector))
        status = check_ldt_present(t);
    return status == EMUL_OK ? task_descriptor_read(t, selector, d) : status;
}

/* "Code segment DPL matches segment selector RPL." */
static enum emul_status check_code_privilege(struct task_run *t, const struct task_descriptor *cs)
{
    uint16_t selector = t->cpu->segments[X86_CS].selector;
    uint32_t rights = descriptor_rights(cs);
    unsigned dpl = descriptor_dpl(cs), rpl = rpl_of(selector);

    if (!cs->in_table || !is_code(rights))
        return EMUL_OK; /* not valid at all, which a later row says */
    if (rights & VMX_AR_CONFORMING ? dpl > rpl : dpl != rpl)
        return task_fail(t, X86_EXC_TS, selector);
    return EMUL_OK;
}

static enum emul_status check_stack(struct task_run *t, const struct task_descriptor *ss)
{
    uint16_t selector = t->cpu->segments[X86_SS].selector;
    uint32_t rights = descriptor_rights(ss);

    if (!ss->in_table || !(rights & VMX_AR_S) || (rights & VMX_AR_CODE) ||
        !(rights & VMX_AR_WRITABLE))
        return task_fail(t, X86_EXC_TS, selector);
    if (!(rights & VMX_AR_P))
        return task_fail(t, X86_EXC_SS, selector);
    if (descriptor_dpl(ss) != new_cpl(t->cpu))
        return task_fail(t, X86_EXC_TS, selector);
    return EMUL_OK;
}

static enum emul_status check_code(struct task_run *t, const struct task_descriptor *cs)
{
    uint16_t selector = t->cpu->segments[X86_CS].selector;

    if (!cs->in_table || !is_code(descriptor_rights(cs)))
        return task_fail(t, X86_EXC_TS, selector);
    if (!(descriptor_rights(cs) & VMX_AR_P))
        return task_fail(t, X86_EXC_NP, selector);
    return EMUL_OK;
}

static enum emul_status load_code_and_stack(struct task_run *t)
{
    struct task_cpu *cpu = t->cpu;
    struct task_descriptor cs, ss;
    enum emul_status status = read_for(t, X86_CS, &cs);

    if (status == EMUL_OK)
        status = check_code_privilege(t, &cs);
    if (status == EMUL_OK)
        status = read_for(t, X86_SS, &ss);
    if (status == EMUL_OK)
        status = check_stack(t, &ss);
    if (status == EMUL_OK)
        status = check_ldt_present(t);
    if (status == EMUL_OK)
        status = check_code(t, &cs);
    if (status == EMUL_OK)
        status = mark_and_load(t, X86_CS, &cs);
    if (status == EMUL_OK && descriptor_dpl(&ss) != rpl_of(cpu->segments[X86_SS].selector))
        status = task_fail(t, X86_EXC_TS, cpu->segments[X86_SS].selector);
    if (status == EMUL_OK)
        status = mark_and_load(t, X86_SS, &ss);
    return status;
}

static enum emul_status load_data(struct task_run *t, enum x86_seg segment)
{
    uint16_t selector = t->cpu->segments[segment].selector;
    struct task_descriptor d;
    uint32_t rights;
    enum emul_status status;

    if (selector_is_null(selector))
        return EMUL_OK;
    status = task_descriptor_read(t, selector, &d);
    if (status != EMUL_OK)
        return status;
    rights = descriptor_rights(&d);
    if (!d.in_table || !(rights & VMX_AR_S) ||
        (is_code(rights) && !(rights & VMX_AR_WRITABLE))) /* for code: readable */
        return task_fail(t, X86_EXC_TS, selector);
    if (!(rights & VMX_AR_P))
        return task_fail(t, X86_EXC_NP, selector);
    if (!(is_code(rights) && (rights & VMX_AR_CONFORMING)) &&
        (descriptor_dpl(&d) < new_cpl(t->cpu) || descriptor_dpl(&d) < rpl_of(selector)))
        return task_fail(t, X86_EXC_TS, selector);
    return mark_and_load(t, segment, &d);
}

static enum emul_status load_segments(struct task_run *t)
{
    static const uint8_t data[] = { X86_DS, X86_ES, X86_FS, X86_GS };
    enum emul_status status = load_ldtr(t);

    if (status != EMUL_OK)
        return status;
    if (t->cpu->eflags & RFLAGS_VM)
        return check_ldt_present(t);
    status = load_code_and_stack(t);
    for (unsigned i = 0; i < HV_ARRAY_COUNT(data) && status == EMUL_OK; i++)
        status = load_data(t, (enum x86_seg)data[i]);
    return status;
}

enum emul_status task_load(struct task_run *t, const struct task_image *image)
{
    enum emul_status status = EMUL_OK;

    if (task_tss_is_32bit(t->cpu->tr.rights) && (t->cpu->cr0 & CR0_PG))
        status = t->ops->load_cr3(t->ctx, image->cr3, t->fault);
    if (status != EMUL_OK)
        return status;
    status = EMUL_RETRY;
    for (unsigned i = 0; i < TASK_RETRIES_MAX && status == EMUL_RETRY; i++)
        status = load_segments(t);
    if (!(t->cpu->ldtr.rights & VMX_AR_P))
        t->cpu->ldtr.rights |= VMX_AR_UNUSABLE;
    return status;
}
