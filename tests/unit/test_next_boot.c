// SRCS: boot/next_boot.c boot/allocate.c boot/files.c boot/print.c boot/utf.c vmm/lib/format.c
// UEFI
/* What a thin machine starts: where it is looked for, by which path, with which options. UEFI
 * specification, "EFI Device Path Protocol", "EFI_BOOT_SERVICES.LoadImage()", "Boot Manager". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "boot/thin.h"

#define VOLUMES 3
#define HARD_DISK_NODE 4, 1, 8, 0, 0x11, 0x22, 0x33, 0x44

struct volume {
    uint8_t path[32];      /* its device path */
    EFI_STATUS load;       /* of LoadImage from it */
};

static struct {
    EFI_BOOT_SERVICES services;
    EFI_SYSTEM_TABLE system;
    struct volume volumes[VOLUMES]; /* Trapline was started from the first */
    EFI_LOADED_IMAGE self, started;
    uint8_t path[128];              /* of the last LoadImage */
    unsigned loads, starts, unloads, lists_out, connected;
    unsigned visible;               /* volumes, before everything has been connected */
    bool no_list, no_image, no_path; /* what firmware does not have */
    unsigned pages_left;
    EFI_STATUS start;
} firmware;
static struct boot boot;
static struct boot_info info;

static EFI_STATUS EFIAPI handle_protocol(EFI_HANDLE handle, EFI_GUID *guid, VOID **interface)
{
    EFI_GUID path = DEVICE_PATH_PROTOCOL, image = LOADED_IMAGE_PROTOCOL;
    *interface = NULL;
    if (firmware.no_image && memcmp(guid, &image, sizeof(image)) == 0)
        return EFI_UNSUPPORTED;
    if (firmware.no_path && memcmp(guid, &path, sizeof(path)) == 0)
        return EFI_UNSUPPORTED;
    if (memcmp(guid, &image, sizeof(image)) == 0)
        *interface = handle == &firmware ? (void *)&firmware.self : &firmware.started;
    else if (memcmp(guid, &path, sizeof(path)) == 0)
        *interface = ((struct volume *)handle)->path;
    return *interface ? EFI_SUCCESS : EFI_UNSUPPORTED;
}

static EFI_STATUS EFIAPI locate_handles(EFI_LOCATE_SEARCH_TYPE how, EFI_GUID *guid, VOID *key,
                                        UINTN *count, EFI_HANDLE **handles)
{
    (void)key;
    assert_true(how == ByProtocol ? guid != NULL : how == AllHandles && !guid);
    if (firmware.no_list)
        return EFI_NOT_FOUND;
    *count = how == AllHandles || firmware.connected ? VOLUMES : firmware.visible;
    *handles = calloc(VOLUMES, sizeof(EFI_HANDLE));
    for (unsigned i = 0; i < *count; i++)
        (*handles)[i] = &firmware.volumes[i];
    firmware.lists_out++;
    return EFI_SUCCESS;
}

/* Whatever a driver says, the next handle may have one. */
static EFI_STATUS EFIAPI connect_controller(EFI_HANDLE handle, EFI_HANDLE *drivers,
                                            EFI_DEVICE_PATH *rest, BOOLEAN recursive)
{
    assert_ptr_equal(handle, &firmware.volumes[firmware.connected++]);
    assert_null(drivers);
    assert_null(rest);
    assert_true(recursive);
    return EFI_NOT_FOUND;
}

static EFI_STATUS EFIAPI free_pool(VOID *memory)
{
    free(memory);
    firmware.lists_out--;
    return EFI_SUCCESS;
}

static unsigned length_of(const uint8_t *path)
{
    unsigned at = 0;
    while ((path[at] & 0x7f) != 0x7f)
        at += path[at + 2] | path[at + 3] << 8;
    return at + 4;
}

/* Which volume a path begins with: their nodes differ in the last byte. */
static EFI_STATUS EFIAPI load_image(BOOLEAN policy, EFI_HANDLE parent, EFI_DEVICE_PATH *path,
                                    VOID *source, UINTN bytes, EFI_HANDLE *image)
{
    const uint8_t *at = (const uint8_t *)path;
    assert_false(policy);
    assert_ptr_equal(parent, &firmware);
    assert_null(source);
    assert_int_equal(bytes, 0);
    firmware.loads++;
    memcpy(firmware.path, at, length_of(at));
    EFI_STATUS status = firmware.volumes[at[7] - 0x40].load;
    if (status == EFI_SUCCESS || status == EFI_SECURITY_VIOLATION)
        *image = &firmware.started;
    return status;
}

static EFI_STATUS EFIAPI start_image(EFI_HANDLE image, UINTN *bytes, CHAR16 **data)
{
    (void)bytes;
    (void)data;
    assert_ptr_equal(image, &firmware.started);
    firmware.starts++;
    return firmware.start;
}

static EFI_STATUS EFIAPI unload_image(EFI_HANDLE image)
{
    assert_ptr_equal(image, &firmware.started);
    firmware.unloads++;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI allocate_pages(EFI_ALLOCATE_TYPE how, EFI_MEMORY_TYPE type, UINTN pages,
                                        EFI_PHYSICAL_ADDRESS *start)
{
    (void)how;
    (void)type;
    if (pages > firmware.pages_left)
        return EFI_OUT_OF_RESOURCES;
    *start = (uint64_t)aligned_alloc(4096, pages * 4096);
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI free_pages(EFI_PHYSICAL_ADDRESS start, UINTN pages)
{
    (void)pages;
    free((void *)start);
    return EFI_SUCCESS;
}

static int set_up(void **state)
{
    (void)state;
    memset(&firmware, 0, sizeof(firmware));
    memset(&info, 0, sizeof(info));
    firmware.services.HandleProtocol = handle_protocol;
    firmware.services.LocateHandleBuffer = locate_handles;
    firmware.services.ConnectController = connect_controller;
    firmware.services.FreePool = free_pool;
    firmware.services.LoadImage = load_image;
    firmware.services.StartImage = start_image;
    firmware.services.UnloadImage = unload_image;
    firmware.services.AllocatePages = allocate_pages;
    firmware.services.FreePages = free_pages;
    firmware.pages_left = 100;
    firmware.self.DeviceHandle = &firmware.volumes[0];
    firmware.visible = VOLUMES;
    for (unsigned i = 0; i < VOLUMES; i++) {
        const uint8_t path[] = { HARD_DISK_NODE, 0x7f, 0xff, 4, 0 };
        memcpy(firmware.volumes[i].path, path, sizeof(path));
        firmware.volumes[i].path[7] = (uint8_t)(0x40 + i);
        firmware.volumes[i].load = EFI_NOT_FOUND;
    }
    boot = (struct boot){ .image = &firmware, .system = &firmware.system,
                          .services = &firmware.services, .info = &info };
    memcpy(info.config.boot, "/a/b.efi", 9);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(firmware.lists_out, 0);
    boot_free_beyond(&boot, 0);
    return 0;
}

/* The device's nodes, one for the file with its name in UCS-2, the end. */
static void check_path(uint8_t volume)
{
    const uint8_t expected[] = { HARD_DISK_NODE, 4, 4, 22, 0, '\\', 0, 'a', 0, '\\', 0, 'b', 0, '.',
                                 0, 'e', 0, 'f', 0, 'i', 0, 0, 0, 0x7f, 0xff, 4, 0 };
    assert_int_equal(firmware.path[7], 0x40 + volume);
    firmware.path[7] = 0x44;
    assert_memory_equal(firmware.path, expected, sizeof(expected));
}

static void test_on_our_own_volume(void **state)
{
    (void)state;
    firmware.volumes[0].load = EFI_SUCCESS;
    memcpy(info.config.boot_options, "a b", 4);
    assert_int_equal(boot_next(&boot), EFI_NOT_STARTED); /* it has returned: the next entry */
    assert_int_equal(firmware.starts, 1);
    check_path(0);
    assert_int_equal(firmware.started.LoadOptionsSize, 8);
    assert_memory_equal(firmware.started.LoadOptions, L"a b", 8);
    firmware.start = EFI_DEVICE_ERROR;
    assert_int_equal(boot_next(&boot), EFI_DEVICE_ERROR);
}

/* Versions before 2.0 of the specification ended paths in 0FFH; such firmware is still about. */
static void test_an_older_end_of_a_path(void **state)
{
    (void)state;
    firmware.volumes[0].path[8] = 0xff;
    memset(firmware.volumes[0].path + 12, 0x04, 8); /* what is behind the end is nothing */
    firmware.volumes[0].load = EFI_SUCCESS;
    (void)boot_next(&boot);
    assert_int_equal(firmware.starts, 1);
    check_path(0);
}

static void test_on_another_volume(void **state)
{
    (void)state;
    firmware.volumes[1].load = EFI_NO_MEDIA;
    firmware.volumes[2].load = EFI_SUCCESS;
    (void)boot_next(&boot);
    assert_int_equal(firmware.starts, 1);
    check_path(2);
    assert_int_equal(firmware.started.LoadOptionsSize, 0);
    assert_int_equal(firmware.connected, 0);
}

/* A fast start has connected the stick and nothing else: the machine's own disk comes on demand. */
static void test_on_a_disk_that_is_not_connected(void **state)
{
    (void)state;
    firmware.visible = 1;
    firmware.volumes[2].load = EFI_SUCCESS;
    (void)boot_next(&boot);
    assert_int_equal(firmware.starts, 1);
    assert_int_equal(firmware.connected, VOLUMES);
    check_path(2);
}

static void test_nowhere(void **state)
{
    (void)state;
    assert_int_equal(boot_next(&boot), EFI_NOT_FOUND);
    assert_int_equal(firmware.loads, 1 + 2 * VOLUMES);
    assert_int_equal(firmware.connected, VOLUMES);
    info.config.boot[0] = 0;
    assert_int_equal(boot_next(&boot), EFI_NOT_STARTED);
    assert_int_equal(firmware.starts, 0);
}

/* What Secure Boot forbids is the program that was meant: no other of its name is started. */
static void test_forbidden(void **state)
{
    (void)state;
    firmware.volumes[0].load = EFI_SECURITY_VIOLATION; /* it is loaded, and must not run */
    firmware.volumes[1].load = EFI_SUCCESS;
    assert_int_equal(boot_next(&boot), EFI_SECURITY_VIOLATION);
    assert_int_equal(firmware.unloads, 1);
    firmware.volumes[0].load = EFI_ACCESS_DENIED;
    assert_int_equal(boot_next(&boot), EFI_ACCESS_DENIED);
    assert_int_equal(firmware.starts, 0);
    assert_int_equal(firmware.connected, 0);
}

static void test_what_firmware_lacks(void **state)
{
    (void)state;
    firmware.no_list = true;
    assert_int_equal(boot_next(&boot), EFI_NOT_FOUND);
    firmware.no_list = false;
    firmware.no_path = true;
    assert_int_equal(boot_next(&boot), EFI_UNSUPPORTED);
    firmware.no_path = false;
    firmware.connected = 0;
    firmware.no_image = true; /* then it is looked for everywhere, and gets no options */
    memcpy(info.config.boot_options, "a", 2);
    firmware.volumes[1].load = EFI_SUCCESS;
    assert_int_equal(boot_next(&boot), EFI_NOT_STARTED);
    assert_int_equal(firmware.starts, 1);
    assert_int_equal(firmware.started.LoadOptionsSize, 0);
    firmware.pages_left = firmware.connected = 0;
    assert_int_equal(boot_next(&boot), EFI_OUT_OF_RESOURCES);
    memcpy(info.config.boot, "\xff", 2); /* no name */
    assert_int_equal(boot_next(&boot), EFI_INVALID_PARAMETER);
}

/* A node that says that it has no length would never end. */
static void test_a_path_without_an_end(void **state)
{
    (void)state;
    firmware.volumes[0].path[8] = 4;
    firmware.volumes[0].path[10] = 3;
    firmware.volumes[0].load = EFI_SUCCESS;
    (void)boot_next(&boot);
    check_path(0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_on_our_own_volume),
        TEST(test_an_older_end_of_a_path),
        TEST(test_on_another_volume),
        TEST(test_on_a_disk_that_is_not_connected),
        TEST(test_nowhere),
        TEST(test_forbidden),
        TEST(test_what_firmware_lacks),
        TEST(test_a_path_without_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
