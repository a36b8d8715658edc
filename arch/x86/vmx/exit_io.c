/*
 * IN, OUT, INS, OUTS. The plain forms are answered from the exit qualification alone; the string
 * forms go through the emulator, in bounded batches.
 * SDM volume 3 "Exit Qualification for I/O Instructions".
 */
#include "arch/x86/vmx/vcpu.h"

static unsigned io_string(struct vmx_vcpu *v)
{
    const struct emul_insn *insn;
    struct x86_fault fault;

    switch (vmx_fetch_decode(v, &insn, &fault)) {
    case EMUL_OK:
        return vmx_emulate(v, insn);
    case EMUL_FAULT:
        vmx_queue_fault(v, &fault);
        return EXIT_KEEP | VCPU_RUN;
    case EMUL_RETRY:
        return EXIT_KEEP | VCPU_RUN;
    default:
        return vmx_crash(v, "a string I/O instruction that does not decode");
    }
}

/* Two and four bytes, and what the short way does not answer. */
static __attribute__((noinline)) unsigned io_any(struct vmx_vcpu *v)
{
    struct vmx_io_access io = vmx_io_access_decode(v->exit.qualification);
    uint64_t *rax = &v->gprs.r[X86_RAX];
    uint64_t mask = bus_size_mask(io.size);
    uint64_t value = *rax & mask;

    if (HV_UNLIKELY(io.string))
        return io_string(v);
    if (HV_UNLIKELY(bus_dispatch(&v->vcpu.vm->bus, BUS_PORT, io.port, io.size, !io.in, &value) ==
                    BUS_FAULT))
        return vmx_crash(v, "port 0x%04x: the device cannot take this access", io.port);
    if (io.in)
        *rax = io.size == 4 ? value : (*rax & ~mask) | value;
    return EXIT_NEXT | VCPU_RUN;
}

static unsigned io_in8(struct vmx_vcpu *v, uint16_t port)
{
    int value = bus_port_read8(&v->vcpu.vm->bus, port);

    if (HV_UNLIKELY(value < 0))
        return io_any(v);
    *(uint8_t *)&v->gprs.r[X86_RAX] = (uint8_t)value;
    return EXIT_NEXT | VCPU_RUN;
}

static unsigned io_in32(struct vmx_vcpu *v, uint16_t port)
{
    int64_t value = bus_port_read32(&v->vcpu.vm->bus, port);

    if (HV_UNLIKELY(value < 0))
        return io_any(v);
    v->gprs.r[X86_RAX] = (uint64_t)value;
    return EXIT_NEXT | VCPU_RUN;
}

static unsigned io_out8(struct vmx_vcpu *v, uint16_t port)
{
    if (HV_UNLIKELY(bus_port_write8(&v->vcpu.vm->bus, port, (uint8_t)v->gprs.r[X86_RAX]) !=
                    BUS_DONE))
        return io_any(v);
    return EXIT_NEXT | VCPU_RUN;
}

static __attribute__((cold, noinline)) void io_watch(struct vmx_vcpu *v)
{
    struct vmx_io_access io = vmx_io_access_decode(v->exit.qualification);

    if (io.string)
        return; /* the emulator does it, by iteration */
    vmx_watch(v, BREAKPOINT_PORT, io.port, io.size);
    vmx_watch_raise(v);
}

/* Size, direction and kind are five adjacent bits: one look tells the common forms. */
unsigned exit_io(struct vmx_vcpu *v)
{
    uint64_t qualification = v->exit.qualification;
    uint16_t port = vmx_io_access_decode(qualification).port;

    if (HV_UNLIKELY(vmx_has_breakpoints(v)))
        io_watch(v);
    switch (qualification & (VMX_IO_SIZE | VMX_IO_IN | VMX_IO_STRING)) {
    case VMX_IO_SIZE_1 | VMX_IO_IN:
        return io_in8(v, port);
    case VMX_IO_SIZE_1:
        return io_out8(v, port);
    case VMX_IO_SIZE_4 | VMX_IO_IN:
        return io_in32(v, port);
    default:
        return io_any(v);
    }
}
