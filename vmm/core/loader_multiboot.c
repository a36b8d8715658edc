/*
 * Multiboot 1: "Multiboot Specification version 0.6.96". Kernels are ELF files, or flat ones whose
 * header says where they belong (the "a.out kludge").
 *
 * As GRUB and QEMU do: the command line begins with the file's name, memory sizes and memory map
 * are always given, modules are always page-aligned, and a wish for a video mode is no obstacle.
 * ELF64 files are taken as GRUB takes them: they start in 32-bit mode all the same.
 * Not here: boot device, drives, APM, video modes, a.out symbols. Pure; no lock.
 */
#include "loader_internal.h"

#include "hv/format.h"

/* "The layout of Multiboot header" */
#define HEADER_MAGIC 0x1badb002u
#define HEADER_SEARCH_BYTES 8192
#define HEADER_BYTES 12
#define HEADER_ADDRESSES_BYTES 32
#define HEADER_PAGE_ALIGN 0x00000001u
#define HEADER_MEMORY_INFO 0x00000002u
#define HEADER_VIDEO_MODE 0x00000004u
#define HEADER_REQUIRED 0x0000ffffu /* a loader that does not know one of these must refuse */
#define HEADER_ADDRESSES 0x00010000u

/* "Boot information format": offsets and flags. */
#define INFO_BYTES 116
#define INFO_FLAGS 0
#define INFO_MEM_LOWER 4
#define INFO_MEM_UPPER 8
#define INFO_CMDLINE 16
#define INFO_MODS_COUNT 20
#define INFO_MODS_ADDR 24
#define INFO_SECTIONS 28
#define INFO_MMAP_LENGTH 44
#define INFO_MMAP_ADDR 48
#define INFO_BOOT_LOADER_NAME 64
#define INFO_HAS_MEMORY (1u << 0)
#define INFO_HAS_CMDLINE (1u << 2)
#define INFO_HAS_MODS (1u << 3)
#define INFO_HAS_SECTIONS (1u << 5)
#define INFO_HAS_MMAP (1u << 6)
#define INFO_HAS_BOOT_LOADER_NAME (1u << 9)

#define MODULE_BYTES 16
#define MMAP_ENTRY_BYTES 24 /* of which the size field does not count itself */
#define LOADER_NAME "Trapline"
#define CODE_SELECTOR 0x10 /* the specification leaves it open; GRUB's */
#define MOST_MODULES 24
#define MOST_RANGES 128
_Static_assert(LOADER_MAX_SEGMENTS + MOST_MODULES + 8 <= LOADER_MAX_PLACES, "a place for each");

/* The information, and everything that it points to, in one block of low memory. */
struct info {
    uint8_t *host;
    uint64_t start;
    uint64_t bytes;
    uint64_t used;
    uint32_t flags;
};

int64_t loader_multiboot_find(const struct loader_file *kernel, bool *wrong_checksum)
{
    uint64_t limit = hv_min_u64(kernel->bytes, HEADER_SEARCH_BYTES);
    *wrong_checksum = false;
    for (uint64_t at = 0; at + HEADER_BYTES <= limit; at += 4) {
        const uint8_t *header = kernel->data + at;
        if (loader_get32(header) != HEADER_MAGIC)
            continue;
        if (HEADER_MAGIC + loader_get32(header + 4) + loader_get32(header + 8) == 0)
            return (int64_t)at;
        *wrong_checksum = true;
    }
    return -1;
}

/* --- the kernel --- */

/* The header's address fields: what of the file goes where. */
struct flat_image {
    uint64_t offset;
    uint64_t load;
    uint64_t file_bytes;
    uint64_t memory_bytes;
    uint64_t entry;
};

static bool read_addresses(const struct loader_file *kernel, uint64_t header_offset,
                           struct flat_image *image)
{
    const uint8_t *header = kernel->data + header_offset;
    if (header_offset + HEADER_ADDRESSES_BYTES > hv_min_u64(kernel->bytes, HEADER_SEARCH_BYTES))
        return false;
    uint64_t header_addr = loader_get32(header + 12), load_end = loader_get32(header + 20);
    uint64_t bss_end = loader_get32(header + 24);
    image->load = loader_get32(header + 16);
    image->entry = loader_get32(header + 28);
    if (header_addr < image->load || header_addr - image->load > header_offset)
        return false;
    image->offset = header_offset - (header_addr - image->load);
    if (load_end && load_end <= image->load)
        return false;
    image->file_bytes = load_end ? load_end - image->load : kernel->bytes - image->offset;
    image->memory_bytes = bss_end ? bss_end - image->load : image->file_bytes;
    return loader_file_holds(kernel, image->offset, image->file_bytes) &&
           (!bss_end || bss_end >= image->load + image->file_bytes) &&
           image->entry - image->load < image->memory_bytes;
}

static enum hv_err load_flat(struct loader *loader, uint64_t header_offset, uint64_t *entry,
                             uint64_t *end)
{
    const struct loader_file *kernel = &loader->request->kernel;
    struct flat_image image = { .offset = 0 };
    if (!read_addresses(kernel, header_offset, &image))
        return loader_refuse(loader, kernel, HV_ERR_INVALID,
                             "a multiboot header whose addresses contradict each other or the "
                             "file's %lu bytes", kernel->bytes);
    if (!loader_is_ram(loader, image.load, image.memory_bytes))
        return loader_refuse(loader, kernel, HV_ERR_RANGE,
                             "the kernel of 0x%lx bytes belongs at 0x%lx, where the guest has no "
                             "RAM for it", image.memory_bytes, image.load);
    enum hv_err err = loader_reserve(loader, image.load, image.memory_bytes);
    if (err == HV_OK)
        err = loader_copy(loader, kernel, image.load, kernel->data + image.offset,
                          image.file_bytes);
    if (err == HV_OK)
        err = loader_zero(loader, kernel, image.load + image.file_bytes,
                          image.memory_bytes - image.file_bytes);
    *entry = image.entry;
    *end = image.load + image.memory_bytes;
    return err;
}

static enum hv_err check_request(struct loader *loader, uint32_t flags)
{
    const struct loader_request *request = loader->request;
    uint32_t known = HEADER_PAGE_ALIGN | HEADER_MEMORY_INFO | HEADER_VIDEO_MODE;
    if (flags & HEADER_REQUIRED & ~known)
        return loader_refuse(loader, &request->kernel, HV_ERR_UNSUPPORTED,
                             "a multiboot header that requires the unknown features 0x%04x",
                             flags & HEADER_REQUIRED & ~known);
    if (request->initrd.data)
        return loader_refuse(loader, &request->kernel, HV_ERR_INVALID,
                             "found 'initrd' with a multiboot kernel; expected 'module'");
    if (request->module_count > MOST_MODULES || request->map_count > MOST_RANGES)
        return loader_refuse(loader, &request->kernel, HV_ERR_RANGE,
                             "%u modules and %u memory ranges; expected at most %u and %u",
                             request->module_count, request->map_count, MOST_MODULES, MOST_RANGES);
    return HV_OK;
}

/* --- the information --- */

static uint64_t text_bytes(const struct loader_file *file)
{
    return strlen(file->name) + 1 + strlen(file->arguments) + 1;
}

static enum hv_err make_info(struct loader *loader, struct info *info)
{
    const struct loader_request *request = loader->request;
    info->bytes = INFO_BYTES + sizeof(LOADER_NAME) + strlen(request->kernel.name) + 2 +
                  strlen(request->cmdline) +
                  (uint64_t)request->module_count * MODULE_BYTES +
                  (uint64_t)request->map_count * MMAP_ENTRY_BYTES;
    for (unsigned i = 0; i < request->module_count; i++)
        info->bytes += text_bytes(&request->modules[i]);
    info->used = INFO_BYTES;
    return loader_find_low(loader, "the multiboot information", info->bytes, &info->start,
                           &info->host);
}

/* Room for `bytes` in the block; returns its offset there. make_info has counted it. */
static uint64_t info_take(struct info *info, uint64_t bytes)
{
    uint64_t offset = info->used;
    info->used += bytes;
    return offset;
}

/* "NAME ARGUMENTS", or "NAME"; returns the guest's address of it. */
static uint64_t info_put_text(struct info *info, const char *name, const char *arguments)
{
    uint64_t room = strlen(name) + 1 + strlen(arguments) + 1;
    uint64_t offset = info_take(info, room);
    hv_snprintf((char *)info->host + offset, room, *arguments ? "%s %s" : "%s", name, arguments);
    return info->start + offset;
}

/* The RAM from `start` on without a hole, in bytes. */
static uint64_t ram_from(const struct loader_request *request, uint64_t start)
{
    uint64_t end = start;
    for (unsigned i = 0; i < request->map_count; i++) {
        const struct loader_range *range = &request->map[i];
        if (range->kind == LOADER_RANGE_RAM && range->start <= end &&
            end - range->start < range->bytes)
            end = range->start + range->bytes;
    }
    return end - start;
}

/* "mem_lower" and "mem_upper" are in KB: from 0 on (at most 640), and from 1 MB up to a hole. */
static void info_put_memory(struct info *info, const struct loader_request *request)
{
    uint64_t mmap_bytes = (uint64_t)request->map_count * MMAP_ENTRY_BYTES;
    uint64_t offset = info_take(info, mmap_bytes);
    loader_put32(info->host + INFO_MEM_LOWER, hv_min_u64(ram_from(request, 0) >> 10, 640));
    loader_put32(info->host + INFO_MEM_UPPER,
                 hv_min_u64(ram_from(request, LOADER_1MB) >> 10, UINT32_MAX));
    loader_put32(info->host + INFO_MMAP_LENGTH, mmap_bytes);
    loader_put32(info->host + INFO_MMAP_ADDR, info->start + offset);
    for (unsigned i = 0; i < request->map_count; i++) {
        uint8_t *entry = info->host + offset + i * MMAP_ENTRY_BYTES;
        loader_put32(entry, MMAP_ENTRY_BYTES - 4);
        loader_put64(entry + 4, request->map[i].start);
        loader_put64(entry + 12, request->map[i].bytes);
        loader_put32(entry + 20, request->map[i].kind);
    }
}

/* Above the kernel, where GRUB and QEMU put them too. */
static enum hv_err place_module(struct loader *loader, const struct loader_file *module,
                                uint64_t above, uint64_t *start)
{
    const struct loader_want want = { .bytes = hv_max_u64(module->bytes, 1),
                                      .align_bytes = HV_PAGE_BYTES,
                                      .least = hv_max_u64(above, LOADER_1MB),
                                      .limit = LOADER_4GB };
    enum hv_err err = loader_find(loader, &want, start);
    if (err != HV_OK)
        return loader_refuse(loader, module, err,
                             "the module of %lu KB does not fit above the kernel: the guest has "
                             "%lu KB", module->bytes >> 10, loader_ram_bytes(loader) >> 10);
    return loader_copy(loader, module, *start, module->data, module->bytes);
}

static enum hv_err info_put_modules(struct loader *loader, struct info *info, uint64_t kernel_end)
{
    const struct loader_request *request = loader->request;
    uint64_t list = info_take(info, (uint64_t)request->module_count * MODULE_BYTES);
    loader_put32(info->host + INFO_MODS_COUNT, request->module_count);
    loader_put32(info->host + INFO_MODS_ADDR, info->start + list);
    for (unsigned i = 0; i < request->module_count; i++) {
        const struct loader_file *module = &request->modules[i];
        uint8_t *entry = info->host + list + i * MODULE_BYTES;
        uint64_t start = 0;
        enum hv_err err = place_module(loader, module, kernel_end, &start);
        if (err != HV_OK)
            return err;
        loader_put32(entry, start);
        loader_put32(entry + 4, start + module->bytes);
        loader_put32(entry + 8, info_put_text(info, module->name, module->arguments));
    }
    return HV_OK;
}

/* "syms": num, size, addr, shndx. */
static enum hv_err info_put_sections(struct loader *loader, struct info *info, uint64_t kernel_end)
{
    struct loader_elf_sections sections;
    enum hv_err err = loader_elf_load_sections(loader, kernel_end, &sections);
    if (err != HV_OK || !sections.start)
        return err;
    loader_put32(info->host + INFO_SECTIONS, sections.count);
    loader_put32(info->host + INFO_SECTIONS + 4, sections.entry_bytes);
    loader_put32(info->host + INFO_SECTIONS + 8, sections.start);
    loader_put32(info->host + INFO_SECTIONS + 12, sections.names);
    info->flags |= INFO_HAS_SECTIONS;
    return HV_OK;
}

static enum hv_err fill_info(struct loader *loader, bool is_elf, uint64_t kernel_end)
{
    const struct loader_request *request = loader->request;
    struct info info = { .host = NULL };
    enum hv_err err = make_info(loader, &info);
    if (err != HV_OK)
        return err;
    loader->result->boot_params = info.start;
    info.flags = INFO_HAS_MEMORY | INFO_HAS_CMDLINE | INFO_HAS_MODS | INFO_HAS_MMAP |
                 INFO_HAS_BOOT_LOADER_NAME;
    /* What needs alignment first: texts have any length. */
    info_put_memory(&info, request);
    err = info_put_modules(loader, &info, kernel_end);
    if (err == HV_OK && is_elf)
        err = info_put_sections(loader, &info, kernel_end);
    if (err != HV_OK)
        return err;
    loader_put32(info.host + INFO_CMDLINE,
                 info_put_text(&info, request->kernel.name, request->cmdline));
    loader_put32(info.host + INFO_BOOT_LOADER_NAME, info_put_text(&info, LOADER_NAME, ""));
    loader_put32(info.host + INFO_FLAGS, info.flags);
    return HV_OK;
}

enum hv_err loader_multiboot_load(struct loader *loader, uint64_t header_offset)
{
    uint32_t flags = loader_get32(loader->request->kernel.data + header_offset + 4);
    uint64_t entry = 0, end = 0;
    enum hv_err err = check_request(loader, flags);
    if (err != HV_OK)
        return err;
    if (flags & HEADER_ADDRESSES)
        err = load_flat(loader, header_offset, &entry, &end);
    else
        err = loader_elf_load(loader, &entry, &end);
    if (err == HV_OK)
        err = fill_info(loader, !(flags & HEADER_ADDRESSES), end);
    if (err == HV_OK)
        err = loader_make_gdt_and_stack(loader, CODE_SELECTOR, false);
    if (err != HV_OK)
        return err;
    loader->result->entry = LOADER_ENTRY_MULTIBOOT1;
    loader->result->rip = entry;
    return HV_OK;
}
