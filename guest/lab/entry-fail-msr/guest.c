/* Goes on after the VMCS has been changed behind its back; it is not to get there. */
#include "lab.h"

int guest_main(void)
{
    lab_begin();
    lab_stage(1);
    lab_end();
    return 0;
}
