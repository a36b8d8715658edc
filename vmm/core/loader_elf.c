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

static enum hv_err read_header(struct loader *loader, struct elf_header *header)
{
    const struct loader_file *kernel = &loader->request->kernel;
    const uint8_t *data = kernel->data;
    if (kernel->bytes < EHDR_LEAST_BYTES || memcmp(data, "\177ELF", 4) != 0 ||
        data[EI_DATA] != ELFDATA2LSB || loader_get16(data + 16) != ET_EXEC)
        return refuse_elf(loader);
    uint16_t machine = loader_get16(data + 18);
    header->is_64 = data[EI_CLASS] == ELFCLASS64;
    if (header->is_64 ? machine != EM_X86_64 || kernel->bytes < EHDR64_BYTES
                      : machine != EM_386 || data[EI_CLASS] != ELFCLASS32)
        return refuse_elf(loader);
    header->entry = header->is_64 ? loader_get64(data + 24) : loader_get32(data + 24);
    header->phoff = header->is_64 ? loader_get64(data + 32) : loader_get32(data + 28);
    header->phentsize = loader_get16(data + (header->is_64 ? 54 : 42));
    header->phnum = loader_get16(data + (header->is_64 ? 56 : 44));
    if (header->phentsize < (header->is_64 ? 56 : 32) ||
        !loader_file_holds(kernel, header->phoff, (uint64_t)header->phnum * header->phentsize))
        return loader_refuse(loader, kernel, HV_ERR_INVALID,
                             "an ELF file whose program headers (%u of %u bytes at 0x%lx) do not lie "
                             "in its %lu bytes", header->phnum, header->phentsize, header->phoff,
                             kernel->bytes);
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
                             "an ELF file whose segment (0x%lx bytes at 0x%lx, 0x%lx in memory) does "
                             "not lie in its %lu bytes", segment->file_bytes, segment->offset,
                             segment->memory_bytes, kernel->bytes);
    if (segment->paddr >= LOADER_4GB || segment->memory_bytes > LOADER_4GB - segment->paddr ||
        !loader_is_ram(loader, segment->paddr, segment->memory_bytes))
        return loader_refuse(loader, kernel, HV_ERR_RANGE,
                             "a segment of 0x%lx bytes belongs at 0x%lx, where the guest has no RAM "
                             "for it", segment->memory_bytes, segment->paddr);
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
