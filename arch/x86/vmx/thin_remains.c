/*
 * What a thin machine left in memory, as text. Pure, but for the memory that it is pointed to, which
 * lies between the block's bounds; no lock.
 */
#include "x86/thin_remains.h"

#include "hv/format.h"
#include "x86/trace.h"
#include "x86/vmx_errors.h"

struct text {
    char *out;
    size_t bytes, used;
};

static void put_line(struct text *t, const char *format, ...) HV_PRINTF(2, 3);

static void put_line(struct text *t, const char *format, ...)
{
    char line[400];
    va_list args;
    int length;

    va_start(args, format);
    length = hv_vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (length < 0 || (size_t)length + 3 > t->bytes - t->used)
        return;
    t->used += (size_t)hv_snprintf(t->out + t->used, t->bytes - t->used, "%s\r\n", line);
}

static bool in_block(const struct thin_remains *r, uint64_t address, uint64_t bytes)
{
    return address >= r->block_start && address % 8 == 0 && bytes <= r->block_bytes &&
           address - r->block_start <= r->block_bytes - bytes;
}

bool thin_remains_valid(const struct thin_remains *r, uint64_t address)
{
    return r->magic == THIN_REMAINS_MAGIC && r->version == THIN_REMAINS_VERSION &&
           r->block_start == address && r->block_bytes >= HV_PAGE_BYTES &&
           r->block_bytes <= UINT64_MAX - address && r->core_count <= THIN_REMAINS_CORES &&
           r->reasons <= VMX_STATS_REASONS;
}

static void put_exits(struct text *t, const struct thin_remains *r, unsigned core)
{
    const uint64_t *exits = (const uint64_t *)r->core[core].exits;

    if (!in_block(r, r->core[core].exits, r->reasons * sizeof(*exits)))
        return;
    for (uint32_t i = 0; i < r->reasons; i++) {
        if (exits[i])
            put_line(t, "core %u  %-24s %llu", core, vmx_exit_reason_name(i),
                     (unsigned long long)exits[i]);
    }
}

static void put_trace(struct text *t, const struct thin_remains *r, unsigned core)
{
    const struct vmx_trace *at = (const struct vmx_trace *)r->core[core].trace;
    struct vmx_trace trace;
    char text[300];

    if (!in_block(r, r->core[core].trace, sizeof(trace)))
        return;
    trace = *at;
    if (!in_block(r, (uint64_t)trace.records, VMX_TRACE_RECORDS * sizeof(*trace.records)))
        return;
    put_line(t, "core %u: the last exits, the latest last; time in ticks since the start", core);
    put_line(t, "  %s", vmx_trace_heading);
    for (uint64_t n = vmx_trace_first(&trace, THIN_REMAINS_RECORDS); n < trace.count; n++) {
        vmx_trace_describe(text, sizeof(text), vmx_trace_at(&trace, n), r->start_tsc);
        put_line(t, "  %s", text);
    }
}

size_t thin_remains_text(const struct thin_remains *r, char *out, size_t bytes)
{
    struct text t = { out, bytes, 0 };

    out[0] = 0;
    put_line(&t, "Thin mode, as the last start left it in memory: %u core%s", r->core_count,
             r->core_count == 1 ? "" : "s");
    for (unsigned i = 0; i < r->core_count; i++)
        put_exits(&t, r, i);
    for (unsigned i = 0; i < r->core_count; i++)
        put_trace(&t, r, i);
    return t.used;
}
