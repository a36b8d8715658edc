/*
 * Files of the volume that Trapline was started from.
 *
 * Not here: which files (load.c), writing them (log_file.c). No lock: one core runs.
 * UEFI specification, "Loaded Image Protocol", "Simple File System Protocol", "File Protocol".
 */
#include "boot/uefi.h"
#include "boot/utf.h"
#include "hv/string.h"
#include "x86/insn.h"

/* Some firmware fails on very large reads, and progress is only seen between reads. */
#define READ_CHUNK_BYTES (1024u * 1024)
#define PROGRESS_FROM_BYTES (8u * 1024 * 1024)
#define PROGRESS_DOTS 16

/* The file system of the device that the image came from. */
static EFI_STATUS volume_find(struct boot *boot, EFI_LOADED_IMAGE **loaded,
                              EFI_FILE_IO_INTERFACE **volume)
{
    EFI_GUID loaded_image_guid = LOADED_IMAGE_PROTOCOL;
    EFI_GUID file_system_guid = SIMPLE_FILE_SYSTEM_PROTOCOL;
    *loaded = NULL;
    EFI_STATUS status =
        boot->services->HandleProtocol(boot->image, &loaded_image_guid, (void **)loaded);
    if (EFI_ERROR(status))
        *loaded = NULL;
    if (!*loaded || !(*loaded)->DeviceHandle)
        return EFI_NOT_FOUND;
    status = boot->services->HandleProtocol((*loaded)->DeviceHandle, &file_system_guid,
                                            (void **)volume);
    /* The handle of a device that is gone is no handle any more. */
    return status == EFI_INVALID_PARAMETER ? EFI_NO_MEDIA : status;
}

EFI_STATUS boot_volume_root(struct boot *boot, EFI_FILE_PROTOCOL **root)
{
    EFI_LOADED_IMAGE *loaded;
    EFI_FILE_IO_INTERFACE *volume = NULL;
    EFI_STATUS status = volume_find(boot, &loaded, &volume);
    *root = NULL;
    return EFI_ERROR(status) ? status : volume->OpenVolume(volume, root);
}

bool boot_volume_open(struct boot *boot)
{
    EFI_LOADED_IMAGE *loaded;
    EFI_FILE_IO_INTERFACE *volume = NULL;
    EFI_STATUS status = volume_find(boot, &loaded, &volume);
    if (!loaded || !loaded->DeviceHandle)
        return boot_refuse(boot, "firmware does not say from which volume Trapline was started; "
                                 "start it from a FAT volume that also holds \\%s",
                           BOOT_CONFIG_FILE);
    if (status == EFI_NO_MEDIA)
        return boot_refuse(boot, "the stick, or the disk, that Trapline was started from is no "
                                 "longer there");
    if (EFI_ERROR(status))
        return boot_refuse(boot, "the device that Trapline was started from has no file system "
                                 "that firmware can read (%s); start it from a FAT volume",
                           boot_status_name(status));
    status = volume->OpenVolume(volume, &boot->root);
    if (EFI_ERROR(status)) {
        boot->root = NULL;
        return boot_refuse(boot, "the boot volume can't be opened: %s", boot_status_name(status));
    }
    return true;
}

void boot_volume_close(struct boot *boot)
{
    if (boot->root)
        boot->root->Close(boot->root);
    boot->root = NULL;
}

bool boot_path_translate(const char *path, CHAR16 out[CONFIG_PATH_BYTES + 1])
{
    out[0] = '\\';
    while (*path == '/' || *path == '\\')
        path++;
    if (!utf8_to_ucs2(path, out + 1, CONFIG_PATH_BYTES))
        return false;
    for (CHAR16 *unit = out; *unit; unit++) {
        if (*unit == '/')
            *unit = '\\';
    }
    return true;
}

/* The size of an open file; false with a reason. */
static bool file_size(struct boot *boot, const char *what, const char *path,
                      EFI_FILE_PROTOCOL *file, uint64_t *bytes)
{
    EFI_GUID info_guid = EFI_FILE_INFO_ID;
    union {
        EFI_FILE_INFO info;
        uint8_t room[sizeof(EFI_FILE_INFO) + 520]; /* a name of up to 255 units */
    } buffer;
    UINTN room = sizeof(buffer);

    EFI_STATUS status = file->GetInfo(file, &info_guid, &room, &buffer);
    if (EFI_ERROR(status))
        return boot_refuse(boot, "%s '%s': its size can't be read: %s", what, path,
                           boot_status_name(status));
    if (buffer.info.Attribute & EFI_FILE_DIRECTORY)
        return boot_refuse(boot, "%s '%s' is a folder; a file was expected", what, path);
    if (buffer.info.FileSize == 0)
        return boot_refuse(boot, "%s '%s' is empty", what, path);
    *bytes = buffer.info.FileSize;
    return true;
}

static bool read_all(struct boot *boot, const char *what, const char *path,
                     EFI_FILE_PROTOCOL *file, const struct boot_bytes *to)
{
    uint64_t done = 0, dots = 0;
    bool progress = to->bytes >= PROGRESS_FROM_BYTES;
    while (done < to->bytes) {
        UINTN chunk = hv_min_u64(to->bytes - done, READ_CHUNK_BYTES);
        uint64_t before = rdtsc();
        EFI_STATUS status = file->Read(file, &chunk, (void *)(to->start + done));
        boot->files_ticks += rdtsc() - before;
        if (EFI_ERROR(status))
            return boot_refuse(boot, "%s '%s': reading failed after %llu of %llu bytes: %s", what,
                               path, (unsigned long long)done, (unsigned long long)to->bytes,
                               boot_status_name(status));
        if (chunk == 0)
            return boot_refuse(boot, "%s '%s' is truncated: it ends after %llu of %llu bytes",
                               what, path, (unsigned long long)done,
                               (unsigned long long)to->bytes);
        done += chunk;
        for (; progress && dots < done * PROGRESS_DOTS / to->bytes; dots++)
            boot_print(boot, ".");
    }
    return true;
}

static bool read_open_file(struct boot *boot, const char *what, const char *path,
                           EFI_FILE_PROTOCOL *file, uint64_t most_bytes, struct boot_bytes *out)
{
    uint64_t bytes = 0;
    if (!file_size(boot, what, path, file, &bytes))
        return false;
    if (bytes > most_bytes)
        return boot_refuse(boot, "%s '%s' has %llu bytes; at most %llu were expected", what, path,
                           (unsigned long long)bytes, (unsigned long long)most_bytes);
    boot_print(boot, "  %s '%s', %llu KB ", what, path, (unsigned long long)((bytes + 1023) / 1024));
    *out = (struct boot_bytes){ boot_allocate(boot, bytes + 1), bytes };
    if (out->start == 0)
        return boot_refuse(boot, "%s '%s' (%llu MB) does not fit into the machine's free memory",
                           what, path, (unsigned long long)(bytes >> 20));
    bool ok = read_all(boot, what, path, file, out);
    boot_print(boot, "\n");
    return ok;
}

bool boot_file_read(struct boot *boot, const char *what, const char *path, uint64_t most_bytes,
                    struct boot_bytes *out)
{
    CHAR16 name[CONFIG_PATH_BYTES + 1];
    EFI_FILE_PROTOCOL *file = NULL;
    if (!boot_path_translate(path, name))
        return boot_refuse(boot, "%s '%s' is no name that a FAT volume can hold", what, path);
    uint64_t before = rdtsc();
    EFI_STATUS status = boot->root->Open(boot->root, &file, name, EFI_FILE_MODE_READ, 0);
    boot->files_ticks += rdtsc() - before;
    if (status == EFI_NOT_FOUND)
        return boot_refuse(boot, "%s '%s' is not on the boot volume", what, path);
    if (EFI_ERROR(status))
        return boot_refuse(boot, "%s '%s' can't be opened: %s", what, path,
                           boot_status_name(status));
    bool ok = read_open_file(boot, what, path, file, most_bytes, out);
    file->Close(file);
    return ok;
}
