/*
 * The operator's file, and the files that it names.
 *
 * Not here: its syntax (vmm/core/config.c), what the files mean (the loaders). No lock.
 */
#include "boot/uefi.h"
#include "hv/format.h"
#include "hv/string.h"

#define WHAT_BYTES 80

bool boot_load_config(struct boot *boot, const char *path)
{
    struct boot_bytes text;
    struct config_diagnosis diagnosis = { 0 };
    if (!boot_file_read(boot, "the configuration", path, BOOT_CONFIG_MOST_BYTES, &text))
        return false;
    enum hv_err err = config_parse((const char *)text.start, text.bytes, &boot->info->config,
                                   &diagnosis);
    if (err == HV_OK)
        return true;
    if (diagnosis.line == 0)
        return boot_refuse(boot, "%s: found %s; expected %s", path, diagnosis.found,
                           diagnosis.expected);
    return boot_refuse(boot, "%s, line %u: found %s; expected %s", path, diagnosis.line,
                       diagnosis.found, diagnosis.expected);
}

static bool is_loaded(const struct boot_info *info, const char *path)
{
    for (uint32_t i = 0; i < info->file_count; i++) {
        if (strcmp(info->files[i].path, path) == 0)
            return true;
    }
    return false;
}

/* `what`: for messages. */
static bool load_file(struct boot *boot, const char *what, const char *path)
{
    struct boot_info *info = boot->info;
    struct boot_bytes bytes;
    if (path[0] == 0 || is_loaded(info, path))
        return true;
    if (info->file_count == BOOT_INFO_MAX_FILES)
        return boot_refuse(boot, "%s '%s' is one file too many; at most %u different files", what,
                           path, BOOT_INFO_MAX_FILES);
    if (!boot_file_read(boot, what, path, UINT64_MAX, &bytes))
        return false;
    struct boot_file *file = &info->files[info->file_count++];
    memcpy(file->path, path, strnlen(path, sizeof(file->path) - 1) + 1);
    file->start = bytes.start;
    file->bytes = bytes.bytes;
    return true;
}

static bool load_one(struct boot *boot, const struct config_vm *vm, const char *key,
                     const char *path)
{
    char what[WHAT_BYTES];
    hv_snprintf(what, sizeof(what), "vm '%s': %s", vm->name, key);
    return load_file(boot, what, path);
}

static bool load_vm(struct boot *boot, const struct config_vm *vm)
{
    if (!load_one(boot, vm, "kernel", vm->kernel) || !load_one(boot, vm, "initrd", vm->initrd))
        return false;
    for (unsigned i = 0; i < vm->module_count; i++) {
        if (!load_one(boot, vm, "module", vm->modules[i].path))
            return false;
    }
    return true;
}

bool boot_load_files(struct boot *boot)
{
    const struct config *config = &boot->info->config;
    for (unsigned i = 0; i < config->vm_count; i++) {
        if (!load_vm(boot, &config->vms[i]))
            return false;
    }
    return load_file(boot, "lab", config->lab);
}
