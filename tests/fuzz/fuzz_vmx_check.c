// SRCS: arch/x86/vmx/check.c arch/x86/vmx/check_controls.c arch/x86/vmx/check_host.c arch/x86/vmx/check_segments.c arch/x86/vmx/check_guest.c arch/x86/vmx/check_msrs.c arch/x86/vmx/caps.c arch/x86/vmx/vmcs_fields.c vmm/lib/format.c
/*
 * Any VMCS on any processor: the checks answer, and what they say can be printed. The input is
 * first the changes to a VMCS that enters (field, value), then the memory that it points to.
 */
#include <stdlib.h>

#include "arch/x86/vmx/check_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t read_field(void *context, uint32_t encoding)
{
    struct world *w = context;
    if (!vmcs_field_exists(&w->caps, encoding))
        abort();
    return w->v[vmcs_field_find(encoding) - vmcs_fields];
}

static bool read_memory(void *context, uint64_t hpa, void *to, size_t bytes)
{
    struct world *w = context;
    if (hpa >> w->caps.physical_address_bits)
        abort();
    memcpy(to, w->memory + hpa % (sizeof(w->memory) - bytes), bytes);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world w;
    memset(&w, 0, sizeof(w));
    world_base(&w);
    w.input.caps = &w.caps;
    w.input.read = read_field;
    w.input.read_memory = read_memory;
    w.input.context = &w;
    if (size < 2)
        return 0;
    uint8_t kind = data[0];
    w.input.in_smm = kind & 1;
    w.caps.fred = kind & 2;
    if (kind & 4)
        w.caps.procbased2 = 0x7f00000000ull;
    if (kind & 8)
        w.caps.physical_address_bits = 36;
    data++;
    size--;
    for (unsigned changes = 0; size >= 9 && changes < 40; changes++) {
        memcpy(&w.v[data[0] % VMCS_FIELD_COUNT], data + 1, 8);
        data += 9;
        size -= 9;
    }
    memcpy(w.memory, data, size < sizeof(w.memory) ? size : sizeof(w.memory));
    struct vmx_violation found[16];
    size_t count = vmx_check_entry(&w.input, found, 16);
    for (size_t i = 0; i < count && i < 16; i++) {
        char text[400];
        if (vmx_violation_text(text, sizeof(text), &found[i]) < 20)
            abort();
    }
    return 0;
}
