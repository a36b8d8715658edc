// SRCS: boot/machine.c boot/mp_services.c boot/civil_time.c
// UEFI
/* What firmware says of the machine, and what of it can be believed. UEFI specification, "Graphics
 * Output Protocol", "EFI Configuration Table". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "boot/mp_services.h"
#include "boot/uefi.h"

#define MOST_HANDLES 4
#define FIRST_FRAME UINT64_C(0x90000000)
#define HIGH_FRAME UINT64_C(0x4000000000)

char image_text_start[1], image_text_end[1], image_rodata_start[1], image_rodata_end[1];
char image_data_start[1], image_data_end[1];

struct output {
    bool has_screen, is_console;
    EFI_GRAPHICS_OUTPUT_PROTOCOL gop;
    EFI_GRAPHICS_OUTPUT_PROTOCOL_MODE mode;
    EFI_GRAPHICS_OUTPUT_MODE_INFORMATION info;
};

static struct {
    EFI_BOOT_SERVICES services;
    EFI_RUNTIME_SERVICES runtime;
    EFI_SYSTEM_TABLE system;
    struct output console; /* what the handle of the console's output has */
    struct output outputs[MOST_HANDLES];
    unsigned count, lists_out;
    struct mp_services mp;
    unsigned processors;   /* 0: there are no MP services */
    unsigned boot_core;    /* its number */
    unsigned disabled;     /* likewise */
    unsigned unknown;      /* firmware can't tell of this one */
    EFI_TIME now;          /* of year 0: the clock fails */
} firmware;
static struct boot boot;
static struct boot_info info;

static bool is_gop(const EFI_GUID *guid)
{
    const EFI_GUID gop = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
    return memcmp(guid, &gop, sizeof(gop)) == 0;
}

static EFI_STATUS EFIAPI handle_protocol(EFI_HANDLE handle, EFI_GUID *guid, VOID **interface)
{
    struct output *output = handle;
    *interface = NULL;
    if (!output)
        return EFI_INVALID_PARAMETER;
    if (is_gop(guid))
        *interface = output->has_screen ? &output->gop : NULL;
    else
        *interface = output->is_console ? output : NULL;
    return *interface ? EFI_SUCCESS : EFI_UNSUPPORTED;
}

static EFI_STATUS EFIAPI locate_handles(EFI_LOCATE_SEARCH_TYPE how, EFI_GUID *guid, VOID *key,
                                        UINTN *count, EFI_HANDLE **handles)
{
    assert_int_equal(how, ByProtocol);
    assert_null(key);
    assert_true(is_gop(guid));
    if (firmware.count == 0)
        return EFI_NOT_FOUND;
    *handles = calloc(firmware.count, sizeof(EFI_HANDLE));
    for (unsigned i = 0; i < firmware.count; i++)
        (*handles)[i] = &firmware.outputs[i];
    *count = firmware.count;
    firmware.lists_out++;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI free_pool(VOID *memory)
{
    free(memory);
    firmware.lists_out--;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI locate_protocol(EFI_GUID *guid, VOID *key, VOID **interface)
{
    const EFI_GUID mp = MP_SERVICES_GUID;
    (void)key;
    *interface = firmware.processors && memcmp(guid, &mp, sizeof(mp)) == 0 ? &firmware.mp : NULL;
    return *interface ? EFI_SUCCESS : EFI_NOT_FOUND;
}

static EFI_STATUS EFIAPI get_number(struct mp_services *self, UINTN *all, UINTN *enabled)
{
    (void)self;
    *all = firmware.processors;
    *enabled = firmware.processors - (firmware.disabled < firmware.processors);
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI get_info(struct mp_services *self, UINTN number, struct mp_processor *told)
{
    (void)self;
    if (number == firmware.unknown)
        return EFI_DEVICE_ERROR;
    told->processor_id = 0x100 + number;
    told->status = (number == firmware.disabled ? 0 : MP_PROCESSOR_ENABLED) |
                   (number == firmware.boot_core ? MP_PROCESSOR_IS_BSP : 0);
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI who_am_i(struct mp_services *self, UINTN *number)
{
    (void)self;
    *number = firmware.boot_core;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI stall(UINTN us)
{
    (void)us;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI get_time(EFI_TIME *now, EFI_TIME_CAPABILITIES *capabilities)
{
    (void)capabilities;
    *now = firmware.now;
    return firmware.now.Year ? EFI_SUCCESS : EFI_DEVICE_ERROR;
}

/* 1920 x 1080 with lines of 2048 pixels. */
static void plug(struct output *output, EFI_GRAPHICS_PIXEL_FORMAT format, uint64_t frame)
{
    output->has_screen = true;
    output->info = (EFI_GRAPHICS_OUTPUT_MODE_INFORMATION){
        .HorizontalResolution = 1920, .VerticalResolution = 1080, .PixelFormat = format,
        .PixelsPerScanLine = 2048,
    };
    output->mode = (EFI_GRAPHICS_OUTPUT_PROTOCOL_MODE){
        .Info = &output->info, .SizeOfInfo = sizeof(output->info), .FrameBufferBase = frame,
        .FrameBufferSize = 2048 * 1080 * 4,
    };
    output->gop.Mode = &output->mode;
}

static struct output *add(EFI_GRAPHICS_PIXEL_FORMAT format, uint64_t frame)
{
    struct output *output = &firmware.outputs[firmware.count++];
    plug(output, format, frame);
    return output;
}

static int set_up(void **state)
{
    (void)state;
    memset(&firmware, 0, sizeof(firmware));
    memset(&info, 0, sizeof(info));
    firmware.services.HandleProtocol = handle_protocol;
    firmware.services.LocateHandleBuffer = locate_handles;
    firmware.services.LocateProtocol = locate_protocol;
    firmware.services.FreePool = free_pool;
    firmware.services.Stall = stall;
    firmware.runtime.GetTime = get_time;
    firmware.mp = (struct mp_services){ .get_number = get_number, .get_info = get_info,
                                        .who_am_i = who_am_i };
    firmware.disabled = firmware.unknown = UINT32_MAX;
    firmware.system.RuntimeServices = &firmware.runtime;
    firmware.system.ConsoleOutHandle = &firmware.console;
    boot = (struct boot){ .system = &firmware.system, .services = &firmware.services,
                          .info = &info };
    return 0;
}

static uint64_t frame_found(void)
{
    memset(&info, 0, sizeof(info));
    boot_find_machine(&boot);
    assert_int_equal(firmware.lists_out, 0);
    assert_int_equal(info.framebuffer.format == BOOT_PIXEL_NONE, info.framebuffer.start == 0);
    return info.framebuffer.start;
}

static void test_the_consoles_own_screen(void **state)
{
    (void)state;
    plug(&firmware.console, PixelBlueGreenRedReserved8BitPerColor, HIGH_FRAME);
    add(PixelRedGreenBlueReserved8BitPerColor, FIRST_FRAME);
    assert_int_equal(frame_found(), HIGH_FRAME);
    assert_int_equal(info.framebuffer.width, 1920);
    assert_int_equal(info.framebuffer.height, 1080);
    assert_int_equal(info.framebuffer.pitch_bytes, 8192);
    assert_int_equal(info.framebuffer.bytes, 8192 * 1080);
    assert_int_equal(info.framebuffer.format, BOOT_PIXEL_BGRX);
    firmware.console.info.PixelFormat = PixelRedGreenBlueReserved8BitPerColor;
    assert_int_equal(frame_found(), HIGH_FRAME);
    assert_int_equal(info.framebuffer.format, BOOT_PIXEL_RGBX);
}

/* A splitter in front of two cards can copy, and has no memory of its own. */
static void test_a_splitter_in_front_of_two(void **state)
{
    (void)state;
    plug(&firmware.console, PixelBltOnly, 0);
    plug(&firmware.outputs[firmware.count++], PixelBltOnly, 0); /* it is among the handles, too */
    add(PixelBlueGreenRedReserved8BitPerColor, FIRST_FRAME);
    assert_int_equal(frame_found(), FIRST_FRAME);
    add(PixelBlueGreenRedReserved8BitPerColor, HIGH_FRAME)->is_console = true;
    assert_int_equal(frame_found(), HIGH_FRAME);
    firmware.outputs[1].is_console = true;
    assert_int_equal(frame_found(), FIRST_FRAME);
}

static void test_no_handle_for_the_console(void **state)
{
    (void)state;
    firmware.system.ConsoleOutHandle = NULL;
    assert_int_equal(frame_found(), 0);
    add(PixelBlueGreenRedReserved8BitPerColor, FIRST_FRAME);
    assert_int_equal(frame_found(), FIRST_FRAME);
}

static void test_masks(void **state)
{
    struct output *screen = add(PixelBitMask, FIRST_FRAME);
    (void)state;
    screen->info.PixelInformation = (EFI_PIXEL_BITMASK){ 0xff0000, 0xff00, 0xff, 0xff000000 };
    assert_int_equal(frame_found(), FIRST_FRAME);
    assert_int_equal(info.framebuffer.format, BOOT_PIXEL_BGRX);
    screen->info.PixelInformation = (EFI_PIXEL_BITMASK){ 0xff, 0xff00, 0xff0000, 0xff000000 };
    assert_int_equal(frame_found(), FIRST_FRAME);
    assert_int_equal(info.framebuffer.format, BOOT_PIXEL_RGBX);
    /* Ten bits a colour, and five and six. */
    screen->info.PixelInformation =
        (EFI_PIXEL_BITMASK){ 0x3ff00000, 0xffc00, 0x3ff, 0xc0000000 };
    assert_int_equal(frame_found(), 0);
    screen->info.PixelInformation = (EFI_PIXEL_BITMASK){ 0xff000000, 0xff00, 0xff0000, 0xff };
    assert_int_equal(frame_found(), 0);
    screen->info.PixelInformation = (EFI_PIXEL_BITMASK){ 0xf800, 0x7e0, 0x1f, 0 };
    assert_int_equal(frame_found(), 0);
    /* Three bytes a pixel: the buffer is too small for four. */
    screen->info.PixelInformation = (EFI_PIXEL_BITMASK){ 0xff0000, 0xff00, 0xff, 0 };
    screen->mode.FrameBufferSize = 2048 * 1080 * 3;
    assert_int_equal(frame_found(), 0);
}

static void test_modes_that_can_not_be(void **state)
{
    struct output *screen = add(PixelBlueGreenRedReserved8BitPerColor, FIRST_FRAME);
    (void)state;
    screen->mode.FrameBufferSize -= 4;
    assert_int_equal(frame_found(), 0);
    screen->mode.FrameBufferSize = UINT32_MAX;
    screen->info.HorizontalResolution = 2049;
    assert_int_equal(frame_found(), 0);
    screen->info.HorizontalResolution = 1920;
    screen->info.PixelsPerScanLine = 0x40000000;
    assert_int_equal(frame_found(), 0);
    screen->info.PixelsPerScanLine = 2048;
    screen->info.VerticalResolution = 0;
    assert_int_equal(frame_found(), 0);
    screen->mode.Info = NULL;
    assert_int_equal(frame_found(), 0);
    screen->gop.Mode = NULL;
    assert_int_equal(frame_found(), 0);
}

static void test_processors(void **state)
{
    (void)state;
    frame_found();
    assert_int_equal(info.cpu_count_hint, 0);
    assert_false(info.apic_ids_valid);
    firmware.processors = 4;
    firmware.boot_core = 2;
    firmware.disabled = 1;
    frame_found();
    assert_int_equal(info.cpu_count_hint, 3);
    assert_true(info.apic_ids_valid);
    assert_int_equal(info.apic_ids[0], 0x102); /* the boot core first */
    assert_int_equal(info.apic_ids[1], 0x100);
    assert_int_equal(info.apic_ids[2], 0x103);
    firmware.unknown = 3;
    frame_found();
    assert_int_equal(info.cpu_count_hint, 3);
    assert_false(info.apic_ids_valid);
    firmware.unknown = UINT32_MAX;
    firmware.processors = 300; /* more than there is room for */
    frame_found();
    assert_int_equal(info.cpu_count_hint, 299);
    assert_false(info.apic_ids_valid);
}

static void test_the_clock(void **state)
{
    (void)state;
    frame_found();
    assert_int_equal(info.epoch_seconds, 0);
    firmware.now = (EFI_TIME){ .Year = 2026, .Month = 11, .Day = 20, .Hour = 16,
                               .TimeZone = EFI_UNSPECIFIED_TIMEZONE };
    frame_found();
    assert_int_equal(info.epoch_seconds, 1795190400);
    assert_true(info.epoch_tsc != 0);
    firmware.now.Month = 13;
    frame_found();
    assert_int_equal(info.epoch_seconds, 0);
}

/* The first 20 bytes sum to 0; the newer table counts before the older one. */
static void test_the_root_of_acpi(void **state)
{
    static uint8_t old[20], new[36];
    static EFI_CONFIGURATION_TABLE tables[2] = {
        { { 0xeb9d2d30, 0x2d88, 0x11d3, { 0x9a, 0x16, 0, 0x90, 0x27, 0x3f, 0xc1, 0x4d } }, old },
        { { 0x8868e871, 0xe4f1, 0x11d3, { 0xbc, 0x22, 0, 0x80, 0xc7, 0x3c, 0x88, 0x81 } }, new },
    };
    (void)state;
    memcpy(old, "RSD PTR ", 8);
    memcpy(new, "RSD PTR ", 8);
    old[8] = new[8] = (uint8_t)-('R' + 'S' + 'D' + ' ' + 'P' + 'T' + 'R' + ' ');
    firmware.system.ConfigurationTable = tables;
    frame_found();
    assert_int_equal(info.rsdp, 0);
    firmware.system.NumberOfTableEntries = 2;
    frame_found();
    assert_ptr_equal(info.rsdp, new);
    new[9]++;
    frame_found();
    assert_ptr_equal(info.rsdp, old);
    old[0]++;
    frame_found();
    assert_int_equal(info.rsdp, 0);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_consoles_own_screen),
        TEST(test_a_splitter_in_front_of_two),
        TEST(test_no_handle_for_the_console),
        TEST(test_masks),
        TEST(test_modes_that_can_not_be),
        TEST(test_the_root_of_acpi),
        TEST(test_processors),
        TEST(test_the_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
