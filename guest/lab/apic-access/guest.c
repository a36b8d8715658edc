/* Accesses to the local APIC's page, which the processor knows by its address. */
#include "lab.h"

int guest_main(void)
{
    lab_begin();
    (void)mmio_read32(0xfee00000 + APIC_TPR);
    if (lab_variant("read"))
        (void)mmio_read32(0xfee00000 + APIC_VERSION);
    else
        mmio_write32(0xfee00000 + APIC_SVR, 0x1ff);
    lab_end();
    return 0;
}
