/*
 * What is kept of VM exits: a ring of the last ones, and how many ticks each reason took.
 *
 * Not here: when something is recorded (arch/x86/vmx/recorder.c). Pure; no lock: a ring and its
 * statistics are written by the core of their vCPU only, and others read single words of them.
 */
#ifndef X86_TRACE_H
#define X86_TRACE_H

#include "hv/types.h"

/* --- the ring --- */

#define VMX_TRACE_RECORDS 1024u /* a power of two: 64 KB a vCPU */

enum vmx_trace_flags {
    VMX_TRACE_OPEN = 1u << 0,     /* its handler has not come back */
    VMX_TRACE_ADVANCED = 1u << 1, /* RIP was moved past the instruction */
};

/* One exit, in a cache line. Qualification, detail and value are 0 where the reason has none. */
struct vmx_trace_record {
    uint64_t tsc;           /* host TSC when handling began */
    uint64_t rip;           /* of the guest, before anything moved it */
    uint64_t qualification;
    uint64_t detail;        /* CPUID: EAX | ECX << 32; MSRs: the index; EPT: guest-physical address;
                               exceptions and interrupts: information | error code << 32 */
    uint64_t value;         /* I/O: RAX after it; MSRs: the value; CR and DR access: the register;
                               EPT violation: guest-linear address */
    uint32_t reason;
    uint32_t ticks;         /* from tsc to the handler's end */
    uint32_t injected;      /* the event that the entry before this exit delivered, or 0 */
    uint32_t queued;        /* the event that waits for the next entry, or 0 */
    uint8_t next;           /* enum vcpu_next */
    uint8_t flags;          /* VMX_TRACE_ */
    uint16_t reserved;
    uint32_t reserved2;
};

_Static_assert(sizeof(struct vmx_trace_record) == 64, "one cache line");

struct vmx_trace {
    struct vmx_trace_record *records; /* VMX_TRACE_RECORDS of them, or NULL */
    uint64_t count;                   /* ever begun */
};

static inline struct vmx_trace_record *vmx_trace_begin(struct vmx_trace *trace)
{
    return &trace->records[trace->count++ % VMX_TRACE_RECORDS];
}

static inline struct vmx_trace_record *vmx_trace_last(struct vmx_trace *trace)
{
    return &trace->records[(trace->count - 1) % VMX_TRACE_RECORDS];
}

/* The number of the oldest record that is still there, if at most `most` are wanted. */
uint64_t vmx_trace_first(const struct vmx_trace *trace, uint64_t most);

/* The record with a number from vmx_trace_first() to count - 1. */
const struct vmx_trace_record *vmx_trace_at(const struct vmx_trace *trace, uint64_t number);

/* One record in words, its time counted from `start_tsc`. Always terminated. Returns the length it
 * has, as snprintf does. */
int vmx_trace_describe(char *out, size_t bytes, const struct vmx_trace_record *record,
                       uint64_t start_tsc);

/* The heading that goes over lines of vmx_trace_describe(). */
extern const char vmx_trace_heading[];

/* One record as tools/trace reads it:
 * "TRACE vm vcpu number tsc ticks reason rip qualification detail value injected queued next flags",
 * number, ticks and reason decimal, the rest hexadecimal. */
int vmx_trace_encode(char *out, size_t bytes, const char *vm, unsigned vcpu, uint64_t number,
                     const struct vmx_trace_record *record);

/* --- ticks by reason --- */

#define VMX_STATS_REASONS 96u
#define VMX_STATS_BUCKETS 29u /* bucket n: from 2^n to 2^(n+1) - 1 ticks; the last: everything above */

struct vmx_stats_row {
    uint64_t sum;
    uint64_t least;       /* 0 while nothing was counted */
    uint64_t most;
    uint64_t bucket[VMX_STATS_BUCKETS];
};

_Static_assert(sizeof(struct vmx_stats_row) == 256, "an index is a shift");

struct vmx_stats {
    struct vmx_stats_row row[VMX_STATS_REASONS];
};

static inline unsigned vmx_stats_bucket(uint64_t ticks)
{
    unsigned bit = 63u - (unsigned)__builtin_clzll(ticks | 1);

    return bit < VMX_STATS_BUCKETS ? bit : VMX_STATS_BUCKETS - 1;
}

/* An exit is never free: 0 ticks count as 1, so that `least` can say "nothing yet". */
static inline void vmx_stats_add(struct vmx_stats_row *row, uint64_t ticks)
{
    ticks += ticks == 0;
    row->sum += ticks;
    if (ticks - 1 < row->least - 1)
        row->least = ticks;
    if (ticks > row->most)
        row->most = ticks;
    row->bucket[vmx_stats_bucket(ticks)]++;
}

/* How many exits a row has counted. */
uint64_t vmx_stats_count(const struct vmx_stats_row *row);

void vmx_stats_merge(struct vmx_stats_row *into, const struct vmx_stats_row *from);

/* The least power of two that is above `percent` of the row's exits; 0 for an empty row. */
uint64_t vmx_stats_below(const struct vmx_stats_row *row, unsigned percent);

/* "count=3 sum=300 least=90 most=110 log2=6:3": the exits of 2^6 to 2^7-1 ticks are 3. */
int vmx_stats_text(char *out, size_t bytes, const struct vmx_stats_row *row);

#endif
