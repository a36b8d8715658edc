/*
 * The MP Services protocol, as much of it as Trapline calls.
 * UEFI Platform Initialization specification, volume 2, "MP Services Protocol".
 */
#ifndef BOOT_MP_SERVICES_H
#define BOOT_MP_SERVICES_H

#include "boot/uefi.h"

#define MP_SERVICES_GUID                                                                           \
    { 0x3fdda605, 0xa76e, 0x4f46, { 0xad, 0x29, 0x12, 0xf4, 0x53, 0x1b, 0x3d, 0x08 } }

#define MP_PROCESSOR_IS_BSP 1u
#define MP_PROCESSOR_ENABLED 2u
#define MP_PROCESSOR_HEALTHY 4u

/* EFI_PROCESSOR_INFORMATION; the locations at its end have grown over the versions, and are given
 * room that no version fills. */
struct mp_processor {
    UINT64 processor_id; /* the APIC id */
    UINT32 status;
    UINT32 location[19];
};

struct mp_services;
typedef VOID(EFIAPI *mp_procedure_t)(VOID *argument);

struct mp_services {
    EFI_STATUS(EFIAPI *get_number)(struct mp_services *self, UINTN *all, UINTN *enabled);
    EFI_STATUS(EFIAPI *get_info)(struct mp_services *self, UINTN number, struct mp_processor *info);
    EFI_STATUS(EFIAPI *startup_all)(struct mp_services *self, mp_procedure_t procedure,
                                    BOOLEAN one_by_one, EFI_EVENT event, UINTN timeout_us,
                                    VOID *argument, UINTN **failed);
    EFI_STATUS(EFIAPI *startup_this)(struct mp_services *self, mp_procedure_t procedure,
                                     UINTN number, EFI_EVENT event, UINTN timeout_us,
                                     VOID *argument, BOOLEAN *finished);
    VOID *switch_bsp;
    VOID *enable_disable;
    EFI_STATUS(EFIAPI *who_am_i)(struct mp_services *self, UINTN *number);
};

/* --- what Trapline makes of it (mp_services.c); all on the boot core --- */

struct boot_mp {
    struct mp_services *protocol; /* NULL: firmware has none */
    UINTN all;                    /* processors, numbered from 0; some may be disabled */
    UINTN enabled;
    UINTN self;                   /* the number of this core */
};

/* Finds the protocol and counts. False: firmware has none, or one that does not answer. */
bool boot_mp_find(struct boot *boot, struct boot_mp *mp);

/* APIC id and MP_PROCESSOR_ bits of one of them. False: firmware cannot say. */
bool boot_mp_info(const struct boot_mp *mp, UINTN number, struct mp_processor *info);

/* Runs a procedure on another core and waits until it has returned. timeout_us 0: without bound;
 * EFI_TIMEOUT: firmware has taken the core back into its own loop by INIT, wherever it was (a core
 * in VMX root operation does not obey).
 * The procedure runs with firmware's page tables, GDT and IDT and on firmware's stack (EDK2: 32 KB),
 * interrupts closed, and must call no boot service. EFI_NOT_READY: the core is busy. */
EFI_STATUS boot_mp_run(const struct boot_mp *mp, UINTN number, mp_procedure_t procedure,
                       void *argument, UINTN timeout_us);

/* The same without waiting. *done is signalled when the procedure has returned; firmware looks for
 * that in a timer's notification, so only while the boot core has interrupts open. It is closed by
 * boot_mp_has_finished. EFI_UNSUPPORTED: firmware may refuse this once "ready to boot" has been
 * signalled (the specification lets it; EDK2 does not refuse). */
EFI_STATUS boot_mp_start(struct boot *boot, const struct boot_mp *mp, UINTN number,
                         mp_procedure_t procedure, void *argument, EFI_EVENT *done);

/* Has it returned? True once: the event is closed then. */
bool boot_mp_has_finished(struct boot *boot, EFI_EVENT done);

#endif
