// SRCS: arch/x86/cpu/acpi_host.c arch/x86/cpu/acpi_s5.c arch/x86/cpu/acpi_spcr.c drivers/uart16550_host.c
/*
 * The machine's ACPI tables, as any bytes. Each mapping is a copy of exactly the bytes that were
 * asked for, so that a read beyond them is seen. Checksums are repaired in the copies: a fuzzer
 * would never guess them, and firmware that lies has them right.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "x86/acpi_host.h"

#define BASE UINT64_C(0x1000)
#define MAX_COPIES 4096

static const uint8_t *input;
static size_t input_bytes;
static void *copies[MAX_COPIES];
static unsigned copy_count;

static void repair(uint8_t *data, uint64_t bytes, uint64_t where)
{
    uint8_t sum = 0;
    if (where >= bytes)
        return;
    data[where] = 0;
    for (uint64_t i = 0; i < bytes; i++)
        sum = (uint8_t)(sum + data[i]);
    data[where] = (uint8_t)-sum;
}

static const void *copy_out(void *context, uint64_t physical, uint64_t bytes)
{
    uint8_t *copy;

    (void)context;
    if (physical < BASE || physical - BASE > input_bytes || copy_count == MAX_COPIES ||
        bytes > input_bytes - (physical - BASE))
        return NULL;
    copy = malloc(bytes ? bytes : 1);
    memcpy(copy, input + (physical - BASE), bytes);
    copies[copy_count++] = copy;
    if (physical == BASE) { /* the root pointer: its two checksums */
        memcpy(copy, "RSD PTR ", bytes < 8 ? bytes : 8);
        repair(copy, bytes < 20 ? bytes : 20, 8);
        if (bytes == 36)
            repair(copy, 36, 32);
    } else {
        repair(copy, bytes, 9);
    }
    return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const struct acpi_memory memory = { copy_out, NULL };
    struct acpi_host host;

    input = data;
    input_bytes = bytes;
    acpi_host_parse(&memory, BASE, &host);
    if (host.core_count > ACPI_HOST_MAX_CORES || host.ioapic_count > ACPI_HOST_MAX_IOAPICS ||
        host.ecam_count > ACPI_HOST_MAX_ECAM || host.s5_type_a > 7 || host.s5_type_b > 7)
        abort();
    if (host.pm_timer.space == ACPI_SPACE_PORT && host.pm_timer.address > UINT16_MAX)
        abort();
    if (host.spcr.present && (host.spcr.place.base == 0 || host.spcr.place.access_bytes > 4 ||
                              host.spcr.place.access_bytes > host.spcr.place.stride_bytes))
        abort();
    for (unsigned i = 0; i < copy_count; i++)
        free(copies[i]);
    copy_count = 0;
    return 0;
}
