/*
 * The one program that holds every experiment's guest: which one runs stands on its command line,
 * experiment=NAME variant=NAME.
 */
#include "lab.h"
#include "lab_guests.h"

bool lab_variant(const char *name)
{
    size_t length;
    const char *variant = guest_option("variant", &length);

    return variant && length == strlen(name) && memcmp(variant, name, length) == 0;
}

void lab_probe(const char *name, void (*fn)(void *), void *arg)
{
    bool faulted = guest_catch(fn, arg);

    lab_value(name, faulted ? guest_fault()->vector : 255);
}

int guest_main(void)
{
    size_t length;
    const char *name = guest_option("experiment", &length);

    for (unsigned i = 0; name && i < lab_guest_count; i++) {
        if (strlen(lab_guests[i].name) == length && memcmp(lab_guests[i].name, name, length) == 0)
            return lab_guests[i].main();
    }
    guest_print("lab: no such experiment\n");
    return 250;
}
