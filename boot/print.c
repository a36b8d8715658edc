/*
 * Output on the firmware's console, and waiting for whoever reads it.
 *
 * Not here: anything after the hand-over (vmm/core/console.c). No lock: one core runs.
 * UEFI specification, "Simple Text Output Protocol", "Simple Text Input Protocol".
 */
#include "boot/uefi.h"
#include "boot/utf.h"
#include "hv/format.h"
#include "hv/string.h"

#define LINE_BYTES 768
#define CHUNK_UNITS 128
#define ROWS_UNKNOWN 25
#define STALL_SLICE_US 100000u
#define KEYS_DROPPED 256 /* a keyboard that never runs dry is none */

static void put_text(struct boot *boot, const char *text)
{
    SIMPLE_TEXT_OUTPUT_INTERFACE *out = boot->system->ConOut;
    CHAR16 chunk[CHUNK_UNITS];
    size_t used = 0;
    if (!out)
        return;
    while (*text) {
        uint16_t unit = utf8_next(&text);
        if (unit == '\n')
            chunk[used++] = '\r';
        chunk[used++] = unit;
        if (used + 3 > CHUNK_UNITS || *text == 0) {
            chunk[used] = 0;
            out->OutputString(out, chunk);
            used = 0;
        }
    }
}

void boot_print(struct boot *boot, const char *format, ...)
{
    char text[LINE_BYTES];
    va_list args;
    va_start(args, format);
    hv_vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    put_text(boot, text);
}

void boot_clear_screen(struct boot *boot)
{
    if (boot->system->ConOut)
        boot->system->ConOut->ClearScreen(boot->system->ConOut);
}

unsigned boot_screen_rows(struct boot *boot)
{
    SIMPLE_TEXT_OUTPUT_INTERFACE *out = boot->system->ConOut;
    UINTN columns, rows = ROWS_UNKNOWN;
    if (!out || !out->Mode ||
        EFI_ERROR(out->QueryMode(out, (UINTN)out->Mode->Mode, &columns, &rows)) || rows == 0)
        return ROWS_UNKNOWN;
    return (unsigned)rows;
}

static bool key_pressed(struct boot *boot)
{
    SIMPLE_INPUT_INTERFACE *in = boot->system->ConIn;
    EFI_INPUT_KEY key;
    return in->ReadKeyStroke(in, &key) == EFI_SUCCESS;
}

bool boot_wait_for_key(struct boot *boot, unsigned seconds)
{
    if (!boot->system->ConIn)
        return false;
    for (unsigned i = 0; i < seconds * (1000000u / STALL_SLICE_US); i++) {
        if (key_pressed(boot))
            return true;
        boot->services->Stall(STALL_SLICE_US);
    }
    return false;
}

void boot_drop_keys(struct boot *boot)
{
    if (!boot->system->ConIn)
        return;
    for (unsigned i = 0; i < KEYS_DROPPED && key_pressed(boot); i++)
        ;
}

bool boot_refuse(struct boot *boot, const char *format, ...)
{
    va_list args;
    if (boot->reason[0])
        return false;
    va_start(args, format);
    hv_vsnprintf(boot->reason, sizeof(boot->reason), format, args);
    va_end(args);
    return false;
}

const char *boot_status_name(EFI_STATUS status)
{
    switch (status) {
    case EFI_SUCCESS:
        return "success";
    case EFI_INVALID_PARAMETER:
        return "invalid parameter";
    case EFI_UNSUPPORTED:
        return "unsupported";
    case EFI_BAD_BUFFER_SIZE:
        return "bad buffer size";
    case EFI_BUFFER_TOO_SMALL:
        return "buffer too small";
    case EFI_DEVICE_ERROR:
        return "device error";
    case EFI_WRITE_PROTECTED:
        return "write-protected";
    case EFI_OUT_OF_RESOURCES:
        return "out of resources";
    case EFI_VOLUME_CORRUPTED:
        return "volume corrupted";
    case EFI_VOLUME_FULL:
        return "volume full";
    case EFI_NO_MEDIA:
        return "no medium";
    case EFI_MEDIA_CHANGED:
        return "medium changed";
    case EFI_NOT_FOUND:
        return "not found";
    case EFI_ACCESS_DENIED:
        return "access denied";
    case EFI_TIMEOUT:
        return "time-out";
    default:
        return "firmware error";
    }
}
