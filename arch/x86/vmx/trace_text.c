/*
 * Records of the trace ring as text: for people, and for tools/trace. Pure; no lock.
 *
 * A record holds what a guest did, so any value may stand in any field.
 */
#include "hv/format.h"
#include "hv/vm.h"
#include "x86/trace.h"
#include "x86/vmx_bits.h"
#include "x86/vmx_errors.h"

typedef unsigned long long ull;

/* Reasons of which more is kept than the qualification; numbers as in exits.def. */
enum { EXCEPTION_NMI = 0, EXTERNAL_INTERRUPT = 1, CPUID = 10, CR_ACCESS = 28, MOV_DR = 29,
       IO_INSTRUCTION = 30, RDMSR = 31, WRMSR = 32, EPT_VIOLATION = 48, EPT_MISCONFIG = 49 };

const char vmx_trace_heading[] =
    "        time    ticks  rip               exit";

uint64_t vmx_trace_first(const struct vmx_trace *trace, uint64_t most)
{
    uint64_t kept = hv_min_u64(trace->count, VMX_TRACE_RECORDS);

    return trace->count - hv_min_u64(kept, most);
}

const struct vmx_trace_record *vmx_trace_at(const struct vmx_trace *trace, uint64_t number)
{
    return &trace->records[number % VMX_TRACE_RECORDS];
}

/* --- text that grows and is cut, never overrun --- */

struct text {
    char *out;
    size_t bytes, length;
};

static void text_add(struct text *text, const char *format, ...) HV_PRINTF(2, 3);

static void text_add(struct text *text, const char *format, ...)
{
    size_t used = hv_min_u64(text->length, text->bytes);
    va_list args;

    va_start(args, format);
    text->length += (size_t)hv_vsnprintf(text->out + used, text->bytes - used, format, args);
    va_end(args);
}

static void add_exit(struct text *text, const struct vmx_trace_record *r)
{
    size_t used = hv_min_u64(text->length, text->bytes);
    struct vmx_exit_facts facts = { .reason = r->reason, .qualification = r->qualification };

    switch (r->reason & VMX_EXIT_REASON_BASIC_MASK) {
    case EXCEPTION_NMI:
    case EXTERNAL_INTERRUPT:
        facts.interruption = (uint32_t)r->detail;
        facts.interruption_error = (uint32_t)(r->detail >> 32);
        break;
    case IO_INSTRUCTION:
        facts.guest_linear = vmx_io_access_decode(r->qualification).string ? r->value : 0;
        break;
    case EPT_VIOLATION:
    case EPT_MISCONFIG:
        facts.guest_physical = r->detail;
        facts.guest_linear = r->value;
        break;
    default:
        break;
    }
    text->length += (size_t)vmx_describe_exit(text->out + used, text->bytes - used, &facts);
}

/* What is kept beyond the processor's own facts. */
static void add_values(struct text *text, const struct vmx_trace_record *r)
{
    switch (r->reason & VMX_EXIT_REASON_BASIC_MASK) {
    case CPUID:
        text_add(text, ": leaf 0x%x.%x", (uint32_t)r->detail, (uint32_t)(r->detail >> 32));
        break;
    case RDMSR:
    case WRMSR:
        text_add(text, ": 0x%x = 0x%llx", (uint32_t)r->detail, (ull)r->value);
        break;
    case CR_ACCESS:
        if (vmx_cr_access_decode(r->qualification).type <= VMX_CR_MOV_FROM)
            text_add(text, " = 0x%llx", (ull)r->value);
        break;
    case MOV_DR:
        text_add(text, " = 0x%llx", (ull)r->value);
        break;
    case IO_INSTRUCTION: {
        struct vmx_io_access io = vmx_io_access_decode(r->qualification);
        if (!io.string)
            text_add(text, ", 0x%llx",
                     (ull)(r->value & (io.size >= 4 ? UINT32_MAX : (1u << 8 * io.size) - 1)));
        break;
    }
    default:
        break;
    }
}

static void add_event(struct text *text, const char *what, uint32_t information)
{
    char event[80];

    if (!vmx_intr_valid(information))
        return;
    /* The error code is not kept. */
    vmx_describe_event(event, sizeof(event), information & ~VMX_INTR_ERROR_CODE, 0);
    text_add(text, "; %s %s", what, event);
}

static const char *next_word(unsigned next)
{
    static const char *const words[] = { NULL, "yields", "sleeps", "ends" };

    return next < HV_ARRAY_COUNT(words) ? words[next] : "?";
}

int vmx_trace_describe(char *out, size_t bytes, const struct vmx_trace_record *record,
                       uint64_t start_tsc)
{
    struct text text = { out, bytes, 0 };

    text_add(&text, "%12llu ", (ull)(record->tsc - start_tsc));
    if (record->flags & VMX_TRACE_OPEN)
        text_add(&text, "       -");
    else
        text_add(&text, "%8u", record->ticks);
    text_add(&text, "  %016llx  ", (ull)record->rip);
    add_exit(&text, record);
    add_values(&text, record);
    add_event(&text, "entered with", record->injected);
    add_event(&text, "queues", record->queued);
    if (next_word(record->next))
        text_add(&text, "; %s", next_word(record->next));
    return (int)text.length;
}

int vmx_trace_encode(char *out, size_t bytes, const char *vm, unsigned vcpu, uint64_t number,
                     const struct vmx_trace_record *record)
{
    return hv_snprintf(out, bytes, "TRACE %s %u %llu %llx %u %u %llx %llx %llx %llx %x %x %x %x", vm,
                       vcpu, (ull)number, (ull)record->tsc, record->ticks, record->reason,
                       (ull)record->rip, (ull)record->qualification, (ull)record->detail,
                       (ull)record->value, record->injected, record->queued, record->next,
                       record->flags);
}
