/*
 * The Memory Attribute protocol, which gnu-efi does not declare.
 * UEFI specification, "EFI_MEMORY_ATTRIBUTE_PROTOCOL".
 */
#ifndef BOOT_MEMORY_ATTRIBUTES_H
#define BOOT_MEMORY_ATTRIBUTES_H

#include <efi.h>

struct memory_attributes {
    EFI_STATUS(EFIAPI *get)(struct memory_attributes *, EFI_PHYSICAL_ADDRESS, UINT64, UINT64 *);
    EFI_STATUS(EFIAPI *set)(struct memory_attributes *, EFI_PHYSICAL_ADDRESS, UINT64, UINT64);
    EFI_STATUS(EFIAPI *clear)(struct memory_attributes *, EFI_PHYSICAL_ADDRESS, UINT64, UINT64);
};

#ifndef EFI_MEMORY_RO /* gnu-efi has it from 3.0.18 on */
#define EFI_MEMORY_RO 0x20000ull
#endif
#define MEMORY_ATTRIBUTE_PROTOCOL \
    { 0xf4560cf6, 0x40ec, 0x4b4a, { 0xa1, 0x92, 0xbf, 0x1d, 0x57, 0xd0, 0xb1, 0x89 } }

#endif
