/*
 * The machine that Trapline runs on, as far as vmm/ needs it.
 */
#ifndef HV_MACHINE_H
#define HV_MACHINE_H

#include "hv/types.h"

struct boot_info;
struct page_alloc;
struct vm;

/* What the UEFI stage handed over; lives as long as the hypervisor. */
const struct boot_info *machine_boot_info(void);

/* The owner of all free memory. */
struct page_alloc *machine_pages(void);

/* How many VMs the operator asks for. */
unsigned machine_vm_total(void);

/* Called on the boot core once the machine is up and every core that can has reported: builds the
 * VMs of the operator's file. */
void machine_start(const struct boot_info *info);

/* The VM that what is typed goes to, or NULL: the one that the operator chose, else the first one
 * that runs. Boot core. */
struct vm *machine_console_owner(void);
void machine_give_console(struct vm *vm);

/* Every VM has ended: switches off, or starts over, as the operator's file says. */
void machine_end(void);

#endif
