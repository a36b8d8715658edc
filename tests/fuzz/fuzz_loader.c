// SRCS: vmm/core/loader.c vmm/core/loader_linux.c vmm/core/loader_multiboot.c vmm/core/loader_elf.c vmm/core/loader_describe.c vmm/core/gpa_space.c vmm/lib/format.c
/*
 * Any file: a guest that can be started, or one sentence; and nothing written where the guest's map
 * has no RAM.
 *
 * The first byte chooses what the file is made from: the input itself, or a good kernel in which
 * the rest of the input, taken three bytes at a time, changes one byte at a 16-bit offset.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hv/loader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { GUEST_BYTES = 4 << 20, FILE_BYTES = 0x3000, PATTERN = 0xa5 };

static uint8_t *memory;
static const struct loader_range map[] = {
    { 0, 0x9fc00, LOADER_RANGE_RAM },
    { 0x9fc00, 0x400, LOADER_RANGE_RESERVED },
    { 0xe0000, 0x20000, LOADER_RANGE_ACPI },
    { 0x100000, 0x200000, LOADER_RANGE_RAM },
    { 0x300000, 0x1000, LOADER_RANGE_RESERVED },
    { 0x301000, GUEST_BYTES - 0x301000, LOADER_RANGE_RAM },
};

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void put(uint8_t *file, unsigned offset, uint64_t value, unsigned size)
{
    memcpy(file + offset, &value, size);
}

static void make_linux(uint8_t *file)
{
    put(file, 0x1f1, 1, 1);
    put(file, 0x1f4, (FILE_BYTES - 1024) / 16, 4);
    put(file, 0x1fe, 0xaa55, 2);
    put(file, 0x200, 0x66eb, 2);
    put(file, 0x202, 0x53726448, 4);
    put(file, 0x206, 0x20f, 2);
    put(file, 0x211, 1, 1);
    put(file, 0x22c, 0x7fffffff, 4);
    put(file, 0x230, 0x1000, 4);
    put(file, 0x234, 1, 1);
    put(file, 0x236, 3, 2);
    put(file, 0x238, 255, 4);
    put(file, 0x258, 0x100000, 8);
    put(file, 0x260, 0x8000, 4);
}

static void make_elf32(uint8_t *file)
{
    memcpy(file, "\177ELF\1\1\1", 7);
    put(file, 16, 2 | 3 << 16, 4);
    put(file, 24, 0x100000, 4);
    put(file, 28, 52, 4);
    put(file, 42, 32, 2);
    put(file, 44, 1, 2);
    put(file, 52, 1, 4);
    put(file, 56, 0x1000, 4);
    put(file, 60, 0x100000, 4);
    put(file, 64, 0x100000, 4);
    put(file, 68, 0x1000, 4);
    put(file, 72, 0x3000, 4);
    put(file, 32, 0x100, 4); /* sections: none, and their names */
    put(file, 46, 40, 2);
    put(file, 48, 2, 2);
    put(file, 50, 1, 2);
    put(file, 0x100 + 44, 3, 4);
    put(file, 0x100 + 56, 0x1000, 4);
    put(file, 0x100 + 60, 0x10, 4);
}

static void make_elf64(uint8_t *file)
{
    memcpy(file, "\177ELF\2\1\1", 7);
    put(file, 16, 2 | 62 << 16, 4);
    put(file, 24, 0x100000, 8);
    put(file, 32, 64, 8);
    put(file, 54, 56, 2);
    put(file, 56, 1, 2);
    put(file, 64, 1, 4);
    put(file, 72, 0x1000, 8);
    put(file, 80, 0x100000, 8);
    put(file, 88, 0x100000, 8);
    put(file, 96, 0x1000, 8);
    put(file, 104, 0x3000, 8);
    put(file, 40, 0x100, 8);
    put(file, 58, 64, 2);
    put(file, 60, 2, 2);
    put(file, 62, 1, 2);
    put(file, 0x140 + 4, 3, 4);
    put(file, 0x140 + 24, 0x1000, 8);
    put(file, 0x140 + 32, 0x10, 8);
}

static void make_flat(uint8_t *file)
{
    put(file, 0x204, 0x10000, 4);
    put(file, 0x20c, 0x100200, 4);
    put(file, 0x210, 0x100000, 4);
    put(file, 0x214, 0x102000, 4);
    put(file, 0x218, 0x104000, 4);
    put(file, 0x21c, 0x100000, 4);
}

static size_t make_file(uint8_t *file, const uint8_t *data, size_t bytes)
{
    static void (*const makers[])(uint8_t *) = { make_linux, make_elf32, make_elf64, make_flat };
    unsigned kind = data[0] % 5;
    memset(file, 0, FILE_BYTES);
    if (kind == 4) {
        size_t count = bytes - 1 < FILE_BYTES ? bytes - 1 : FILE_BYTES;
        memcpy(file, data + 1, count);
        return count;
    }
    makers[kind](file);
    for (size_t i = 1; i + 3 <= bytes; i += 3)
        file[(data[i] | data[i + 1] << 8) % FILE_BYTES] = data[i + 2];
    if (kind > 0) { /* a header whose checksum is right, whatever the flags are now */
        uint32_t flags;
        put(file, 0x200, 0x1badb002, 4);
        memcpy(&flags, file + 0x204, 4);
        put(file, 0x208, 0u - 0x1badb002u - flags, 4);
    }
    return data[0] & 0x80 ? FILE_BYTES / 2 : FILE_BYTES;
}

static bool is_ram(uint64_t start, uint64_t bytes)
{
    for (unsigned i = 0; i < HV_ARRAY_COUNT(map); i++)
        if (map[i].kind == LOADER_RANGE_RAM && start >= map[i].start &&
            start + bytes <= map[i].start + map[i].bytes)
            return true;
    return false;
}

static void check_result(const struct loader_result *result)
{
    check(is_ram(result->rip, 1));
    check(is_ram(result->boot_params, 116));
    check(is_ram(result->gdt, result->gdt_limit + 1u));
    check(is_ram(result->stack - 4096, 4096));
    if (result->entry == LOADER_ENTRY_LINUX64)
        check(is_ram(result->cr3, 6 * 4096));
}

static void check_reserved_is_untouched(void)
{
    for (unsigned i = 0; i < HV_ARRAY_COUNT(map); i++)
        for (uint64_t at = 0; map[i].kind != LOADER_RANGE_RAM && at < map[i].bytes; at += 8)
            check(memory[map[i].start + at] == PATTERN);
}

static void run(const struct loader_file *kernel, unsigned options)
{
    static const uint8_t extra[5000];
    static uint8_t large[5 << 19];
    const struct loader_file module = { "module", options & 8 ? large : extra,
                                        options & 8 ? sizeof(large) : sizeof(extra), "x" };
    static struct gpa_space space;
    struct loader_result result;
    struct loader_diagnosis diagnosis;
    struct loader_request request = { .memory = &space, .map = map,
                                      .map_count = HV_ARRAY_COUNT(map), .rsdp = 0xe0000,
                                      .kernel = *kernel, .cmdline = "a b", .modules = &module };
    space.count = 0;
    if (gpa_space_add(&space, GPA(0), GUEST_BYTES, memory, HPA(0), true) != HV_OK)
        abort();
    if (options & 1)
        request.initrd = module;
    if (options & 2)
        request.module_count = 1;
    request.pages_1g = options & 4;
    if (loader_load(&request, &result, &diagnosis) == HV_OK)
        check_result(&result);
    else
        check(strlen(diagnosis.text) > strlen("kernel: "));
    check_reserved_is_untouched();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static uint8_t file[FILE_BYTES];
    if (bytes == 0)
        return 0;
    if (!memory) {
        memory = malloc(GUEST_BYTES);
        memset(memory, PATTERN, GUEST_BYTES);
    }
    size_t file_bytes = make_file(file, data, bytes);
    uint8_t *exact = malloc(file_bytes ? file_bytes : 1);
    memcpy(exact, file, file_bytes);
    struct loader_file kernel = { "kernel", exact, file_bytes, "" };
    run(&kernel, data[0] / 5 % 16);
    free(exact);
    return 0;
}
