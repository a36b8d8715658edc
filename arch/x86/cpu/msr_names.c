/*
 * Names of model-specific registers, for messages. Pure; no lock.
 */
#include "hv/types.h"
#include "x86/msr.h"

const char *x86_msr_name(uint32_t number)
{
    static const struct {
        uint32_t number;
        char name[36];
    } names[] = {
#define X86_MSR_NAME(msr, value) { value, #msr },
        X86_MSR_LIST(X86_MSR_NAME)
#undef X86_MSR_NAME
    };
    for (size_t i = 0; i < HV_ARRAY_COUNT(names); i++)
        if (names[i].number == number)
            return names[i].name + 4; /* past "MSR_" */
    return NULL;
}
