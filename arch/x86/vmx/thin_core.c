/*
 * Thin mode: what is built before the first core goes, and how each core goes.
 *
 * A core keeps firmware's registers until it is on its own stack; then it takes Trapline's tables,
 * enters VMX operation, and goes on as the guest with the registers that it came with. Whatever
 * fails on the way is undone, and the core is firmware's again.
 * Cores come one after the other; boot-once data are written by the boot core before, or by the
 * core that comes alone.
 * SDM volume 3 "Preparation and Launch of a Virtual Machine", "VMM Setup & Tear Down".
 */
#include "arch/x86/vmx/thin_internal.h"
#include "hv/log.h"
#include "hv/machine.h"
#include "hv/page_alloc.h"
#include "hv/panic.h"
#include "hv/string.h"
#include "x86/acpi_host.h"
#include "x86/host_apic.h"
#include "x86/host_paging.h"
#include "x86/msr.h"
#include "x86/panic.h"
#include "x86/start.h"
#include "x86/thin_remains.h"
#include "x86/trap.h"
#include "x86/vmx_core.h"

/* Of a block: what a core takes, what the EPT may still need, and the rest. */
#define CORE_BYTES (384u * 1024)
#define TABLE_SPARE_BYTES (512u * 1024)
#define OWN_SPARE_BYTES (512u * 1024)
#define EPT_PDPT_SHIFT 39

/* Boot-once. */
static struct thin_machine *machine;

uint64_t thin_block_bytes(unsigned cores, uint64_t image_bytes)
{
    struct vmx_caps caps;
    unsigned bits = vmx_core_caps(&caps) == HV_OK ? caps.physical_address_bits : EPT_GUEST_BITS;
    uint64_t tables = bits > EPT_PDPT_SHIFT
                          ? HV_PAGE_BYTES << hv_min_u64(bits - EPT_PDPT_SHIFT, EPT_GUEST_BITS - EPT_PDPT_SHIFT)
                          : HV_PAGE_BYTES;

    return hv_align_up(image_bytes + sizeof(struct boot_info) + (uint64_t)cores * CORE_BYTES + tables +
                           TABLE_SPARE_BYTES + OWN_SPARE_BYTES,
                       THIN_BLOCK_ALIGN);
}

static enum hv_err take(uint64_t bytes, void **out)
{
    hpa_t at = HPA(0);
    enum hv_err err = page_alloc_take(machine_pages(),
                                      hv_align_up(bytes, HV_PAGE_BYTES) >> HV_PAGE_SHIFT,
                                      PAGE_ALIGN_4K, PAGE_ALLOC_ZERO, &at);

    *out = (void *)at.v;
    return err;
}

/* --- controls --- */

static enum hv_err make_controls(const struct vmx_caps *caps, struct vmx_controls *out,
                                 const char **why)
{
    static char text[200]; /* boot-once: cores come one after the other */
    struct vm_policy policy = vm_policy_thin();
    struct vmx_refusal refusal;
    enum hv_err err;

    if (machine->key.base) {
        policy.io_bitmaps = VM_REQUIRE;
        policy.monitor_trap_flag = VM_PREFER; /* is there one? thin_key.c uses it now and then */
    }
    err = vmx_policy_to_controls(&policy, caps, out, &refusal);
    if (err != HV_OK) {
        vmx_refusal_text(text, sizeof(text), &refusal);
        *why = text;
        return err;
    }
    *why = "the processor cannot have a guest wait for a start-up message, or change its mode";
    if (!(caps->misc & VMX_MISC_ACTIVITY_WAIT_FOR_SIPI) || !(caps->misc & VMX_MISC_SAVE_EFER_LMA))
        return HV_ERR_UNSUPPORTED;
    /* The caches are the guest's: neither entries nor exits touch CD and NW, so they stay as it has
     * set them. */
    out->cr0_mask &= ~(CR0_CD | CR0_NW);
    return HV_OK;
}

/* --- before the first core ------------------------------------------------------------------ */

static bool all_cores_named(const struct boot_info *info, const char **why)
{
    const struct acpi_host *acpi = acpi_host();

    *why = "ACPI knows more processors than firmware's MP services: they would run outside";
    return !acpi->madt || acpi->core_count + acpi->cores_left_out <= info->cpu_count_hint;
}

static bool add_cores(const struct boot_info *info, const char **why)
{
    struct percpu *cpu;

    *why = "there is no memory for the cores' stacks, or there are too many cores";
    for (uint32_t i = 0; i < info->cpu_count_hint; i++) {
        if (percpu_add(info->apic_ids[i], &cpu) != HV_OK)
            return false;
    }
    return true;
}

/* The page in front of the image holds nothing else. */
static struct thin_remains *remains_of(const struct thin_setup *setup)
{
    return (struct thin_remains *)setup->block_start;
}

static void begin_remains(const struct thin_setup *setup)
{
    struct thin_remains *r = remains_of(setup);

    *r = (struct thin_remains){
        .magic = THIN_REMAINS_MAGIC,
        .version = THIN_REMAINS_VERSION,
        .block_start = setup->block_start,
        .block_bytes = setup->block_bytes,
        .start_tsc = machine->x.start_tsc,
        .reasons = VMEXIT_COUNT,
        .core_count = (uint32_t)hv_min_u64(setup->info->cpu_count_hint, THIN_REMAINS_CORES),
    };
}

static bool make_machine(const struct thin_setup *setup, const char **why)
{
    void *memory, *bitmap;
    struct thin_machine *m;

    *why = "there is no memory for the machine's own structures";
    if (take(sizeof(*m), &memory) != HV_OK || take(HV_PAGE_BYTES, &bitmap) != HV_OK)
        return false;
    m = memory;
    m->setup = *setup;
    memcpy(m->config.name, "thin", 5);
    m->vm.config = &m->config;
    m->vm.vcpu_count = setup->info->cpu_count_hint;
    m->vm.arch = &m->x;
    m->x.vm = &m->vm;
    m->x.start_tsc = rdtsc();
    thin_msr_bitmap_fill(bitmap);
    m->x.msr_bitmap = HPA((uint64_t)bitmap);
    spin_init(&m->memory_lock);
    machine = m;
    begin_remains(setup);
    return true;
}

bool thin_prepare(struct thin_setup *setup)
{
    struct boot_info *info = setup->info;

    arch_start_thin(info);
    acpi_host_init(info->rsdp);
    thin_apic_prepare();
    return all_cores_named(info, &setup->why) && add_cores(info, &setup->why) &&
           make_machine(setup, &setup->why) && thin_key_prepare(machine, &setup->why);
}

struct percpu *thin_core_of(uint32_t apic_id)
{
    for (unsigned i = 0; i < percpu_count(); i++) {
        if (percpu_at(i)->apic_id == apic_id)
            return percpu_at(i);
    }
    return NULL;
}

uint64_t thin_stack_of(const struct percpu *cpu)
{
    return cpu->stack_top;
}

/* --- each core ------------------------------------------------------------------------------ */

/* The tables of the first core are everybody's: a later one must be able to use them. */
static const char *check_memory_features(const struct thin_core *core)
{
    const uint64_t pages = VMX_EPT_CAP_2M | VMX_EPT_CAP_1G;

    if ((machine->x.controls.ept & pages) & ~core->controls.ept)
        return "its EPT know fewer page sizes than the boot core's";
    return NULL;
}

static const char *make_memory(struct thin_core *core)
{
    if (machine->x.eptp)
        return check_memory_features(core);
    machine->x.controls = core->controls;
    machine->x.physical_address_bits = core->caps.physical_address_bits;
    return thin_memory_create(machine) == HV_OK ? NULL : "there is no memory for the EPT";
}

static const char *make_vcpu(struct thin_core *core, struct percpu *cpu)
{
    struct vmx_vcpu *v = &core->v;
    void *region, *lapic;

    if (take(HV_PAGE_BYTES, &region) != HV_OK || take(sizeof(struct lapic), &lapic) != HV_OK)
        return "there is no memory for its VMCS";
    v->vcpu.vm = &machine->vm;
    v->vcpu.index = cpu->index;
    v->vcpu.core = cpu->index;
    v->vm = &machine->x;
    v->controls = &core->controls;
    v->lapic = lapic;
    v->core = &hv_cores[cpu->index];
    v->vpid = 1; /* a core has one guest */
    v->handlers = thin_handlers;
    v->vmcs = HPA((uint64_t)region);
    *(uint32_t *)region = vmx_caps_revision(&core->caps);
    if (vmx_record(v, VMX_RECORD_TICKS | VMX_RECORD_RING) != HV_OK)
        return "there is no memory for its ring of exits";
    if (cpu->index < THIN_REMAINS_CORES)
        remains_of(&machine->setup)->core[cpu->index] =
            (struct thin_remains_core){ (uint64_t)&v->recorder.trace, (uint64_t)v->exits };
    if (vmclear(v->vmcs.v) != VMX_OK || vmptrld(v->vmcs.v) != VMX_OK)
        return "its VMCS was refused";
    return NULL;
}

static const char *fill_vmcs(struct thin_core *core, struct percpu *cpu)
{
    struct vmx_vcpu *v = &core->v;

    vmx_vmcs_fill_controls(v);
    vmx_host_state_write(v);
    thin_state_to_vmcs(v, &core->state);
    cpu->vmx = v;
    cpu->on_nmi = thin_take_nmi; /* from here on an NMI goes into the entry */
    if (cpu->nmi_count)
        thin_take_nmi(cpu);
    return NULL;
}

static const char *build(struct thin_core *core, struct percpu *cpu)
{
    const char *why = NULL;

    if (vmx_core_enable_thin(&why) != HV_OK)
        return why;
    if (vmx_core_caps(&core->caps) != HV_OK ||
        make_controls(&core->caps, &core->controls, &why) != HV_OK)
        return why;
    core->step = core->controls.cpu & CPU_MONITOR_TRAP_FLAG;
    core->controls.cpu ^= core->step;
    why = make_memory(core);
    if (!why)
        why = make_vcpu(core, cpu);
    if (!why)
        why = fill_vmcs(core, cpu);
    return why;
}

static bool has_run(const struct vmx_vcpu *v)
{
    for (unsigned i = 0; i < VMEXIT_COUNT; i++) {
        if (v->exits[i])
            return true;
    }
    return false;
}

static const char *undo(struct thin_core *core, struct percpu *cpu, const char *why)
{
    cpu->on_nmi = NULL;
    if (cpu->in_vmx)
        (void)vmxoff();
    cpu->in_vmx = false;
    kept_state_restore(&core->state.kept);
    return why;
}

const char *thin_enter(struct percpu *cpu, const struct thin_return *where)
{
    void *memory;
    struct thin_core *core;
    const char *why;

    if (take(sizeof(*core), &memory) != HV_OK)
        return "there is no memory for its structures";
    core = memory;
    thin_state_capture(&core->state, where);
    descriptors_load(cpu);
    host_paging_enter();
    why = build(core, cpu);
    if (why)
        return undo(core, cpu, why);
    if (vmx_run_guest(&core->v) == VMX_ENTRY_FAILED)
        vmx_log_entry_failure(&core->v);
    if (!has_run(&core->v))
        return undo(core, cpu, "the processor refuses the guest's state");
    hv_panic("thin: core %u cannot go on", cpu->index);
}
