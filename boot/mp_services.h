/*
 * The MP Services protocol, as much of it as Trapline calls.
 * UEFI Platform Initialization specification, volume 2, "MP Services Protocol".
 */
#ifndef BOOT_MP_SERVICES_H
#define BOOT_MP_SERVICES_H

#include <efi.h>

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

#endif
