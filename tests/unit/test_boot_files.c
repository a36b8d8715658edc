// SRCS: boot/files.c boot/allocate.c boot/print.c boot/utf.c vmm/lib/format.c
// UEFI
/* Reading files from a stick: UEFI "EFI_FILE_PROTOCOL.Open()", "GetInfo()", "Read()"; "Loaded Image
 * Protocol". Every fault is answered by one sentence, and nothing of the firmware's is kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "uefi.h"

static EFI_BOOT_SERVICES services;
static EFI_SYSTEM_TABLE firmware;
static struct fake_volume volume;
static struct boot boot;
static bool no_memory, no_device, no_file_system, no_stick;
static unsigned pages_out;

static EFI_STATUS EFIAPI allocate_pages(EFI_ALLOCATE_TYPE type, EFI_MEMORY_TYPE kind, UINTN pages,
                                        EFI_PHYSICAL_ADDRESS *address)
{
    (void)type;
    (void)kind;
    if (no_memory)
        return EFI_OUT_OF_RESOURCES;
    pages_out++;
    *address = (uint64_t)aligned_alloc(4096, pages * 4096);
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI free_pages(EFI_PHYSICAL_ADDRESS address, UINTN pages)
{
    (void)pages;
    pages_out--;
    free((void *)address);
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI handle_protocol(EFI_HANDLE handle, EFI_GUID *guid, VOID **interface)
{
    EFI_GUID loaded_image_guid = LOADED_IMAGE_PROTOCOL;
    bool loaded_image = memcmp(guid, &loaded_image_guid, sizeof(*guid)) == 0;
    if (!loaded_image && no_stick)
        return EFI_INVALID_PARAMETER;
    if (!loaded_image && no_file_system)
        return EFI_UNSUPPORTED;
    EFI_STATUS status = fake_handle_protocol(handle, guid, interface);
    if (loaded_image && no_device)
        ((EFI_LOADED_IMAGE *)*interface)->DeviceHandle = NULL;
    return status;
}

static int set_up(void **state)
{
    (void)state;
    memset(&volume, 0, sizeof(volume));
    volume.room_bytes = SIZE_MAX;
    fake_current_volume = &volume;
    services = (EFI_BOOT_SERVICES){ .AllocatePages = allocate_pages, .FreePages = free_pages,
                                    .HandleProtocol = handle_protocol };
    no_memory = no_device = no_file_system = no_stick = false;
    boot = (struct boot){ .image = &boot, .system = &firmware, .services = &services };
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    boot_volume_close(&boot);
    boot_free_beyond(&boot, 0);
    assert_int_equal(volume.open_handles, 0);
    assert_int_equal(pages_out, 0);
    return 0;
}

static void add_file(const char *path, size_t bytes)
{
    struct fake_file *file = fake_file_at(&volume, path, true);
    for (size_t i = 0; i < bytes; i++)
        file->data[i] = (uint8_t)i;
    file->bytes = bytes;
}

static void refused(const char *path, uint64_t most_bytes, const char *why)
{
    struct boot_bytes bytes;
    boot.reason[0] = 0;
    assert_false(boot_file_read(&boot, "the kernel", path, most_bytes, &bytes));
    assert_string_equal(boot.reason, why);
}

static void test_a_whole_file(void **state)
{
    struct boot_bytes bytes;
    (void)state;
    add_file("\\folder\\k", 5000);
    assert_true(boot_volume_open(&boot));
    assert_true(boot_file_read(&boot, "the kernel", "folder/k", 5000, &bytes));
    assert_int_equal(bytes.bytes, 5000);
    assert_int_equal(((uint8_t *)bytes.start)[4999], (uint8_t)4999);
    assert_int_equal(((uint8_t *)bytes.start)[5000], 0); /* text can be read to its end */
    assert_true(boot_file_read(&boot, "the kernel", "\\folder\\k", 5000, &bytes));
}

static void test_what_is_no_file(void **state)
{
    char name[CONFIG_PATH_BYTES + 8];
    (void)state;
    add_file("\\folder", 0);
    fake_file_at(&volume, "\\folder", false)->folder = true;
    add_file("\\empty", 0);
    add_file("\\big", 100);
    assert_true(boot_volume_open(&boot));
    refused("absent", 100, "the kernel 'absent' is not on the boot volume");
    refused("folder", 100, "the kernel 'folder' is a folder; a file was expected");
    refused("empty", 100, "the kernel 'empty' is empty");
    refused("big", 99, "the kernel 'big' has 100 bytes; at most 99 were expected");
    refused("\xff", 99, "the kernel '\xff' is no name that a FAT volume can hold");
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = 0;
    boot.reason[0] = 0;
    assert_false(boot_file_read(&boot, "the kernel", name, 100, &(struct boot_bytes){ 0, 0 }));
    assert_non_null(strstr(boot.reason, "is no name that a FAT volume can hold"));
}

static void test_a_stick_that_fails(void **state)
{
    (void)state;
    add_file("\\k", 100000);
    assert_true(boot_volume_open(&boot));
    volume.open_status = EFI_NO_MEDIA;
    refused("k", UINT64_MAX, "the kernel 'k' can't be opened: no medium");
    volume.open_status = EFI_SUCCESS;
    volume.info_status = EFI_VOLUME_CORRUPTED;
    refused("k", UINT64_MAX, "the kernel 'k': its size can't be read: volume corrupted");
    volume.info_status = EFI_SUCCESS;
    volume.read_status = EFI_DEVICE_ERROR;
    refused("k", UINT64_MAX,
            "the kernel 'k': reading failed after 0 of 100000 bytes: device error");
    volume.read_status = EFI_SUCCESS;
    no_memory = true;
    refused("k", UINT64_MAX,
            "the kernel 'k' (0 MB) does not fit into the machine's free memory");
}

/* A damaged volume: the folder's entry and the clusters do not agree. */
static void test_a_size_that_is_not_true(void **state)
{
    (void)state;
    add_file("\\k", 100);
    assert_true(boot_volume_open(&boot));
    volume.claimed_bytes = 3000000;
    refused("k", UINT64_MAX, "the kernel 'k' is truncated: it ends after 100 of 3000000 bytes");
    volume.reads = 0;
    volume.reads_before_fault = 1;
    volume.read_status = EFI_VOLUME_CORRUPTED;
    refused("k", UINT64_MAX,
            "the kernel 'k': reading failed after 100 of 3000000 bytes: volume corrupted");
}

static void test_no_volume(void **state)
{
    (void)state;
    no_device = true;
    assert_false(boot_volume_open(&boot));
    assert_non_null(strstr(boot.reason, "firmware does not say from which volume"));
    no_device = false;
    no_file_system = true;
    boot.reason[0] = 0;
    assert_false(boot_volume_open(&boot));
    assert_non_null(strstr(boot.reason, "has no file system that firmware can read (unsupported)"));
    no_file_system = false;
    no_stick = true; /* pulled: its handle is none any more */
    boot.reason[0] = 0;
    assert_false(boot_volume_open(&boot));
    assert_non_null(strstr(boot.reason, "is no longer there"));
    no_stick = false;
    volume.open_status = EFI_DEVICE_ERROR;
    boot.reason[0] = 0;
    assert_false(boot_volume_open(&boot));
    assert_string_equal(boot.reason, "the boot volume can't be opened: device error");
    assert_null(boot.root);
    fake_current_volume = NULL;
    boot.reason[0] = 0;
    assert_false(boot_volume_open(&boot));
    assert_non_null(strstr(boot.reason, "firmware does not say from which volume"));
}

/* Paths as people write them: with slashes of either kind, at the beginning too. */
static void test_ways_to_write_a_path(void **state)
{
    static const char *const names[] = { "a/b", "/a/b", "\\a\\b", "//\\a\\b" };
    (void)state;
    add_file("\\a\\b", 10);
    assert_true(boot_volume_open(&boot));
    for (size_t i = 0; i < 4; i++) {
        struct boot_bytes got = { 0, 0 };
        assert_true(boot_file_read(&boot, "the kernel", names[i], 100, &got));
        assert_int_equal(got.bytes, 10);
    }
}

/* The first reason stays: what follows from it explains nothing. */
static void test_the_first_reason_stays(void **state)
{
    (void)state;
    assert_false(boot_refuse(&boot, "one %u", 1));
    assert_false(boot_refuse(&boot, "two"));
    assert_string_equal(boot.reason, "one 1");
}

static void test_more_allocations_than_are_remembered(void **state)
{
    (void)state;
    for (unsigned i = 0; i < BOOT_MOST_ALLOCATIONS; i++)
        assert_true(boot_allocate(&boot, 1) != 0);
    assert_int_equal(boot_allocate(&boot, 1), 0);
    assert_int_equal(pages_out, BOOT_MOST_ALLOCATIONS);
    assert_int_equal(boot_allocate(&boot, 0), 0);
    assert_int_equal(boot_allocate(&boot, UINT64_MAX), 0);
    boot_free(&boot, 12345); /* not one of them */
    assert_int_equal(boot.allocation_count, BOOT_MOST_ALLOCATIONS);
    boot_free(&boot, boot.allocations[3].start);
    boot_free_beyond(&boot, 1);
    assert_int_equal(boot.allocation_count, 1);
    assert_int_equal(pages_out, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_whole_file),
        TEST(test_what_is_no_file),
        TEST(test_a_stick_that_fails),
        TEST(test_a_size_that_is_not_true),
        TEST(test_no_volume),
        TEST(test_ways_to_write_a_path),
        TEST(test_the_first_reason_stays),
        TEST(test_more_allocations_than_are_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
