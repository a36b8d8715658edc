/*
 * Ticks by exit reason: sums, histogram, and both as text. Pure; no lock.
 */
#include "hv/format.h"
#include "x86/trace.h"

uint64_t vmx_stats_count(const struct vmx_stats_row *row)
{
    uint64_t count = 0;

    for (unsigned i = 0; i < VMX_STATS_BUCKETS; i++)
        count += row->bucket[i];
    return count;
}

void vmx_stats_merge(struct vmx_stats_row *into, const struct vmx_stats_row *from)
{
    into->sum += from->sum;
    if (from->least && (!into->least || from->least < into->least))
        into->least = from->least;
    if (from->most > into->most)
        into->most = from->most;
    for (unsigned i = 0; i < VMX_STATS_BUCKETS; i++)
        into->bucket[i] += from->bucket[i];
}

uint64_t vmx_stats_below(const struct vmx_stats_row *row, unsigned percent)
{
    uint64_t count = vmx_stats_count(row), seen = 0;

    if (count == 0)
        return 0;
    for (unsigned i = 0; i < VMX_STATS_BUCKETS; i++) {
        seen += row->bucket[i];
        /* seen / count >= percent / 100, without overflow for any count below 2^57. */
        if (seen * 100 >= count * percent)
            return UINT64_C(2) << i;
    }
    return UINT64_C(2) << (VMX_STATS_BUCKETS - 1);
}

int vmx_stats_text(char *out, size_t bytes, const struct vmx_stats_row *row)
{
    int length = hv_snprintf(out, bytes, "count=%llu sum=%llu least=%llu most=%llu log2=",
                             (unsigned long long)vmx_stats_count(row), (unsigned long long)row->sum,
                             (unsigned long long)row->least, (unsigned long long)row->most);
    const char *comma = "";

    for (unsigned i = 0; i < VMX_STATS_BUCKETS; i++) {
        size_t used = hv_min_u64((uint64_t)length, bytes);
        if (!row->bucket[i])
            continue;
        length += hv_snprintf(out + used, bytes - used, "%s%u:%llu", comma, i,
                              (unsigned long long)row->bucket[i]);
        comma = ",";
    }
    return length;
}
