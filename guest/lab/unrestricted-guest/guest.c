/* Real-address mode in a VM. */
#include "lab.h"

int guest_main(void)
{
    static const uint8_t code[] = { 0xb8, 0x34, 0x12, 0xcb }; /* mov ax, 1234h; retf */
    struct mode_registers registers = { 0 };

    lab_begin();
    guest_real_mode(code, sizeof(code), &registers);
    lab_end();
    lab_value("ax", registers.eax & 0xffff);
    return 0;
}
