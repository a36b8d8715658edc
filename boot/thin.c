/*
 * Thin mode, with firmware alive: a block of memory that stays Trapline's, a copy of the image in
 * it, and every core into the guest, the boot core last.
 *
 * The block is of the reserved type, so that no operating system touches it, and it is what the
 * guest will not see. What runs in VMX root operation runs there. This image's own memory is
 * firmware's to give away as soon as the application has returned; until then it is the guest's
 * program.
 * Not here: what a core does (arch/x86/vmx/thin_core.c). No lock: the boot core, and one other at a
 * time while it waits.
 * UEFI specification, "EFI_BOOT_SERVICES.AllocatePages()", "Memory Type Usage".
 */
#include "boot/thin.h"
#include "boot/memory_attributes.h"
#include "boot/mp_services.h"
#include "boot/page_rights.h"
#include "boot/relocate.h"
#include "hv/string.h"
#include "x86/host_apic.h"
#include "x86/insn.h"
#include "x86/regs.h"
#include "x86/thin.h"

#define FOUR_GB UINT64_C(0x100000000)
#define HEADERS_BYTES 4096u /* in front of the image: nothing of ours */
#define CORE_TIMEOUT_US 5000000u

/* Set by the linker script; only their addresses mean something. */
extern char ImageBase[], image_data_end[];
extern const uint64_t image_relr_start[], image_relr_end[];

/* thin_enter.asm */
const char *thin_switch(struct percpu *cpu, uint64_t stack_top,
                        const char *(*enter)(struct percpu *, const struct thin_return *));

struct thin {
    struct boot *boot;
    struct thin_setup setup;
    uint64_t delta; /* from this image to the copy */
    struct boot_mp mp;
    unsigned taken;
    bool lost; /* a core did not come back in time */
    const char *why;
};

/* The same function in the copy. */
#define IN_COPY(thin, function) ((__typeof__(&(function)))((uint64_t)&(function) + (thin)->delta))

/* --- the block ------------------------------------------------------------------------------ */

static uint64_t image_bytes(void)
{
    return (uint64_t)(image_data_end - ImageBase);
}

/* Aligned to 2 MB, below 4 GB, where page tables have to be. What is too much at both ends goes
 * back. */
static bool allocate_block(struct thin *thin)
{
    EFI_BOOT_SERVICES *services = thin->boot->services;
    uint64_t bytes = thin_block_bytes((unsigned)thin->mp.enabled, image_bytes());
    uint64_t pages = bytes >> HV_PAGE_SHIFT, spare = THIN_BLOCK_ALIGN >> HV_PAGE_SHIFT;
    EFI_PHYSICAL_ADDRESS start = FOUR_GB - 1;

    if (EFI_ERROR(services->AllocatePages(AllocateMaxAddress, EfiReservedMemoryType, pages + spare,
                                          &start)))
        return boot_refuse(thin->boot, "thin mode: there is no piece of %llu MB below 4 GB",
                           (unsigned long long)(bytes >> 20));
    thin->setup.block_start = hv_align_up(start, THIN_BLOCK_ALIGN);
    thin->setup.block_bytes = bytes;
    uint64_t before = (thin->setup.block_start - start) >> HV_PAGE_SHIFT;
    if (before)
        services->FreePages(start, before);
    if (before < spare)
        services->FreePages(thin->setup.block_start + bytes, spare - before);
    memset((void *)thin->setup.block_start, 0, bytes);
    return true;
}

static void free_block(struct thin *thin)
{
    thin->boot->services->FreePages(thin->setup.block_start,
                                    thin->setup.block_bytes >> HV_PAGE_SHIFT);
}

/* --- the copy ------------------------------------------------------------------------------- */

/* Firmware may keep such memory from being executed, and may let us change that. */
static void allow_execution(struct thin *thin)
{
    EFI_GUID guid = MEMORY_ATTRIBUTE_PROTOCOL;
    struct memory_attributes *attributes = NULL;

    if (!EFI_ERROR(thin->boot->services->LocateProtocol(&guid, NULL, (void **)&attributes)) &&
        attributes)
        attributes->clear(attributes, thin->setup.block_start, thin->setup.block_bytes,
                          EFI_MEMORY_XP | EFI_MEMORY_RO);
}

static bool copy_image(struct thin *thin)
{
    uint64_t from = (uint64_t)ImageBase + HEADERS_BYTES;
    uint64_t to = thin->setup.block_start + HEADERS_BYTES;

    thin->delta = to - from;
    memcpy((void *)to, (const void *)from, image_bytes() - HEADERS_BYTES);
    image_relocate(thin->setup.block_start, image_relr_start,
                   (size_t)(image_relr_end - image_relr_start), thin->delta);
    allow_execution(thin);
    if (!page_rights_hold(read_cr3(), read_cr4() & CR4_LA57 ? 5 : 4, to,
                          thin->boot->info->image.text_bytes, PAGE_MAY_EXECUTE))
        return boot_refuse(thin->boot, "thin mode: firmware keeps reserved memory from being "
                                       "executed and has no way to change that");
    return true;
}

/* --- what the copy is told ------------------------------------------------------------------ */

static void add_range(struct boot_info *info, uint64_t start, uint64_t end,
                      enum boot_memory_kind kind)
{
    if (start < end && info->memory_count < BOOT_INFO_MAX_MEMORY)
        info->memory[info->memory_count++] = (struct boot_memory){ start, end - start, kind };
}

/* Of the machine's memory only the block is ours: `used` bytes of it hold the image and this
 * structure. Tables of ACPI may be read; everything else is the guest's. */
static void describe_memory(struct thin *thin, struct boot_info *out, uint64_t used)
{
    const struct boot_info *info = thin->boot->info;
    uint64_t first = thin->setup.block_start, last = first + thin->setup.block_bytes;

    out->memory_count = 0;
    add_range(out, first, first + used, BOOT_MEMORY_TRAPLINE);
    add_range(out, first + used, last, BOOT_MEMORY_FREE);
    for (uint32_t i = 0; i < info->memory_count; i++) {
        const struct boot_memory *m = &info->memory[i];
        uint64_t end = m->start + m->bytes;
        enum boot_memory_kind kind = m->kind == BOOT_MEMORY_ACPI || m->kind == BOOT_MEMORY_MMIO
                                         ? m->kind
                                         : BOOT_MEMORY_FIRMWARE;
        add_range(out, m->start, hv_min_u64(end, first), kind);
        add_range(out, hv_max_u64(m->start, last), end, kind);
    }
}

static bool describe(struct thin *thin)
{
    uint64_t at = hv_align_up(image_bytes(), HV_PAGE_BYTES);
    struct boot_info *out = (struct boot_info *)(thin->setup.block_start + at);
    uint64_t used = hv_align_up(at + sizeof(*out), HV_PAGE_BYTES);

    if (!boot_read_memory_map(thin->boot))
        return boot_refuse(thin->boot, "thin mode: firmware gives no memory map");
    memcpy(out, thin->boot->info, sizeof(*out));
    describe_memory(thin, out, used);
    out->image.text_start += thin->delta;
    out->image.rodata_start += thin->delta;
    out->image.data_start += thin->delta;
    out->stack_start = out->stack_bytes = 0;
    thin->setup.info = out;
    return true;
}

/* --- the cores ------------------------------------------------------------------------------ */

static const char *take_this_core(struct thin *thin)
{
    /* A shadow stack would hold the calls on the way in, which the guest does not return from. */
    if (read_cr4() & (CR4_CET | CR4_VMXE))
        return "firmware runs it with CR4.CET or CR4.VMXE";
    struct percpu *cpu = IN_COPY(thin, thin_core_of)(host_apic_id());

    if (!cpu)
        return "firmware gives it another APIC id than it has";
    return thin_switch(cpu, IN_COPY(thin, thin_stack_of)(cpu), IN_COPY(thin, thin_enter));
}

static VOID EFIAPI take_other_core(VOID *argument)
{
    struct thin *thin = argument;

    thin->why = take_this_core(thin);
    if (!thin->why)
        thin->taken++;
}

static bool refuse_core(struct thin *thin, uint64_t apic_id, const char *why)
{
    return boot_refuse(thin->boot, "thin mode: core with APIC id %llu: %s",
                       (unsigned long long)apic_id, why);
}

static bool take_core(struct thin *thin, UINTN number)
{
    struct mp_processor info;

    if (!boot_mp_info(&thin->mp, number, &info))
        return refuse_core(thin, number, "firmware cannot describe it");
    if (number == thin->mp.self || !(info.status & MP_PROCESSOR_ENABLED))
        return true;
    thin->why = "it does not come back";
    EFI_STATUS status = boot_mp_run(&thin->mp, number, take_other_core, thin, CORE_TIMEOUT_US);
    thin->lost |= status == EFI_TIMEOUT;
    if (!thin->why && EFI_ERROR(status))
        thin->why = boot_status_name(status);
    return !thin->why || refuse_core(thin, info.processor_id, thin->why);
}

/* Some cores are in the guest and one cannot follow. Whoever started that core would run outside,
 * where everything of ours can be seen. Or one did not come back in time: it may be in the block. */
static HV_NORETURN void give_up(struct thin *thin)
{
    boot_print(thin->boot, "\nTRAPLINE: refused: %s\nCores have been taken already, or are out of reach: the machine "
                           "is reset in 10 seconds.\n", thin->boot->reason);
    thin->boot->services->Stall(10000000);
    thin->boot->system->RuntimeServices->ResetSystem(EfiResetCold, EFI_ABORTED, 0, NULL);
    for (;;)
        hlt();
}

static bool take_cores(struct thin *thin)
{
    bool ok = true;

    for (UINTN i = 0; i < thin->mp.all && thin->mp.protocol && ok; i++)
        ok = take_core(thin, i);
    if (ok) {
        thin->why = take_this_core(thin);
        ok = !thin->why || refuse_core(thin, host_apic_id(), thin->why);
    }
    if (!ok && (thin->taken || thin->lost))
        give_up(thin);
    return ok;
}

/* --- all of it ------------------------------------------------------------------------------ */

/* Without MP services only a machine of one core can be taken whole; ACPI says whether it is one
 * (thin_prepare compares). */
static void count_cores(struct thin *thin)
{
    struct boot_info *info = thin->boot->info;

    if (boot_mp_find(thin->boot, &thin->mp) && info->apic_ids_valid)
        return;
    thin->mp = (struct boot_mp){ .enabled = 1 };
    info->cpu_count_hint = 1;
    info->apic_ids[0] = host_apic_id();
}

static bool prepare(struct thin *thin)
{
    bool ok;

    cli();
    ok = IN_COPY(thin, thin_prepare)(&thin->setup);
    sti();
    return ok || boot_refuse(thin->boot, "thin mode: %s", thin->setup.why);
}

bool boot_thin(struct boot *boot)
{
    struct thin thin = { .boot = boot };

    count_cores(&thin);
    if (!allocate_block(&thin))
        return false;
    if (copy_image(&thin) && describe(&thin) && prepare(&thin) && take_cores(&thin)) {
        boot_print(boot, "Thin mode: %llu core%s; %llu MB at 0x%llx are Trapline's.\n",
                   (unsigned long long)thin.mp.enabled, thin.mp.enabled == 1 ? "" : "s",
                   (unsigned long long)(thin.setup.block_bytes >> 20),
                   (unsigned long long)thin.setup.block_start);
        return true;
    }
    free_block(&thin);
    return false;
}
