/*
 * The task switch up to its commit point: find and claim the new TSS, save the old task, read the
 * new one. What comes after stands in task_load.c. See x86/task_switch.h.
 *
 * The steps stand in the SDM's order ("Task Switching"), but for one: the new TSS is claimed, and
 * everything that will be written is probed, before the first write, so that a fault up to the
 * commit point leaves nothing half done. Only another core that takes pages away in between can
 * break that.
 * SDM volume 3 "Task Management": "Task-State Segment (TSS)", "16-Bit Task-State Segment (TSS)",
 * "Task Switching", "Task Linking".
 */
#include "hv/string.h"
#include "task.h"

/* 32-bit TSS. */
#define TSS32_CR3 0x1cu
#define TSS32_SAVE 0x20u       /* EIP: from here to the end of GS the old task is saved */
#define TSS32_SELECTORS 0x48u
#define TSS32_SAVE_END 0x5eu
#define TSS32_LDT 0x60u
#define TSS32_TRAP 0x64u
#define TSS32_BYTES 104u
/* 16-bit TSS: ends with DS, has neither FS nor GS. */
#define TSS16_SAVE 0x0eu
#define TSS16_SELECTORS 0x22u
#define TSS16_SAVE_END 0x2au
#define TSS16_LDT 0x2au
#define TSS16_BYTES 44u
#define TSS16_SEGMENTS 4u

/* --- before the commit point --- */

static bool is_tss(uint32_t rights)
{
    uint32_t type = rights & VMX_AR_TYPE_MASK & ~TASK_TYPE_BUSY;

    return !(rights & VMX_AR_S) && (type == TASK_TYPE_TSS16 || type == TASK_TYPE_TSS32);
}

static unsigned tss_bytes(uint32_t rights)
{
    return task_tss_is_32bit(rights) ? TSS32_BYTES : TSS16_BYTES;
}

/* The first five rows of the table. The processor has made these checks before it exited, on memory
 * that may have changed since. */
static enum emul_status check_new_tss(struct task_run *t, struct task_descriptor *d)
{
    uint16_t selector = t->request->selector;
    bool iret = t->request->source == TASK_IRET;
    enum x86_exception wrong = iret ? X86_EXC_TS : X86_EXC_GP;
    enum emul_status status;
    uint32_t rights;

    if (in_ldt(selector))
        return task_fail(t, wrong, selector);
    status = task_descriptor_read(t, selector, d);
    if (status != EMUL_OK)
        return status;
    rights = descriptor_rights(d);
    if (!d->in_table || !is_tss(rights))
        return task_fail(t, wrong, selector);
    if (!(rights & VMX_AR_P))
        return task_fail(t, X86_EXC_NP, selector);
    if (!!(rights & TASK_TYPE_BUSY) != iret)
        return task_fail(t, wrong, selector);
    if (task_descriptor_limit(d) < tss_bytes(rights) - 1)
        return task_fail(t, X86_EXC_TS, selector);
    return EMUL_OK;
}

static unsigned save_start(const struct task_cpu *cpu)
{
    return task_tss_is_32bit(cpu->tr.rights) ? TSS32_SAVE : TSS16_SAVE;
}

static unsigned save_end(const struct task_cpu *cpu)
{
    return task_tss_is_32bit(cpu->tr.rights) ? TSS32_SAVE_END : TSS16_SAVE_END;
}

static gva_t linear(uint32_t base, uint32_t offset)
{
    return GVA((uint32_t)(base + offset));
}

/* Where the old task's descriptor says that it is busy; false where there is none to be changed. */
static bool old_busy_byte(const struct task_cpu *cpu, gva_t *at)
{
    uint32_t offset = cpu->tr.selector & 0xfff8u;

    *at = linear(cpu->gdt_base, offset + 5);
    return !selector_is_null(cpu->tr.selector) && !in_ldt(cpu->tr.selector) &&
           offset + 7 <= cpu->gdt_limit;
}

/* Both TSSs, and both descriptors, have to be there. */
static enum emul_status probe_all(struct task_run *t, const struct task_descriptor *new_tss)
{
    const struct task_cpu *cpu = t->cpu;
    uint32_t base = task_descriptor_base(new_tss);
    unsigned start = save_start(cpu);
    enum emul_status status;
    gva_t busy;

    if (cpu->tr.limit < save_end(cpu) - 1)
        return task_fail(t, X86_EXC_TS, t->request->selector);
    status = t->ops->probe(t->ctx, linear(cpu->tr.base, start), save_end(cpu) - start, true,
                           t->fault);
    if (status == EMUL_OK)
        status = t->ops->probe(t->ctx, linear(base, 0), tss_bytes(descriptor_rights(new_tss)),
                               false, t->fault);
    if (status == EMUL_OK && task_nests(t))
        status = t->ops->probe(t->ctx, linear(base, 0), 2, true, t->fault);
    if (status == EMUL_OK && !task_nests(t) && old_busy_byte(cpu, &busy))
        status = t->ops->probe(t->ctx, busy, 1, true, t->fault);
    return status;
}

static enum emul_status claim_new_tss(struct task_run *t, struct task_descriptor *new_tss)
{
    enum emul_status status = EMUL_RETRY;

    for (unsigned i = 0; i < TASK_RETRIES_MAX && status == EMUL_RETRY; i++) {
        status = check_new_tss(t, new_tss);
        if (status == EMUL_OK)
            status = probe_all(t, new_tss);
        if (status == EMUL_OK)
            status = task_descriptor_mark(t, new_tss, TASK_TYPE_BUSY);
    }
    return status;
}

static enum emul_status clear_old_busy(struct task_run *t)
{
    enum emul_status status = EMUL_RETRY;
    uint8_t byte;
    gva_t at;

    if (!old_busy_byte(t->cpu, &at))
        return EMUL_OK;
    for (unsigned i = 0; i < TASK_RETRIES_MAX && status == EMUL_RETRY; i++) {
        status = t->ops->read(t->ctx, at, 1, &byte, t->fault);
        if (status == EMUL_OK)
            status = t->ops->exchange(t->ctx, at, byte, (uint8_t)(byte & ~TASK_TYPE_BUSY),
                                      t->fault);
    }
    return status;
}

static void put16(uint8_t *at, uint32_t value)
{
    uint16_t v = (uint16_t)value;

    memcpy(at, &v, sizeof(v));
}

static void put32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, sizeof(value));
}

static uint16_t get16(const uint8_t *at)
{
    uint16_t v;

    memcpy(&v, at, sizeof(v));
    return v;
}

static uint32_t get32(const uint8_t *at)
{
    uint32_t v;

    memcpy(&v, at, sizeof(v));
    return v;
}

static void fill_save32(const struct task_cpu *cpu, uint32_t eflags, uint8_t *tss)
{
    put32(tss + TSS32_SAVE, cpu->eip);
    put32(tss + TSS32_SAVE + 4, eflags);
    for (unsigned i = 0; i < 8; i++)
        put32(tss + TSS32_SAVE + 8 + 4 * i, cpu->gprs[i]);
    for (unsigned i = 0; i < X86_SEG_COUNT; i++)
        put16(tss + TSS32_SELECTORS + 4 * i, cpu->segments[i].selector);
}

static void fill_save16(const struct task_cpu *cpu, uint32_t eflags, uint8_t *tss)
{
    put16(tss + TSS16_SAVE, cpu->eip);
    put16(tss + TSS16_SAVE + 2, eflags);
    for (unsigned i = 0; i < 8; i++)
        put16(tss + TSS16_SAVE + 4 + 2 * i, cpu->gprs[i]);
    for (unsigned i = 0; i < TSS16_SEGMENTS; i++)
        put16(tss + TSS16_SELECTORS + 2 * i, cpu->segments[i].selector);
}

/* Read, changed, written: what is reserved between the selectors stays. */
static enum emul_status save_old(struct task_run *t)
{
    const struct task_cpu *cpu = t->cpu;
    unsigned start = save_start(cpu), bytes = save_end(cpu) - start;
    gva_t at = linear(cpu->tr.base, start);
    uint32_t eflags = cpu->eflags;
    uint8_t tss[TSS32_BYTES];
    enum emul_status status = t->ops->read(t->ctx, at, bytes, tss + start, t->fault);

    if (status != EMUL_OK)
        return status;
    if (t->request->source == TASK_IRET)
        eflags &= ~(uint32_t)RFLAGS_NT;
    if (task_tss_is_32bit(cpu->tr.rights))
        fill_save32(cpu, eflags, tss);
    else
        fill_save16(cpu, eflags, tss);
    return t->ops->write(t->ctx, at, bytes, tss + start, t->fault);
}

static void take_image32(const uint8_t *tss, struct task_image *image)
{
    image->cr3 = get32(tss + TSS32_CR3);
    image->eip = get32(tss + TSS32_SAVE);
    image->eflags = get32(tss + TSS32_SAVE + 4);
    for (unsigned i = 0; i < 8; i++)
        image->gprs[i] = get32(tss + TSS32_SAVE + 8 + 4 * i);
    for (unsigned i = 0; i < X86_SEG_COUNT; i++)
        image->selectors[i] = get16(tss + TSS32_SELECTORS + 4 * i);
    image->ldt = get16(tss + TSS32_LDT);
    image->trap = tss[TSS32_TRAP] & 1u;
}

/* Upper halves, and FS and GS, are not in it: zero, and null. */
static void take_image16(const uint8_t *tss, struct task_image *image)
{
    image->eip = get16(tss + TSS16_SAVE);
    image->eflags = get16(tss + TSS16_SAVE + 2);
    for (unsigned i = 0; i < 8; i++)
        image->gprs[i] = get16(tss + TSS16_SAVE + 4 + 2 * i);
    for (unsigned i = 0; i < TSS16_SEGMENTS; i++)
        image->selectors[i] = get16(tss + TSS16_SELECTORS + 2 * i);
    image->ldt = get16(tss + TSS16_LDT);
}

static enum emul_status read_new(struct task_run *t, const struct task_segment *tr,
                                 struct task_image *image)
{
    uint8_t tss[TSS32_BYTES];
    enum emul_status status =
        t->ops->read(t->ctx, linear(tr->base, 0), tss_bytes(tr->rights), tss, t->fault);

    memset(image, 0, sizeof(*image));
    if (status != EMUL_OK)
        return status;
    if (task_tss_is_32bit(tr->rights))
        take_image32(tss, image);
    else
        take_image16(tss, image);
    return EMUL_OK;
}

/* Steps up to the commit point. `tr` becomes the new task register. */
static enum emul_status leave_old_task(struct task_run *t, struct task_segment *tr,
                                       struct task_image *image)
{
    uint16_t link = t->cpu->tr.selector;
    struct task_descriptor new_tss;
    enum emul_status status = claim_new_tss(t, &new_tss);

    if (status != EMUL_OK)
        return status;
    *tr = task_segment_of(t->request->selector, &new_tss);
    if (!task_nests(t))
        status = clear_old_busy(t);
    if (status == EMUL_OK)
        status = save_old(t);
    if (status == EMUL_OK && task_nests(t))
        status = t->ops->write(t->ctx, linear(tr->base, 0), sizeof(link), &link, t->fault);
    if (status == EMUL_OK)
        status = read_new(t, tr, image);
    return status;
}

/* A descriptor that changed under every one of the retries is given up. */
static enum task_result result_of(enum emul_status status, enum task_result fault)
{
    if (status == EMUL_OK)
        return TASK_DONE;
    return status == EMUL_FAULT ? fault : TASK_ABORT;
}

enum task_result task_switch(struct task_cpu *cpu, const struct task_request *request,
                             const struct task_ops *ops, void *ctx, struct task_outcome *outcome)
{
    struct task_run t = { cpu, request, ops, ctx, &outcome->fault };
    struct task_segment tr;
    struct task_image image;
    enum emul_status status;

    memset(outcome, 0, sizeof(*outcome));
    status = leave_old_task(&t, &tr, &image);
    if (status != EMUL_OK)
        return result_of(status, TASK_FAULT_BEFORE);
    task_enter(&t, &tr, &image);
    outcome->is_32bit = task_tss_is_32bit(tr.rights);
    outcome->debug_trap = image.trap;
    return result_of(task_load(&t, &image), TASK_FAULT_AFTER);
}

/* --- the error code --- */

static bool stack_holds(const struct task_segment *ss, uint32_t offset, unsigned size_bytes)
{
    uint64_t last = (uint64_t)offset + size_bytes - 1;
    uint64_t highest = ss->rights & VMX_AR_DB ? UINT32_MAX : 0xffff;

    if (ss->rights & VMX_AR_CONFORMING) /* for data: expand-down */
        return offset > ss->limit && last <= highest;
    return last <= ss->limit && last <= highest;
}

enum task_result task_push_error(struct task_cpu *cpu, uint32_t error, bool external,
                                 const struct task_ops *ops, void *ctx,
                                 struct task_outcome *outcome)
{
    const struct task_segment *ss = &cpu->segments[X86_SS];
    unsigned bytes = outcome->is_32bit ? 4 : 2;
    uint32_t mask = ss->rights & VMX_AR_DB ? UINT32_MAX : 0xffffu;
    uint32_t top = (cpu->gprs[X86_RSP] - bytes) & mask;
    enum emul_status status;

    if (!stack_holds(ss, top, bytes)) {
        outcome->fault = (struct x86_fault){
            .vector = X86_EXC_SS, .has_error = true, .error = external ? 1 : 0
        };
        return TASK_FAULT_AFTER;
    }
    status = ops->push(ctx, linear(ss->base, top), bytes, &error, &outcome->fault);
    if (status == EMUL_OK)
        cpu->gprs[X86_RSP] = (cpu->gprs[X86_RSP] & ~mask) | top;
    return result_of(status, TASK_FAULT_AFTER);
}
