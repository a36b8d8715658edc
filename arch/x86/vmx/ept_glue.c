/*
 * A VM's EPT on the machine: pages from the allocator, types from the MTRRs, everything mapped
 * before the first entry, so that no RAM access ever exits.
 *
 * Lock: none; the tables do not change after. A VM whose memory is to be taken away while it runs
 * needs more than this.
 */
#include "arch/x86/vmx/vcpu.h"
#include "hv/log.h"
#include "hv/machine.h"
#include "hv/page_alloc.h"
#include "hv/panic.h"
#include "x86/mtrr.h"

static uint64_t *ept_page_take(void *context, hpa_t *hpa)
{
    (void)context;
    if (page_alloc_take(machine_pages(), 1, PAGE_ALIGN_4K, 0, hpa) != HV_OK)
        return NULL;
    return (uint64_t *)hpa->v;
}

static void ept_page_free(void *context, uint64_t *page, hpa_t hpa)
{
    (void)context;
    (void)page;
    if (page_alloc_free(machine_pages(), hpa, 1) != HV_OK)
        hv_panic("an EPT page that is not ours: 0x%llx", (unsigned long long)hpa.v);
}

static uint64_t *ept_page_pointer(void *context, hpa_t hpa)
{
    (void)context;
    return (uint64_t *)hpa.v;
}

static enum hv_err read_mtrrs(struct mtrr_state *mtrr)
{
    bool present = cpuid(CPUID_LEAF_FEATURES, 0).edx & CPUID_1_EDX_MTRR;

    return mtrr_read(mtrr, vmx_caps_machine.rdmsr, NULL, vmx_host_caps()->physical_address_bits, present, false);
}

static struct ept_features features_of(const struct vmx_vm *x)
{
    return (struct ept_features){
        .page_2m = x->controls.ept & VMX_EPT_CAP_2M,
        .page_1g = x->controls.ept & VMX_EPT_CAP_1G,
        .execute_only = x->controls.ept & VMX_EPT_CAP_EXECUTE_ONLY,
        .accessed_dirty = x->controls.ept & VMX_EPT_CAP_ACCESSED_DIRTY,
        .physical_address_bits = vmx_host_caps()->physical_address_bits,
    };
}

enum hv_err arch_vm_map_readable(struct vm *vm, gpa_t gpa, hpa_t hpa)
{
    struct vmx_vm *x = vm->arch;

    return ept_map(&x->ept, gpa, hpa, HV_PAGE_BYTES, EPT_READ, MEMORY_WB);
}

enum hv_err vmx_ept_create(struct vmx_vm *x)
{
    const struct ept_memory memory = { .alloc = ept_page_take,
                                       .free = ept_page_free,
                                       .pointer = ept_page_pointer };
    const struct ept_features features = features_of(x);
    struct mtrr_state mtrr;
    enum hv_err err = read_mtrrs(&mtrr);

    if (err == HV_OK)
        err = ept_init(&x->ept, &memory, &features);
    for (unsigned i = 0; i < x->vm->memory.count && err == HV_OK; i++) {
        const struct gpa_slot *slot = &x->vm->memory.slots[i];
        err = ept_map_by_mtrr(&x->ept, slot->start, slot->hpa, slot->bytes,
                              slot->writable ? EPT_RWX : EPT_RX, &mtrr);
    }
    if (err != HV_OK)
        return err;
    x->eptp = ept_pointer(&x->ept);
    hv_info("vm %s: memory mapped by %llu pages of 1 GB, %llu of 2 MB, %llu of 4 KB",
            x->vm->config->name, (unsigned long long)x->ept.leaves[2],
            (unsigned long long)x->ept.leaves[1], (unsigned long long)x->ept.leaves[0]);
    return HV_OK;
}
