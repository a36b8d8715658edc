/*
 * The rest of the PC: PCI configuration, CMOS, keyboard controller, ACPI tables. PCI Local Bus
 * Specification "Configuration Mechanism"; ACPI specification "Root System Description Pointer".
 */
#include "selftest.h"

static uint32_t pci_read(unsigned device, unsigned reg)
{
    outl(0xcf8, 0x80000000 | device << 11 | (reg & 0xfc));
    return inl(0xcfc);
}

static void check_pci(void)
{
    uint32_t id = pci_read(0, 0), class_code = pci_read(0, 8) >> 16;
    uint8_t low;

    check(id != 0xffffffff, "a host bridge at 0:0.0", "0x%x", id);
    check_equal("... of class host bridge", class_code, 0x0600);
    check_equal("a slot without a device", pci_read(31, 0), 0xffffffff);
    check_equal("the address is read back", inl(0xcf8), 0x80000000 | 31 << 11);
    pci_read(0, 0);
    low = inb(0xcfd);
    check_equal("data port, one byte", low, id >> 8 & 0xff);
    check_equal("data port, two bytes", inw(0xcfe), id >> 16);
    outl(0xcf8, 0);
    check_equal("no access without the enable bit", inl(0xcfc), 0xffffffff);
}

static void check_cmos(void)
{
    uint8_t before = guest_cmos_read(0x51);

    guest_cmos_write(0x51, 0xa5);
    check_equal("CMOS byte", guest_cmos_read(0x51), 0xa5);
    guest_cmos_write(0x51, 0x5a);
    check_equal("CMOS byte, changed", guest_cmos_read(0x51), 0x5a);
    guest_cmos_write(0x51, before);
}

static void check_i8042(void)
{
    uint8_t status = inb(0x64);

    check(status != 0xff, "keyboard controller", "status 0x%x", status);
    for (unsigned i = 0; i < 16 && inb(0x64) & 1; i++)
        inb(0x60);
    outb(0x64, 0xaa);
    for (unsigned i = 0; i < 10000 && !(inb(0x64) & 1); i++)
        pause();
    check_equal("... passes its self-test", inb(0x60), 0x55);
}

static bool sums_to_zero(const void *at, size_t bytes)
{
    const uint8_t *p = at;
    uint8_t sum = 0;

    while (bytes--)
        sum = (uint8_t)(sum + *p++);
    return sum == 0;
}

struct acpi_header {
    char signature[4];
    uint32_t length;
    uint8_t revision, checksum;
    char rest[26];
} __attribute__((packed));

static const uint8_t *find_rsdp(void)
{
    for (uint64_t at = 0xe0000; at < 0x100000; at += 16) {
        if (memcmp((const void *)at, "RSD PTR ", 8) == 0)
            return (const uint8_t *)at;
    }
    return NULL;
}

static void check_table(uint64_t address, unsigned *seen)
{
    static const char names[][5] = { "FACP", "APIC", "MCFG" };
    const struct acpi_header *h = (const struct acpi_header *)address;

    if (address >= BIT(32) || h->length > 65536 || !sums_to_zero(h, h->length))
        *seen |= 0x80;
    for (unsigned i = 0; i < ARRAY_COUNT(names); i++) {
        if (memcmp(h->signature, names[i], 4) == 0)
            *seen |= 1u << i;
    }
}

static void check_acpi(void)
{
    const uint8_t *rsdp = find_rsdp();
    uint32_t rsdt;
    const struct acpi_header *h;
    unsigned seen = 0, entry_bytes;

    check(rsdp != NULL, "RSDP between 0xE0000 and 1 MB", "none");
    if (!rsdp)
        return;
    check(sums_to_zero(rsdp, 20), "RSDP's checksum", "wrong");
    memcpy(&rsdt, rsdp + 16, 4);
    entry_bytes = 4;
    if (rsdp[15] >= 2) {
        check(sums_to_zero(rsdp, 36), "RSDP's extended checksum", "wrong");
        memcpy(&rsdt, rsdp + 24, 4);
        entry_bytes = 8;
    }
    h = (const struct acpi_header *)(uint64_t)rsdt;
    check(h->length < 4096 && sums_to_zero(h, h->length), "RSDT or XSDT", "length %u", h->length);
    for (unsigned at = sizeof(*h); at + entry_bytes <= h->length && h->length < 4096;
         at += entry_bytes) {
        uint64_t address = 0;
        memcpy(&address, (const uint8_t *)h + at, entry_bytes);
        check_table(address, &seen);
    }
    check((seen & 0x83) == 3, "FADT and MADT, all tables sum to 0", "0x%x", seen);
}

static void check_multiboot(void)
{
    check_equal("multiboot magic", guest_boot.magic, MULTIBOOT_MAGIC);
    check(guest_boot.flags & 1 && guest_boot.mem_lower_kb >= 512 &&
              guest_boot.mem_lower_kb <= 640 && guest_boot.mem_upper_kb >= 1024,
          "multiboot memory sizes", "flags 0x%x, %u and %u KB", guest_boot.flags,
          guest_boot.mem_lower_kb, guest_boot.mem_upper_kb);
    check(guest_boot.flags & BIT(6), "multiboot memory map", "flags 0x%x", guest_boot.flags);
    check(guest_boot.cmdline[0] != 0, "the command line begins with the file's name", "empty");
}

void test_device(void)
{
    check_multiboot();
    check_pci();
    check_cmos();
    check_i8042();
    check_acpi();
}
