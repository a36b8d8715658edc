/*
 * The last exits of a thin machine that was reset, from memory onto the stick.
 *
 * A block begins at a multiple of 2 MB below 4 GB; what firmware calls memory is looked through for
 * its first page, before anything else is allocated there. No lock: one core runs.
 */
#include "boot/firmware_paging.h"
#include "boot/thin.h"
#include "x86/thin.h"
#include "x86/thin_remains.h"

#define FILE_NAME "thin.txt"
#define TEXT_BYTES (256u * 1024)
#define FOUR_GB UINT64_C(0x100000000)

static struct thin_remains *find_in(const struct boot_memory *m)
{
    uint64_t end = hv_min_u64(m->start + m->bytes, FOUR_GB);

    for (uint64_t at = hv_align_up(m->start, THIN_BLOCK_ALIGN); at + HV_PAGE_BYTES <= end;
         at += THIN_BLOCK_ALIGN) {
        struct thin_remains *remains = (struct thin_remains *)at;
        if (at && boot_can_read(at, HV_PAGE_BYTES) && thin_remains_valid(remains, at) &&
            remains->block_bytes <= end - at && boot_can_read(at, remains->block_bytes))
            return remains;
    }
    return NULL;
}

/* The text lies below the block: firmware that gives memory out from the top has its next piece right
 * where the block ends, and in it. */
static void save(struct boot *boot, struct thin_remains *remains)
{
    char *text = (char *)boot_allocate_unzeroed(boot, TEXT_BYTES, (uint64_t)remains - 1);
    if (!text)
        return;
    size_t bytes = thin_remains_text(remains, text, TEXT_BYTES);
    const char *why = boot_log_write(boot, FILE_NAME, text, bytes);
    if (why)
        boot_print(boot, "The exits of the last start could not be written: %s\n", why);
    else
        boot_print(boot, "The exits of the last start are in \\trapline\\%s.\n", FILE_NAME);
    boot_free(boot, (uint64_t)text);
    remains->magic = 0; /* once */
}

void boot_save_remains(struct boot *boot)
{
    const struct boot_info *info = boot->info;
    struct thin_remains *found = NULL;

    if (!boot_read_memory_map(boot))
        return;
    for (uint32_t i = 0; i < info->memory_count && !found; i++) {
        if (info->memory[i].kind == BOOT_MEMORY_FREE)
            found = find_in(&info->memory[i]);
    }
    if (found)
        save(boot, found);
}
