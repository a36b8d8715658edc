/* PAUSE, once or in a loop. */
#include "lab.h"

int guest_main(void)
{
    lab_begin();
    if (lab_variant("loop") || lab_variant("loop-off")) {
        for (unsigned i = 0; i < 5000; i++)
            pause();
    } else {
        pause();
    }
    lab_end();
    return 0;
}
