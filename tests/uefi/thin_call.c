/*
 * A UEFI application that is started in thin mode and makes its hypercalls (x86/thin.h), as firmware's
 * programs run at privilege level 0. It says what came of each, and how many surprises there were.
 *
 * VMCALLs that must be invalid opcodes are caught by a copy of firmware's IDT with an entry of ours.
 */
#include <efi.h>

#include "hv/format.h"
#include "hv/string.h"
#include "x86/descriptors.h"
#include "x86/insn.h"
#include "x86/regs.h"
#include "x86/thin.h"
#include "x86/trace.h"

#define VECTORS 256
#define COM1 0x3f8
#define COM1_STATUS 0x3fd
#define COM1_EMPTY 0x20

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

static SIMPLE_TEXT_OUTPUT_INTERFACE *console;
static unsigned surprises;
static struct x86_gate idt[VECTORS];

/* Counts, and goes on behind the VMCALL. */
uint32_t undefined_opcodes;
void on_undefined_opcode(void);
__asm__(".text\n"
        "on_undefined_opcode:\n"
        "    incl undefined_opcodes(%rip)\n"
        "    addq $3, (%rsp)\n"
        "    iretq\n");

static void check(bool right, const char *what)
{
    CHAR16 wide[120];
    char line[120];
    size_t n;

    hv_snprintf(line, sizeof(line), "%s %s\r\n", right ? "ok   " : "FAIL ", what);
    for (n = 0; line[n]; n++)
        wide[n] = (CHAR16)line[n];
    wide[n] = 0;
    console->OutputString(console, wide);
    surprises += !right;
}

static uint64_t vmcall(uint64_t signature, uint64_t number, uint64_t *data)
{
    __asm__ volatile("vmcall" : "+a"(signature), "+c"(number), "+d"(*data)::"memory");
    return signature;
}

static uint64_t read_ours(uint64_t number, uint64_t *data)
{
    return vmcall(THIN_SIGNATURE, number, data);
}

static uint64_t write_ours(uint64_t number, uint64_t data)
{
    return vmcall(THIN_SIGNATURE, number | THIN_CALL_WRITE, &data);
}

static bool is_undefined(uint64_t signature, uint64_t number)
{
    uint32_t before = undefined_opcodes;
    uint64_t data = 0;

    return vmcall(signature, number, &data) == signature && undefined_opcodes == before + 1;
}

static void catch_undefined_opcodes(void)
{
    uint64_t handler = (uint64_t)on_undefined_opcode;
    struct x86_table_register table = sidt();

    memcpy(idt, (const void *)table.base, hv_min_u64(table.limit + 1u, sizeof(idt)));
    idt[X86_EXC_UD].offset_low = (uint16_t)handler;
    idt[X86_EXC_UD].offset_middle = (uint16_t)(handler >> 16);
    idt[X86_EXC_UD].offset_high = (uint32_t)(handler >> 32);
    table.base = (uint64_t)idt;
    lidt(&table);
}

static void check_reads(void)
{
    uint64_t value = 1, count = 0, later = 0;

    check(read_ours(THIN_MSR_SIGNATURE, &value) == THIN_CALL_DONE && value == THIN_SIGNATURE,
          "the signature is read");
    check(read_ours(THIN_MSR_COUNT, &count) == THIN_CALL_DONE &&
              read_ours(THIN_MSR_COUNT, &later) == THIN_CALL_DONE && count > 0 && later == count + 1,
          "exits are recorded; a hypercall is one");
    value = 7;
    check(read_ours(THIN_MSR_LAST + 1, &value) == THIN_CALL_REFUSED && value == 7,
          "a number behind the last is refused");
    check(read_ours(THIN_MSR_SIGNATURE - 1, &value) == THIN_CALL_REFUSED && value == 7,
          "a number before the first is refused");
    check(read_ours(THIN_MSR_CONTROL, &value) == THIN_CALL_REFUSED, "the control cannot be read");
    check(read_ours(THIN_MSR_OFF, &value) == THIN_CALL_REFUSED, "off, not armed, is refused");
}

static void check_writes(void)
{
    uint64_t first = 0, again = 0;

    check(write_ours(THIN_MSR_CONTROL, THIN_CONTROL_FREEZE) == THIN_CALL_DONE, "recording stops");
    check(write_ours(THIN_MSR_SELECT, 1) == THIN_CALL_DONE, "a word of the ring is chosen");
    check(read_ours(THIN_MSR_DATA, &first) == THIN_CALL_DONE &&
              read_ours(THIN_MSR_SELECT, &again) == THIN_CALL_DONE && again == 2,
          "reading it goes on to the next");
    check(write_ours(THIN_MSR_CONTROL, THIN_CONTROL_RECORD) == THIN_CALL_DONE, "recording goes on");
    check(write_ours(THIN_MSR_CONTROL, 3) == THIN_CALL_REFUSED, "an unknown command is refused");
    check(write_ours(THIN_MSR_COUNT, 0) == THIN_CALL_REFUSED, "the count cannot be written");
    check(write_ours(THIN_MSR_CONTROL, THIN_CONTROL_ARM) == THIN_CALL_DONE &&
              read_ours(THIN_MSR_OFF, &first) == THIN_CALL_REFUSED,
          "firmware cannot be left, and says so");
}

/* The hot key's port, by other instructions than IN and OUT of a byte. The FIFO takes the text. */
static void check_port(void)
{
    const char text[] = "\r\nby a string\r\n", *from = text;
    uint64_t count = sizeof(text) - 1;

    for (unsigned i = 0; i < 100000 && !(in8(COM1_STATUS) & COM1_EMPTY); i++)
        cpu_pause();
    __asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"((uint16_t)COM1) : "memory");
    check(from == text + sizeof(text) - 1 && count == 0, "REP OUTSB comes to its end");
    check(in16(COM1) >> 8 == in8(COM1 + 1), "a word is two registers");
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
    struct x86_table_register firmware = sidt();

    (void)image;
    console = system->ConOut;
    cli();
    catch_undefined_opcodes();
    check(is_undefined(0, THIN_MSR_SIGNATURE), "VMCALL without the signature is an invalid opcode");
    check(is_undefined(THIN_SIGNATURE & UINT32_MAX, THIN_MSR_SIGNATURE), "and with half of it");
    check_reads();
    check_writes();
    check_port();
    lidt(&firmware);
    sti();
    check(surprises == 0, surprises ? "thin-call: surprises" : "thin-call: 0 surprises");
    return EFI_SUCCESS;
}
