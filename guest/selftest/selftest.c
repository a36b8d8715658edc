/*
 * The list of sections, and how checks are counted and told.
 * Command line: `only=A,B` and `skip=A,B` choose sections; `quiet=1` prints failures only;
 * `shared=1`: other virtual processors share the core, so that things may take longer.
 */
#include "selftest.h"

#define STATUS_MAX 250u

uint8_t scratch[2 * PAGE_BYTES] __attribute__((aligned(4096)));

static unsigned passed, failed, skipped;
static bool quiet; /* failures only */
static bool shared; /* the core is shared with other virtual processors */
static const char *section_name = "";

static const struct section {
    const char *name;
    void (*run)(void);
} sections[] = {
    { "cpuid", test_cpuid },
    { "msr", test_msr },
    { "mtrr", test_mtrr },
    { "cr", test_cr },
    { "xsave", test_xsave },
    { "insn", test_insn },
    { "user", test_user },
    { "port", test_port },
    { "mmio", test_mmio },
    { "exception", test_exception },
    { "paging", test_paging },
    { "debug", test_debug },
    { "time", test_time },
    { "pic", test_pic },
    { "lapic", test_lapic },
    { "x2apic", test_x2apic },
    { "ioapic", test_ioapic },
    { "device", test_device },
    { "modes", test_modes },
    { "task", test_task },
    { "smp", test_smp },
    { "state", test_state },
};

/* --- telling --- */

void check(bool ok, const char *name, const char *format, ...)
{
    va_list args;

    if (ok)
        passed++;
    else
        failed++;
    if (ok && quiet)
        return;
    guest_print("%sok %u - %s: %s", ok ? "" : "not ", passed + failed + skipped, section_name,
                name);
    if (!ok) {
        guest_print(" # ");
        va_start(args, format);
        guest_vprint(format, args);
        va_end(args);
    }
    guest_putc('\n');
}

void skip(const char *name, const char *why)
{
    skipped++;
    if (!quiet)
        guest_print("skip %u - %s: %s # %s\n", passed + failed + skipped, section_name, name, why);
}

void check_fault(const char *name, uint32_t vector, uint32_t error)
{
    struct guest_fault f = *guest_fault();

    check(f.vector == vector && f.error == error, name,
          "vector %d error 0x%x, expected %d and 0x%x", (int)f.vector, f.error, (int)vector, error);
}

void check_no_fault(const char *name)
{
    check_fault(name, NO_FAULT, 0);
}

void check_equal(const char *name, uint64_t seen, uint64_t expected)
{
    check(seen == expected, name, "0x%lx, expected 0x%lx", seen, expected);
}

void check_near(const char *name, uint64_t seen, uint64_t expected, unsigned permille)
{
    uint64_t off = seen > expected ? seen - expected : expected - seen;

    /* Where others take the core away, or on an emulator whose time is that of a busy machine, what
     * takes longer is no mistake. */
    if ((shared || !is_strict()) && seen > expected)
        off = 0;
    check(off <= expected / 1000 * permille + permille, name, "%lu, expected %lu within %u/1000",
          seen, expected, permille);
}

/* --- what machine it is --- */

uint32_t cpuid_max(uint32_t range)
{
    uint32_t max = cpuid(range, 0).eax;

    return max >= range && max - range < 0x10000 ? max : 0;
}

static bool signature_is(const char text[13])
{
    struct cpuid_answer r = cpuid(0x40000000, 0);

    return has_ecx1(31) && memcmp(&r.ebx, text, 4) == 0 && memcmp(&r.ecx, text + 4, 4) == 0 &&
           memcmp(&r.edx, text + 8, 4) == 0;
}

bool is_trapline(void)
{
    return signature_is("TraplineVT-x");
}

bool is_strict(void)
{
    return is_trapline() || !has_ecx1(31);
}

bool lenient_skip(const char *name)
{
    if (is_strict())
        return false;
    skip(name, "not on Trapline");
    return true;
}

bool is_intel(void)
{
    struct cpuid_answer r = cpuid(0, 0);

    return memcmp(&r.ebx, "Genu", 4) == 0 && memcmp(&r.edx, "ineI", 4) == 0;
}

bool has_ecx1(unsigned bit) { return cpuid(1, 0).ecx & BIT(bit); }
bool has_edx1(unsigned bit) { return cpuid(1, 0).edx & BIT(bit); }
bool has_ebx7(unsigned bit) { return cpuid_max(0) >= 7 && cpuid(7, 0).ebx & BIT(bit); }
bool has_ecx7(unsigned bit) { return cpuid_max(0) >= 7 && cpuid(7, 0).ecx & BIT(bit); }

/* --- running --- */

static bool in_list(const char *list, size_t length, const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; i + n <= length; i++) {
        if (memcmp(list + i, name, n) == 0 && (i == 0 || list[i - 1] == ',') &&
            (i + n == length || list[i + n] == ','))
            return true;
    }
    return false;
}

static bool is_selected(const char *name)
{
    size_t length;
    const char *only = guest_option("only", &length);

    if (only)
        return in_list(only, length, name);
    only = guest_option("skip", &length);
    return !(only && in_list(only, length, name));
}

static void check_nothing_unexpected(void)
{
    for (unsigned v = 32; v < 256; v++) {
        if (guest_unexpected[v])
            check(false, "no interrupt that nobody asked for", "%u of vector 0x%x",
                  guest_unexpected[v], v);
        guest_unexpected[v] = 0;
    }
}

int guest_main(void)
{
    size_t length;

    quiet = guest_option("quiet", &length) != NULL;
    shared = guest_option("shared", &length) != NULL;
    guest_print("selftest: %s, TSC %lu kHz, command line \"%s\"\n",
                is_trapline() ? "on Trapline" : has_ecx1(31) ? "on another hypervisor" :
                "no hypervisor", guest_tsc_hz / 1000, guest_boot.cmdline);
    for (unsigned i = 0; i < ARRAY_COUNT(sections); i++) {
        if (!is_selected(sections[i].name))
            continue;
        section_name = sections[i].name;
        sections[i].run();
        check_nothing_unexpected();
    }
    guest_print("%u passed, %u failed, %u skipped\n", passed, failed, skipped);
    return (int)(failed < STATUS_MAX ? failed : STATUS_MAX);
}
