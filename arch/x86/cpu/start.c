/*
 * The first C code after firmware: puts our own tables in place of firmware's, one after the other,
 * so that each step can already report what goes wrong in the next.
 *
 * Not here: each step itself. Lock: none; one core runs.
 */
#include "x86/start.h"

#include "hv/arch_ops.h"
#include "hv/drv_console.h"
#include "hv/log.h"
#include "hv/page_alloc.h"
#include "hv/panic.h"
#include "x86/acpi_host.h"
#include "x86/cpuid.h"
#include "x86/host_apic.h"
#include "x86/host_paging.h"
#include "x86/kept.h"
#include "x86/msr.h"
#include "x86/panic.h"
#include "x86/trap.h"
#include "x86/tsc.h"

/* traps.asm */
HV_NORETURN void stack_switch(uint64_t top, void (*next)(void *argument), void *argument);

/* Boot-once. */
static const struct boot_info *handed_over;

const struct boot_info *arch_boot_info(void)
{
    return handed_over;
}

static void on_apic_error(unsigned vector)
{
    (void)vector;
    hv_warn("core %u: the local APIC reports an error", this_cpu()->index);
}

/* The interrupt itself is the message: it ends a HLT, or a guest's turn. */
static void on_wake(unsigned vector)
{
    (void)vector;
}

/* Its vCPU is not in its guest: the core is to look around. */
static void on_posted(unsigned vector)
{
    (void)vector;
    core_kick(arch_this_core());
}

static void register_interrupts(void)
{
    if (host_irq_register(HOST_VECTOR_TIMER, on_wake) ||
        host_irq_register(HOST_VECTOR_KICK, on_wake) ||
        host_irq_register(HOST_VECTOR_POSTED, on_posted) ||
        host_irq_register(HOST_VECTOR_APIC_ERROR, on_apic_error))
        hv_panic("interrupt vectors are registered twice");
}

static void *take_shared_memory(void *ctx, uint64_t bytes)
{
    hpa_t start;

    (void)ctx;
    if (page_alloc_take(hv_pages(), hv_align_up(bytes, HV_PAGE_BYTES) / HV_PAGE_BYTES,
                        PAGE_ALIGN_4K, PAGE_ALLOC_ZERO | PAGE_ALLOC_BELOW_4G, &start))
        return NULL;
    return (void *)start.v;
}

/* What the tables say, and how the drivers get at the rest. */
static struct console_hardware console_hardware(void)
{
    static const struct xhci_memory memory = { take_shared_memory, NULL };
    const struct acpi_spcr *spcr = &acpi_host()->spcr;

    return (struct console_hardware){
        .pci = hv_machine_pci(),
        .firmware_port = spcr->present ? &spcr->place : NULL,
        .firmware_port_pci = spcr->present && spcr->on_pci ? &spcr->pci : NULL,
        .memory = &memory,
    };
}

/* On our own stack, descriptors and page tables. */
static HV_NORETURN void start_machine(void *argument)
{
    const struct boot_info *info = argument;

    host_memory_add_free(info);
    console_start_screen(info); /* not before: only our tables are sure to map it */
    host_paging_check();
    if (kept_is_on())
        hv_info("firmware stays: %llu MB of its memory are ours for this run",
                (unsigned long long)(page_alloc_free_bytes(hv_pages()) >> 20));
    acpi_host_init(info->rsdp);
    const struct console_hardware hardware = console_hardware();
    console_find_serial(info, &hardware);
    register_interrupts();
    host_apic_init();
    if (host_apic_init_core())
        hv_panic("the boot core's local APIC cannot be switched on");
    if (!kept_is_on())
        host_ioapic_mask(acpi_host(), &hv_machine_access);
    tsc_calibrate(acpi_host(), kept_is_on(), info->firmware_tsc_hz);
    host_timer_init();
    console_find_keyboards(info, &hardware);
    bool all_came = smp_start(info);
    if (!kept_is_on())
        host_memory_reclaim(info, all_came);
    arch_core_main(0);
}

static void check_hand_over(const struct boot_info *info)
{
    if (info->magic != BOOT_INFO_MAGIC || info->version != BOOT_INFO_VERSION ||
        info->bytes != sizeof(*info))
        hv_panic("the hand-over from the UEFI stage is version %u of %u bytes; this is %u of %zu",
                 info->version, info->bytes, BOOT_INFO_VERSION, sizeof(*info));
    if (info->memory_count > BOOT_INFO_MAX_MEMORY || info->file_count > BOOT_INFO_MAX_FILES)
        hv_panic("the hand-over from the UEFI stage names %u pieces of memory and %u files",
                 info->memory_count, info->file_count);
}

static void check_processor(void)
{
    if (cpuid(CPUID_LEAF_EXTENDED, 0).eax < CPUID_LEAF_EXTENDED_FEATURES_1 ||
        !(cpuid(CPUID_LEAF_EXTENDED_FEATURES_1, 0).edx & CPUID_80000001_EDX_NX))
        hv_panic("the processor offers no execute-disable; firmware may have switched it off");
}

void arch_start_thin(const struct boot_info *info)
{
    panic_init(info->image.text_start, info->image.text_bytes);
    handed_over = info; /* first: a panic wants a console */
    check_hand_over(info);
    check_processor();
    host_memory_init(info);
    idt_build();
}

void arch_entry(struct boot_info *info)
{
    struct percpu *cpu;

    cli();
    panic_init(info->image.text_start, info->image.text_bytes);
    console_start_serial(info);
    check_hand_over(info);
    check_processor();
    handed_over = info;
    host_memory_init(info);
    if (percpu_add(host_apic_id(), &cpu))
        hv_panic("no memory for the boot core's stacks");
    cpu->state = CORE_ONLINE;
    cpu->start_tsc = rdtsc();
    idt_build();
    descriptors_load(cpu);
    log_set_core_number(arch_this_core);
    host_paging_load();
    stack_switch(cpu->stack_top, start_machine, info);
}
