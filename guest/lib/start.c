/*
 * The first C code: what the loader said is copied before low memory is used, then the pieces are
 * set up in the order in which they need each other.
 * Multiboot Specification 0.6.96, "Boot information format".
 */
#include "guest_internal.h"

#define INFO_MEMORY BIT(0)
#define INFO_CMDLINE BIT(2)

struct guest_boot guest_boot;

static void copy_boot(void)
{
    const uint32_t *info = (const uint32_t *)(uint64_t)guest_boot_info;
    const char *from;
    size_t i;

    guest_boot.magic = guest_boot_magic;
    if (guest_boot.magic != MULTIBOOT_MAGIC)
        return;
    guest_boot.flags = info[0];
    if (info[0] & INFO_MEMORY) {
        guest_boot.mem_lower_kb = info[1];
        guest_boot.mem_upper_kb = info[2];
    }
    if (!(info[0] & INFO_CMDLINE))
        return;
    from = (const char *)(uint64_t)info[4];
    for (i = 0; i < sizeof(guest_boot.cmdline) - 1 && from[i]; i++)
        guest_boot.cmdline[i] = from[i];
}

const char *guest_option(const char *name, size_t *length)
{
    size_t n = strlen(name);

    for (const char *p = guest_boot.cmdline; *p; p++) {
        if ((p != guest_boot.cmdline && p[-1] != ' ') || memcmp(p, name, n) != 0 || p[n] != '=')
            continue;
        p += n + 1;
        for (*length = 0; p[*length] && p[*length] != ' '; ++*length)
            ;
        return p;
    }
    return NULL;
}

void guest_start(void)
{
    copy_boot();
    guest_console_init();
    guest_trap_init();
    guest_trap_init_cpu(0);
    guest_pic_init(PIC_BASE, PIC_SLAVE_BASE);
    guest_tsc_hz = guest_measure_tsc_hz(3);
    guest_exit((unsigned)guest_main());
}
