/*
 * The machine's memory: the page allocator and the one set of page tables that all cores use.
 *
 * Not here: how tables are built (host_paging.c, pure).
 * Lock: `map_lock` guards the tables once other cores run; entries are only added then, so that no
 * other core can hold a stale translation. The allocator has a lock of its own.
 * SDM volume 3 "Page Attribute Table (PAT)", "Memory Type Range Registers (MTRRs)".
 */
#include "hv/boot_info.h"
#include "hv/log.h"
#include "hv/page_alloc.h"
#include "hv/panic.h"
#include "hv/spinlock.h"
#include "x86/cpuid.h"
#include "x86/host_paging.h"
#include "x86/insn.h"
#include "x86/msr.h"
#include "x86/regs.h"

#define BIOS_AREA_START UINT64_C(0xe0000)
#define ONE_MEGABYTE UINT64_C(0x100000)

/* Boot-once: filled by host_memory_init. */
static struct page_alloc machine_pages;
static struct host_pt machine_pt;
static const struct boot_info *machine_info;
static struct spinlock map_lock = SPINLOCK_INIT;

struct page_alloc *hv_pages(void)
{
    return &machine_pages;
}

uint64_t host_cr3(void)
{
    return machine_pt.root;
}

uint32_t host_start_cr4(void)
{
    return (uint32_t)(CR4_PAE | (read_cr4() & CR4_LA57));
}

/* Tables lie below 4 GB: a starting core loads CR3 in 32-bit mode. */
static uint64_t take_table_page(void *context)
{
    hpa_t page;

    if (page_alloc_take(context, 1, PAGE_ALIGN_4K, PAGE_ALLOC_ZERO | PAGE_ALLOC_BELOW_4G, &page))
        return 0;
    return page.v;
}

static uint64_t *identity_pointer(void *context, uint64_t physical)
{
    (void)context;
    return (uint64_t *)physical;
}

static void add_range(uint64_t start, uint64_t bytes)
{
    if (page_alloc_add(&machine_pages, start, bytes))
        hv_warn("memory at %#llx, %llu KB, is left unused: the map has too many pieces",
                (unsigned long long)start, (unsigned long long)(bytes >> 10));
}

/* Memory below 1 MB stays out: firmware and starting cores have uses for it. */
static void add_memory(const struct boot_info *info, enum boot_memory_kind kind)
{
    for (uint32_t i = 0; i < info->memory_count; i++) {
        const struct boot_memory *range = &info->memory[i];
        uint64_t start = hv_max_u64(range->start, ONE_MEGABYTE);
        uint64_t end = range->start + range->bytes;

        if (range->kind == kind && end > start)
            add_range(start, end - start);
    }
}

static void map(uint64_t start, uint64_t bytes, unsigned flags)
{
    uint64_t from = hv_align_down(start, HV_PAGE_BYTES);
    uint64_t to = hv_align_up(start + bytes, HV_PAGE_BYTES);
    enum hv_err err = host_pt_set(&machine_pt, from, to - from, flags);

    if (err)
        hv_panic("page tables: cannot map %#llx, %#llx bytes (error %d)",
                 (unsigned long long)start, (unsigned long long)bytes, err);
}

static void map_machine(const struct boot_info *info)
{
    const struct boot_image *image = &info->image;
    const unsigned rw = HOST_PT_READ | HOST_PT_WRITE;

    for (uint32_t i = 0; i < info->memory_count; i++) {
        const struct boot_memory *range = &info->memory[i];

        if (range->kind == BOOT_MEMORY_FREE || range->kind == BOOT_MEMORY_TRAPLINE ||
            range->kind == BOOT_MEMORY_RECLAIM)
            map(range->start, range->bytes, rw);
    }
    map(image->data_start, image->data_bytes, rw);
    map(image->rodata_start, image->rodata_bytes, HOST_PT_READ);
    map(image->text_start, image->text_bytes, HOST_PT_READ | HOST_PT_EXECUTE);
    map(info->stack_start, info->stack_bytes, rw);
    if (info->framebuffer.format != BOOT_PIXEL_NONE && info->framebuffer.bytes)
        map(info->framebuffer.start, info->framebuffer.bytes, rw | HOST_PT_WC);
    map(0, HV_PAGE_BYTES, HOST_PT_NONE);
}

static bool cpu_has_1g_pages(void)
{
    return cpuid(CPUID_LEAF_EXTENDED, 0).eax >= CPUID_LEAF_EXTENDED_FEATURES_1 &&
           (cpuid(CPUID_LEAF_EXTENDED_FEATURES_1, 0).edx & CPUID_80000001_EDX_PAGE1G);
}

void host_memory_init(const struct boot_info *info)
{
    struct host_pt_memory memory = { &machine_pages, take_table_page, identity_pointer };
    unsigned levels = read_cr4() & CR4_LA57 ? 5 : 4;

    machine_info = info;
    page_alloc_init(&machine_pages);
    if (info->early_bytes)
        add_range(info->early_start, info->early_bytes);
    else
        add_memory(info, BOOT_MEMORY_FREE);
    if (host_pt_init(&machine_pt, &memory, levels, cpu_has_1g_pages()))
        hv_panic("no free memory below 4 GB for page tables");
    map_machine(info);
}

void host_memory_add_free(const struct boot_info *info)
{
    if (info->early_bytes)
        add_memory(info, BOOT_MEMORY_FREE);
}

void host_memory_reclaim(const struct boot_info *info, bool nobody_uses_it)
{
    uint64_t before = page_alloc_free_bytes(&machine_pages), kept = 0;

    if (nobody_uses_it) {
        add_memory(info, BOOT_MEMORY_RECLAIM);
        hv_info("memory: %llu MB more, left behind by firmware's boot services",
                (unsigned long long)((page_alloc_free_bytes(&machine_pages) - before) >> 20));
        return;
    }
    for (uint32_t i = 0; i < info->memory_count; i++)
        kept += info->memory[i].kind == BOOT_MEMORY_RECLAIM ? info->memory[i].bytes : 0;
    hv_warn("memory: %llu MB of boot services stay unused: a core that was not started may run there",
            (unsigned long long)(kept >> 20));
}

/* CR4 bits that the hypervisor itself uses. CR4.VMXE is added where VMX is switched on. */
static uint64_t host_cr4(void)
{
    struct cpuid_regs features = cpuid(CPUID_LEAF_FEATURES, 0);
    uint64_t cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | (read_cr4() & CR4_LA57);

    if (features.edx & CPUID_1_EDX_MCE)
        cr4 |= CR4_MCE;
    if (features.ecx & CPUID_1_ECX_XSAVE)
        cr4 |= CR4_OSXSAVE;
    if (cpuid(CPUID_LEAF_VENDOR, 0).eax >= CPUID_LEAF_EXTENDED_FEATURES &&
        (cpuid(CPUID_LEAF_EXTENDED_FEATURES, 0).ebx & CPUID_7_EBX_SMEP))
        cr4 |= CR4_SMEP;
    return cr4;
}

void host_paging_enter(void)
{
    /* NXE before CR3: the new tables have XD set, which is a reserved bit without it. WP only
     * after CR3: firmware's own tables may forbid writing what we have yet to write. */
    wrmsr(MSR_IA32_EFER, (rdmsr(MSR_IA32_EFER) & (EFER_LME | EFER_LMA)) | EFER_NXE);
    if (cpuid(CPUID_LEAF_FEATURES, 0).edx & CPUID_1_EDX_PAT)
        wrmsr(MSR_IA32_PAT, HOST_PAT);
    wbinvd(); /* nothing may stay cached under the type that PAT entry 1 had before */
    write_cr3(read_cr3() & ~CR3_PCID_MASK); /* PCIDE may only change while the PCID is 0 */
    write_cr4(host_cr4());                  /* without PGE: drops firmware's global translations */
    write_cr3(machine_pt.root);
    write_cr0(CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG);
}

void host_paging_load(void)
{
    host_paging_enter();
    if (host_cr4() & CR4_OSXSAVE)
        xsetbv(0, XCR0_X87 | XCR0_SSE);
}

void host_paging_check(void)
{
    uint64_t first = 0;
    uint64_t bad = host_pt_count_writable_executable(&machine_pt, &first);

    if (bad)
        hv_panic("page tables: %llu pages are writable and executable, the first at %#llx",
                 (unsigned long long)bad, (unsigned long long)first);
    if (host_pt_lookup(&machine_pt, 0).flags != HOST_PT_NONE)
        hv_panic("page tables: page 0 is mapped");
}

/* Maps what of [start, end) is not mapped yet; false when a part is mapped in another way. */
static bool map_holes(uint64_t start, uint64_t end, unsigned flags)
{
    while (start < end) {
        struct host_pt_leaf leaf = host_pt_lookup(&machine_pt, start);
        uint64_t next = hv_min_u64(leaf.start + leaf.bytes, end);

        if (leaf.flags == HOST_PT_NONE) {
            if (host_pt_set(&machine_pt, start, next - start, flags))
                return false;
        } else if (leaf.flags != flags) {
            return false;
        }
        start = next;
    }
    return true;
}

static bool map_on_demand(uint64_t physical, uint64_t bytes, unsigned flags)
{
    uint64_t start = hv_align_down(physical, HV_PAGE_BYTES);
    uint64_t end = physical + bytes;
    bool done;

    if (bytes == 0 || end < physical || end > UINT64_C(1) << 46 || physical < HV_PAGE_BYTES)
        return false;
    spin_lock(&map_lock);
    done = map_holes(start, hv_align_up(end, HV_PAGE_BYTES), flags);
    spin_unlock(&map_lock);
    return done;
}

volatile void *host_map_mmio(uint64_t physical, uint64_t bytes)
{
    if (!map_on_demand(physical, bytes, HOST_PT_READ | HOST_PT_WRITE | HOST_PT_UC)) {
        hv_warn("device registers at %#llx, %#llx bytes, cannot be mapped: memory, or nonsense",
                (unsigned long long)physical, (unsigned long long)bytes);
        return NULL;
    }
    return (volatile void *)physical;
}

/* Where memory that firmware has described ends, counted from `at`; `at` itself: it does not. */
static uint64_t described_until(uint64_t at)
{
    if (at >= BIOS_AREA_START && at < ONE_MEGABYTE)
        return ONE_MEGABYTE;
    for (uint32_t i = 0; i < machine_info->memory_count; i++) {
        const struct boot_memory *range = &machine_info->memory[i];

        if (range->kind != BOOT_MEMORY_MMIO && at - range->start < range->bytes)
            return range->start + range->bytes;
    }
    return at;
}

/* RAM that is ours is mapped for writing already; the rest is mapped for reading alone. */
static bool map_for_reading(uint64_t start, uint64_t end)
{
    bool mapped = true;

    spin_lock(&map_lock);
    while (start < end && mapped) {
        struct host_pt_leaf leaf = host_pt_lookup(&machine_pt, start);
        uint64_t next = hv_min_u64(leaf.start + leaf.bytes, end);

        if (leaf.flags == HOST_PT_NONE)
            mapped = !host_pt_set(&machine_pt, start, next - start, HOST_PT_READ);
        else if (leaf.flags & HOST_PT_UC)
            mapped = false;
        start = next;
    }
    spin_unlock(&map_lock);
    return mapped;
}

const void *host_map_firmware(uint64_t physical, uint64_t bytes)
{
    uint64_t end = physical + bytes;

    if (bytes == 0 || end < physical || physical < HV_PAGE_BYTES)
        return NULL;
    for (uint64_t at = physical; at < end;) {
        uint64_t until = described_until(at);
        if (until == at)
            return NULL;
        at = until;
    }
    if (!map_for_reading(hv_align_down(physical, HV_PAGE_BYTES), hv_align_up(end, HV_PAGE_BYTES)))
        return NULL;
    return (const void *)physical;
}

enum hv_err host_protect_page(uint64_t physical, unsigned flags)
{
    enum hv_err err = host_pt_set(&machine_pt, physical, HV_PAGE_BYTES, flags);

    if (read_cr3() == machine_pt.root)
        write_cr3(machine_pt.root); /* everything: a large page may have been split */
    return err;
}

enum hv_err host_unmap_page(uint64_t physical)
{
    return host_protect_page(physical, HOST_PT_NONE);
}
