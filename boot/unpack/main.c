/*
 * What firmware starts: unpacks the image that this file carries, and calls it.
 *
 * Not here: anything about VT-x. The image is a UEFI application in itself: it gets the same handle
 * and system table, and may return. No lock: one core runs.
 * UEFI specification, "EFI_IMAGE_ENTRY_POINT", "Memory Attribute Protocol".
 */
#include <efi.h>

#include "boot/memory_attributes.h"
#include "boot/page_rights.h"
#include "boot/unpack/branches.h"
#include "boot/unpack/inflate.h"
#include "hv/boot_info.h"
#include "hv/string.h"
#include "x86/insn.h"
#include "x86/regs.h"

#define HEADERS_BYTES 4096u /* the image is linked to begin one page after its base */

/* payload.asm */
struct unpack_image {
    uint64_t entry;    /* offsets from the base */
    uint64_t text_end;
    uint64_t bytes;    /* unpacked */
    uint64_t end;
    uint64_t packed_bytes;
};

extern const struct unpack_image unpack_image;
extern const uint8_t unpack_payload[];

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

static EFI_STATUS refuse(EFI_SYSTEM_TABLE *system, const CHAR16 *why, EFI_STATUS status)
{
    SIMPLE_TEXT_OUTPUT_INTERFACE *out = system->ConOut;

    if (out) {
        out->OutputString(out, (CHAR16 *)L"\r\nTRAPLINE: refused: ");
        out->OutputString(out, (CHAR16 *)why);
        out->OutputString(out, (CHAR16 *)L"\r\n");
    }
    return status;
}

static bool code_may(uint64_t base, uint64_t wanted)
{
    return page_rights_hold(read_cr3(), read_cr4() & CR4_LA57 ? 5 : 4, base + HEADERS_BYTES,
                            unpack_image.text_end - HEADERS_BYTES, wanted);
}

/* Firmware that keeps allocated memory from being executed can be asked to change that, for code
 * that is then not writable, until it is given back. Other firmware has no such protocol, or one
 * that knows nothing of this memory: what counts is what the page tables say then. */
static void protect_code(EFI_BOOT_SERVICES *services, uint64_t base, bool code)
{
    EFI_GUID guid = MEMORY_ATTRIBUTE_PROTOCOL;
    uint64_t start = base + HEADERS_BYTES, bytes = unpack_image.text_end - HEADERS_BYTES;
    struct memory_attributes *attributes;

    if (services->LocateProtocol(&guid, NULL, (void **)&attributes) != EFI_SUCCESS)
        return;
    if (!code)
        attributes->clear(attributes, start, bytes, EFI_MEMORY_RO);
    else if (!EFI_ERROR(attributes->set(attributes, start, bytes, EFI_MEMORY_RO)))
        attributes->clear(attributes, start, bytes, EFI_MEMORY_XP);
}

static bool unpack(EFI_BOOT_SERVICES *services, uint64_t base)
{
    struct inflate_work *work;
    bool right;

    if (services->AllocatePool(EfiLoaderData, sizeof(*work), (void **)&work) != EFI_SUCCESS)
        return false;
    right = inflate_gzip(work, unpack_payload, unpack_image.packed_bytes,
                         (uint8_t *)base + HEADERS_BYTES, unpack_image.bytes);
    memset((uint8_t *)base + HEADERS_BYTES + unpack_image.bytes, 0,
           unpack_image.end - HEADERS_BYTES - unpack_image.bytes);
    services->FreePool(work);
    branches_restore((uint8_t *)base + HEADERS_BYTES, (uint32_t)unpack_image.text_end - HEADERS_BYTES,
                     unpack_image.bytes);
    return right;
}

static EFI_STATUS start(EFI_HANDLE image, EFI_SYSTEM_TABLE *system, uint64_t base,
                        uint64_t start_tsc)
{
    EFI_STATUS status;

    if (!unpack(system->BootServices, base))
        return refuse(system, L"this file is damaged; write it to the stick once more",
                      EFI_CRC_ERROR);
    *(struct boot_unpack_mark *)base = (struct boot_unpack_mark){ BOOT_UNPACK_MAGIC, start_tsc };
    protect_code(system->BootServices, base, true);
    if (code_may(base, PAGE_MAY_EXECUTE))
        status = ((EFI_IMAGE_ENTRY_POINT)(base + unpack_image.entry))(image, system);
    else
        status = refuse(system, L"firmware does not let unpacked code run", EFI_SECURITY_VIOLATION);
    protect_code(system->BootServices, base, false);
    return status;
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
    uint64_t start_tsc = rdtsc();
    EFI_PHYSICAL_ADDRESS base;
    UINTN pages = (unpack_image.end + HV_PAGE_BYTES - 1) >> HV_PAGE_SHIFT;
    EFI_STATUS status =
        system->BootServices->AllocatePages(AllocateAnyPages, EfiLoaderCode, pages, &base);

    if (EFI_ERROR(status))
        return refuse(system, L"there is no memory for the image", status);
    status = start(image, system, base, start_tsc);
    /* Memory that cannot be written would be firmware's undoing as soon as it used it again. */
    if (code_may(base, PAGE_MAY_WRITE))
        system->BootServices->FreePages(base, pages);
    return status;
}
