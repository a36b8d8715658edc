/* XSETBV exits always. */
#include "lab.h"

static void wrong(void *unused)
{
    (void)unused;
    xsetbv(0, 0); /* x87 state cannot be turned off */
}

int guest_main(void)
{
    write_cr4(read_cr4() | CR4_OSXSAVE);
    lab_begin();
    xsetbv(0, 1);
    lab_probe("wrong", wrong, NULL);
    lab_end();
    lab_value("xcr0", xgetbv(0));
    return 0;
}
