/*
 * The capability report: x86/caps_text.h. Pure; no lock.
 */
#include "x86/caps_text.h"

#include "hv/format.h"
#include "x86/vmx_policy.h"

struct group {
    const char *title, *msr_name;
    uint32_t msr;
    enum vmx_word word;
    uint64_t value;
    bool exists;
    bool wide; /* 64 bits of what can be set */
};

static void print_bit(const struct group *g, unsigned bit, vmx_caps_line_fn line, void *context)
{
    uint64_t may = g->wide ? g->value : g->value >> 32;
    uint64_t must = g->wide ? 0 : (uint32_t)g->value;
    const char *name = vmx_control_name(g->word, bit);
    char text[100], unnamed[24];

    if (!name) {
        /* Bits that are always 1 and mean nothing, and those of a newer SDM. */
        if (!(may >> bit & 1) || (must >> bit & 1))
            return;
        hv_snprintf(unnamed, sizeof(unnamed), "bit %u", bit);
        name = unnamed;
    }
    hv_snprintf(text, sizeof(text), "  %s: Can set=%s, Can clear=%s", name,
                may >> bit & 1 ? "Yes" : "No", must >> bit & 1 ? "No" : "Yes");
    line(context, text);
}

static void print_group(const struct group *g, vmx_caps_line_fn line, void *context)
{
    char text[100];

    if (!g->exists)
        return;
    hv_snprintf(text, sizeof(text), "%s: %s (0x%x) = 0x%016llx", g->title, g->msr_name, g->msr,
                (unsigned long long)g->value);
    line(context, text);
    for (unsigned bit = 0; bit < (g->wide ? 64 : 32); bit++)
        print_bit(g, bit, line, context);
}

void vmx_caps_text(const struct vmx_caps *caps, bool use_true, vmx_caps_line_fn line,
                   void *context)
{
    bool t = use_true && (caps->basic & VMX_BASIC_TRUE_CONTROLS);
    uint64_t may_cpu = caps->procbased >> 32, may_exit = caps->exit >> 32;
    const struct group groups[] = {
        { "Pin-based controls", t ? "IA32_VMX_TRUE_PINBASED_CTLS" : "IA32_VMX_PINBASED_CTLS",
          t ? 0x48d : 0x481, VMX_WORD_PIN, t ? caps->true_pinbased : caps->pinbased, true, false },
        { "Processor-based controls",
          t ? "IA32_VMX_TRUE_PROCBASED_CTLS" : "IA32_VMX_PROCBASED_CTLS", t ? 0x48e : 0x482,
          VMX_WORD_CPU, t ? caps->true_procbased : caps->procbased, true, false },
        { "Secondary processor-based controls", "IA32_VMX_PROCBASED_CTLS2", 0x48b, VMX_WORD_CPU2,
          caps->procbased2, may_cpu & CPU_ACTIVATE_SECONDARY_CONTROLS, false },
        { "Tertiary processor-based controls", "IA32_VMX_PROCBASED_CTLS3", 0x492, VMX_WORD_CPU3,
          caps->procbased3, may_cpu & CPU_ACTIVATE_TERTIARY_CONTROLS, true },
        { "Exit controls", t ? "IA32_VMX_TRUE_EXIT_CTLS" : "IA32_VMX_EXIT_CTLS", t ? 0x48f : 0x483,
          VMX_WORD_EXIT, t ? caps->true_exit : caps->exit, true, false },
        { "Secondary exit controls", "IA32_VMX_EXIT_CTLS2", 0x493, VMX_WORD_EXIT2, caps->exit2,
          may_exit & EXIT_ACTIVATE_SECONDARY_CONTROLS, true },
        { "Entry controls", t ? "IA32_VMX_TRUE_ENTRY_CTLS" : "IA32_VMX_ENTRY_CTLS",
          t ? 0x490 : 0x484, VMX_WORD_ENTRY, t ? caps->true_entry : caps->entry, true, false },
    };

    for (size_t i = 0; i < HV_ARRAY_COUNT(groups); i++)
        print_group(&groups[i], line, context);
}
