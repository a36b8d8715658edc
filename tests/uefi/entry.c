/*
 * A UEFI application that starts another one and tells it when: to the options that it was given it
 * adds ` trapline.entry=TICKS`, the time stamp counter right before. tools/cost thin measures from
 * there to the first process of a Linux kernel, by whose EFI stub it is started.
 *
 * Its own options are `[words] \program options`: what stands before the first backslash is its own
 * name, where a shell started it. The program is looked for on the volume that this one came from.
 * UEFI specification, "EFI_BOOT_SERVICES.LoadImage()", "Media Device Path".
 */
#include <efi.h>

#include "hv/format.h"
#include "hv/string.h"
#include "x86/insn.h"

#define OPTIONS_UNITS 2048u
#define PATH_BYTES 1024u
#define NUMBER_BYTES 48u

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

/* For the program too, which runs while this one waits for it. */
static CHAR16 options[OPTIONS_UNITS];

static uint8_t *put_node(uint8_t *at, uint8_t type, uint8_t subtype, size_t bytes)
{
    EFI_DEVICE_PATH node = { type, subtype, { (uint8_t)bytes, (uint8_t)(bytes >> 8) } };

    memcpy(at, &node, sizeof(node));
    return at + sizeof(node);
}

/* The volume's path, the file's, and the end. */
static bool make_path(uint8_t *path, const EFI_DEVICE_PATH *volume, const CHAR16 *file,
                      size_t file_units)
{
    const uint8_t *from = (const uint8_t *)volume;
    size_t head = 0, name = (file_units + 1) * sizeof(CHAR16), bytes;

    while (from[head] != END_DEVICE_PATH_TYPE) {
        bytes = from[head + 2] | (size_t)from[head + 3] << 8;
        if (bytes < sizeof(*volume) || head + bytes > PATH_BYTES)
            return false;
        memcpy(path + head, from + head, bytes);
        head += bytes;
    }
    if (head + name + 2 * sizeof(*volume) > PATH_BYTES)
        return false;
    path = put_node(path + head, MEDIA_DEVICE_PATH, MEDIA_FILEPATH_DP, name + sizeof(*volume));
    memcpy(path, file, name - sizeof(CHAR16));
    memset(path + name - sizeof(CHAR16), 0, sizeof(CHAR16));
    put_node(path + name, END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, sizeof(*volume));
    return true;
}

/* The time behind the options, as the last thing before the start. */
static EFI_STATUS start(EFI_BOOT_SERVICES *services, EFI_HANDLE program, EFI_LOADED_IMAGE *loaded,
                        size_t units)
{
    char number[NUMBER_BYTES];

    hv_snprintf(number, sizeof(number), " trapline.entry=%llu", (unsigned long long)rdtsc());
    if (units + strlen(number) >= OPTIONS_UNITS)
        return EFI_BUFFER_TOO_SMALL;
    for (const char *at = number; *at; at++)
        options[units++] = (CHAR16)*at;
    options[units] = 0;
    loaded->LoadOptions = options;
    loaded->LoadOptionsSize = (UINT32)((units + 1) * sizeof(CHAR16));
    return services->StartImage(program, NULL, NULL);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
    static uint8_t path[PATH_BYTES] __attribute__((aligned(8)));
    EFI_BOOT_SERVICES *services = system->BootServices;
    EFI_GUID loaded_guid = LOADED_IMAGE_PROTOCOL, path_guid = DEVICE_PATH_PROTOCOL;
    EFI_LOADED_IMAGE *self, *loaded;
    EFI_DEVICE_PATH *volume;
    EFI_HANDLE program = NULL;
    EFI_STATUS status;
    size_t units, all, begin = 0, end;

    if (services->HandleProtocol(image, &loaded_guid, (void **)&self) != EFI_SUCCESS ||
        services->HandleProtocol(self->DeviceHandle, &path_guid, (void **)&volume) != EFI_SUCCESS)
        return EFI_UNSUPPORTED;
    const CHAR16 *given = self->LoadOptions;
    all = self->LoadOptionsSize / sizeof(CHAR16);
    while (begin < all && given[begin] && given[begin] != '\\')
        begin++;
    for (end = begin; end < all && given[end] && given[end] != ' ';)
        end++;
    for (units = 0; end + units < all && given[end + units] && units < OPTIONS_UNITS; units++)
        options[units] = given[end + units];
    if (begin == end || !make_path(path, volume, given + begin, end - begin))
        return EFI_INVALID_PARAMETER;
    status = services->LoadImage(FALSE, image, (EFI_DEVICE_PATH *)path, NULL, 0, &program);
    if (status != EFI_SUCCESS)
        return status;
    status = services->HandleProtocol(program, &loaded_guid, (void **)&loaded);
    return status == EFI_SUCCESS ? start(services, program, loaded, units) : status;
}
