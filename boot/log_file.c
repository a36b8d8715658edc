/*
 * What Trapline leaves on its stick: reports and logs in \trapline.
 *
 * A stick may be full, read-only, damaged, or pulled at any moment: each write has one try, every
 * loop has a bound, and what went wrong comes back as words. No lock: one core runs, at a task
 * priority where firmware allows files (TPL_CALLBACK or lower).
 * UEFI specification, "EFI_FILE_PROTOCOL.Open()", "Write()", "Flush()", "Delete()".
 */
#include "boot/uefi.h"
#include "hv/format.h"
#include "hv/string.h"

#define FOLDER "trapline"
/* One for the folder, and one for each of the folders that hold its entry, should they grow. */
#define FOLDER_CLUSTERS 3
/* Some firmware fails on very large writes. */
#define WRITE_CHUNK_BYTES (64u * 1024)
#define OPEN_OR_CREATE (EFI_FILE_MODE_READ | EFI_FILE_MODE_WRITE | EFI_FILE_MODE_CREATE)

static const char *words_of(EFI_STATUS status)
{
    switch (status) {
    case EFI_VOLUME_FULL:
        return "the volume is full";
    case EFI_WRITE_PROTECTED:
        return "the volume, or the file, is write-protected";
    case EFI_NO_MEDIA:
        return "the stick is no longer there";
    case EFI_MEDIA_CHANGED:
        return "the stick was pulled, and something else is in its place";
    case EFI_DEVICE_ERROR:
        return "the stick fails, or is no longer there (device error)";
    case EFI_NOT_FOUND:
        return "the volume that Trapline was started from is no longer there";
    case EFI_VOLUME_CORRUPTED:
        return "the volume's file system is damaged; let an operating system repair it";
    case EFI_ACCESS_DENIED:
        return "firmware does not allow it (access denied)";
    case EFI_TIMEOUT:
        return "the stick does not answer (time-out)";
    case EFI_UNSUPPORTED:
        return "firmware can't write to this volume";
    case EFI_OUT_OF_RESOURCES:
        return "firmware has no memory for it";
    default:
        return boot_status_name(status);
    }
}

/* The volume is open while a start is prepared; afterwards, as for a report of what ran, it is
 * opened again. */
static EFI_STATUS root_borrow(struct boot *boot, EFI_FILE_PROTOCOL **root)
{
    *root = boot->root;
    return *root ? EFI_SUCCESS : boot_volume_root(boot, root);
}

static void root_return(struct boot *boot, EFI_FILE_PROTOCOL *root)
{
    if (root && root != boot->root)
        root->Close(root);
}

static EFI_STATUS open_path(EFI_FILE_PROTOCOL *root, const char *path, uint64_t mode,
                            uint64_t attributes, EFI_FILE_PROTOCOL **file)
{
    CHAR16 name[CONFIG_PATH_BYTES + 1];
    *file = NULL;
    if (!boot_path_translate(path, name))
        return EFI_INVALID_PARAMETER;
    return root->Open(root, file, name, mode, attributes);
}

static EFI_STATUS open_log(EFI_FILE_PROTOCOL *root, const char *name, uint64_t mode,
                           EFI_FILE_PROTOCOL **file)
{
    char path[CONFIG_PATH_BYTES];
    int length = hv_snprintf(path, sizeof(path), FOLDER "/%s", name);
    if (length < 0 || (size_t)length >= sizeof(path))
        return EFI_INVALID_PARAMETER;
    return open_path(root, path, mode, 0, file);
}

/* False: there is no room for a folder. Firmware that can't say is taken to have it. */
static bool has_room_for_folder(EFI_FILE_PROTOCOL *root)
{
    EFI_GUID guid = EFI_FILE_SYSTEM_INFO_ID;
    union {
        EFI_FILE_SYSTEM_INFO info;
        uint8_t room[sizeof(EFI_FILE_SYSTEM_INFO) + 520]; /* a label of up to 255 units */
    } buffer;
    UINTN bytes = sizeof(buffer);
    if (EFI_ERROR(root->GetInfo(root, &guid, &bytes, &buffer)))
        return true;
    return buffer.info.FreeSpace >= FOLDER_CLUSTERS * (uint64_t)buffer.info.BlockSize;
}

/* EDK2 that finds no cluster for a new folder says so, and leaves an entry behind that points
 * nowhere: what is written there later is lost, and reported as written. So it is not asked. */
static EFI_STATUS folder_make(EFI_FILE_PROTOCOL *root)
{
    EFI_FILE_PROTOCOL *folder;
    EFI_STATUS status =
        open_path(root, FOLDER, EFI_FILE_MODE_READ | EFI_FILE_MODE_WRITE, 0, &folder);
    if (status == EFI_NOT_FOUND) {
        if (!has_room_for_folder(root))
            return EFI_VOLUME_FULL;
        status = open_path(root, FOLDER, OPEN_OR_CREATE, EFI_FILE_DIRECTORY, &folder);
    }
    if (!EFI_ERROR(status))
        folder->Close(folder);
    return status;
}

/* A longer file of an earlier start would keep its tail: it is deleted first. Deleting closes. */
static EFI_STATUS open_fresh(EFI_FILE_PROTOCOL *root, const char *name, EFI_FILE_PROTOCOL **file)
{
    EFI_STATUS status = open_log(root, name, OPEN_OR_CREATE, file);
    if (EFI_ERROR(status))
        return status;
    status = (*file)->Delete(*file);
    if (status != EFI_SUCCESS) /* a warning: it is still there */
        return EFI_ERROR(status) ? status : EFI_ACCESS_DENIED;
    return open_log(root, name, OPEN_OR_CREATE, file);
}

static EFI_STATUS write_all(EFI_FILE_PROTOCOL *file, const char *text, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        UINTN asked = hv_min_u64(bytes - done, WRITE_CHUNK_BYTES), written = asked;
        EFI_STATUS status = file->Write(file, &written, (void *)(text + done));
        if (EFI_ERROR(status))
            return status;
        if (written != asked)
            return EFI_VOLUME_FULL;
        done += written;
    }
    return file->Flush(file);
}

static EFI_STATUS write_file(EFI_FILE_PROTOCOL *root, const char *name, const char *text,
                             size_t bytes)
{
    EFI_FILE_PROTOCOL *file;
    EFI_STATUS status = folder_make(root);
    if (!EFI_ERROR(status))
        status = open_fresh(root, name, &file);
    if (EFI_ERROR(status))
        return status;
    status = write_all(file, text, bytes);
    if (EFI_ERROR(status))
        file->Delete(file); /* half a report is worse than none */
    else
        status = file->Close(file);
    return status;
}

const char *boot_log_write(struct boot *boot, const char *name, const char *text, size_t bytes)
{
    EFI_FILE_PROTOCOL *root;
    EFI_STATUS status = root_borrow(boot, &root);
    if (!EFI_ERROR(status)) {
        status = write_file(root, name, text, bytes);
        root_return(boot, root);
    }
    return EFI_ERROR(status) ? words_of(status) : NULL;
}

size_t boot_log_read(struct boot *boot, const char *name, char *out, size_t most)
{
    EFI_FILE_PROTOCOL *root, *file;
    UINTN bytes = most;
    if (EFI_ERROR(root_borrow(boot, &root)))
        return 0;
    EFI_STATUS status = open_log(root, name, EFI_FILE_MODE_READ, &file);
    if (!EFI_ERROR(status)) {
        status = file->Read(file, &bytes, out);
        file->Close(file);
    }
    root_return(boot, root);
    return EFI_ERROR(status) || bytes > most ? 0 : bytes;
}
