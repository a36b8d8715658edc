/*
 * The blocks of the cores: stacks with guard pages, and struct percpu.
 *
 * Lock: none. Blocks are added by the boot core before any other core runs; the table is constant
 * afterwards.
 */
#include "hv/log.h"
#include "hv/page_alloc.h"
#include "x86/host_paging.h"
#include "x86/percpu.h"

/* From the lowest page up: a guard page and a stack, four times, then struct percpu. */
#define BLOCK_PAGES                                                                                \
    (4 + (HOST_STACK_BYTES + HOST_IST_SLOTS * HOST_IST_STACK_BYTES) / HV_PAGE_BYTES + 1)

/* Boot-once. */
static struct percpu *cores[HV_MAX_CORES];
static unsigned core_total;

struct percpu *percpu_at(unsigned index)
{
    return index < core_total ? cores[index] : NULL;
}

unsigned percpu_count(void)
{
    return core_total;
}

/* A guard page at *at and a stack above it; returns the stack's top and moves *at there. */
static enum hv_err add_stack(uint64_t *at, uint64_t bytes, uint64_t *top)
{
    enum hv_err err = host_unmap_page(*at);

    *at += HV_PAGE_BYTES + bytes;
    *top = *at;
    return err;
}

static enum hv_err lay_out(uint64_t block, struct percpu **made)
{
    struct percpu *cpu = (void *)(block + (BLOCK_PAGES - 1) * (uint64_t)HV_PAGE_BYTES);
    uint64_t at = block;
    enum hv_err err = add_stack(&at, HOST_STACK_BYTES, &cpu->stack_top);

    cpu->stack_bottom = cpu->stack_top - HOST_STACK_BYTES;
    for (unsigned slot = 0; slot < HOST_IST_SLOTS && !err; slot++) {
        uint64_t top = 0;
        err = add_stack(&at, HOST_IST_STACK_BYTES, &top);
        cpu->tss.ist[slot] = top; /* IST n is element n - 1 */
    }
    *made = cpu;
    return err;
}

enum hv_err percpu_add(uint32_t apic_id, struct percpu **made)
{
    struct percpu *cpu;
    hpa_t block, vmxon;
    enum hv_err err;

    if (core_total == HV_MAX_CORES)
        return HV_ERR_NO_MEMORY;
    err = page_alloc_take(hv_pages(), BLOCK_PAGES, PAGE_ALIGN_4K, PAGE_ALLOC_ZERO, &block);
    if (err)
        return err;
    err = page_alloc_take(hv_pages(), 1, PAGE_ALIGN_4K, PAGE_ALLOC_ZERO, &vmxon);
    if (!err)
        err = lay_out(block.v, &cpu);
    if (err)
        return err;
    cpu->self = cpu;
    cpu->apic_id = apic_id;
    cpu->index = core_total;
    cpu->core = &hv_cores[cpu->index];
    cpu->vmxon_region = (void *)vmxon.v;
    descriptors_build(cpu);
    cores[core_total++] = cpu;
    *made = cpu;
    return HV_OK;
}

void percpu_trim(unsigned count)
{
    if (count < core_total)
        core_total = count;
}
