/*
 * The run in which firmware stays alive underneath: its memory, its cores, and what is told after.
 *
 * This is the one place that uses firmware after a run, and owns it openly: between kept_run's start
 * and its return no boot service is called and no pointer of firmware's is followed. Firmware's
 * interrupts are held back meanwhile, so its clock of timer events stands still.
 * Not here: registers (arch/x86/cpu/kept*.c), how much memory (keep_plan.c), writing (log_file.c).
 * No lock: one core runs this; the others are in kept_join.
 * UEFI specification, "EFI_BOOT_SERVICES.AllocatePages()"; UEFI Platform Initialization
 * specification, volume 2, "MP Services Protocol".
 */
#include "boot/keep.h"

#include "boot/keep_plan.h"
#include "boot/mp_services.h"
#include "hv/format.h"
#include "hv/log.h"
#include "hv/report.h"
#include "hv/string.h"
#include "x86/kept.h"

#define REPORT_BYTES (512u * 1024)
#define REPORT_MOST 99
#define NAME_BYTES 24
#define BACK_STALL_US 1000u
#define BACK_TRIES 5000u

struct keep {
    struct boot_mp mp;
    EFI_EVENT done[HV_ARRAY_COUNT(((struct boot_info *)0)->apic_ids)]; /* of each core lent */
    unsigned lent;
    struct keep_piece pieces[KEEP_MOST_PIECES + 1];
    unsigned piece_count;
    char *log; /* LOG_RING_BYTES: memory may be short when there is something to tell */
    void *variables; /* the image's, as they were before the run */
};

/* --- memory ---------------------------------------------------------------------------------- */

static uint64_t take_anywhere(void *context, uint64_t bytes)
{
    return boot_allocate_unzeroed(context, bytes, UINT64_MAX);
}

static bool take_memory(struct boot *boot, struct keep *keep)
{
    struct keep_need need = keep_plan_need(&boot->info->config, boot->info->cpu_count_hint);
    uint64_t own = boot_allocate_unzeroed(boot, need.own_bytes, UINT32_MAX);
    unsigned count;
    if (own == 0)
        return boot_refuse(boot, "firmware has no %llu MB below 4 GB left for Trapline",
                           (unsigned long long)(need.own_bytes >> 20));
    count = need.guests_bytes == 0 ? 0
                                   : keep_plan_take(need.guests_bytes, take_anywhere, boot,
                                                    keep->pieces);
    if (need.guests_bytes && count == 0)
        return boot_refuse(boot, "firmware has no %llu MB left for the guests, or has them in more "
                                 "than %u pieces", (unsigned long long)(need.guests_bytes >> 20),
                           KEEP_MOST_PIECES);
    keep->pieces[count++] = (struct keep_piece){ own, need.own_bytes };
    keep->piece_count = count;
    return true;
}

static bool is_pool(const struct keep *keep, uint64_t start)
{
    for (unsigned i = 0; i < keep->piece_count; i++) {
        if (keep->pieces[i].start == start)
            return true;
    }
    return false;
}

/* Of firmware's map only what was allocated here is ours. */
static bool own_memory(struct boot *boot, const struct keep *keep)
{
    struct boot_info *info = boot->info;
    if (!boot_read_memory_map(boot))
        return false;
    keep_plan_disown(info->memory, info->memory_count);
    for (unsigned i = 0; i < boot->allocation_count; i++) {
        const struct boot_allocation *at = &boot->allocations[i];
        enum boot_memory_kind kind =
            is_pool(keep, at->start) ? BOOT_MEMORY_FREE : BOOT_MEMORY_TRAPLINE;
        if (!keep_plan_own(info->memory, &info->memory_count, BOOT_INFO_MAX_MEMORY, at->start,
                           at->pages << HV_PAGE_SHIFT, kind))
            return boot_refuse(boot, "firmware's memory map has too many pieces to be kept");
    }
    return true;
}

/* --- cores ----------------------------------------------------------------------------------- */

static VOID EFIAPI run_on_other_core(VOID *argument)
{
    (void)argument;
    kept_join();
}

static bool lend_core(struct boot *boot, struct keep *keep, UINTN number)
{
    struct boot_info *info = boot->info;
    struct mp_processor processor;
    if (info->cpu_count_hint == HV_ARRAY_COUNT(info->apic_ids))
        return false;
    if (number == keep->mp.self || !boot_mp_info(&keep->mp, number, &processor) ||
        !(processor.status & MP_PROCESSOR_ENABLED))
        return true;
    EFI_STATUS status = boot_mp_start(boot, &keep->mp, number, run_on_other_core, NULL,
                                      &keep->done[keep->lent]);
    if (EFI_ERROR(status)) {
        boot_print(boot, "Firmware does not lend core %u (%s): it is left out.\n",
                   (unsigned)number, boot_status_name(status));
        return true;
    }
    keep->lent++;
    info->apic_ids[info->cpu_count_hint++] = (uint32_t)processor.processor_id;
    return true;
}

/* From here on each lent core waits in kept_join until kept_run. */
static void lend_cores(struct boot *boot, struct keep *keep)
{
    struct boot_info *info = boot->info;
    info->cpu_count_hint = 1; /* the boot core is first, and is known by itself */
    info->apic_ids_valid = true;
    if (!keep->mp.protocol)
        return;
    for (UINTN i = 0; i < keep->mp.all && lend_core(boot, keep, i); i++)
        ;
}

/* Firmware has a core back when the procedure on it has returned, and it has noticed: only then may
 * the image go. One that never comes is no machine to go on with. */
static void wait_for_cores(struct boot *boot, struct keep *keep)
{
    unsigned tries = 0;
    for (unsigned i = 0; i < keep->lent; i++) {
        while (!boot_mp_has_finished(boot, keep->done[i]) && tries < BACK_TRIES) {
            boot->services->Stall(BACK_STALL_US);
            tries++;
        }
    }
    if (tries < BACK_TRIES)
        return;
    boot_print(boot, "Firmware does not notice that its cores are back: starting the machine "
                     "over.\n");
    boot->system->RuntimeServices->ResetSystem(EfiResetCold, EFI_TIMEOUT, 0, NULL);
}

/* --- what is told ---------------------------------------------------------------------------- */

static void write_text(struct boot *boot, const char *name, const char *text, size_t bytes)
{
    const char *why = boot_log_write(boot, name, text, bytes);
    if (why)
        boot_print(boot, "\\trapline\\%s could not be written: %s.\n", name, why);
    else
        boot_print(boot, "Written: \\trapline\\%s (%llu bytes)\n", name,
                   (unsigned long long)bytes);
}

static void write_log(struct boot *boot, struct keep *keep)
{
    uint64_t from = 0;
    size_t used = 0, n;
    while ((n = log_read(&from, keep->log + used, LOG_RING_BYTES - used)) > 0)
        used += n;
    write_text(boot, "log.txt", keep->log, used);
}

/* Each run's report has a number of its own; when all are taken the last is replaced. */
static void write_report(struct boot *boot)
{
    const char *stem = boot->info->config.lab[0] ? "lab" : "explain";
    char name[NAME_BYTES], first;
    size_t bytes;
    const char *text = report_text(&bytes);
    if (!text || bytes == 0)
        return;
    for (unsigned i = 1; i <= REPORT_MOST; i++) {
        hv_snprintf(name, sizeof(name), "%s-%u.txt", stem, i);
        if (boot_log_read(boot, name, &first, 1) == 0)
            break;
    }
    write_text(boot, name, text, bytes);
}

static void tell(struct boot *boot, struct keep *keep, const char *different)
{
    if (boot->info->config.console != CONFIG_CONSOLE_SERIAL)
        boot_clear_screen(boot); /* what stands there is not firmware's text */
    boot_print(boot, "\nTrapline has ended; the machine is firmware's again.\n");
    if (different)
        boot_print(boot, "The boot core's %s is not as firmware had it: that is a mistake of "
                         "Trapline's.\n", different);
    write_log(boot, keep);
    write_report(boot);
}

/* --- the run --------------------------------------------------------------------------------- */

static bool prepare(struct boot *boot, struct keep **out)
{
    const char *why = kept_check();
    struct keep *keep = (struct keep *)boot_allocate(boot, sizeof(*keep));
    uint64_t report;
    if (why)
        return boot_refuse(boot, "on-exit = firmware is not possible here: %s; choose poweroff or "
                                 "reset", why);
    if (!keep)
        return boot_refuse(boot, "there is no memory to keep firmware's state in");
    *out = keep;
    keep->log = (char *)boot_allocate(boot, LOG_RING_BYTES);
    keep->variables = (void *)boot_allocate(boot, boot->info->image.data_bytes);
    report = boot_allocate(boot, REPORT_BYTES);
    if (!keep->log || !keep->variables || !report)
        return boot_refuse(boot, "there is no memory for the log and the report");
    memcpy(keep->variables, (const void *)boot->info->image.data_start,
           boot->info->image.data_bytes);
    boot_mp_find(boot, &keep->mp);
    if (!take_memory(boot, keep) || !own_memory(boot, keep))
        return false;
    report_start((char *)report, REPORT_BYTES); /* not before: what is refused gives its room back */
    return true;
}

bool boot_keep_run(struct boot *boot)
{
    struct keep *keep = NULL;
    if (!prepare(boot, &keep))
        return false;
    lend_cores(boot, keep);
    const char *different = kept_run(boot->info);
    wait_for_cores(boot, keep);
    tell(boot, keep, different);
    /* A menu may start another run from this image, which begins as this one did. */
    memcpy((void *)boot->info->image.data_start, keep->variables, boot->info->image.data_bytes);
    return true;
}
