// SRCS: vmm/core/loader.c vmm/core/loader_linux.c vmm/core/loader_multiboot.c vmm/core/loader_elf.c vmm/core/loader_describe.c vmm/core/gpa_space.c vmm/lib/format.c
/* From the "Multiboot Specification version 0.6.96" and the System V ABI, against images that the
 * test makes; and what is said of files that are no kernels. */
#include <elf.h>
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

enum { FILE_BYTES = 0x4000, HEADER_AT = 0x1000, CODE_AT = 0x1000, CODE_BYTES = 0x800 };

static _Alignas(16) uint8_t image[FILE_BYTES];
static Elf32_Ehdr *ehdr = (Elf32_Ehdr *)image;
static Elf32_Phdr *phdr = (Elf32_Phdr *)(image + sizeof(Elf32_Ehdr));
static Elf64_Ehdr *ehdr64 = (Elf64_Ehdr *)image;
static Elf64_Phdr *phdr64 = (Elf64_Phdr *)(image + sizeof(Elf64_Ehdr));

/* "The information that the loader passes", by the table of "Boot information format". */
struct mb_info {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4];
    uint32_t mmap_length, mmap_addr, drives_length, drives_addr, config_table, boot_loader_name;
    uint32_t apm_table, vbe[4];
};

struct mb_module {
    uint32_t start, end, string, reserved;
};

struct __attribute__((packed)) mb_range {
    uint32_t size;
    uint64_t start, bytes;
    uint32_t type;
};

static void put_header(uint32_t offset, uint32_t flags)
{
    uint32_t header[3] = { 0x1badb002, flags, 0u - 0x1badb002u - flags };
    memcpy(image + offset, header, sizeof(header));
}

static void fill_code(void)
{
    for (unsigned i = 12; i < CODE_BYTES; i++)
        image[CODE_AT + i] = (uint8_t)(i * 13 + 1);
}

/* Linked at 0xc0100000, loaded at 1 MB, 0x800 bytes of file and 0x2000 of memory. */
static void make_elf32(void)
{
    memset(image, 0, sizeof(image));
    fill_code();
    put_header(HEADER_AT, 3);
    memcpy(ehdr->e_ident, "\177ELF\1\1\1", 7);
    ehdr->e_type = ET_EXEC;
    ehdr->e_machine = EM_386;
    ehdr->e_version = 1;
    ehdr->e_entry = 0xc0100010;
    ehdr->e_phoff = sizeof(Elf32_Ehdr);
    ehdr->e_ehsize = sizeof(Elf32_Ehdr);
    ehdr->e_phentsize = sizeof(Elf32_Phdr);
    ehdr->e_phnum = 2;
    phdr[0] = (Elf32_Phdr){ .p_type = PT_NOTE, .p_offset = UINT32_MAX, .p_filesz = 9 };
    phdr[1] = (Elf32_Phdr){ .p_type = PT_LOAD, .p_offset = CODE_AT, .p_vaddr = 0xc0100000,
                            .p_paddr = 0x100000, .p_filesz = CODE_BYTES, .p_memsz = 0x2000 };
}

static void make_elf64(void)
{
    memset(image, 0, sizeof(image));
    fill_code();
    put_header(HEADER_AT, 3);
    memcpy(ehdr64->e_ident, "\177ELF\2\1\1", 7);
    ehdr64->e_type = ET_EXEC;
    ehdr64->e_machine = EM_X86_64;
    ehdr64->e_entry = 0xffffffff80100020;
    ehdr64->e_phoff = sizeof(Elf64_Ehdr);
    ehdr64->e_phentsize = sizeof(Elf64_Phdr);
    ehdr64->e_phnum = 1;
    phdr64[0] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_offset = CODE_AT, .p_vaddr = 0xffffffff80100000,
                              .p_paddr = 0x200000, .p_filesz = CODE_BYTES, .p_memsz = 0x2000 };
}

/* A flat kernel with address fields: the header is 0x40 into the file, which goes to 0x100000. */
static uint32_t *make_flat(void)
{
    uint32_t *header = (uint32_t *)(image + 0x40);
    memset(image, 0, sizeof(image));
    fill_code();
    put_header(0x40, 0x10000);
    header[3] = 0x100040; /* header_addr */
    header[4] = 0x100000; /* load_addr */
    header[5] = 0x102000; /* load_end_addr */
    header[6] = 0x105000; /* bss_end_addr */
    header[7] = 0x101000; /* entry_addr */
    return header;
}

static int setup(void **state)
{
    (void)state;
    make_elf32();
    guest_make(64);
    guest.request.kernel = (struct loader_file){ "kernel.elf", image, sizeof(image), "" };
    guest.request.cmdline = "a=1 b";
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    guest_free();
    return 0;
}

static const struct mb_info *info(void)
{
    return guest_at(guest.result.boot_params, sizeof(struct mb_info));
}

static void expect_code_at(uint64_t gpa)
{
    static const uint8_t zeros[0x1800];
    assert_memory_equal(guest_at(gpa, CODE_BYTES), image + CODE_AT, CODE_BYTES);
    assert_memory_equal(guest_at(gpa + CODE_BYTES, 0x1800), zeros, 0x1800);
    assert_int_equal(*(const uint8_t *)guest_at(gpa + 0x2000, 1), GUEST_PATTERN);
}

static void test_elf32(void **state)
{
    (void)state;
    guest_load(HV_OK);
    assert_int_equal(guest.result.entry, LOADER_ENTRY_MULTIBOOT1);
    assert_int_equal(guest.result.rip, 0x100010); /* the linked entry, where it was loaded */
    assert_int_equal(guest.result.cr3, 0);
    expect_code_at(0x100000);
    const uint64_t *gdt = guest_at(guest.result.gdt, guest.result.gdt_limit + 1u);
    assert_int_equal(guest.result.code_selector, 0x10);
    assert_int_equal(guest.result.data_selector, 0x18);
    assert_true(gdt[2] == 0x00cf9b000000ffff);
    assert_true(gdt[3] == 0x00cf93000000ffff);
    assert_true(guest.result.stack > 0x1000 && guest.result.stack <= 0xa0000);
}

static void test_elf32_physical_entry(void **state)
{
    (void)state;
    ehdr->e_entry = 0x101fff;
    guest_load(HV_OK);
    assert_int_equal(guest.result.rip, 0x101fff);
    ehdr->e_entry = 0x102000;
    guest_refused(HV_ERR_INVALID, "kernel.elf: an ELF file whose entry 0x102000 lies in none of "
                                  "its segments");
    ehdr->e_entry = 0xfffff;
    assert_int_equal(loader_load(&guest.request, &guest.result, &guest.diagnosis), HV_ERR_INVALID);
}

static void test_elf64_as_grub_takes_it(void **state)
{
    (void)state;
    make_elf64();
    guest_load(HV_OK);
    assert_int_equal(guest.result.entry, LOADER_ENTRY_MULTIBOOT1);
    assert_int_equal(guest.result.rip, 0x200020);
    expect_code_at(0x200000);
    phdr64[0].p_paddr = UINT64_C(1) << 32;
    guest_refused(HV_ERR_RANGE, "kernel.elf: a segment of 0x2000 bytes belongs at 0x100000000, "
                                "where the guest has no RAM for it");
}

static void test_information(void **state)
{
    (void)state;
    guest_load(HV_OK);
    const struct mb_info *mb = info();
    assert_int_equal(guest.result.boot_params & 3, 0);
    assert_int_equal(mb->flags, 1 << 0 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9);
    assert_int_equal(mb->mem_lower, 639);
    assert_int_equal(mb->mem_upper, 63 * 1024);
    assert_string_equal(guest_at(mb->cmdline, 17), "kernel.elf a=1 b");
    assert_string_equal(guest_at(mb->boot_loader_name, 9), "Trapline");
    assert_int_equal(mb->mods_count, 0);
    assert_int_equal(mb->mmap_length, 4 * 24);
    const struct mb_range *ranges = guest_at(mb->mmap_addr, mb->mmap_length);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(ranges[i].size, 20);
        assert_int_equal(ranges[i].start, guest.map[i].start);
        assert_int_equal(ranges[i].bytes, guest.map[i].bytes);
        assert_int_equal(ranges[i].type, guest.map[i].kind);
    }
    guest.request.cmdline = "";
    guest_load(HV_OK);
    assert_string_equal(guest_at(info()->cmdline, 11), "kernel.elf");
}

static void test_memory_sizes_end_at_the_first_hole(void **state)
{
    (void)state;
    guest_add_hole(0x1000000, 0x1000);
    guest_load(HV_OK);
    assert_int_equal(info()->mem_upper, 15 * 1024);
    guest.map[4].kind = LOADER_RANGE_RAM; /* pieces that touch are one */
    guest_load(HV_OK);
    assert_int_equal(info()->mem_upper, 63 * 1024);
    guest.map[0].bytes = 0xa0000; /* mem_lower is at most 640 */
    guest.map[1] = (struct loader_range){ 0xa0000, 0x40000, LOADER_RANGE_RAM };
    guest_load(HV_OK);
    assert_int_equal(info()->mem_lower, 640);
}

static void test_modules(void **state)
{
    static const uint8_t one[5000] = { 1, 2, 3 };
    static const uint8_t two[1] = { 9 };
    struct loader_file modules[3] = {
        { "mod1", one, sizeof(one), "x  y" }, { "mod2", two, 1, "" }, { "mod3", two, 0, "z" },
    };
    (void)state;
    guest.request.modules = modules;
    guest.request.module_count = 3;
    guest_load(HV_OK);
    assert_int_equal(info()->mods_count, 3);
    const struct mb_module *list = guest_at(info()->mods_addr, 3 * sizeof(*list));
    assert_int_equal(list[0].start, 0x102000); /* behind the kernel's bss */
    assert_int_equal(list[0].end, 0x102000 + 5000);
    assert_int_equal(list[1].start, 0x104000);
    assert_int_equal(list[1].end, 0x104001);
    assert_int_equal(list[2].start, 0x105000);
    assert_int_equal(list[2].end, 0x105000);
    assert_string_equal(guest_at(list[0].string, 10), "mod1 x  y");
    assert_string_equal(guest_at(list[1].string, 5), "mod2");
    assert_string_equal(guest_at(list[2].string, 7), "mod3 z");
    assert_memory_equal(guest_at(list[0].start, 5000), one, 5000);
    assert_int_equal(*(const uint8_t *)guest_at(list[1].start, 1), 9);
    assert_int_equal(list[0].reserved, 0);
}

static void test_module_refusals(void **state)
{
    struct loader_file modules[25];
    (void)state;
    for (unsigned i = 0; i < 25; i++)
        modules[i] = (struct loader_file){ "m", image, 1, "" };
    guest.request.modules = modules;
    guest.request.module_count = 24;
    guest_load(HV_OK);
    guest.request.module_count = 25;
    guest_refused(HV_ERR_RANGE,
                  "kernel.elf: 25 modules and 4 memory ranges; expected at most 24 and 128");
    guest.request.module_count = 1;
    guest.request.map_count = 129;
    assert_int_equal(loader_load(&guest.request, &guest.result, &guest.diagnosis), HV_ERR_RANGE);
    guest.request.map_count = 4;
    modules[0].bytes = 63 << 20;
    guest_refused(HV_ERR_RANGE, "m: the module of 64512 KB does not fit above the kernel: the "
                                "guest has 65151 KB");
    modules[0].bytes = UINT64_MAX;
    assert_int_equal(loader_load(&guest.request, &guest.result, &guest.diagnosis), HV_ERR_RANGE);
    guest.request.module_count = 0;
    guest.request.initrd = modules[0];
    guest_refused(HV_ERR_INVALID,
                  "kernel.elf: found 'initrd' with a multiboot kernel; expected 'module'");
}

static void test_nothing_overlaps(void **state)
{
    static const uint8_t data[5000] = { 1 };
    struct loader_file module = { "mod", data, sizeof(data), "" };
    (void)state;
    /* A kernel with a second segment just where the small structures would go. */
    ehdr->e_phnum = 3;
    phdr[2] = phdr[1];
    phdr[2].p_vaddr = phdr[2].p_paddr = 0x10800;
    guest.request.modules = &module;
    guest.request.module_count = 1;
    guest_load(HV_OK);
    assert_memory_equal(guest_at(0x10800, CODE_BYTES), image + CODE_AT, CODE_BYTES);
    const struct { uint64_t start, bytes; } parts[] = {
        { guest.result.boot_params, 4096 }, { guest.result.gdt, 4096 },
        { guest.result.stack - 4096, 4096 }, { 0x100000, 0x2000 }, { 0x10800, 0x2000 },
        { ((const struct mb_module *)guest_at(info()->mods_addr, 16))->start, sizeof(data) },
    };
    for (unsigned i = 0; i < HV_ARRAY_COUNT(parts); i++) {
        assert_true(guest_is_ram(parts[i].start, parts[i].bytes));
        for (unsigned j = 0; j < i; j++)
            assert_true(parts[i].start + parts[i].bytes <= parts[j].start ||
                        parts[j].start + parts[j].bytes <= parts[i].start);
    }
}

static void test_header_search(void **state)
{
    (void)state;
    put_header(0, 0);
    memset(image + HEADER_AT, 0, 12);
    memcpy(image, "\177ELF", 4);
    static const unsigned found[] = { 0x800, 8192 - 12 };
    for (unsigned i = 0; i < 2; i++) {
        make_elf32();
        memset(image + HEADER_AT, 0, 12);
        put_header(found[i], 0);
        guest_load(HV_OK);
    }
    static const unsigned missed[] = { 0x801, 0x802, 8192 - 8, 8192 };
    for (unsigned i = 0; i < 4; i++) {
        make_elf32();
        memset(image + HEADER_AT, 0, 12);
        put_header(missed[i], 0);
        guest_refused(HV_ERR_INVALID, "kernel.elf: found an i386 ELF executable; expected a Linux "
                                      "bzImage or a multiboot-1 kernel");
    }
    make_elf32();
    image[HEADER_AT + 8] ^= 1;
    guest_refused(HV_ERR_INVALID, "kernel.elf: a multiboot header whose checksum is wrong; magic, "
                                  "flags and checksum must add up to 0");
    put_header(HEADER_AT + 0x100, 0); /* a right one behind a wrong one */
    guest_load(HV_OK);
}

static void test_header_flags(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 32; bit++) {
        make_elf32();
        put_header(HEADER_AT, 1u << bit);
        enum hv_err err = loader_load(&guest.request, &guest.result, &guest.diagnosis);
        if (bit == 16)
            assert_int_equal(err, HV_ERR_INVALID); /* its address fields are nonsense */
        else
            assert_int_equal(err, bit >= 3 && bit < 16 ? HV_ERR_UNSUPPORTED : HV_OK);
    }
    put_header(HEADER_AT, 0x9003);
    guest_refused(HV_ERR_UNSUPPORTED,
                  "kernel.elf: a multiboot header that requires the unknown features 0x9000");
}

static void test_flat_kernel(void **state)
{
    static const uint8_t zeros[0x3000];
    (void)state;
    uint32_t *header = make_flat();
    guest_load(HV_OK);
    assert_int_equal(guest.result.rip, 0x101000);
    assert_memory_equal(guest_at(0x100000, 0x2000), image, 0x2000);
    assert_memory_equal(guest_at(0x102000, 0x3000), zeros, 0x3000);
    assert_int_equal(*(const uint8_t *)guest_at(0x105000, 1), GUEST_PATTERN);
    /* Zeros: to the end of the file, and no bss. */
    header[5] = header[6] = 0;
    memset(guest.memory + 0x100000, GUEST_PATTERN, 0x10000);
    guest_load(HV_OK);
    assert_memory_equal(guest_at(0x100000, FILE_BYTES), image, FILE_BYTES);
    assert_int_equal(*(const uint8_t *)guest_at(0x100000 + FILE_BYTES, 1), GUEST_PATTERN);
    /* Loading begins behind the start of the file. */
    header[4] = 0x100020;
    guest_load(HV_OK);
    assert_memory_equal(guest_at(0x100020, 0x100), image + 0x20, 0x100);
    /* ... or at the header itself. */
    header[4] = 0x100040;
    guest_load(HV_OK);
    assert_memory_equal(guest_at(0x100040, 0x100), image + 0x40, 0x100);
}

static void test_flat_kernel_refusals(void **state)
{
    static const struct { unsigned field; uint32_t value; enum hv_err err; } rows[] = {
        { 3, 0x0fffff, HV_ERR_INVALID },   /* header below load address */
        { 3, 0x100041, HV_ERR_INVALID },   /* would start before the file */
        { 3, UINT32_MAX, HV_ERR_INVALID },
        { 4, 0x100041, HV_ERR_INVALID },
        { 5, 0x100000, HV_ERR_INVALID },   /* nothing to load */
        { 5, 0x0ff000, HV_ERR_INVALID },
        { 5, 0x104001, HV_ERR_INVALID },   /* more than the file has */
        { 5, UINT32_MAX, HV_ERR_INVALID },
        { 6, 0x101fff, HV_ERR_INVALID },   /* bss ends inside what is loaded */
        { 6, 1, HV_ERR_INVALID },
        { 6, UINT32_MAX, HV_ERR_RANGE },
        { 7, 0x0fffff, HV_ERR_INVALID },   /* entry outside */
        { 7, 0x105000, HV_ERR_INVALID },
    };
    (void)state;
    for (unsigned i = 0; i < HV_ARRAY_COUNT(rows); i++) {
        uint32_t *header = make_flat();
        header[rows[i].field] = rows[i].value;
        guest_load(rows[i].err);
    }
    make_flat()[6] = UINT32_MAX;
    guest_refused(HV_ERR_RANGE, "kernel.elf: the kernel of 0xffefffff bytes belongs at 0x100000, "
                                "where the guest has no RAM for it");
    make_flat()[7] = 0;
    guest_refused(HV_ERR_INVALID, "kernel.elf: a multiboot header whose addresses contradict each "
                                  "other or the file's 16384 bytes");
    /* The address fields must lie in the file, and in its first 8 KB. */
    memset(image, 0, sizeof(image));
    put_header(8192 - 16, 0x10000);
    guest_load(HV_ERR_INVALID);
    put_header(0x100, 0x10000);
    guest.request.kernel.bytes = 0x100 + 31;
    guest_load(HV_ERR_INVALID);
}

static void test_elf_refusals(void **state)
{
    (void)state;
    ehdr->e_type = ET_DYN;
    guest_refused(HV_ERR_INVALID, "kernel.elf: found an i386 ELF shared library or "
                                  "position-independent executable with a multiboot header; "
                                  "expected an ELF executable for i386 or x86-64");
    make_elf32();
    ehdr->e_machine = EM_ARM;
    guest_refused(HV_ERR_INVALID, "kernel.elf: found an ELF file for Arm with a multiboot header; "
                                  "expected an ELF executable for i386 or x86-64");
    make_elf32();
    ehdr->e_ident[EI_DATA] = ELFDATA2MSB;
    guest_load(HV_ERR_INVALID);
    make_elf32();
    ehdr->e_ident[EI_CLASS] = ELFCLASS64; /* and yet for i386 */
    guest_load(HV_ERR_INVALID);
    ehdr->e_ident[EI_CLASS] = 0;
    guest_load(HV_ERR_INVALID);
    make_elf32();
    image[0] = 0;
    guest_refused(HV_ERR_INVALID, "kernel.elf: found data of an unknown kind with a multiboot "
                                  "header; expected an ELF executable for i386 or x86-64");
    make_elf32();
    ehdr->e_phentsize = 31;
    guest_load(HV_ERR_INVALID);
    make_elf32();
    ehdr->e_phoff = FILE_BYTES - 63;
    guest_refused(HV_ERR_INVALID, "kernel.elf: an ELF file whose program headers (2 of 32 bytes at "
                                  "0x3fc1) do not lie in its 16384 bytes");
    make_elf32();
    ehdr->e_phnum = 1;
    guest_refused(HV_ERR_INVALID, "kernel.elf: an ELF file with nothing to load");
    make_elf64();
    ehdr64->e_phoff = UINT64_MAX;
    guest_load(HV_ERR_INVALID);
    make_elf64();
    ehdr64->e_phentsize = 55;
    guest_load(HV_ERR_INVALID);
}

static void test_segment_refusals(void **state)
{
    (void)state;
    phdr[1].p_filesz = 0x2001;
    guest_load(HV_ERR_INVALID);
    make_elf32();
    phdr[1].p_offset = FILE_BYTES - CODE_BYTES + 1;
    guest_refused(HV_ERR_INVALID, "kernel.elf: an ELF file whose segment (0x800 bytes at 0x3801, "
                                  "0x2000 in memory) does not lie in its 16384 bytes");
    phdr[1].p_offset = UINT32_MAX;
    guest_load(HV_ERR_INVALID);
    make_elf32();
    phdr[1].p_paddr = 0x9f000; /* into the EBDA */
    guest_refused(HV_ERR_RANGE, "kernel.elf: a segment of 0x2000 bytes belongs at 0x9f000, where "
                                "the guest has no RAM for it");
    phdr[1].p_paddr = 0xe0000; /* the ACPI tables */
    guest_load(HV_ERR_RANGE);
    phdr[1].p_paddr = (64 << 20) - 0x1fff;
    guest_load(HV_ERR_RANGE);
    phdr[1].p_paddr = 0xffffffff;
    guest_load(HV_ERR_RANGE);
    phdr[1].p_paddr = (64 << 20) - 0x2000;
    guest_load(HV_OK);
    make_elf64();
    phdr64[0].p_memsz = UINT64_MAX;
    guest_load(HV_ERR_RANGE);
    make_elf64();
    phdr64[0].p_filesz = phdr64[0].p_memsz = UINT64_MAX;
    guest_load(HV_ERR_INVALID);
    make_elf64();
    phdr64[0].p_offset = UINT64_MAX;
    guest_load(HV_ERR_INVALID);
}

/* Null, .text (part of what runs), .bss, .symtab, .strtab with the names. */
static void put_sections32(void)
{
    Elf32_Shdr *sections = (Elf32_Shdr *)(image + 0x3000);
    memset(sections, 0, 5 * sizeof(*sections));
    ehdr->e_shoff = 0x3000;
    ehdr->e_shentsize = sizeof(*sections);
    ehdr->e_shnum = 5;
    ehdr->e_shstrndx = 4;
    sections[1] = (Elf32_Shdr){ .sh_type = SHT_PROGBITS, .sh_addr = 0xc0100000,
                                .sh_offset = CODE_AT, .sh_size = CODE_BYTES };
    sections[2] = (Elf32_Shdr){ .sh_type = SHT_NOBITS, .sh_offset = UINT32_MAX, .sh_size = 99 };
    sections[3] = (Elf32_Shdr){ .sh_type = SHT_SYMTAB, .sh_offset = 0x3200, .sh_size = 0x21 };
    sections[4] = (Elf32_Shdr){ .sh_type = SHT_STRTAB, .sh_offset = 0x3300, .sh_size = 0x11 };
    memset(image + 0x3200, 0x32, 0x21);
    memset(image + 0x3300, 0x33, 0x11);
}

static void test_sections32(void **state)
{
    (void)state;
    put_sections32();
    guest_load(HV_OK);
    assert_int_equal(info()->flags >> 5 & 1, 1);
    assert_int_equal(info()->syms[0], 5);
    assert_int_equal(info()->syms[1], sizeof(Elf32_Shdr));
    assert_int_equal(info()->syms[3], 4);
    assert_true(info()->syms[2] >= 0x102000);
    const Elf32_Shdr *sections = guest_at(info()->syms[2], 5 * sizeof(*sections));
    assert_int_equal(sections[1].sh_addr, 0xc0100000);
    assert_int_equal(sections[2].sh_addr, 0);
    assert_memory_equal(guest_at(sections[3].sh_addr, 0x21), image + 0x3200, 0x21);
    assert_memory_equal(guest_at(sections[4].sh_addr, 0x11), image + 0x3300, 0x11);
    assert_true(sections[3].sh_addr >= info()->syms[2] + 5 * sizeof(*sections));
    assert_true(sections[4].sh_addr >= sections[3].sh_addr + 0x21);
    assert_int_equal(sections[4].sh_size, 0x11);
}

static void test_sections64(void **state)
{
    Elf64_Shdr *made = (Elf64_Shdr *)(image + 0x3000);
    (void)state;
    make_elf64();
    ehdr64->e_shoff = 0x3000;
    ehdr64->e_shentsize = sizeof(*made);
    ehdr64->e_shnum = 2;
    ehdr64->e_shstrndx = 1;
    made[1] = (Elf64_Shdr){ .sh_type = SHT_STRTAB, .sh_offset = 0x3300, .sh_size = 0x11 };
    guest_load(HV_OK);
    const Elf64_Shdr *sections = guest_at(info()->syms[2], 2 * sizeof(*sections));
    assert_memory_equal(guest_at(sections[1].sh_addr, 0x11), image + 0x3300, 0x11);
}

static void expect_no_sections(void)
{
    guest_load(HV_OK);
    assert_int_equal(info()->flags >> 5 & 1, 0);
    assert_int_equal(info()->syms[0], 0);
}

/* They are a convenience: a kernel starts without them. */
static void test_bad_sections_are_left_out(void **state)
{
    Elf32_Shdr *sections = (Elf32_Shdr *)(image + 0x3000);
    (void)state;
    expect_no_sections();
    put_sections32();
    ehdr->e_shnum = 0;
    expect_no_sections();
    put_sections32();
    ehdr->e_shstrndx = 5;
    expect_no_sections();
    put_sections32();
    ehdr->e_shentsize = 41;
    expect_no_sections();
    put_sections32();
    ehdr->e_shoff = FILE_BYTES - 199;
    expect_no_sections();
    put_sections32();
    sections[3].sh_offset = FILE_BYTES - 0x20;
    expect_no_sections();
    put_sections32();
    sections[3].sh_size = UINT32_MAX;
    expect_no_sections();
    put_sections32();
    guest.map[3].bytes = 0x2000; /* room for the kernel only */
    expect_no_sections();
}

static void test_sections_where_the_map_is_wrong(void **state)
{
    (void)state;
    put_sections32();
    guest.space.slots[1].bytes = 0x2000;
    guest_load(HV_ERR_RANGE);
    for (unsigned i = 1; i < 5; i++)
        ((Elf32_Shdr *)(image + 0x3000))[i].sh_size = 0;
    guest_load(HV_ERR_RANGE);
}

static void test_number_of_segments(void **state)
{
    (void)state;
    ehdr->e_phnum = 35;
    for (unsigned i = 2; i < 34; i++) {
        phdr[i] = phdr[1];
        phdr[i].p_vaddr = phdr[i].p_paddr = 0x200000 + i * 0x2000;
    }
    phdr[34].p_type = PT_LOAD; /* an empty one does not count */
    guest_refused(HV_ERR_UNSUPPORTED, "kernel.elf: an ELF file with more than 32 segments to load");
    phdr[33].p_type = PT_NOTE;
    guest_load(HV_OK);
}

static void test_truncated_files(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 3; kind++) {
        if (kind == 0)
            make_elf32();
        else if (kind == 1)
            make_elf64();
        else
            make_flat();
        put_header(kind == 2 ? 0x40 : 0x200, kind == 2 ? 0x10000 : 0);
        for (uint64_t bytes = 0; bytes < CODE_AT + CODE_BYTES; bytes += bytes < 0x300 ? 1 : 37) {
            uint8_t *part = malloc(bytes ? bytes : 1);
            memcpy(part, image, bytes);
            guest.request.kernel.data = part;
            guest.request.kernel.bytes = bytes;
            guest_load(HV_ERR_INVALID);
            free(part);
        }
    }
}

static void test_guest_with_too_little_memory(void **state)
{
    (void)state;
    guest.map[0].bytes = 0x10000;
    guest_refused(HV_ERR_RANGE, "kernel.elf: the guest has no 4 KB free below 640 KB for the "
                                "multiboot information");
    guest.map[0].bytes = 0x11000;
    guest_refused(HV_ERR_RANGE, "kernel.elf: the guest has no 8 KB free below 640 KB for a "
                                "descriptor table and a stack");
    guest.map[0].bytes = 0x13000;
    guest_load(HV_OK);
    guest.map[3].start = 0x400000;
    guest_load(HV_ERR_RANGE);
}

static void test_map_that_names_more_than_there_is(void **state)
{
    (void)state;
    guest.space.slots[1].bytes = 0x400;
    guest_load(HV_ERR_RANGE);
    guest.space.slots[1].bytes = 0x1000;
    guest_refused(HV_ERR_RANGE, "kernel.elf: the guest's memory map names RAM from 0x100800 on "
                                "that it does not have");
    make_flat();
    guest_load(HV_ERR_RANGE);
    guest.space.slots[1].bytes = 0x3000;
    guest_load(HV_ERR_RANGE);
}

static void expect_found(const void *bytes, size_t count, const char *what)
{
    char text[400];
    uint8_t *copy = malloc(count ? count : 1);
    memcpy(copy, bytes, count);
    guest.request.kernel = (struct loader_file){ "file", copy, count, "" };
    snprintf(text, sizeof(text),
             "file: found %s; expected a Linux bzImage or a multiboot-1 kernel", what);
    guest_refused(HV_ERR_INVALID, text);
    free(copy);
}

static void test_foreign_files_are_named(void **state)
{
    static const struct { const char *bytes; size_t count; const char *what; } rows[] = {
        { "", 0, "an empty file" },
        { "\0", 1, "nothing but zeros" },
        { "\037\213\10\0", 4, "gzip data" },
        { "\3757zXZ\0", 6, "xz data" },
        { "BZh9", 4, "bzip2 data" },
        { "\x28\xb5\x2f\xfd", 4, "zstd data" },
        { "\x04\x22\x4d\x18", 4, "LZ4 data" },
        { "\x02\x21\x4c\x18", 4, "LZ4 data (legacy frame)" },
        { "\x5d\0\0\x80", 4, "LZMA data" },
        { "070701xx", 8, "a cpio archive (an initial RAM disk?)" },
        { "070702xx", 8, "a cpio archive (an initial RAM disk?)" },
        { "!<arch>\n", 8, "an ar archive (a Debian package?)" },
        { "PK\3\4", 4, "a zip archive" },
        { "#!/bin/sh\n", 10, "a script" },
        { "MZ\x90", 3, "a DOS or EFI executable without a Linux header" },
        { "QFI\xfb", 4, "a QCOW disk image" },
        { "%PDF-1", 6, "a PDF document" },
        { "hello\tw\xc3\xb6rld\r\n", 14, "a text file" },
        { "hello\1", 6, "data of an unknown kind" },
        { "hello\x7f", 6, "data of an unknown kind" },
        { "\177ELF", 4, "an ELF file that is cut off" },
        { "\177ELFxxxxxxxxxxxxxxxx", 19, "an ELF file that is cut off" },
    };
    (void)state;
    for (unsigned i = 0; i < HV_ARRAY_COUNT(rows); i++)
        expect_found(rows[i].bytes, rows[i].count, rows[i].what);
    memset(image, 0, sizeof(image));
    image[0] = 0xeb;
    image[510] = 0x55;
    image[511] = 0xaa;
    expect_found(image, 512, "a boot sector or a disk image");
    expect_found(image, 511, "data of an unknown kind");
    memcpy(image + 0x108, "\xd6\x50\x52\xe8", 4);
    expect_found(image, 1024, "a multiboot-2 kernel");
}

static void test_elf_files_are_named(void **state)
{
    static const struct { uint16_t machine, type; const char *what; } rows[] = {
        { EM_386, ET_REL, "an i386 ELF object file" },
        { EM_386, ET_EXEC, "an i386 ELF executable" },
        { EM_386, ET_DYN, "an i386 ELF shared library or position-independent executable" },
        { EM_386, ET_CORE, "an i386 ELF core dump" },
        { EM_386, 99, "an ELF file of unknown type" },
        { EM_X86_64, ET_REL, "an x86-64 ELF object file" },
        { EM_X86_64, ET_EXEC, "an x86-64 ELF executable" },
        { EM_X86_64, ET_DYN, "an x86-64 ELF shared library or position-independent executable" },
        { EM_X86_64, ET_CORE, "an x86-64 ELF core dump" },
        { EM_ARM, ET_EXEC, "an ELF file for Arm" },
        { EM_AARCH64, ET_EXEC, "an ELF file for AArch64" },
        { 243, ET_EXEC, "an ELF file for RISC-V" },
        { EM_MIPS, ET_EXEC, "an ELF file for another processor" },
    };
    (void)state;
    for (unsigned i = 0; i < HV_ARRAY_COUNT(rows); i++) {
        memset(image, 0, 64);
        memcpy(image, "\177ELF\2\1", 6);
        ehdr->e_type = rows[i].type;
        ehdr->e_machine = rows[i].machine;
        expect_found(image, 64, rows[i].what);
    }
    ehdr->e_ident[EI_DATA] = ELFDATA2MSB;
    expect_found(image, 64, "a big-endian ELF file");
}

static void test_long_names_are_cut(void **state)
{
    char name[600];
    (void)state;
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = 0;
    guest.request.kernel = (struct loader_file){ name, image, 0, "" };
    guest_load(HV_ERR_INVALID);
    assert_non_null(strstr(guest.diagnosis.text, ": found an empty file; expected a Linux"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_elf32),
        TEST(test_elf32_physical_entry),
        TEST(test_elf64_as_grub_takes_it),
        TEST(test_information),
        TEST(test_memory_sizes_end_at_the_first_hole),
        TEST(test_modules),
        TEST(test_module_refusals),
        TEST(test_nothing_overlaps),
        TEST(test_header_search),
        TEST(test_header_flags),
        TEST(test_flat_kernel),
        TEST(test_flat_kernel_refusals),
        TEST(test_elf_refusals),
        TEST(test_segment_refusals),
        TEST(test_sections32),
        TEST(test_sections64),
        TEST(test_bad_sections_are_left_out),
        TEST(test_sections_where_the_map_is_wrong),
        TEST(test_number_of_segments),
        TEST(test_truncated_files),
        TEST(test_guest_with_too_little_memory),
        TEST(test_map_that_names_more_than_there_is),
        TEST(test_foreign_files_are_named),
        TEST(test_elf_files_are_named),
        TEST(test_long_names_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
