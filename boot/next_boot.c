/*
 * What a thin machine starts: a program of the operator's choice, or whatever firmware's boot manager
 * has next.
 *
 * A path is looked for on the volume that Trapline was started from, then on every other one that
 * firmware can read, and at last on those that it can read once all its drivers have been asked.
 * Without a path the application returns with an error, which makes the boot manager try its next
 * entry: it knows forms of device paths that nobody else can follow.
 * No lock: one core runs.
 * UEFI specification, "EFI_BOOT_SERVICES.LoadImage()", "Media Device Path", "Boot Manager".
 */
#include "boot/thin.h"
#include "hv/string.h"
#include "boot/utf.h"

#define OPTIONS_UNITS (CONFIG_CMDLINE_BYTES + 1)

static size_t path_bytes(const EFI_DEVICE_PATH *path)
{
    const uint8_t *at = (const uint8_t *)path;

    for (;;) {
        const EFI_DEVICE_PATH *node = (const EFI_DEVICE_PATH *)at;
        size_t bytes = node->Length[0] | (size_t)node->Length[1] << 8;
        /* EFI 1.10 ended paths in 0FFH. */
        if ((node->Type & 0x7f) == END_DEVICE_PATH_TYPE || bytes < sizeof(*node))
            return (size_t)(at - (const uint8_t *)path);
        at += bytes;
    }
}

static void put_node(uint8_t *at, uint8_t type, uint8_t subtype, size_t bytes)
{
    EFI_DEVICE_PATH node = { type, subtype, { (uint8_t)bytes, (uint8_t)(bytes >> 8) } };

    memcpy(at, &node, sizeof(node));
}

/* The device's path, the file's, and the end. 0: no memory. */
static uint64_t make_path(struct boot *boot, const EFI_DEVICE_PATH *device, const CHAR16 *file)
{
    size_t units = 0, head = path_bytes(device), name;

    while (file[units])
        units++;
    name = (units + 1) * sizeof(CHAR16);
    uint64_t memory = boot_allocate(boot, head + name + 2 * sizeof(EFI_DEVICE_PATH));
    uint8_t *at = (uint8_t *)memory;
    if (!at)
        return 0;
    memcpy(at, device, head);
    put_node(at + head, MEDIA_DEVICE_PATH, MEDIA_FILEPATH_DP, name + sizeof(EFI_DEVICE_PATH));
    memcpy(at + head + sizeof(EFI_DEVICE_PATH), file, name);
    put_node(at + head + sizeof(EFI_DEVICE_PATH) + name, END_DEVICE_PATH_TYPE,
             END_ENTIRE_DEVICE_PATH_SUBTYPE, sizeof(EFI_DEVICE_PATH));
    return memory;
}

static EFI_STATUS load_from(struct boot *boot, EFI_HANDLE device, const CHAR16 *file,
                            EFI_HANDLE *image)
{
    EFI_GUID guid = DEVICE_PATH_PROTOCOL;
    EFI_DEVICE_PATH *device_path = NULL;
    EFI_STATUS status = boot->services->HandleProtocol(device, &guid, (void **)&device_path);

    if (EFI_ERROR(status))
        return status;
    uint64_t path = make_path(boot, device_path, file);
    if (!path)
        return EFI_OUT_OF_RESOURCES;
    status = boot->services->LoadImage(FALSE, boot->image, (EFI_DEVICE_PATH *)path, NULL, 0, image);
    boot_free(boot, path);
    return status;
}

/* A volume without the file, or that cannot be read at all (an empty card reader, a foreign file
 * system), says nothing of the next; a program that firmware forbids is the one that was meant. */
static bool may_be_elsewhere(EFI_STATUS status)
{
    return EFI_ERROR(status) && status != EFI_SECURITY_VIOLATION && status != EFI_ACCESS_DENIED;
}

/* Somewhere else than on our own volume. */
static EFI_STATUS load_from_any(struct boot *boot, const CHAR16 *file, EFI_HANDLE *image)
{
    EFI_GUID guid = SIMPLE_FILE_SYSTEM_PROTOCOL;
    EFI_HANDLE *handles = NULL;
    UINTN count = 0;
    EFI_STATUS status = boot->services->LocateHandleBuffer(ByProtocol, &guid, NULL, &count, &handles);

    if (EFI_ERROR(status))
        return EFI_NOT_FOUND;
    status = EFI_NOT_FOUND;
    for (UINTN i = 0; i < count && may_be_elsewhere(status); i++)
        status = load_from(boot, handles[i], file, image);
    boot->services->FreePool(handles);
    return status;
}

/* A firmware that starts fast gives drivers only to what it starts from: then the machine's own disk
 * is no volume yet. Takes seconds, on some machines many. */
static void connect_everything(struct boot *boot)
{
    EFI_HANDLE *handles = NULL;
    UINTN count = 0;

    if (EFI_ERROR(boot->services->LocateHandleBuffer(AllHandles, NULL, NULL, &count, &handles)))
        return;
    for (UINTN i = 0; i < count; i++)
        boot->services->ConnectController(handles[i], NULL, NULL, TRUE);
    boot->services->FreePool(handles);
}

static EFI_STATUS load(struct boot *boot, EFI_HANDLE *image)
{
    EFI_GUID guid = LOADED_IMAGE_PROTOCOL;
    EFI_LOADED_IMAGE *self = NULL;
    CHAR16 file[CONFIG_PATH_BYTES + 1];
    EFI_STATUS status = EFI_NOT_FOUND;

    if (!boot_path_translate(boot->info->config.boot, file))
        return EFI_INVALID_PARAMETER;
    if (!EFI_ERROR(boot->services->HandleProtocol(boot->image, &guid, (void **)&self)))
        status = load_from(boot, self->DeviceHandle, file, image);
    if (may_be_elsewhere(status))
        status = load_from_any(boot, file, image);
    if (!may_be_elsewhere(status))
        return status;
    connect_everything(boot);
    return load_from_any(boot, file, image);
}

/* The options stay allocated: the program may look at them as long as it runs. */
static void give_options(struct boot *boot, EFI_HANDLE image)
{
    EFI_GUID guid = LOADED_IMAGE_PROTOCOL;
    EFI_LOADED_IMAGE *loaded = NULL;
    CHAR16 *options = (CHAR16 *)boot_allocate(boot, OPTIONS_UNITS * sizeof(CHAR16));

    if (!options || !boot->info->config.boot_options[0] ||
        !utf8_to_ucs2(boot->info->config.boot_options, options, OPTIONS_UNITS) ||
        EFI_ERROR(boot->services->HandleProtocol(image, &guid, (void **)&loaded)))
        return;
    loaded->LoadOptions = options;
    for (loaded->LoadOptionsSize = sizeof(CHAR16); *options; options++)
        loaded->LoadOptionsSize += sizeof(CHAR16);
}

EFI_STATUS boot_next(struct boot *boot)
{
    const char *path = boot->info->config.boot;
    EFI_HANDLE image = NULL;
    EFI_STATUS status;

    if (!path[0])
        return EFI_NOT_STARTED;
    status = load(boot, &image);
    if (EFI_ERROR(status)) {
        boot_print(boot, "boot = %s: %s; firmware goes on with its next entry\n", path,
                   boot_status_name(status));
        if (image)
            boot->services->UnloadImage(image);
        return status;
    }
    give_options(boot, image);
    status = boot->services->StartImage(image, NULL, NULL);
    boot_print(boot, "boot = %s: it has returned: %s\n", path, boot_status_name(status));
    return EFI_ERROR(status) ? status : EFI_NOT_STARTED;
}
