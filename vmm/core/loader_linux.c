/*
 * Linux: a bzImage by the 64-bit boot protocol, or by the 32-bit one where the kernel has no 64-bit
 * entry. Linux "The Linux/x86 Boot Protocol" (Documentation/arch/x86/boot) and "Zero Page".
 *
 * Not here: zImages, protocols before 2.02, EFI handover, PVH. Pure; no lock.
 */
#include "loader_internal.h"

/* The setup header, by offset in the file and in the zero page alike. */
#define SETUP_SECTS 0x1f1
#define SETUP_SYSSIZE 0x1f4
#define SETUP_BOOT_FLAG 0x1fe
#define SETUP_JUMP_OFFSET 0x201
#define SETUP_MAGIC 0x202
#define SETUP_VERSION 0x206
#define SETUP_TYPE_OF_LOADER 0x210
#define SETUP_LOADFLAGS 0x211
#define SETUP_CODE32_START 0x214
#define SETUP_RAMDISK_IMAGE 0x218
#define SETUP_RAMDISK_SIZE 0x21c
#define SETUP_CMD_LINE_PTR 0x228
#define SETUP_INITRD_ADDR_MAX 0x22c
#define SETUP_KERNEL_ALIGNMENT 0x230
#define SETUP_RELOCATABLE_KERNEL 0x234
#define SETUP_XLOADFLAGS 0x236
#define SETUP_CMDLINE_SIZE 0x238
#define SETUP_SETUP_DATA 0x250
#define SETUP_PREF_ADDRESS 0x258
#define SETUP_INIT_SIZE 0x260
#define SETUP_LIMIT 0x290 /* the zero page has other fields from here on */

/* The rest of the zero page. */
#define ZERO_PAGE_ACPI_RSDP_ADDR 0x070
#define ZERO_PAGE_EXT_RAMDISK_IMAGE 0x0c0
#define ZERO_PAGE_EXT_RAMDISK_SIZE 0x0c4
#define ZERO_PAGE_E820_ENTRIES 0x1e8
#define ZERO_PAGE_E820_TABLE 0x2d0
#define E820_ENTRY_BYTES 20
#define E820_MAX_ENTRIES 128

#define BOOT_FLAG 0xaa55
#define MAGIC_HDRS 0x53726448 /* "HdrS" */
#define LOADFLAG_LOADED_HIGH 0x01
#define LOADFLAG_KEEP_SEGMENTS 0x40
#define XLF_KERNEL_64 0x0001
#define XLF_CAN_BE_LOADED_ABOVE_4G 0x0002
#define TYPE_OF_LOADER_UNDEFINED 0xff
#define ENTRY_64_OFFSET 0x200
#define BOOT_CS 0x10

#define SECTOR_BYTES 512
#define OLD_INITRD_ADDR_MAX 0x37ffffff
#define OLD_CMDLINE_SIZE 255
#define OLD_ALIGNMENT HV_PAGE_BYTES
/* Before 2.10 a kernel does not say how much memory it needs to unpack itself. */
#define OLD_INIT_SIZE_FACTOR 4

/* What the header says, with the values that hold where its version has no such field. */
struct linux_image {
    uint16_t version;
    uint64_t setup_bytes;   /* of the real-mode part, in the file */
    uint64_t payload_bytes; /* what follows it */
    uint64_t pref_address;
    uint64_t init_bytes;    /* memory that the kernel needs from its start on */
    uint64_t align_bytes;
    uint64_t initrd_addr_max;
    uint64_t cmdline_most;
    bool relocatable;
    bool entry_64;
    bool initrd_above_4g;
};

bool loader_linux_matches(const struct loader_file *kernel)
{
    return kernel->bytes >= SETUP_VERSION &&
           loader_get16(kernel->data + SETUP_BOOT_FLAG) == BOOT_FLAG &&
           loader_get32(kernel->data + SETUP_MAGIC) == MAGIC_HDRS;
}

/* The parts of the file are there, and it is of a kind that can be started. */
static enum hv_err check_kind(struct loader *loader, struct linux_image *image)
{
    const struct loader_file *kernel = &loader->request->kernel;
    const uint8_t *data = kernel->data;
    if (kernel->bytes < 2 * SECTOR_BYTES)
        return loader_refuse(loader, kernel, HV_ERR_INVALID,
                             "a bzImage that is cut off in its header, at %lu bytes",
                             kernel->bytes);
    image->version = loader_get16(data + SETUP_VERSION);
    if (image->version < 0x202)
        return loader_refuse(loader, kernel, HV_ERR_UNSUPPORTED,
                             "a Linux kernel of boot protocol %u.%02u; expected 2.02 or later",
                             image->version >> 8, image->version & 0xff);
    if (!(data[SETUP_LOADFLAGS] & LOADFLAG_LOADED_HIGH))
        return loader_refuse(loader, kernel, HV_ERR_UNSUPPORTED,
                             "a Linux zImage, which runs below 1 MB; expected a bzImage");
    unsigned sectors = data[SETUP_SECTS] ? data[SETUP_SECTS] : 4;
    image->setup_bytes = (sectors + 1) * SECTOR_BYTES;
    uint64_t declared = (uint64_t)loader_get32(data + SETUP_SYSSIZE) * 16;
    uint64_t whole = image->setup_bytes + declared;
    /* The size is in units of 16 bytes, rounded up: the last unit need not be whole. */
    if (kernel->bytes <= image->setup_bytes || declared == 0 || kernel->bytes + 15 < whole)
        return loader_refuse(loader, kernel, HV_ERR_INVALID,
                             "a bzImage of %lu bytes that is cut off: its header says %lu",
                             kernel->bytes, whole);
    image->payload_bytes = hv_min_u64(declared, kernel->bytes - image->setup_bytes);
    return HV_OK;
}

static void read_header(const struct loader_file *kernel, struct linux_image *image)
{
    const uint8_t *data = kernel->data;
    uint16_t version = image->version;
    uint16_t xloadflags = version >= 0x20c ? loader_get16(data + SETUP_XLOADFLAGS) : 0;
    image->initrd_addr_max =
        version >= 0x203 ? loader_get32(data + SETUP_INITRD_ADDR_MAX) : OLD_INITRD_ADDR_MAX;
    image->relocatable = version >= 0x205 && data[SETUP_RELOCATABLE_KERNEL];
    image->align_bytes =
        version >= 0x205 ? loader_get32(data + SETUP_KERNEL_ALIGNMENT) : OLD_ALIGNMENT;
    image->cmdline_most =
        version >= 0x206 ? loader_get32(data + SETUP_CMDLINE_SIZE) : OLD_CMDLINE_SIZE;
    image->pref_address = version >= 0x20a ? loader_get64(data + SETUP_PREF_ADDRESS) : LOADER_1MB;
    image->init_bytes = version >= 0x20a ? loader_get32(data + SETUP_INIT_SIZE)
                                         : image->payload_bytes * OLD_INIT_SIZE_FACTOR;
    image->init_bytes = hv_max_u64(image->init_bytes, image->payload_bytes);
    image->entry_64 = xloadflags & XLF_KERNEL_64;
    image->initrd_above_4g = xloadflags & XLF_CAN_BE_LOADED_ABOVE_4G;
}

static enum hv_err check_header(struct loader *loader, const struct linux_image *image)
{
    const struct loader_file *kernel = &loader->request->kernel;
    uint64_t align = image->align_bytes;
    if (image->relocatable && (align == 0 || (align & (align - 1)) || align > (1u << 30)))
        return loader_refuse(loader, kernel, HV_ERR_INVALID,
                             "a bzImage with the alignment 0x%lx; expected a power of two up to "
                             "1 GB", align);
    if (image->pref_address < LOADER_1MB)
        return loader_refuse(loader, kernel, HV_ERR_INVALID,
                             "a bzImage that wants to run at 0x%lx; expected 1 MB or above",
                             image->pref_address);
    if (image->entry_64 && image->payload_bytes <= ENTRY_64_OFFSET)
        return loader_refuse(loader, kernel, HV_ERR_INVALID,
                             "a bzImage whose code ends before its 64-bit entry");
    return HV_OK;
}

/* A kernel that is moved below its preferred address goes there by itself, so only what is at or
 * above it will do. */
static enum hv_err place_kernel(struct loader *loader, const struct linux_image *image,
                                uint64_t *start)
{
    const struct loader_file *kernel = &loader->request->kernel;
    const struct loader_want want = { .bytes = image->init_bytes,
                                      .align_bytes = image->align_bytes,
                                      .least = image->pref_address,
                                      .limit = LOADER_4GB };
    enum hv_err err;
    if (image->relocatable) {
        err = loader_find(loader, &want, start);
    } else {
        *start = image->pref_address;
        bool fits = *start < LOADER_4GB && loader_is_free(loader, *start, image->init_bytes);
        err = fits ? loader_reserve(loader, *start, image->init_bytes) : HV_ERR_RANGE;
    }
    if (err != HV_OK)
        return loader_refuse(loader, kernel, err,
                             "needs %lu KB of memory at or above %lu KB (and below 4 GB), which "
                             "the guest, with %lu KB, does not have", image->init_bytes >> 10,
                             image->pref_address >> 10, loader_ram_bytes(loader) >> 10);
    return loader_copy(loader, kernel, *start, kernel->data + image->setup_bytes,
                       image->payload_bytes);
}

static enum hv_err place_initrd(struct loader *loader, const struct linux_image *image,
                                uint8_t *zero_page)
{
    const struct loader_file *initrd = &loader->request->initrd;
    struct loader_want want = { .bytes = initrd->bytes, .align_bytes = HV_PAGE_BYTES,
                                .least = LOADER_1MB, .limit = image->initrd_addr_max + 1,
                                .highest = true };
    uint64_t start;
    if (!initrd->data)
        return HV_OK;
    if (initrd->bytes == 0)
        return loader_refuse(loader, initrd, HV_ERR_INVALID,
                             "found an empty file; expected an initial RAM disk");
    enum hv_err err = loader_find(loader, &want, &start);
    if (err != HV_OK && image->initrd_above_4g) {
        want.limit = UINT64_MAX;
        err = loader_find(loader, &want, &start);
    }
    if (err != HV_OK)
        return loader_refuse(loader, initrd, err,
                             "the initial RAM disk of %lu KB does not fit: the guest has %lu KB, "
                             "and its kernel needs %lu KB of them", initrd->bytes >> 10,
                             loader_ram_bytes(loader) >> 10, image->init_bytes >> 10);
    loader_put32(zero_page + SETUP_RAMDISK_IMAGE, start);
    loader_put32(zero_page + SETUP_RAMDISK_SIZE, initrd->bytes);
    loader_put32(zero_page + ZERO_PAGE_EXT_RAMDISK_IMAGE, start >> 32);
    loader_put32(zero_page + ZERO_PAGE_EXT_RAMDISK_SIZE, initrd->bytes >> 32);
    return loader_copy(loader, initrd, start, initrd->data, initrd->bytes);
}

static enum hv_err place_cmdline(struct loader *loader, const struct linux_image *image,
                                 uint8_t *zero_page)
{
    const char *cmdline = loader->request->cmdline;
    size_t bytes = strlen(cmdline);
    uint64_t start;
    uint8_t *host;
    if (bytes > image->cmdline_most)
        return loader_refuse(loader, &loader->request->kernel, HV_ERR_RANGE,
                             "the command line has %lu bytes; this kernel takes %lu", bytes,
                             image->cmdline_most);
    enum hv_err err = loader_find_low(loader, "the command line", bytes + 1, &start, &host);
    if (err != HV_OK)
        return err;
    memcpy(host, cmdline, bytes);
    loader_put32(zero_page + SETUP_CMD_LINE_PTR, start);
    return HV_OK;
}

static enum hv_err fill_e820(struct loader *loader, uint8_t *zero_page)
{
    const struct loader_request *request = loader->request;
    if (request->map_count > E820_MAX_ENTRIES)
        return loader_refuse(loader, &request->kernel, HV_ERR_RANGE,
                             "the guest's memory map has %u ranges; Linux takes 128",
                             request->map_count);
    zero_page[ZERO_PAGE_E820_ENTRIES] = (uint8_t)request->map_count;
    for (unsigned i = 0; i < request->map_count; i++) {
        uint8_t *entry = zero_page + ZERO_PAGE_E820_TABLE + i * E820_ENTRY_BYTES;
        loader_put64(entry, request->map[i].start);
        loader_put64(entry + 8, request->map[i].bytes);
        loader_put32(entry + 16, request->map[i].kind);
    }
    return HV_OK;
}

/* The header as the file has it, as long as it says that it is; then what a loader must fill in. */
static void fill_header(const struct loader_file *kernel, uint8_t *zero_page, uint64_t start)
{
    unsigned end = SETUP_MAGIC + kernel->data[SETUP_JUMP_OFFSET];
    if (end > SETUP_LIMIT)
        end = SETUP_LIMIT;
    memcpy(zero_page + SETUP_SECTS, kernel->data + SETUP_SECTS, end - SETUP_SECTS);
    zero_page[SETUP_TYPE_OF_LOADER] = TYPE_OF_LOADER_UNDEFINED;
    zero_page[SETUP_LOADFLAGS] &= (uint8_t)~LOADFLAG_KEEP_SEGMENTS;
    loader_put32(zero_page + SETUP_CODE32_START, start);
    loader_put32(zero_page + SETUP_RAMDISK_IMAGE, 0);
    loader_put32(zero_page + SETUP_RAMDISK_SIZE, 0);
    loader_put64(zero_page + SETUP_SETUP_DATA, 0);
}

/* SDM "4-Level Paging". */
#define PAGE_PRESENT_WRITABLE 0x3u
#define PAGE_LARGE 0x80u
#define TABLE_ENTRIES 512u
#define IDENTITY_GB 4u

/* Maps the first 4 GB, each address to itself: one top table, one table of gigabytes and, without
 * 1 GB pages, four tables of 2 MB pages. */
static enum hv_err make_page_tables(struct loader *loader)
{
    bool pages_1g = loader->request->pages_1g;
    uint64_t start;
    uint8_t *host;
    enum hv_err err = loader_find_low(loader, "page tables",
                                      (2 + (pages_1g ? 0 : IDENTITY_GB)) * HV_PAGE_BYTES, &start,
                                      &host);
    if (err != HV_OK)
        return err;
    uint8_t *pdpt = host + HV_PAGE_BYTES, *directories = pdpt + HV_PAGE_BYTES;
    loader_put64(host, (start + HV_PAGE_BYTES) | PAGE_PRESENT_WRITABLE);
    for (uint64_t gb = 0; gb < IDENTITY_GB; gb++)
        loader_put64(pdpt + gb * 8, pages_1g ? gb << 30 | PAGE_LARGE | PAGE_PRESENT_WRITABLE
                                             : (start + (2 + gb) * HV_PAGE_BYTES) |
                                                   PAGE_PRESENT_WRITABLE);
    for (uint64_t i = 0; !pages_1g && i < IDENTITY_GB * TABLE_ENTRIES; i++)
        loader_put64(directories + i * 8, i << 21 | PAGE_LARGE | PAGE_PRESENT_WRITABLE);
    loader->result->cr3 = start;
    return HV_OK;
}

/* All but the kernel itself. */
static enum hv_err make_surroundings(struct loader *loader, const struct linux_image *image,
                                     uint64_t start)
{
    struct loader_result *result = loader->result;
    uint8_t *zero_page;
    enum hv_err err = loader_find_low(loader, "the zero page", HV_PAGE_BYTES, &result->boot_params,
                                      &zero_page);
    if (err != HV_OK)
        return err;
    fill_header(&loader->request->kernel, zero_page, start);
    loader_put64(zero_page + ZERO_PAGE_ACPI_RSDP_ADDR, loader->request->rsdp);
    err = fill_e820(loader, zero_page);
    if (err == HV_OK)
        err = place_cmdline(loader, image, zero_page);
    if (err == HV_OK)
        err = place_initrd(loader, image, zero_page);
    if (err == HV_OK)
        err = loader_make_gdt_and_stack(loader, BOOT_CS, image->entry_64);
    if (err == HV_OK && image->entry_64)
        err = make_page_tables(loader);
    return err;
}

enum hv_err loader_linux_load(struct loader *loader)
{
    const struct loader_file *kernel = &loader->request->kernel;
    struct linux_image image = { .version = 0 };
    uint64_t start = 0;
    if (loader->request->module_count)
        return loader_refuse(loader, kernel, HV_ERR_INVALID,
                             "found 'module' with a Linux kernel; expected 'initrd'");
    enum hv_err err = check_kind(loader, &image);
    if (err != HV_OK)
        return err;
    read_header(kernel, &image);
    err = check_header(loader, &image);
    if (err == HV_OK)
        err = place_kernel(loader, &image, &start);
    if (err == HV_OK)
        err = make_surroundings(loader, &image, start);
    if (err != HV_OK)
        return err;
    loader->result->entry = image.entry_64 ? LOADER_ENTRY_LINUX64 : LOADER_ENTRY_LINUX32;
    loader->result->rip = image.entry_64 ? start + ENTRY_64_OFFSET : start;
    return HV_OK;
}
