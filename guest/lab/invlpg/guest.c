/* INVLPG: an instruction that a guest executes often, and that EPT makes harmless. */
#include "lab.h"

int guest_main(void)
{
    lab_begin();
    invlpg(0x123000);
    lab_end();
    return 0;
}
