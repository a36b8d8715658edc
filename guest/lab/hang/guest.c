/* A guest that does nothing that exits, for ever. */
#include "lab.h"

int guest_main(void)
{
    lab_begin();
    cli();
    for (;;)
        __asm__ volatile("");
}
