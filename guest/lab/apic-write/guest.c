/* A write to a register that the processor stores, but does not act on. */
#include "lab.h"

int guest_main(void)
{
    lab_begin();
    (void)mmio_read32(0xfee00000 + APIC_SVR);
    mmio_write32(0xfee00000 + APIC_SVR, 0x1ff);
    lab_end();
    return 0;
}
