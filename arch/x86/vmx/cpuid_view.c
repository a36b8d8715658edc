/*
 * Makes the guest's view of CPUID. Every leaf starts from nothing: only bits that are listed here
 * come through, so that a feature of a newer processor is hidden until somebody has thought of it.
 */
#include "x86/cpuid_view.h"

#include "hv/string.h"
#include "x86/regs.h"

#define FEATURES_ECX                                                                               \
    (CPUID_1_ECX_SSE3 | CPUID_1_ECX_PCLMULQDQ | CPUID_1_ECX_SSSE3 | CPUID_1_ECX_FMA |              \
     CPUID_1_ECX_CMPXCHG16B | CPUID_1_ECX_PCID | CPUID_1_ECX_SSE4_1 | CPUID_1_ECX_SSE4_2 |         \
     CPUID_1_ECX_MOVBE | CPUID_1_ECX_POPCNT | CPUID_1_ECX_AES | CPUID_1_ECX_XSAVE |                \
     CPUID_1_ECX_AVX | CPUID_1_ECX_F16C | CPUID_1_ECX_RDRAND)
#define FEATURES_EDX                                                                               \
    (CPUID_1_EDX_FPU | CPUID_1_EDX_VME | CPUID_1_EDX_DE | CPUID_1_EDX_PSE | CPUID_1_EDX_TSC |      \
     CPUID_1_EDX_MSR | CPUID_1_EDX_PAE | CPUID_1_EDX_MCE | CPUID_1_EDX_CX8 | CPUID_1_EDX_APIC |    \
     CPUID_1_EDX_SEP | CPUID_1_EDX_MTRR | CPUID_1_EDX_PGE | CPUID_1_EDX_MCA | CPUID_1_EDX_CMOV |   \
     CPUID_1_EDX_PAT | CPUID_1_EDX_PSE36 | CPUID_1_EDX_CLFSH | CPUID_1_EDX_MMX |                   \
     CPUID_1_EDX_FXSR | CPUID_1_EDX_SSE | CPUID_1_EDX_SSE2 | CPUID_1_EDX_SS)

#define CPUID_7_EBX_FPU_CSDS      (1u << 13)
#define EXTENDED_EBX                                                                               \
    (CPUID_7_EBX_FSGSBASE | CPUID_7_EBX_TSC_ADJUST | CPUID_7_EBX_BMI1 | CPUID_7_EBX_AVX2 |         \
     CPUID_7_EBX_SMEP | CPUID_7_EBX_BMI2 | CPUID_7_EBX_ERMS | CPUID_7_EBX_FPU_CSDS |               \
     CPUID_7_EBX_RDSEED | CPUID_7_EBX_ADX | CPUID_7_EBX_SMAP | CPUID_7_EBX_CLFLUSHOPT |            \
     CPUID_7_EBX_CLWB | CPUID_7_EBX_SHA)
#define EXTENDED_EBX_AVX512                                                                        \
    (CPUID_7_EBX_AVX512F | CPUID_7_EBX_AVX512DQ | CPUID_7_EBX_AVX512_IFMA | CPUID_7_EBX_AVX512CD | \
     CPUID_7_EBX_AVX512BW | CPUID_7_EBX_AVX512VL)
#define CPUID_7_ECX_AVX512_VBMI   (1u << 1)
#define CPUID_7_ECX_AVX512_VBMI2  (1u << 6)
#define CPUID_7_ECX_GFNI          (1u << 8)
#define CPUID_7_ECX_VAES          (1u << 9)
#define CPUID_7_ECX_VPCLMULQDQ    (1u << 10)
#define CPUID_7_ECX_AVX512_VNNI   (1u << 11)
#define CPUID_7_ECX_AVX512_BITALG (1u << 12)
#define CPUID_7_ECX_VPOPCNTDQ     (1u << 14)
#define CPUID_7_ECX_CLDEMOTE      (1u << 25)
#define CPUID_7_ECX_MOVDIRI       (1u << 27)
#define CPUID_7_ECX_MOVDIR64B     (1u << 28)
#define EXTENDED_ECX                                                                               \
    (CPUID_7_ECX_UMIP | CPUID_7_ECX_GFNI | CPUID_7_ECX_VAES | CPUID_7_ECX_VPCLMULQDQ |             \
     CPUID_7_ECX_CLDEMOTE | CPUID_7_ECX_MOVDIRI | CPUID_7_ECX_MOVDIR64B)
#define EXTENDED_ECX_AVX512                                                                        \
    (CPUID_7_ECX_AVX512_VBMI | CPUID_7_ECX_AVX512_VBMI2 | CPUID_7_ECX_AVX512_VNNI |                \
     CPUID_7_ECX_AVX512_BITALG | CPUID_7_ECX_VPOPCNTDQ)
#define CPUID_7_EDX_FSRM          (1u << 4)
#define CPUID_7_EDX_SERIALIZE     (1u << 14)
#define EXTENDED_EDX              (CPUID_7_EDX_FSRM | CPUID_7_EDX_SERIALIZE)

#define CPUID_80000001_ECX_LZCNT  (1u << 5)
#define CPUID_80000001_ECX_PREFETCHW (1u << 8)
#define EXTENDED_1_ECX                                                                             \
    (CPUID_80000001_ECX_LAHF | CPUID_80000001_ECX_LZCNT | CPUID_80000001_ECX_PREFETCHW)
#define EXTENDED_1_EDX                                                                             \
    (CPUID_80000001_EDX_SYSCALL | CPUID_80000001_EDX_NX | CPUID_80000001_EDX_PAGE1G |              \
     CPUID_80000001_EDX_LM)

#define POWER_EAX_ARAT (1u << 2)
#define XCR0_AVX512 (XCR0_OPMASK | XCR0_ZMM_HI256 | XCR0_HI16_ZMM)

/* Leaf 15H counts in a crystal of about this rate, as recent processors do. */
#define CRYSTAL_HZ 25000000u

static struct cpuid_regs *view_add(struct cpuid_view *view, struct cpuid_view_leaf *leaf,
                                   uint32_t dynamic)
{
    struct cpuid_view_entry *entry = &view->entries[view->count];

    if (view->count >= CPUID_VIEW_MAX_ENTRIES - 1)
        return &view->entries[CPUID_VIEW_MAX_ENTRIES - 1].regs;
    if (leaf->count == 0) {
        leaf->entries = entry;
        leaf->subleaf_mask = UINT32_MAX;
    }
    leaf->count++;
    view->count++;
    entry->dynamic = dynamic;
    return &entry->regs;
}

static struct cpuid_regs *view_add_any(struct cpuid_view *view, struct cpuid_view_leaf *leaf,
                                       uint32_t dynamic)
{
    struct cpuid_regs *regs = view_add(view, leaf, dynamic);

    leaf->subleaf_mask = 0;
    return regs;
}

/* The number of bits that hold 0 ... count-1. */
static unsigned bits_for(unsigned count)
{
    unsigned bits = 0;

    while ((1u << bits) < count)
        bits++;
    return bits;
}

void cpuid_view_tsc_ratio(uint64_t tsc_hz, uint32_t *denominator, uint32_t *numerator,
                          uint32_t *crystal_hz)
{
    /* A ratio in thousandths of whole crystals, and a crystal that makes the product exact to the
     * ratio's precision: crystal = TSC * denominator / numerator. */
    uint64_t ratio = tsc_hz / CRYSTAL_HZ;

    if (ratio == 0)
        ratio = 1;
    *denominator = 1;
    *numerator = (uint32_t)ratio;
    *crystal_hz = (uint32_t)((tsc_hz + ratio / 2) / ratio);
}

/* The timer's rate was measured, the TSC's is better known: the product stays exact, and the rate is
 * rounded to a thousandth of the ratio. */
static void measured_ratio(const struct cpuid_view_request *r, uint32_t *denominator,
                           uint32_t *numerator, uint32_t *crystal_hz)
{
    uint64_t thousandths = (r->tsc_hz * 1000 + r->apic_timer_hz / 2) / r->apic_timer_hz;

    *denominator = 1000;
    *numerator = thousandths > UINT32_MAX ? UINT32_MAX : thousandths ? (uint32_t)thousandths : 1;
    *crystal_hz = (uint32_t)((r->tsc_hz * 1000 + *numerator / 2) / *numerator);
}

static void view_features(struct cpuid_view *view, const struct cpuid_view_request *r)
{
    struct cpuid_regs host = r->host(CPUID_LEAF_FEATURES, 0);
    struct cpuid_regs *to =
        view_add_any(view, &view->basic[CPUID_LEAF_FEATURES], CPUID_DYNAMIC_FEATURES);

    to->eax = host.eax;
    to->ebx = (host.ebx & 0xffff) | (uint32_t)(1u << bits_for(r->vcpus)) << 16 | r->apic_id << 24;
    to->ecx = (host.ecx & FEATURES_ECX) | CPUID_1_ECX_X2APIC | CPUID_1_ECX_TSC_DEADLINE |
              CPUID_1_ECX_HYPERVISOR;
    if (!r->invpcid)
        to->ecx &= ~CPUID_1_ECX_PCID;
    if (!(r->xcr0_supported & XCR0_AVX))
        to->ecx &= ~(CPUID_1_ECX_AVX | CPUID_1_ECX_FMA | CPUID_1_ECX_F16C);
    if (!r->xcr0_supported)
        to->ecx &= ~CPUID_1_ECX_XSAVE;
    to->edx = host.edx & FEATURES_EDX;
    view->has_apic = to->edx & CPUID_1_EDX_APIC;
    if (r->vcpus > 1)
        to->edx |= CPUID_1_EDX_HTT;
}

/* Leaf 4: the caches are real; who shares them is the VM: the first two levels belong to one vCPU,
 * the others to all. */
static void view_caches(struct cpuid_view *view, const struct cpuid_view_request *r)
{
    uint32_t all = (1u << bits_for(r->vcpus)) - 1;

    for (uint32_t i = 0; i < 8; i++) {
        struct cpuid_regs host = r->host(CPUID_LEAF_CACHE, i);
        unsigned level = host.eax >> 5 & 7;
        if ((host.eax & 0x1f) == 0)
            break;
        struct cpuid_regs *to = view_add(view, &view->basic[CPUID_LEAF_CACHE], CPUID_STATIC);
        *to = host;
        to->eax = (host.eax & 0x3fff) | (level >= 3 ? all : 0) << 14 | all << 26;
    }
}

static void view_extended_features(struct cpuid_view *view, const struct cpuid_view_request *r)
{
    struct cpuid_regs host = r->host(CPUID_LEAF_EXTENDED_FEATURES, 0);
    struct cpuid_view_leaf *leaf = &view->basic[CPUID_LEAF_EXTENDED_FEATURES];
    struct cpuid_regs *to = view_add(view, leaf, CPUID_DYNAMIC_OSPKE);
    bool avx512 = (r->xcr0_supported & XCR0_AVX512) == XCR0_AVX512;

    to->ebx = host.ebx & (EXTENDED_EBX | (avx512 ? EXTENDED_EBX_AVX512 : 0));
    if (r->invpcid)
        to->ebx |= host.ebx & CPUID_7_EBX_INVPCID;
    if (!(r->xcr0_supported & XCR0_AVX))
        to->ebx &= ~CPUID_7_EBX_AVX2;
    to->ecx = host.ecx & (EXTENDED_ECX | (avx512 ? EXTENDED_ECX_AVX512 : 0));
    if (r->rdtscp)
        to->ecx |= host.ecx & CPUID_7_ECX_RDPID;
    if (r->xcr0_supported & XCR0_PKRU)
        to->ecx |= host.ecx & CPUID_7_ECX_PKU;
    to->edx = (host.edx & EXTENDED_EDX) | r->leaf7_edx;
    if (r->leaf7_2_edx) {
        to->eax = 2;
        view_add(view, leaf, CPUID_STATIC);
        view_add(view, leaf, CPUID_STATIC)->edx = r->leaf7_2_edx;
    }
}

static void view_topology(struct cpuid_view *view, const struct cpuid_view_request *r)
{
    struct cpuid_view_leaf *leaf = &view->basic[CPUID_LEAF_TOPOLOGY];
    struct cpuid_regs *thread = view_add(view, leaf, CPUID_STATIC);
    struct cpuid_regs *core = view_add(view, leaf, CPUID_STATIC);
    struct cpuid_regs *end = view_add(view, leaf, CPUID_STATIC);

    *thread = (struct cpuid_regs){ 0, 1, 1u << 8 | 0, r->apic_id };
    *core = (struct cpuid_regs){ bits_for(r->vcpus), r->vcpus, 2u << 8 | 1, r->apic_id };
    *end = (struct cpuid_regs){ 0, 0, 2, r->apic_id };
}

uint32_t cpuid_view_xsave_bytes(const struct cpuid_view *view, uint64_t xcr0, bool compacted)
{
    uint32_t end = 512 + 64; /* legacy region and header */

    for (uint32_t i = 2; i < 32; i++) {
        const struct cpuid_regs *c = &cpuid_view_find(view, CPUID_LEAF_XSAVE, i)->regs;
        if (!(xcr0 >> i & 1) || c->eax == 0)
            continue;
        if (compacted)
            end = (c->ecx & 2 ? (end + 63) & ~63u : end) + c->eax;
        else if (c->ebx + c->eax > end)
            end = c->ebx + c->eax;
    }
    return end;
}

/* Leaf 0DH, subleaves 2 and up: offset and size of each component that the VM may enable. */
static uint32_t view_xsave_components(const struct cpuid_view_request *r, struct cpuid_regs *out)
{
    uint32_t end = 512 + 64;

    for (uint32_t i = 2; i < 32; i++) {
        if (!(r->xcr0_supported >> i & 1))
            continue;
        out[i] = r->host(CPUID_LEAF_XSAVE, i);
        if (out[i].ebx + out[i].eax > end)
            end = out[i].ebx + out[i].eax;
    }
    return end;
}

/* A processor that contradicts itself about the compacted format is not to be trusted with it: Bochs
 * 2.7 tells the standard size, and its XSAVEC and XSAVES put components where XRSTORS does not look
 * for them. */
static uint32_t view_xsave_features(const struct cpuid_view *view,
                                    const struct cpuid_view_request *r, uint32_t host)
{
    uint32_t features = CPUID_D_1_EAX_XSAVEOPT | CPUID_D_1_EAX_XGETBV_1;

    if (cpuid_view_xsave_bytes(view, r->xcr0_supported, true) == r->compacted_bytes)
        features |= CPUID_D_1_EAX_XSAVEC | (r->xsaves ? CPUID_D_1_EAX_XSAVES : 0);
    return host & features;
}

static void view_xsave(struct cpuid_view *view, const struct cpuid_view_request *r)
{
    struct cpuid_view_leaf *leaf = &view->basic[CPUID_LEAF_XSAVE];
    struct cpuid_regs components[32];
    struct cpuid_regs *features;
    unsigned last = 2;

    if (!r->xcr0_supported)
        return;
    memset(components, 0, sizeof(components));
    uint32_t bytes = view_xsave_components(r, components);
    *view_add(view, leaf, CPUID_DYNAMIC_XSAVE) =
        (struct cpuid_regs){ (uint32_t)r->xcr0_supported, bytes, bytes,
                             (uint32_t)(r->xcr0_supported >> 32) };
    features = view_add(view, leaf, CPUID_DYNAMIC_XSAVEC);
    for (unsigned i = 2; i < 32; i++) {
        if (components[i].eax)
            last = i + 1;
    }
    for (unsigned i = 2; i < last; i++)
        *view_add(view, leaf, CPUID_STATIC) = components[i];
    *features = (struct cpuid_regs){
        view_xsave_features(view, r, r->host(CPUID_LEAF_XSAVE, 1).eax), bytes, 0, 0 };
}

static void view_time(struct cpuid_view *view, const struct cpuid_view_request *r)
{
    uint32_t denominator, numerator, crystal_hz;
    uint32_t mhz = (uint32_t)((r->tsc_hz + 500000) / 1000000);

    if (r->apic_timer_hz)
        measured_ratio(r, &denominator, &numerator, &crystal_hz);
    else
        cpuid_view_tsc_ratio(r->tsc_hz, &denominator, &numerator, &crystal_hz);
    *view_add_any(view, &view->basic[CPUID_LEAF_TSC], CPUID_STATIC) =
        (struct cpuid_regs){ denominator, numerator, crystal_hz, 0 };
    *view_add_any(view, &view->basic[CPUID_LEAF_FREQUENCY], CPUID_STATIC) =
        (struct cpuid_regs){ mhz, mhz, 0, 0 };
    *view_add_any(view, &view->hypervisor[2], CPUID_STATIC) =
        (struct cpuid_regs){ (uint32_t)(r->tsc_hz / 1000), crystal_hz / 1000, 0, 0 };
}

static void view_extended(struct cpuid_view *view, const struct cpuid_view_request *r)
{
    struct cpuid_regs host0 = r->host(CPUID_LEAF_EXTENDED, 0);
    struct cpuid_regs host = r->host(CPUID_LEAF_EXTENDED_FEATURES_1, 0);
    struct cpuid_regs *to;

    *view_add_any(view, &view->extended[0], CPUID_STATIC) =
        (struct cpuid_regs){ CPUID_LEAF_ADDRESS_SIZES, 0, 0, 0 };
    to = view_add_any(view, &view->extended[1], CPUID_STATIC);
    to->ecx = host.ecx & EXTENDED_1_ECX;
    to->edx = host.edx & EXTENDED_1_EDX;
    if (r->rdtscp)
        to->edx |= host.edx & CPUID_80000001_EDX_RDTSCP;
    for (uint32_t i = 2; i <= 6; i++) {
        if (i != 5 && host0.eax >= CPUID_LEAF_EXTENDED + i)
            *view_add_any(view, &view->extended[i], CPUID_STATIC) =
                r->host(CPUID_LEAF_EXTENDED + i, 0);
    }
    /* The guest's TSC is the host's: it is as steady as that one is. */
    if (host0.eax >= CPUID_LEAF_APM)
        view_add_any(view, &view->extended[7], CPUID_STATIC)->edx =
            r->host(CPUID_LEAF_APM, 0).edx & CPUID_80000007_EDX_INVARIANT_TSC;
    view_add_any(view, &view->extended[8], CPUID_STATIC)->eax =
        host0.eax >= CPUID_LEAF_ADDRESS_SIZES
            ? (r->host(CPUID_LEAF_ADDRESS_SIZES, 0).eax & 0xff) | 48u << 8
            : (36u | 48u << 8);
}

static void signature(struct cpuid_regs *to, uint32_t max, const char text[13])
{
    to->eax = max;
    memcpy(&to->ebx, text, 4);
    memcpy(&to->ecx, text + 4, 4);
    memcpy(&to->edx, text + 8, 4);
}

/* Our own signature first; KVM's 0x100 further on, since Linux trusts x2APIC without interrupt
 * remapping, and leaves out its port delays, only for a hypervisor that it knows. */
static void view_hypervisor(struct cpuid_view *view, const struct cpuid_view_request *r)
{
    const struct cpuid_regs *apm = &cpuid_view_find(view, CPUID_LEAF_APM, 0)->regs;
    uint32_t features = KVM_FEATURE_NOP_IO_DELAY | KVM_FEATURE_CLOCKSOURCE2;

    signature(view_add_any(view, &view->hypervisor[0], CPUID_STATIC), CPUID_LEAF_HYPERVISOR_TSC,
              "TraplineVT-x");
    view_add_any(view, &view->hypervisor[1], CPUID_STATIC)->eax = 0x314c5054; /* "TPL1" */
    if (!r->kvm)
        return;
    if (apm->edx & CPUID_80000007_EDX_INVARIANT_TSC)
        features |= KVM_FEATURE_CLOCKSOURCE_STABLE;
    signature(view_add_any(view, &view->kvm[0], CPUID_STATIC), CPUID_VIEW_KVM_BASE + 1,
              "KVMKVMKVM\0\0\0");
    view_add_any(view, &view->kvm[1], CPUID_STATIC)->eax = features;
}

static bool entry_follows_cr4(const struct cpuid_view_entry *entry)
{
    return entry->dynamic == CPUID_DYNAMIC_FEATURES || entry->dynamic == CPUID_DYNAMIC_OSPKE;
}

static void entry_follow(const struct cpuid_view *view, struct cpuid_view_entry *entry,
                         const struct cpuid_view_registers *registers)
{
    struct cpuid_regs *regs = &entry->regs;

    switch (entry->dynamic) {
    case CPUID_DYNAMIC_FEATURES:
        regs->ecx &= ~CPUID_1_ECX_OSXSAVE;
        regs->ecx |= registers->cr4 & CR4_OSXSAVE ? CPUID_1_ECX_OSXSAVE : 0;
        regs->edx &= ~CPUID_1_EDX_APIC;
        regs->edx |= registers->apic_enabled ? view->has_apic : 0;
        break;
    case CPUID_DYNAMIC_OSPKE:
        regs->ecx &= ~CPUID_7_ECX_OSPKE;
        regs->ecx |= registers->cr4 & CR4_PKE ? CPUID_7_ECX_OSPKE : 0;
        break;
    case CPUID_DYNAMIC_XSAVE:
    case CPUID_DYNAMIC_XSAVEC: /* the guest may set no bit of IA32_XSS */
        regs->ebx = cpuid_view_xsave_bytes(view, registers->xcr0,
                                           entry->dynamic == CPUID_DYNAMIC_XSAVEC);
        break;
    default:
        break;
    }
}

void cpuid_view_follow(struct cpuid_view *view, const struct cpuid_view_registers *registers)
{
    for (unsigned i = 0; i < view->count; i++)
        entry_follow(view, &view->entries[i], registers);
}

static void view_mark_static(struct cpuid_view *view)
{
    for (unsigned leaf = 0; leaf <= CPUID_VIEW_MAX_BASIC; leaf++) {
        struct cpuid_view_leaf *at = &view->basic[leaf];
        at->static_count = at->count;
        for (unsigned i = 0; i < at->count; i++) {
            if (entry_follows_cr4(&at->entries[i]) && !view->cr4_seen)
                at->static_count = 0;
        }
    }
}

void cpuid_view_make(struct cpuid_view *view, const struct cpuid_view_request *r)
{
    struct cpuid_regs host0 = r->host(CPUID_LEAF_VENDOR, 0);
    struct cpuid_regs *to;

    memset(view, 0, sizeof(*view));
    view->count = 1; /* entry 0 stays zero */
    view->cr4_seen = r->cr4_seen;
    to = view_add_any(view, &view->basic[CPUID_LEAF_VENDOR], CPUID_STATIC);
    *to = host0;
    to->eax = CPUID_VIEW_MAX_BASIC;
    view_features(view, r);
    if (host0.eax >= CPUID_LEAF_CACHE_DESCRIPTORS)
        *view_add_any(view, &view->basic[CPUID_LEAF_CACHE_DESCRIPTORS], CPUID_STATIC) =
            r->host(CPUID_LEAF_CACHE_DESCRIPTORS, 0);
    if (host0.eax >= CPUID_LEAF_CACHE)
        view_caches(view, r);
    /* The local APIC's timer is ours and never stops. */
    view_add_any(view, &view->basic[CPUID_LEAF_POWER], CPUID_STATIC)->eax = POWER_EAX_ARAT;
    if (host0.eax >= CPUID_LEAF_EXTENDED_FEATURES)
        view_extended_features(view, r);
    view_topology(view, r);
    if (host0.eax >= CPUID_LEAF_XSAVE)
        view_xsave(view, r);
    view_time(view, r);
    view_extended(view, r);
    view_hypervisor(view, r);
    view_mark_static(view);
}

uint64_t cpuid_view_cr4(const struct cpuid_view *view)
{
    const struct cpuid_regs *f1 = &cpuid_view_find(view, CPUID_LEAF_FEATURES, 0)->regs;
    const struct cpuid_regs *f7 = &cpuid_view_find(view, CPUID_LEAF_EXTENDED_FEATURES, 0)->regs;
    uint64_t bits = CR4_PCE; /* RDPMC exits; without counters in CPUID it is #GP */

    bits |= f1->edx & CPUID_1_EDX_VME ? CR4_VME | CR4_PVI : 0;
    bits |= f1->edx & CPUID_1_EDX_TSC ? CR4_TSD : 0;
    bits |= f1->edx & CPUID_1_EDX_DE ? CR4_DE : 0;
    bits |= f1->edx & CPUID_1_EDX_PSE ? CR4_PSE : 0;
    bits |= f1->edx & CPUID_1_EDX_PAE ? CR4_PAE : 0;
    bits |= f1->edx & CPUID_1_EDX_MCE ? CR4_MCE : 0;
    bits |= f1->edx & CPUID_1_EDX_PGE ? CR4_PGE : 0;
    bits |= f1->edx & CPUID_1_EDX_FXSR ? CR4_OSFXSR : 0;
    bits |= f1->edx & CPUID_1_EDX_SSE ? CR4_OSXMMEXCPT : 0;
    bits |= f7->ecx & CPUID_7_ECX_UMIP ? CR4_UMIP : 0;
    bits |= f7->ebx & CPUID_7_EBX_FSGSBASE ? CR4_FSGSBASE : 0;
    bits |= f1->ecx & CPUID_1_ECX_PCID ? CR4_PCIDE : 0;
    bits |= f1->ecx & CPUID_1_ECX_XSAVE ? CR4_OSXSAVE : 0;
    bits |= f7->ebx & CPUID_7_EBX_SMEP ? CR4_SMEP : 0;
    bits |= f7->ebx & CPUID_7_EBX_SMAP ? CR4_SMAP : 0;
    bits |= f7->ecx & CPUID_7_ECX_PKU ? CR4_PKE : 0;
    return bits;
}
