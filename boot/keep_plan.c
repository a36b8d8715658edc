/*
 * How much memory a run takes from a firmware that stays, and in which pieces.
 *
 * Not here: asking for it (keep.c). Pure; no lock.
 * UEFI specification, "EFI_BOOT_SERVICES.AllocatePages()".
 */
#include "boot/keep_plan.h"

#include "hv/page_alloc.h"
#include "hv/string.h"

#define MB (UINT64_C(1) << 20)
/* Page tables, devices and tables of VMs; the laboratory's VM and its pages; the cases of the
 * explainer. */
#define OWN_BASE_BYTES (12 * MB)
#define LAB_BYTES (16 * MB)
/* Stacks, VMXON region and firmware's state of a core: 23 pages. */
#define CORE_BYTES (UINT64_C(128) << 10)
/* A VM's devices and tables; a vCPU's VMCS, APIC, extended state; its ring of exits, if any. */
#define VM_BYTES (1 * MB)
#define VCPU_BYTES (UINT64_C(256) << 10)
#define TRACE_BYTES (2 * MB)
/* Second-level tables: eight bytes for each 4 KB at the worst. */
#define TABLES_SHARE 256

static uint64_t vm_own_bytes(const struct config_vm *vm)
{
    uint64_t vcpu = VCPU_BYTES;
    if (vm->trace != CONFIG_TRACE_OFF)
        vcpu += TRACE_BYTES;
    return VM_BYTES + vcpu * vm->vcpus + vm->memory_bytes / TABLES_SHARE;
}

struct keep_need keep_plan_need(const struct config *config, uint32_t cores)
{
    struct keep_need need = { 0, OWN_BASE_BYTES + CORE_BYTES * cores };
    if (config->lab[0])
        need.own_bytes += LAB_BYTES;
    for (unsigned i = 0; i < config->vm_count; i++) {
        need.guests_bytes += config->vms[i].memory_bytes;
        need.own_bytes += vm_own_bytes(&config->vms[i]);
    }
    need.own_bytes = hv_align_up(need.own_bytes, PAGE_ALIGN_2M);
    return need;
}

unsigned keep_plan_take(uint64_t bytes, uint64_t (*take)(void *context, uint64_t bytes),
                        void *context, struct keep_piece pieces[KEEP_MOST_PIECES])
{
    unsigned count = 0;
    uint64_t size = hv_align_up(bytes, PAGE_ALIGN_2M);
    for (uint64_t left = size; left > 0;) {
        if (count == KEEP_MOST_PIECES)
            return 0;
        size = hv_min_u64(size, left);
        uint64_t start = take(context, size);
        if (start) {
            pieces[count++] = (struct keep_piece){ start, size };
            left -= size;
        } else if (size == PAGE_ALIGN_2M) {
            return 0;
        } else {
            size = hv_align_up(size / 2, PAGE_ALIGN_2M);
        }
    }
    return count;
}

void keep_plan_disown(struct boot_memory *map, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (map[i].kind == BOOT_MEMORY_FREE || map[i].kind == BOOT_MEMORY_RECLAIM ||
            map[i].kind == BOOT_MEMORY_TRAPLINE)
            map[i].kind = BOOT_MEMORY_FIRMWARE;
    }
}

static void remove_at(struct boot_memory *map, uint32_t *count, uint32_t at)
{
    memmove(&map[at], &map[at + 1], (*count - at - 1) * sizeof(map[0]));
    (*count)--;
}

static void insert_at(struct boot_memory *map, uint32_t *count, uint32_t at,
                      struct boot_memory range)
{
    memmove(&map[at + 1], &map[at], (*count - at) * sizeof(map[0]));
    map[at] = range;
    (*count)++;
}

/* Takes [start, end) out of the range at `at`. Returns how many ranges are left of it. */
static unsigned cut(struct boot_memory *map, uint32_t *count, uint32_t at, uint64_t start,
                    uint64_t end)
{
    struct boot_memory old = map[at];
    uint64_t old_end = old.start + old.bytes;
    unsigned left = 0;
    remove_at(map, count, at);
    if (old.start < start)
        insert_at(map, count, at + left++,
                  (struct boot_memory){ old.start, start - old.start, old.kind });
    if (old_end > end)
        insert_at(map, count, at + left++, (struct boot_memory){ end, old_end - end, old.kind });
    return left;
}

bool keep_plan_own(struct boot_memory *map, uint32_t *count, uint32_t most, uint64_t start,
                   uint64_t bytes, enum boot_memory_kind kind)
{
    uint64_t end = start + bytes;
    /* Cutting a hole makes one more, and the range itself is one. */
    if (bytes == 0 || end < start || *count + 2 > most)
        return false;
    for (uint32_t i = 0; i < *count;) {
        if (map[i].start < end && map[i].start + map[i].bytes > start)
            i += cut(map, count, i, start, end);
        else
            i++;
    }
    uint32_t at = 0;
    while (at < *count && map[at].start < start)
        at++;
    insert_at(map, count, at, (struct boot_memory){ start, bytes, kind });
    return true;
}
