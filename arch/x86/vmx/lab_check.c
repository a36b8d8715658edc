/*
 * What was expected against what was observed. Pure; no lock.
 */
#include "x86/lab.h"
#include "hv/format.h"
#include "hv/string.h"

#define TEXT_BYTES 200

/* Exits that the machine causes on its own: passed over unless the experiment is about them. */
#define REASON_EXTERNAL_INTERRUPT 1
#define REASON_INTERRUPT_WINDOW 7
#define REASON_PREEMPTION_TIMER 52

struct judging {
    const struct lab_variant *variant;
    const struct lab_observed *observed;
    struct lab_judge *judge;
    enum lab_verdict verdict;
    bool missing;   /* an exit is known not to come: the guest's end is another one, too */
};

static void say(struct judging *j, enum lab_verdict verdict, const char *format, ...)
    HV_PRINTF(3, 4);

static void say(struct judging *j, enum lab_verdict verdict, const char *format, ...)
{
    char text[TEXT_BYTES];
    va_list args;

    va_start(args, format);
    hv_vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (verdict > j->verdict)
        j->verdict = verdict;
    j->judge->line(j->judge, verdict, text);
}

static bool holds(enum lab_op op, uint64_t observed, uint64_t wanted)
{
    switch (op) {
    case LAB_EQ:
        return observed == wanted;
    case LAB_NE:
        return observed != wanted;
    case LAB_GE:
        return observed >= wanted;
    case LAB_LE:
        return observed <= wanted;
    case LAB_BITS:
        return (observed & wanted) == wanted;
    }
    return false;
}

static const char *op_text(enum lab_op op)
{
    static const char *const texts[] = { "", "not ", "at least ", "at most ", "the bits of " };

    return texts[op];
}

static void check(struct judging *j, const char *where, const struct lab_check *check, bool there,
                  uint64_t observed)
{
    const char *op = op_text((enum lab_op)check->op);

    if (!there)
        say(j, LAB_FAIL, "%s%s is not there; expected %s0x%llx", where, check->fact, op,
            (unsigned long long)check->value);
    else if (holds((enum lab_op)check->op, observed, check->value))
        say(j, LAB_PASS, "%s%s is 0x%llx", where, check->fact, (unsigned long long)observed);
    else if (check->known_text && observed == check->known)
        say(j, LAB_KNOWN, "%s%s is 0x%llx, not %s0x%llx: %s", where, check->fact,
            (unsigned long long)observed, op, (unsigned long long)check->value, check->known_text);
    else
        say(j, LAB_FAIL, "%s%s is 0x%llx; expected %s0x%llx", where, check->fact,
            (unsigned long long)observed, op, (unsigned long long)check->value);
}

/* --- exits in order --- */

static bool mentions(const struct lab_variant *variant, uint32_t reason)
{
    for (unsigned i = 0; i < variant->expect_count; i++) {
        if (variant->expects[i].kind != LAB_EXPECT_VALUE && variant->expects[i].reason == reason)
            return true;
    }
    return false;
}

static bool is_noise(const struct lab_variant *variant, uint32_t reason)
{
    return (reason == REASON_EXTERNAL_INTERRUPT || reason == REASON_PREEMPTION_TIMER ||
            reason == REASON_INTERRUPT_WINDOW) &&
           !mentions(variant, reason);
}

/* The next record that counts, from *at on; NULL behind the last. */
static const struct lab_record *next_record(const struct judging *j, unsigned *at)
{
    while (*at < j->observed->record_count) {
        const struct lab_record *record = &j->observed->records[*at];
        if (!is_noise(j->variant, record->reason))
            return record;
        ++*at;
    }
    return NULL;
}

static void check_record(struct judging *j, const struct lab_expect *expect,
                         const struct lab_record *record, unsigned number)
{
    char where[48];

    hv_snprintf(where, sizeof(where), "exit %u, %s: ", number, lab_reason_name(record->reason));
    for (unsigned i = 0; i < expect->check_count; i++) {
        uint64_t value = 0;
        bool there = lab_fact(record, expect->checks[i].fact, &value);
        check(j, where, &expect->checks[i], there, value);
    }
}

static bool judge_one(struct judging *j, const struct lab_expect *expect, unsigned *at)
{
    const struct lab_record *record;
    unsigned seen = 0;

    while (seen < expect->most && (record = next_record(j, at)) &&
           record->reason == expect->reason) {
        check_record(j, expect, record, *at + 1);
        seen++;
        ++*at;
    }
    if (seen >= expect->least) {
        say(j, LAB_PASS, "%s: %u exits", lab_reason_name(expect->reason), seen);
        return true;
    }
    record = next_record(j, at);
    if (!seen && expect->missing) {
        say(j, LAB_KNOWN, "%s: no exit: %s", lab_reason_name(expect->reason), expect->missing);
        j->missing = true;
        return true;
    }
    say(j, LAB_FAIL, "%s: %u exits; expected %s%u, then came %s", lab_reason_name(expect->reason),
        seen, expect->least == expect->most ? "" : "at least ", expect->least,
        record ? lab_reason_name(record->reason) : "nothing");
    return false;
}

/* What was counted, but not recorded, has no place in an order: it must be of the kind that has none. */
static void judge_dropped(struct judging *j)
{
    unsigned more = 0;

    if (!j->observed->dropped)
        return;
    for (unsigned reason = 0; reason < LAB_REASONS; reason++)
        more += is_noise(j->variant, reason) ? 0 : j->observed->counts[reason];
    for (unsigned i = 0; i < j->observed->record_count; i++)
        more -= !is_noise(j->variant, j->observed->records[i].reason);
    if (more)
        say(j, LAB_FAIL, "%u exits beyond those recorded: not expected", more);
}

static void judge_sequence(struct judging *j)
{
    const struct lab_record *record;
    unsigned at = 0;

    for (unsigned i = 0; i < j->variant->expect_count; i++) {
        if (j->variant->expects[i].kind == LAB_EXPECT_EXIT &&
            !judge_one(j, &j->variant->expects[i], &at))
            return;
    }
    record = next_record(j, &at);
    if (record)
        say(j, LAB_FAIL, "exit %u, %s: not expected", at + 1, lab_reason_name(record->reason));
    judge_dropped(j);
}

static void judge_count(struct judging *j, const struct lab_expect *expect)
{
    unsigned seen = expect->reason < LAB_REASONS ? j->observed->counts[expect->reason] : 0;
    bool ok = seen >= expect->least && seen <= expect->most;

    say(j, ok ? LAB_PASS : LAB_FAIL, "%s: %u exits in all; expected %u to %u",
        lab_reason_name(expect->reason), seen, expect->least, expect->most);
    for (unsigned i = 0; i < j->observed->record_count; i++) {
        if (j->observed->records[i].reason == expect->reason)
            check_record(j, expect, &j->observed->records[i], i + 1);
    }
}

/* --- the rest --- */

static void judge_value(struct judging *j, const struct lab_expect *expect)
{
    const struct lab_check *c = &expect->checks[0];

    for (unsigned i = 0; i < j->observed->value_count; i++) {
        if (strcmp(j->observed->values[i].name, c->fact) == 0) {
            check(j, "value ", c, true, j->observed->values[i].value);
            return;
        }
    }
    check(j, "value ", c, false, 0);
}

static void judge_end(struct judging *j)
{
    const struct lab_observed *o = j->observed;
    bool status = strcmp(j->variant->end, "debug-exit") != 0 || o->status == j->variant->status;

    if (o->watchdog && strcmp(j->variant->end, "watchdog") != 0)
        say(j, LAB_FAIL, "the watchdog stopped it after %u ms", j->variant->limit_ms);
    else if (j->missing || (strcmp(o->end, j->variant->end) == 0 && status))
        say(j, LAB_PASS, "it ended by %s", o->end);
    else
        say(j, LAB_FAIL, "it ended by %s, status %u; expected %s, status %u", o->end, o->status,
            j->variant->end, j->variant->status);
    if (!o->began && j->variant->begins)
        say(j, LAB_FAIL, "the guest did not get to lab_begin()");
    if (o->dropped)
        say(j, LAB_PASS, "%u exits more were counted, not recorded", o->dropped);
}

enum lab_verdict lab_judge_variant(const struct lab_variant *variant,
                                   const struct lab_observed *observed, struct lab_judge *judge)
{
    struct judging j = { variant, observed, judge, LAB_PASS, false };
    bool counted = false;

    if (variant->honoured && observed->began && observed->counts[variant->honoured_reason] == 0) {
        say(&j, LAB_SKIPPED, "the processor offers '%s' and does not honour it", variant->honoured);
        return LAB_SKIPPED;
    }
    for (unsigned i = 0; i < variant->expect_count; i++) {
        if (variant->expects[i].kind == LAB_EXPECT_COUNT) {
            judge_count(&j, &variant->expects[i]);
            counted = true;
        }
    }
    if (!counted)
        judge_sequence(&j);
    for (unsigned i = 0; i < variant->expect_count; i++) {
        if (variant->expects[i].kind == LAB_EXPECT_VALUE)
            judge_value(&j, &variant->expects[i]);
    }
    judge_end(&j);
    return j.verdict;
}

/* --- summaries --- */

static size_t add_reason(char *out, size_t bytes, size_t at, uint32_t reason, unsigned least,
                         unsigned most)
{
    const char *comma = at ? ", " : "";

    if (at >= bytes)
        return at;
    if (least == 1 && most == 1)
        return at + (size_t)hv_snprintf(out + at, bytes - at, "%s%s", comma, lab_reason_name(reason));
    if (least == most)
        return at + (size_t)hv_snprintf(out + at, bytes - at, "%s%s x%u", comma,
                                        lab_reason_name(reason), least);
    return at + (size_t)hv_snprintf(out + at, bytes - at, "%s%s x%u..%u", comma,
                                    lab_reason_name(reason), least, most);
}

void lab_observed_text(const struct lab_observed *observed, char *out, size_t bytes)
{
    size_t at = 0;
    unsigned run;

    hv_snprintf(out, bytes, "none");
    for (unsigned i = 0; i < observed->record_count; i += run) {
        uint32_t reason = observed->records[i].reason;
        for (run = 1; i + run < observed->record_count &&
                      observed->records[i + run].reason == reason;
             run++)
            ;
        at = add_reason(out, bytes, at, reason, run, run);
    }
}

void lab_expected_text(const struct lab_variant *variant, char *out, size_t bytes)
{
    size_t at = 0;

    hv_snprintf(out, bytes, "none");
    for (unsigned i = 0; i < variant->expect_count; i++) {
        const struct lab_expect *e = &variant->expects[i];
        unsigned least = e->least, most = e->most;
        if (e->kind == LAB_EXPECT_VALUE || !e->most)
            continue;
        /* Neighbours of one reason, as lab_observed_text() shows them. */
        for (; i + 1 < variant->expect_count && e[1].kind == e->kind && e[1].reason == e->reason; i++) {
            least += variant->expects[i + 1].least;
            most += variant->expects[i + 1].most;
            e++;
        }
        at = add_reason(out, bytes, at, e->reason, least, most);
    }
}
