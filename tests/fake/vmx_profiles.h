/*
 * Capability MSRs of real processors, of emulators and of hypervisors that nest, for tests: each
 * profile is what RDMSR and CPUID would give. Reading an MSR that a profile does not have is
 * counted, as the machine would raise #GP.
 * Header-only. Values: public dumps where named so; otherwise modelled as the source says.
 */
#ifndef VMX_PROFILES_H
#define VMX_PROFILES_H

#include <stdint.h>
#include <string.h>

#include "x86/vmx_caps.h"

enum {
    PROFILE_XSAVE = 1, PROFILE_X2APIC = 2, PROFILE_RDTSCP = 4, PROFILE_PAGE1G = 8,
    PROFILE_INVPCID = 16, PROFILE_XSAVES = 32, PROFILE_SMX = 64, PROFILE_CET = 128,
    PROFILE_PKS = 256, PROFILE_HV = 512, PROFILE_FRED = 1024, PROFILE_APX = 2048, PROFILE_SGX = 4096,
};

struct vmx_profile {
    const char *name;
    const char *source;
    const char *refused;    /* NULL: the default policy is accepted; else the wish that is not */
    unsigned flags;         /* PROFILE_ */
    uint8_t physical_bits;
    uint64_t msr[20];       /* IA32_VMX_BASIC .. IA32_VMX_EXIT_CTLS2 */
};

static const struct vmx_profile vmx_profiles[] = {
    {
        .name = "Wolfdale",
        .source = "public dump",
        .refused = "ept",
        .flags = PROFILE_XSAVE,
        .physical_bits = 36,
        .msr = {
            0x005a08000000000d, 0x0000003f00000016, 0xf7f9fffe0401e172, 0x0003ffff00036dff,
            0x00003fff000011ff, 0x00000000000403c0, 0x0000000080000021, 0x00000000ffffffff,
            0x0000000000002000, 0x00000000000067ff, 0x000000000000002c, 0x0000004100000000,
            0x0000000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000,
            0x0000000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000,
        },
    },
    {
        .name = "Westmere (Arrandale)",
        .source = "public dump",
        .refused = NULL,
        .flags = PROFILE_X2APIC | PROFILE_RDTSCP,
        .physical_bits = 36,
        .msr = {
            0x00da04000000000f, 0x0000007f00000016, 0xfff9fffe0401e172, 0x007fffff00036dff,
            0x0000ffff000011ff, 0x00000000000401e7, 0x0000000080000021, 0x00000000ffffffff,
            0x0000000000002000, 0x00000000000267ff, 0x000000000000002a, 0x000000ff00000000,
            0x00000f0106114141, 0x0000007f00000016, 0xfff9fffe04006172, 0x007fffff00036dfb,
            0x0000ffff000011fb, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000,
        },
    },
    {
        .name = "Sandy Bridge",
        .source = "public dump",
        .refused = NULL,
        .flags = PROFILE_X2APIC | PROFILE_RDTSCP | PROFILE_XSAVE,
        .physical_bits = 36,
        .msr = {
            0x00da040000000010, 0x0000007f00000016, 0xfff9fffe0401e172, 0x007fffff00036dff,
            0x0000ffff000011ff, 0x00000000100401e5, 0x0000000080000021, 0x00000000ffffffff,
            0x0000000000002000, 0x00000000000627ff, 0x000000000000002a, 0x000000ff00000000,
            0x00000f0106114141, 0x0000007f00000016, 0xfff9fffe04006172, 0x007fffff00036dfb,
            0x0000ffff000011fb, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000,
        },
    },
    {
        .name = "Ivy Bridge",
        .source = "public dump",
        .refused = NULL,
        .flags = PROFILE_X2APIC | PROFILE_RDTSCP | PROFILE_XSAVE,
        .physical_bits = 36,
        .msr = {
            0x00da040000000010, 0x0000007f00000016, 0xfff9fffe0401e172, 0x007fffff00036dff,
            0x0000ffff000011ff, 0x00000000100401e5, 0x0000000080000021, 0x00000000ffffffff,
            0x0000000000002000, 0x00000000001767ff, 0x000000000000002a, 0x000008ff00000000,
            0x00000f0106114141, 0x0000007f00000016, 0xfff9fffe04006172, 0x007fffff00036dfb,
            0x0000ffff000011fb, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000,
        },
    },
    {
        .name = "Haswell",
        .source = "public dump",
        .refused = NULL,
        .flags = PROFILE_X2APIC | PROFILE_RDTSCP | PROFILE_XSAVE | PROFILE_PAGE1G | PROFILE_INVPCID,
        .physical_bits = 39,
        .msr = {
            0x00da040000000012, 0x0000007f00000016, 0xfff9fffe0401e172, 0x007fffff00036dff,
            0x0000ffff000011ff, 0x00000000300481e5, 0x0000000080000021, 0x00000000ffffffff,
            0x0000000000002000, 0x00000000001767ff, 0x000000000000002a, 0x00007cff00000000,
            0x00000f0106334141, 0x0000007f00000016, 0xfff9fffe04006172, 0x007fffff00036dfb,
            0x0000ffff000011fb, 0x0000000000000001, 0x0000000000000000, 0x0000000000000000,
        },
    },
    {
        .name = "Skylake",
        .source = "public dump",
        .refused = NULL,
        .flags = PROFILE_X2APIC | PROFILE_RDTSCP | PROFILE_XSAVE | PROFILE_PAGE1G |
                  PROFILE_INVPCID | PROFILE_XSAVES | PROFILE_SMX,
        .physical_bits = 39,
        .msr = {
            0x00da040000000004, 0x0000007f00000016, 0xfff9fffe0401e172, 0x01ffffff00036dff,
            0x0003ffff000011ff, 0x000000007004c1e7, 0x0000000080000021, 0x00000000ffffffff,
            0x0000000000002000, 0x00000000003767ff, 0x000000000000002e, 0x001ffcff00000000,
            0x00000f0106334141, 0x0000007f00000016, 0xfff9fffe04006172, 0x01ffffff00036dfb,
            0x0003ffff000011fb, 0x0000000000000001, 0x0000000000000000, 0x0000000000000000,
        },
    },
    {
        .name = "Coffee Lake",
        .source = "public dump",
        .refused = NULL,
        .flags = PROFILE_X2APIC | PROFILE_RDTSCP | PROFILE_XSAVE | PROFILE_PAGE1G |
                  PROFILE_INVPCID | PROFILE_XSAVES | PROFILE_SMX,
        .physical_bits = 39,
        .msr = {
            0x00da040000000004, 0x0000007f00000016, 0xfff9fffe0401e172, 0x01ffffff00036dff,
            0x0003ffff000011ff, 0x000000007004c1e7, 0x0000000080000021, 0x00000000ffffffff,
            0x0000000000002000, 0x00000000003727ff, 0x000000000000002e, 0x005fbcff00000000,
            0x00000f0106734141, 0x000000ff00000016, 0xfff9fffe04006172, 0x01ffffff00036dfb,
            0x0003ffff000011fb, 0x0000000000000001, 0x0000000000000000, 0x0000000000000000,
        },
    },
    {
        .name = "Skylake-X",
        .source = "public dump",
        .refused = NULL,
        .flags = PROFILE_X2APIC | PROFILE_RDTSCP | PROFILE_XSAVE | PROFILE_PAGE1G |
                  PROFILE_INVPCID | PROFILE_XSAVES | PROFILE_SMX,
        .physical_bits = 46,
        .msr = {
            0x00da040000000004, 0x000000ff00000016, 0xfff9fffe0401e172, 0x01ffffff00036dff,
            0x0003ffff000011ff, 0x000000007004c1e7, 0x0000000080000021, 0x00000000ffffffff,
            0x0000000000002000, 0x00000000007727ff, 0x000000000000002e, 0x025d3fff00000000,
            0x00000f0106734141, 0x000000ff00000016, 0xfff9fffe04006172, 0x01ffffff00036dfb,
            0x0003ffff000011fb, 0x0000000000000001, 0x0000000000000000, 0x0000000000000000,
        },
    },
    {
        .name = "Comet Lake",
        .source = "public dump",
        .refused = NULL,
        .flags = PROFILE_X2APIC | PROFILE_RDTSCP | PROFILE_XSAVE | PROFILE_PAGE1G |
                  PROFILE_INVPCID | PROFILE_XSAVES | PROFILE_SMX,
        .physical_bits = 39,
        .msr = {
            0x00da040000000004, 0x0000007f00000016, 0xfff9fffe0401e172, 0x01ffffff00036dff,
            0x0003ffff000011ff, 0x000000007004c1e7, 0x0000000080000021, 0x00000000ffffffff,
            0x0000000000002000, 0x00000000003727ff, 0x000000000000002e, 0x005fbcff00000000,
            0x00000f0106734141, 0x0000007f00000016, 0xfff9fffe04006172, 0x01ffffff00036dfb,
            0x0003ffff000011fb, 0x0000000000000001, 0x0000000000000000, 0x0000000000000000,
        },
    },
    {
        .name = "Broadwell-EP",
        .source = "modelled on documentation",
        .refused = NULL,
        .flags = PROFILE_X2APIC | PROFILE_RDTSCP | PROFILE_XSAVE | PROFILE_PAGE1G | PROFILE_INVPCID,
        .physical_bits = 46,
        .msr = {
            0x00da040000000012, 0x000000ff00000016, 0xfff9fffe0401e172, 0x007fffff00036dff,
            0x0000ffff000011ff, 0x00000000300481e5, 0x0000000080000021, 0x00000000ffffffff,
            0x0000000000002000, 0x00000000001767ff, 0x000000000000002a, 0x00037fff00000000,
            0x00000f0106334141, 0x000000ff00000016, 0xfff9fffe04006172, 0x007fffff00036dfb,
            0x0000ffff000011fb, 0x0000000000000001, 0x0000000000000000, 0x0000000000000000,
        },
    },
    {
        .name = "Cannon Lake",
        .source = "modelled on documentation",
        .refused = NULL,
        .flags = PROFILE_X2APIC | PROFILE_RDTSCP | PROFILE_XSAVE | PROFILE_PAGE1G |
                  PROFILE_INVPCID | PROFILE_XSAVES | PROFILE_SMX,
        .physical_bits = 39,
        .msr = {
            0x00da040000000004, 0x0000007f00000016, 0xfff9fffe0401e172, 0x01ffffff00036dff,
            0x0003ffff000011ff, 0x000000007004c1e7, 0x0000000080000021, 0x00000000ffffffff,
            0x0000000000002000, 0x00000000007727ff, 0x000000000000002e, 0x025fbcff00000000,
            0x00000f0106734141, 0x0000007f00000016, 0xfff9fffe04006172, 0x01ffffff00036dfb,
            0x0003ffff000011fb, 0x0000000000000001, 0x0000000000000000, 0x0000000000000000,
        },
    },
    {
        .name = "Ice Lake-SP",
        .source = "modelled on documentation",
        .refused = NULL,
        .flags = PROFILE_X2APIC | PROFILE_RDTSCP | PROFILE_XSAVE | PROFILE_PAGE1G |
                  PROFILE_INVPCID | PROFILE_XSAVES | PROFILE_SMX,
        .physical_bits = 46,
        .msr = {
            0x00da040000000004, 0x000000ff00000016, 0xfff9fffe0401e172, 0x03ffffff00036dff,
            0x0007ffff000011ff, 0x000000007004c1e7, 0x0000000080000021, 0x00000000ffffffff,
            0x0000000000002000, 0x000000000373f7ff, 0x000000000000002e, 0x0fdfffff00000000,
            0x00000f01067341c1, 0x000000ff00000016, 0xfff9fffe04006172, 0x03ffffff00036dfb,
            0x0007ffff000011fb, 0x0000000000000001, 0x0000000000000000, 0x0000000000000000,
        },
    },
    {
        .name = "Tiger Lake",
        .source = "public dump (pin, primary, entry, exit), the rest modelled",
        .refused = NULL,
        .flags = PROFILE_X2APIC | PROFILE_RDTSCP | PROFILE_XSAVE | PROFILE_PAGE1G |
                  PROFILE_INVPCID | PROFILE_XSAVES | PROFILE_SMX | PROFILE_CET,
        .physical_bits = 39,
        .msr = {
            0x01da040000000004, 0x000000ff00000016, 0xfffbfffe0401e172, 0x137fffff00036dff,
            0x0016ffff000011ff, 0x000000007004c1e7, 0x0000000080000021, 0x00000000ffffffff,
            0x0000000000002000, 0x0000000000f7f7f7, 0x000000000000002e, 0x1dd57fff00000000,
            0x00000f0106f34141, 0x000000ff00000016, 0xfffbfffe04006172, 0x137fffff00036dfb,
            0x0016ffff000011fb, 0x0000000000000001, 0x0000000000000001, 0x0000000000000000,
        },
    },
    {
        .name = "Alder Lake P",
        .source = "modelled on documentation",
        .refused = NULL,
        .flags = PROFILE_X2APIC | PROFILE_RDTSCP | PROFILE_XSAVE | PROFILE_PAGE1G |
                  PROFILE_INVPCID | PROFILE_XSAVES | PROFILE_SMX | PROFILE_CET | PROFILE_PKS,
        .physical_bits = 46,
        .msr = {
            0x01da040000000004, 0x000000ff00000016, 0xfffbfffe0401e172, 0x377fffff00036dff,
            0x0076ffff000011ff, 0x000000007004c1e7, 0x0000000080000021, 0x00000000ffffffff,
            0x0000000000002000, 0x0000000001f737ff, 0x000000000000002e, 0x475fffff00000000,
            0x00080f0106f34141, 0x000000ff00000016, 0xfffbfffe04006172, 0x377fffff00036dfb,
            0x0076ffff000011fb, 0x0000000000000001, 0x000000000000000f, 0x0000000000000000,
        },
    },
    {
        .name = "Alder Lake E",
        .source = "modelled, differs from P so that the common subset matters",
        .refused = NULL,
        .flags = PROFILE_X2APIC | PROFILE_RDTSCP | PROFILE_XSAVE | PROFILE_PAGE1G |
                  PROFILE_INVPCID | PROFILE_XSAVES | PROFILE_SMX | PROFILE_CET | PROFILE_PKS,
        .physical_bits = 46,
        .msr = {
            0x01da040000000004, 0x000000ff00000016, 0xfffbfffe0401e172, 0x377fffff00036dff,
            0x0076ffff000011ff, 0x000000007004c1e5, 0x0000000080000021, 0x00000000ffffffff,
            0x0000000000002000, 0x0000000001f737ff, 0x000000000000002e, 0x465f7fff00000000,
            0x00000f0106f34141, 0x000000ff00000016, 0xfffbfffe04006172, 0x377fffff00036dfb,
            0x0076ffff000011fb, 0x0000000000000001, 0x0000000000000001, 0x0000000000000000,
        },
    },
    {
        .name = "nested KVM, old (no EPT, no TRUE controls)",
        .source = "modelled on public source",
        .refused = "ept",
        .flags = PROFILE_HV | PROFILE_X2APIC | PROFILE_RDTSCP | PROFILE_XSAVE,
        .physical_bits = 40,
        .msr = {
            0x0018100011e57ed0, 0x0000003f00000016, 0xf7f9fffe0401e172, 0x003fefff00036dff,
            0x0000d3ff000011ff, 0x0000000000000065, 0x0000000080000021, 0x00000000ffffffff,
            0x0000000000002000, 0x00000000000627ff, 0x000000000000002e, 0x0000004100000000,
            0x0000000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000,
            0x0000000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000,
        },
    },
    {
        .name = "nested KVM, old (EPT, no VPID, no TRUE controls)",
        .source = "modelled on public source",
        .refused = NULL,
        .flags = PROFILE_HV | PROFILE_X2APIC | PROFILE_RDTSCP | PROFILE_XSAVE,
        .physical_bits = 40,
        .msr = {
            0x0018100011e57ed0, 0x0000007f00000016, 0xfff9fffe0401e172, 0x007fefff00036dff,
            0x0000d3ff000011ff, 0x0000000000000065, 0x0000000080000021, 0x00000000ffffffff,
            0x0000000000002000, 0x00000000001767ff, 0x000000000000002e, 0x000000c300000000,
            0x0000000006114041, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000,
            0x0000000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000,
        },
    },
    {
        .name = "nested KVM, new",
        .source = "modelled on public source",
        .refused = NULL,
        .flags = PROFILE_HV | PROFILE_X2APIC | PROFILE_RDTSCP | PROFILE_XSAVE | PROFILE_PAGE1G |
                  PROFILE_INVPCID | PROFILE_XSAVES | PROFILE_SMX,
        .physical_bits = 46,
        .msr = {
            0x00d8100011e57ed0, 0x0000007f00000016, 0xfff9fffe0401e172, 0x007fffff00036dff,
            0x0000f3ff000011ff, 0x0000000020000165, 0x0000000080000021, 0x00000000ffffffff,
            0x0000000000002000, 0x00000000003727ff, 0x000000000000002e, 0x02137bff00000000,
            0x00000f0106334041, 0x0000007f00000016, 0xfff9fffe04006172, 0x007fffff00036dfb,
            0x0000f3ff000011fb, 0x0000000000000001, 0x0000000000000000, 0x0000000000000000,
        },
    },
    {
        .name = "nested Hyper-V",
        .source = "modelled on public source",
        .refused = NULL,
        .flags = PROFILE_HV | PROFILE_X2APIC | PROFILE_RDTSCP | PROFILE_XSAVE | PROFILE_PAGE1G |
                  PROFILE_INVPCID | PROFILE_XSAVES | PROFILE_SMX,
        .physical_bits = 46,
        .msr = {
            0x00da100000000001, 0x0000003f00000016, 0xfff9fffe0401e172, 0x003fefff00036dff,
            0x0000d3ff000011ff, 0x00000000000403e0, 0x0000000080000021, 0x00000000ffffffff,
            0x0000000000002000, 0x00000000003727ff, 0x000000000000002c, 0x005118fe00000000,
            0x00000f0106134141, 0x0000003f00000016, 0xfff9fffe04006172, 0x003fefff00036dfb,
            0x0000d3ff000011fb, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000,
        },
    },
    {
        .name = "VMware nested",
        .source = "public dump (pin, primary, secondary), the rest modelled",
        .refused = NULL,
        .flags = PROFILE_HV | PROFILE_X2APIC | PROFILE_RDTSCP | PROFILE_XSAVE | PROFILE_PAGE1G |
                  PROFILE_INVPCID | PROFILE_XSAVES | PROFILE_SMX,
        .physical_bits = 45,
        .msr = {
            0x00d8100000000001, 0x0000003f00000016, 0xfff9fffe0401e172, 0x003fffff00036dff,
            0x0000f3ff000011ff, 0x00000000000403e0, 0x0000000080000021, 0x00000000ffffffff,
            0x0000000000002000, 0x00000000003727ff, 0x000000000000002c, 0x00553cfe00000000,
            0x00000f0106114141, 0x0000003f00000016, 0xfff9fffe04006172, 0x003fffff00036dfb,
            0x0000f3ff000011fb, 0x0000000000000001, 0x0000000000000000, 0x0000000000000000,
        },
    },
    {
        .name = "Bochs 2.7 skylake_x",
        .source = "computed from public source",
        .refused = NULL,
        .flags = PROFILE_X2APIC | PROFILE_RDTSCP | PROFILE_XSAVE | PROFILE_PAGE1G |
                  PROFILE_INVPCID | PROFILE_XSAVES | PROFILE_SMX,
        .physical_bits = 40,
        .msr = {
            0x00d810000000002b, 0x0000007f00000016, 0xf7f9fffe0401e172, 0x007fffff00036dff,
            0x0000f3ff000011ff, 0x00000000600401e0, 0x0000000080000021, 0x00000000ffffffff,
            0x0000000000002000, 0x00000000007727ff, 0x0000000000000054, 0x02177fff00000000,
            0x00000f0106334141, 0x0000007f00000016, 0xf7f9fffe04006172, 0x007fffff00036dfb,
            0x0000f3ff000011fb, 0x0000000000000001, 0x0000000000000000, 0x0000000000000000,
        },
    },
    {
        .name = "Bochs 2.7 cannon lake",
        .source = "computed from public source",
        .refused = NULL,
        .flags = PROFILE_X2APIC | PROFILE_RDTSCP | PROFILE_XSAVE | PROFILE_PAGE1G |
                  PROFILE_INVPCID | PROFILE_XSAVES | PROFILE_SMX,
        .physical_bits = 40,
        .msr = {
            0x00d810000000002b, 0x0000007f00000016, 0xf7f9fffe0401e172, 0x007fffff00036dff,
            0x0000f3ff000011ff, 0x00000000600401e0, 0x0000000080000021, 0x00000000ffffffff,
            0x0000000000002000, 0x00000000003727ff, 0x0000000000000054, 0x02117cff00000000,
            0x00000f0106334141, 0x0000007f00000016, 0xf7f9fffe04006172, 0x007fffff00036dfb,
            0x0000f3ff000011fb, 0x0000000000000001, 0x0000000000000000, 0x0000000000000000,
        },
    },
    {
        .name = "Bochs 3.1 tiger lake",
        .source = "computed from public source",
        .refused = NULL,
        .flags = PROFILE_X2APIC | PROFILE_RDTSCP | PROFILE_XSAVE | PROFILE_PAGE1G |
                  PROFILE_INVPCID | PROFILE_XSAVES | PROFILE_SMX | PROFILE_CET,
        .physical_bits = 40,
        .msr = {
            0x01d8100000000004, 0x000000ff00000016, 0xfff9fffe0401e172, 0x507fffff00036dff,
            0x0010f3ff000011ff, 0x00000000600401e0, 0x0000000080000021, 0x00000000ffffffff,
            0x0000000000002000, 0x00000000003727ff, 0x0000000000000054, 0x02d77fff00000000,
            0x00000f0106734141, 0x000000ff00000016, 0xfff9fffe04006172, 0x507fffff00036dfb,
            0x0010f3ff000011fb, 0x0000000000000001, 0x0000000000000000, 0x0000000000000000,
        },
    },
};

#define VMX_PROFILE_COUNT (sizeof(vmx_profiles) / sizeof(vmx_profiles[0]))

/* A machine with that profile. */
struct vmx_fake_machine {
    const struct vmx_profile *profile;
    unsigned faults;            /* RDMSR of what does not exist */
    uint32_t highest_leaf;      /* 0: as high as needed */
    bool no_vmx;
};

static inline bool vmx_fake_msr_exists(const struct vmx_profile *p, uint32_t index)
{
    const uint64_t *m = p->msr;
    switch (index) {
    case 0x48b: return m[2] >> 63 & 1;
    case 0x48c: return (m[2] >> 63 & 1) && (m[11] >> 32 & 0x22);
    case 0x48d: case 0x48e: case 0x48f: case 0x490: return m[0] >> 55 & 1;
    case 0x491: return m[11] >> 45 & 1;
    case 0x492: return m[2] >> 49 & 1;
    case 0x493: return m[3] >> 63 & 1;
    default: return index >= 0x480 && index <= 0x48a;
    }
}

static inline uint64_t vmx_fake_rdmsr(void *context, uint32_t index)
{
    struct vmx_fake_machine *machine = context;
    if (!vmx_fake_msr_exists(machine->profile, index)) {
        machine->faults++;
        return 0xdeadbeefdeadbeefull;
    }
    return machine->profile->msr[index - 0x480];
}

static inline void vmx_fake_cpuid(void *context, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    const struct vmx_fake_machine *machine = context;
    const struct vmx_profile *p = machine->profile;
    unsigned f = p->flags;
    memset(out, 0, 4 * sizeof(out[0]));
    switch (leaf) {
    case 0:
        out[0] = machine->highest_leaf ? machine->highest_leaf : 0x1f;
        break;
    case 1:
        out[2] = (machine->no_vmx ? 0 : 1u << 5) | (f & PROFILE_SMX ? 1u << 6 : 0) |
                 (f & PROFILE_X2APIC ? 1u << 21 : 0) | (f & PROFILE_XSAVE ? 1u << 26 : 0) |
                 (f & PROFILE_HV ? 1u << 31 : 0);
        out[3] = 1u << 16;
        break;
    case 7:
        if (subleaf == 0) {
            out[0] = f & (PROFILE_FRED | PROFILE_APX) ? 1 : 0;
            out[1] = (f & PROFILE_INVPCID ? 1u << 10 : 0) | (f & PROFILE_SGX ? 1u << 2 : 0);
            out[2] = (f & PROFILE_CET ? 1u << 7 : 0) | (f & PROFILE_PKS ? 1u << 31 : 0);
        } else if (subleaf == 1) {
            out[0] = f & PROFILE_FRED ? 1u << 17 : 0;
            out[3] = f & PROFILE_APX ? 1u << 21 : 0;
        }
        break;
    case 0xa:
        out[0] = 4;
        break;
    case 0xd:
        if (subleaf == 1)
            out[0] = f & PROFILE_XSAVES ? 1u << 3 : 0;
        break;
    case 0x80000000u:
        out[0] = 0x80000008u;
        break;
    case 0x80000001u:
        out[3] = 1u << 20 | (f & PROFILE_PAGE1G ? 1u << 26 : 0) |
                 (f & PROFILE_RDTSCP ? 1u << 27 : 0);
        break;
    case 0x80000008u:
        out[0] = p->physical_bits | 48u << 8;
        break;
    default:
        break;
    }
}

static inline struct vmx_caps_source vmx_fake_source(struct vmx_fake_machine *machine)
{
    return (struct vmx_caps_source){ vmx_fake_rdmsr, vmx_fake_cpuid, machine };
}

/* The capabilities of a profile by (a part of) its name. */
static inline struct vmx_caps vmx_profile_caps(const char *name)
{
    struct vmx_caps caps = { 0 };
    for (size_t i = 0; i < VMX_PROFILE_COUNT; i++) {
        if (!strstr(vmx_profiles[i].name, name))
            continue;
        struct vmx_fake_machine machine = { .profile = &vmx_profiles[i] };
        struct vmx_caps_source source = vmx_fake_source(&machine);
        if (vmx_caps_read(&caps, &source) == HV_OK)
            break;
    }
    return caps;
}

#endif
