/*
 * Guest-physical is host-physical, with the MTRRs' types and in the largest pages that these allow;
 * but Trapline's own block, of which every page is the same blank one. The guest may read and write
 * that page: what it finds there means nothing, and costs no exit.
 *
 * All addresses that the processor can form are mapped beforehand, in pages of 1 GB, devices and
 * holes included. Where there are no pages of 1 GB that would take too many tables: then what is
 * beyond the firmware's map comes with the first access (thin_memory_map_more).
 *
 * Other cores run on the tables while they change: a piece whose type changes is not mapped for a
 * moment, and a core that meets it waits for the lock and tries again. Each core flushes its own
 * translations when it writes its MTRRs, as every operating system has every core do. Tables that
 * went out of use are not used again: no core says when the others have flushed.
 * Lock: `memory_lock`.
 * SDM volume 3 "EPT and Memory Typing", "Multiple-Processor Considerations (MTRRs)".
 */
#include "arch/x86/vmx/thin_internal.h"
#include "hv/log.h"
#include "hv/machine.h"
#include "hv/page_alloc.h"
#include "hv/string.h"
#include "x86/msr.h"

#define FOUR_GB (UINT64_C(1) << 32)
#define ONE_GB (UINT64_C(1) << 30)

static uint64_t *page_take(void *context, hpa_t *hpa)
{
    (void)context;
    if (page_alloc_take(machine_pages(), 1, PAGE_ALIGN_4K, 0, hpa) != HV_OK)
        return NULL;
    return (uint64_t *)hpa->v;
}

static void page_give(void *context, uint64_t *page, hpa_t hpa)
{
    (void)context;
    (void)page;
    (void)!page_alloc_free(machine_pages(), hpa, 1);
}

static uint64_t *page_pointer(void *context, hpa_t hpa)
{
    (void)context;
    return (uint64_t *)hpa.v;
}

/* What cannot be read outside of SMM, as some processors' SMRRs, is 0: a range that is not valid. */
static uint64_t read_msr(void *context, uint32_t index)
{
    uint64_t value;

    (void)context;
    return rdmsr_safe(index, &value) ? value : 0;
}

/* With several keys of memory encryption (TME-MK) the upper bits of an address are a key's number: the
 * same memory, our block's too, has an address for each. None of these is mapped, and the guest has
 * no PCONFIG to give a key with. SDM "Memory Encryption", IA32_TME_ACTIVATE. */
static unsigned address_bits(void)
{
    unsigned bits = vmx_host_caps()->physical_address_bits;
    uint64_t active;

    if ((cpuid(CPUID_LEAF_EXTENDED_FEATURES, 0).ecx & CPUID_7_ECX_TME) &&
        rdmsr_safe(MSR_IA32_TME_ACTIVATE, &active) && (active & TME_ACTIVATE_ENABLE))
        bits -= active >> TME_ACTIVATE_KEYID_BITS_SHIFT & TME_ACTIVATE_KEYID_BITS_MASK;
    return bits;
}

static enum hv_err read_mtrrs(struct mtrr_state *mtrr)
{
    bool present = cpuid(CPUID_LEAF_FEATURES, 0).edx & CPUID_1_EDX_MTRR;

    return mtrr_read(mtrr, read_msr, NULL, vmx_host_caps()->physical_address_bits, present, true);
}

/* Maps [start, end), which lies wholly inside or wholly outside of the block. */
static enum hv_err map_piece(struct thin_machine *m, uint64_t start, uint64_t end, bool hidden)
{
    enum hv_err err = HV_OK;

    if (!hidden)
        return start == end ? HV_OK
                            : ept_map_by_mtrr(&m->x.ept, GPA(start), HPA(start), end - start, EPT_RWX,
                                              &m->mtrr);
    for (; start < end && err == HV_OK; start += HV_PAGE_BYTES)
        err = ept_map(&m->x.ept, GPA(start), m->blank, HV_PAGE_BYTES, EPT_RWX, MEMORY_WB);
    return err;
}

static enum hv_err map_range(struct thin_machine *m, uint64_t start, uint64_t end)
{
    uint64_t first = m->setup.block_start, last = first + m->setup.block_bytes;
    uint64_t a = hv_min_u64(hv_max_u64(first, start), end);
    uint64_t b = hv_min_u64(hv_max_u64(last, start), end);
    enum hv_err err = map_piece(m, start, a, false);

    if (err == HV_OK)
        err = map_piece(m, a, b, true);
    if (err == HV_OK)
        err = map_piece(m, b, end, false);
    return err;
}

/* The end of what firmware knows, in whole GB; never below 4 GB, where devices are. */
static uint64_t described_end(const struct boot_info *info)
{
    uint64_t end = FOUR_GB;

    for (uint32_t i = 0; i < info->memory_count; i++)
        end = hv_max_u64(end, info->memory[i].start + info->memory[i].bytes);
    return hv_align_up(end, ONE_GB);
}

enum hv_err thin_memory_create(struct thin_machine *m)
{
    const struct ept_memory memory = { .alloc = page_take, .free = page_give,
                                       .pointer = page_pointer };
    const struct ept_features features = {
        .page_2m = m->x.controls.ept & VMX_EPT_CAP_2M,
        .page_1g = m->x.controls.ept & VMX_EPT_CAP_1G,
        .physical_address_bits = vmx_host_caps()->physical_address_bits,
    };
    enum hv_err err = read_mtrrs(&m->mtrr);

    m->top = UINT64_C(1) << hv_min_u64(address_bits(), EPT_GUEST_BITS);
    if (err == HV_OK)
        err = page_alloc_take(machine_pages(), 1, PAGE_ALIGN_4K, PAGE_ALLOC_ZERO, &m->blank);
    if (err == HV_OK)
        err = ept_init(&m->x.ept, &memory, &features);
    if (err == HV_OK)
        err = map_range(m, 0, features.page_1g
                                  ? m->top
                                  : hv_min_u64(m->top, described_end(m->setup.info)));
    if (err == HV_OK)
        m->x.eptp = ept_pointer(&m->x.ept);
    return err;
}

static void flush(const struct thin_machine *m)
{
    bool single = vmx_host_caps()->ept_vpid_cap & VMX_EPT_CAP_INVEPT_SINGLE;

    (void)invept(single ? INVEPT_SINGLE_CONTEXT : INVEPT_GLOBAL, single ? m->x.eptp : 0);
}

bool thin_memory_map_more(struct vmx_vcpu *v, gpa_t gpa)
{
    struct thin_machine *m = thin_machine_of(v);
    uint64_t start = hv_align_down(gpa.v, ONE_GB);
    struct ept_walk walk;
    bool there;

    if (gpa.v >= m->top)
        return false;
    spin_lock(&m->memory_lock);
    ept_walk(&m->x.ept, gpa, &walk);
    there = walk.mapped || map_range(m, start, start + ONE_GB) == HV_OK;
    spin_unlock(&m->memory_lock);
    return there;
}

/* --- types ---------------------------------------------------------------------------------- */

/* Gives [start, end) its type by `now`. A piece that cannot be mapped again for want of a table is
 * found by the next access (thin_memory_map_more), and stops the machine there if it must. */
static void retype_piece(struct thin_machine *m, uint64_t start, uint64_t end)
{
    if (ept_unmap(&m->x.ept, GPA(start), end - start) != HV_OK ||
        map_range(m, start, end) != HV_OK)
        hv_error("thin: no table for a change of memory types at %#llx", (unsigned long long)start);
}

static void retype(struct thin_machine *m, const struct mtrr_state *now)
{
    struct mtrr_state before = m->mtrr;

    m->mtrr = *now;
    for (uint64_t at = 0, next; at < m->top; at = next) {
        uint64_t a = mtrr_uniform_bytes(&before, HPA(at), m->top - at);
        uint64_t b = mtrr_uniform_bytes(now, HPA(at), m->top - at);
        next = at + hv_min_u64(a, b);
        if (mtrr_type_of(&before, HPA(at)) != mtrr_type_of(now, HPA(at)))
            retype_piece(m, at, next);
    }
}

/* While the MTRRs are off, in the middle of a change, the guest has its caches off as well (SDM
 * "Multiple-Processor Considerations"): then nothing is looked at. */
void thin_memory_retype(struct vmx_vcpu *v)
{
    struct thin_machine *m = thin_machine_of(v);
    struct mtrr_state now;

    if (!(rdmsr(MSR_IA32_MTRR_DEF_TYPE) & MTRR_DEF_TYPE_E) || read_mtrrs(&now) != HV_OK)
        return;
    spin_lock(&m->memory_lock);
    if (memcmp(&now, &m->mtrr, sizeof(now)) != 0)
        retype(m, &now);
    spin_unlock(&m->memory_lock);
    flush(m);
}
