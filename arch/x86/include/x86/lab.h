/*
 * The exit laboratory: experiments as data, what was observed, and the comparison of the two.
 *
 * The experiments stand in guest/lab/<name>/experiment.txt; tools/gen-lab turns them into the table
 * `lab_experiments`. Each variant of an experiment is one run of a small VM.
 * Not here: the guests' programs (guest/lab), the report (tools/lab).
 * Lock: none; the laboratory runs on the boot core alone.
 */
#ifndef X86_LAB_H
#define X86_LAB_H

#include "hv/types.h"
#include "x86/vmcs.h"
#include "x86/vmx_errors.h"

struct boot_info;

/* --- what an experiment says --- */

enum lab_op { LAB_EQ, LAB_NE, LAB_GE, LAB_LE, LAB_BITS /* these bits are set */ };

/* One demand on a fact of an exit, or on a value. `known`: what an emulator is known to give
 * instead; then `known_text` says which and why. */
struct lab_check {
    const char *fact;
    uint8_t op; /* enum lab_op */
    uint64_t value;
    uint64_t known;
    const char *known_text; /* NULL: no known difference */
};

enum lab_expect_kind {
    LAB_EXPECT_EXIT,  /* the next exits in order: from `least` to `most` of them */
    LAB_EXPECT_COUNT, /* so many of this reason in all, wherever; then the order is not looked at */
    LAB_EXPECT_VALUE, /* something that the guest or the laboratory has reported */
};

/* VMLAUNCH or VMRESUME failed without an exit: stands where a reason does. */
#define LAB_VMFAIL 0xffffu

struct lab_expect {
    uint8_t kind; /* enum lab_expect_kind */
    uint16_t reason;
    uint32_t least, most;
    const struct lab_check *checks;
    unsigned check_count;
    const char *missing; /* LAB_EXPECT_EXIT: who is known not to exit here, and why; NULL: nobody */
};

enum lab_action_kind {
    LAB_POLICY,     /* wish `name` of struct vm_policy becomes `a` */
    LAB_NUMBER,     /* number `name` of struct vm_policy */
    LAB_VMCS,       /* field `name` */
    LAB_PAGE,       /* 8 bytes at offset `a` of page number `b` */
    LAB_FILL,       /* page number `b`, every byte */
    LAB_EPT,        /* rights `b` for `c` bytes from `a` */
    LAB_EPT_MAP,    /* page `value` at `a`, rights `b` */
    LAB_EPT_ENTRY,  /* the 4 KB entry of `a`: its address stays, its other bits become `b` */
    LAB_EPT_APIC,   /* the machine's own local APIC at `a` */
    LAB_MSR,        /* MSR `a`: bit 0 of `b` reads exit, bit 1 writes do */
    LAB_PORT,       /* port `a` exits if `b` */
    LAB_POST,       /* interrupt `a` for the guest's local APIC; NMI: 0x100 */
    LAB_INVVPID,
    LAB_INVEPT,
    LAB_REPORT_VMCS, /* value `text` is field `name` */
    LAB_REPORT_PAGE, /* value `text` is the 8 bytes at offset `a` of page `b` */
    LAB_REPORT_EPT,  /* value `text` is the EPT entry of `a` without its address; `b`: its level */
    LAB_NEEDS,       /* skipped where the processor cannot grant the wish `name` */
};

/* What a number in an action stands for. */
enum lab_value_kind { LAB_VALUE_NUMBER, LAB_VALUE_PAGE, LAB_VALUE_EPTP, LAB_VALUE_FIELD /* `text` */ };

#define LAB_STAGE_START 0 /* before the first entry; 1..LAB_STAGE_LAST: when the guest asks for it */
#define LAB_STAGE_LAST 15
#define LAB_STAGE_END 16  /* when the guest says that it has ended */

enum lab_assign { LAB_SET, LAB_OR, LAB_AND_NOT };

struct lab_action {
    uint8_t kind;       /* enum lab_action_kind */
    uint8_t stage;
    uint8_t assign;     /* enum lab_assign: LAB_VMCS, LAB_NUMBER */
    uint8_t value_kind; /* enum lab_value_kind, of `value` */
    const char *name, *text;
    uint64_t a, b, c;
    uint64_t value;
};

struct lab_variant {
    const char *name; /* "" where there is only one */
    const struct lab_action *actions;
    unsigned action_count;
    const struct lab_expect *expects;
    unsigned expect_count;
    const char *end;  /* the reason of the VM's end: "debug-exit", "crash" */
    unsigned status;  /* its status, with debug-exit */
    unsigned limit_ms;
    unsigned stop;    /* the VM is stopped after so many exits; 0: it is not */
    bool begins;      /* the guest gets to lab_begin(); else everything from the first entry counts */
    const char *honoured; /* control that must cause exits of reason `honoured_reason`, or NULL */
    uint16_t honoured_reason;
};

struct lab_experiment {
    const char *name;
    const char *title;
    uint16_t reason;
    const struct lab_variant *variants;
    unsigned variant_count;
};

/* Generated: build/gen/lab_table.c. */
extern const struct lab_experiment lab_experiments[];
extern const unsigned lab_experiment_count;

/* --- what was observed --- */

#define LAB_RECORDS 64
#define LAB_VALUES 48
#define LAB_NAME_BYTES 32
#define LAB_REASONS 96
#define LAB_GPRS 16

/* One exit, with the whole VMCS before the handler and after it. */
struct lab_record {
    uint32_t reason;        /* basic, or LAB_VMFAIL */
    bool entry_failed;
    uint32_t error;         /* VM-instruction error, with LAB_VMFAIL */
    unsigned answer;        /* the handler's */
    uint64_t ticks;         /* from before the handler to behind it */
    struct vmx_exit_facts facts;
    uint64_t gprs_before[LAB_GPRS], gprs_after[LAB_GPRS];
    uint64_t before[VMCS_FIELD_COUNT], after[VMCS_FIELD_COUNT];
};

struct lab_value {
    char name[LAB_NAME_BYTES];
    uint64_t value;
};

struct lab_observed {
    struct lab_record records[LAB_RECORDS];
    unsigned record_count;  /* that are there */
    unsigned dropped;       /* exits that had no room */
    unsigned counts[LAB_REASONS];
    uint64_t ticks;         /* of all handlers */
    struct lab_value values[LAB_VALUES];
    unsigned value_count;
    bool began, ended;      /* the guest said so */
    bool watchdog;          /* it was stopped */
    char end[24];           /* why the VM ended */
    unsigned status;
};

enum lab_verdict { LAB_PASS, LAB_KNOWN, LAB_FAIL, LAB_SKIPPED };

/* --- lab_facts.c: pure --- */

/* The fact of that name ("length", "cr.gpr", "before.GUEST_RIP", "after.RAX", "rip": how far RIP was
 * moved). False: the exit does not have it, or there is none of that name. */
bool lab_fact(const struct lab_record *record, const char *name, uint64_t *value);

/* Names of the facts that the SDM defines for an exit reason, separated by blanks. */
const char *lab_fact_names(uint32_t reason);

/* The reason's name, also for LAB_VMFAIL. */
const char *lab_reason_name(uint32_t reason);

const char *lab_gpr_name(unsigned gpr);

/* --- lab_check.c: pure --- */

/* Takes one line about a demand: kept, kept but for a known difference, or not. */
struct lab_judge {
    void (*line)(struct lab_judge *judge, enum lab_verdict verdict, const char *text);
};

/* Compares; every demand gives a line. */
enum lab_verdict lab_judge_variant(const struct lab_variant *variant,
                                   const struct lab_observed *observed, struct lab_judge *judge);

/* "CPUID, HLT x3": the exits in order. */
void lab_observed_text(const struct lab_observed *observed, char *out, size_t bytes);
void lab_expected_text(const struct lab_variant *variant, char *out, size_t bytes);

/* --- lab.c --- */

/* Runs what the operator's file asks for and prints it. Boot core, before its loop. */
void lab_run(const struct boot_info *info);

#endif
