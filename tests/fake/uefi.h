/*
 * A firmware for tests of boot/: boot services and a volume in memory, with faults on request.
 *
 * UEFI specification, "EFI_FILE_PROTOCOL", "EFI_BOOT_SERVICES".
 */
#ifndef FAKE_UEFI_H
#define FAKE_UEFI_H

#include <stdlib.h>
#include <string.h>

#include "boot/uefi.h"

#define FAKE_FILES 8
#define FAKE_FILE_BYTES (256u * 1024)

struct fake_file {
    char path[64]; /* with backslashes; empty: a free place */
    bool folder;
    size_t bytes;
    uint8_t data[FAKE_FILE_BYTES];
};

/* What the volume does wrong. */
struct fake_volume {
    struct fake_file files[FAKE_FILES];
    size_t room_bytes;         /* for all files together */
    EFI_STATUS open_status;    /* of OpenVolume and Open */
    EFI_STATUS write_status;   /* of Write, once `writes_before_fault` have been done */
    EFI_STATUS delete_status;  /* of Delete */
    EFI_STATUS flush_status;
    unsigned writes_before_fault;
    EFI_STATUS info_status;    /* of GetInfo */
    unsigned folders_made;
    EFI_STATUS read_status;    /* of Read, once `reads_before_fault` have been done */
    unsigned reads_before_fault, reads;
    uint64_t claimed_bytes;    /* what GetInfo says instead of the truth; 0: the truth */
    bool short_writes;         /* a full volume says so by a count, not by a status */
    unsigned open_handles;
    unsigned writes;
};

struct fake_handle {
    EFI_FILE_PROTOCOL protocol;
    struct fake_volume *volume;
    struct fake_file *file; /* NULL: the root */
    size_t position;
};

static struct fake_volume *fake_current_volume;

static inline EFI_STATUS EFIAPI fake_open(EFI_FILE_PROTOCOL *self, EFI_FILE_PROTOCOL **out,
                                          CHAR16 *name, UINT64 mode, UINT64 attributes);

static inline EFI_STATUS EFIAPI fake_close(EFI_FILE_PROTOCOL *self)
{
    struct fake_handle *handle = (struct fake_handle *)self;
    handle->volume->open_handles--;
    free(handle);
    return EFI_SUCCESS;
}

static inline EFI_STATUS EFIAPI fake_delete(EFI_FILE_PROTOCOL *self)
{
    struct fake_handle *handle = (struct fake_handle *)self;
    EFI_STATUS status = handle->volume->delete_status;
    if (status == EFI_SUCCESS && handle->file)
        handle->file->path[0] = 0;
    fake_close(self);
    return status;
}

static inline EFI_STATUS EFIAPI fake_read(EFI_FILE_PROTOCOL *self, UINTN *bytes, VOID *to)
{
    struct fake_handle *handle = (struct fake_handle *)self;
    struct fake_volume *volume = handle->volume;
    size_t left = handle->file->bytes - handle->position;
    if (volume->read_status != EFI_SUCCESS && volume->reads >= volume->reads_before_fault)
        return volume->read_status;
    volume->reads++;
    if (*bytes > left)
        *bytes = left;
    memcpy(to, handle->file->data + handle->position, *bytes);
    handle->position += *bytes;
    return EFI_SUCCESS;
}

static inline size_t fake_used(const struct fake_volume *volume)
{
    size_t sum = 0;
    for (unsigned i = 0; i < FAKE_FILES; i++)
        sum += volume->files[i].path[0] ? volume->files[i].bytes : 0;
    return sum;
}

static inline EFI_STATUS EFIAPI fake_write(EFI_FILE_PROTOCOL *self, UINTN *bytes, VOID *from)
{
    struct fake_handle *handle = (struct fake_handle *)self;
    struct fake_volume *volume = handle->volume;
    struct fake_file *file = handle->file;
    if (volume->write_status != EFI_SUCCESS && volume->writes >= volume->writes_before_fault)
        return volume->write_status;
    volume->writes++;
    size_t room = volume->room_bytes - fake_used(volume);
    if (*bytes > room && !volume->short_writes)
        return EFI_VOLUME_FULL;
    if (*bytes > room)
        *bytes = room;
    if (file->folder || handle->position + *bytes > FAKE_FILE_BYTES)
        return EFI_UNSUPPORTED;
    memcpy(file->data + handle->position, from, *bytes);
    handle->position += *bytes;
    if (handle->position > file->bytes)
        file->bytes = handle->position;
    return EFI_SUCCESS;
}

static inline EFI_STATUS EFIAPI fake_flush(EFI_FILE_PROTOCOL *self)
{
    return ((struct fake_handle *)self)->volume->flush_status;
}

static inline EFI_STATUS fake_file_info(const struct fake_handle *handle, UINTN bytes, VOID *to)
{
    EFI_FILE_INFO *info = to;
    if (bytes < sizeof(*info))
        return EFI_BUFFER_TOO_SMALL;
    memset(info, 0, sizeof(*info));
    info->FileSize =
        handle->volume->claimed_bytes ? handle->volume->claimed_bytes : handle->file->bytes;
    info->Attribute = handle->file->folder ? EFI_FILE_DIRECTORY : 0;
    return EFI_SUCCESS;
}

static inline EFI_STATUS fake_volume_info(const struct fake_volume *volume, UINTN bytes, VOID *to)
{
    EFI_FILE_SYSTEM_INFO *info = to;
    if (bytes < sizeof(*info))
        return EFI_BUFFER_TOO_SMALL;
    memset(info, 0, sizeof(*info));
    info->FreeSpace = volume->room_bytes - fake_used(volume);
    info->BlockSize = 512;
    return EFI_SUCCESS;
}

static inline EFI_STATUS EFIAPI fake_get_info(EFI_FILE_PROTOCOL *self, EFI_GUID *guid, UINTN *bytes,
                                              VOID *to)
{
    const struct fake_handle *handle = (struct fake_handle *)self;
    EFI_GUID file_info = EFI_FILE_INFO_ID, volume_info = EFI_FILE_SYSTEM_INFO_ID;
    if (handle->volume->info_status != EFI_SUCCESS)
        return handle->volume->info_status;
    if (memcmp(guid, &file_info, sizeof(*guid)) == 0)
        return fake_file_info(handle, *bytes, to);
    if (memcmp(guid, &volume_info, sizeof(*guid)) == 0)
        return fake_volume_info(handle->volume, *bytes, to);
    return EFI_UNSUPPORTED;
}

static inline EFI_FILE_PROTOCOL *fake_handle_new(struct fake_volume *volume, struct fake_file *file)
{
    struct fake_handle *handle = calloc(1, sizeof(*handle));
    handle->protocol = (EFI_FILE_PROTOCOL){
        .Open = fake_open, .Close = fake_close, .Delete = fake_delete,
        .Read = fake_read, .Write = fake_write, .Flush = fake_flush,
        .GetInfo = fake_get_info,
    };
    handle->volume = volume;
    handle->file = file;
    volume->open_handles++;
    return &handle->protocol;
}

/* By path, or a free place for it if `create`. */
static inline struct fake_file *fake_file_at(struct fake_volume *volume, const char *path,
                                             bool create)
{
    for (unsigned i = 0; i < FAKE_FILES; i++)
        if (volume->files[i].path[0] && strcmp(volume->files[i].path, path) == 0)
            return &volume->files[i];
    for (unsigned i = 0; create && i < FAKE_FILES; i++) {
        struct fake_file *file = &volume->files[i];
        if (file->path[0])
            continue;
        strncpy(file->path, path, sizeof(file->path) - 1);
        file->bytes = 0;
        file->folder = false;
        return file;
    }
    return NULL;
}

static inline EFI_STATUS EFIAPI fake_open(EFI_FILE_PROTOCOL *self, EFI_FILE_PROTOCOL **out,
                                          CHAR16 *name, UINT64 mode, UINT64 attributes)
{
    struct fake_volume *volume = ((struct fake_handle *)self)->volume;
    char path[64] = "";
    for (unsigned i = 0; name[i] && i < sizeof(path) - 1; i++)
        path[i] = (char)name[i];
    if (volume->open_status != EFI_SUCCESS)
        return volume->open_status;
    struct fake_file *file = fake_file_at(volume, path, mode & EFI_FILE_MODE_CREATE);
    if (!file)
        return EFI_NOT_FOUND;
    if (attributes & EFI_FILE_DIRECTORY) {
        file->folder = true;
        volume->folders_made++;
    }
    *out = fake_handle_new(volume, file);
    return EFI_SUCCESS;
}

static inline EFI_STATUS EFIAPI fake_open_volume(EFI_FILE_IO_INTERFACE *self,
                                                 EFI_FILE_PROTOCOL **root)
{
    (void)self;
    if (fake_current_volume->open_status != EFI_SUCCESS)
        return fake_current_volume->open_status;
    *root = fake_handle_new(fake_current_volume, NULL);
    return EFI_SUCCESS;
}

/* Every handle has both protocols, so that an image knows its device and that its files. */
static inline EFI_STATUS EFIAPI fake_handle_protocol(EFI_HANDLE handle, EFI_GUID *guid,
                                                     VOID **interface)
{
    static EFI_LOADED_IMAGE loaded;
    static EFI_FILE_IO_INTERFACE files;
    EFI_GUID loaded_image_guid = LOADED_IMAGE_PROTOCOL;
    loaded.DeviceHandle = handle;
    files.OpenVolume = fake_open_volume;
    if (memcmp(guid, &loaded_image_guid, sizeof(*guid)) == 0)
        *interface = &loaded;
    else
        *interface = &files;
    return fake_current_volume ? EFI_SUCCESS : EFI_NOT_FOUND;
}

#endif
