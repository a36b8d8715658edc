/*
 * The operator's file: values by their kinds, and which characters may stand in a line.
 * Pure; no lock. UTF-8 by The Unicode Standard, "Well-Formed UTF-8 Byte Sequences".
 */
#include "config_internal.h"

#include "hv/format.h"
#include "hv/string.h"

/* --- characters --- */

/* Bytes of the well-formed UTF-8 character at the start of `text`, or 0. */
static size_t utf8_length(const unsigned char *text, size_t bytes)
{
    /* By first byte: how many follow, and the range of the first of them; this is what keeps
     * overlong forms, surrogates, and values above 0x10ffff out. */
    static const struct {
        unsigned char first, last, following, least, most;
    } rows[] = {
        { 0x00, 0x7f, 0, 0x80, 0xbf }, { 0xc2, 0xdf, 1, 0x80, 0xbf }, { 0xe0, 0xe0, 2, 0xa0, 0xbf },
        { 0xe1, 0xec, 2, 0x80, 0xbf }, { 0xed, 0xed, 2, 0x80, 0x9f }, { 0xee, 0xef, 2, 0x80, 0xbf },
        { 0xf0, 0xf0, 3, 0x90, 0xbf }, { 0xf1, 0xf3, 3, 0x80, 0xbf }, { 0xf4, 0xf4, 3, 0x80, 0x8f },
    };
    for (unsigned r = 0; r < HV_ARRAY_COUNT(rows); r++) {
        if (text[0] < rows[r].first || text[0] > rows[r].last)
            continue;
        if (rows[r].following >= bytes)
            return 0;
        for (unsigned i = 1; i <= rows[r].following; i++) {
            unsigned char least = i == 1 ? rows[r].least : 0x80;
            unsigned char most = i == 1 ? rows[r].most : 0xbf;
            if (text[i] < least || text[i] > most)
                return 0;
        }
        return 1u + rows[r].following;
    }
    return 0;
}

static bool refuse_control(struct config_parser *parser, unsigned char c)
{
    if (c == '\r')
        return config_refuse(parser, "lines that end with LF or CR LF",
                             "a carriage return inside the line");
    return config_refuse(parser, "text", "the control character 0x%02x", c);
}

bool config_check_characters(struct config_parser *parser, struct config_span line)
{
    const unsigned char *text = (const unsigned char *)line.at;
    bool comment = line.bytes && text[0] == '#';
    for (size_t i = 0; i < line.bytes;) {
        if ((text[i] < ' ' && text[i] != '\t') || text[i] == 0x7f)
            return refuse_control(parser, text[i]);
        size_t length = comment ? 1 : utf8_length(text + i, line.bytes - i);
        if (length == 0)
            return config_refuse(parser, "UTF-8 or plain ASCII: save the file in that encoding",
                                 "the byte 0x%02x, which is not UTF-8 here", text[i]);
        i += length;
    }
    return true;
}

/* --- numbers --- */

static bool refuse_value(struct config_parser *parser, const struct config_key *key,
                         struct config_span value, const char *expected)
{
    if (value.bytes == 0)
        return config_refuse(parser, expected, "'%s' without a value", key->name);
    return config_refuse(parser, expected, "%s = %s", key->name, config_quote(value).text);
}

/* Decimal digits at the start, taken off `span`. False: none, or beyond 64 bits. */
static bool take_number(struct config_span *span, uint64_t *number)
{
    size_t digits = 0;
    *number = 0;
    for (; digits < span->bytes; digits++) {
        unsigned digit = (unsigned char)span->at[digits] - (unsigned)'0';
        if (digit > 9)
            break;
        if (*number > (UINT64_MAX - digit) / 10)
            return false;
        *number = *number * 10 + digit;
    }
    span->at += digits;
    span->bytes -= digits;
    return digits > 0;
}

/* K, M, G, T as powers of 1024, in either case; nothing: bytes. False: something else. */
static bool take_unit(struct config_span span, unsigned *shift)
{
    static const char units[] = "KMGT";
    *shift = 0;
    if (span.bytes == 0)
        return true;
    char upper = (char)(span.at[0] & ~0x20);
    const char *unit = memchr(units, upper, sizeof(units) - 1);
    if (span.bytes > 1 || !unit)
        return false;
    *shift = 10 * (unsigned)(unit - units + 1);
    return true;
}

static bool parse_count(struct config_parser *parser, const struct config_key *key,
                        struct config_span value, unsigned *member)
{
    char expected[64];
    struct config_span rest = value;
    uint64_t number;
    hv_snprintf(expected, sizeof(expected), "a number from %lu to %lu", key->least, key->most);
    if (!take_number(&rest, &number) || rest.bytes || number < key->least || number > key->most)
        return refuse_value(parser, key, value, expected);
    *member = (unsigned)number;
    return true;
}

static bool parse_size(struct config_parser *parser, const struct config_key *key,
                       struct config_span value, uint64_t *member)
{
    char expected[96];
    struct config_span rest = value;
    uint64_t number;
    unsigned shift;
    hv_snprintf(expected, sizeof(expected),
                "a size from %luM to %luG in whole 4K pages, with K, M, G or T, such as 512M",
                key->least >> 20, key->most >> 30);
    if (!take_number(&rest, &number) || !take_unit(rest, &shift) || number > key->most >> shift)
        return refuse_value(parser, key, value, expected);
    number <<= shift;
    if (number < key->least || (number & HV_PAGE_MASK))
        return refuse_value(parser, key, value, expected);
    *member = number;
    return true;
}

/* --- words and text --- */

/* The syntax is "a | b | c". */
static bool parse_word(struct config_parser *parser, const struct config_key *key,
                       struct config_span value, unsigned *member)
{
    unsigned number = 0;
    for (const char *at = key->syntax; *at; number++) {
        const char *bar = strchr(at, '|');
        size_t bytes = bar ? (size_t)(bar - at) : strlen(at);
        struct config_span word = config_trim((struct config_span){ at, bytes });
        if (word.bytes == value.bytes && memcmp(word.at, value.at, value.bytes) == 0) {
            *member = number;
            return true;
        }
        at += bar ? bytes + 1 : bytes;
    }
    return refuse_value(parser, key, value, key->syntax);
}

/* Copies `value` and ends it with a NUL; the member was zeroed and holds `most` + 1 bytes. */
static bool copy_text(struct config_parser *parser, const char *what, struct config_span value,
                      uint64_t most, char *member)
{
    char expected[48];
    if (value.bytes > most) {
        hv_snprintf(expected, sizeof(expected), "at most %lu bytes", most);
        return config_refuse(parser, expected, "%s of %lu bytes", what, value.bytes);
    }
    memcpy(member, value.at, value.bytes);
    return true;
}

static bool parse_path(struct config_parser *parser, const struct config_key *key,
                       struct config_span value, char *member)
{
    if (value.bytes == 0)
        return refuse_value(parser, key, value, "a file's name");
    return copy_text(parser, "a file's name", value, key->most, member);
}

static bool parse_module(struct config_parser *parser, const struct config_key *key,
                         struct config_span value, struct config_module *modules)
{
    size_t path_bytes = 0;
    if (value.bytes == 0)
        return refuse_value(parser, key, value, "a file's name and, after it, arguments");
    if (parser->vm->module_count == key->most)
        return config_refuse(parser, "at most 16 modules", "one more module");
    _Static_assert(CONFIG_MAX_MODULES == 16, "the message above");
    while (path_bytes < value.bytes && !config_is_blank(value.at[path_bytes]))
        path_bytes++;
    struct config_span path = { value.at, path_bytes };
    struct config_span rest = { value.at + path_bytes, value.bytes - path_bytes };
    struct config_module *module = &modules[parser->vm->module_count];
    if (!copy_text(parser, "a file's name", path, CONFIG_PATH_BYTES - 1, module->path) ||
        !copy_text(parser, "arguments", config_trim(rest), CONFIG_CMDLINE_BYTES - 1,
                   module->arguments))
        return false;
    parser->vm->module_count++;
    return true;
}

bool config_value_parse(struct config_parser *parser, const struct config_key *key,
                        struct config_span value, void *member)
{
    switch (key->kind) {
    case CONFIG_KIND_WORD:
        return parse_word(parser, key, value, member);
    case CONFIG_KIND_COUNT:
        return parse_count(parser, key, value, member);
    case CONFIG_KIND_SIZE:
        return parse_size(parser, key, value, member);
    case CONFIG_KIND_PATH:
        return parse_path(parser, key, value, member);
    case CONFIG_KIND_MODULE:
        return parse_module(parser, key, value, member);
    default:
        return copy_text(parser, key->name, value, key->most, member);
    }
}
