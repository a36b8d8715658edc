/*
 * The two numbers that switch a machine off, out of AML.
 *
 * Not an AML interpreter: it looks for the bytes of `Name (\_S5, Package () {...})` with constants
 * in the package, which is how firmware writes it. Pure; no lock.
 * ACPI specification "AML Encoding": NameOp, PackageOp, PkgLength, ComputationalData.
 */
#include "x86/acpi_host.h"

#include "hv/string.h"

#define AML_ZERO_OP 0x00
#define AML_ONE_OP 0x01
#define AML_NAME_OP 0x08
#define AML_BYTE_PREFIX 0x0a
#define AML_WORD_PREFIX 0x0b
#define AML_DWORD_PREFIX 0x0c
#define AML_PACKAGE_OP 0x12
#define AML_ROOT_CHAR 0x5c
#define AML_ONES_OP 0xff

struct cursor {
    const uint8_t *data;
    uint32_t bytes, at;
};

static bool take(struct cursor *cursor, uint8_t *byte)
{
    if (cursor->at >= cursor->bytes)
        return false;
    *byte = cursor->data[cursor->at++];
    return true;
}

/* A constant, of which the sleep type is the low three bits. */
static bool take_constant(struct cursor *cursor, uint8_t *value)
{
    uint8_t op, ignored;
    unsigned more = 0;

    if (!take(cursor, &op))
        return false;
    if (op == AML_ZERO_OP || op == AML_ONE_OP || op == AML_ONES_OP) {
        *value = op & 7;
        return true;
    }
    if (op == AML_WORD_PREFIX)
        more = 1;
    else if (op == AML_DWORD_PREFIX)
        more = 3;
    else if (op != AML_BYTE_PREFIX)
        return false;
    if (!take(cursor, value))
        return false;
    *value &= 7;
    while (more--)
        if (!take(cursor, &ignored))
            return false;
    return true;
}

/* PackageOp PkgLength NumElements, and two constants. */
static bool take_package(struct cursor *cursor, uint8_t *type_a, uint8_t *type_b)
{
    uint8_t byte, elements;

    if (!take(cursor, &byte) || byte != AML_PACKAGE_OP || !take(cursor, &byte))
        return false;
    for (unsigned more = byte >> 6; more; more--)
        if (!take(cursor, &byte))
            return false;
    if (!take(cursor, &elements) || elements == 0 || !take_constant(cursor, type_a))
        return false;
    *type_b = 0;
    return elements == 1 || take_constant(cursor, type_b);
}

bool acpi_find_s5(const uint8_t *aml, uint32_t bytes, uint8_t *type_a, uint8_t *type_b)
{
    for (uint32_t at = 1; bytes >= 4 && at <= bytes - 4; at++) {
        struct cursor cursor = { aml, bytes, at + 4 };
        bool named;

        if (memcmp(aml + at, "_S5_", 4))
            continue;
        named = aml[at - 1] == AML_NAME_OP ||
                (at >= 2 && aml[at - 1] == AML_ROOT_CHAR && aml[at - 2] == AML_NAME_OP);
        if (named && take_package(&cursor, type_a, type_b))
            return true;
    }
    return false;
}
