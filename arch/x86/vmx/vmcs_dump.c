/*
 * A VMCS as text, by the list of its fields. SDM volume 3, "Organization of VMCS Data" for the
 * groups.
 *
 * Pure; no lock.
 */
#include "x86/vmcs_dump.h"

#include "hv/format.h"
#include "hv/string.h"
#include "x86/vmx_policy.h"

#define LINE_BYTES 101

/* Which field is which control word. */
static bool field_word(uint32_t encoding, enum vmx_word *word)
{
    static const struct { uint32_t encoding; enum vmx_word word; } words[] = {
        { VMCS_PIN_BASED_CONTROLS, VMX_WORD_PIN },
        { VMCS_PRIMARY_PROC_BASED_CONTROLS, VMX_WORD_CPU },
        { VMCS_SECONDARY_PROC_BASED_CONTROLS, VMX_WORD_CPU2 },
        { VMCS_TERTIARY_PROC_BASED_CONTROLS, VMX_WORD_CPU3 },
        { VMCS_EXIT_CONTROLS, VMX_WORD_EXIT },
        { VMCS_SECONDARY_EXIT_CONTROLS, VMX_WORD_EXIT2 },
        { VMCS_ENTRY_CONTROLS, VMX_WORD_ENTRY },
    };
    for (size_t i = 0; i < HV_ARRAY_COUNT(words); i++) {
        if (words[i].encoding == encoding) {
            *word = words[i].word;
            return true;
        }
    }
    return false;
}

void vmcs_dump_controls(enum vmx_word word, uint64_t value, unsigned indent, vmcs_line_fn line,
                        void *line_context)
{
    char text[LINE_BYTES];
    size_t used = 0;
    for (unsigned bit = 0; bit < 64; bit++) {
        const char *name = value >> bit & 1 ? vmx_control_name(word, bit) : NULL;
        if (!name)
            continue;
        if (used && used + 2 + strlen(name) >= sizeof(text)) {
            line(line_context, text);
            used = 0;
        }
        used += (size_t)hv_snprintf(text + used, sizeof(text) - used, "%*s%s%s",
                                    used ? 0 : (int)indent, "", used ? ", " : "", name);
    }
    if (used)
        line(line_context, text);
}

static void dump_field(const struct vmcs_field_info *info, vmcs_read_fn read, void *read_context,
                       vmcs_line_fn line, void *line_context)
{
    char text[LINE_BYTES];
    uint64_t value = 0;
    int digits = (int)(2 * vmcs_width_bytes((enum vmcs_width)info->width));
    if (!read(read_context, info->encoding, &value)) {
        hv_snprintf(text, sizeof(text), "  %-37s (can't be read)", info->name);
        line(line_context, text);
        return;
    }
    hv_snprintf(text, sizeof(text), "  %-37s %*s%0*llx", info->name, 16 - digits, "", digits,
                (unsigned long long)value);
    line(line_context, text);
    enum vmx_word word;
    if (field_word(info->encoding, &word))
        vmcs_dump_controls(word, value, 6, line, line_context);
}

void vmcs_dump(const struct vmx_caps *caps, vmcs_read_fn read, void *read_context,
               vmcs_line_fn line, void *line_context)
{
    static const struct { enum vmcs_type type; const char *title; } groups[] = {
        { VMCS_TYPE_GUEST, "guest state" },
        { VMCS_TYPE_HOST, "host state" },
        { VMCS_TYPE_CONTROL, "controls" },
        { VMCS_TYPE_READ_ONLY, "exit information" },
    };
    for (size_t group = 0; group < HV_ARRAY_COUNT(groups); group++) {
        line(line_context, groups[group].title);
        for (size_t i = 0; i < VMCS_FIELD_COUNT; i++)
            if (vmcs_fields[i].type == groups[group].type &&
                vmcs_field_exists(caps, vmcs_fields[i].encoding))
                dump_field(&vmcs_fields[i], read, read_context, line, line_context);
    }
}
