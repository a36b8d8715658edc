/* An exception that cannot be delivered, nor the double fault that follows. */
#include "lab.h"

int guest_main(void)
{
    const struct table_register none = { 0, 0 };

    lab_begin();
    lidt(&none);
    __asm__ volatile("ud2");
    return 0;
}
