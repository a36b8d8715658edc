// SRCS: vmm/core/config.c vmm/core/config_value.c vmm/lib/format.c
/* Any bytes: a whole configuration within its bounds, or a diagnosis that can be printed. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hv/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_text(const char *text, size_t room, bool may_be_empty)
{
    size_t length = strnlen(text, room);
    check(length < room && (may_be_empty || length > 0));
}

static void check_vm(const struct config_vm *vm)
{
    check_text(vm->name, sizeof(vm->name), false);
    check_text(vm->kernel, sizeof(vm->kernel), false);
    check_text(vm->initrd, sizeof(vm->initrd), true);
    check_text(vm->cmdline, sizeof(vm->cmdline), true);
    check(vm->line > 0);
    check(vm->vcpus >= 1 && vm->vcpus <= CONFIG_MAX_VCPUS);
    check(vm->memory_bytes >= CONFIG_MIN_MEMORY_BYTES &&
          vm->memory_bytes <= CONFIG_MAX_MEMORY_BYTES && vm->memory_bytes % 4096 == 0);
    check(vm->interrupts <= CONFIG_INTERRUPTS_GUEST);
    check(vm->module_count <= CONFIG_MAX_MODULES);
    for (unsigned i = 0; i < vm->module_count; i++) {
        check_text(vm->modules[i].path, CONFIG_PATH_BYTES, false);
        check_text(vm->modules[i].arguments, CONFIG_CMDLINE_BYTES, true);
    }
}

static void check_printable(const char *text, size_t room)
{
    check_text(text, room, false);
    for (; *text; text++)
        check(*text >= ' ' && *text <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct config config;
    struct config_diagnosis diagnosis;
    unsigned lines = 1;
    for (size_t i = 0; i < bytes; i++)
        lines += data[i] == '\n';
    if (config_parse((const char *)data, bytes, &config, &diagnosis) != HV_OK) {
        check_printable(diagnosis.found, sizeof(diagnosis.found));
        check_printable(diagnosis.expected, sizeof(diagnosis.expected));
        check(diagnosis.line <= lines);
        return 0;
    }
    /* The laboratory or the explainer run instead of VMs, and one of them alone; a menu has none. */
    check_text(config.lab, sizeof(config.lab), true);
    check_text(config.experiment, sizeof(config.experiment), true);
    check_text(config.explain, sizeof(config.explain), true);
    unsigned things = (config.vm_count != 0) + (config.lab[0] != 0) + (config.explain[0] != 0);
    check(config.mode <= CONFIG_MODE_PREFLIGHT && config.menu.count <= CONFIG_MAX_MENU);
    check(config.menu.count ? things == 0 && config.mode == CONFIG_MODE_GUESTS
                            : things + (config.mode == CONFIG_MODE_PREFLIGHT) >= 1 && things <= 1);
    for (unsigned i = 0; i < config.menu.count; i++) {
        check_text(config.menu.entries[i].title, CONFIG_TITLE_BYTES, false);
        check_text(config.menu.entries[i].config, CONFIG_PATH_BYTES, false);
    }
    check(config.vm_count <= CONFIG_MAX_VMS);
    check(config.console <= CONFIG_CONSOLE_SCREEN && config.on_exit <= CONFIG_ON_EXIT_FIRMWARE);
    for (unsigned i = 0; i < config.vm_count; i++) {
        check_vm(&config.vms[i]);
        for (unsigned j = 0; j < i; j++)
            check(strcmp(config.vms[i].name, config.vms[j].name) != 0);
    }
    return 0;
}
