/* Instructions that may fault, each told by *guest_fault(). */
#include "selftest.h"

uint64_t probe_rdmsr(uint32_t msr)
{
    uint64_t low = 0, high = 0;

    guest_fault_clear();
    __asm__ volatile("1: rdmsr\n2:\n" EXTABLE(1b, 2b)
                     : "+a"(low), "+d"(high) : "c"(msr) : "memory");
    return high << 32 | (uint32_t)low;
}

void probe_wrmsr(uint32_t msr, uint64_t value)
{
    guest_fault_clear();
    __asm__ volatile("1: wrmsr\n2:\n" EXTABLE(1b, 2b)
                     : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

#define PROBE_WRITE(name, reg)                                                                     \
    void probe_##name(uint64_t value)                                                              \
    {                                                                                              \
        guest_fault_clear();                                                                       \
        __asm__ volatile("1: mov %0, %%" reg "\n2:\n" EXTABLE(1b, 2b) : : "r"(value) : "memory");  \
    }
PROBE_WRITE(cr0, "cr0")
PROBE_WRITE(cr3, "cr3")
PROBE_WRITE(cr4, "cr4")
PROBE_WRITE(cr8, "cr8")
PROBE_WRITE(dr6, "dr6")
PROBE_WRITE(dr7, "dr7")

void probe_xsetbv(uint32_t index, uint64_t value)
{
    guest_fault_clear();
    __asm__ volatile("1: xsetbv\n2:\n" EXTABLE(1b, 2b)
                     : : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

uint32_t probe_read32(uint64_t address)
{
    uint32_t value = 0;

    guest_fault_clear();
    __asm__ volatile("1: movl (%1), %0\n2:\n" EXTABLE(1b, 2b)
                     : "+r"(value) : "r"(address) : "memory");
    return value;
}

void probe_write32(uint64_t address, uint32_t value)
{
    guest_fault_clear();
    __asm__ volatile("1: movl %0, (%1)\n2:\n" EXTABLE(1b, 2b)
                     : : "r"(value), "r"(address) : "memory");
}
