/*
 * Loading a kernel: which format a file has, and where things find a place in the guest's memory.
 * The formats themselves are in loader_linux.c, loader_multiboot.c and loader_elf.c.
 *
 * Pure; no lock: the VM does not run yet.
 */
#include "loader_internal.h"

#include "hv/format.h"

enum hv_err loader_refuse(struct loader *loader, const struct loader_file *file, enum hv_err err,
                          const char *format, ...)
{
    char *text = loader->diagnosis->text;
    size_t room = sizeof(loader->diagnosis->text);
    int used = hv_snprintf(text, room, "%.128s: ", file->name);
    va_list args;
    va_start(args, format);
    hv_vsnprintf(text + used, room - (size_t)used, format, args);
    va_end(args);
    return err;
}

/* --- places --- */

bool loader_is_ram(const struct loader *loader, uint64_t start, uint64_t bytes)
{
    const struct loader_request *request = loader->request;
    for (unsigned i = 0; i < request->map_count; i++) {
        const struct loader_range *range = &request->map[i];
        if (range->kind == LOADER_RANGE_RAM && start >= range->start &&
            start - range->start <= range->bytes && bytes <= range->bytes - (start - range->start))
            return true;
    }
    return false;
}

/* A place that overlaps start..start+bytes, which does not wrap; or NULL. */
static const struct loader_place *find_clash(const struct loader *loader, uint64_t start,
                                             uint64_t bytes)
{
    for (unsigned i = 0; i < loader->place_count; i++)
        if (start < loader->places[i].end && start + bytes > loader->places[i].start)
            return &loader->places[i];
    return NULL;
}

bool loader_is_free(const struct loader *loader, uint64_t start, uint64_t bytes)
{
    return loader_is_ram(loader, start, bytes) && !find_clash(loader, start, bytes);
}

enum hv_err loader_reserve(struct loader *loader, uint64_t start, uint64_t bytes)
{
    if (loader->place_count == LOADER_MAX_PLACES)
        return HV_ERR_NO_MEMORY;
    loader->places[loader->place_count++] = (struct loader_place){ start, start + bytes };
    return HV_OK;
}

/* The lowest free place in low..high (exclusive). */
static bool find_lowest(const struct loader *loader, const struct loader_want *want, uint64_t low,
                        uint64_t high, uint64_t *start)
{
    uint64_t candidate = hv_align_up(low, want->align_bytes);
    while (candidate >= low && candidate <= high && want->bytes <= high - candidate) {
        const struct loader_place *clash = find_clash(loader, candidate, want->bytes);
        if (!clash) {
            *start = candidate;
            return true;
        }
        low = clash->end;
        candidate = hv_align_up(low, want->align_bytes);
    }
    return false;
}

static bool find_highest(const struct loader *loader, const struct loader_want *want, uint64_t low,
                         uint64_t high, uint64_t *start)
{
    while (high >= low && want->bytes <= high - low) {
        uint64_t candidate = hv_align_down(high - want->bytes, want->align_bytes);
        if (candidate < low)
            return false;
        const struct loader_place *clash = find_clash(loader, candidate, want->bytes);
        if (!clash) {
            *start = candidate;
            return true;
        }
        high = clash->start;
    }
    return false;
}

static bool find_in_range(const struct loader *loader, const struct loader_want *want,
                          const struct loader_range *range, uint64_t *start)
{
    uint64_t low = hv_max_u64(range->start, want->least);
    uint64_t high = hv_min_u64(range->start + range->bytes, want->limit);
    if (range->kind != LOADER_RANGE_RAM || low >= high)
        return false;
    return want->highest ? find_highest(loader, want, low, high, start)
                         : find_lowest(loader, want, low, high, start);
}

enum hv_err loader_find(struct loader *loader, const struct loader_want *want, uint64_t *start)
{
    const struct loader_request *request = loader->request;
    for (unsigned i = 0; i < request->map_count; i++) {
        unsigned at = want->highest ? request->map_count - 1 - i : i;
        if (find_in_range(loader, want, &request->map[at], start))
            return loader_reserve(loader, *start, want->bytes);
    }
    return HV_ERR_RANGE;
}

enum hv_err loader_find_low(struct loader *loader, const char *what, uint64_t bytes,
                            uint64_t *start, uint8_t **host)
{
    const struct loader_want want = { .bytes = hv_align_up(bytes, HV_PAGE_BYTES),
                                      .align_bytes = HV_PAGE_BYTES,
                                      .least = LOADER_LOW_LEAST,
                                      .limit = LOADER_LOW_LIMIT };
    const struct loader_file *kernel = &loader->request->kernel;
    if (loader_find(loader, &want, start) != HV_OK)
        return loader_refuse(loader, kernel, HV_ERR_RANGE,
                             "the guest has no %lu KB free below 640 KB for %s", want.bytes >> 10,
                             what);
    *host = gpa_space_pointer(loader->request->memory, GPA(*start), want.bytes);
    if (!*host)
        return loader_refuse(loader, kernel, HV_ERR_RANGE,
                             "the guest's memory map names RAM at 0x%lx that it does not have",
                             *start);
    memset(*host, 0, want.bytes);
    return HV_OK;
}

static enum hv_err check_backed(struct loader *loader, const struct loader_file *file,
                                uint64_t start, enum hv_err err)
{
    if (err == HV_OK)
        return HV_OK;
    return loader_refuse(loader, file, err,
                         "the guest's memory map names RAM from 0x%lx on that it does not have",
                         start);
}

enum hv_err loader_copy(struct loader *loader, const struct loader_file *file, uint64_t to,
                        const void *from, uint64_t bytes)
{
    return check_backed(loader, file, to,
                        gpa_space_write(loader->request->memory, GPA(to), from, bytes));
}

enum hv_err loader_zero(struct loader *loader, const struct loader_file *file, uint64_t start,
                        uint64_t bytes)
{
    return check_backed(loader, file, start,
                        gpa_space_zero(loader->request->memory, GPA(start), bytes));
}

uint64_t loader_ram_bytes(const struct loader *loader)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < loader->request->map_count; i++)
        if (loader->request->map[i].kind == LOADER_RANGE_RAM)
            total += loader->request->map[i].bytes;
    return total;
}

/* --- what every kernel gets --- */

/* SDM "Segment Descriptors": present, ring 0, accessed, 4 GB with page granularity. */
#define GDT_CODE_32 UINT64_C(0x00cf9b000000ffff)
#define GDT_CODE_64 UINT64_C(0x00af9b000000ffff)
#define GDT_DATA UINT64_C(0x00cf93000000ffff)

enum hv_err loader_make_gdt_and_stack(struct loader *loader, uint16_t code_selector,
                                      bool code_is_64_bit)
{
    struct loader_result *result = loader->result;
    uint8_t *host;
    /* The table at the start of a page, the stack in the page behind it. */
    enum hv_err err = loader_find_low(loader, "a descriptor table and a stack", 2 * HV_PAGE_BYTES,
                                      &result->gdt, &host);
    if (err != HV_OK)
        return err;
    loader_put64(host + code_selector, code_is_64_bit ? GDT_CODE_64 : GDT_CODE_32);
    loader_put64(host + code_selector + 8, GDT_DATA);
    result->gdt_limit = (uint16_t)(code_selector + 15);
    result->code_selector = code_selector;
    result->data_selector = (uint16_t)(code_selector + 8);
    result->stack = result->gdt + 2 * HV_PAGE_BYTES;
    return HV_OK;
}

enum hv_err loader_load(const struct loader_request *request, struct loader_result *result,
                        struct loader_diagnosis *diagnosis)
{
    struct loader loader = { .request = request, .result = result, .diagnosis = diagnosis };
    const struct loader_file *kernel = &request->kernel;
    bool wrong_checksum;
    memset(result, 0, sizeof(*result));
    memset(diagnosis, 0, sizeof(*diagnosis));
    if (loader_linux_matches(kernel))
        return loader_linux_load(&loader);
    int64_t header = loader_multiboot_find(kernel, &wrong_checksum);
    if (header >= 0)
        return loader_multiboot_load(&loader, (uint64_t)header);
    if (wrong_checksum)
        return loader_refuse(&loader, kernel, HV_ERR_INVALID,
                             "a multiboot header whose checksum is wrong; magic, flags and "
                             "checksum must add up to 0");
    return loader_refuse(&loader, kernel, HV_ERR_INVALID,
                         "found %s; expected a Linux bzImage or a multiboot-1 kernel",
                         loader_describe(kernel));
}
