// SRCS: boot/remains.c boot/firmware_map.c boot/memory_map.c boot/allocate.c boot/log_file.c boot/files.c boot/utf.c boot/print.c vmm/lib/format.c
// UEFI
/* The search for what a thin machine left in memory: free memory alone, as far as firmware lets it be
 * read. What the text says: test_thin_remains. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/mman.h>

#include "boot/firmware_paging.h"
#include "boot/thin.h"
#include "uefi.h"
#include "x86/thin_remains.h"

#define MB2 UINT64_C(0x200000)
#define PIECES 5 /* of 2 MB: free memory, and the block in the last but one and two */
#define BLOCK 3

static struct {
    EFI_BOOT_SERVICES services;
    EFI_SYSTEM_TABLE system;
    struct fake_volume volume;
    struct boot boot;
    struct boot_info info;
    uint64_t start;          /* of the machine's memory */
    uint64_t unreadable;     /* an address that firmware does not map */
    UINT32 type;             /* of its memory */
    uint64_t most_address;   /* that was asked for */
    bool no_map, no_room;
} machine;

/* --- what remains.c calls --- */

bool boot_can_read(uint64_t start, uint64_t bytes)
{
    return machine.unreadable - start >= bytes;
}

bool thin_remains_valid(const struct thin_remains *remains, uint64_t address)
{
    /* Nobody looks where firmware maps nothing. */
    assert_true(machine.unreadable - address >= HV_PAGE_BYTES);
    return remains->magic == THIN_REMAINS_MAGIC && remains->block_start == address;
}

size_t thin_remains_text(const struct thin_remains *remains, char *out, size_t bytes)
{
    /* The text must not stand in the block that it is made of. */
    assert_true((uint64_t)out + bytes <= remains->block_start);
    memcpy(out, "exits", 6);
    return 5;
}

static EFI_STATUS EFIAPI get_map(UINTN *bytes, EFI_MEMORY_DESCRIPTOR *map, UINTN *key,
                                 UINTN *stride, UINT32 *version)
{
    UINTN room = *bytes;
    if (machine.no_map)
        return EFI_DEVICE_ERROR;
    *stride = *bytes = sizeof(*map);
    *key = *version = 1;
    if (!map || room < sizeof(*map))
        return EFI_BUFFER_TOO_SMALL;
    *map = (EFI_MEMORY_DESCRIPTOR){ .Type = machine.type, .PhysicalStart = machine.start,
                                    .NumberOfPages = PIECES * MB2 / 4096,
                                    .Attribute = EFI_MEMORY_WB };
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI allocate_pages(EFI_ALLOCATE_TYPE how, EFI_MEMORY_TYPE type, UINTN pages,
                                        EFI_PHYSICAL_ADDRESS *start)
{
    assert_int_equal(type, EfiLoaderData);
    if (how == AllocateMaxAddress && machine.no_room)
        return EFI_OUT_OF_RESOURCES;
    if (how == AllocateMaxAddress) { /* from the top, as firmware does */
        machine.most_address = *start;
        *start = ((*start + 1) & ~UINT64_C(0xfff)) - pages * 4096;
        return EFI_SUCCESS;
    }
    *start = (uint64_t)aligned_alloc(4096, pages * 4096);
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI free_pages(EFI_PHYSICAL_ADDRESS start, UINTN pages)
{
    (void)pages;
    if (start - machine.start >= PIECES * MB2)
        free((void *)start);
    return EFI_SUCCESS;
}

static struct thin_remains *block(void)
{
    return (struct thin_remains *)(machine.start + BLOCK * MB2);
}

static int set_up(void **state)
{
    (void)state;
    memset(&machine, 0, sizeof(machine));
    uint64_t at = (uint64_t)mmap(NULL, (PIECES + 1) * MB2, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT | MAP_NORESERVE, -1, 0);
    if (at == (uint64_t)MAP_FAILED)
        return -1;
    machine.start = (at + MB2 - 1) & ~(MB2 - 1);
    machine.type = EfiConventionalMemory;
    machine.unreadable = UINT64_MAX;
    machine.services.GetMemoryMap = get_map;
    machine.services.AllocatePages = allocate_pages;
    machine.services.FreePages = free_pages;
    machine.services.HandleProtocol = fake_handle_protocol;
    machine.volume.room_bytes = SIZE_MAX;
    fake_current_volume = &machine.volume;
    machine.boot = (struct boot){ .image = &machine, .system = &machine.system,
                                  .services = &machine.services, .info = &machine.info };
    *block() = (struct thin_remains){ .magic = THIN_REMAINS_MAGIC,
                                      .block_start = machine.start + BLOCK * MB2,
                                      .block_bytes = 2 * MB2 };
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(machine.boot.allocation_count, 0);
    return munmap((void *)machine.start, PIECES * MB2);
}

static bool saved(void)
{
    boot_save_remains(&machine.boot);
    const struct fake_file *file = fake_file_at(&machine.volume, "\\trapline\\thin.txt", false);
    assert_true(!file || (file->bytes == 5 && memcmp(file->data, "exits", 5) == 0));
    return file;
}

static void test_once(void **state)
{
    (void)state;
    assert_true(saved());
    assert_int_equal(machine.most_address, machine.start + BLOCK * MB2 - 1);
    machine.volume.files[0].path[0] = machine.volume.files[1].path[0] = 0;
    assert_false(saved());
}

static void test_memory_that_is_in_use(void **state)
{
    (void)state;
    machine.type = EfiReservedMemoryType;
    assert_false(saved());
}

static void test_memory_that_firmware_does_not_map(void **state)
{
    (void)state;
    machine.unreadable = machine.start + BLOCK * MB2 + 3 * MB2 / 2; /* within the block */
    assert_false(saved());
    machine.unreadable = machine.start + BLOCK * MB2;
    assert_false(saved());
    machine.unreadable = machine.start + 5; /* elsewhere: the search goes on */
    assert_true(saved());
}

static void test_a_block_that_is_cut(void **state)
{
    (void)state;
    block()->block_bytes = 2 * MB2 + 1;
    assert_false(saved());
}

static void test_what_can_not_be_done(void **state)
{
    (void)state;
    machine.no_room = true; /* it is left for the next start */
    assert_false(saved());
    machine.no_room = false;
    machine.no_map = true;
    assert_false(saved());
    machine.no_map = false;
    machine.volume.open_status = EFI_WRITE_PROTECTED; /* said once */
    assert_false(saved());
    machine.volume.open_status = EFI_SUCCESS;
    assert_false(saved());
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_once),
        TEST(test_memory_that_is_in_use),
        TEST(test_memory_that_firmware_does_not_map),
        TEST(test_a_block_that_is_cut),
        TEST(test_what_can_not_be_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
