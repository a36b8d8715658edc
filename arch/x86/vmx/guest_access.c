/*
 * The guest's memory and ports as the emulator sees them: linear addresses through the guest's page
 * tables, RAM by copying, everything else to the local APIC or the bus.
 *
 * Guest memory may change under every read: what is read is read once.
 */
#include "arch/x86/vmx/code_path.h"
#include "hv/log.h"
#include "hv/string.h"
#include "x86/guest_walk.h"

/* Iterations of a repeated string instruction between two looks at interrupts. */
#define STRING_BATCH 256

uint64_t vmx_guest_rsp(struct vmx_vcpu *v)
{
    v->gprs.r[X86_RSP] = vmcs_read(VMCS_GUEST_RSP);
    return v->gprs.r[X86_RSP];
}

uint64_t vmx_guest_gpr(struct vmx_vcpu *v, unsigned gpr)
{
    return gpr == X86_RSP ? vmx_guest_rsp(v) : v->gprs.r[gpr & 15u];
}

/* As an instruction writes it: 4 bytes clear the upper half, 1 and 2 leave what is above. */
void vmx_guest_gpr_write(struct vmx_vcpu *v, unsigned gpr, unsigned size_bytes, uint64_t value)
{
    uint64_t old = vmx_guest_gpr(v, gpr);

    if (size_bytes < 4)
        value = (old & ~bus_size_mask(size_bytes)) | (value & bus_size_mask(size_bytes));
    else if (size_bytes == 4)
        value = (uint32_t)value;
    v->gprs.r[gpr & 15u] = value;
    if (gpr == X86_RSP)
        vmcs_write(VMCS_GUEST_RSP, value);
}

enum emul_mode vmx_guest_mode(struct vmx_vcpu *v)
{
    uint32_t rights = (uint32_t)vmcs_read(VMCS_GUEST_CS_ACCESS_RIGHTS);

    (void)v;
    if ((rights & VMX_AR_L) && (vmcs_read(VMCS_GUEST_IA32_EFER) & EFER_LMA))
        return EMUL_MODE_64;
    if (!(vmcs_read(VMCS_GUEST_CR0) & CR0_PE) || (vmcs_read(VMCS_GUEST_RFLAGS) & RFLAGS_VM))
        return rights & VMX_AR_DB ? EMUL_MODE_32 : EMUL_MODE_16;
    return rights & VMX_AR_DB ? EMUL_MODE_32 : EMUL_MODE_16;
}

static uint8_t guest_cpl(void)
{
    return (uint8_t)vmx_ar_dpl((uint32_t)vmcs_read(VMCS_GUEST_SS_ACCESS_RIGHTS));
}

static void walk_state(struct vmx_vcpu *v, struct guest_walk_state *s)
{
    *s = (struct guest_walk_state){
        .cr0 = vmcs_read(VMCS_GUEST_CR0),
        .cr3 = vmcs_read(VMCS_GUEST_CR3),
        .cr4 = vmcs_read(VMCS_GUEST_CR4),
        .efer = vmcs_read(VMCS_GUEST_IA32_EFER),
        .rflags = vmcs_read(VMCS_GUEST_RFLAGS),
        .cpl = guest_cpl(),
        .maxphyaddr_bits = v->vm->physical_address_bits,
        .has_1g_pages = true,
    };
    if ((s->cr0 & CR0_PG) && (s->cr4 & CR4_PAE) && !(s->efer & EFER_LMA)) {
        for (unsigned i = 0; i < 4; i++)
            s->pdptes[i] = vmcs_read(VMCS_GUEST_PDPTE0 + 2 * i);
    }
    if (s->cr4 & CR4_PKE)
        s->pkru = rdpkru();
}

static enum guest_walk_status entry_read(void *ctx, gpa_t gpa, unsigned size_bytes, uint64_t *value)
{
    struct vmx_vcpu *v = ctx;
    const void *at = gpa_space_pointer(&v->vcpu.vm->memory, gpa, size_bytes);

    if (!at)
        return GUEST_WALK_UNMAPPED;
    *value = size_bytes == 4 ? __atomic_load_n((const uint32_t *)at, __ATOMIC_RELAXED)
                             : __atomic_load_n((const uint64_t *)at, __ATOMIC_RELAXED);
    if (v->recording)
        vmx_code_path_add(v, at, size_bytes, *value);
    return GUEST_WALK_OK;
}

static bool exchange(void *at, unsigned size_bytes, uint64_t expected, uint64_t desired)
{
    uint8_t e1 = (uint8_t)expected;
    uint16_t e2 = (uint16_t)expected;
    uint32_t e4 = (uint32_t)expected;

    switch (size_bytes) {
    case 1:
        return __atomic_compare_exchange_n((uint8_t *)at, &e1, (uint8_t)desired, false,
                                           __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    case 2:
        return __atomic_compare_exchange_n((uint16_t *)at, &e2, (uint16_t)desired, false,
                                           __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    case 4:
        return __atomic_compare_exchange_n((uint32_t *)at, &e4, (uint32_t)desired, false,
                                           __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    default:
        return __atomic_compare_exchange_n((uint64_t *)at, &expected, desired, false,
                                           __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
}

static enum guest_walk_status entry_cmpxchg(void *ctx, gpa_t gpa, unsigned size_bytes,
                                            uint64_t expected, uint64_t desired)
{
    struct vmx_vcpu *v = ctx;
    void *at = gpa_space_pointer(&v->vcpu.vm->memory, gpa, size_bytes);

    if (!at)
        return GUEST_WALK_UNMAPPED;
    if (!gpa_space_find(&v->vcpu.vm->memory, gpa)->writable)
        return GUEST_WALK_OK; /* tables in ROM: the flags stay as they are, the write is dropped */
    return exchange(at, size_bytes, expected, desired) ? GUEST_WALK_OK : GUEST_WALK_RETRY;
}

static const struct guest_walk_ops walk_ops = { entry_read, entry_cmpxchg };

static enum emul_status translate(struct vmx_vcpu *v, gva_t linear, unsigned access, gpa_t *gpa,
                                  struct x86_fault *fault)
{
    struct guest_walk_state state;
    struct guest_walk_result result;

    walk_state(v, &state);
    switch (guest_walk(&state, linear, access, &walk_ops, v, &result)) {
    case GUEST_WALK_OK:
        *gpa = result.gpa;
        return EMUL_OK;
    case GUEST_WALK_FAULT:
        *fault = result.fault;
        return EMUL_FAULT;
    case GUEST_WALK_RETRY:
        return EMUL_RETRY;
    default:
        vmx_crash(v, "page tables in memory that is not there, 0x%llx",
                  (unsigned long long)result.gpa.v);
        return EMUL_ABORT;
    }
}

bool vmx_peek_linear(struct vmx_vcpu *v, gva_t linear, gpa_t *gpa)
{
    struct guest_walk_state state;
    struct guest_walk_result result;

    walk_state(v, &state);
    state.cpl = 0;
    state.cr4 &= ~(uint64_t)(CR4_SMAP | CR4_PKE);
    if (guest_walk(&state, linear, GUEST_ACCESS_READ | GUEST_ACCESS_PEEK, &walk_ops, v, &result) !=
        GUEST_WALK_OK)
        return false;
    *gpa = result.gpa;
    return true;
}

/* --- physical --- */

enum bus_answer vmx_mmio(struct vmx_vcpu *v, gpa_t gpa, unsigned size_bytes, bool write,
                         uint64_t *value)
{
    uint32_t offset = (uint32_t)(gpa.v & HV_PAGE_MASK);

    if (lapic_is_at(v->lapic, gpa)) {
        if (write)
            lapic_mmio_write(v->lapic, offset, size_bytes, *value);
        else
            *value = lapic_mmio_read(v->lapic, offset, size_bytes);
        return BUS_DONE;
    }
    return bus_dispatch(&v->vcpu.vm->bus, BUS_MMIO, gpa.v, size_bytes, write, value);
}

/* RAM of a naturally aligned size in one access, as the processor's would be. */
static void ram_copy(void *to, const void *from, unsigned size_bytes)
{
    switch (size_bytes) {
    case 2:
        __builtin_memcpy(to, from, 2);
        break;
    case 4:
        __builtin_memcpy(to, from, 4);
        break;
    case 8:
        __builtin_memcpy(to, from, 8);
        break;
    default:
        memcpy(to, from, size_bytes);
        break;
    }
}

/* A piece that lies in one page. Devices take 1, 2, 4 or 8 bytes; other lengths (a piece of an
 * operand that crosses pages, or 16 bytes) go byte by byte. */
static enum emul_status physical(struct vmx_vcpu *v, gpa_t gpa, unsigned size_bytes, bool write,
                                 uint8_t *bytes)
{
    void *ram = gpa_space_pointer(&v->vcpu.vm->memory, gpa, size_bytes);
    bool whole = size_bytes == 1 || size_bytes == 2 || size_bytes == 4 || size_bytes == 8;
    unsigned step = whole ? size_bytes : 1;

    if (ram) {
        const struct gpa_slot *slot = gpa_space_find(&v->vcpu.vm->memory, gpa);
        if (!write)
            ram_copy(bytes, ram, size_bytes);
        else if (slot->writable)
            ram_copy(ram, bytes, size_bytes);
        return EMUL_OK;
    }
    for (unsigned i = 0; i < size_bytes; i += step) {
        uint64_t value = 0;
        if (write)
            memcpy(&value, bytes + i, step);
        if (vmx_mmio(v, GPA(gpa.v + i), step, write, &value) == BUS_FAULT) {
            vmx_crash(v, "device memory 0x%llx: the device cannot take this access",
                      (unsigned long long)gpa.v + i);
            return EMUL_ABORT;
        }
        if (!write)
            memcpy(bytes + i, &value, step);
    }
    return EMUL_OK;
}

/* Both pages of an operand are translated before either is touched, so that a fault leaves nothing
 * half done. */
static enum emul_status linear_access(struct vmx_vcpu *v, gva_t linear, unsigned size_bytes,
                                      unsigned access, bool write, uint8_t *bytes,
                                      struct x86_fault *fault)
{
    unsigned first = (unsigned)hv_min_u64(size_bytes, HV_PAGE_BYTES - (linear.v & HV_PAGE_MASK));
    gpa_t gpa[2];
    enum emul_status status = translate(v, linear, access, &gpa[0], fault);

    if (status == EMUL_OK && first < size_bytes)
        status = translate(v, GVA(linear.v + first), access, &gpa[1], fault);
    if (status == EMUL_OK)
        status = physical(v, gpa[0], first, write, bytes);
    if (status == EMUL_OK && first < size_bytes)
        status = physical(v, gpa[1], size_bytes - first, write, bytes + first);
    return status;
}

enum emul_status vmx_linear_read(struct vmx_vcpu *v, gva_t linear, void *bytes,
                                 unsigned size_bytes, unsigned access, struct x86_fault *fault)
{
    return linear_access(v, linear, size_bytes, access, false, bytes, fault);
}

enum emul_status vmx_linear_write(struct vmx_vcpu *v, gva_t linear, const void *bytes,
                                  unsigned size_bytes, unsigned access, struct x86_fault *fault)
{
    uint8_t copy[VMX_LINEAR_BYTES_MAX];

    memcpy(copy, bytes, size_bytes);
    return linear_access(v, linear, size_bytes, access | GUEST_ACCESS_WRITE, true, copy, fault);
}

enum emul_status vmx_linear_probe(struct vmx_vcpu *v, gva_t linear, unsigned size_bytes,
                                  unsigned access, struct x86_fault *fault)
{
    unsigned first = (unsigned)hv_min_u64(size_bytes, HV_PAGE_BYTES - (linear.v & HV_PAGE_MASK));
    gpa_t gpa;
    enum emul_status status = translate(v, linear, access, &gpa, fault);

    if (status == EMUL_OK && first < size_bytes)
        status = translate(v, GVA(linear.v + first), access, &gpa, fault);
    return status;
}

static __attribute__((cold, noinline)) void watch_operand(struct vmx_vcpu *v, gva_t linear,
                                                          unsigned size_bytes, bool write)
{
    vmx_watch(v, write ? BREAKPOINT_WRITE : BREAKPOINT_READ, linear.v, size_bytes);
}

static enum emul_status op_read(void *ctx, gva_t linear, unsigned size_bytes, uint64_t *value,
                                unsigned access, struct x86_fault *fault)
{
    struct vmx_vcpu *v = ctx;
    uint8_t bytes[16] = { 0 };
    unsigned walk = access & EMUL_ACCESS_WRITE ? GUEST_ACCESS_WRITE : GUEST_ACCESS_READ;
    enum emul_status status = linear_access(v, linear, size_bytes, walk, false, bytes, fault);

    if (HV_UNLIKELY(v->watching))
        watch_operand(v, linear, size_bytes, false);
    memcpy(value, bytes, size_bytes > 8 ? 16 : 8);
    return status;
}

static enum emul_status op_write(void *ctx, gva_t linear, unsigned size_bytes,
                                 const uint64_t *value, unsigned access, struct x86_fault *fault)
{
    struct vmx_vcpu *v = ctx;
    uint8_t bytes[16];

    (void)access;
    if (HV_UNLIKELY(v->watching))
        watch_operand(v, linear, size_bytes, true);
    memcpy(bytes, value, size_bytes > 8 ? 16 : 8);
    return linear_access(v, linear, size_bytes, GUEST_ACCESS_WRITE, true, bytes, fault);
}

enum emul_status vmx_linear_exchange(struct vmx_vcpu *v, gva_t linear, unsigned size_bytes,
                                     uint64_t expected, uint64_t desired, unsigned access,
                                     struct x86_fault *fault)
{
    gpa_t gpa;
    enum emul_status status;
    void *ram;

    access |= GUEST_ACCESS_WRITE;
    if ((linear.v & HV_PAGE_MASK) + size_bytes > HV_PAGE_BYTES)
        return vmx_linear_write(v, linear, &desired, size_bytes, access, fault);
    status = translate(v, linear, access, &gpa, fault);
    if (status != EMUL_OK)
        return status;
    ram = gpa_space_pointer(&v->vcpu.vm->memory, gpa, size_bytes);
    if (!ram)
        return vmx_linear_write(v, linear, &desired, size_bytes, access, fault);
    if (!gpa_space_find(&v->vcpu.vm->memory, gpa)->writable)
        return EMUL_OK; /* as a plain write to it: dropped */
    return exchange(ram, size_bytes, expected, desired) ? EMUL_OK : EMUL_RETRY;
}

static enum emul_status op_cmpxchg(void *ctx, gva_t linear, unsigned size_bytes,
                                   const uint64_t *expected, const uint64_t *desired,
                                   struct x86_fault *fault)
{
    struct vmx_vcpu *v = ctx;

    if (size_bytes > 8)
        return op_write(ctx, linear, size_bytes, desired, EMUL_ACCESS_LOCKED, fault);
    if (HV_UNLIKELY(v->watching))
        watch_operand(v, linear, size_bytes, true);
    return vmx_linear_exchange(v, linear, size_bytes, *expected, *desired, GUEST_ACCESS_WRITE,
                               fault);
}

static enum emul_status op_probe_write(void *ctx, gva_t linear, unsigned size_bytes,
                                       struct x86_fault *fault)
{
    return vmx_linear_probe(ctx, linear, size_bytes, GUEST_ACCESS_WRITE, fault);
}

static enum emul_status port_access(struct vmx_vcpu *v, uint16_t port, unsigned size_bytes,
                                    bool write, uint64_t *value)
{
    if (HV_UNLIKELY(v->watching))
        vmx_watch(v, BREAKPOINT_PORT, port, size_bytes);
    if (bus_dispatch(&v->vcpu.vm->bus, BUS_PORT, port, size_bytes, write, value) != BUS_FAULT)
        return EMUL_OK;
    vmx_crash(v, "port 0x%04x: the device cannot take this access", port);
    return EMUL_ABORT;
}

static enum emul_status op_port_in(void *ctx, uint16_t port, unsigned size_bytes, uint32_t *value,
                                   struct x86_fault *fault)
{
    uint64_t got = 0;
    enum emul_status status = port_access(ctx, port, size_bytes, false, &got);

    (void)fault;
    *value = (uint32_t)got;
    return status;
}

static enum emul_status op_port_out(void *ctx, uint16_t port, unsigned size_bytes, uint32_t value,
                                    struct x86_fault *fault)
{
    uint64_t out = value;

    (void)fault;
    return port_access(ctx, port, size_bytes, true, &out);
}

static void op_get_segment(void *ctx, enum x86_seg segment, struct emul_segment *out)
{
    /* The fields of the six registers stand in the VMCS in the order of their encoding. */
    uint32_t step = 2u * (uint32_t)segment;

    (void)ctx;
    out->base = vmcs_read(VMCS_GUEST_ES_BASE + step);
    out->limit = (uint32_t)vmcs_read(VMCS_GUEST_ES_LIMIT + step);
    out->access_rights = (uint32_t)vmcs_read(VMCS_GUEST_ES_ACCESS_RIGHTS + step);
}

const struct emul_ops vmx_emul_ops = {
    op_read, op_write, op_cmpxchg, op_probe_write, op_port_in, op_port_out, op_get_segment,
};

/* --- instructions --- */

void vmx_emul_state(struct vmx_vcpu *v, struct emul_state *state)
{
    vmx_guest_rsp(v);
    *state = (struct emul_state){
        .gprs = &v->gprs,
        .rflags = vmcs_read(VMCS_GUEST_RFLAGS),
        .rip = vmcs_read(VMCS_GUEST_RIP),
        .cr0 = vmcs_read(VMCS_GUEST_CR0),
        .cr4 = vmcs_read(VMCS_GUEST_CR4),
        .mode = (uint8_t)vmx_guest_mode(v),
        .cpl = guest_cpl(),
    };
}

/* *code is where the bytes are, if 16 of them are RAM in one page. */
static enum emul_status fetch(struct vmx_vcpu *v, gva_t at, unsigned want, uint8_t *bytes,
                              unsigned *got, const uint8_t **code, struct x86_fault *fault)
{
    unsigned first = (unsigned)hv_min_u64(want, HV_PAGE_BYTES - (at.v & HV_PAGE_MASK));
    gpa_t gpa;
    enum emul_status status = translate(v, at, GUEST_ACCESS_FETCH, &gpa, fault);

    *got = 0;
    if (status != EMUL_OK)
        return status;
    if (gpa_space_read(&v->vcpu.vm->memory, gpa, bytes, first) != HV_OK)
        return EMUL_ABORT;
    *got = first;
    *code = (at.v & HV_PAGE_MASK) + 16 <= HV_PAGE_BYTES
                ? gpa_space_pointer(&v->vcpu.vm->memory, gpa, 16)
                : NULL;
    return EMUL_OK;
}

/* Is this what was decoded at this place before? */
static bool is_decoded(const struct vmx_code_path *path, uint64_t rip, enum emul_mode mode,
                       const uint8_t *bytes, unsigned got)
{
    unsigned length = path->insn.length_bytes;

    return path->insn_rip == rip && length && length <= got && path->insn.mode == mode &&
           memcmp(bytes, path->insn.bytes, length) == 0;
}

static enum emul_status fetch_anew(struct vmx_vcpu *v, const struct emul_insn **insn,
                                   struct x86_fault *fault)
{
    enum emul_mode mode = vmx_guest_mode(v);
    uint64_t rip = vmcs_read(VMCS_GUEST_RIP);
    uint64_t linear = mode == EMUL_MODE_64 ? rip
                                           : (uint32_t)(rip + vmcs_read(VMCS_GUEST_CS_BASE));
    struct vmx_code_path *path = vmx_code_path_at(v, rip);
    uint8_t bytes[EMUL_INSN_BYTES_MAX];
    unsigned got, more;
    const uint8_t *code;
    enum emul_status status;

    vmx_code_path_begin(v, path);
    status = fetch(v, GVA(linear), sizeof(bytes), bytes, &got, &code, fault);
    v->recording = NULL;
    if (status != EMUL_OK)
        return status;
    *insn = &path->insn;
    if (!is_decoded(path, rip, mode, bytes, got)) {
        path->insn_rip = rip;
        status = emul_decode(bytes, got, mode, &path->insn);
    }
    if (status == EMUL_OK && mode == EMUL_MODE_64)
        vmx_code_path_end(path, rip, code);
    if (status != EMUL_NEED_BYTES)
        return status;
    /* It goes on in the next page. */
    status = fetch(v, GVA(linear + got), (unsigned)sizeof(bytes) - got, bytes + got, &more, &code,
                   fault);
    return status == EMUL_OK ? emul_decode(bytes, got + more, mode, &path->insn) : status;
}

enum emul_status vmx_fetch_decode(struct vmx_vcpu *v, const struct emul_insn **insn,
                                  struct x86_fault *fault)
{
    const struct vmx_code_path *path = vmx_code_path_find(v);

    if (HV_UNLIKELY(!path))
        return fetch_anew(v, insn, fault);
    *insn = &path->insn;
    return EMUL_OK;
}

unsigned vmx_emulate(struct vmx_vcpu *v, const struct emul_insn *insn)
{
    struct emul_state state;
    struct x86_fault fault;
    enum emul_status status;
    uint64_t rsp;

    vmx_emul_state(v, &state);
    rsp = v->gprs.r[X86_RSP];
    /* A breakpoint traps after the iteration that meets it. */
    v->watching = vmx_has_breakpoints(v);
    v->watch_met = 0;
    status = emul_execute(insn, &state, v->watching ? 1 : STRING_BATCH, &vmx_emul_ops, v, &fault);
    v->watching = false;
    if (status == EMUL_OK || status == EMUL_AGAIN) {
        vmx_watch_raise(v);
        vmcs_write(VMCS_GUEST_RFLAGS, state.rflags);
        if (v->gprs.r[X86_RSP] != rsp)
            vmcs_write(VMCS_GUEST_RSP, v->gprs.r[X86_RSP]);
    }
    switch (status) {
    case EMUL_OK:
        v->exit.length = insn->length_bytes;
        return EXIT_NEXT | VCPU_RUN;
    case EMUL_AGAIN:
        vmx_end_iteration(v);
        return EXIT_KEEP | VCPU_RUN;
    case EMUL_RETRY:
        return EXIT_KEEP | VCPU_RUN;
    case EMUL_FAULT:
        vmx_queue_fault(v, &fault);
        return EXIT_KEEP | VCPU_RUN;
    case EMUL_ABORT:
        return EXIT_KEEP | VCPU_END;
    default:
        return vmx_crash(v, "%s: %s", emul_op_name((enum emul_op)insn->op),
                         emul_status_name(status));
    }
}
