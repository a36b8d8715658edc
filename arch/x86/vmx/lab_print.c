/*
 * What the laboratory says: one line a fact, each beginning with "LAB " and a word, then key=value
 * pairs (values with blanks in double quotes), for tools/lab; and a table for people.
 *
 *   LAB machine ...                        once
 *   LAB capability word=PIN may=0x.. must=0x..
 *   LAB run experiment=.. variant=..       a variant begins
 *   LAB exit n=.. reason=.. ...            one exit; facts that the SDM defines for it, what changed
 *   LAB access when=.. kind=.. field=..    debug build, one experiment: a VMREAD or VMWRITE of the first exit
 *   LAB value name=.. value=0x..           what the guest reported, or what was read back
 *   LAB check verdict=.. text=".."         one demand; without an experiment of its own only others
 *                                          than "pass" are shown
 *   LAB end experiment=.. variant=.. verdict=.. ...
 *   LAB total pass=.. known=.. fail=.. skipped=.. ticks=.. leaked=..   (bytes)
 *
 * The log is silent while a variant runs: what a guest is made to do is no news there.
 */
#include "arch/x86/vmx/lab_internal.h"
#include "hv/report.h"
#include "hv/format.h"
#include "hv/string.h"

#define LINE_BYTES 480
#define CHANGES_SHOWN 4

static const char *const verdict_words[] = {
    [LAB_PASS] = "pass", [LAB_KNOWN] = "known", [LAB_FAIL] = "FAIL", [LAB_SKIPPED] = "skipped",
};

void lab_print(const char *format, ...)
{
    char line[LINE_BYTES];
    va_list args;
    int n;

    va_start(args, format);
    n = hv_vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    report_line(line, hv_min_u64((uint64_t)n, sizeof(line) - 1));
}

/* --- a line that grows --- */

struct line {
    char text[LINE_BYTES];
    size_t at;
};

static void add(struct line *line, const char *format, ...) HV_PRINTF(2, 3);

static void add(struct line *line, const char *format, ...)
{
    va_list args;

    if (line->at >= sizeof(line->text))
        return;
    va_start(args, format);
    line->at += (size_t)hv_vsnprintf(line->text + line->at, sizeof(line->text) - line->at, format,
                                     args);
    va_end(args);
}

static void flush(struct line *line)
{
    report_line(line->text, hv_min_u64(line->at, sizeof(line->text) - 1));
    line->at = 0;
}

/* --- machine --- */

static void add_brand(struct line *line)
{
    uint32_t words[13] = { 0 };

    for (unsigned i = 0; i < 3; i++) {
        struct cpuid_regs r = cpuid(0x80000002u + i, 0);
        memcpy(&words[4 * i], &r, sizeof(r));
    }
    add(line, " brand=\"%s\"", (const char *)words);
}

void lab_print_header(const struct boot_info *info)
{
    static const char *const words[] = { "PIN", "CPU", "CPU2", "CPU3", "EXIT", "EXIT2", "ENTRY" };
    struct line line = { .at = 0 };

    (void)info;
    add(&line, "LAB machine signature=0x%x revision=0x%x tsc_hz=%llu experiments=%u",
        cpuid(1, 0).eax, vmx_caps_revision(vmx_host_caps()), (unsigned long long)arch_tsc_hz(),
        lab_experiment_count);
    add_brand(&line);
    flush(&line);
    for (unsigned i = 0; i < VMX_WORD_COUNT; i++) {
        struct vmx_allowed allowed = vmx_caps_allowed(vmx_host_caps(), (enum vmx_word)i);
        lab_print("LAB capability word=%s may=0x%llx must=0x%llx", words[i],
                  (unsigned long long)allowed.may_be_1, (unsigned long long)allowed.must_be_1);
    }
    lab_print("LAB capability word=EPT may=0x%llx must=0x0",
              (unsigned long long)vmx_host_caps()->ept_vpid_cap);
}

/* --- exits --- */

static void add_facts(struct line *line, const struct lab_record *record)
{
    const char *at = lab_fact_names(record->reason);

    while (*at) {
        const char *blank = strchr(at, ' ');
        size_t n = blank ? (size_t)(blank - at) : strlen(at);
        char name[LAB_NAME_BYTES];
        uint64_t value;
        hv_snprintf(name, sizeof(name), "%.*s", (int)n, at);
        if (lab_fact(record, name, &value))
            add(line, " %s=0x%llx", name, (unsigned long long)value);
        at += n + (blank != NULL);
    }
}

static void add_change(struct line *line, unsigned *count, unsigned most, const char *name,
                       uint64_t before, uint64_t after)
{
    if (before == after || *count == most)
        return;
    add(line, "%s%s:0x%llx>0x%llx", *count ? "," : " changed=", name, (unsigned long long)before,
        (unsigned long long)after);
    ++*count;
}

static void add_changes(struct line *line, const struct lab_record *record, unsigned most)
{
    unsigned count = 0;

    for (unsigned i = 0; i < LAB_GPRS; i++) {
        if (i != X86_RSP)
            add_change(line, &count, most, lab_gpr_name(i), record->gprs_before[i],
                       record->gprs_after[i]);
    }
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++)
        add_change(line, &count, most, vmcs_fields[i].name, record->before[i], record->after[i]);
}

static void print_exit(const struct lab *lab, unsigned number, const struct lab_record *record)
{
    struct line line = { .at = 0 };

    add(&line, "LAB exit n=%u reason=%u name=%s ticks=%llu rip=0x%llx next=%u", number,
        record->reason, lab_reason_name(record->reason), (unsigned long long)record->ticks,
        (unsigned long long)(record->after[VMCS_INDEX_GUEST_RIP] -
                             record->before[VMCS_INDEX_GUEST_RIP]),
        record->answer & EXIT_ANSWER_NEXT_MASK);
    add_facts(&line, record);
    if (record->facts.vectoring & VMX_INTR_VALID)
        add(&line, " vectoring=0x%x", record->facts.vectoring);
    add_changes(&line, record, lab->full ? VMCS_FIELD_COUNT : CHANGES_SHOWN);
    flush(&line);
    if (lab->full) {
        char text[400];
        vmx_describe_exit(text, sizeof(text), &record->facts);
        lab_print("    exit %u: %s", number, text);
    }
}

void lab_print_run(struct lab *lab)
{
    const struct lab_observed *o = &lab->observed;
    unsigned shown = lab->full ? LAB_RECORDS : 16;

    lab_print("LAB run experiment=%s variant=%s", lab->experiment->name, lab->variant->name);
    for (unsigned i = 0; i < o->record_count && i < shown; i++)
        print_exit(lab, i + 1, &o->records[i]);
    for (unsigned i = 0; i < lab->access_count; i++)
        lab_print("LAB access when=%s kind=%s field=%s", lab->accesses[i].entry ? "entry" : "exit",
                  lab->accesses[i].write ? "write" : "read",
                  vmcs_field_name(lab->accesses[i].field));
    for (unsigned i = 0; i < o->value_count; i++)
        lab_print("LAB value name=%s value=0x%llx", o->values[i].name,
                  (unsigned long long)o->values[i].value);
}

/* --- the verdict --- */

struct printing_judge {
    struct lab_judge judge;
    bool all;
};

static void print_check(struct lab_judge *judge, enum lab_verdict verdict, const char *text)
{
    struct printing_judge *p = HV_CONTAINER_OF(judge, struct printing_judge, judge);

    if (p->all || verdict != LAB_PASS)
        lab_print("LAB check verdict=%s text=\"%s\"", verdict_words[verdict], text);
}

enum lab_verdict lab_print_verdict(struct lab *lab)
{
    struct printing_judge p = { { print_check }, lab->full };
    enum lab_verdict verdict = LAB_SKIPPED;
    char expected[120], observed[160];

    if (lab->refusal[0])
        lab_print("LAB check verdict=skipped text=\"%s\"", lab->refusal);
    else
        verdict = lab_judge_variant(lab->variant, &lab->observed, &p.judge);
    lab_expected_text(lab->variant, expected, sizeof(expected));
    lab_observed_text(&lab->observed, observed, sizeof(observed));
    lab_print("LAB end experiment=%s variant=%s reason=%u verdict=%s exits=%u ticks=%llu "
              "expected=\"%s\" observed=\"%s\"",
              lab->experiment->name, lab->variant->name, lab->experiment->reason,
              verdict_words[verdict], lab->observed.record_count + lab->observed.dropped,
              (unsigned long long)lab->observed.ticks, expected, observed);
    lab->verdicts[verdict]++;
    return verdict;
}
