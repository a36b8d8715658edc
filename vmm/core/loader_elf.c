/*
 * ELF kernels: program headers into the guest's memory. System V ABI "Program Header"; the fields
 * of 32-bit and 64-bit files are read into one form.
 *
 * Not here: relocation. A kernel is an executable with fixed addresses. Pure; no lock.
 */
#include "loader_internal.h"

#define EI_CLASS 4
#define EI_DATA 5
#define ELFCLASS32 1
#define ELFCLASS64 2
#define ELFDATA2LSB 1
#define ET_EXEC 2
#define EM_386 3
#define EM_X86_64 62
#define PT_LOAD 1
#define EHDR_LEAST_BYTES 52
#define EHDR64_BYTES 64

struct elf_header {
    bool is_64;
    uint64_t entry;
    uint64_t phoff;
    uint16_t phentsize;
    uint16_t phnum;
};

struct elf_segment {
    uint32_t type;
    uint64_t offset, vaddr, paddr, file_bytes, memory_bytes;
};

static enum hv_err refuse_elf(struct loader *loader)
{
    const struct loader_file *kernel = &loader->request->kernel;
    return loader_refuse(loader, kernel, HV_ERR_INVALID,
                         "found %s with a multiboot header; expected an ELF executable for i386 or "
                         "x86-64", loader_describe(kernel));
}

/* Machine, class and size fit together; the rest of the header can be read. */
static bool is_executable(const struct loader_file *kernel)
{
    const uint8_t *data = kernel->data;
    if (kernel->bytes < EHDR_LEAST_BYTES || memcmp(data, "\177ELF", 4) != 0 ||
        data[EI_DATA] != ELFDATA2LSB || loader_get16(data + 16) != ET_EXEC)
        return false;
    uint16_t machine = loader_get16(data + 18);
    if (data[EI_CLASS] == ELFCLASS64)
        return machine == EM_X86_64 && kernel->bytes >= EHDR64_BYTES;
    return machine == EM_386 && data[EI_CLASS] == ELFCLASS32;
}

static enum hv_err read_header(struct loader *loader, struct elf_header *header)
{
    const struct loader_file *kernel = &loader->request->kernel;
    const uint8_t *data = kernel->data;
    if (!is_executable(kernel))
        return refuse_elf(loader);
    header->is_64 = data[EI_CLASS] == ELFCLASS64;
    header->entry = header->is_64 ? loader_get64(data + 24) : loader_get32(data + 24);
    header->phoff = header->is_64 ? loader_get64(data + 32) : loader_get32(data + 28);
    header->phentsize = loader_get16(data + (header->is_64 ? 54 : 42));
    header->phnum = loader_get16(data + (header->is_64 ? 56 : 44));
    if (header->phentsize < (header->is_64 ? 56 : 32) ||
        !loader_file_holds(kernel, header->phoff, (uint64_t)header->phnum * header->phentsize))
        return loader_refuse(loader, kernel, HV_ERR_INVALID,
                             "an ELF file whose program headers (%u of %u bytes at 0x%lx) do not "
                             "lie in its %lu bytes", header->phnum, header->phentsize,
                             header->phoff, kernel->bytes);
    return HV_OK;
}

static struct elf_segment read_segment(const uint8_t *at, bool is_64)
{
    if (is_64)
        return (struct elf_segment){
            .type = loader_get32(at), .offset = loader_get64(at + 8),
            .vaddr = loader_get64(at + 16), .paddr = loader_get64(at + 24),
            .file_bytes = loader_get64(at + 32), .memory_bytes = loader_get64(at + 40),
        };
    return (struct elf_segment){
        .type = loader_get32(at), .offset = loader_get32(at + 4), .vaddr = loader_get32(at + 8),
        .paddr = loader_get32(at + 12), .file_bytes = loader_get32(at + 16),
        .memory_bytes = loader_get32(at + 20),
    };
}

static enum hv_err load_segment(struct loader *loader, const struct elf_segment *segment)
{
    const struct loader_file *kernel = &loader->request->kernel;
    if (segment->file_bytes > segment->memory_bytes ||
        !loader_file_holds(kernel, segment->offset, segment->file_bytes))
        return loader_refuse(loader, kernel, HV_ERR_INVALID,
                             "an ELF file whose segment (0x%lx bytes at 0x%lx, 0x%lx in memory) "
                             "does not lie in its %lu bytes", segment->file_bytes, segment->offset,
                             segment->memory_bytes, kernel->bytes);
    if (segment->paddr >= LOADER_4GB || segment->memory_bytes > LOADER_4GB - segment->paddr ||
        !loader_is_ram(loader, segment->paddr, segment->memory_bytes))
        return loader_refuse(loader, kernel, HV_ERR_RANGE,
                             "a segment of 0x%lx bytes belongs at 0x%lx, where the guest has no "
                             "RAM for it", segment->memory_bytes, segment->paddr);
    enum hv_err err = loader_reserve(loader, segment->paddr, segment->memory_bytes);
    if (err == HV_OK)
        err = loader_copy(loader, kernel, segment->paddr, kernel->data + segment->offset,
                          segment->file_bytes);
    if (err == HV_OK)
        err = loader_zero(loader, kernel, segment->paddr + segment->file_bytes,
                          segment->memory_bytes - segment->file_bytes);
    return err;
}

/* The entry is a linked address; execution starts without paging. */
static bool entry_in_segment(const struct elf_segment *segment, uint64_t linked, uint64_t *entry)
{
    if (linked - segment->vaddr >= segment->memory_bytes)
        return false;
    *entry = linked - segment->vaddr + segment->paddr;
    return true;
}

static enum hv_err load_segments(struct loader *loader, const struct elf_header *header,
                                 bool *entry_found, uint64_t *entry, uint64_t *end)
{
    const struct loader_file *kernel = &loader->request->kernel;
    unsigned loaded = 0;
    *entry_found = false;
    *end = 0;
    for (unsigned i = 0; i < header->phnum; i++) {
        const uint8_t *at = kernel->data + header->phoff + (uint64_t)i * header->phentsize;
        struct elf_segment segment = read_segment(at, header->is_64);
        if (segment.type != PT_LOAD || segment.memory_bytes == 0)
            continue;
        if (loaded++ == LOADER_MAX_SEGMENTS)
            return loader_refuse(loader, kernel, HV_ERR_UNSUPPORTED,
                                 "an ELF file with more than %u segments to load",
                                 LOADER_MAX_SEGMENTS);
        enum hv_err err = load_segment(loader, &segment);
        if (err != HV_OK)
            return err;
        if (!*entry_found)
            *entry_found = entry_in_segment(&segment, header->entry, entry);
        *end = hv_max_u64(*end, segment.paddr + segment.memory_bytes);
    }
    if (!loaded)
        return loader_refuse(loader, kernel, HV_ERR_INVALID, "an ELF file with nothing to load");
    return HV_OK;
}

/* Some kernels name a physical entry although they are linked elsewhere. */
static bool is_loaded(const struct loader *loader, uint64_t address)
{
    for (unsigned i = 0; i < loader->place_count; i++)
        if (address >= loader->places[i].start && address < loader->places[i].end)
            return true;
    return false;
}

enum hv_err loader_elf_load(struct loader *loader, uint64_t *entry, uint64_t *end)
{
    struct elf_header header = { .is_64 = false };
    bool entry_found = false;
    enum hv_err err = read_header(loader, &header);
    if (err == HV_OK)
        err = load_segments(loader, &header, &entry_found, entry, end);
    if (err != HV_OK || entry_found)
        return err;
    *entry = header.entry;
    if (is_loaded(loader, *entry))
        return HV_OK;
    return loader_refuse(loader, &loader->request->kernel, HV_ERR_INVALID,
                         "an ELF file whose entry 0x%lx lies in none of its segments", *entry);
}

/* --- sections: for kernels that look up their own symbols --- */

#define SHDR32_BYTES 40
#define SHDR64_BYTES 64
#define SHT_NULL 0
#define SHT_NOBITS 8
#define SECTION_ALIGN_BYTES 16

struct elf_section {
    uint32_t type;
    uint64_t address, offset, bytes;
};

static struct elf_section read_section(const uint8_t *at, bool is_64)
{
    if (is_64)
        return (struct elf_section){ .type = loader_get32(at + 4), .address = loader_get64(at + 16),
                                     .offset = loader_get64(at + 24),
                                     .bytes = loader_get64(at + 32) };
    return (struct elf_section){ .type = loader_get32(at + 4), .address = loader_get32(at + 12),
                                 .offset = loader_get32(at + 16), .bytes = loader_get32(at + 20) };
}

/* The table as the file's header describes it; false: there is none that could be used. */
static bool read_section_table(const struct loader_file *kernel,
                               struct loader_elf_sections *sections, uint64_t *offset)
{
    const uint8_t *data = kernel->data;
    bool is_64 = data[EI_CLASS] == ELFCLASS64;
    *offset = is_64 ? loader_get64(data + 40) : loader_get32(data + 32);
    sections->entry_bytes = loader_get16(data + (is_64 ? 58 : 46));
    sections->count = loader_get16(data + (is_64 ? 60 : 48));
    sections->names = loader_get16(data + (is_64 ? 62 : 50));
    return sections->count && sections->names < sections->count &&
           sections->entry_bytes == (is_64 ? SHDR64_BYTES : SHDR32_BYTES) &&
           loader_file_holds(kernel, *offset, (uint64_t)sections->count * sections->entry_bytes);
}

/* Is it in the file, but no part of what runs? */
static bool is_extra(const struct elf_section *section)
{
    return section->address == 0 && section->bytes && section->type != SHT_NULL &&
           section->type != SHT_NOBITS;
}

/* Bytes that the table and the extra sections take in memory; 0: one does not lie in the file. */
static uint64_t measure_sections(const struct loader_file *kernel,
                                 const struct loader_elf_sections *sections, uint64_t offset)
{
    bool is_64 = sections->entry_bytes == SHDR64_BYTES;
    uint64_t total = hv_align_up((uint64_t)sections->count * sections->entry_bytes,
                                 SECTION_ALIGN_BYTES);
    for (uint64_t i = 0; i < sections->count; i++) {
        const uint8_t *at = kernel->data + offset + i * sections->entry_bytes;
        struct elf_section section = read_section(at, is_64);
        if (!is_extra(&section))
            continue;
        if (!loader_file_holds(kernel, section.offset, section.bytes))
            return 0;
        total += hv_align_up(section.bytes, SECTION_ALIGN_BYTES);
    }
    return total;
}

/* Copies the extra sections behind the table, and the table with their addresses. */
static enum hv_err copy_sections(struct loader *loader, const struct loader_elf_sections *sections,
                                 uint64_t offset)
{
    const struct loader_file *kernel = &loader->request->kernel;
    bool is_64 = sections->entry_bytes == SHDR64_BYTES;
    uint64_t next = sections->start + hv_align_up((uint64_t)sections->count * sections->entry_bytes,
                                                  SECTION_ALIGN_BYTES);
    for (uint64_t i = 0; i < sections->count; i++) {
        uint8_t entry[SHDR64_BYTES];
        memcpy(entry, kernel->data + offset + i * sections->entry_bytes, sections->entry_bytes);
        struct elf_section section = read_section(entry, is_64);
        if (is_extra(&section)) {
            enum hv_err err = loader_copy(loader, kernel, next, kernel->data + section.offset,
                                          section.bytes);
            if (err != HV_OK)
                return err;
            if (is_64)
                loader_put64(entry + 16, next);
            else
                loader_put32(entry + 12, next);
            next += hv_align_up(section.bytes, SECTION_ALIGN_BYTES);
        }
        enum hv_err err = loader_copy(loader, kernel, sections->start + i * sections->entry_bytes,
                                      entry, sections->entry_bytes);
        if (err != HV_OK)
            return err;
    }
    return HV_OK;
}

enum hv_err loader_elf_load_sections(struct loader *loader, uint64_t above,
                                     struct loader_elf_sections *sections)
{
    const struct loader_file *kernel = &loader->request->kernel;
    struct loader_want want = { .align_bytes = HV_PAGE_BYTES, .limit = LOADER_4GB,
                                .least = hv_max_u64(above, LOADER_1MB) };
    uint64_t offset;
    sections->start = 0;
    if (!read_section_table(kernel, sections, &offset))
        return HV_OK;
    want.bytes = measure_sections(kernel, sections, offset);
    if (want.bytes == 0 || loader_find(loader, &want, &sections->start) != HV_OK) {
        sections->start = 0;
        return HV_OK;
    }
    return copy_sections(loader, sections, offset);
}
