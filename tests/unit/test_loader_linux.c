// SRCS: vmm/core/loader.c vmm/core/loader_linux.c vmm/core/loader_multiboot.c vmm/core/loader_elf.c vmm/core/loader_describe.c vmm/core/gpa_space.c vmm/lib/format.c
/* From Linux "The Linux/x86 Boot Protocol", against images that the test makes, and against the
 * Debian kernels where they have been fetched. */
#include <asm/bootparam.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hv/loader.h"
#include "tests/unit/loader_guest.h"

enum { SETUP_BYTES = 1024, PAYLOAD_BYTES = 0x5000 };

static uint8_t image[SETUP_BYTES + PAYLOAD_BYTES];
static struct setup_header *header;

/* As Debian's 6.1 kernels say it, but small. */
static void make_image(void)
{
    memset(image, 0, sizeof(image));
    header = (struct setup_header *)(image + 0x1f1);
    header->setup_sects = 1;
    header->syssize = PAYLOAD_BYTES / 16;
    header->boot_flag = 0xaa55;
    header->jump = 0x66eb; /* to 0x268 */
    header->header = 0x53726448;
    header->version = 0x20f;
    header->loadflags = LOADED_HIGH;
    header->initrd_addr_max = 0x7fffffff;
    header->kernel_alignment = 0x200000;
    header->relocatable_kernel = 1;
    header->min_alignment = 21;
    header->xloadflags = XLF_KERNEL_64 | XLF_CAN_BE_LOADED_ABOVE_4G;
    header->cmdline_size = 2047;
    header->pref_address = 0x1000000;
    header->init_size = 0x600000;
    for (unsigned i = 0; i < PAYLOAD_BYTES; i++)
        image[SETUP_BYTES + i] = (uint8_t)(i * 31 + 7);
}

static int setup(void **state)
{
    (void)state;
    make_image();
    guest_make(64);
    guest.request.kernel = (struct loader_file){ "vmlinuz", image, sizeof(image), "" };
    guest.request.cmdline = "console=ttyS0 quiet";
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    guest_free();
    return 0;
}

static const struct boot_params *zero_page(void)
{
    return guest_at(guest.result.boot_params, sizeof(struct boot_params));
}

static void test_64_bit_entry(void **state)
{
    (void)state;
    guest_load(HV_OK);
    assert_int_equal(guest.result.entry, LOADER_ENTRY_LINUX64);
    assert_int_equal(guest.result.rip, 0x1000200);
    assert_memory_equal(guest_at(0x1000000, PAYLOAD_BYTES), image + SETUP_BYTES, PAYLOAD_BYTES);
    const struct boot_params *params = zero_page();
    assert_int_equal(guest.result.boot_params & 0xfff, 0);
    assert_int_equal(params->hdr.type_of_loader, 0xff);
    assert_int_equal(params->hdr.code32_start, 0x1000000);
    assert_int_equal(params->hdr.boot_flag, 0xaa55);
    assert_int_equal(params->hdr.header, 0x53726448);
    assert_int_equal(params->hdr.version, 0x20f);
    assert_int_equal(params->hdr.init_size, 0x600000);
    assert_int_equal(params->hdr.kernel_alignment, 0x200000);
    assert_true(params->hdr.loadflags & LOADED_HIGH);
    assert_int_equal(params->hdr.ramdisk_image, 0);
    assert_int_equal(params->hdr.ramdisk_size, 0);
    assert_int_equal(params->sentinel, 0);
    assert_int_equal(params->acpi_rsdp_addr, 0xe1000);
    assert_string_equal(guest_at(params->hdr.cmd_line_ptr, 20), "console=ttyS0 quiet");
}

static void test_e820_is_the_map(void **state)
{
    (void)state;
    guest_load(HV_OK);
    const struct boot_params *params = zero_page();
    assert_int_equal(params->e820_entries, guest.request.map_count);
    for (unsigned i = 0; i < guest.request.map_count; i++) {
        assert_int_equal(params->e820_table[i].addr, guest.map[i].start);
        assert_int_equal(params->e820_table[i].size, guest.map[i].bytes);
        assert_int_equal(params->e820_table[i].type, guest.map[i].kind);
    }
}

static void test_descriptor_table_and_stack(void **state)
{
    (void)state;
    guest_load(HV_OK);
    assert_int_equal(guest.result.code_selector, 0x10);
    assert_int_equal(guest.result.data_selector, 0x18);
    assert_int_equal(guest.result.gdt_limit, 0x1f);
    const uint64_t *gdt = guest_at(guest.result.gdt, 32);
    assert_true(gdt[0] == 0 && gdt[1] == 0);
    assert_true(gdt[2] == 0x00af9b000000ffff); /* L set, D clear */
    assert_true(gdt[3] == 0x00cf93000000ffff);
    assert_int_equal(guest.result.stack & 15, 0);
    assert_true(guest.result.stack <= 0xa0000);
}

/* Walks the guest's tables as the processor would. */
static uint64_t translate(uint64_t address)
{
    const uint64_t *table = guest_at(guest.result.cr3, 4096);
    uint64_t entry = table[address >> 39 & 511];
    assert_int_equal(entry & 3, 3);
    table = guest_at(entry & ~UINT64_C(0xfff), 4096);
    entry = table[address >> 30 & 511];
    assert_int_equal(entry & 3, 3);
    if (entry & 0x80)
        return (entry & ~((UINT64_C(1) << 30) - 1)) | (address & ((1 << 30) - 1));
    table = guest_at(entry & ~UINT64_C(0xfff), 4096);
    entry = table[address >> 21 & 511];
    assert_int_equal(entry & 0x83, 0x83);
    return (entry & ~((UINT64_C(1) << 21) - 1)) | (address & ((1 << 21) - 1));
}

static void test_identity_map_of_4_gb(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        guest.request.pages_1g = round;
        guest_load(HV_OK);
        for (uint64_t address = 0; address < UINT64_C(1) << 32; address += 0x1fffff)
            assert_true(translate(address) == address);
        const uint64_t *pdpt = guest_at(guest.result.cr3 + 4096, 4096);
        assert_true(pdpt[4] == 0);
        assert_int_equal(pdpt[0] >> 7 & 1, round);
    }
}

static void test_initrd_is_high_and_whole(void **state)
{
    static uint8_t initrd[12345];
    (void)state;
    memset(initrd, 0xc3, sizeof(initrd));
    guest.request.initrd = (struct loader_file){ "initrd.img", initrd, sizeof(initrd), "" };
    guest_load(HV_OK);
    const struct boot_params *params = zero_page();
    assert_int_equal(params->hdr.ramdisk_image, (64 << 20) - 0x4000);
    assert_int_equal(params->hdr.ramdisk_size, sizeof(initrd));
    assert_int_equal(params->ext_ramdisk_image, 0);
    assert_int_equal(params->ext_ramdisk_size, 0);
    assert_memory_equal(guest_at(params->hdr.ramdisk_image, sizeof(initrd)), initrd,
                        sizeof(initrd));
    /* Not above what the kernel can reach. */
    header->initrd_addr_max = 0x2ffffff;
    guest_load(HV_OK);
    assert_int_equal(zero_page()->hdr.ramdisk_image, 0x3000000 - 0x4000);
    /* Without room above the kernel it goes below. */
    header->initrd_addr_max = 0x1004fff;
    guest_load(HV_OK);
    assert_int_equal(zero_page()->hdr.ramdisk_image, 0x1000000 - 0x4000);
}

static void test_initrd_above_4g_only_where_the_kernel_can(void **state)
{
    static uint8_t initrd[0x200000];
    (void)state;
    guest_make_with_high_memory();
    guest.request.kernel = (struct loader_file){ "vmlinuz", image, sizeof(image), "" };
    guest.request.initrd = (struct loader_file){ "initrd.img", initrd, sizeof(initrd), "" };
    header->pref_address = 0x100000;
    header->init_size = 0x180000;
    header->kernel_alignment = 0x1000;
    guest_load(HV_OK);
    uint64_t high = zero_page()->ext_ramdisk_image;
    uint64_t start = zero_page()->hdr.ramdisk_image | high << 32;
    assert_true(start == (UINT64_C(1) << 32) + 0x200000);
    header->xloadflags = XLF_KERNEL_64;
    guest_refused(HV_ERR_RANGE, "initrd.img: the initial RAM disk of 2048 KB does not fit: the "
                                "guest has 7295 KB, and its kernel needs 1536 KB of them");
}

static void test_initrd_refusals(void **state)
{
    static uint8_t initrd[1];
    (void)state;
    guest.request.initrd = (struct loader_file){ "initrd.img", initrd, 0, "" };
    guest_refused(HV_ERR_INVALID, "initrd.img: found an empty file; expected an initial RAM disk");
    guest.request.initrd.bytes = 60 << 20; /* refused before it is read */
    guest_refused(HV_ERR_RANGE, "initrd.img: the initial RAM disk of 61440 KB does not fit: the "
                                "guest has 65151 KB, and its kernel needs 6144 KB of them");
    guest.request.initrd.bytes = UINT64_MAX;
    assert_int_equal(loader_load(&guest.request, &guest.result, &guest.diagnosis), HV_ERR_RANGE);
}

static void test_nothing_overlaps(void **state)
{
    static uint8_t initrd[0x3000];
    (void)state;
    guest.request.initrd = (struct loader_file){ "initrd.img", initrd, sizeof(initrd), "" };
    guest_load(HV_OK);
    const struct boot_params *params = zero_page();
    const struct { uint64_t start, bytes; } parts[] = {
        { guest.result.boot_params, 4096 }, { params->hdr.cmd_line_ptr, 20 },
        { guest.result.gdt, 32 }, { guest.result.stack - 4096, 4096 },
        { guest.result.cr3, 6 * 4096 }, { 0x1000000, 0x600000 },
        { params->hdr.ramdisk_image, sizeof(initrd) },
    };
    for (unsigned i = 0; i < HV_ARRAY_COUNT(parts); i++) {
        assert_true(guest_is_ram(parts[i].start, parts[i].bytes));
        for (unsigned j = 0; j < i; j++)
            assert_true(parts[i].start + parts[i].bytes <= parts[j].start ||
                        parts[j].start + parts[j].bytes <= parts[i].start);
    }
}

static void test_kernel_placement(void **state)
{
    (void)state;
    /* The preferred address is taken: the next aligned one. */
    guest_add_hole(0x1200000, 0x1000);
    guest_load(HV_OK);
    assert_int_equal(guest.result.rip, 0x1400200);
    assert_int_equal(zero_page()->hdr.code32_start, 0x1400000);
    header->relocatable_kernel = 0;
    guest_refused(HV_ERR_RANGE, "vmlinuz: needs 6144 KB of memory at or above 16384 KB (and below "
                                "4 GB), which the guest, with 65147 KB, does not have");
    header->init_size = 0x200000;
    guest_load(HV_OK);
    assert_int_equal(guest.result.rip, 0x1000200);
}

/* RAM that does not begin on a page, and alignments that leave none of it. */
static void test_unaligned_ranges(void **state)
{
    static uint8_t initrd[0x4000];
    (void)state;
    guest_add_hole((64 << 20) - 0x4c00, 0x800); /* 0x4400 bytes of RAM behind it */
    guest.request.initrd = (struct loader_file){ "initrd", initrd, sizeof(initrd), "" };
    guest_load(HV_OK);
    assert_int_equal(zero_page()->hdr.ramdisk_image, (64 << 20) - 0x4000);
    guest.map[5].start += 0x600;
    guest.map[5].bytes -= 0x600; /* now it would have to begin below the range */
    guest_load(HV_OK);
    assert_int_equal(zero_page()->hdr.ramdisk_image, (64 << 20) - 0x9000);
    header->kernel_alignment = 1 << 30;
    assert_int_equal(loader_load(&guest.request, &guest.result, &guest.diagnosis), HV_ERR_RANGE);
}

static void test_kernel_that_does_not_fit(void **state)
{
    (void)state;
    header->init_size = 0x3000000;
    guest_load(HV_OK);
    header->init_size = 0x3000001;
    guest_refused(HV_ERR_RANGE, "vmlinuz: needs 49152 KB of memory at or above 16384 KB (and below "
                                "4 GB), which the guest, with 65151 KB, does not have");
    header->init_size = 0xffffffff;
    assert_int_equal(loader_load(&guest.request, &guest.result, &guest.diagnosis), HV_ERR_RANGE);
    header->init_size = 0x1000;
    header->pref_address = UINT64_MAX;
    assert_int_equal(loader_load(&guest.request, &guest.result, &guest.diagnosis), HV_ERR_RANGE);
    header->relocatable_kernel = 0;
    assert_int_equal(loader_load(&guest.request, &guest.result, &guest.diagnosis), HV_ERR_RANGE);
    guest_free();
    guest_make(1);
    guest.request.kernel = (struct loader_file){ "vmlinuz", image, sizeof(image), "" };
    assert_int_equal(loader_load(&guest.request, &guest.result, &guest.diagnosis), HV_ERR_RANGE);
}

static void test_32_bit_entry(void **state)
{
    (void)state;
    header->xloadflags = 0;
    guest_load(HV_OK);
    assert_int_equal(guest.result.entry, LOADER_ENTRY_LINUX32);
    assert_int_equal(guest.result.rip, 0x1000000);
    assert_int_equal(guest.result.cr3, 0);
    const uint64_t *gdt = guest_at(guest.result.gdt, 32);
    assert_true(gdt[2] == 0x00cf9b000000ffff);
    /* 2.11 has no xloadflags: what stands there is something else. */
    header->xloadflags = XLF_KERNEL_64;
    header->version = 0x20b;
    guest_load(HV_OK);
    assert_int_equal(guest.result.entry, LOADER_ENTRY_LINUX32);
}

static void test_old_protocols(void **state)
{
    (void)state;
    header->version = 0x209; /* no pref_address, no init_size */
    header->pref_address = 0x2000000;
    header->init_size = 0x6000000;
    header->relocatable_kernel = 0;
    guest_load(HV_OK);
    assert_int_equal(guest.result.rip, 0x100000);
    header->version = 0x204; /* no kernel_alignment, no cmdline_size */
    header->relocatable_kernel = 1;
    header->kernel_alignment = 3;
    header->cmdline_size = 1;
    guest_load(HV_OK);
    assert_int_equal(guest.result.rip, 0x100000);
    char text[300];
    memset(text, 'x', sizeof(text));
    text[255] = 0;
    guest.request.cmdline = text;
    guest_load(HV_OK);
    text[255] = 'x';
    text[256] = 0;
    guest_refused(HV_ERR_RANGE,
                  "vmlinuz: the command line has 256 bytes; this kernel takes 255");
    header->version = 0x202; /* no initrd_addr_max: 0x37ffffff holds */
    header->initrd_addr_max = 0;
    static uint8_t initrd[1];
    guest.request.initrd = (struct loader_file){ "initrd", initrd, 1, "" };
    guest.request.cmdline = "";
    guest_load(HV_OK);
    header->version = 0x203;
    assert_int_equal(loader_load(&guest.request, &guest.result, &guest.diagnosis), HV_ERR_RANGE);
    header->version = 0x201;
    guest_refused(HV_ERR_UNSUPPORTED,
                  "vmlinuz: a Linux kernel of boot protocol 2.01; expected 2.02 or later");
}

static void test_header_is_copied_as_far_as_it_says(void **state)
{
    (void)state;
    image[0x201] = 0x10; /* to 0x212 */
    guest_load(HV_OK);
    assert_int_equal(zero_page()->hdr.loadflags, LOADED_HIGH);
    assert_int_equal(zero_page()->hdr.init_size, 0);
    image[0x201] = 0xff; /* would run into the fields behind the header */
    memset(image + 0x268, 0x99, 0x100);
    header->loadflags |= KEEP_SEGMENTS;
    header->setup_data = 0x1234;
    header->ramdisk_image = 0x5555;
    guest_load(HV_OK);
    const uint8_t *page = guest_at(guest.result.boot_params, 4096);
    assert_int_equal(page[0x28f], 0x99);
    assert_int_equal(page[0x290], 0);
    assert_int_equal(zero_page()->hdr.loadflags & KEEP_SEGMENTS, 0);
    assert_int_equal(zero_page()->hdr.setup_data, 0);
    assert_int_equal(zero_page()->hdr.ramdisk_image, 0);
}

static void test_truncated_files(void **state)
{
    (void)state;
    for (uint64_t bytes = 0x206; bytes < sizeof(image) - 15; bytes += bytes < 0x600 ? 1 : 61) {
        /* On the heap, so that reading past the end is seen. */
        uint8_t *part = malloc(bytes);
        memcpy(part, image, bytes);
        guest.request.kernel.data = part;
        guest.request.kernel.bytes = bytes;
        assert_int_equal(loader_load(&guest.request, &guest.result, &guest.diagnosis),
                         HV_ERR_INVALID);
        free(part);
    }
    guest.request.kernel.data = image;
    guest.request.kernel.bytes = 1023;
    guest_refused(HV_ERR_INVALID,
                  "vmlinuz: a bzImage that is cut off in its header, at 1023 bytes");
    guest.request.kernel.bytes = 2000;
    guest_refused(HV_ERR_INVALID,
                  "vmlinuz: a bzImage of 2000 bytes that is cut off: its header says 21504");
    /* The last 16-byte unit may be cut. */
    guest.request.kernel.bytes = sizeof(image) - 15;
    guest_load(HV_OK);
    guest.request.kernel.bytes = sizeof(image) - 16;
    assert_int_equal(loader_load(&guest.request, &guest.result, &guest.diagnosis), HV_ERR_INVALID);
}

static void test_malformed_headers(void **state)
{
    (void)state;
    header->kernel_alignment = 0x3000;
    guest_refused(HV_ERR_INVALID, "vmlinuz: a bzImage with the alignment 0x3000; expected a power "
                                  "of two up to 1 GB");
    header->kernel_alignment = 0;
    assert_int_equal(loader_load(&guest.request, &guest.result, &guest.diagnosis), HV_ERR_INVALID);
    header->kernel_alignment = 0x80000000;
    assert_int_equal(loader_load(&guest.request, &guest.result, &guest.diagnosis), HV_ERR_INVALID);
    make_image();
    header->pref_address = 0xfffff;
    guest_refused(HV_ERR_INVALID,
                  "vmlinuz: a bzImage that wants to run at 0xfffff; expected 1 MB or above");
    make_image();
    header->syssize = 0x20;
    guest_refused(HV_ERR_INVALID, "vmlinuz: a bzImage whose code ends before its 64-bit entry");
    header->syssize = 0;
    assert_int_equal(loader_load(&guest.request, &guest.result, &guest.diagnosis), HV_ERR_INVALID);
    header->syssize = 0xffffffff;
    assert_int_equal(loader_load(&guest.request, &guest.result, &guest.diagnosis), HV_ERR_INVALID);
    make_image();
    header->loadflags = 0;
    guest_refused(HV_ERR_UNSUPPORTED,
                  "vmlinuz: a Linux zImage, which runs below 1 MB; expected a bzImage");
    make_image();
    header->setup_sects = 0; /* means 4 */
    header->syssize -= 3 * 32;
    guest_load(HV_OK);
    assert_memory_equal(guest_at(0x1000000, 16), image + 5 * 512, 16);
}

static void test_requests_that_do_not_go_with_linux(void **state)
{
    struct loader_file module = { "m", image, 1, "" };
    (void)state;
    guest.request.modules = &module;
    guest.request.module_count = 1;
    guest_refused(HV_ERR_INVALID,
                  "vmlinuz: found 'module' with a Linux kernel; expected 'initrd'");
}

static void test_guest_without_low_memory(void **state)
{
    static char text[600 * 1024];
    (void)state;
    header->cmdline_size = 0xffffffff;
    memset(text, 'x', sizeof(text) - 1);
    guest.request.cmdline = text;
    guest_refused(HV_ERR_RANGE,
                  "vmlinuz: the guest has no 600 KB free below 640 KB for the command line");
    /* Each of the small structures, one after the other, finds no place. */
    guest.request.cmdline = "";
    for (unsigned pages = 0; pages < 10; pages++) {
        guest.map[0].bytes = 0x10000 + pages * 4096u;
        assert_int_equal(loader_load(&guest.request, &guest.result, &guest.diagnosis),
                         HV_ERR_RANGE);
    }
    guest.map[0].bytes = 0x1a000;
    guest_load(HV_OK);
}

static void test_map_that_names_more_than_there_is(void **state)
{
    (void)state;
    guest.space.slots[1].bytes = 0xf00000 + 0x1000;
    assert_int_equal(loader_load(&guest.request, &guest.result, &guest.diagnosis), HV_ERR_RANGE);
    assert_string_equal(guest.diagnosis.text, "vmlinuz: the guest's memory map names RAM from "
                                              "0x1000000 on that it does not have");
    guest.space.slots[1].bytes = (64 << 20) - 0x100000;
    guest.space.slots[0].bytes = 0x8000;
    guest_refused(HV_ERR_RANGE,
                  "vmlinuz: the guest's memory map names RAM at 0x10000 that it does not have");
}

static void test_map_with_too_many_ranges(void **state)
{
    static struct loader_range map[129];
    (void)state;
    for (unsigned i = 0; i < 129; i++)
        map[i] = i < 4 ? guest.map[i]
                       : (struct loader_range){ (UINT64_C(8) << 30) + i * 4096, 4096,
                                                LOADER_RANGE_RESERVED };
    guest.request.map = map;
    guest.request.map_count = 129;
    guest_refused(HV_ERR_RANGE, "vmlinuz: the guest's memory map has 129 ranges; Linux takes 128");
    guest.request.map_count = 128;
    guest_load(HV_OK);
    assert_int_equal(zero_page()->e820_entries, 128);
}

/* --- the real thing --- */

static void load_real(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        skip();
    fseek(file, 0, SEEK_END);
    size_t bytes = (size_t)ftell(file);
    rewind(file);
    uint8_t *data = malloc(bytes);
    assert_int_equal(fread(data, 1, bytes, file), bytes);
    fclose(file);
    guest_free();
    guest_make(256);
    guest.request.kernel = (struct loader_file){ "vmlinuz", data, bytes, "" };
    guest.request.cmdline = "quiet";
    guest_load(HV_OK);
    assert_int_equal(guest.result.entry, LOADER_ENTRY_LINUX64);
    assert_int_equal(guest.result.rip, 0x1000200);
    const struct boot_params *params = zero_page();
    assert_memory_equal(&params->hdr, data + 0x1f1, 0x1f);
    assert_true(params->hdr.init_size > bytes);
    size_t setup_bytes = (data[0x1f1] + 1u) * 512;
    assert_memory_equal(guest_at(0x1000000, bytes - setup_bytes - 4096), data + setup_bytes,
                        bytes - setup_bytes - 4096);
    free(data);
}

static void test_debian_amd64(void **state)
{
    (void)state;
    load_real("build/guest/amd64/vmlinuz");
}

static void test_debian_cloud(void **state)
{
    (void)state;
    load_real("build/guest/cloud/vmlinuz");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_64_bit_entry),
        TEST(test_e820_is_the_map),
        TEST(test_descriptor_table_and_stack),
        TEST(test_identity_map_of_4_gb),
        TEST(test_initrd_is_high_and_whole),
        TEST(test_initrd_above_4g_only_where_the_kernel_can),
        TEST(test_initrd_refusals),
        TEST(test_nothing_overlaps),
        TEST(test_kernel_placement),
        TEST(test_unaligned_ranges),
        TEST(test_kernel_that_does_not_fit),
        TEST(test_32_bit_entry),
        TEST(test_old_protocols),
        TEST(test_header_is_copied_as_far_as_it_says),
        TEST(test_truncated_files),
        TEST(test_malformed_headers),
        TEST(test_requests_that_do_not_go_with_linux),
        TEST(test_guest_without_low_memory),
        TEST(test_map_that_names_more_than_there_is),
        TEST(test_map_with_too_many_ranges),
        TEST(test_debian_amd64),
        TEST(test_debian_cloud),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
