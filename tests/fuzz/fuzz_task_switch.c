// SRCS: arch/x86/emul/task_switch.c arch/x86/emul/task_load.c arch/x86/emul/system_segment.c
/*
 * Fuzzes task switches with arbitrary tables, TSSs and registers, and surroundings that fault, lose
 * races and give up as the input says. What must hold: the work is bounded, addresses are 32 bits
 * wide, a fault before the commit point leaves the processor alone, and what comes out can be
 * entered by the processor.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "x86/task_switch.h"
#include "x86/vmx_bits.h"

#define MEMORY_BYTES 1024u
#define CALLS_MAX 4000u

struct fuzz {
    const uint8_t *data;
    size_t size;
    unsigned calls;
    uint8_t memory[MEMORY_BYTES];
};

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void take(struct fuzz *f, void *to, size_t count)
{
    size_t n = count < f->size ? count : f->size;

    memset(to, 0, count);
    if (n)
        memcpy(to, f->data, n);
    f->data += n;
    f->size -= n;
}

/* Mostly well; when the input has run out, always. */
static enum emul_status fate(struct fuzz *f, bool may_retry, struct x86_fault *fault)
{
    uint8_t byte;

    must(++f->calls <= CALLS_MAX);
    take(f, &byte, 1);
    if (byte == 1 && may_retry)
        return EMUL_RETRY;
    if (byte == 2)
        return EMUL_ABORT;
    if (byte != 3)
        return EMUL_OK;
    *fault = (struct x86_fault){ X86_EXC_PF, true, 0, 0 };
    return EMUL_FAULT;
}

static uint8_t *at_of(struct fuzz *f, gva_t linear, unsigned i)
{
    must(linear.v <= UINT32_MAX);
    return &f->memory[(linear.v + i) % MEMORY_BYTES];
}

static enum emul_status op_read(void *ctx, gva_t linear, unsigned bytes, void *to,
                                struct x86_fault *fault)
{
    enum emul_status status = fate(ctx, false, fault);

    must(bytes > 0 && bytes <= 104);
    for (unsigned i = 0; i < bytes && status == EMUL_OK; i++)
        ((uint8_t *)to)[i] = *at_of(ctx, linear, i);
    return status;
}

static enum emul_status op_write(void *ctx, gva_t linear, unsigned bytes, const void *from,
                                 struct x86_fault *fault)
{
    enum emul_status status = fate(ctx, false, fault);

    must(bytes > 0 && bytes <= 104);
    for (unsigned i = 0; i < bytes && status == EMUL_OK; i++)
        *at_of(ctx, linear, i) = ((const uint8_t *)from)[i];
    return status;
}

static enum emul_status op_probe(void *ctx, gva_t linear, unsigned bytes, bool write,
                                 struct x86_fault *fault)
{
    (void)linear;
    (void)write;
    must(bytes > 0 && bytes <= 104);
    return fate(ctx, false, fault);
}

static enum emul_status op_exchange(void *ctx, gva_t linear, uint8_t expected, uint8_t desired,
                                    struct x86_fault *fault)
{
    enum emul_status status = fate(ctx, true, fault);
    uint8_t *at = at_of(ctx, linear, 0);

    if (status != EMUL_OK)
        return status;
    if (*at != expected)
        return EMUL_RETRY;
    *at = desired;
    return EMUL_OK;
}

static enum emul_status op_load_cr3(void *ctx, uint32_t value, struct x86_fault *fault)
{
    (void)value;
    return fate(ctx, false, fault);
}

static const struct task_ops ops = {
    op_read, op_write, op_probe, op_exchange, op_load_cr3, op_write,
};

/* SDM "Checks on Guest Segment Registers", "Checks on Guest RIP, RFLAGS, and SSP". */
static void must_be_enterable(const struct task_cpu *cpu)
{
    uint32_t cs = cpu->segments[X86_CS].rights;
    unsigned cpl = vmx_ar_dpl(cpu->segments[X86_SS].rights);

    must((cpu->eflags & RFLAGS_FIXED1) && !(cpu->eflags & ~RFLAGS_DEFINED));
    must(!(cpu->tr.selector & 4) && (cpu->tr.rights & VMX_AR_P) && !(cpu->tr.rights & VMX_AR_S));
    must((cpu->tr.rights & VMX_AR_TYPE_MASK & ~8u) == 3);
    must((cpu->ldtr.rights & VMX_AR_UNUSABLE) ||
         ((cpu->ldtr.rights & VMX_AR_P) && !(cpu->ldtr.selector & 4) &&
          (cpu->ldtr.rights & (VMX_AR_S | VMX_AR_TYPE_MASK)) == VMX_AR_TYPE_LDT));
    for (unsigned i = 0; i < X86_SEG_COUNT; i++) {
        const struct task_segment *s = &cpu->segments[i];
        const uint32_t present = VMX_AR_P | VMX_AR_S | VMX_AR_ACCESSED;
        bool usable = !(s->rights & VMX_AR_UNUSABLE);
        must(!(s->rights & VMX_AR_RESERVED));
        must(!usable || (s->rights & present) == present);
        must(!usable || (s->limit & 0xfff) == 0xfff || !(s->rights & VMX_AR_G));
        must(!usable || !(s->limit >> 20) || (s->rights & VMX_AR_G));
        if (cpu->eflags & RFLAGS_VM)
            must(s->rights == 0xf3 && s->limit == 0xffff && s->base == (uint32_t)s->selector << 4);
    }
    if (cpu->eflags & RFLAGS_VM)
        return;
    must(!(cs & VMX_AR_UNUSABLE) && (cs & VMX_AR_CODE));
    must(cs & VMX_AR_CONFORMING ? vmx_ar_dpl(cs) <= cpl : vmx_ar_dpl(cs) == cpl);
}

static void fuzz_switch(struct fuzz *f, bool plausible)
{
    struct task_request request;
    struct task_cpu cpu, before;
    struct task_outcome outcome;
    enum task_result result;

    take(f, &cpu, sizeof(cpu));
    take(f, &request.selector, sizeof(request.selector));
    take(f, &request.source, 1);
    request.source &= 3;
    request.external = request.source == TASK_GATE;
    cpu.gdt_limit &= 0xffff;
    cpu.ldtr.rights = cpu.ldtr.rights & 1 ? VMX_AR_UNUSABLE : VMX_AR_P | VMX_AR_TYPE_LDT;
    cpu.tr.rights = VMX_AR_P | (cpu.tr.rights & 8) | 3;
    if (plausible) {
        cpu.gdt_base = 0;
        cpu.gdt_limit = 0xff;
        cpu.tr = (struct task_segment){ 0x40, 0x100, 103, VMX_AR_P | 11 };
        request.selector = (uint16_t)(0x40 + (request.selector & 0x18));
    }
    before = cpu;
    result = task_switch(&cpu, &request, &ops, f, &outcome);
    must(result <= TASK_ABORT);
    if (result == TASK_FAULT_BEFORE)
        must(memcmp(&cpu, &before, sizeof(cpu)) == 0);
    if (result == TASK_DONE || result == TASK_FAULT_AFTER)
        must_be_enterable(&cpu);
    if (result == TASK_FAULT_BEFORE || result == TASK_FAULT_AFTER)
        must(X86_EXC_HAS_ERROR_MASK >> outcome.fault.vector & 1);
    if (result == TASK_DONE)
        must(task_push_error(&cpu, 1, true, &ops, f, &outcome) != TASK_FAULT_BEFORE);
}

static void fuzz_load(struct fuzz *f)
{
    struct system_segment_request request = { .is_tr = false };
    struct task_segment out;
    struct x86_fault fault;
    uint64_t base;
    uint8_t how;

    take(f, &how, 1);
    take(f, &request.selector, sizeof(request.selector));
    request.is_tr = how & 1;
    request.ia32e = how & 2;
    request.gdt_limit = how & 4 ? 0xffff : 0x40;
    if (system_segment_load(&request, &ops, f, &out, &base, &fault) == EMUL_OK)
        must((out.rights & VMX_AR_UNUSABLE) || (out.rights & VMX_AR_P));
}

/* --- a world in which a switch succeeds, to be changed byte by byte --- */

static void describe(struct fuzz *f, unsigned index, uint32_t base, uint32_t limit, uint32_t rights)
{
    uint32_t words[2] = { limit | base << 16, rights << 8 };

    memcpy(f->memory + 8 * index, words, sizeof(words));
}

static void build_tables(struct fuzz *f)
{
    const uint32_t flat = VMX_AR_P | VMX_AR_S | VMX_AR_WRITABLE | VMX_AR_DB | VMX_AR_G;
    static const uint16_t selectors[] = { 0x10, 0x08, 0x10, 0x20, 0x2c, 0x34, 0x38 };

    describe(f, 1, 0, 0xffff, flat | VMX_AR_CODE);
    describe(f, 2, 0, 0xffff, flat);
    describe(f, 3, 0, 0xffff, flat | VMX_AR_CODE | VMX_AR_CONFORMING);
    describe(f, 4, 0, 0xffff, flat | VMX_AR_DPL_MASK);
    describe(f, 5, 0, 0xffff, flat);  /* the LDT is the GDT, too */
    describe(f, 6, 0, 0xffff, flat);
    describe(f, 7, 0, 0xff, VMX_AR_P | VMX_AR_TYPE_LDT);
    describe(f, 8, 0x100, 103, VMX_AR_P | 11);
    describe(f, 9, 0x200, 103, VMX_AR_P | 9);
    describe(f, 10, 0x200, 43, VMX_AR_P | 1);
    describe(f, 11, 0x200, 103, VMX_AR_P | 11);
    for (unsigned i = 0; i < 7; i++) {
        memcpy(f->memory + 0x248 + 4 * i, &selectors[i], 2);
        memcpy(f->memory + 0x222 + 2 * i, &selectors[i], 2);
    }
}

static void patch(struct fuzz *f, uint8_t count)
{
    uint8_t record[3];

    for (unsigned i = 0; i < (count & 31u); i++) {
        take(f, record, sizeof(record));
        f->memory[(record[0] | record[1] << 8) % MEMORY_BYTES] = record[2];
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz f = { .data = data, .size = size };

    uint8_t how;

    take(&f, &how, 1);
    if (how & 0x80)
        take(&f, f.memory, sizeof(f.memory));
    else
        build_tables(&f);
    patch(&f, how);
    fuzz_switch(&f, !(how & 0xc0));
    fuzz_load(&f);
    return 0;
}
