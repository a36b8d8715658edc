/*
 * The registers of a core as firmware had them, taken down and put back.
 *
 * Here: what Trapline or a guest changes. Not here: the local APIC (host_apic.c), devices
 * (drivers/), general-purpose registers (kept_switch.asm). MSRs are asked for by CPUID alone: with
 * firmware's IDT a #GP is the end.
 * Lock: none; each core its own.
 * SDM volume 3 "Control Registers", "Memory Type Range Registers (MTRRs)" (what to do when the PAT
 * changes), "Segment Loading Instructions in IA-32e Mode"; UEFI specification "x64 Platforms",
 * "Handoff State", "Detailed Calling Conventions".
 */
#include "x86/kept.h"

#include "hv/string.h"
#include "x86/cpuid.h"
#include "x86/host_apic.h"
#include "x86/msr.h"
#include "x86/regs.h"

struct abilities {
    bool pat, xsave, xsaves, tsc_aux, sysenter, spec_ctrl, tsx_ctrl;
};

/* SDM volume 4 "IA-32 Architectural MSRs", the condition beside each register. */
static void find_speculation(struct abilities *can)
{
    uint32_t edx;

    if (cpuid(CPUID_LEAF_VENDOR, 0).eax < CPUID_LEAF_EXTENDED_FEATURES)
        return;
    edx = cpuid(CPUID_LEAF_EXTENDED_FEATURES, 0).edx;
    can->spec_ctrl = edx & (CPUID_7_EDX_IBRS_IBPB | CPUID_7_EDX_STIBP | CPUID_7_EDX_SSBD);
    if (edx & CPUID_7_EDX_ARCH_CAP)
        can->tsx_ctrl = rdmsr(MSR_IA32_ARCH_CAPABILITIES) & ARCH_CAP_TSX_CTRL;
}

static struct abilities abilities_of_core(void)
{
    struct cpuid_regs features = cpuid(CPUID_LEAF_FEATURES, 0);
    uint32_t extended = cpuid(CPUID_LEAF_EXTENDED, 0).eax;
    struct abilities can = {
        .pat = features.edx & CPUID_1_EDX_PAT,
        .xsave = features.ecx & CPUID_1_ECX_XSAVE,
        .sysenter = features.edx & CPUID_1_EDX_SEP,
    };

    if (can.xsave)
        can.xsaves =
            cpuid(CPUID_LEAF_XSAVE, 1).eax & CPUID_D_1_EAX_XSAVES;
    if (extended >= CPUID_LEAF_EXTENDED_FEATURES_1)
        can.tsc_aux =
            cpuid(CPUID_LEAF_EXTENDED_FEATURES_1, 0).edx & CPUID_80000001_EDX_RDTSCP;
    find_speculation(&can);
    return can;
}

static void save_msrs(struct kept_core *core, const struct abilities *can)
{
    core->efer = rdmsr(MSR_IA32_EFER);
    core->debugctl = rdmsr(MSR_IA32_DEBUGCTL);
    core->fs_base = rdmsr(MSR_IA32_FS_BASE);
    core->gs_base = rdmsr(MSR_IA32_GS_BASE);
    core->kernel_gs_base = rdmsr(MSR_IA32_KERNEL_GS_BASE);
    core->star = rdmsr(MSR_IA32_STAR);
    core->lstar = rdmsr(MSR_IA32_LSTAR);
    core->cstar = rdmsr(MSR_IA32_CSTAR);
    core->fmask = rdmsr(MSR_IA32_FMASK);
    if (can->sysenter) {
        core->sysenter_cs = rdmsr(MSR_IA32_SYSENTER_CS);
        core->sysenter_esp = rdmsr(MSR_IA32_SYSENTER_ESP);
        core->sysenter_eip = rdmsr(MSR_IA32_SYSENTER_EIP);
    }
    if (can->pat)
        core->pat = rdmsr(MSR_IA32_PAT);
    if (can->xsaves)
        core->xss = rdmsr(MSR_IA32_XSS);
    if (can->tsc_aux)
        core->tsc_aux = rdmsr(MSR_IA32_TSC_AUX);
    if (can->spec_ctrl)
        core->spec_ctrl = rdmsr(MSR_IA32_SPEC_CTRL);
    if (can->tsx_ctrl)
        core->tsx_ctrl = rdmsr(MSR_IA32_TSX_CTRL);
}

static void restore_msrs(const struct kept_core *core, const struct abilities *can)
{
    if (core->debugctl) /* the last VM exit has left 0 */
        wrmsr(MSR_IA32_DEBUGCTL, core->debugctl);
    wrmsr(MSR_IA32_KERNEL_GS_BASE, core->kernel_gs_base);
    wrmsr(MSR_IA32_STAR, core->star);
    wrmsr(MSR_IA32_LSTAR, core->lstar);
    wrmsr(MSR_IA32_CSTAR, core->cstar);
    wrmsr(MSR_IA32_FMASK, core->fmask);
    if (can->sysenter) {
        wrmsr(MSR_IA32_SYSENTER_CS, core->sysenter_cs);
        wrmsr(MSR_IA32_SYSENTER_ESP, core->sysenter_esp);
        wrmsr(MSR_IA32_SYSENTER_EIP, core->sysenter_eip);
    }
    if (can->xsaves)
        wrmsr(MSR_IA32_XSS, core->xss);
    if (can->tsc_aux)
        wrmsr(MSR_IA32_TSC_AUX, core->tsc_aux);
    if (can->spec_ctrl)
        wrmsr(MSR_IA32_SPEC_CTRL, core->spec_ctrl);
    if (can->tsx_ctrl)
        wrmsr(MSR_IA32_TSX_CTRL, core->tsx_ctrl);
}

/* XCR0 and the SSE registers can be reached only with bits of CR4 that firmware may not have set. */
static void save_extended(struct kept_core *core, const struct abilities *can)
{
    write_cr0(core->cr0 & ~(CR0_TS | CR0_EM));
    write_cr4(core->cr4 | CR4_OSFXSR | (can->xsave ? CR4_OSXSAVE : 0));
    if (can->xsave)
        core->xcr0 = xgetbv(0);
    if (core->cr4 & CR4_PKE)
        core->pkru = rdpkru();
    fxsave64(core->fx);
    write_cr4(core->cr4);
    write_cr0(core->cr0);
}

static void save_debug(struct kept_core *core)
{
    core->dr0 = read_dr0();
    core->dr1 = read_dr1();
    core->dr2 = read_dr2();
    core->dr3 = read_dr3();
    core->dr6 = read_dr6();
    core->dr7 = read_dr7();
    write_dr7(DR7_INIT);
}

static void restore_debug(const struct kept_core *core)
{
    write_dr0(core->dr0);
    write_dr1(core->dr1);
    write_dr2(core->dr2);
    write_dr3(core->dr3);
    write_dr6(core->dr6);
    write_dr7(core->dr7);
}

void kept_state_save(struct kept_core *core)
{
    struct abilities can = abilities_of_core();

    core->cr0 = read_cr0();
    core->cr2 = read_cr2();
    core->cr3 = read_cr3();
    core->cr4 = read_cr4();
    core->gdt = sgdt();
    core->idt = sidt();
    core->cs = read_cs();
    core->ss = read_ss();
    core->ds = read_ds();
    core->es = read_es();
    core->fs = read_fs();
    core->gs = read_gs();
    core->ldt = sldt();
    core->task = kept_task_plan(str(), (const uint64_t *)core->gdt.base,
                                (uint32_t)core->gdt.limit + 1);
    save_msrs(core, &can);
    save_extended(core, &can);
    save_debug(core);
}

const char *kept_state_check(const struct kept_core *core, struct kept_core *scratch)
{
    memset(scratch, 0, sizeof(*scratch));
    kept_state_save(scratch);
    if (core->apic.saved)
        host_apic_read(&scratch->apic);
    write_dr7(core->dr7); /* saving has closed it */
    return kept_difference(core, scratch);
}

/* CR3 before EFER: firmware without NXE has tables in which bit 63 is reserved. CR4 between two
 * writes of CR3: PCIDE may only be set while the PCID is 0, and the change of PGE, or else the
 * second write, drops our translations. */
static void restore_paging(const struct kept_core *core, const struct abilities *can)
{
    write_cr3(core->cr3 & ~CR3_PCID_MASK);
    wrmsr(MSR_IA32_EFER, core->efer);
    if (can->pat)
        wrmsr(MSR_IA32_PAT, core->pat);
    wbinvd(); /* nothing may stay cached under the type that PAT entry 1 had with us */
    write_cr4(core->cr4);
    write_cr3(core->cr3);
    write_cr0(core->cr0);
    write_cr2(core->cr2);
}

/* LTR wants a descriptor that is not busy, and firmware's own is: a copy stands in for it, in a table
 * that is placed so that the selector fits. Firmware's table is not written. */
static void restore_task(const struct kept_core *core)
{
    struct kept_descriptor copy = core->task.descriptor;
    struct x86_table_register table = {
        UINT16_MAX, (uint64_t)&copy - (core->task.selector & 0xfff8u)
    };

    lgdt(&table);
    ltr(core->task.selector);
}

static void restore_segments(const struct kept_core *core)
{
    restore_task(core);
    lgdt(&core->gdt);
    write_cs(core->cs);
    write_ss(core->ss);
    write_ds(core->ds);
    write_es(core->es);
    write_fs(core->fs);
    write_gs(core->gs);
    wrmsr(MSR_IA32_FS_BASE, core->fs_base);
    wrmsr(MSR_IA32_GS_BASE, core->gs_base);
    lldt(kept_ldt_fits(core->ldt, (uint32_t)core->gdt.limit + 1) ? core->ldt : 0);
    lidt(&core->idt);
}

void kept_state_restore(const struct kept_core *core)
{
    struct abilities can = abilities_of_core();

    write_dr7(DR7_INIT); /* no breakpoint of a guest's may hit from here on */
    if (can.xsave)
        xsetbv(0, core->xcr0);
    fxrstor64(core->fx);
    if ((core->cr4 & CR4_PKE) && (read_cr4() & CR4_PKE))
        wrpkru(core->pkru);
    restore_msrs(core, &can);
    restore_paging(core, &can);
    restore_segments(core);
    restore_debug(core);
}
