/*
 * trapctl: looks at Trapline in thin mode from the operating system that runs in it, and sends it
 * away. For Linux; static, so that it runs in an initramfs.
 *
 *   trapctl [exits]     exits by reason, of every core, with their ticks
 *   trapctl rate N      how many exits all cores take a second, over N seconds of doing nothing
 *   trapctl caps        what the processor was asked for
 *   trapctl trace       each core's last exits, for tools/trace (needs /dev/cpu/N/msr)
 *   trapctl off         takes every core out of VMX operation (needs /dev/cpu/N/msr)
 *
 * Exits and caps are read by CPUID, which anybody may execute; the ring, which shows the kernel's
 * addresses, and off go through MSRs, which only root can reach. It ends with 0, or 1 with a
 * sentence. The numbers are those of x86/thin.h.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "x86/thin.h"
#include "x86/trace.h"

#define MOST_CORES 1024

static const char *const names[] = {
#define EXIT(number, name, handler, needs, experiment, sdm, doc) [number] = #name,
#include "arch/x86/vmx/exits.def"
#undef EXIT
};

struct registers {
    uint32_t eax, ebx, ecx, edx;
};

static void fail(const char *format, ...)
{
    va_list args;
    fflush(stdout);
    fputs("trapctl: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static struct registers ask(uint32_t leaf, uint32_t subleaf)
{
    struct registers r;
    __cpuid_count(leaf, subleaf, r.eax, r.ebx, r.ecx, r.edx);
    return r;
}

static uint64_t first(struct registers r)
{
    return r.eax | (uint64_t)r.ebx << 32;
}

static uint64_t second(struct registers r)
{
    return r.ecx | (uint64_t)r.edx << 32;
}

static bool is_here(void)
{
    struct registers r = ask(THIN_LEAF_FIRST, 0);
    char name[13] = "";
    memcpy(name, &r.ebx, 4);
    memcpy(name + 4, &r.ecx, 4);
    memcpy(name + 8, &r.edx, 4);
    return strcmp(name, "TraplineThin") == 0;
}

/* False: there is no such core now. */
static bool go_to(unsigned cpu)
{
    cpu_set_t *set = CPU_ALLOC(MOST_CORES);
    size_t bytes = CPU_ALLOC_SIZE(MOST_CORES);
    CPU_ZERO_S(bytes, set);
    CPU_SET_S(cpu, bytes, set);
    bool there = sched_setaffinity(0, bytes, set) == 0;
    CPU_FREE(set);
    return there;
}

static unsigned count_cpus(void)
{
    long n = sysconf(_SC_NPROCESSORS_CONF);
    return n < 1 ? 1 : n > MOST_CORES ? MOST_CORES : (unsigned)n;
}

/* --- MSRs --- */

static int open_msr(unsigned cpu)
{
    char path[64];
    snprintf(path, sizeof(path), "/dev/cpu/%u/msr", cpu);
    int file = open(path, O_RDWR);
    if (file < 0 && errno == ENOENT)
        fail("%s does not exist: load the module msr", path);
    if (file < 0)
        fail("%s: %s (this takes root, and a kernel that is not locked down)", path,
             strerror(errno));
    return file;
}

static bool read_msr(int file, uint32_t msr, uint64_t *value)
{
    return pread(file, value, sizeof(*value), msr) == sizeof(*value);
}

static bool write_msr(int file, uint32_t msr, uint64_t value)
{
    return pwrite(file, &value, sizeof(value), msr) == sizeof(value);
}

/* --- commands --- */

static void exits(void)
{
    uint64_t all = 0;
    unsigned cores = 0;
    printf("%-5s %-24s %12s %14s %8s\n", "core", "reason", "exits", "ticks", "each");
    for (unsigned cpu = 0; cpu < count_cpus(); cpu++) {
        if (!go_to(cpu))
            continue;
        if (!is_here()) {
            printf("%-5u is not in VMX operation\n", cpu);
            continue;
        }
        uint32_t reasons = ask(THIN_LEAF_CORE, 0).ecx;
        cores++;
        for (uint32_t i = 0; i < reasons; i++) {
            struct registers r = ask(THIN_LEAF_EXITS, i);
            uint64_t n = first(r), ticks = second(r);
            all += n;
            if (n)
                printf("%-5u %-24s %12llu %14llu %8llu\n", cpu,
                       i < sizeof(names) / sizeof(*names) && names[i] ? names[i] : "?",
                       (unsigned long long)n, (unsigned long long)ticks,
                       (unsigned long long)(ticks / n));
        }
    }
    printf("EXITS all=%llu cores=%u\n", (unsigned long long)all, cores);
}

/* All cores' exits. CPUID's own leaves are not counted. */
static uint64_t sum_exits(void)
{
    uint64_t all = 0;
    for (unsigned cpu = 0; cpu < count_cpus(); cpu++) {
        if (!go_to(cpu) || !is_here())
            continue;
        uint32_t reasons = ask(THIN_LEAF_CORE, 0).ecx;
        for (uint32_t i = 0; i < reasons; i++)
            all += first(ask(THIN_LEAF_EXITS, i));
    }
    return all;
}

static void rate(const char *text)
{
    char *end;
    unsigned long seconds = strtoul(text, &end, 10);
    if (*end || seconds == 0 || seconds > 86400)
        fail("rate: '%s' is no number of seconds", text);
    uint64_t before = sum_exits();
    sleep((unsigned)seconds);
    uint64_t growth = sum_exits() - before;
    printf("RATE exits=%llu seconds=%lu\n", (unsigned long long)growth, seconds);
}

static void caps(void)
{
    static const char *const what[THIN_CAPS_COUNT][2] = {
        [THIN_CAPS_PIN_CPU] = { "pin-based controls", "processor-based controls" },
        [THIN_CAPS_CPU2_CPU3] = { "secondary controls", "tertiary controls" },
        [THIN_CAPS_EXIT_ENTRY] = { "exit controls", "entry controls" },
        [THIN_CAPS_CR0_CR4] = { "CR0 mask", "CR4 mask" },
        [THIN_CAPS_EPT] = { "EPT pointer", "pages of 2 MB:1 GB" },
        [THIN_CAPS_BLOCK] = { "hidden from", "hidden bytes" },
    };
    for (uint32_t i = 0; i < THIN_CAPS_COUNT; i++) {
        struct registers r = ask(THIN_LEAF_CAPS, i);
        printf("%-26s 0x%llx\n%-26s 0x%llx\n", what[i][0], (unsigned long long)first(r), what[i][1],
               (unsigned long long)second(r));
    }
}

static void print_record(unsigned cpu, uint64_t number, const struct vmx_trace_record *r)
{
    printf("TRACE thin %u %llu %llx %u %u %llx %llx %llx %llx %x %x %x %x\n", cpu,
           (unsigned long long)number, (unsigned long long)r->tsc, r->ticks, r->reason,
           (unsigned long long)r->rip, (unsigned long long)r->qualification,
           (unsigned long long)r->detail, (unsigned long long)r->value, r->injected, r->queued,
           r->next, r->flags);
}

static void trace_core(unsigned cpu, int file)
{
    static union {
        struct vmx_trace_record record[VMX_TRACE_RECORDS];
        uint64_t word[VMX_TRACE_RECORDS * sizeof(struct vmx_trace_record) / sizeof(uint64_t)];
    } ring;
    uint64_t count = 0;
    bool ok = write_msr(file, THIN_MSR_CONTROL, THIN_CONTROL_FREEZE) &&
              read_msr(file, THIN_MSR_COUNT, &count) && write_msr(file, THIN_MSR_SELECT, 0);
    uint64_t begin = count > VMX_TRACE_RECORDS ? count - VMX_TRACE_RECORDS : 0;
    size_t words = sizeof(ring.word) / sizeof(*ring.word);
    if (count < VMX_TRACE_RECORDS)
        words = count * (sizeof(struct vmx_trace_record) / sizeof(uint64_t));
    for (size_t i = 0; i < words && ok; i++)
        ok = read_msr(file, THIN_MSR_DATA, &ring.word[i]);
    if (!write_msr(file, THIN_MSR_CONTROL, THIN_CONTROL_RECORD) || !ok)
        fail("core %u: an access to its MSRs failed", cpu);
    printf("TRACE-BEGIN thin %u version=1 tsc_hz=0 start_tsc=0 first=%llu count=%llu\n", cpu,
           (unsigned long long)begin, (unsigned long long)(count - begin));
    for (uint64_t n = begin; n < count; n++)
        print_record(cpu, n, &ring.record[n % VMX_TRACE_RECORDS]);
    printf("TRACE-END thin %u\n", cpu);
}

static void off_core(unsigned cpu, int file)
{
    uint64_t answer = 0;
    if (!write_msr(file, THIN_MSR_CONTROL, THIN_CONTROL_ARM) ||
        !read_msr(file, THIN_MSR_OFF, &answer))
        fail("core %u: it cannot be taken out of VMX operation now", cpu);
    printf("core %u is %s\n", cpu, is_here() ? "still in VMX operation" : "out of VMX operation");
}

static void each_core(void (*act)(unsigned cpu, int file))
{
    for (unsigned cpu = 0; cpu < count_cpus(); cpu++) {
        if (!go_to(cpu))
            continue;
        if (!is_here()) {
            printf("core %u is not in VMX operation\n", cpu);
            continue;
        }
        int file = open_msr(cpu);
        act(cpu, file);
        close(file);
    }
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "exits";
    bool is_rate = argc == 3 && !strcmp(command, "rate");
    if (argc > 2 && !is_rate)
        fail("exits, rate SECONDS, caps, trace or off");
    if (!go_to(0) || !is_here())
        fail("Trapline's thin mode is not here");
    if (is_rate)
        rate(argv[2]);
    else if (!strcmp(command, "exits"))
        exits();
    else if (!strcmp(command, "caps"))
        caps();
    else if (!strcmp(command, "trace"))
        each_core(trace_core);
    else if (!strcmp(command, "off"))
        each_core(off_core);
    else
        fail("'%s' is none of exits, rate SECONDS, caps, trace and off", command);
    return 0;
}
