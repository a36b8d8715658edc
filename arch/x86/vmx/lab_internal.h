/*
 * Between the files of the laboratory only. See x86/lab.h.
 */
#ifndef ARCH_X86_VMX_LAB_INTERNAL_H
#define ARCH_X86_VMX_LAB_INTERNAL_H

#include "arch/x86/vmx/vcpu.h"
#include "x86/lab.h"

#define LAB_PAGES 16
#define LAB_ACCESSES 96

/* One access to the VMCS on the way from the first exit to the entry after it: debug build. */
struct lab_access {
    uint32_t field;
    bool write;
    bool entry;     /* behind the handler */
};

/* One run of one variant, and all that it needs; too large for a stack. */
struct lab {
    const struct lab_experiment *experiment;
    const struct lab_variant *variant;
    struct config_vm config;
    struct vm_extra extra;
    struct vmx_customize customize;
    struct vmx_observer observer;
    struct tq_timer watchdog;
    struct vm *vm;
    struct vmx_vcpu *vcpu;
    bool recording;
    bool called;               /* this exit is the guest's word to the laboratory */
    struct lab_record *open;   /* of the exit that is being handled */
    bool full;                 /* one experiment, shown in full */
    char refusal[200];         /* why it is skipped; empty: it is not */
    void *pages[LAB_PAGES];
    struct lab_access accesses[LAB_ACCESSES];
    unsigned access_count;
    enum { LAB_NOT_YET, LAB_HANDLING, LAB_ENTERING, LAB_OVER } first; /* where the first exit is */
    unsigned verdicts[4];      /* by enum lab_verdict, over all variants */
    struct lab_observed observed;
};

/* --- lab_action.c --- */

/* False: the processor lacks what the variant needs without asking for it; lab->refusal says what. */
bool lab_check_needs(struct lab *lab);
/* Policy wishes and numbers, before the VM is built. */
void lab_apply_policy(struct lab *lab, struct vm_policy *policy);
/* Everything else of one stage; the VMCS is current. False: lab->refusal says why. */
bool lab_apply_stage(struct lab *lab, unsigned stage);
/* Puts `why` into lab->refusal, with the report's own quotes taken out. */
void lab_refuse(struct lab *lab, const char *why);
void lab_free_pages(struct lab *lab);
void lab_add_value(struct lab *lab, const char *name, uint64_t value);

/* --- lab_record.c --- */
void lab_observe(struct lab *lab);

/* --- lab_print.c --- */
void lab_print(const char *format, ...) HV_PRINTF(1, 2);
void lab_print_header(const struct boot_info *info);
void lab_print_run(struct lab *lab);
enum lab_verdict lab_print_verdict(struct lab *lab);

#endif
