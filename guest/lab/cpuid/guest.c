/* CPUID exits always: there is no control for it. */
#include "lab.h"

int guest_main(void)
{
    struct cpuid_answer answer;

    lab_begin();
    answer = cpuid(0, 0);
    lab_end();
    lab_value("max-leaf", answer.eax);
    lab_value("vendor-ebx", answer.ebx);
    return 0;
}
