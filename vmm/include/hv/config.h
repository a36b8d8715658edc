/*
 * The operator's file, parsed: \trapline.cfg. See README "Configuration" for the syntax.
 *
 * Lines of "KEY = VALUE", sections "[vm NAME]" or "[menu TITLE]", comments. A comment is a line that begins with '#';
 * behind a value of one word (and behind a section's head) '#' after white space begins one too,
 * but `cmdline` and `module` take their line as it stands. The keys: hv/config_keys.def.
 *
 * Pure: text in, structure or one diagnosis out.
 */
#ifndef HV_CONFIG_H
#define HV_CONFIG_H

#include "hv/types.h"

#define CONFIG_MAX_VMS 8
#define CONFIG_MAX_VCPUS 16
#define CONFIG_MAX_MODULES 16
#define CONFIG_MAX_MENU 16
#define CONFIG_TITLE_BYTES 64
#define CONFIG_MAX_MENU_SECONDS 3600
#define CONFIG_NAME_BYTES 32
#define CONFIG_PATH_BYTES 128
#define CONFIG_EXPERIMENT_BYTES 48
#define CONFIG_CMDLINE_BYTES 1024
#define CONFIG_MIN_MEMORY_BYTES (UINT64_C(1) << 20)
#define CONFIG_MAX_MEMORY_BYTES (UINT64_C(1) << 40)

enum config_switch { CONFIG_OFF, CONFIG_ON };
enum config_trace { CONFIG_TRACE_OFF, CONFIG_TRACE_ON, CONFIG_TRACE_DUMP };
enum config_leaves { CONFIG_LEAVES_OFF, CONFIG_LEAVES_S21, CONFIG_LEAVES_F21, CONFIG_LEAVES_F22 };
enum config_interrupts { CONFIG_INTERRUPTS_VMM, CONFIG_INTERRUPTS_GUEST };
enum config_platform { CONFIG_PLATFORM_PC, CONFIG_PLATFORM_REDUCED };
enum config_triple_fault { CONFIG_TRIPLE_FAULT_STOP, CONFIG_TRIPLE_FAULT_RESET };
enum config_paravirt { CONFIG_PARAVIRT_KVM, CONFIG_PARAVIRT_OFF };
enum config_console { CONFIG_CONSOLE_AUTO, CONFIG_CONSOLE_SERIAL, CONFIG_CONSOLE_SCREEN };
enum config_on_exit { CONFIG_ON_EXIT_POWEROFF, CONFIG_ON_EXIT_RESET, CONFIG_ON_EXIT_FIRMWARE };
enum config_hot_key { CONFIG_HOT_KEY_OFF, CONFIG_HOT_KEY_SERIAL };
enum config_mode { CONFIG_MODE_GUESTS, CONFIG_MODE_THIN, CONFIG_MODE_PREFLIGHT };
enum config_mitigations { CONFIG_MITIGATIONS_AUTO, CONFIG_MITIGATIONS_OFF, CONFIG_MITIGATIONS_FULL };

struct config_module {
    char path[CONFIG_PATH_BYTES];
    char arguments[CONFIG_CMDLINE_BYTES];
};

struct config_vm {
    char name[CONFIG_NAME_BYTES];
    unsigned line;            /* of the section's head, for messages */
    unsigned vcpus;
    uint64_t memory_bytes;
    char kernel[CONFIG_PATH_BYTES];
    char initrd[CONFIG_PATH_BYTES]; /* empty: none */
    char cmdline[CONFIG_CMDLINE_BYTES];
    struct config_module modules[CONFIG_MAX_MODULES];
    unsigned module_count;
    enum config_interrupts interrupts;
    enum config_triple_fault triple_fault;
    unsigned halt_poll_us;
    enum config_platform platform;
    enum config_paravirt paravirt;
    unsigned latches;
    enum config_trace trace;
    enum config_switch accounting;
    enum config_leaves cpuid_leaves;
};

/* One line of the menu, and the file that it starts. */
struct config_menu_entry {
    char title[CONFIG_TITLE_BYTES];
    unsigned line;            /* of the section's head, for messages */
    char config[CONFIG_PATH_BYTES];
};

struct config_menu {
    struct config_menu_entry entries[CONFIG_MAX_MENU];
    unsigned count;           /* 0: the file is no menu */
    unsigned seconds;         /* until the marked entry starts by itself; 0: it does not */
};

struct config {
    enum config_mode mode;
    struct config_menu menu;  /* beside it there are no VMs and no laboratory */
    enum config_console console;
    enum config_on_exit on_exit;
    enum config_mitigations mitigations;
    enum config_hot_key hot_key;               /* thin mode */
    char boot[CONFIG_PATH_BYTES];              /* thin mode; empty: firmware's next entry */
    char boot_options[CONFIG_CMDLINE_BYTES];
    char lab[CONFIG_PATH_BYTES];               /* empty: no laboratory, there are VMs */
    char experiment[CONFIG_EXPERIMENT_BYTES];  /* empty: all of them */
    char explain[CONFIG_EXPERIMENT_BYTES];     /* empty: no comparison of the explainer */
    struct config_vm vms[CONFIG_MAX_VMS];
    unsigned vm_count;
};

/* One mistake: where, what was found, what was expected. Both texts are printable ASCII, whatever
 * the file holds. */
struct config_diagnosis {
    unsigned line;     /* 1-based; 0: the file as a whole */
    char found[96];
    char expected[160];
};

/* Parses `bytes` bytes of text (UTF-8 with or without BOM, LF or CRLF; UTF-16 is refused by name).
 * Returns HV_OK, or HV_ERR_INVALID with *diagnosis filled in. `config` is large (see sizeof): it
 * does not belong on a stack. */
enum hv_err config_parse(const char *text, size_t bytes, struct config *config,
                         struct config_diagnosis *diagnosis) HV_MUST_CHECK;

#endif
