/*
 * The monitor's `exits` and `trace`.
 *
 * Counters of running vCPUs are read as they are: single words, each right at some moment.
 */
#include "arch/x86/vmx/monitor.h"
#include "hv/clock.h"
#include "hv/format.h"
#include "hv/string.h"
#include "x86/vmx_errors.h"

#define TRACE_LINES 20

typedef unsigned long long ull;

/* A VM's exits of all vCPUs. */
struct exit_sums {
    uint64_t count[VMEXIT_COUNT], ticks[VMEXIT_COUNT];
    uint64_t all, all_ticks;
    bool counts_ticks;
};

static uint64_t word(const uint64_t *at)
{
    return __atomic_load_n(at, __ATOMIC_RELAXED);
}

static void add_vcpu(struct exit_sums *s, const struct vmx_vcpu *v)
{
    for (unsigned i = 0; i < VMEXIT_COUNT; i++) {
        uint64_t count = word(&v->exits[i]);
        s->count[i] += count;
        s->all += count;
        if (v->recorder.stats) {
            uint64_t ticks = word(&v->recorder.stats->row[i].sum);
            s->ticks[i] += ticks;
            s->all_ticks += ticks;
        }
    }
    s->counts_ticks |= (v->recorder.what & VMX_RECORD_TICKS) != 0;
}

/* Shares in tenths of a percent. */
static unsigned tenths(uint64_t part, uint64_t whole)
{
    return whole ? (unsigned)hv_mul_div_u64(part, 1000, whole) : 0;
}

static void print_row(struct monitor *m, const struct exit_sums *s, unsigned reason, uint64_t growth)
{
    uint64_t count = s->count[reason], ticks = s->ticks[reason];
    unsigned share = s->all_ticks ? tenths(ticks, s->all_ticks) : tenths(count, s->all);
    char cost[40] = "           -           -";

    if (s->all_ticks)
        hv_snprintf(cost, sizeof(cost), "%12llu%12llu", (ull)ticks, (ull)(ticks / count));
    monitor_print(m, "%-24s%10llu%s%6u.%u%%%+10lld", vmx_exit_reason_name(reason), (ull)count, cost,
                  share / 10, share % 10, (long long)growth);
}

/* Reasons by what they cost, or where that is not known by their number. */
static unsigned sorted_reasons(const struct exit_sums *s, uint8_t order[VMEXIT_COUNT])
{
    unsigned used = 0;

    for (unsigned i = 0; i < VMEXIT_COUNT; i++) {
        unsigned at = used;
        if (s->count[i] == 0)
            continue;
        while (at && (s->ticks[order[at - 1]] < s->ticks[i] ||
                      (s->ticks[order[at - 1]] == s->ticks[i] && s->count[order[at - 1]] < s->count[i])))
            at--;
        memmove(order + at + 1, order + at, used - at);
        order[at] = (uint8_t)i;
        used++;
    }
    return used;
}

static void print_exits(struct monitor *m, struct vmx_vm *x)
{
    struct exit_sums s;
    uint8_t order[VMEXIT_COUNT + 1];
    unsigned used;

    memset(&s, 0, sizeof(s));
    for (unsigned i = 0; i < x->vm->vcpu_count; i++)
        add_vcpu(&s, vmx_of(x->vm->vcpus[i]));
    used = sorted_reasons(&s, order);
    monitor_print(m, "%s: %llu exits%s", x->vm->config->name, (ull)s.all,
                  s.counts_ticks ? "" : "; ticks are not counted ('exits on' begins it)");
    monitor_print(m, "reason                       count       ticks  ticks/exit   share    growth");
    for (unsigned i = 0; i < used; i++) {
        unsigned reason = order[i];
        print_row(m, &s, reason, s.count[reason] - x->exits_shown[reason]);
        x->exits_shown[reason] = s.count[reason];
    }
}

/* --- recording on and off --- */

static void record_bits(struct monitor_visit *visit, unsigned set, unsigned clear)
{
    unsigned what = (visit->v->recorder.what & ~clear) | set;

    if (vmx_record(visit->v, what) != HV_OK)
        monitor_print(visit->m, "vCPU %u: no memory for it", visit->v->vcpu.index);
}

static void look_ticks_on(struct monitor_visit *visit)
{
    record_bits(visit, VMX_RECORD_TICKS, 0);
}

static void look_ticks_off(struct monitor_visit *visit)
{
    record_bits(visit, 0, VMX_RECORD_TICKS);
}

static void look_ring_on(struct monitor_visit *visit)
{
    record_bits(visit, VMX_RECORD_RING, 0);
}

static void look_ring_off(struct monitor_visit *visit)
{
    record_bits(visit, 0, VMX_RECORD_RING);
}

static void each_vcpu(struct monitor *m, struct vm *vm, void (*look)(struct monitor_visit *visit))
{
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        if (!monitor_visit_vcpu(m, vmx_of(vm->vcpus[i]), 0, NULL, look))
            return;
    }
}

void monitor_run_exits(struct monitor *m, unsigned count, char *const words[])
{
    unsigned next;
    struct vmx_vm *x = monitor_vm(m, count, words, &next);

    if (!x)
        return;
    if (count == next)
        print_exits(m, x);
    else if (strcmp(words[next], "on") == 0)
        each_vcpu(m, x->vm, look_ticks_on);
    else if (strcmp(words[next], "off") == 0 && x->vm->config->cpuid_leaves == CONFIG_LEAVES_OFF)
        each_vcpu(m, x->vm, look_ticks_off);
    else if (strcmp(words[next], "off") == 0)
        monitor_print(m, "%s: its CPUID leaves show ticks, so they are counted",
                      x->vm->config->name);
    else
        monitor_print(m, "exits [VM] [on|off]: '%s' is neither", words[next]);
}

/* --- trace --- */

static void print_ring(struct monitor_visit *visit, uint64_t most)
{
    const struct vmx_vcpu *v = visit->v;
    const struct vmx_trace *trace = &v->recorder.trace;
    char text[400];

    if (!trace->records || trace->count == 0) {
        monitor_print(visit->m, "%s vCPU %u: nothing was recorded; 'trace on' begins it",
                      v->vcpu.vm->config->name, v->vcpu.index);
        return;
    }
    monitor_print(visit->m, "%s vCPU %u: %llu exits recorded%s", v->vcpu.vm->config->name,
                  v->vcpu.index, (ull)trace->count,
                  v->recorder.what & VMX_RECORD_RING ? "" : "; recording is off");
    monitor_print(visit->m, "%s", vmx_trace_heading);
    for (uint64_t n = vmx_trace_first(trace, most); n < trace->count; n++) {
        vmx_trace_describe(text, sizeof(text), vmx_trace_at(trace, n), v->vm->start_tsc);
        monitor_print(visit->m, "%s", text);
    }
}

static void look_ring(struct monitor_visit *visit)
{
    uint64_t most = TRACE_LINES;

    if (visit->count && !monitor_number(visit->words[0], 10, &most))
        monitor_print(visit->m, "trace [VM[.N]] [COUNT|on|off|dump]: '%s' is none of them",
                      visit->words[0]);
    else
        print_ring(visit, most);
}

static void dump_line(void *context, const char *line)
{
    monitor_print(context, "%s", line);
}

static void look_dump(struct monitor_visit *visit)
{
    if (visit->v->recorder.trace.records)
        vmx_recorder_dump(visit->v, dump_line, visit->m);
    else
        monitor_print(visit->m, "nothing was recorded; 'trace on' begins it");
}

void monitor_run_trace(struct monitor *m, unsigned count, char *const words[])
{
    unsigned next;
    struct vmx_vcpu *v = monitor_vcpu(m, count, words, &next);

    if (!v)
        return;
    if (count > next && strcmp(words[next], "on") == 0)
        each_vcpu(m, v->vcpu.vm, look_ring_on);
    else if (count > next && strcmp(words[next], "off") == 0)
        each_vcpu(m, v->vcpu.vm, look_ring_off);
    else if (count > next && strcmp(words[next], "dump") == 0)
        monitor_visit_vcpu(m, v, 0, NULL, look_dump);
    else
        monitor_visit_vcpu(m, v, count - next, words + next, look_ring);
}
