/*
 * The machine check's facts: from CPUID and MSRs of every core, from firmware, from the ports.
 *
 * Not here: what they mean (preflight.c). Nothing is changed: firmware gets its machine back as it
 * was. Lock: cores take their places in the table by an atomic counter.
 * SDM volume 3, "Discovering Support for VMX"; volume 2, "CPUID"; UEFI Platform Initialization
 * specification, "MP Services Protocol"; UEFI specification, "Globally Defined Variables".
 */
#include "boot/preflight_facts.h"
#include "boot/mp_services.h"
#include "hv/string.h"
#include "x86/acpi_host.h"
#include "x86/cpuid.h"
#include "x86/insn.h"
#include "x86/msr.h"

#define AP_TIMEOUT_US 2000000u
#define I8042_STATUS 0x64
#define I8042_ABSENT 0xff

struct core_table {
    struct preflight_core *cores;
    uint32_t next;  /* atomic: the next free place */
    uint32_t ready; /* atomic: places that are filled */
};

static uint32_t own_apic_id(void)
{
    if (cpuid(CPUID_LEAF_VENDOR, 0).eax >= CPUID_LEAF_TOPOLOGY) {
        struct cpuid_regs r = cpuid(CPUID_LEAF_TOPOLOGY, 0);
        if (r.ebx != 0)
            return r.edx;
    }
    return cpuid(CPUID_LEAF_FEATURES, 0).ebx >> 24;
}

/* Runs on each core. IA32_FEATURE_CONTROL and the capability MSRs exist where CPUID reports VMX. */
static void ask_core(struct core_table *table)
{
    uint32_t place = __atomic_fetch_add(&table->next, 1, __ATOMIC_RELAXED);
    if (place >= PREFLIGHT_MAX_CORES)
        return;
    struct preflight_core *core = &table->cores[place];
    core->apic_id = own_apic_id();
    core->vmx = vmx_caps_read(&core->caps, &vmx_caps_machine) == HV_OK;
    if (core->vmx)
        core->feature_control = rdmsr(MSR_IA32_FEATURE_CONTROL);
    __atomic_fetch_add(&table->ready, 1, __ATOMIC_RELEASE);
}

static VOID EFIAPI ask_core_on_ap(VOID *argument)
{
    ask_core(argument);
}

static void collect_cores(struct boot *boot, struct preflight_core *cores,
                          struct preflight_facts *facts)
{
    EFI_GUID guid = MP_SERVICES_GUID;
    struct mp_services *mp = NULL;
    struct core_table table = { cores, 0, 0 };
    ask_core(&table);
    if (boot->info->cpu_count_hint > 1 &&
        !EFI_ERROR(boot->services->LocateProtocol(&guid, NULL, (void **)&mp)))
        mp->startup_all(mp, ask_core_on_ap, FALSE, NULL, AP_TIMEOUT_US, &table, NULL);
    facts->cores = cores;
    /* A core that comes late may leave a hole in front of one that was in time: the boot core is
     * in place 0, and as many as are known to be filled are looked at. */
    facts->core_count = __atomic_load_n(&table.ready, __ATOMIC_ACQUIRE);
    facts->enabled_count = boot->info->cpu_count_hint;
}

static void store_registers(char *out, uint32_t a, uint32_t b, uint32_t c)
{
    memcpy(out, &a, 4);
    memcpy(out + 4, &b, 4);
    memcpy(out + 8, &c, 4);
    out[12] = 0;
}

static void collect_brand(struct preflight_facts *facts)
{
    char text[49] = "";
    const char *start = text;
    if (cpuid(CPUID_LEAF_EXTENDED, 0).eax < CPUID_LEAF_BRAND + 2)
        return;
    for (uint32_t i = 0; i < 3; i++) {
        struct cpuid_regs r = cpuid(CPUID_LEAF_BRAND + i, 0);
        memcpy(text + i * 16, &r, 16);
    }
    while (*start == ' ')
        start++;
    memcpy(facts->brand, start, strlen(start) + 1);
}

static void collect_processor(struct preflight_facts *facts)
{
    struct cpuid_regs vendor = cpuid(CPUID_LEAF_VENDOR, 0);
    struct cpuid_regs features = cpuid(CPUID_LEAF_FEATURES, 0);
    store_registers(facts->vendor, vendor.ebx, vendor.edx, vendor.ecx);
    facts->signature = features.eax;
    facts->tsc_deadline = features.ecx & CPUID_1_ECX_TSC_DEADLINE;
    if (features.ecx & CPUID_1_ECX_HYPERVISOR) {
        struct cpuid_regs below = cpuid(CPUID_LEAF_HYPERVISOR, 0);
        store_registers(facts->hypervisor, below.ebx, below.ecx, below.edx);
        if (facts->hypervisor[0] == 0)
            memcpy(facts->hypervisor, "unnamed", 8);
    }
    if (cpuid(CPUID_LEAF_EXTENDED, 0).eax >= CPUID_LEAF_EXTENDED_FEATURES_1)
        facts->nx = cpuid(CPUID_LEAF_EXTENDED_FEATURES_1, 0).edx & CPUID_80000001_EDX_NX;
    if (cpuid(CPUID_LEAF_EXTENDED, 0).eax >= CPUID_LEAF_APM)
        facts->invariant_tsc = cpuid(CPUID_LEAF_APM, 0).edx & CPUID_80000007_EDX_INVARIANT_TSC;
    collect_brand(facts);
}

static enum preflight_secure_boot secure_boot_state(struct boot *boot)
{
    static const CHAR16 name[] = L"SecureBoot";
    EFI_GUID guid = EFI_GLOBAL_VARIABLE;
    UINT8 value = 0;
    UINTN bytes = sizeof(value);
    EFI_STATUS status = boot->system->RuntimeServices->GetVariable((CHAR16 *)name, &guid, NULL,
                                                                   &bytes, &value);
    if (EFI_ERROR(status) || bytes != sizeof(value))
        return PREFLIGHT_SECURE_BOOT_UNKNOWN;
    return value ? PREFLIGHT_SECURE_BOOT_ON : PREFLIGHT_SECURE_BOOT_OFF;
}

/* Firmware may use a port as its console from a timer: it is kept away while the port loops. */
static void collect_ports(struct boot *boot, struct preflight_facts *facts)
{
    for (unsigned i = 0; i < UART_HOST_PORTS; i++) {
        const struct uart_place place = uart_host_legacy_place(uart_host_bases[i]);
        EFI_TPL before = boot->services->RaiseTPL(TPL_HIGH_LEVEL);
        facts->serial[i] = uart_host_probe(&hv_machine_access, &place);
        boot->services->RestoreTPL(before);
    }
    facts->keyboard_controller = in8(I8042_STATUS) != I8042_ABSENT;
}

void preflight_collect(struct boot *boot, struct preflight_core *cores,
                       struct preflight_facts *facts)
{
    const struct boot_info *info = boot->info;
    struct acpi_host acpi;
    collect_processor(facts);
    collect_cores(boot, cores, facts);
    collect_ports(boot, facts);
    facts->free_bytes = boot_free_memory(boot);
    facts->start_page = info->start_page != 0;
    facts->rsdp = info->rsdp;
    preflight_read_acpi(info->memory, info->memory_count, facts, &acpi);
    facts->secure_boot = secure_boot_state(boot);
    facts->framebuffer = info->framebuffer;
    facts->epoch_seconds = info->epoch_seconds;
}
