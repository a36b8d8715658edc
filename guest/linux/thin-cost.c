/*
 * thin-cost: how long things take on this machine, and how many exits of Trapline's thin mode they
 * take, if that is here. tools/cost thin runs it with and without, and compares. For Linux; static.
 *
 * As the first process (rdinit=/sbin/thin-cost) it says when the kernel was entered and when it got
 * here itself, and goes on as /init. Any other time it shows the exits so far and those of doing
 * nothing, and runs its programs, several times each, on core 0.
 *
 * Ticks are those of the time stamp counter: in Bochs with one core, instructions.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#include "x86/thin.h"

#define INIT "/init"
#define READ_ALL 3          /* klogctl: SYSLOG_ACTION_READ_ALL */
#define IDLE_SECONDS "10"
#define RUNS 7
#define COPY_BYTES (4u << 20)
#define COPY_TIMES 8
#define PAGE_BYTES 4096u
#define WALK_PAGES 8192u    /* more than a second-level TLB has entries for */
#define WALK_TIMES 64
#define WALK_STEP 2477u     /* odd, so that every page is visited */
#define CALLS 100000
#define PROCESSES 20
#define CPUIDS 10000

struct program {
    const char *name;
    void (*run)(void);
};

static uint64_t *memory; /* of both programs that walk through it */

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* --- exits --- */

static uint64_t exits_of(uint32_t reason)
{
    uint32_t a, b, c, d;
    __cpuid_count(THIN_LEAF_EXITS, reason, a, b, c, d);
    return a | (uint64_t)b << 32;
}

/* Of this core; 0 where thin mode is not. Looking takes exits that are not counted. */
static uint64_t exits(void)
{
    uint32_t a, b, c, d, reasons;
    uint64_t sum = 0;
    __cpuid(THIN_LEAF_FIRST, a, b, c, d);
    if (a != THIN_LEAF_LAST || memcmp(&b, "Trap", 4) || memcmp(&c, "line", 4))
        return 0;
    __cpuid(THIN_LEAF_CORE, a, b, reasons, d);
    for (uint32_t i = 0; i < reasons; i++)
        sum += exits_of(i);
    return sum;
}

static bool go_to(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    return sched_setaffinity(0, sizeof(set), &set) == 0;
}

static uint64_t exits_of_all_cores(void)
{
    cpu_set_t allowed;
    uint64_t sum = 0;
    if (sched_getaffinity(0, sizeof(allowed), &allowed))
        die("cores");
    for (int core = 0; core < CPU_SETSIZE; core++)
        sum += CPU_ISSET(core, &allowed) && go_to(core) ? exits() : 0;
    sched_setaffinity(0, sizeof(allowed), &allowed);
    return sum;
}

/* --- programs --- */

static void run_copy(void)
{
    for (unsigned n = 0; n < COPY_TIMES; n++) {
        volatile uint64_t *from = memory, *to = memory + COPY_BYTES / 8;
        for (unsigned i = 0; i < COPY_BYTES / 8; i++)
            to[i] = from[i];
    }
}

/* Each page holds the number of the next, so that no load can start before the last has ended. */
static void run_walk(void)
{
    volatile uint64_t *base = memory;
    uint64_t page = 0;
    for (unsigned n = 0; n < WALK_TIMES * WALK_PAGES; n++)
        page = base[page * (PAGE_BYTES / 8)];
    if (page)
        abort();
}

static void run_calls(void)
{
    for (unsigned i = 0; i < CALLS; i++)
        syscall(SYS_getppid);
}

static void run_processes(void)
{
    for (unsigned i = 0; i < PROCESSES; i++) {
        int status = 1;
        pid_t child = fork();
        if (child == 0) {
            execl("/proc/self/exe", "thin-cost", "nothing", NULL);
            _exit(1);
        }
        if (child < 0 || waitpid(child, &status, 0) != child || status)
            die("a process");
    }
}

static void run_cpuid(void)
{
    uint32_t a, b, c, d;
    for (unsigned i = 0; i < CPUIDS; i++)
        __cpuid(0, a, b, c, d);
}

static const struct program programs[] = {
    { "walk", run_walk },
    { "copy", run_copy },
    { "getppid", run_calls },
    { "process", run_processes },
    { "cpuid", run_cpuid },
};

static void make_memory(void)
{
    size_t bytes = (size_t)WALK_PAGES * PAGE_BYTES;
    memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || bytes < 2 * (size_t)COPY_BYTES)
        die("memory");
    /* Pages of 4 KB: there are translations to miss only so. */
    madvise(memory, bytes, MADV_NOHUGEPAGE);
    memset(memory, 1, bytes);
    for (uint64_t i = 0; i < WALK_PAGES; i++)
        memory[i * (PAGE_BYTES / 8)] = (i + WALK_STEP) % WALK_PAGES;
}

static void measure(const struct program *program)
{
    uint64_t least = UINT64_MAX, most = 0, before = exits();
    for (unsigned i = 0; i < RUNS; i++) {
        uint64_t start = __rdtsc();
        program->run();
        uint64_t ticks = __rdtsc() - start;
        least = ticks < least ? ticks : least;
        most = ticks > most ? ticks : most;
    }
    printf("COST program=%s runs=%u least=%llu most=%llu exits=%llu\n", program->name, RUNS,
           (unsigned long long)least, (unsigned long long)most,
           (unsigned long long)(exits() - before) / RUNS);
}

static void run_all(void)
{
    if (!go_to(0))
        die("core 0");
    for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++) {
        /* A parent without it is as small as a shell. */
        if (programs[i].run == run_walk)
            make_memory();
        else if (programs[i].run == run_processes)
            munmap(memory, (size_t)WALK_PAGES * PAGE_BYTES);
        measure(&programs[i]);
    }
    printf("COST end\n");
}

/* --- as the first process --- */

/* What tests/uefi/entry.c, which started the kernel, has added to its command line; 0: nothing. */
static unsigned long long entry_ticks(void)
{
    static const char word[] = "trapline.entry=";
    char line[4096] = "";
    FILE *file = fopen("/proc/cmdline", "r");
    if (!file || !fgets(line, sizeof(line), file))
        die("/proc/cmdline");
    fclose(file);
    const char *at = strstr(line, word);
    return at ? strtoull(at + strlen(word), NULL, 10) : 0;
}

/* What the kernel's own clock, which starts once it knows the counter's speed, said when it ran the
 * first process: in its message "[    4.423915] Run ...". 0: there is none. */
static unsigned long kernel_us(void)
{
    static char log[1 << 18];
    int bytes = klogctl(READ_ALL, log, sizeof(log) - 1);
    log[bytes > 0 ? bytes : 0] = 0;
    const char *at = strstr(log, "] Run ");
    while (at && at > log && *at != '[')
        at--;
    unsigned long seconds, us;
    return at && sscanf(at, "[%lu.%lu]", &seconds, &us) == 2 ? seconds * 1000000 + us : 0;
}

static void first_process(char **argv, uint64_t now)
{
    if (mount("proc", "/proc", "proc", 0, NULL))
        die("/proc");
    printf("COST entry=%llu init=%llu kernel_us=%lu exits=%llu\n", entry_ticks(),
           (unsigned long long)now, kernel_us(), (unsigned long long)exits_of_all_cores());
    fflush(stdout);
    umount("/proc");
    execv(INIT, argv);
    die(INIT);
}

int main(int argc, char **argv)
{
    uint64_t now = __rdtsc();
    if (argc > 1)
        return 0;
    if (getpid() == 1)
        first_process(argv, now);
    fflush(stdout);
    if (system("trapctl; trapctl rate " IDLE_SECONDS) == -1)
        die("trapctl");
    run_all();
    return 0;
}
