/*
 * A UEFI application that drives the machine's consoles with Trapline's own drivers: the serial port
 * that ACPI names, PCI serial cards, and USB keyboards behind an xHCI. For machines without VT-x, where Trapline itself does not
 * start; tests/system/consoles.py starts it and types.
 *
 * It leaves firmware, says on COM1 what it finds, and then each key that is typed, as a number.
 * Ends after a 'q', or when its time is over.
 */
#include <efi.h>

#include "hv/drv_console.h"
#include "hv/drv_xhci.h"
#include "hv/format.h"
#include "hv/log.h"
#include "hv/string.h"
#include "x86/acpi_host.h"
#include "x86/insn.h"

#define COM1 0x3f8
#define COM1_STATUS 0x3fd
#define COM1_EMPTY 0x20
#define DEBUG_EXIT 0xf4
#define SHARED_BYTES (2u << 20)
#define SHARED_BELOW UINT64_C(0xffffffff)
#define MAP_BYTES (64u * 1024)
#define CALIBRATE_US 100000u
#define LIMIT_US 60000000u
#define POLL_US 20000u
#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA 0xcfc

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

static uint64_t ticks_a_us = 1;
static uint8_t *shared, *shared_end;
static struct boot_info info;
static struct acpi_host acpi;
static struct hv_console_backend card;
static uint8_t map_room[MAP_BYTES];

/* --- output --- */
static void say(const char *text)
{
    for (; *text; text++) {
        for (unsigned i = 0; i < 100000 && !(in8(COM1_STATUS) & COM1_EMPTY); i++)
            cpu_pause();
        out8(COM1, (uint8_t)*text);
    }
}

void hv_log(enum hv_log_level level, const char *format, ...)
{
    char line[256];
    va_list args;

    va_start(args, format);
    hv_vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    say(level <= HV_LOG_WARN ? "warning: " : "");
    say(line);
    say("\r\n");
}

/* --- what the drivers ask for --- */
enum hv_err console_add(const struct hv_console_backend *backend)
{
    static const char text[] = "hello from the card\r\n";
    card = *backend;
    card.write(card.ctx, text, sizeof(text) - 1);
    return HV_OK;
}

bool console_has_screen(void)
{
    return true;
}

static uint32_t machine_read(void *ctx, enum hv_space space, uint64_t address, unsigned bytes)
{
    (void)ctx;
    if (space == HV_SPACE_MEMORY)
        return mmio_read32((const volatile void *)address);
    return bytes == 1 ? in8((uint16_t)address) : in32((uint16_t)address);
}

static void machine_write(void *ctx, enum hv_space space, uint64_t address, unsigned bytes,
                          uint32_t value)
{
    (void)ctx;
    if (space == HV_SPACE_MEMORY)
        mmio_write32((volatile void *)address, value);
    else if (bytes == 1)
        out8((uint16_t)address, (uint8_t)value);
    else
        out32((uint16_t)address, value);
}

static bool machine_map(void *ctx, uint64_t address, uint64_t bytes)
{
    (void)ctx;
    return address + bytes > address; /* firmware's tables map everything */
}

static void machine_pause(void *ctx)
{
    (void)ctx;
    cpu_pause();
}

static uint64_t machine_now_us(void *ctx)
{
    (void)ctx;
    return rdtsc() / ticks_a_us;
}

const struct hv_access hv_machine_access = { machine_read, machine_write, machine_map,
                                             machine_pause, machine_now_us, NULL };

static void select(struct pci_address at, unsigned offset)
{
    out32(CONFIG_ADDRESS, UINT32_C(1) << 31 | (uint32_t)at.bus << 16 | (uint32_t)at.device << 11 |
                              (uint32_t)at.function << 8 | offset);
}

static uint32_t pci_register_read(void *ctx, struct pci_address at, unsigned offset)
{
    (void)ctx;
    select(at, offset);
    return in32(CONFIG_DATA);
}

static void pci_register_write(void *ctx, struct pci_address at, unsigned offset, uint32_t value)
{
    (void)ctx;
    select(at, offset);
    out32(CONFIG_DATA, value);
}

static void *take_shared(void *ctx, uint64_t bytes)
{
    uint8_t *start = shared;

    (void)ctx;
    if (bytes > (uint64_t)(shared_end - shared))
        return NULL;
    shared += hv_align_up(bytes, HV_PAGE_BYTES);
    memset(start, 0, bytes);
    return start;
}

/* --- ACPI --- */
static uint64_t find_root(const EFI_SYSTEM_TABLE *system)
{
    static const EFI_GUID guid = { 0x8868e871, 0xe4f1, 0x11d3,
                                   { 0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81 } };
    for (UINTN i = 0; i < system->NumberOfTableEntries; i++) {
        if (memcmp(&system->ConfigurationTable[i].VendorGuid, &guid, sizeof(guid)) == 0)
            return (uint64_t)system->ConfigurationTable[i].VendorTable;
    }
    return 0;
}

static const void *map_table(void *ctx, uint64_t physical, uint64_t bytes)
{
    (void)ctx;
    return physical + bytes <= SHARED_BELOW ? (const void *)physical : NULL;
}

/* --- the application --- */
static EFI_STATUS leave(EFI_HANDLE image, EFI_BOOT_SERVICES *services)
{
    EFI_STATUS status = EFI_ABORTED;

    for (unsigned i = 0; i < 4 && EFI_ERROR(status); i++) {
        UINTN bytes = sizeof(map_room), key = 0, stride = 0;
        UINT32 version = 0;
        status = services->GetMemoryMap(&bytes, (EFI_MEMORY_DESCRIPTOR *)(void *)map_room, &key,
                                        &stride, &version);
        if (!EFI_ERROR(status))
            status = services->ExitBootServices(image, key);
    }
    return status;
}

static int next_key(void)
{
    int key = usb_keyboards_read();
    usb_keyboards_log();
    if (key < 0 && card.read)
        key = card.read(card.ctx);
    return key;
}

static void type(void)
{
    uint64_t end = rdtsc() + LIMIT_US * ticks_a_us;
    int key = -1;

    while (key != 'q' && rdtsc() < end) {
        uint64_t next = rdtsc() + POLL_US * ticks_a_us;
        while ((key = next_key()) >= 0 && key != 'q')
            hv_info("key %02x", (unsigned)key);
        while (rdtsc() < next)
            cpu_pause();
    }
    hv_info(key == 'q' ? "consoles: done" : "consoles: nobody types");
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
    static const struct hv_pci pci = { pci_register_read, pci_register_write, NULL, 1,
                                       { { 0, 0, 255 } } };
    static const struct xhci_memory memory = { take_shared, NULL };
    const struct acpi_memory tables = { map_table, NULL };
    struct console_hardware hardware = { .pci = &pci, .memory = &memory };
    EFI_PHYSICAL_ADDRESS start = SHARED_BELOW;
    uint64_t before = rdtsc();

    system->BootServices->Stall(CALIBRATE_US);
    ticks_a_us = (rdtsc() - before) / CALIBRATE_US;
    EFI_STATUS status = system->BootServices->AllocatePages(
        AllocateMaxAddress, EfiLoaderData, SHARED_BYTES / HV_PAGE_BYTES, &start);
    if (ticks_a_us == 0 || EFI_ERROR(status) || EFI_ERROR(leave(image, system->BootServices)))
        return EFI_LOAD_ERROR;
    cli();
    shared = (uint8_t *)start;
    shared_end = shared + SHARED_BYTES;
    hv_info("consoles: start");
    acpi_host_parse(&tables, find_root(system), &acpi);
    if (acpi.spcr.present)
        hardware.firmware_port = &acpi.spcr.place;
    console_find_serial(&info, &hardware);
    console_find_keyboards(&info, &hardware);
    type();
    out8(DEBUG_EXIT, 0);
    system->RuntimeServices->ResetSystem(EfiResetShutdown, EFI_SUCCESS, 0, NULL);
    for (;;)
        hlt();
}
