/* The guest lowers its task priority below what the VMM waits for. */
#include "lab.h"

int guest_main(void)
{
    write_cr8(8);
    lab_begin();
    lab_stage(1);
    write_cr8(7);
    write_cr8(2);
    lab_end();
    return 0;
}
