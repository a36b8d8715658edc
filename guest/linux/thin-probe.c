/*
 * thin-probe: does what a guest of thin mode must not get through with, and says what came of it.
 * For the system tests; for Linux, static, as root, with the module msr. Ends with the number of
 * surprises. With any argument it executes CPUID without end instead.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "x86/thin.h"

#define VMX_BASIC 0x480
#define FEATURE_CONTROL 0x3a
#define BIOS_UPDT_TRIG 0x79
#define PATTERN UINT64_C(0x5441504c494e45)

static int surprises;
static sigjmp_buf back;

static void check(bool right, const char *what)
{
    printf("%s %s\n", right ? "ok   " : "FAIL ", what);
    surprises += !right;
}

static void on_signal(int number)
{
    siglongjmp(back, number);
}

/* As the hypercall is made, but from user mode. */
static void vmcall(void)
{
    uint64_t rax = THIN_SIGNATURE, rcx = THIN_MSR_SIGNATURE, rdx = 0;
    __asm__ volatile("vmcall" : "+a"(rax), "+c"(rcx), "+d"(rdx)::"memory", "rbx");
}

static void vmxon(void)
{
    uint64_t region = 0x1000;
    __asm__ volatile("vmxon %0" ::"m"(region) : "memory");
}

static void invept(void)
{
    uint64_t descriptor[2] = { 0, 0 };
    __asm__ volatile("invept %0, %1" ::"m"(descriptor), "r"((uint64_t)2) : "memory");
}

static void expect_ud(void (*instruction)(void), const char *what)
{
    int number = sigsetjmp(back, 1);
    if (number == 0)
        instruction();
    check(number == SIGILL, what);
}

static void probe_msrs(void)
{
    uint64_t value = 0;
    int file = open("/dev/cpu/0/msr", O_RDWR);
    check(file >= 0, "the MSR device opens");
    check(pread(file, &value, 8, VMX_BASIC) != 8, "IA32_VMX_BASIC does not exist");
    check(pread(file, &value, 8, FEATURE_CONTROL) == 8 && (value & 7) == 1,
          "IA32_FEATURE_CONTROL is locked without VMX");
    check(pwrite(file, &value, 8, FEATURE_CONTROL) != 8, "it cannot be written");
    check(pread(file, &value, 8, THIN_MSR_OFF) != 8, "off, not armed, is refused");
    check(pwrite(file, &value, 8, THIN_MSR_DATA) != 8, "the ring cannot be written");
    value = 3;
    check(pwrite(file, &value, 8, THIN_MSR_CONTROL) != 8, "an unknown command is refused");
    check(pwrite(file, &value, 8, BIOS_UPDT_TRIG) == 8, "a microcode update is dropped");
    close(file);
}

/* What is behind addresses that are Trapline's. */
static void probe_memory(void)
{
    uint32_t a, b, c, d;
    __cpuid_count(THIN_LEAF_CAPS, THIN_CAPS_BLOCK, a, b, c, d);
    uint64_t start = a | (uint64_t)b << 32, bytes = c | (uint64_t)d << 32;
    int file = open("/dev/mem", O_RDWR | O_SYNC);
    check(bytes >= 4096 && file >= 0, "the block is known, and /dev/mem opens");
    volatile uint64_t *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, (off_t)start);
    check(at != MAP_FAILED, "the block can be mapped");
    if (at == MAP_FAILED)
        return;
    bool blank = true;
    for (uint64_t i = 0; i < bytes / 8; i += 64)
        blank = blank && at[i] == 0;
    check(blank, "it reads as zeros");
    at[bytes / 16] = PATTERN;
    check(at[0] == PATTERN && at[bytes / 8 - 512] == PATTERN, "a write goes to one blank page");
    at[0] = 0;
}

/* Takes exits without end: whatever comes to this core comes while one is handled, mostly. */
static void spin(void)
{
    uint32_t a, b, c, d;
    for (;;)
        __cpuid(0, a, b, c, d);
}

int main(int argc, char **argv)
{
    uint32_t a, b, c, d;
    (void)argv;
    if (argc > 1)
        spin();
    signal(SIGILL, on_signal);
    signal(SIGSEGV, on_signal);
    __cpuid(1, a, b, c, d);
    check(!(c & 1u << 5), "CPUID shows no VMX");
    expect_ud(vmcall, "VMCALL, signed, is an invalid opcode in user mode");
    expect_ud(vmxon, "VMXON is an invalid opcode");
    expect_ud(invept, "INVEPT is an invalid opcode");
    probe_msrs();
    probe_memory();
    printf("thin-probe: %d surprises\n", surprises);
    return surprises;
}
