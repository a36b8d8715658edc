// SRCS: boot/firmware_map.c boot/memory_map.c boot/allocate.c boot/print.c boot/utf.c vmm/lib/format.c
// UEFI
/* UEFI specification, "GetMemoryMap()", "ExitBootServices()", "AllocatePages()". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "boot/firmware_map.h"

#define MB UINT64_C(0x100000)
#define STRIDE 48
#define MAP_MOST 800
#define MOST_CALLS 64

/* A firmware that changes its map when it is left. */
static struct {
    EFI_BOOT_SERVICES services;
    unsigned descriptors;
    UINTN key;
    unsigned refusals;         /* of ExitBootServices, each with a changed map */
    unsigned growth;           /* descriptors that each adds */
    EFI_STATUS refusal;        /* EFI_INVALID_PARAMETER: the key is stale */
    bool leaving;              /* ExitBootServices was called: two services are left */
    bool map_broken;
    unsigned maps_until_broken; /* 0: never */
    bool no_memory;
    unsigned exits, maps;
    uint64_t lowest_free;      /* below 1 MB: the only free page; 0: none */
    bool max_address_broken;   /* AllocateMaxAddress fails although there is a page */
    bool give_page_0;
    unsigned low_pages_out;
} firmware;

static EFI_STATUS EFIAPI get_map(UINTN *bytes, EFI_MEMORY_DESCRIPTOR *map, UINTN *key,
                                 UINTN *stride, UINT32 *version)
{
    UINTN wanted = firmware.descriptors * STRIDE, room = *bytes;
    firmware.maps++;
    *bytes = wanted;
    *stride = STRIDE;
    *version = 1;
    if (firmware.maps_until_broken && --firmware.maps_until_broken == 0)
        firmware.map_broken = true;
    if (firmware.map_broken)
        return EFI_DEVICE_ERROR;
    if (!map || room < wanted)
        return EFI_BUFFER_TOO_SMALL;
    for (unsigned i = 0; i < firmware.descriptors; i++) {
        EFI_MEMORY_DESCRIPTOR *at = (void *)((uint8_t *)map + i * STRIDE);
        memset(at, 0, STRIDE);
        at->Type = i % 2 ? EfiConventionalMemory : EfiReservedMemoryType;
        at->PhysicalStart = MB * (i + 1);
        at->NumberOfPages = 256;
        at->Attribute = EFI_MEMORY_WB;
    }
    *key = firmware.key;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI exit_services(EFI_HANDLE image, UINTN key)
{
    assert_ptr_equal(image, &firmware);
    firmware.exits++;
    firmware.leaving = true;
    if (firmware.refusals > 0) {
        firmware.refusals--;
        firmware.key++;
        firmware.descriptors += firmware.growth;
        return firmware.refusal;
    }
    return key == firmware.key ? EFI_SUCCESS : EFI_INVALID_PARAMETER;
}

/* Pages below 1 MB are numbers only: the test's memory has none. */
static uint8_t low_page[4096] __attribute__((aligned(4096)));

static EFI_STATUS allocate_low(EFI_ALLOCATE_TYPE type, EFI_PHYSICAL_ADDRESS *address)
{
    if (type == AllocateMaxAddress && firmware.give_page_0) {
        *address = 0;
        return EFI_SUCCESS;
    }
    if (firmware.lowest_free == 0 || (type == AllocateMaxAddress && firmware.max_address_broken) ||
        (type == AllocateAddress && *address != firmware.lowest_free))
        return EFI_NOT_FOUND;
    firmware.low_pages_out++;
    *address = (uint64_t)low_page;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI allocate_pages(EFI_ALLOCATE_TYPE type, EFI_MEMORY_TYPE kind, UINTN pages,
                                        EFI_PHYSICAL_ADDRESS *address)
{
    assert_false(firmware.leaving);
    assert_int_equal(kind, EfiLoaderData);
    if (firmware.no_memory)
        return EFI_OUT_OF_RESOURCES;
    if (type != AllocateAnyPages && *address < MB)
        return allocate_low(type, address);
    *address = (uint64_t)aligned_alloc(4096, pages * 4096);
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI free_pages(EFI_PHYSICAL_ADDRESS address, UINTN pages)
{
    assert_false(firmware.leaving);
    (void)pages;
    if (address == 0)
        firmware.give_page_0 = false;
    else if (address == (uint64_t)low_page)
        firmware.low_pages_out--;
    else
        free((void *)address);
    return EFI_SUCCESS;
}

static struct boot boot;

static int set_up(void **state)
{
    (void)state;
    memset(&firmware, 0, sizeof(firmware));
    firmware.services.GetMemoryMap = get_map;
    firmware.services.ExitBootServices = exit_services;
    firmware.services.AllocatePages = allocate_pages;
    firmware.services.FreePages = free_pages;
    firmware.descriptors = 20;
    firmware.key = 7;
    firmware.refusal = EFI_INVALID_PARAMETER;
    boot = (struct boot){ .image = &firmware, .services = &firmware.services };
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    firmware.leaving = false;
    boot_free_beyond(&boot, 0);
    return 0;
}

static EFI_STATUS leave(struct boot_map *current)
{
    memset(current, 0, sizeof(*current));
    assert_true(boot_map_allocate(&boot, current));
    return boot_map_exit_services(&boot, current);
}

static void test_left_at_once(void **state)
{
    struct boot_map current;
    (void)state;
    assert_int_equal(leave(&current), EFI_SUCCESS);
    assert_int_equal(firmware.exits, 1);
    assert_int_equal(current.map.bytes, 20 * STRIDE);
    assert_int_equal(current.map.stride_bytes, STRIDE);
}

/* Drivers' handlers change the map while it is left: the next map, with its key, is the true one. */
static void test_the_map_has_changed_meanwhile(void **state)
{
    struct boot_map current;
    (void)state;
    firmware.refusals = 1;
    firmware.growth = 3;
    assert_int_equal(leave(&current), EFI_SUCCESS);
    assert_int_equal(firmware.exits, 2);
    assert_int_equal(current.key, 8);
    assert_int_equal(current.map.bytes, 23 * STRIDE);
}

static void test_it_changes_again_and_again(void **state)
{
    struct boot_map current;
    (void)state;
    firmware.refusals = 7;
    firmware.growth = 1;
    assert_int_equal(leave(&current), EFI_SUCCESS);
    assert_int_equal(firmware.exits, 8);
}

/* Nothing is allocated and no other service is called after the first refusal: the fake firmware
 * would fail the test. It ends, whatever firmware says. */
static void test_firmware_never_lets_go(void **state)
{
    struct boot_map current;
    (void)state;
    firmware.refusals = 1000;
    assert_true(EFI_ERROR(leave(&current)));
    assert_true(firmware.exits <= MOST_CALLS && firmware.maps <= MOST_CALLS);
}

static void test_the_map_outgrows_its_room(void **state)
{
    struct boot_map current;
    (void)state;
    firmware.refusals = 1;
    firmware.growth = 500;
    assert_int_equal(leave(&current), EFI_BUFFER_TOO_SMALL);
    assert_int_equal(firmware.exits, 1);
    assert_true(firmware.maps <= MOST_CALLS);
}

static void test_no_map_at_all(void **state)
{
    struct boot_map current = { 0 };
    (void)state;
    firmware.map_broken = true;
    assert_false(boot_map_allocate(&boot, &current));
    assert_string_equal(boot.reason, "firmware gives no memory map: device error");
}

/* At whichever step: nothing is believed of a map that was not read, and nothing stays allocated. */
static void test_a_map_that_cannot_be_read(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        set_up(NULL);
        boot.info = calloc(1, sizeof(struct boot_info));
        boot.info->memory_count = 9;
        firmware.maps_until_broken = i < 2 ? i + 1 : 0;
        firmware.no_memory = i == 2;
        assert_int_equal(boot_free_memory(&boot), 0);
        assert_string_equal(boot.reason, i == 2 ? "there is no memory for the firmware's memory map"
                                                : "firmware gives no memory map: device error");
        assert_int_equal(boot.allocation_count, 0);
        free(boot.info);
        boot.info = NULL;
    }
}

static void test_free_memory_is_counted_where_the_map_has_holes(void **state)
{
    (void)state;
    boot.info = calloc(1, sizeof(struct boot_info));
    assert_int_equal(boot_free_memory(&boot), 10 * MB);
    assert_int_equal(boot.allocation_count, 0);
    free(boot.info);
    boot.info = NULL;
}

/* More descriptors than boot_info has room for: what does not fit is not used. */
static void test_a_map_of_hundreds_of_pieces(void **state)
{
    (void)state;
    boot.info = calloc(1, sizeof(struct boot_info));
    firmware.descriptors = MAP_MOST;
    uint64_t bytes = boot_free_memory(&boot);
    assert_true(bytes > 0 && bytes < MAP_MOST / 2 * MB);
    assert_int_equal(boot.info->memory_count, BOOT_INFO_MAX_MEMORY);
    free(boot.info);
    boot.info = NULL;
}

static void test_a_page_below_1_mb(void **state)
{
    (void)state;
    firmware.lowest_free = 0x8000;
    assert_int_equal(boot_allocate_low_page(&boot), (uint64_t)low_page);
    boot_free_beyond(&boot, 0);
    /* Some firmware does not look below 1 MB unless it is asked for that very page. */
    firmware.max_address_broken = true;
    assert_int_equal(boot_allocate_low_page(&boot), (uint64_t)low_page);
    boot_free_beyond(&boot, 0);
    assert_int_equal(firmware.low_pages_out, 0);
}

static void test_no_page_below_1_mb(void **state)
{
    (void)state;
    assert_int_equal(boot_allocate_low_page(&boot), 0);
    assert_int_equal(boot.allocation_count, 0);
    /* Page 0 is nobody's: it is given back. */
    firmware.give_page_0 = true;
    assert_int_equal(boot_allocate_low_page(&boot), 0);
    assert_false(firmware.give_page_0);
    assert_int_equal(boot.reason[0], 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_left_at_once),
        TEST(test_the_map_has_changed_meanwhile),
        TEST(test_it_changes_again_and_again),
        TEST(test_firmware_never_lets_go),
        TEST(test_the_map_outgrows_its_room),
        TEST(test_no_map_at_all),
        TEST(test_a_map_that_cannot_be_read),
        TEST(test_free_memory_is_counted_where_the_map_has_holes),
        TEST(test_a_map_of_hundreds_of_pieces),
        TEST(test_a_page_below_1_mb),
        TEST(test_no_page_below_1_mb),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
