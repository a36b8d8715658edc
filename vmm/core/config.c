/*
 * The operator's file: lines, sections, keys. The values are in config_value.c, the keys in
 * hv/config_keys.def. Pure; no lock.
 *
 * The first mistake ends it: a file is either taken whole or not at all.
 */
#include "config_internal.h"

#include "hv/format.h"
#include "hv/string.h"

#define LONGEST_KEY 16
#define NEAR_ENOUGH 2 /* letters to change from what was found to what is suggested */

static const struct config_key keys[] = {
#define CONFIG_KEY(section_, name_, member_, kind_, least_, most_, syntax_, initial_, doc_)        \
    { .name = name_, .section = CONFIG_SECTION_##section_, .kind = CONFIG_KIND_##kind_,            \
      .offset = CONFIG_OFFSET_##section_(member_), .least = least_, .most = most_,                 \
      .syntax = syntax_, .initial = initial_ },
#define CONFIG_OFFSET_TOP(member) offsetof(struct config, member)
#define CONFIG_OFFSET_VM(member) offsetof(struct config_vm, member)
#include "hv/config_keys.def"
#undef CONFIG_KEY
};

#define KEY_COUNT HV_ARRAY_COUNT(keys)
_Static_assert(KEY_COUNT <= 32, "config_parser.seen has a bit for each key");

bool config_refuse(struct config_parser *parser, const char *expected, const char *found, ...)
{
    va_list args;
    va_start(args, found);
    parser->diagnosis->line = parser->line;
    hv_vsnprintf(parser->diagnosis->found, sizeof(parser->diagnosis->found), found, args);
    hv_snprintf(parser->diagnosis->expected, sizeof(parser->diagnosis->expected), "%s", expected);
    va_end(args);
    return false;
}

struct config_quote config_quote(struct config_span span)
{
    struct config_quote quote;
    size_t room = sizeof(quote.text) - 1, shown = span.bytes < room ? span.bytes : room;
    for (size_t i = 0; i < shown; i++)
        quote.text[i] = span.at[i] >= ' ' && span.at[i] <= '~' ? span.at[i] : '?';
    quote.text[shown] = '\0';
    if (span.bytes > room)
        memcpy(quote.text + room - 3, "...", 3);
    return quote;
}

bool config_span_is(struct config_span span, const char *word)
{
    return strlen(word) == span.bytes && memcmp(span.at, word, span.bytes) == 0;
}

struct config_span config_trim(struct config_span span)
{
    while (span.bytes && config_is_blank(span.at[0])) {
        span.at++;
        span.bytes--;
    }
    while (span.bytes && config_is_blank(span.at[span.bytes - 1]))
        span.bytes--;
    return span;
}

/* Cuts a comment off: '#' at the start or after white space. */
static struct config_span strip_comment(struct config_span span)
{
    for (size_t i = 0; i < span.bytes; i++)
        if (span.at[i] == '#' && (i == 0 || config_is_blank(span.at[i - 1])))
            span.bytes = i;
    return config_trim(span);
}

/* --- keys --- */

static enum config_section current_section(const struct config_parser *parser)
{
    return parser->vm ? CONFIG_SECTION_VM : CONFIG_SECTION_TOP;
}

static bool set_value(struct config_parser *parser, const struct config_key *key,
                      struct config_span value)
{
    char *base = parser->vm ? (char *)parser->vm : (char *)parser->config;
    return config_value_parse(parser, key, value, base + key->offset);
}

/* Initial values go the same way as the operator's. */
static void begin_section(struct config_parser *parser)
{
    parser->seen = 0;
    for (unsigned i = 0; i < KEY_COUNT; i++) {
        const char *initial = keys[i].initial;
        if (keys[i].section == current_section(parser) && initial && *initial)
            (void)set_value(parser, &keys[i], (struct config_span){ initial, strlen(initial) });
    }
}

static bool end_section(struct config_parser *parser)
{
    for (unsigned i = 0; i < KEY_COUNT; i++) {
        if (keys[i].section != current_section(parser) || keys[i].initial ||
            (parser->seen >> i & 1))
            continue;
        char expected[48];
        hv_snprintf(expected, sizeof(expected), "%s = %s", keys[i].name, keys[i].syntax);
        if (parser->vm)
            parser->line = parser->vm->line;
        return config_refuse(parser, expected, "[vm %s] without the key '%s'", parser->vm->name,
                             keys[i].name);
    }
    return true;
}

static unsigned minimum(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Letters to insert, drop or replace (Levenshtein), or LONGEST_KEY where `span` is too long. */
static unsigned edit_distance(struct config_span span, const char *word)
{
    unsigned row[LONGEST_KEY + 1];
    if (span.bytes > LONGEST_KEY)
        return LONGEST_KEY;
    for (unsigned i = 0; i <= span.bytes; i++)
        row[i] = i;
    for (unsigned j = 0; word[j]; j++) {
        unsigned diagonal = row[0];
        row[0] = j + 1;
        for (unsigned i = 0; i < span.bytes; i++) {
            unsigned replaced = diagonal + (span.at[i] != word[j]);
            diagonal = row[i + 1];
            row[i + 1] = minimum(replaced, minimum(row[i], diagonal) + 1);
        }
    }
    return row[span.bytes];
}

static const struct config_key *nearest_key(enum config_section section, struct config_span name)
{
    const struct config_key *nearest = NULL;
    unsigned best = NEAR_ENOUGH + 1;
    for (unsigned i = 0; i < KEY_COUNT; i++) {
        unsigned distance = edit_distance(name, keys[i].name);
        if (keys[i].section == section && distance < best) {
            best = distance;
            nearest = &keys[i];
        }
    }
    return nearest;
}

static void list_keys(enum config_section section, char *out, size_t bytes)
{
    int used = hv_snprintf(out, bytes, "one of:");
    for (unsigned i = 0; i < KEY_COUNT; i++)
        if (keys[i].section == section && (size_t)used < bytes)
            used += hv_snprintf(out + used, bytes - (size_t)used, " %s", keys[i].name);
}

static bool refuse_unknown_key(struct config_parser *parser, struct config_span name)
{
    char expected[sizeof(parser->diagnosis->expected)];
    enum config_section here = current_section(parser);
    const struct config_key *nearest = nearest_key(here, name);
    for (unsigned i = 0; i < KEY_COUNT; i++)
        if (keys[i].section != here && config_span_is(name, keys[i].name))
            return config_refuse(parser, keys[i].section == CONFIG_SECTION_TOP
                                             ? "this key before the first [vm NAME] section"
                                             : "this key inside a [vm NAME] section",
                                 "the key '%s'", keys[i].name);
    if (nearest)
        hv_snprintf(expected, sizeof(expected), "'%s' perhaps", nearest->name);
    else
        list_keys(here, expected, sizeof(expected));
    return config_refuse(parser, expected, "the unknown key '%s'", config_quote(name).text);
}

static bool parse_key(struct config_parser *parser, struct config_span name,
                      struct config_span value)
{
    for (unsigned i = 0; i < KEY_COUNT; i++) {
        const struct config_key *key = &keys[i];
        if (key->section != current_section(parser) || !config_span_is(name, key->name))
            continue;
        if ((parser->seen >> i & 1) && key->kind != CONFIG_KIND_MODULE)
            return config_refuse(parser, "each key once in a section", "a second '%s'", key->name);
        parser->seen |= 1u << i;
        if (key->kind != CONFIG_KIND_TEXT && key->kind != CONFIG_KIND_MODULE)
            value = strip_comment(value);
        return set_value(parser, key, value);
    }
    return refuse_unknown_key(parser, name);
}

/* --- sections --- */

static bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

static bool is_name_valid(struct config_span name)
{
    for (size_t i = 0; i < name.bytes; i++)
        if (!is_name_character(name.at[i]))
            return false;
    return name.bytes > 0 && name.bytes < CONFIG_NAME_BYTES;
}

static bool add_vm(struct config_parser *parser, struct config_span name)
{
    struct config *config = parser->config;
    for (unsigned i = 0; i < config->vm_count; i++)
        if (config_span_is(name, config->vms[i].name))
            return config_refuse(parser, "a name that no other VM has", "a second [vm %s]",
                                 config->vms[i].name);
    if (config->vm_count == CONFIG_MAX_VMS)
        return config_refuse(parser, "at most 8 VMs", "one more [vm %s]", config_quote(name).text);
    _Static_assert(CONFIG_MAX_VMS == 8, "the message above");
    parser->vm = &config->vms[config->vm_count++];
    memcpy(parser->vm->name, name.at, name.bytes);
    parser->vm->line = parser->line;
    begin_section(parser);
    return true;
}

static bool parse_section(struct config_parser *parser, struct config_span line)
{
    static const char form[] = "[vm NAME]";
    struct config_span head = strip_comment(line);
    if (head.at[head.bytes - 1] != ']')
        return config_refuse(parser, form, "'%s', which has no ']' at its end",
                             config_quote(head).text);
    struct config_span inside = config_trim((struct config_span){ head.at + 1, head.bytes - 2 });
    if (inside.bytes < 2 || memcmp(inside.at, "vm", 2) != 0 ||
        (inside.bytes > 2 && !config_is_blank(inside.at[2])))
        return config_refuse(parser, form, "the section '%s'", config_quote(head).text);
    struct config_span name = config_trim((struct config_span){ inside.at + 2, inside.bytes - 2 });
    if (!is_name_valid(name))
        return config_refuse(parser, "a name of 1 to 31 letters, digits, '-', '_' and '.'",
                             "the VM's name '%s'", config_quote(name).text);
    _Static_assert(CONFIG_NAME_BYTES == 32, "the message above");
    return end_section(parser) && add_vm(parser, name);
}

/* --- lines --- */

static bool parse_line(struct config_parser *parser, struct config_span line)
{
    line = config_trim(line);
    if (!config_check_characters(parser, line))
        return false;
    if (line.bytes == 0 || line.at[0] == '#')
        return true;
    if (line.at[0] == '[')
        return parse_section(parser, line);
    const char *equals = memchr(line.at, '=', line.bytes);
    if (!equals)
        return config_refuse(parser, "KEY = VALUE, [vm NAME], or a comment after '#'", "'%s'",
                             config_quote(line).text);
    size_t name_bytes = (size_t)(equals - line.at);
    struct config_span name = { line.at, name_bytes };
    struct config_span value = { equals + 1, line.bytes - name_bytes - 1 };
    return parse_key(parser, config_trim(name), config_trim(value));
}

static bool parse_lines(struct config_parser *parser, struct config_span text)
{
    while (text.bytes) {
        const char *newline = memchr(text.at, '\n', text.bytes);
        size_t bytes = newline ? (size_t)(newline - text.at) : text.bytes;
        struct config_span line = { text.at, bytes };
        if (bytes && line.at[bytes - 1] == '\r')
            line.bytes--;
        parser->line++;
        if (!parse_line(parser, line))
            return false;
        size_t whole = newline ? bytes + 1 : bytes;
        text.at += whole;
        text.bytes -= whole;
    }
    return true;
}

/* Skips a UTF-8 byte order mark; refuses what is no text of bytes. */
static bool check_encoding(struct config_parser *parser, struct config_span *text)
{
    static const char expected[] = "UTF-8 or plain ASCII: save the file in that encoding";
    const unsigned char *bytes = (const unsigned char *)text->at;
    if (text->bytes >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) {
        text->at += 3;
        text->bytes -= 3;
        return true;
    }
    if (text->bytes < 2)
        return true;
    if ((bytes[0] == 0xff && bytes[1] == 0xfe) || (bytes[0] && !bytes[1]))
        return config_refuse(parser, expected, "UTF-16 text (little-endian)");
    if ((bytes[0] == 0xfe && bytes[1] == 0xff) || (!bytes[0] && bytes[1]))
        return config_refuse(parser, expected, "UTF-16 text (big-endian)");
    return true;
}

/* The line that asks for something else than VMs, or NULL. */
static const char *instead_of_vms(const struct config *config)
{
    return config->lab[0] ? "lab = FILE" : config->explain[0] ? "explain = CASES" : NULL;
}

static bool parse_file(struct config_parser *parser, struct config_span text)
{
    if (!check_encoding(parser, &text))
        return false;
    begin_section(parser);
    if (!parse_lines(parser, text) || !end_section(parser))
        return false;
    if (parser->config->vm_count && instead_of_vms(parser->config)) {
        char expected[64];
        hv_snprintf(expected, sizeof(expected), "no [vm NAME] section beside '%s'",
                    instead_of_vms(parser->config));
        parser->line = parser->config->vms[0].line;
        return config_refuse(parser, expected, "the section [vm %s]", parser->config->vms[0].name);
    }
    if (parser->config->lab[0] && parser->config->explain[0])
        return config_refuse(parser, "one of them", "both 'lab' and 'explain'");
    if (parser->config->vm_count || instead_of_vms(parser->config))
        return true;
    parser->line = 0;
    return config_refuse(parser, "at least one, with its 'kernel = FILE'",
                         text.bytes ? "no [vm NAME] section" : "an empty file");
}

enum hv_err config_parse(const char *text, size_t bytes, struct config *config,
                         struct config_diagnosis *diagnosis)
{
    struct config_parser parser = { .config = config, .diagnosis = diagnosis };
    memset(config, 0, sizeof(*config));
    memset(diagnosis, 0, sizeof(*diagnosis));
    return parse_file(&parser, (struct config_span){ text, bytes }) ? HV_OK : HV_ERR_INVALID;
}
