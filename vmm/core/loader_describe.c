/*
 * What a file is that is not what was expected: told by its first bytes, for one sentence to the
 * operator. Pure; no lock.
 */
#include "loader_internal.h"

/* Files that begin with fixed bytes. */
static const struct {
    const char *bytes;
    uint8_t length;
    const char *what;
} magics[] = {
    { "\037\213", 2, "gzip data" },
    { "\3757zXZ\0", 6, "xz data" },
    { "BZh", 3, "bzip2 data" },
    { "\x28\xb5\x2f\xfd", 4, "zstd data" },
    { "\x04\x22\x4d\x18", 4, "LZ4 data" },
    { "\x02\x21\x4c\x18", 4, "LZ4 data (legacy frame)" },
    { "\x5d\0\0", 3, "LZMA data" },
    { "070701", 6, "a cpio archive (an initial RAM disk?)" },
    { "070702", 6, "a cpio archive (an initial RAM disk?)" },
    { "!<arch>\n", 8, "an ar archive (a Debian package?)" },
    { "PK\3\4", 4, "a zip archive" },
    { "#!", 2, "a script" },
    { "MZ", 2, "a DOS or EFI executable without a Linux header" },
    { "QFI\xfb", 4, "a QCOW disk image" },
    { "%PDF", 4, "a PDF document" },
};

static const char *describe_elf_type(const struct loader_file *file, const char *relocatable,
                                     const char *executable, const char *shared, const char *core)
{
    switch (loader_get16(file->data + 16)) {
    case 1: return relocatable;
    case 2: return executable;
    case 3: return shared;
    case 4: return core;
    default: return "an ELF file of unknown type";
    }
}

static const char *describe_elf(const struct loader_file *file)
{
    if (file->bytes < 20)
        return "an ELF file that is cut off";
    if (file->data[5] != 1)
        return "a big-endian ELF file";
    switch (loader_get16(file->data + 18)) {
    case 3:
        return describe_elf_type(file, "an i386 ELF object file", "an i386 ELF executable",
                                 "an i386 ELF shared library or position-independent executable",
                                 "an i386 ELF core dump");
    case 62:
        return describe_elf_type(file, "an x86-64 ELF object file", "an x86-64 ELF executable",
                                 "an x86-64 ELF shared library or position-independent executable",
                                 "an x86-64 ELF core dump");
    case 40: return "an ELF file for Arm";
    case 183: return "an ELF file for AArch64";
    case 243: return "an ELF file for RISC-V";
    default: return "an ELF file for another processor";
    }
}

/* "OS image format" of the Multiboot 2 specification: in the first 32 KB, 8-aligned. */
static bool has_multiboot2_header(const struct loader_file *file)
{
    uint64_t limit = hv_min_u64(file->bytes, 32768);
    for (uint64_t at = 0; at + 16 <= limit; at += 8)
        if (loader_get32(file->data + at) == 0xe85250d6)
            return true;
    return false;
}

static bool is_text(const struct loader_file *file)
{
    uint64_t limit = hv_min_u64(file->bytes, 256);
    for (uint64_t at = 0; at < limit; at++) {
        uint8_t c = file->data[at];
        if ((c < ' ' && c != '\n' && c != '\r' && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static bool is_all_zero(const struct loader_file *file)
{
    uint64_t limit = hv_min_u64(file->bytes, 4096);
    for (uint64_t at = 0; at < limit; at++)
        if (file->data[at])
            return false;
    return true;
}

const char *loader_describe(const struct loader_file *file)
{
    if (file->bytes == 0)
        return "an empty file";
    if (is_all_zero(file))
        return "nothing but zeros";
    if (has_multiboot2_header(file))
        return "a multiboot-2 kernel";
    if (file->bytes >= 4 && memcmp(file->data, "\177ELF", 4) == 0)
        return describe_elf(file);
    for (unsigned i = 0; i < HV_ARRAY_COUNT(magics); i++)
        if (file->bytes >= magics[i].length &&
            memcmp(file->data, magics[i].bytes, magics[i].length) == 0)
            return magics[i].what;
    if (loader_file_holds(file, 510, 2) && loader_get16(file->data + 510) == 0xaa55)
        return "a boot sector or a disk image";
    return is_text(file) ? "a text file" : "data of an unknown kind";
}
