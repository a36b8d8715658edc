/*
 * What firmware knows of the machine and the hypervisor will want to know: screen, ACPI, time,
 * processors, and where the image's own parts lie.
 *
 * Not here: whether the machine will do (preflight.c). Each of these facts may be missing.
 * No lock: one core runs.
 * UEFI specification, "Graphics Output Protocol", "EFI Configuration Table", "GetTime()".
 */
#include "boot/civil_time.h"
#include "boot/mp_services.h"
#include "boot/uefi.h"
#include "hv/string.h"
#include "x86/insn.h"

#define STALL_US 4000u
/* On the handle of each device that the console's output goes to. */
#define CONSOLE_OUT_DEVICE_GUID                                                                    \
    { 0xd3b36f2c, 0xd551, 0x11d4, { 0x9a, 0x46, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d } }

/* Set by the linker script; only their addresses mean something. */
extern char image_text_start[], image_text_end[];
extern char image_rodata_start[], image_rodata_end[];
extern char image_data_start[], image_data_end[];

static void find_image(struct boot_info *info)
{
    struct boot_image *image = &info->image;
    image->text_start = (uint64_t)image_text_start;
    image->text_bytes = (uint64_t)(image_text_end - image_text_start);
    image->rodata_start = (uint64_t)image_rodata_start;
    image->rodata_bytes = (uint64_t)(image_rodata_end - image_rodata_start);
    image->data_start = (uint64_t)image_data_start;
    image->data_bytes = (uint64_t)(image_data_end - image_data_start);
}

static enum boot_pixel_format pixel_format(const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode)
{
    const EFI_PIXEL_BITMASK *mask = &mode->PixelInformation;
    switch (mode->PixelFormat) {
    case PixelRedGreenBlueReserved8BitPerColor:
        return BOOT_PIXEL_RGBX;
    case PixelBlueGreenRedReserved8BitPerColor:
        return BOOT_PIXEL_BGRX;
    case PixelBitMask:
        if (mask->GreenMask != 0xff00)
            return BOOT_PIXEL_NONE;
        if (mask->RedMask == 0xff && mask->BlueMask == 0xff0000)
            return BOOT_PIXEL_RGBX;
        if (mask->RedMask == 0xff0000 && mask->BlueMask == 0xff)
            return BOOT_PIXEL_BGRX;
        return BOOT_PIXEL_NONE;
    default:
        return BOOT_PIXEL_NONE;
    }
}

/* False: nothing of Trapline's could be drawn on it. */
static bool describe_screen(const EFI_GRAPHICS_OUTPUT_PROTOCOL *gop, struct boot_framebuffer *out)
{
    if (!gop || !gop->Mode || !gop->Mode->Info)
        return false;
    const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode = gop->Mode->Info;
    uint64_t pitch = (uint64_t)mode->PixelsPerScanLine * 4;
    uint64_t needed = pitch * mode->VerticalResolution;
    if (pixel_format(mode) == BOOT_PIXEL_NONE || gop->Mode->FrameBufferBase == 0 || needed == 0 ||
        pitch > UINT32_MAX || mode->HorizontalResolution > mode->PixelsPerScanLine ||
        needed > gop->Mode->FrameBufferSize)
        return false;
    *out = (struct boot_framebuffer){
        .start = gop->Mode->FrameBufferBase,
        .bytes = needed,
        .width = mode->HorizontalResolution,
        .height = mode->VerticalResolution,
        .pitch_bytes = (uint32_t)pitch,
        .format = pixel_format(mode),
    };
    return true;
}

static bool screen_of(struct boot *boot, EFI_HANDLE handle, struct boot_framebuffer *out)
{
    EFI_GUID guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
    EFI_GRAPHICS_OUTPUT_PROTOCOL *gop = NULL;
    return !EFI_ERROR(boot->services->HandleProtocol(handle, &guid, (void **)&gop)) &&
           describe_screen(gop, out);
}

/* The console's own screen; where that is a splitter in front of several cards or outputs, it has no
 * memory to draw to, and the first of those counts that it writes to (on machines with two cards the
 * other may be dark), else the first that can be drawn on. */
static void find_framebuffer(struct boot *boot)
{
    EFI_GUID guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID, console_guid = CONSOLE_OUT_DEVICE_GUID;
    struct boot_framebuffer *out = &boot->info->framebuffer, found;
    EFI_HANDLE *handles = NULL;
    UINTN count = 0;
    bool is_console = false;
    void *tag;
    if (screen_of(boot, boot->system->ConsoleOutHandle, out) ||
        EFI_ERROR(boot->services->LocateHandleBuffer(ByProtocol, &guid, NULL, &count, &handles)))
        return;
    for (UINTN i = 0; i < count && !is_console; i++) {
        if (!screen_of(boot, handles[i], &found))
            continue;
        is_console = !EFI_ERROR(boot->services->HandleProtocol(handles[i], &console_guid, &tag));
        if (is_console || out->format == BOOT_PIXEL_NONE)
            *out = found;
    }
    boot->services->FreePool(handles);
}

static const void *configuration_table(const struct boot *boot, const EFI_GUID *guid)
{
    for (UINTN i = 0; i < boot->system->NumberOfTableEntries; i++) {
        const EFI_CONFIGURATION_TABLE *table = &boot->system->ConfigurationTable[i];
        if (memcmp(&table->VendorGuid, guid, sizeof(*guid)) == 0)
            return table->VendorTable;
    }
    return NULL;
}

/* ACPI specification, "Root System Description Pointer (RSDP)": the first 20 bytes sum to 0. */
static bool is_rsdp(const uint8_t *table)
{
    uint8_t sum = 0;
    if (!table || memcmp(table, "RSD PTR ", 8) != 0)
        return false;
    for (unsigned i = 0; i < 20; i++)
        sum = (uint8_t)(sum + table[i]);
    return sum == 0;
}

static void find_rsdp(struct boot *boot)
{
    static const EFI_GUID guids[2] = {
        { 0x8868e871, 0xe4f1, 0x11d3, { 0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81 } },
        { 0xeb9d2d30, 0x2d88, 0x11d3, { 0x9a, 0x16, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d } },
    };
    for (unsigned i = 0; i < HV_ARRAY_COUNT(guids) && boot->info->rsdp == 0; i++) {
        const void *table = configuration_table(boot, &guids[i]);
        if (is_rsdp(table))
            boot->info->rsdp = (uint64_t)table;
    }
}

/* For machines on which no clock ticks that Trapline knows. Firmware's wait is never too short. */
static void find_rate(struct boot *boot)
{
    uint64_t start = rdtsc();
    boot->services->Stall(STALL_US);
    boot->info->firmware_tsc_hz = (rdtsc() - start) * (1000000u / STALL_US);
}

static void find_time(struct boot *boot)
{
    EFI_TIME now = { 0 };
    EFI_STATUS status = boot->system->RuntimeServices->GetTime(&now, NULL);
    boot->info->epoch_tsc = rdtsc();
    if (EFI_ERROR(status))
        return;
    struct civil_time time = {
        .year = now.Year,
        .month = now.Month,
        .day = now.Day,
        .hour = now.Hour,
        .minute = now.Minute,
        .second = now.Second,
        .utc_minus_local_minutes = now.TimeZone,
    };
    boot->info->epoch_seconds = civil_time_to_epoch(&time);
}

/* Adds the processors that are enabled and pass the filter; false: one could not be asked. */
static bool list_processors(struct boot_info *info, const struct boot_mp *mp, bool bsp)
{
    for (UINTN i = 0; i < mp->all; i++) {
        struct mp_processor processor;
        if (!boot_mp_info(mp, i, &processor))
            return false;
        if (!(processor.status & MP_PROCESSOR_ENABLED) ||
            !!(processor.status & MP_PROCESSOR_IS_BSP) != bsp)
            continue;
        if (info->cpu_count_hint == HV_ARRAY_COUNT(info->apic_ids))
            return false;
        info->apic_ids[info->cpu_count_hint++] = (uint32_t)processor.processor_id;
    }
    return true;
}

static void find_processors(struct boot *boot)
{
    struct boot_info *info = boot->info;
    struct boot_mp mp;
    if (!boot_mp_find(boot, &mp))
        return;
    info->apic_ids_valid = list_processors(info, &mp, true) && list_processors(info, &mp, false);
    info->cpu_count_hint = (uint32_t)mp.enabled;
}

void boot_find_machine(struct boot *boot)
{
    find_image(boot->info);
    find_framebuffer(boot);
    find_rsdp(boot);
    find_processors(boot);
    find_rate(boot);
    find_time(boot);
}
