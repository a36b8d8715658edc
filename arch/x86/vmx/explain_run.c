/*
 * The explainer against the processor that it runs on: each case of the entry checks, with its good
 * and its bad value, is explained and then entered. One line a value, for tools/explain:
 *
 *   EXPLAIN machine revision=.. physical=.. linear=.. rules=.. cases=..     once
 *   EXPLAIN enter n=.. case=RULE.N.good predicted=enters tsc=..
 *                                           before the entry, in case nothing comes after it
 *   EXPLAIN case=RULE.N.good predicted=enters got=enters exit=52 first=- breaks=0
 *   EXPLAIN case=RULE.N.bad predicted=exit33.0 got=exit33.0 exit=0 first=RULE breaks=1
 *   EXPLAIN skip case=RULE.N.bad why=".."   it needs another processor, or another host
 *   EXPLAIN total entered=.. agreed=.. skipped=..
 *   EXPLAIN error text=".."                 the operator's choice names nothing
 *
 * N counts the cases of a rule from 1. A verdict is `enters`, `error7` or `error8` (VM-instruction
 * error), `exit33.Q` or `exit34.Q` (entry failure, qualification Q), or `invalid`. `first` is the
 * first rule that the VMCS breaks, `breaks` how many it breaks.
 *
 * Not here: which disagreements are known (tests/system/explain_differences.txt).
 * Lock: none; boot core.
 */
#include "arch/x86/vmx/explain.h"
#include "hv/arch_ops.h"
#include "hv/boot_info.h"
#include "hv/report.h"
#include "hv/format.h"
#include "hv/log.h"
#include "hv/machine.h"
#include "hv/page_alloc.h"
#include "hv/panic.h"
#include "x86/explain.h"
#include "x86/insn.h"
#include "x86/vmx_core.h"
#include "arch/x86/vmx/vcpu.h"

#define LINE_BYTES 240
#define NAME_BYTES 64
#define VERDICT_BYTES 32
#define SETTLE_MS 3 /* 16 bytes of a FIFO at 115200 baud take 1.4 */

struct explain {
    struct explain_host host;
    struct world world;
    uint64_t base[VMCS_FIELD_COUNT];
    const char *chosen;
    uint64_t vmcs, ept_root, memory;
    unsigned entered, agreed, skipped;
};

static void print(const char *format, ...) HV_PRINTF(1, 2);

static void print(const char *format, ...)
{
    char line[LINE_BYTES];
    va_list args;
    int n;

    va_start(args, format);
    n = hv_vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    report_line(line, hv_min_u64((uint64_t)n, sizeof(line) - 1));
}

/* --- the base, on this processor --- */

static uint64_t take_page(void)
{
    hpa_t at;

    if (page_alloc_take(machine_pages(), 1, PAGE_ALIGN_4K, PAGE_ALLOC_ZERO, &at) != HV_OK)
        hv_panic("no memory for the explainer's cases");
    return at.v;
}

static uint64_t check_read(void *context, uint32_t encoding)
{
    struct world *w = context;

    return w->v[vmcs_field_find(encoding) - vmcs_fields];
}

/* Of all that a case may point to, only its own page has contents that matter. */
static bool check_read_memory(void *context, uint64_t hpa, void *to, size_t bytes)
{
    struct world *w = context;

    if (hpa < w->memory_at || hpa - w->memory_at > sizeof(w->memory) - bytes)
        return false;
    memcpy(to, w->memory + (hpa - w->memory_at), bytes);
    return true;
}

static void world_here(struct explain *e)
{
    struct world *w = &e->world;

    w->caps = *vmx_host_caps();
    w->memory_at = e->memory;
    w->ept_root = e->ept_root;
    w->memory_broken = false;
    w->masks_known = true;
    w->input = (struct vmx_check_input){
        .caps = &w->caps,
        .read = check_read,
        .read_memory = check_read_memory,
        .context = w,
        .ia32e_mode = true,
        .current_vmcs = e->vmcs,
    };
    vmx_check_masks(&w->input, cpuid);
    world_base_on(w);
    explain_host_fields(&e->host, w);
    memcpy(e->base, w->v, sizeof(e->base));
}

/* --- one entry --- */

static void predict(const struct world *w, struct explain_verdict *verdict, const char **first,
                    size_t *breaks)
{
    struct vmx_violation found;
    struct vmx_check_outcome outcome;

    *verdict = (struct explain_verdict){ .kind = EXPLAIN_ENTERS };
    *first = "-";
    *breaks = vmx_check_entry(&w->input, &found, 1);
    if (!*breaks)
        return;
    *first = found.rule->name;
    outcome = vmx_check_outcome((enum vmx_check_area)found.rule->area);
    if (outcome.instruction_error)
        *verdict = (struct explain_verdict){ EXPLAIN_ERROR, outcome.instruction_error, 0 };
    else
        *verdict = (struct explain_verdict){ EXPLAIN_EXIT, outcome.exit_reason,
                                             outcome.qualification + found.msr_entry };
}

static const char *verdict_text(const struct explain_verdict *verdict, char *out)
{
    unsigned long long qualification = verdict->qualification;

    switch (verdict->kind) {
    case EXPLAIN_ENTERS:
        hv_snprintf(out, VERDICT_BYTES, "enters");
        break;
    case EXPLAIN_VMFAIL_INVALID:
        hv_snprintf(out, VERDICT_BYTES, "invalid");
        break;
    case EXPLAIN_ERROR:
        hv_snprintf(out, VERDICT_BYTES, "error%u", verdict->number);
        break;
    case EXPLAIN_EXIT:
        hv_snprintf(out, VERDICT_BYTES, "exit%u.%llu", verdict->number, qualification);
        break;
    }
    return out;
}

static bool same_verdict(const struct explain_verdict *a, const struct explain_verdict *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == EXPLAIN_ERROR)
        return a->number == b->number;
    return a->kind != EXPLAIN_EXIT ||
           (a->number == b->number && a->qualification == b->qualification);
}

/* Why the case can't be had on this machine; NULL: it can. The field: one that does not exist. */
static const char *impossible(const struct explain *e, const struct check_case *test,
                              const char **field)
{
    const struct world *w = &e->world;

    *field = "";
    if (memcmp(&w->caps, vmx_host_caps(), sizeof(w->caps)))
        return "needs a processor with other capabilities";
    if (!w->input.ia32e_mode)
        return "needs a 32-bit hypervisor";
    if (w->input.in_smm)
        return "needs a hypervisor in SMM";
    if (w->input.pt_tracing)
        return "needs a processor that traces";
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++) {
        if (w->v[i] == e->base[i] && (test->on_memory || i != test->field))
            continue;
        if (!vmcs_field_exists(&w->caps, vmcs_fields[i].encoding)) {
            *field = vmcs_fields[i].name;
            return "this processor's VMCS has no ";
        }
    }
    return NULL;
}

static void skip(struct explain *e, const char *name, const char *why, const char *field)
{
    print("EXPLAIN skip case=%s why=\"%s%s\"", name, why, field);
    e->skipped++;
}

/* Until the line is out of the serial port: what comes next may be the end of the machine. */
static void settle(void)
{
    uint64_t until = rdtsc() + arch_tsc_hz() / 1000 * SETTLE_MS;

    while (rdtsc() < until)
        cpu_pause();
}

static void try_value(struct explain *e, const struct check_case *test, const char *name,
                      unsigned number, bool good)
{
    struct explain_verdict predicted, got;
    char text[2][VERDICT_BYTES];
    const char *why, *field, *first;
    unsigned refused;
    size_t breaks;

    world_here(e);
    check_case_apply(&e->world, test, good);
    why = impossible(e, test, &field);
    if (why) {
        skip(e, name, why, field);
        return;
    }
    predict(&e->world, &predicted, &first, &breaks);
    memcpy((void *)e->memory, e->world.memory, sizeof(e->world.memory));
    print("EXPLAIN enter n=%u case=%s predicted=%s tsc=%llu", number, name,
          verdict_text(&predicted, text[0]), (unsigned long long)rdtsc());
    settle();
    if (!explain_enter_world(&e->host, &e->world, e->vmcs, &got, &refused)) {
        skip(e, name, "VMWRITE refuses ", vmcs_fields[refused].name);
        return;
    }
    e->entered++;
    e->agreed += same_verdict(&predicted, &got);
    print("EXPLAIN case=%s predicted=%s got=%s exit=%u first=%s breaks=%zu", name,
          verdict_text(&predicted, text[0]), verdict_text(&got, text[1]),
          got.kind == EXPLAIN_ENTERS ? got.number : 0, first, breaks);
}

/* --- which of them --- */

/* The number of the case among those of its rule, from 1. */
static unsigned ordinal(const struct world *w, size_t index, const char *rule)
{
    struct check_case other;
    unsigned n = 1;

    for (size_t i = 0; i < index; i++)
        n += check_case_get(w, i, &other) && strcmp(other.rule, rule) == 0;
    return n;
}

static void try_case(struct explain *e, size_t index, const struct check_case *test)
{
    unsigned n = ordinal(&e->world, index, test->rule);
    char name[NAME_BYTES];

    for (unsigned bad = 0; bad < 2; bad++) {
        unsigned number = 2 * (unsigned)index + bad + 1;
        hv_snprintf(name, sizeof(name), "%s.%u.%s", test->rule, n, bad ? "bad" : "good");
        if (explain_selects(e->chosen, name, number))
            try_value(e, test, name, number, !bad);
    }
}

static struct explain *make(const struct boot_info *info)
{
    struct explain *e;
    hpa_t at;

    if (page_alloc_take(machine_pages(),
                        hv_align_up(sizeof(*e), HV_PAGE_BYTES) >> HV_PAGE_SHIFT, PAGE_ALIGN_4K,
                        PAGE_ALLOC_ZERO, &at) != HV_OK)
        hv_panic("no memory for the explainer's cases");
    e = (struct explain *)at.v;
    e->chosen = info->config.explain;
    e->vmcs = take_page();
    e->ept_root = take_page(); /* maps nothing: a guest that got to run would not get far */
    e->memory = take_page();
    *(uint32_t *)e->vmcs = vmx_caps_revision(vmx_host_caps());
    explain_host_save(&e->host);
    world_here(e);
    return e;
}

static size_t count_rules(void)
{
    size_t n = 0;

    while (vmx_check_rule(n))
        n++;
    return n;
}

static size_t count_cases(const struct explain *e)
{
    struct check_case test;
    size_t n = 0;

    while (check_case_get(&e->world, n, &test))
        n++;
    return n;
}

void explain_run(const struct boot_info *info)
{
    struct explain *e = make(info);
    size_t cases = count_cases(e);
    struct check_case test;

    print("EXPLAIN machine revision=0x%x physical=%u linear=%u rules=%zu cases=%zu",
          vmx_caps_revision(vmx_host_caps()), vmx_host_caps()->physical_address_bits,
          vmx_host_caps()->linear_address_bits, count_rules(), cases);
    for (size_t i = 0; i < cases; i++) {
        world_here(e); /* the cases' values are those of the base */
        if (check_case_get(&e->world, i, &test))
            try_case(e, i, &test);
    }
    print("EXPLAIN total entered=%u agreed=%u skipped=%u", e->entered, e->agreed, e->skipped);
    if (!e->entered && !e->skipped)
        print("EXPLAIN error text=\"'%s' chooses no case: all, N, N-M, N-M/STEP, RULE, RULE.N or "
              "RULE.N.good\"", e->chosen);
    hv_info("RESULT vm=explain status=%u reason=explain", e->entered || e->skipped ? 0 : 2);
    machine_end();
}
