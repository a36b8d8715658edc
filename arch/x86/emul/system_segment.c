/*
 * LLDT and LTR where a VM exit comes in place of them. The processor has checked mode and CPL.
 * SDM volume 2 "LLDT - Load Local Descriptor Table Register", "LTR - Load Task Register";
 * volume 3 "TSS Descriptor", "TSS Descriptor in 64-bit mode", "Segment Descriptor Tables in IA-32e
 * Mode". See x86/task_switch.h. No lock: LTR claims its TSS by a compare-exchange.
 */
#include "task.h"

#define UPPER_TYPE_MASK 0x00001f00u /* of the fourth doubleword; must be 0 */

struct system_descriptor {
    struct task_descriptor lower;
    uint32_t upper[2];
};

static enum emul_status refuse(struct x86_fault *fault, enum x86_exception vector,
                               uint16_t selector)
{
    *fault = (struct x86_fault){
        .vector = (uint8_t)vector, .has_error = true, .error = selector & 0xfffcu
    };
    return EMUL_FAULT;
}

static bool type_fits(const struct system_segment_request *r, uint32_t rights)
{
    uint32_t type = rights & (VMX_AR_S | VMX_AR_TYPE_MASK);

    if (!r->is_tr)
        return type == VMX_AR_TYPE_LDT;
    return type == TASK_TYPE_TSS32 || (!r->ia32e && type == TASK_TYPE_TSS16);
}

static enum emul_status read(const struct system_segment_request *r, const struct task_ops *ops,
                             void *ctx, struct system_descriptor *d, struct x86_fault *fault)
{
    uint32_t offset = r->selector & 0xfff8u;
    unsigned bytes = r->mode64 ? 16 : 8;
    uint32_t words[4] = { 0 };
    uint64_t at = r->gdt_base + offset;
    enum emul_status status;

    if (in_ldt(r->selector) || offset + bytes - 1 > r->gdt_limit)
        return refuse(fault, X86_EXC_GP, r->selector);
    d->lower.at = GVA(r->mode64 ? at : (uint32_t)at);
    status = ops->read(ctx, d->lower.at, bytes, words, fault);
    d->lower.low = words[0];
    d->lower.high = words[1];
    d->upper[0] = words[2];
    d->upper[1] = words[3];
    return status;
}

static uint64_t base_of(const struct system_descriptor *d)
{
    return task_descriptor_base(&d->lower) | (uint64_t)d->upper[0] << 32;
}

static enum emul_status check(const struct system_segment_request *r,
                              const struct system_descriptor *d, struct x86_fault *fault)
{
    uint32_t rights = descriptor_rights(&d->lower);
    uint64_t base = base_of(d);

    if (!type_fits(r, rights))
        return refuse(fault, X86_EXC_GP, r->selector);
    if (!(rights & VMX_AR_P))
        return refuse(fault, X86_EXC_NP, r->selector);
    if (r->mode64 && ((d->upper[1] & UPPER_TYPE_MASK) ||
                      (uint64_t)((int64_t)(base << 16) >> 16) != base))
        return refuse(fault, X86_EXC_GP, r->selector);
    return EMUL_OK;
}

static enum emul_status claim(const struct task_ops *ops, void *ctx, struct system_descriptor *d,
                              struct x86_fault *fault)
{
    uint8_t old = (uint8_t)(d->lower.high >> 8);
    enum emul_status status = ops->exchange(ctx, GVA(d->lower.at.v + 5), old,
                                            old | TASK_TYPE_BUSY, fault);

    d->lower.high |= TASK_TYPE_BUSY << 8;
    return status;
}

static enum emul_status load_null(const struct system_segment_request *r,
                                  struct task_segment *out, uint64_t *wide_base,
                                  struct x86_fault *fault)
{
    if (r->is_tr)
        return refuse(fault, X86_EXC_GP, 0);
    *out = (struct task_segment){ .selector = r->selector, .rights = VMX_AR_UNUSABLE };
    *wide_base = 0;
    return EMUL_OK;
}

enum emul_status system_segment_load(const struct system_segment_request *request,
                                     const struct task_ops *ops, void *ctx,
                                     struct task_segment *out, uint64_t *wide_base,
                                     struct x86_fault *fault)
{
    struct system_descriptor d;
    enum emul_status status = EMUL_RETRY;

    if (selector_is_null(request->selector))
        return load_null(request, out, wide_base, fault);
    for (unsigned i = 0; i < TASK_RETRIES_MAX && status == EMUL_RETRY; i++) {
        status = read(request, ops, ctx, &d, fault);
        if (status == EMUL_OK)
            status = check(request, &d, fault);
        if (status == EMUL_OK && request->is_tr)
            status = claim(ops, ctx, &d, fault);
    }
    if (status != EMUL_OK)
        return status == EMUL_RETRY ? EMUL_ABORT : status;
    *out = task_segment_of(request->selector, &d.lower);
    *wide_base = base_of(&d);
    return EMUL_OK;
}
