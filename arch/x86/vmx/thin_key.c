/*
 * The hot key of thin mode (hot-key = serial): the data port of one serial port exits, nothing else of
 * it, so that a machine on which nobody types takes no exits.
 *
 * One byte is moved by us; every other access that meets the port (words, strings) is executed by
 * the processor itself, with the bitmap off for one instruction; without a monitor trap flag (no
 * processor that is known to do the rest lacks it, but Bochs 2.7 does) for good, on that core.
 * The port is found before the first core goes: the one that firmware names (ACPI SPCR), or else the
 * first of COM1 to COM4 that answers; ports in memory have no I/O bitmap.
 * Lock: none, as for the port itself (hv/drv_serial_key.h).
 * SDM volume 3 "I/O-Bitmap Addresses", "Exit Qualification for I/O Instructions", "Monitor Trap Flag".
 */
#include "arch/x86/vmx/thin_internal.h"
#include "hv/drv_uart16550.h"
#include "hv/machine.h"
#include "hv/page_alloc.h"
#include "x86/acpi_host.h"
#include "x86/vmx_errors.h"

#define BITMAP_PAGES 2
#define RECORDS 8 /* of each core */

/* --- finding it --- */

static uint16_t find_port(void)
{
    const struct acpi_spcr *spcr = &acpi_host()->spcr;
    struct uart_place place = spcr->place;

    if (spcr->present && place.space == HV_SPACE_PORT && uart_host_probe(&hv_machine_access, &place))
        return (uint16_t)place.base;
    for (unsigned i = 0; i < UART_HOST_PORTS; i++) {
        place = uart_host_legacy_place(uart_host_bases[i]);
        if (uart_host_probe(&hv_machine_access, &place))
            return uart_host_bases[i];
    }
    return 0;
}

bool thin_key_prepare(struct thin_machine *m, const char **why)
{
    uint16_t base;

    if (m->setup.info->config.hot_key == CONFIG_HOT_KEY_OFF)
        return true;
    *why = "hot-key = serial: no serial port answers";
    base = find_port();
    if (!base || page_alloc_take(machine_pages(), BITMAP_PAGES, PAGE_ALIGN_4K, PAGE_ALLOC_ZERO,
                                 &m->x.io_bitmaps) != HV_OK)
        return false;
    ((uint8_t *)m->x.io_bitmaps.v)[base / 8] = (uint8_t)(1u << base % 8);
    m->key = (struct serial_key){ .access = &hv_machine_access, .base = base };
    return true;
}

/* --- what it shows --- */

static const struct vmx_vcpu *vcpu_of_core(unsigned index)
{
    return percpu_at(index)->vmx;
}

static void show_exits(struct serial_key *key)
{
    for (unsigned reason = 0; reason < VMEXIT_COUNT; reason++) {
        uint64_t all = 0;
        for (unsigned i = 0; i < percpu_count(); i++)
            all += vcpu_of_core(i)->exits[reason];
        if (all)
            serial_key_line(key, "%-24s %llu", vmx_exit_reason_name(reason), (unsigned long long)all);
    }
}

static void show_trace(struct serial_key *key, const struct thin_machine *m)
{
    char text[300];

    for (unsigned i = 0; i < percpu_count(); i++) {
        const struct vmx_trace *trace = &vcpu_of_core(i)->recorder.trace;
        serial_key_line(key, "core %u: %s", i, vmx_trace_heading);
        for (uint64_t n = vmx_trace_first(trace, RECORDS); n < trace->count; n++) {
            vmx_trace_describe(text, sizeof(text), vmx_trace_at(trace, n), m->x.start_tsc);
            serial_key_line(key, "%s", text);
        }
    }
}

static void show_caps(struct serial_key *key, const struct thin_machine *m)
{
    const struct vmx_controls *c = &m->x.controls;

    serial_key_line(key, "pin %#x cpu %#x %#x %#llx exit %#x entry %#x", c->pin, c->cpu, c->cpu2,
                    (unsigned long long)c->cpu3, c->exit, c->entry);
    serial_key_line(key, "EPT %#llx, hidden %#llx from %#llx", (unsigned long long)m->x.eptp,
                    (unsigned long long)m->setup.block_bytes,
                    (unsigned long long)m->setup.block_start);
}

static void command(void *ctx, char what)
{
    struct thin_machine *m = ctx;

    serial_key_line(&m->key, "\r\nTrapline");
    if (what == 'e')
        show_exits(&m->key);
    else if (what == 't')
        show_trace(&m->key, m);
    else if (what == 'c')
        show_caps(&m->key, m);
    else
        serial_key_line(&m->key, "Ctrl-A and e: exits, t: trace, c: controls, Ctrl-A: itself");
}

/* --- exits --- */

unsigned thin_io(struct vmx_vcpu *v)
{
    struct vmx_io_access io = vmx_io_access_decode(v->exit.qualification);
    struct thin_machine *m = thin_machine_of(v);
    uint8_t *al = (uint8_t *)&v->gprs.r[X86_RAX];

    if (io.size != 1 || io.string) {
        vmx_set_cpu_controls(v, thin_core_of_vcpu(v)->step, CPU_USE_IO_BITMAPS);
        return EXIT_KEEP | VCPU_RUN;
    }
    if (io.in)
        *al = serial_key_read(&m->key, command, m);
    else
        out8(io.port, *al);
    return EXIT_NEXT | VCPU_RUN;
}

/* The instruction, or an event before it, is done. */
unsigned thin_trap_flag(struct vmx_vcpu *v)
{
    vmx_set_cpu_controls(v, CPU_USE_IO_BITMAPS, CPU_MONITOR_TRAP_FLAG);
    return EXIT_KEEP | VCPU_RUN;
}
