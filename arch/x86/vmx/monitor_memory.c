/*
 * The monitor's `mem`, `disas` and `ept`: a guest's memory as its vCPU sees it, and how the
 * processor finds it.
 *
 * Only RAM is read: a device might take a read as a command. Paging is walked without setting
 * accessed flags, and with every right, so that looking changes nothing.
 */
#include "arch/x86/vmx/monitor.h"
#include "hv/format.h"
#include "hv/string.h"
#include "x86/insn_length.h"
#include "x86/mtrr.h"

#define MEM_BYTES 128
#define MEM_BYTES_MAX 4096
#define DISAS_COUNT 10
#define DISAS_COUNT_MAX 100

typedef unsigned long long ull;

unsigned monitor_read_linear(struct vmx_vcpu *v, uint64_t linear, uint8_t *bytes, unsigned count)
{
    unsigned got = 0;

    while (got < count) {
        unsigned part = (unsigned)hv_min_u64(count - got,
                                             HV_PAGE_BYTES - ((linear + got) & HV_PAGE_MASK));
        gpa_t gpa;
        if (!vmx_peek_linear(v, GVA(linear + got), &gpa) ||
            gpa_space_read(&v->vcpu.vm->memory, gpa, bytes + got, part) != HV_OK)
            break;
        got += part;
    }
    return got;
}

/* --- mem --- */

static void print_bytes(struct monitor *m, uint64_t address, const uint8_t *bytes, unsigned count)
{
    char hex[16 * 3 + 1], text[17];
    size_t at = 0;

    for (unsigned i = 0; i < 16; i++) {
        if (i < count)
            at += (size_t)hv_snprintf(hex + at, sizeof(hex) - at, "%02x ", bytes[i]);
        else
            at += (size_t)hv_snprintf(hex + at, sizeof(hex) - at, "   ");
        text[i] = i >= count ? ' ' : bytes[i] >= ' ' && bytes[i] <= '~' ? (char)bytes[i] : '.';
    }
    text[16] = '\0';
    monitor_print(m, "%016llx  %s %s", (ull)address, hex, text);
}

static bool read_any(struct vmx_vcpu *v, uint64_t address, bool physical, uint8_t *bytes,
                     unsigned count)
{
    if (physical)
        return gpa_space_read(&v->vcpu.vm->memory, GPA(address), bytes, count) == HV_OK;
    return monitor_read_linear(v, address, bytes, count) == count;
}

static void look_mem(struct monitor_visit *visit)
{
    uint64_t address, count = MEM_BYTES;
    bool physical = visit->count > 1 && strcmp(visit->words[visit->count - 1], "phys") == 0;
    unsigned numbers = visit->count - physical;

    if (numbers < 1 || numbers > 2 || !monitor_number(visit->words[0], 16, &address) ||
        (numbers > 1 && !monitor_number(visit->words[1], 10, &count))) {
        monitor_print(visit->m, "mem [VM[.N]] ADDRESS [BYTES] [phys]");
        return;
    }
    count = hv_min_u64(count, MEM_BYTES_MAX);
    for (uint64_t done = 0; done < count; done += 16) {
        uint8_t bytes[16];
        unsigned part = (unsigned)hv_min_u64(count - done, 16);
        if (!read_any(visit->v, address + done, physical, bytes, part)) {
            monitor_print(visit->m, "%016llx  %s", (ull)(address + done),
                          physical ? "no RAM" : "not mapped, or no RAM");
            return;
        }
        print_bytes(visit->m, address + done, bytes, part);
    }
}

void monitor_run_mem(struct monitor *m, unsigned count, char *const words[])
{
    monitor_visit(m, count, words, look_mem);
}

/* --- disas --- */

static unsigned print_instruction(struct monitor *m, uint64_t address, const uint8_t *bytes,
                                  unsigned got, enum emul_mode mode)
{
    char hex[EMUL_INSN_BYTES_MAX * 3 + 1] = "", text[40];
    unsigned length = insn_length(bytes, got, mode), shown = length ? length : got;
    size_t at = 0;

    for (unsigned i = 0; i < shown; i++)
        at += (size_t)hv_snprintf(hex + at, sizeof(hex) - at, "%02x ", bytes[i]);
    insn_name(text, sizeof(text), address, bytes, got, mode);
    monitor_print(m, "%016llx  %-32s %s", (ull)address, hex, length ? text : "(unknown)");
    return length;
}

static void look_disas(struct monitor_visit *visit)
{
    struct vmx_vcpu *v = visit->v;
    enum emul_mode mode = vmx_guest_mode(v);
    uint64_t base = mode == EMUL_MODE_64 ? 0 : vmcs_read(VMCS_GUEST_CS_BASE);
    uint64_t address = vmcs_read(VMCS_GUEST_RIP) + base, count = DISAS_COUNT;

    if (visit->count > 2 || (visit->count > 0 && !monitor_number(visit->words[0], 16, &address)) ||
        (visit->count > 1 && !monitor_number(visit->words[1], 10, &count))) {
        monitor_print(visit->m, "disas [VM[.N]] [ADDRESS] [COUNT]");
        return;
    }
    count = hv_min_u64(count, DISAS_COUNT_MAX);
    while (count--) {
        uint8_t bytes[EMUL_INSN_BYTES_MAX];
        unsigned got = monitor_read_linear(v, address, bytes, sizeof(bytes));
        unsigned length;
        if (got == 0) {
            monitor_print(visit->m, "%016llx  not mapped, or no RAM", (ull)address);
            return;
        }
        length = print_instruction(visit->m, address, bytes, got, mode);
        if (length == 0)
            return;
        address += length;
    }
}

void monitor_run_disas(struct monitor *m, unsigned count, char *const words[])
{
    monitor_visit(m, count, words, look_disas);
}

/* --- ept --- */

static const char *type_name(unsigned type)
{
    switch (type) {
    case 0:
        return "UC";
    case 1:
        return "WC";
    case 4:
        return "WT";
    case 5:
        return "WP";
    case 6:
        return "WB";
    default:
        return "reserved";
    }
}

static void print_entry(struct monitor *m, const struct ept *ept, uint64_t entry, unsigned depth)
{
    static const char *const levels[EPT_LEVELS] = { "PML4E", "PDPTE", "PDE", "PTE" };
    bool present = entry & EPT_PRESENT;
    bool leaf = depth == EPT_LEVELS - 1 || (entry & EPT_LARGE);

    monitor_print(m, "  %-5s %016llx  %c%c%c%s%s%s%s%s", levels[depth], (ull)entry,
                  entry & EPT_READ ? 'r' : '-', entry & EPT_WRITE ? 'w' : '-',
                  entry & EPT_EXECUTE ? 'x' : '-', !present ? "  not present" : leaf ? "  page" : "",
                  present && leaf ? ", type " : "",
                  present && leaf ? type_name((unsigned)(entry >> EPT_TYPE_SHIFT & 7)) : "",
                  present && (entry & EPT_ACCESSED) ? ", accessed" : "",
                  present && leaf && (entry & EPT_DIRTY) ? ", dirty" : "");
    if (ept_entry_misconfigured(&ept->features, entry, EPT_LEVELS - depth))
        monitor_print(m, "        this is an EPT misconfiguration");
}

static void print_walk(struct monitor *m, const struct vmx_vm *x, uint64_t gpa)
{
    struct ept_walk walk;

    ept_walk(&x->ept, GPA(gpa), &walk);
    monitor_print(m, "%s: EPTP %016llx, guest-physical 0x%llx", x->vm->config->name, (ull)x->eptp,
                  (ull)gpa);
    for (unsigned i = 0; i < walk.depth; i++)
        print_entry(m, &x->ept, walk.entry[i], i);
    if (walk.mapped)
        monitor_print(m, "  host-physical 0x%llx, in a page of %llu KB, rights %c%c%c, type %s",
                      (ull)walk.hpa.v, (ull)(walk.page_bytes >> 10),
                      walk.rights & EPT_READ ? 'r' : '-', walk.rights & EPT_WRITE ? 'w' : '-',
                      walk.rights & EPT_EXECUTE ? 'x' : '-', type_name(walk.type));
    else
        monitor_print(m, "  not mapped: an access is an EPT violation, and goes to the devices");
}

void monitor_run_ept(struct monitor *m, unsigned count, char *const words[])
{
    unsigned next;
    uint64_t gpa;
    struct vmx_vm *x = monitor_vm(m, count, words, &next);

    if (!x)
        return;
    if (count != next + 1 || !monitor_number(words[next], 16, &gpa))
        monitor_print(m, "ept [VM] GPA");
    else if (gpa >> EPT_GUEST_BITS)
        monitor_print(m, "0x%llx is beyond the %u bits that a guest-physical address has", (ull)gpa,
                      EPT_GUEST_BITS);
    else
        print_walk(m, x, gpa);
}
