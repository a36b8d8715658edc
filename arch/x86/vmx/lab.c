/*
 * The laboratory: runs each variant of each experiment in a small VM of its own, one after the
 * other on the boot core, and gives everything back in between.
 *
 * Not here: what is recorded (lab_record.c), changed (lab_action.c), demanded (lab_check.c).
 * Lock: none; the other cores run their loops without a vCPU.
 */
#include "arch/x86/vmx/lab_internal.h"
#include "hv/boot_info.h"
#include "hv/format.h"
#include "hv/log.h"
#include "hv/machine.h"
#include "hv/page_alloc.h"
#include "hv/panic.h"
#include "hv/string.h"

#define LAB_MEMORY_BYTES (UINT64_C(8) << 20)
#define NEAREST 3

/* --- the VM --- */

static void customize_policy(struct vmx_customize *customize, struct vm_policy *policy)
{
    lab_apply_policy(HV_CONTAINER_OF(customize, struct lab, customize), policy);
}

static void customize_refused(struct vmx_customize *customize, const char *why)
{
    lab_refuse(HV_CONTAINER_OF(customize, struct lab, customize), why);
}

static void vm_ended(struct vm *vm)
{
    core_kick(vm->home_core); /* out of its idle state: the VM's phase is looked at */
}

static void watchdog_bites(struct tq_timer *timer, uint64_t now_tsc)
{
    struct lab *lab = HV_CONTAINER_OF(timer, struct lab, watchdog);

    (void)now_tsc;
    lab->observed.watchdog = true;
    vm_stop(lab->vm, VM_STATUS_FAILED, "watchdog");
}

static void prepare_config(struct lab *lab, const struct boot_info *info)
{
    lab->config = (struct config_vm){ .vcpus = 1, .memory_bytes = LAB_MEMORY_BYTES };
    hv_snprintf(lab->config.name, sizeof(lab->config.name), "%s", lab->experiment->name);
    hv_snprintf(lab->config.kernel, sizeof(lab->config.kernel), "%s", info->config.lab);
    hv_snprintf(lab->config.cmdline, sizeof(lab->config.cmdline), "experiment=%s variant=%s",
                lab->experiment->name, lab->variant->name);
    lab->extra = (struct vm_extra){ true, &lab->customize, vm_ended };
    lab->customize = (struct vmx_customize){ customize_policy, customize_refused };
    memset(&lab->observed, 0, sizeof(lab->observed));
    lab->refusal[0] = 0;
    lab->recording = !lab->variant->begins;
    lab->called = false;
    lab->first = LAB_NOT_YET;
    lab->access_count = 0;
    lab->open = NULL;
    lab->vcpu = NULL;
}

static bool build(struct lab *lab, const struct boot_info *info)
{
    enum hv_err err = vm_create(&lab->config, info, &lab->extra, &lab->vm);
    bool ok;

    if (err != HV_OK) {
        if (!lab->refusal[0])
            hv_snprintf(lab->refusal, sizeof(lab->refusal), "its VM could not be built (%s)",
                        err == HV_ERR_NO_MEMORY ? "no memory" : "see the log");
        return false;
    }
    lab->vcpu = vmx_of(lab->vm->vcpus[0]);
    lab_observe(lab);
    vmx_vmcs_borrow(lab->vcpu);
    ok = lab_apply_stage(lab, LAB_STAGE_START);
    vmx_vmcs_return(lab->vcpu);
    return ok;
}

static void run(struct lab *lab)
{
    tq_timer_init(&lab->watchdog, watchdog_bites);
    core_timer_arm(0, &lab->watchdog,
                   arch_tsc() + arch_tsc_hz() / 1000 * lab->variant->limit_ms);
    while (vm_phase(lab->vm) != VM_ENDED)
        core_turn(0);
    core_timer_cancel(0, &lab->watchdog);
    hv_snprintf(lab->observed.end, sizeof(lab->observed.end), "%s", lab->vm->exit_reason);
    lab->observed.status = lab->vm->exit_status;
}

/* A VM that was built but is not to run: its vCPU parks at the first turn. */
static void discard(struct lab *lab)
{
    vm_stop(lab->vm, VM_STATUS_FAILED, "not-started");
    while (vm_phase(lab->vm) != VM_ENDED)
        core_turn(0);
}

static void run_variant(struct lab *lab, const struct boot_info *info)
{
    prepare_config(lab, info);
    log_set_level(lab->full ? HV_LOG_WARN : HV_LOG_NOTHING);
    if (lab_check_needs(lab) && build(lab, info))
        run(lab);
    else if (lab->vm)
        discard(lab);
    log_set_level(HV_LOG_INFO);
    if (lab->vm)
        vm_destroy(lab->vm);
    lab->vm = NULL;
    lab_free_pages(lab);
    lab_print_run(lab);
    lab_print_verdict(lab);
}

static void run_experiment(struct lab *lab, const struct lab_experiment *experiment,
                           const struct boot_info *info)
{
    lab->experiment = experiment;
    for (unsigned i = 0; i < experiment->variant_count; i++) {
        lab->variant = &experiment->variants[i];
        run_variant(lab, info);
    }
}

/* --- names --- */

/* Letters to insert, drop or replace. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[LAB_NAME_BYTES + 1];
    unsigned n = (unsigned)strnlen(a, LAB_NAME_BYTES);

    for (unsigned i = 0; i <= n; i++)
        row[i] = i;
    for (unsigned j = 0; b[j]; j++) {
        unsigned diagonal = row[0];
        row[0] = j + 1;
        for (unsigned i = 0; i < n; i++) {
            unsigned replaced = diagonal + (a[i] != b[j]);
            unsigned other = (row[i] < row[i + 1] ? row[i] : row[i + 1]) + 1;
            diagonal = row[i + 1];
            row[i + 1] = replaced < other ? replaced : other;
        }
    }
    return row[n];
}

static void print_nearest(const char *name)
{
    unsigned after = 0;

    lab_print("LAB error text=\"there is no experiment '%s'\"", name);
    /* In the order of distance; those that are equally near, in the table's. */
    for (unsigned shown = 0; shown < NEAREST && after < 2 * LAB_NAME_BYTES; after++) {
        for (unsigned i = 0; i < lab_experiment_count && shown < NEAREST; i++) {
            if (distance(name, lab_experiments[i].name) == after) {
                lab_print("LAB nearest name=%s", lab_experiments[i].name);
                shown++;
            }
        }
    }
}

static const struct lab_experiment *find(const char *name)
{
    for (unsigned i = 0; i < lab_experiment_count; i++) {
        if (strcmp(lab_experiments[i].name, name) == 0)
            return &lab_experiments[i];
    }
    return NULL;
}

/* --- all of it --- */

static struct lab *make_lab(void)
{
    hpa_t at;

    if (page_alloc_take(machine_pages(),
                        hv_align_up(sizeof(struct lab), HV_PAGE_BYTES) >> HV_PAGE_SHIFT,
                        PAGE_ALIGN_4K, PAGE_ALLOC_ZERO, &at) != HV_OK)
        hv_panic("no memory for the laboratory");
    return (struct lab *)at.v;
}

void lab_run(const struct boot_info *info)
{
    struct lab *lab = make_lab();
    const char *only = info->config.experiment;
    const struct lab_experiment *one = find(only);
    uint64_t start = arch_tsc(), memory = page_alloc_free_bytes(machine_pages());
    unsigned status;

    lab->full = only[0];
    lab_print_header(info);
    if (one)
        run_experiment(lab, one, info);
    else if (only[0])
        print_nearest(only);
    for (unsigned i = 0; !only[0] && i < lab_experiment_count; i++)
        run_experiment(lab, &lab_experiments[i], info);
    lab_print("LAB total pass=%u known=%u fail=%u skipped=%u ticks=%llu leaked=%lld",
              lab->verdicts[LAB_PASS], lab->verdicts[LAB_KNOWN], lab->verdicts[LAB_FAIL],
              lab->verdicts[LAB_SKIPPED], (unsigned long long)(arch_tsc() - start),
              (long long)(memory - page_alloc_free_bytes(machine_pages())));
    status = only[0] && !one ? 2 : lab->verdicts[LAB_FAIL] != 0;
    hv_info("RESULT vm=lab status=%u reason=lab", status);
    machine_end();
}
