/*
 * Finds the devices that make the machine's console.
 *
 * Not here: the console itself (vmm/core/console.c). Boot core only; no lock.
 */
#include "hv/drv_console.h"
#include "hv/drv_uart16550.h"
#include "hv/log.h"

uint16_t console_start_serial(const struct boot_info *info)
{
    static struct uart_host uart; /* the console keeps it from here on */
    if (info->config.console == CONFIG_CONSOLE_SCREEN)
        return 0;
    for (unsigned i = 0; i < UART_HOST_PORTS; i++) {
        if (!uart_host_probe(&hv_machine_ports, uart_host_bases[i]))
            continue;
        uart_host_init(&uart, &hv_machine_ports, uart_host_bases[i]);
        struct hv_console_backend backend = uart_host_backend(&uart);
        if (console_add(&backend) != HV_OK)
            return 0;
        hv_info("serial console at port 0x%x", uart.base);
        return uart.base;
    }
    return 0;
}
