// SRCS: vmm/core/config.c vmm/core/config_value.c vmm/lib/format.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hv/config.h"

static struct config config;
static struct config_diagnosis diagnosis;

/* A copy of exactly that size, so that the sanitizer sees every byte read too many. */
static enum hv_err parse_bytes(const char *text, size_t bytes)
{
    char *copy = malloc(bytes ? bytes : 1);
    memcpy(copy, text, bytes);
    enum hv_err err = config_parse(copy, bytes, &config, &diagnosis);
    free(copy);
    return err;
}

static void accept(const char *text)
{
    if (parse_bytes(text, strlen(text)) != HV_OK)
        fail_msg("line %u: found %s, expected %s", diagnosis.line, diagnosis.found,
                 diagnosis.expected);
}

static void refuse_bytes(const char *text, size_t bytes, unsigned line, const char *found,
                         const char *expected)
{
    assert_int_equal(parse_bytes(text, bytes), HV_ERR_INVALID);
    assert_string_equal(diagnosis.found, found);
    assert_string_equal(diagnosis.expected, expected);
    assert_int_equal(diagnosis.line, line);
}

static void refuse(const char *text, unsigned line, const char *found, const char *expected)
{
    refuse_bytes(text, strlen(text), line, found, expected);
}

/* One line in an otherwise good section; it is line 3. */
static void refuse_line(const char *line, const char *found, const char *expected)
{
    char text[4096];
    snprintf(text, sizeof(text), "[vm a]\nkernel = k\n%s\n", line);
    refuse(text, 3, found, expected);
}

static void accept_line(const char *line)
{
    char text[4096];
    snprintf(text, sizeof(text), "[vm a]\nkernel = k\n%s\n", line);
    accept(text);
}

static void test_the_designs_example(void **state)
{
    (void)state;
    accept("console = serial\n"
           "[vm debian]\n"
           "vcpus = 1\n"
           "memory = 512M\n"
           "kernel = vmlinuz          # bzImage, or a multiboot-1 ELF: told apart by its header\n"
           "initrd = initrd.img       # 'module = FILE ARGS' for multiboot, repeatable\n"
           "cmdline = console=ttyS0 quiet\n");
    assert_int_equal(config.console, CONFIG_CONSOLE_SERIAL);
    assert_int_equal(config.on_exit, CONFIG_ON_EXIT_POWEROFF);
    assert_int_equal(config.vm_count, 1);
    assert_string_equal(config.vms[0].name, "debian");
    assert_int_equal(config.vms[0].line, 2);
    assert_int_equal(config.vms[0].vcpus, 1);
    assert_int_equal(config.vms[0].memory_bytes, 512 << 20);
    assert_string_equal(config.vms[0].kernel, "vmlinuz");
    assert_string_equal(config.vms[0].initrd, "initrd.img");
    assert_string_equal(config.vms[0].cmdline, "console=ttyS0 quiet");
    assert_int_equal(config.vms[0].module_count, 0);
    assert_int_equal(config.vms[0].interrupts, CONFIG_INTERRUPTS_VMM);
}

static void test_lab(void **state)
{
    (void)state;
    accept("lab = lab.elf\n");
    assert_string_equal(config.lab, "lab.elf");
    assert_int_equal(config.experiment[0], 0);
    assert_int_equal(config.vm_count, 0);
    accept("lab = lab.elf\nexperiment = ept-violation\n");
    assert_string_equal(config.experiment, "ept-violation");
    refuse("lab = lab.elf\n\n[vm a]\nkernel = k\n", 3, "the section [vm a]",
           "no [vm NAME] section beside 'lab = FILE'");
}

static void test_explain(void **state)
{
    (void)state;
    accept("explain = all\n");
    assert_string_equal(config.explain, "all");
    assert_int_equal(config.vm_count, 0);
    accept("explain = host_cr0_fixed.1.bad\n");
    assert_string_equal(config.explain, "host_cr0_fixed.1.bad");
    refuse("explain = all\n[vm a]\nkernel = k\n", 2, "the section [vm a]",
           "no [vm NAME] section beside 'explain = CASES'");
    refuse("explain = all\nlab = lab.elf\n", 2, "both 'lab' and 'explain'", "one of them");
    refuse("explain =\n", 0, "no [vm NAME] section", "at least one, with its 'kernel = FILE'");
}

static void test_thin(void **state)
{
    (void)state;
    accept("mode = thin\nhot-key = serial\n");
    assert_int_equal(config.mode, CONFIG_MODE_THIN);
    assert_int_equal(config.hot_key, CONFIG_HOT_KEY_SERIAL);
    assert_string_equal(config.boot, "");
    accept("mode = thin\nboot = \\EFI\\debian\\shimx64.efi\nboot-options = a=b # c\n");
    assert_string_equal(config.boot, "\\EFI\\debian\\shimx64.efi");
    assert_string_equal(config.boot_options, "a=b # c");
    accept("mode = thin\n[vm a]\nkernel = k\n");
    refuse("mode = thin\nboot =\n", 2, "'boot' without a value", "a file's name");
}

static void test_preflight_alone(void **state)
{
    (void)state;
    accept("mode = preflight\n");
    assert_int_equal(config.mode, CONFIG_MODE_PREFLIGHT);
    assert_int_equal(config.vm_count, 0);
    accept("mode = preflight\n[vm a]\nkernel = k\n");
    assert_int_equal(config.vm_count, 1);
    refuse("mode = guests\n", 0, "no [vm NAME] section", "at least one, with its 'kernel = FILE'");
    refuse("mode = check\n", 1, "mode = check", "guests | thin | preflight");
}

static void test_menu(void **state)
{
    (void)state;
    accept("menu = 7 # seconds\n"
           "[menu A Debian guest]  # the first\nconfig = debian.cfg\n"
           "[ menu  \xc3\xbc [2] ]\nconfig = my/lab.cfg\n");
    assert_int_equal(config.menu.count, 2);
    assert_int_equal(config.menu.seconds, 7);
    assert_string_equal(config.menu.entries[0].title, "A Debian guest");
    assert_string_equal(config.menu.entries[0].config, "debian.cfg");
    assert_int_equal(config.menu.entries[0].line, 2);
    assert_string_equal(config.menu.entries[1].title, "\xc3\xbc [2]");
    assert_string_equal(config.menu.entries[1].config, "my/lab.cfg");
    assert_int_equal(config.menu.entries[1].line, 4);
    assert_int_equal(config.vm_count, 0);
    accept("[menu a]\nconfig = a\n");
    assert_int_equal(config.menu.seconds, 10);
    accept("menu = 0\n[menu a]\nconfig = a\n");
    assert_int_equal(config.menu.seconds, 0);
}

static void test_menus_with_mistakes(void **state)
{
    char text[2048], *end = text;
    (void)state;
    refuse("menu = 5\n", 0, "'menu' and no [menu TITLE] section",
           "at least one, with its 'config = FILE'");
    refuse("menu = 3601\n", 1, "menu = 3601", "a number from 0 to 3600");
    refuse("menu = soon\n", 1, "menu = soon", "a number from 0 to 3600");
    refuse("menu\n", 1, "'menu'",
           "KEY = VALUE, [vm NAME], [menu TITLE], or a comment after '#'");
    refuse("[menu]\n", 1, "the title ''", "a title of 1 to 63 bytes");
    refuse("[menus a]\n", 1, "the section '[menus a]'", "[vm NAME] or [menu TITLE]");
    refuse("\n[menu a b]\n\n", 2, "[menu a b] without the key 'config'", "config = FILE");
    refuse("[menu a]\n[menu b]\nconfig = b\n", 1, "[menu a] without the key 'config'",
           "config = FILE");
    refuse("[menu a]\nconfig =\n", 2, "'config' without a value", "a file's name");
    refuse("[menu a]\nconfig = a\n\n[menu a]\n", 4, "a second [menu a]",
           "a title that no other entry has");
    refuse("[menu a]\nkernel = k\n", 2, "the key 'kernel'",
           "this key inside a [vm NAME] section");
    refuse("[menu a]\nconfg = k\n", 2, "the unknown key 'confg'", "'config' perhaps");
    refuse("config = k\n", 1, "the key 'config'", "this key inside a [menu TITLE] section");
    /* Either a menu, or something that is started. */
    refuse("[menu a]\nconfig = a\n[vm b]\n", 3, "[vm b] in the file of a menu",
           "a menu's entries to have files of their own for this");
    refuse("menu = 1\n[vm b]\n", 2, "[vm b] in the file of a menu",
           "a menu's entries to have files of their own for this");
    refuse("[vm b]\nkernel = k\n[menu a]\n", 3, "a [menu TITLE] after [vm b]",
           "either [vm NAME] or [menu TITLE] sections");
    refuse("lab = l\n[menu a]\n", 2, "the key 'lab' in the file of a menu",
           "this in the file of an entry");
    refuse("console = auto\nmenu = 1\n[menu a]\n", 3, "the key 'console' in the file of a menu",
           "this in the file of an entry");
    for (unsigned i = 0; i <= CONFIG_MAX_MENU; i++)
        end += sprintf(end, "[menu %u]\nconfig = c\n", i);
    refuse(text, 2 * CONFIG_MAX_MENU + 1, "one more [menu 16]", "at most 16 entries");
    memset(text, 't', sizeof(text));
    memcpy(text, "[menu ", 6);
    memcpy(text + 6 + 63, "]\nconfig = c\n", 14);
    accept(text);
    assert_int_equal(strlen(config.menu.entries[0].title), 63);
    memcpy(text + 6 + 64, "]\nconfig = c\n", 14);
    text[6 + 63] = 't';
    refuse(text, 1, "the title 'tttttttttttttttttttttttttttttttttttttttttttt...'",
           "a title of 1 to 63 bytes");
}

static void test_initial_values(void **state)
{
    (void)state;
    accept("[vm a]\nkernel=k");
    assert_int_equal(config.console, CONFIG_CONSOLE_AUTO);
    assert_int_equal(config.vms[0].vcpus, 1);
    assert_int_equal(config.vms[0].memory_bytes, 512 << 20);
    assert_string_equal(config.vms[0].initrd, "");
    assert_string_equal(config.vms[0].cmdline, "");
}

static void test_every_word(void **state)
{
    (void)state;
    accept("console = auto\n[vm a]\nkernel = k\n");
    assert_int_equal(config.console, CONFIG_CONSOLE_AUTO);
    accept("console = serial\n[vm a]\nkernel = k\n");
    assert_int_equal(config.console, CONFIG_CONSOLE_SERIAL);
    accept("console = screen\n[vm a]\nkernel = k\n");
    assert_int_equal(config.console, CONFIG_CONSOLE_SCREEN);
    accept("on-exit = reset\n[vm a]\nkernel = k\n");
    assert_int_equal(config.on_exit, CONFIG_ON_EXIT_RESET);
    accept("on-exit = poweroff\n[vm a]\nkernel = k\n");
    assert_int_equal(config.lab[0], 0);
    assert_int_equal(config.explain[0], 0);
    assert_int_equal(config.experiment[0], 0);
    assert_int_equal(config.on_exit, CONFIG_ON_EXIT_POWEROFF);
    accept_line("interrupts = guest");
    assert_int_equal(config.vms[0].interrupts, CONFIG_INTERRUPTS_GUEST);
    accept_line("interrupts = vmm");
    assert_int_equal(config.vms[0].interrupts, CONFIG_INTERRUPTS_VMM);
    refuse_line("interrupts = vm", "interrupts = vm", "vmm | guest");
    accept_line("trace = on");
    assert_int_equal(config.vms[0].trace, CONFIG_TRACE_ON);
    assert_int_equal(config.vms[0].accounting, CONFIG_OFF);
    assert_int_equal(config.vms[0].cpuid_leaves, CONFIG_LEAVES_OFF);
    accept_line("trace = dump");
    assert_int_equal(config.vms[0].trace, CONFIG_TRACE_DUMP);
    accept_line("accounting = on");
    assert_int_equal(config.vms[0].accounting, CONFIG_ON);
    assert_int_equal(config.vms[0].trace, CONFIG_TRACE_OFF);
    accept_line("cpuid-leaves = s21");
    assert_int_equal(config.vms[0].cpuid_leaves, CONFIG_LEAVES_S21);
    accept_line("cpuid-leaves = f21");
    assert_int_equal(config.vms[0].cpuid_leaves, CONFIG_LEAVES_F21);
    accept_line("cpuid-leaves = f22 # the one of autumn 2022");
    assert_int_equal(config.vms[0].cpuid_leaves, CONFIG_LEAVES_F22);
    refuse_line("cpuid-leaves = f23", "cpuid-leaves = f23", "off | s21 | f21 | f22");
    refuse_line("trace = yes", "trace = yes", "off | on | dump");
    refuse_line("accounting =", "'accounting' without a value", "off | on");
    refuse_line("interrupts = vmm |", "interrupts = vmm |", "vmm | guest");
    refuse_line("interrupts = VMM", "interrupts = VMM", "vmm | guest");
    refuse_line("interrupts =", "'interrupts' without a value", "vmm | guest");
    refuse("console = seriel\n", 1, "console = seriel", "auto | serial | screen");
}

static void test_several_vms(void **state)
{
    (void)state;
    accept("[vm a]\nkernel = k1\nvcpus = 2\n[ vm  B.2_c-d\t]  # second\n\nkernel = k2\n");
    assert_int_equal(config.vm_count, 2);
    assert_string_equal(config.vms[1].name, "B.2_c-d");
    assert_int_equal(config.vms[1].line, 4);
    assert_int_equal(config.vms[1].vcpus, 1);
    assert_string_equal(config.vms[0].kernel, "k1");
    assert_string_equal(config.vms[1].kernel, "k2");
    refuse("[vm a]\nkernel = k\n[vm a]\nkernel = k\n", 3, "a second [vm a]",
           "a name that no other VM has");
    refuse("[vm a]\nkernel=k\n[vm b]\nkernel=k\n[vm c]\nkernel=k\n[vm d]\nkernel=k\n"
           "[vm e]\nkernel=k\n[vm f]\nkernel=k\n[vm g]\nkernel=k\n[vm h]\nkernel=k\n"
           "[vm i]\nkernel=k\n", 17, "one more [vm i]", "at most 8 VMs");
}

static void test_line_ends_and_byte_order_mark(void **state)
{
    (void)state;
    accept("\xef\xbb\xbf" "[vm a]\r\nkernel = k\r\ncmdline = x y\r\n\r\n");
    assert_string_equal(config.vms[0].cmdline, "x y");
    accept("[vm a]\nkernel = k\r");
    assert_string_equal(config.vms[0].kernel, "k");
    refuse("[vm a]\rkernel = k\r", 1, "a carriage return inside the line",
           "lines that end with LF or CR LF");
}

#define UTF8_WANTED "UTF-8 or plain ASCII: save the file in that encoding"

static void test_other_encodings(void **state)
{
    (void)state;
    refuse_bytes("\xff\xfe[\0v\0m\0", 8, 0, "UTF-16 text (little-endian)", UTF8_WANTED);
    refuse_bytes("\xfe\xff\0[\0v\0m", 8, 0, "UTF-16 text (big-endian)", UTF8_WANTED);
    refuse_bytes("[\0v\0m\0", 6, 0, "UTF-16 text (little-endian)", UTF8_WANTED);
    refuse_bytes("\0[\0v\0m", 6, 0, "UTF-16 text (big-endian)", UTF8_WANTED);
    refuse("[vm a]\nkernel = caf\xe9\n", 2, "the byte 0xe9, which is not UTF-8 here", UTF8_WANTED);
    /* Comments may be in any. */
    accept("# caf\xe9\n[vm a]\n  # caf\xe9\nkernel = k\n");
}

static void test_utf8(void **state)
{
    static const char *good[] = { "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xec\xbf\xbf",
                                  "\xed\x9f\xbf", "\xef\xbf\xbf", "\xf0\x90\x80\x80",
                                  "\xf3\xbf\xbf\xbf", "\xf4\x8f\xbf\xbf" };
    static const char *bad[] = { "\x80", "\xc1\x80", "\xc2", "\xc2 ", "\xc2\xc0", "\xe0\x9f\x80",
                                 "\xed\xa0\x80", "\xe1\x80", "\xe1\x80z", "\xf0\x8f\x80\x80",
                                 "\xf4\x90\x80\x80", "\xf1\x80\x80", "\xf5\x80\x80\x80", "\xff" };
    char line[40];
    (void)state;
    for (unsigned i = 0; i < HV_ARRAY_COUNT(good); i++) {
        snprintf(line, sizeof(line), "cmdline = %s!", good[i]);
        accept_line(line);
        assert_string_equal(config.vms[0].cmdline, line + strlen("cmdline = "));
    }
    for (unsigned i = 0; i < HV_ARRAY_COUNT(bad); i++) {
        char found[60];
        snprintf(line, sizeof(line), "cmdline = %s", bad[i]);
        if (bad[i][strlen(bad[i]) - 1] == ' ')
            strcat(line, "x");
        snprintf(found, sizeof(found), "the byte 0x%02x, which is not UTF-8 here",
                 (unsigned char)bad[i][0]);
        refuse_line(line, found, UTF8_WANTED);
    }
}

static void test_control_characters(void **state)
{
    (void)state;
    refuse_bytes("[vm a]\nker\0nel = k\n", 18, 2, "the control character 0x00", "text");
    refuse_bytes("[vm a]\n# \0\n", 11, 2, "the control character 0x00", "text");
    refuse_line("cmdline = \x1b[31m", "the control character 0x1b", "text");
    refuse_line("cmdline = \x7f", "the control character 0x7f", "text");
    accept_line("\tcmdline\t=\ta\tb\t");
    assert_string_equal(config.vms[0].cmdline, "a\tb");
}

static void test_comments(void **state)
{
    (void)state;
    accept("# first\n#\n   # indented\n[vm a] # section\nkernel = k#1 # file\n"
           "vcpus = 2 # two\nmemory = 1M\t# little\n"
           "cmdline = a=#1 # not a comment\nmodule = m x # neither\n");
    assert_string_equal(config.vms[0].kernel, "k#1");
    assert_int_equal(config.vms[0].vcpus, 2);
    assert_string_equal(config.vms[0].cmdline, "a=#1 # not a comment");
    assert_string_equal(config.vms[0].modules[0].arguments, "x # neither");
}

static void test_no_vm(void **state)
{
    (void)state;
    refuse("", 0, "an empty file", "at least one, with its 'kernel = FILE'");
    refuse("\xef\xbb\xbf", 0, "an empty file", "at least one, with its 'kernel = FILE'");
    refuse("\n \n# nothing\n", 0, "no [vm NAME] section", "at least one, with its 'kernel = FILE'");
    refuse("\n", 0, "no [vm NAME] section", "at least one, with its 'kernel = FILE'");
}

static void test_kernel_is_mandatory(void **state)
{
    (void)state;
    refuse("\n[vm a]\nvcpus = 1\n", 2, "[vm a] without the key 'kernel'", "kernel = FILE");
    refuse("[vm a]\n[vm b]\nkernel = k\n", 1, "[vm a] without the key 'kernel'", "kernel = FILE");
}

static void test_sections(void **state)
{
    static const char *form = "[vm NAME] or [menu TITLE]";
    static const char *name = "a name of 1 to 31 letters, digits, '-', '_' and '.'";
    (void)state;
    refuse("[vm a\nkernel = k\n", 1, "'[vm a', which has no ']' at its end", form);
    refuse("[", 1, "'[', which has no ']' at its end", form);
    refuse("[vm a] kernel", 1, "'[vm a] kernel', which has no ']' at its end", form);
    refuse("[]", 1, "the section '[]'", form);
    refuse("[host a]", 1, "the section '[host a]'", form);
    refuse("[vma]", 1, "the section '[vma]'", form);
    refuse("[vm]", 1, "the VM's name ''", name);
    refuse("[vm ]", 1, "the VM's name ''", name);
    refuse("[vm a b]", 1, "the VM's name 'a b'", name);
    refuse("[vm a/b]", 1, "the VM's name 'a/b'", name);
    refuse("[vm \xc3\xa9]", 1, "the VM's name '\?\?'", name);
    accept("[vm a234567890123456789012345678901]\nkernel = k\n");
    refuse("[vm a2345678901234567890123456789012]\nkernel = k\n", 1,
           "the VM's name 'a2345678901234567890123456789012'", name);
    refuse("[vm a2345678901234567890123456789012345678901234567890]", 1,
           "the VM's name 'a2345678901234567890123456789012345678901234...'", name);
}

static void test_lines_that_are_none(void **state)
{
    static const char *form = "KEY = VALUE, [vm NAME], [menu TITLE], or a comment after '#'";
    (void)state;
    refuse_line("kernel", "'kernel'", form);
    refuse_line("hello world", "'hello world'", form);
    refuse_line("\x7f" "ELF", "the control character 0x7f", "text");
    refuse_line("kernel = k2", "a second 'kernel'", "each key once in a section");
    refuse_line("= 3", "the unknown key ''",
                "one of: vcpus memory kernel initrd cmdline module interrupts triple-fault halt-poll platform paravirt latches trace accounting cpuid-leaves");
}

static void test_unknown_keys_and_suggestions(void **state)
{
    (void)state;
    refuse_line("vcpu = 2", "the unknown key 'vcpu'", "'vcpus' perhaps");
    refuse_line("cpus = 2", "the unknown key 'cpus'", "'vcpus' perhaps");
    refuse_line("Memory = 2M", "the unknown key 'Memory'", "'memory' perhaps");
    refuse_line("cmd-line = x", "the unknown key 'cmd-line'", "'cmdline' perhaps");
    refuse_line("initramfs = x", "the unknown key 'initramfs'",
                "one of: vcpus memory kernel initrd cmdline module interrupts triple-fault halt-poll platform paravirt latches trace accounting cpuid-leaves");
    refuse_line("a_key_that_is_longer_than_any = x",
                "the unknown key 'a_key_that_is_longer_than_any'",
                "one of: vcpus memory kernel initrd cmdline module interrupts triple-fault halt-poll platform paravirt latches trace accounting cpuid-leaves");
    refuse("consol = auto\n", 1, "the unknown key 'consol'", "'console' perhaps");
    refuse("fuzzy = auto\n", 1, "the unknown key 'fuzzy'",
           "one of: console on-exit mode menu mitigations boot boot-options hot-key lab experiment explain");
    refuse("bot = a.efi\n", 1, "the unknown key 'bot'", "'boot' perhaps");
    refuse("kernel = k\n", 1, "the key 'kernel'", "this key inside a [vm NAME] section");
    refuse_line("console = auto", "the key 'console'",
                "this key before the first section");
}

static void test_numbers(void **state)
{
    static const char *form = "a number from 1 to 16";
    (void)state;
    accept_line("vcpus = 16");
    assert_int_equal(config.vms[0].vcpus, 16);
    accept_line("vcpus = 007");
    assert_int_equal(config.vms[0].vcpus, 7);
    refuse_line("vcpus = 0", "vcpus = 0", form);
    refuse_line("vcpus = 17", "vcpus = 17", form);
    refuse_line("vcpus = -1", "vcpus = -1", form);
    refuse_line("vcpus = 1x", "vcpus = 1x", form);
    refuse_line("vcpus = 0x1", "vcpus = 0x1", form);
    refuse_line("vcpus = two", "vcpus = two", form);
    refuse_line("vcpus =", "'vcpus' without a value", form);
    refuse_line("vcpus = # 2", "'vcpus' without a value", form);
    refuse_line("vcpus = 18446744073709551617", "vcpus = 18446744073709551617", form);
    refuse_line("vcpus = 18446744073709551616", "vcpus = 18446744073709551616", form);
}

static void test_sizes(void **state)
{
    static const char *form =
        "a size from 1M to 1024G in whole 4K pages, with K, M, G or T, such as 512M";
    static const struct { const char *text; uint64_t bytes; } good[] = {
        { "1M", 1 << 20 }, { "1048576", 1 << 20 }, { "1024k", 1 << 20 }, { "1028K", 0x101000 },
        { "64m", 64 << 20 }, { "1G", 1 << 30 }, { "3g", UINT64_C(3) << 30 },
        { "1T", UINT64_C(1) << 40 }, { "1024G", UINT64_C(1) << 40 },
    };
    static const char *bad[] = { "512", "0", "1023K", "1025K", "1048577", "2T", "1025G", "1P", "M",
                                 "1.5G", "512 M", "512MB", "-1M", "18446744073709551615",
                                 "18446744073709551616", "17592186044417M", "1+", "0x100000" };
    (void)state;
    for (unsigned i = 0; i < HV_ARRAY_COUNT(good); i++) {
        char line[40];
        snprintf(line, sizeof(line), "memory = %s", good[i].text);
        accept_line(line);
        assert_true(config.vms[0].memory_bytes == good[i].bytes);
    }
    for (unsigned i = 0; i < HV_ARRAY_COUNT(bad); i++) {
        char line[60];
        snprintf(line, sizeof(line), "memory = %s", bad[i]);
        refuse_line(line, line, form);
    }
    refuse_line("memory =", "'memory' without a value", form);
}

/* "key = aaa…", with so many a. */
static void make_long_line(char *line, const char *key, unsigned length)
{
    strcpy(line, key);
    size_t start = strlen(line);
    memset(line + start, 'a', length);
    line[start + length] = '\0';
}

static void test_long_values(void **state)
{
    char line[2000];
    (void)state;
    make_long_line(line, "initrd = ", CONFIG_PATH_BYTES - 1);
    accept_line(line);
    assert_int_equal(strlen(config.vms[0].initrd), CONFIG_PATH_BYTES - 1);
    make_long_line(line, "initrd = ", CONFIG_PATH_BYTES);
    refuse_line(line, "a file's name of 128 bytes", "at most 127 bytes");
    make_long_line(line, "cmdline = ", CONFIG_CMDLINE_BYTES - 1);
    accept_line(line);
    assert_int_equal(strlen(config.vms[0].cmdline), CONFIG_CMDLINE_BYTES - 1);
    make_long_line(line, "cmdline = ", CONFIG_CMDLINE_BYTES);
    refuse_line(line, "cmdline of 1024 bytes", "at most 1023 bytes");
    make_long_line(line, "module = ", CONFIG_PATH_BYTES);
    refuse_line(line, "a file's name of 128 bytes", "at most 127 bytes");
    make_long_line(line, "module = m ", CONFIG_CMDLINE_BYTES - 1);
    accept_line(line);
    assert_int_equal(strlen(config.vms[0].modules[0].arguments), CONFIG_CMDLINE_BYTES - 1);
    make_long_line(line, "module = m ", CONFIG_CMDLINE_BYTES);
    refuse_line(line, "arguments of 1024 bytes", "at most 1023 bytes");
    make_long_line(line, "vcpus = ", 500);
    refuse_line(line, "vcpus = aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...",
                "a number from 1 to 16");
}

static void test_empty_values(void **state)
{
    (void)state;
    accept_line("cmdline =");
    assert_string_equal(config.vms[0].cmdline, "");
    refuse_line("initrd =", "'initrd' without a value", "a file's name");
    refuse_line("initrd = # none", "'initrd' without a value", "a file's name");
    refuse_line("module =", "'module' without a value", "a file's name and, after it, arguments");
}

static void test_modules(void **state)
{
    char text[1000] = "[vm a]\nkernel = k\n";
    (void)state;
    accept_line("module = mod1  a  b \nmodule=mod2");
    assert_int_equal(config.vms[0].module_count, 2);
    assert_string_equal(config.vms[0].modules[0].path, "mod1");
    assert_string_equal(config.vms[0].modules[0].arguments, "a  b");
    assert_string_equal(config.vms[0].modules[1].path, "mod2");
    assert_string_equal(config.vms[0].modules[1].arguments, "");
    for (unsigned i = 0; i < CONFIG_MAX_MODULES; i++)
        strcat(text, "module = m\n");
    accept(text);
    assert_int_equal(config.vms[0].module_count, CONFIG_MAX_MODULES);
    strcat(text, "module = m\n");
    refuse(text, 19, "one more module", "at most 16 modules");
}

static void test_values_may_hold_equals_signs_and_spaces(void **state)
{
    (void)state;
    accept("[vm a]\nkernel = my kernel\ncmdline = = a=b [c]\n");
    assert_string_equal(config.vms[0].kernel, "my kernel");
    assert_string_equal(config.vms[0].cmdline, "= a=b [c]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_designs_example),
        cmocka_unit_test(test_thin),
        cmocka_unit_test(test_preflight_alone),
        cmocka_unit_test(test_menu),
        cmocka_unit_test(test_menus_with_mistakes),
        cmocka_unit_test(test_initial_values),
        cmocka_unit_test(test_lab),
        cmocka_unit_test(test_explain),
        cmocka_unit_test(test_every_word),
        cmocka_unit_test(test_several_vms),
        cmocka_unit_test(test_line_ends_and_byte_order_mark),
        cmocka_unit_test(test_other_encodings),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_control_characters),
        cmocka_unit_test(test_comments),
        cmocka_unit_test(test_no_vm),
        cmocka_unit_test(test_kernel_is_mandatory),
        cmocka_unit_test(test_sections),
        cmocka_unit_test(test_lines_that_are_none),
        cmocka_unit_test(test_unknown_keys_and_suggestions),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_long_values),
        cmocka_unit_test(test_empty_values),
        cmocka_unit_test(test_modules),
        cmocka_unit_test(test_values_may_hold_equals_signs_and_spaces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
