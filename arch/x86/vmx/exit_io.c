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

unsigned exit_io(struct vmx_vcpu *v)
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
