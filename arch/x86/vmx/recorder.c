/*
 * Records exits while they are handled: ticks by reason, the ring of the last exits, or both. What
 * is not switched on costs nothing; what is, is an observer (arch/x86/vmx/vcpu.h).
 *
 * Ticks run from the call before the handler to the call after it: what the handler does, the
 * collecting of facts and the moving of RIP; not the saving and loading of registers.
 *
 * Lock: none. A recorder is written by its vCPU's core only. Memory is taken once and stays.
 */
#include "arch/x86/vmx/vcpu.h"
#include "hv/format.h"
#include "hv/log.h"
#include "hv/machine.h"
#include "hv/page_alloc.h"
#include "x86/leaves.h"
#include "x86/vmx_errors.h"

_Static_assert(VMEXIT_COUNT <= VMX_STATS_REASONS, "each reason has a row");

/* How many records a crash prints. */
#define CRASH_RECORDS 32

#define ALWAYS_INLINE static inline __attribute__((always_inline))

static struct vmx_recorder *recorder_of(struct vmx_observer *observer)
{
    return HV_CONTAINER_OF(observer, struct vmx_recorder, observer);
}

/* --- one exit --- */

/* Which rows of exits.def read a qualification: that of other reasons is stale. */
static const bool has_qualification[VMEXIT_COUNT] = {
#define EXIT(number, name, handler, needs, experiment, sdm, doc) [number] = (needs) & NEED_QUAL,
#include "arch/x86/vmx/exits.def"
#undef EXIT
};

static void record_begin(struct vmx_vcpu *v, struct vmx_trace_record *r)
{
    const uint64_t *g = v->gprs.r;
    uint32_t reason = v->exit.reason;

    r->rip = vmcs_read(VMCS_GUEST_RIP);
    r->reason = reason;
    r->flags = VMX_TRACE_OPEN;
    r->next = 0;
    r->ticks = 0;
    r->queued = 0;
    r->injected = v->injected;
    v->injected = 0;
    r->qualification = has_qualification[reason] ? vmcs_read(VMCS_EXIT_QUALIFICATION) : 0;
    r->value = 0;
    if (reason == VMEXIT_CPUID)
        r->detail = (uint32_t)g[X86_RAX] | g[X86_RCX] << 32;
    else if (reason == VMEXIT_RDMSR || reason == VMEXIT_WRMSR)
        r->detail = (uint32_t)g[X86_RCX];
    else if (reason == VMEXIT_EPT_VIOLATION || reason == VMEXIT_EPT_MISCONFIG)
        r->detail = vmcs_read(VMCS_GUEST_PHYSICAL_ADDRESS);
    else
        r->detail = 0;
    if (reason == VMEXIT_WRMSR)
        r->value = (uint32_t)g[X86_RAX] | g[X86_RDX] << 32;
    else if (reason == VMEXIT_EPT_VIOLATION)
        r->value = vmcs_read(VMCS_GUEST_LINEAR_ADDRESS);
}

/* What only the handler has made known. */
static void record_result(struct vmx_vcpu *v, struct vmx_trace_record *r)
{
    const uint64_t *g = v->gprs.r;

    switch (r->reason) {
    case VMEXIT_EXCEPTION_NMI:
    case VMEXIT_EXTERNAL_INTERRUPT:
        r->detail = v->exit.intr_info;
        if (v->exit.intr_info & VMX_INTR_ERROR_CODE)
            r->detail |= (uint64_t)v->exit.intr_error << 32;
        break;
    case VMEXIT_CR_ACCESS:
        r->value = g[vmx_cr_access_decode(r->qualification).gpr];
        break;
    case VMEXIT_MOV_DR:
        r->value = g[vmx_dr_access_decode(r->qualification).gpr];
        break;
    case VMEXIT_IO_INSTRUCTION:
        r->value = vmx_io_access_decode(r->qualification).string
                       ? vmcs_read(VMCS_GUEST_LINEAR_ADDRESS)
                       : g[X86_RAX];
        break;
    case VMEXIT_RDMSR:
        r->value = (uint32_t)g[X86_RAX] | g[X86_RDX] << 32;
        break;
    default:
        break;
    }
}

ALWAYS_INLINE void before(struct vmx_recorder *recorder, struct vmx_vcpu *v, const bool ring)
{
    struct vmx_trace_record *r = NULL;

    if (ring) {
        r = vmx_trace_begin(&recorder->trace);
        record_begin(v, r);
    }
    /* Last, so that the ring's own cost is not counted as the handler's. */
    recorder->begin_tsc = rdtsc();
    if (ring)
        r->tsc = recorder->begin_tsc;
}

ALWAYS_INLINE void after(struct vmx_recorder *recorder, struct vmx_vcpu *v, unsigned answer,
                         const bool stats, const bool ring)
{
    uint64_t end = rdtsc(), ticks = end - recorder->begin_tsc;

    recorder->end_tsc = end;
    if (stats)
        vmx_stats_add(&recorder->stats->row[v->exit.reason], ticks);
    if (ring) {
        struct vmx_trace_record *r = vmx_trace_last(&recorder->trace);
        r->ticks = ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX;
        r->next = (uint8_t)answer;
        r->flags = answer & EXIT_NEXT ? VMX_TRACE_ADVANCED : 0;
        r->queued = v->event.info;
        record_result(v, r);
    }
}

static void before_stats(struct vmx_observer *observer, struct vmx_vcpu *v)
{
    before(recorder_of(observer), v, false);
}

static void before_ring(struct vmx_observer *observer, struct vmx_vcpu *v)
{
    before(recorder_of(observer), v, true);
}

static void after_stats(struct vmx_observer *observer, struct vmx_vcpu *v, unsigned answer)
{
    after(recorder_of(observer), v, answer, true, false);
}

static void after_ring(struct vmx_observer *observer, struct vmx_vcpu *v, unsigned answer)
{
    after(recorder_of(observer), v, answer, false, true);
}

static void after_both(struct vmx_observer *observer, struct vmx_vcpu *v, unsigned answer)
{
    after(recorder_of(observer), v, answer, true, true);
}

/* --- on and off --- */

static enum hv_err take(uint64_t bytes, void **out)
{
    hpa_t at = HPA(0);
    enum hv_err err = page_alloc_take(machine_pages(),
                                      hv_align_up(bytes, HV_PAGE_BYTES) >> HV_PAGE_SHIFT,
                                      PAGE_ALIGN_4K, PAGE_ALLOC_ZERO, &at);

    *out = (void *)at.v;
    return err;
}

static enum hv_err take_memory(struct vmx_recorder *recorder, unsigned what)
{
    void *memory;
    enum hv_err err = HV_OK;

    if ((what & VMX_RECORD_TICKS) && !recorder->stats) {
        err = take(sizeof(struct vmx_stats), &memory);
        recorder->stats = memory;
    }
    if (err == HV_OK && (what & VMX_RECORD_RING) && !recorder->trace.records) {
        err = take(VMX_TRACE_RECORDS * sizeof(struct vmx_trace_record), &memory);
        recorder->trace.records = memory;
    }
    return err;
}

enum hv_err vmx_record(struct vmx_vcpu *v, unsigned what)
{
    struct vmx_recorder *recorder = &v->recorder;
    enum hv_err err = take_memory(recorder, what);

    if (err != HV_OK)
        return err;
    vmx_remove_observer(v, &recorder->observer);
    recorder->what = what;
    recorder->observer.before = what & VMX_RECORD_RING ? before_ring : before_stats;
    recorder->observer.after = !(what & VMX_RECORD_RING)   ? after_stats
                               : !(what & VMX_RECORD_TICKS) ? after_ring
                                                            : after_both;
    if (what)
        vmx_add_observer(v, &recorder->observer);
    /* An exit whose handler switches it on ends as if it had begun here. */
    recorder->begin_tsc = rdtsc();
    return HV_OK;
}

unsigned vmx_record_configured(const struct config_vm *config)
{
    unsigned what = 0;

    if (config->trace != CONFIG_TRACE_OFF)
        what |= VMX_RECORD_RING;
    if (config->accounting || config->cpuid_leaves != CONFIG_LEAVES_OFF)
        what |= VMX_RECORD_TICKS;
    return what;
}

/* --- for the guest --- */

/* Counters of the VM's other vCPUs are read while they run: each is right at some moment. */
static void sum_vm(void *context, uint32_t reason, uint64_t *exits, uint64_t *ticks)
{
    const struct vm *vm = context;
    unsigned first = reason == VMX_LEAVES_ALL ? 0 : reason;
    unsigned last = reason == VMX_LEAVES_ALL ? VMEXIT_COUNT - 1 : reason;

    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        const struct vmx_vcpu *v = vmx_of(vm->vcpus[i]);
        for (unsigned r = first; r <= last; r++) {
            *exits += __atomic_load_n(&v->exits[r], __ATOMIC_RELAXED);
            *ticks += __atomic_load_n(&v->recorder.stats->row[r].sum, __ATOMIC_RELAXED);
        }
    }
}

void vmx_recorder_leaf(struct vmx_vcpu *v, uint32_t leaf, uint32_t ecx, struct cpuid_regs *regs)
{
    const struct vmx_leaves_source source = { sum_vm, v->vcpu.vm };

    vmx_leaves_answer(v->vcpu.vm->config->cpuid_leaves, leaf, ecx, &source, regs);
}

/* --- on the log --- */

void vmx_recorder_log_last(struct vmx_vcpu *v)
{
    const struct vmx_trace *trace = &v->recorder.trace;
    char text[400];

    if (!trace->records || trace->count == 0)
        return;
    hv_error("  the last exits, the latest last; time in ticks since the VM's start");
    hv_error("  %s", vmx_trace_heading);
    for (uint64_t n = vmx_trace_first(trace, CRASH_RECORDS); n < trace->count; n++) {
        vmx_trace_describe(text, sizeof(text), vmx_trace_at(trace, n), v->vm->start_tsc);
        hv_error("  %s", text);
    }
}

void vmx_recorder_dump(struct vmx_vcpu *v, vmx_record_line_fn line, void *context)
{
    const struct vmx_trace *trace = &v->recorder.trace;
    const char *name = v->vcpu.vm->config->name;
    uint64_t first = vmx_trace_first(trace, VMX_TRACE_RECORDS);
    char text[300];

    hv_snprintf(text, sizeof(text),
                "TRACE-BEGIN %s %u version=1 tsc_hz=%llu start_tsc=%llx first=%llu count=%llu", name,
                v->vcpu.index, (unsigned long long)arch_tsc_hz(),
                (unsigned long long)v->vm->start_tsc, (unsigned long long)first,
                (unsigned long long)(trace->count - first));
    line(context, text);
    for (uint64_t n = first; n < trace->count; n++) {
        vmx_trace_encode(text, sizeof(text), name, v->vcpu.index, n, vmx_trace_at(trace, n));
        line(context, text);
    }
    hv_snprintf(text, sizeof(text), "TRACE-END %s %u", name, v->vcpu.index);
    line(context, text);
}

static void log_line(void *context, const char *line)
{
    (void)context;
    hv_info("%s", line);
}

/* What handlers, and what is done between them and the next entry, took of the time since the VM's
 * start. Not in it: saving and loading registers. */
static void log_share(const struct vmx_vcpu *v, uint64_t handlers)
{
    uint64_t since = rdtsc() - v->vm->start_tsc;
    uint64_t between = v->recorder.between_ticks;
    uint64_t share = hv_mul_div_u64(handlers + between, 10000, since + !since);

    hv_info("ROOT vm=%s vcpu=%u handlers=%llu between=%llu of=%llu percent=%llu.%02llu",
            v->vcpu.vm->config->name, v->vcpu.index, (unsigned long long)handlers,
            (unsigned long long)between, (unsigned long long)since,
            (unsigned long long)(share / 100), (unsigned long long)(share % 100));
}

static void log_stats(struct vmx_vcpu *v)
{
    const struct vmx_stats *stats = v->recorder.stats;
    uint64_t ticks = 0;
    char text[400];

    for (unsigned i = 0; i < VMEXIT_COUNT; i++) {
        if (stats->row[i].least == 0)
            continue;
        ticks += stats->row[i].sum;
        vmx_stats_text(text, sizeof(text), &stats->row[i]);
        hv_info("TICKS vm=%s vcpu=%u reason=%s %s", v->vcpu.vm->config->name, v->vcpu.index,
                vmx_exit_reason_name(i), text);
    }
    log_share(v, ticks);
}

void vmx_recorder_log_end(struct vmx_vcpu *v)
{
    if (v->recorder.stats)
        log_stats(v);
    if (v->recorder.trace.records && v->vcpu.vm->config->trace == CONFIG_TRACE_DUMP)
        vmx_recorder_dump(v, log_line, NULL);
}
