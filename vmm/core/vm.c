/*
 * The life of a VM: built from its section of the operator's file, started over by a reset, ended
 * with a status. The machine is switched off when the last one has ended.
 *
 * Lock: `phase`, `parked` and the `result_` flags are atomic; whoever sets `result_claimed` writes
 * exit_status and exit_reason. The last vCPU to park owns the whole VM.
 */
#include "hv/arch_ops.h"
#include "hv/boot_info.h"
#include "hv/format.h"
#include "hv/log.h"
#include "hv/machine.h"
#include "hv/page_alloc.h"
#include "hv/panic.h"
#include "hv/platform.h"
#include "hv/string.h"
#include "hv/vm.h"

/* Boot-once. */
static struct vm *vms[CONFIG_MAX_VMS];
static unsigned vms_made;
static unsigned vms_ended; /* atomic */

unsigned vm_count(void)
{
    return vms_made;
}

struct vm *vm_at(unsigned index)
{
    return index < vms_made ? vms[index] : NULL;
}

/* --- memory --- */

static enum hv_err take_pages(uint64_t bytes, unsigned flags, void **out)
{
    hpa_t at;
    enum hv_err err = page_alloc_take(machine_pages(), hv_align_up(bytes, HV_PAGE_BYTES) >> HV_PAGE_SHIFT,
                                      PAGE_ALIGN_4K, flags, &at);

    *out = err == HV_OK ? (void *)at.v : NULL;
    return err;
}

/* A run of guest-physical addresses, from as few and as large pieces of host memory as there are.
 * It is zeroed: it may hold what firmware or a former owner left. */
static enum hv_err memory_add(struct vm *vm, uint64_t start, uint64_t bytes)
{
    while (bytes) {
        const uint64_t aligns[] = { PAGE_ALIGN_1G, PAGE_ALIGN_2M, PAGE_ALIGN_4K };
        enum hv_err err = HV_ERR_NO_MEMORY;
        uint64_t got = 0;
        hpa_t at = HPA(0);
        for (unsigned i = 0; i < HV_ARRAY_COUNT(aligns) && err != HV_OK; i++) {
            if ((start & (aligns[i] - 1)) == 0 && bytes >= aligns[i])
                err = page_alloc_take_largest(machine_pages(), bytes, aligns[i], 0, &at, &got);
        }
        if (err != HV_OK)
            return err;
        arch_zero((void *)at.v, got);
        err = gpa_space_add(&vm->memory, GPA(start), got, (void *)at.v, at, true);
        if (err != HV_OK)
            return err;
        start += got;
        bytes -= got;
    }
    return HV_OK;
}

static enum hv_err vm_make_memory(struct vm *vm)
{
    uint64_t bytes = hv_align_down(vm->config->memory_bytes, HV_PAGE_BYTES);
    uint64_t low = hv_min_u64(bytes, PLATFORM_LOW_RAM_END);
    enum hv_err err;

    if (bytes > page_alloc_free_bytes(machine_pages())) {
        hv_error("vm %s: it wants %llu MB of memory, the machine has %llu MB left",
                 vm->config->name, (unsigned long long)(bytes >> 20),
                 (unsigned long long)(page_alloc_free_bytes(machine_pages()) >> 20));
        return HV_ERR_NO_MEMORY;
    }
    err = memory_add(vm, 0, low);
    if (err == HV_OK && bytes > low)
        err = memory_add(vm, PLATFORM_HIGH_RAM_START, bytes - low);
    if (err != HV_OK)
        hv_error("vm %s: its memory is in too many pieces", vm->config->name);
    return err;
}

/* --- kernel --- */

static struct loader_file file_of(const struct boot_info *info, const char *path,
                                  const char *arguments)
{
    for (unsigned i = 0; i < info->file_count; i++) {
        if (strcmp(info->files[i].path, path) == 0)
            return (struct loader_file){ path, (const uint8_t *)info->files[i].start,
                                         info->files[i].bytes, arguments };
    }
    return (struct loader_file){ path, NULL, 0, arguments };
}

/* As a PC's firmware reports it: base memory, the BIOS area, RAM below and above 4 GB. */
static unsigned vm_memory_map(const struct vm *vm, struct loader_range map[8])
{
    const uint64_t base_end = 0x9fc00, one_mb = 0x100000;
    unsigned count = 0;
    uint64_t low = 0, high = 0;

    for (unsigned i = 0; i < vm->memory.count; i++) {
        const struct gpa_slot *slot = &vm->memory.slots[i];
        if (slot->start.v < PLATFORM_HIGH_RAM_START)
            low = slot->start.v + slot->bytes;
        else
            high += slot->bytes;
    }
    map[count++] = (struct loader_range){ 0, base_end, LOADER_RANGE_RAM };
    map[count++] = (struct loader_range){ base_end, one_mb - base_end, LOADER_RANGE_RESERVED };
    if (low > one_mb)
        map[count++] = (struct loader_range){ one_mb, low - one_mb, LOADER_RANGE_RAM };
    map[count++] = (struct loader_range){ PLATFORM_ECAM_BASE, PLATFORM_ECAM_BYTES,
                                          LOADER_RANGE_RESERVED };
    if (high)
        map[count++] = (struct loader_range){ PLATFORM_HIGH_RAM_START, high, LOADER_RANGE_RAM };
    return count;
}

static enum hv_err vm_load(struct vm *vm)
{
    const struct boot_info *info = machine_boot_info();
    const struct config_vm *config = vm->config;
    struct loader_file modules[CONFIG_MAX_MODULES];
    struct loader_range map[8];
    struct loader_diagnosis diagnosis = { { 0 } };
    struct loader_result at;
    struct loader_request request = {
        .memory = &vm->memory,
        .map = map,
        .map_count = vm_memory_map(vm, map),
        .kernel = file_of(info, config->kernel, config->cmdline),
        .cmdline = config->cmdline,
        .modules = modules,
        .module_count = config->module_count,
    };
    gpa_t rsdp;
    enum hv_err err = platform_write_acpi(vm, &rsdp);

    if (err != HV_OK)
        return err;
    request.rsdp = rsdp.v;
    if (config->initrd[0])
        request.initrd = file_of(info, config->initrd, "");
    for (unsigned i = 0; i < config->module_count; i++)
        modules[i] = file_of(info, config->modules[i].path, config->modules[i].arguments);
    err = loader_load(&request, &at, &diagnosis);
    if (err != HV_OK) {
        hv_error("vm %s: %s", config->name, diagnosis.text);
        return err;
    }
    arch_vcpu_enter_at(vm->vcpus[0], &at);
    return HV_OK;
}

/* --- creation --- */

/* Cores are dealt out in turn, so that vCPUs share one only when there are more of them. A VM that
 * owns cores has as many as vCPUs, and for the others there is at least one: core_plan_make. */
static unsigned deal_core(const struct vm *vm)
{
    static unsigned next_core;
    unsigned owner = vm_owns_cores(vm) ? vm->index + 1 : 0;

    if (vm->extra && vm->extra->boot_core_only)
        return 0;
    do
        next_core = (next_core + 1) % arch_core_count();
    while (!hv_cores[next_core].online || hv_cores[next_core].owner != owner);
    return next_core;
}

static enum hv_err vm_make_vcpus(struct vm *vm)
{
    for (unsigned i = 0; i < vm->config->vcpus; i++) {
        uint64_t before = page_alloc_free_bytes(machine_pages());
        struct vcpu *vcpu = arch_vcpu_create(vm, i);
        if (!vcpu)
            return HV_ERR_NO_MEMORY;
        vm->vcpu_bytes = before - page_alloc_free_bytes(machine_pages());
        core_add_vcpu(deal_core(vm), vcpu);
        /* A timer of a device is work for another core, where there is one. */
        if (i == 0)
            vm->home_core = vm_owns_cores(vm) ? core_plan_housekeeper() : vcpu->core;
        vm->vcpus[vm->vcpu_count++] = vcpu;
    }
    return HV_OK;
}

/* Who comes to a VM's devices: the cores of its vCPUs, by exits; its home core, by its clock; and the
 * housekeeper, by the console's input. If all of these are one core, nothing happens at the same time:
 * a core handles one exit or one timer after the other, with interrupts closed, and what an NMI runs
 * touches no device. Then nobody else touches timers of the VM on that core either; otherwise the
 * device timers in the home core's queue are armed from elsewhere, and a reset, which the last core
 * to park does for all, stops the timers of every vCPU. */
static void vm_decide_locks(struct vm *vm)
{
    unsigned keeper = core_plan_housekeeper();
    bool alone = vm->home_core == keeper;

    for (unsigned i = 0; i < vm->vcpu_count; i++)
        alone = alone && vm->vcpus[i]->core == keeper;
    if (alone) {
        bus_set_private(&vm->bus);
        return;
    }
    hv_cores[vm->home_core].timers_shared = true;
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        hv_cores[vm->vcpus[i]->core].timers_shared = true;
}

/* What the operator's file may ask for and this machine cannot give. */
static enum hv_err vm_check_config(const struct vm *vm)
{
    const struct config_vm *config = vm->config;
    const char *missing;

    if (!vm_owns_cores(vm))
        return HV_OK;
    missing = arch_cannot_own_cores();
    if (missing)
        hv_error("trapline.cfg: [vm %s], line %u: interrupts = guest needs %s, which this machine "
                 "does not have; write interrupts = vmm",
                 config->name, config->line, missing);
    else if (core_plan_count(vm->index) != config->vcpus)
        hv_error("trapline.cfg: [vm %s], line %u: interrupts = guest needs a core for each of its "
                 "%u vCPUs alone, and one for VMs with interrupts = vmm if there are any; the "
                 "machine has %u cores, too few for all that the file asks for",
                 config->name, config->line, config->vcpus, arch_core_count());
    else
        return HV_OK;
    return HV_ERR_UNSUPPORTED;
}

static enum hv_err vm_build(struct vm *vm, const struct boot_info *info)
{
    enum hv_err err = vm_check_config(vm);

    if (err == HV_OK)
        err = vm_make_memory(vm);

    if (err != HV_OK)
        return err;
    bus_init(&vm->bus);
    vm_clock_init(&vm->clock, vm, info->epoch_seconds);
    err = arch_vm_create(vm);
    if (err == HV_OK)
        err = vm_make_vcpus(vm);
    vm_decide_locks(vm);
    if (err == HV_OK)
        err = platform_create(vm);
    if (err == HV_OK)
        err = vm_load(vm);
    return err;
}

/* What the VM costs beside its RAM. */
static void vm_tell_cost(struct vm *vm, uint64_t free_before)
{
    uint64_t ram = 0;

    for (unsigned i = 0; i < vm->memory.count; i++)
        ram += vm->memory.slots[i].bytes;
    vm->own_bytes = free_before - page_alloc_free_bytes(machine_pages()) - ram;
    if (!vm->extra)
        hv_info("vm %s: %llu KB for the VM, %llu KB of these for each vCPU", vm->config->name,
                (unsigned long long)(vm->own_bytes >> 10),
                (unsigned long long)(vm->vcpu_bytes >> 10));
}

enum hv_err vm_create(const struct config_vm *config, const struct boot_info *info,
                      const struct vm_extra *extra, struct vm **made)
{
    void *memory;
    struct vm *vm;
    uint64_t free_before = page_alloc_free_bytes(machine_pages());
    enum hv_err err = take_pages(sizeof(struct vm), PAGE_ALLOC_ZERO, &memory);

    *made = NULL;
    if (err != HV_OK)
        return err;
    vm = memory;
    vm->index = vms_made;
    vm->config = config;
    vm->extra = extra;
    vms[vms_made++] = vm;
    err = vm_build(vm, info);
    if (err != HV_OK) {
        /* Its vCPUs, if any, are parked for good; the others do not notice. */
        vm_stop(vm, VM_STATUS_FAILED, "not-started");
        if (vm->vcpu_count == 0)
            vm_report_end(vm);
    }
    vm_tell_cost(vm, free_before);
    *made = vm;
    return err;
}

static void give_pages(const void *start, uint64_t bytes)
{
    if (start && page_alloc_free(machine_pages(), HPA((uint64_t)start),
                                 hv_align_up(bytes, HV_PAGE_BYTES) >> HV_PAGE_SHIFT) != HV_OK)
        hv_panic("memory that is not ours: 0x%llx", (unsigned long long)(uint64_t)start);
}

void vm_destroy(struct vm *vm)
{
    HV_ASSERT(vm->index == vms_made - 1 && vm->extra && vm->extra->boot_core_only);
    core_timer_cancel(vm->home_core, &vm->clock.wake);
    platform_destroy(vm);
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        core_remove_vcpu(vm->vcpus[i]);
        arch_vcpu_destroy(vm->vcpus[i]);
    }
    arch_vm_destroy(vm);
    for (unsigned i = 0; i < vm->memory.count; i++)
        give_pages(vm->memory.slots[i].host, vm->memory.slots[i].bytes);
    vms[--vms_made] = NULL;
    give_pages(vm, sizeof(*vm));
}

/* --- stopping --- */

static void vm_call_in(struct vm *vm)
{
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        core_kick(vm->vcpus[i]->core);
}

static bool vm_leave_running(struct vm *vm, enum vm_phase phase)
{
    enum vm_phase running = VM_RUNNING;

    return __atomic_compare_exchange_n(&vm->phase, &running, phase, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
}

static void vm_begin_ending(struct vm *vm)
{
    if (vm_leave_running(vm, VM_ENDING))
        vm_call_in(vm);
}

void vm_stop(struct vm *vm, unsigned status, const char *reason)
{
    if (__atomic_exchange_n(&vm->result_claimed, true, __ATOMIC_ACQ_REL))
        return;
    vm->exit_status = status;
    hv_snprintf(vm->exit_reason, sizeof(vm->exit_reason), "%s", reason);
    /* Published before the phase is looked at. If a reset is under way, vm_restart() looks at this
     * after it has let the VM run again: one of the two sees the other. */
    __atomic_store_n(&vm->result_ready, true, __ATOMIC_SEQ_CST);
    vm_begin_ending(vm);
}

void vm_crash(struct vm *vm, const char *why, ...)
{
    char text[160];
    va_list args;

    va_start(args, why);
    hv_vsnprintf(text, sizeof(text), why, args);
    va_end(args);
    hv_error("vm %s: stopped: %s", vm->config->name, text);
    vm_stop(vm, VM_STATUS_CRASHED, "crash");
}

void vm_reset(struct vm *vm)
{
    if (vm_leave_running(vm, VM_RESETTING))
        vm_call_in(vm);
}

void vm_pause(struct vm *vm)
{
    if (vm_is_paused(vm))
        return;
    __atomic_store_n(&vm->frozen_tsc, arch_tsc(), __ATOMIC_RELAXED);
    __atomic_store_n(&vm->paused, true, __ATOMIC_SEQ_CST);
    vm_call_in(vm);
}

/* A vCPU that stopped a little later than the others has seen that much more of time: it counts. */
void vm_freeze(struct vcpu *vcpu)
{
    uint64_t now = arch_tsc();
    uint64_t *at = &vcpu->vm->frozen_tsc, before = __atomic_load_n(at, __ATOMIC_RELAXED);

    vcpu->frozen = true;
    while (before < now && !__atomic_compare_exchange_n(at, &before, now, true, __ATOMIC_RELAXED,
                                                        __ATOMIC_RELAXED))
        continue;
    if (!vm_owns_cores(vcpu->vm))
        arch_vcpu_freeze(vcpu);
}

void vm_thaw(struct vcpu *vcpu)
{
    uint64_t skipped = __atomic_load_n(&vcpu->vm->skipped_ticks, __ATOMIC_ACQUIRE);

    vcpu->frozen = false;
    if (!vm_owns_cores(vcpu->vm))
        arch_vcpu_thaw(vcpu, skipped - vcpu->skipped_ticks);
    vcpu->skipped_ticks = skipped;
}

void vm_resume(struct vm *vm)
{
    uint64_t ticks;

    if (!vm_is_paused(vm))
        return;
    ticks = vm_owns_cores(vm) ? 0 : arch_tsc() - __atomic_load_n(&vm->frozen_tsc, __ATOMIC_RELAXED);
    __atomic_add_fetch(&vm->skipped_ticks, ticks, __ATOMIC_RELEASE);
    vm_clock_skip(&vm->clock, ticks);
    __atomic_store_n(&vm->paused, false, __ATOMIC_SEQ_CST);
    vm_clock_skip(&vm->clock, 0); /* what woke up too early, and did nothing, does so again */
    vm_call_in(vm);
}

void vm_report_end(struct vm *vm)
{
    if (vm->extra && vm->extra->ended) {
        __atomic_store_n(&vm->phase, VM_ENDED, __ATOMIC_RELEASE);
        vm->extra->ended(vm);
        return;
    }
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        arch_vcpu_describe(vm->vcpus[i]);
    hv_notice("RESULT vm=%s status=%u reason=%s", vm->config->name, vm->exit_status, vm->exit_reason);
    __atomic_store_n(&vm->phase, VM_ENDED, __ATOMIC_RELEASE);
    if (__atomic_add_fetch(&vms_ended, 1, __ATOMIC_ACQ_REL) == machine_boot_info()->config.vm_count)
        machine_end();
}

/* The reset button: RAM keeps what it held, everything else starts over. */
static void vm_restart(struct vm *vm)
{
    hv_info("vm %s: reset", vm->config->name);
    platform_reset(vm);
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        arch_vcpu_reset(vm->vcpus[i]);
    if (vm_load(vm) != HV_OK) {
        vm->exit_status = VM_STATUS_FAILED;
        hv_snprintf(vm->exit_reason, sizeof(vm->exit_reason), "reset-failed");
        __atomic_store_n(&vm->phase, VM_ENDING, __ATOMIC_RELEASE);
        vm_report_end(vm);
        return;
    }
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        vm->vcpus[i]->blocked = false;
    __atomic_store_n(&vm->parked, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&vm->phase, VM_RUNNING, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&vm->result_ready, __ATOMIC_SEQ_CST))
        vm_begin_ending(vm);
    vm_call_in(vm);
}

bool vm_park(struct vcpu *vcpu)
{
    struct vm *vm = vcpu->vm;
    enum vm_phase phase = vm_phase(vm);

    if (vcpu->parked) {
        if (phase != VM_RUNNING)
            return false;
        vcpu->parked = false; /* a reset is over */
        return true;
    }
    if (phase == VM_ENDED)
        return false;
    arch_vcpu_release(vcpu);
    vcpu->parked = true;
    if (__atomic_add_fetch(&vm->parked, 1, __ATOMIC_ACQ_REL) == vm->vcpu_count) {
        if (phase == VM_RESETTING)
            vm_restart(vm);
        else
            vm_report_end(vm);
    }
    return false;
}
