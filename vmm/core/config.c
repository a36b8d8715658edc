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
#define CONFIG_OFFSET_MENU(member) offsetof(struct config_menu_entry, member)
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

/* Where the members of the current section are. */
static char *section_base(const struct config_parser *parser)
{
    switch (parser->section) {
    case CONFIG_SECTION_VM:
        return (char *)parser->vm;
    case CONFIG_SECTION_MENU:
        return (char *)parser->entry;
    default:
        return (char *)parser->config;
    }
}

/* Whether a key stands before the first section; afterwards it is no longer known. */
static bool key_seen(const struct config_parser *parser, const char *name)
{
    for (unsigned i = 0; i < KEY_COUNT; i++)
        if (strcmp(keys[i].name, name) == 0)
            return parser->section == CONFIG_SECTION_TOP && (parser->seen >> i & 1);
    return false;
}

static bool set_value(struct config_parser *parser, const struct config_key *key,
                      struct config_span value)
{
    return config_value_parse(parser, key, value, section_base(parser) + key->offset);
}

/* Initial values go the same way as the operator's. */
static void begin_section(struct config_parser *parser, enum config_section section)
{
    parser->section = section;
    parser->seen = 0;
    for (unsigned i = 0; i < KEY_COUNT; i++) {
        const char *initial = keys[i].initial;
        if (keys[i].section == section && initial && *initial)
            (void)set_value(parser, &keys[i], (struct config_span){ initial, strlen(initial) });
    }
}

/* A mistake of the section as a whole is one of the line with its head. */
static bool refuse_section(struct config_parser *parser, const struct config_key *missing)
{
    char expected[48];
    bool vm = parser->section == CONFIG_SECTION_VM;
    const char *name = vm ? parser->vm->name : parser->entry->title;
    parser->line = vm ? parser->vm->line : parser->entry->line;
    hv_snprintf(expected, sizeof(expected), "%s = %s", missing->name, missing->syntax);
    return config_refuse(parser, expected, "[%s %s] without the key '%s'", vm ? "vm" : "menu",
                         config_quote((struct config_span){ name, strlen(name) }).text,
                         missing->name);
}

/* Only sections have keys that must stand. */
static bool end_section(struct config_parser *parser)
{
    for (unsigned i = 0; i < KEY_COUNT; i++)
        if (keys[i].section == parser->section && !keys[i].initial && !(parser->seen >> i & 1))
            return refuse_section(parser, &keys[i]);
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
    static const char *const places[] = {
        [CONFIG_SECTION_TOP] = "this key before the first section",
        [CONFIG_SECTION_MENU] = "this key inside a [menu TITLE] section",
        [CONFIG_SECTION_VM] = "this key inside a [vm NAME] section",
    };
    enum config_section here = parser->section;
    const struct config_key *nearest = nearest_key(here, name);
    for (unsigned i = 0; i < KEY_COUNT; i++)
        if (keys[i].section != here && config_span_is(name, keys[i].name))
            return config_refuse(parser, places[keys[i].section], "the key '%s'", keys[i].name);
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
        if (key->section != parser->section || !config_span_is(name, key->name))
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
    if (config->menu.count || key_seen(parser, "menu"))
        return config_refuse(parser, "a menu's entries to have files of their own for this",
                             "[vm %s] in the file of a menu", config_quote(name).text);
    if (!is_name_valid(name))
        return config_refuse(parser, "a name of 1 to 31 letters, digits, '-', '_' and '.'",
                             "the VM's name '%s'", config_quote(name).text);
    _Static_assert(CONFIG_NAME_BYTES == 32, "the message above");
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
    begin_section(parser, CONFIG_SECTION_VM);
    return true;
}

/* What would be started beside a menu belongs into the file of one of its entries. */
static bool check_menu_alone(struct config_parser *parser)
{
    static const char expected[] = "this in the file of an entry";
    if (parser->config->vm_count)
        return config_refuse(parser, "either [vm NAME] or [menu TITLE] sections",
                             "a [menu TITLE] after [vm %s]", parser->config->vms[0].name);
    for (unsigned i = 0; parser->section == CONFIG_SECTION_TOP && i < KEY_COUNT; i++)
        if ((parser->seen >> i & 1) && strcmp(keys[i].name, "menu") != 0)
            return config_refuse(parser, expected, "the key '%s' in the file of a menu",
                                 keys[i].name);
    return true;
}

static bool add_menu_entry(struct config_parser *parser, struct config_span title)
{
    struct config_menu *menu = &parser->config->menu;
    if (!check_menu_alone(parser))
        return false;
    if (title.bytes == 0 || title.bytes >= CONFIG_TITLE_BYTES)
        return config_refuse(parser, "a title of 1 to 63 bytes", "the title '%s'",
                             config_quote(title).text);
    _Static_assert(CONFIG_TITLE_BYTES == 64, "the message above");
    for (unsigned i = 0; i < menu->count; i++)
        if (config_span_is(title, menu->entries[i].title))
            return config_refuse(parser, "a title that no other entry has", "a second [menu %s]",
                                 config_quote(title).text);
    if (menu->count == CONFIG_MAX_MENU)
        return config_refuse(parser, "at most 16 entries", "one more [menu %s]",
                             config_quote(title).text);
    _Static_assert(CONFIG_MAX_MENU == 16, "the message above");
    parser->entry = &menu->entries[menu->count++];
    memcpy(parser->entry->title, title.at, title.bytes);
    parser->entry->line = parser->line;
    begin_section(parser, CONFIG_SECTION_MENU);
    return true;
}

/* "WORD ARGUMENT" inside of the brackets: whether the word is this one, and the argument. */
static bool section_is(struct config_span inside, const char *word, struct config_span *argument)
{
    size_t length = strlen(word);
    if (inside.bytes < length || memcmp(inside.at, word, length) != 0 ||
        (inside.bytes > length && !config_is_blank(inside.at[length])))
        return false;
    *argument = config_trim((struct config_span){ inside.at + length, inside.bytes - length });
    return true;
}

static bool parse_section(struct config_parser *parser, struct config_span line)
{
    static const char form[] = "[vm NAME] or [menu TITLE]";
    struct config_span head = strip_comment(line), argument;
    if (head.at[head.bytes - 1] != ']')
        return config_refuse(parser, form, "'%s', which has no ']' at its end",
                             config_quote(head).text);
    struct config_span inside = config_trim((struct config_span){ head.at + 1, head.bytes - 2 });
    if (section_is(inside, "vm", &argument))
        return end_section(parser) && add_vm(parser, argument);
    if (section_is(inside, "menu", &argument))
        return end_section(parser) && add_menu_entry(parser, argument);
    return config_refuse(parser, form, "the section '%s'", config_quote(head).text);
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
        return config_refuse(parser, "KEY = VALUE, [vm NAME], [menu TITLE], or a comment after '#'", "'%s'",
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

/* Nothing is to be done: whoever wrote that forgot something. */
static bool refuse_nothing(struct config_parser *parser, size_t bytes)
{
    parser->line = 0;
    if (key_seen(parser, "menu"))
        return config_refuse(parser, "at least one, with its 'config = FILE'",
                             "'menu' and no [menu TITLE] section");
    return config_refuse(parser, "at least one, with its 'kernel = FILE'",
                         bytes ? "no [vm NAME] section" : "an empty file");
}

/* What the file as a whole asks for. */
static bool check_whole(struct config_parser *parser, size_t bytes)
{
    const struct config *config = parser->config;
    if (config->vm_count && instead_of_vms(config)) {
        char expected[64];
        hv_snprintf(expected, sizeof(expected), "no [vm NAME] section beside '%s'",
                    instead_of_vms(config));
        parser->line = config->vms[0].line;
        return config_refuse(parser, expected, "the section [vm %s]", config->vms[0].name);
    }
    if (config->lab[0] && config->explain[0])
        return config_refuse(parser, "one of them", "both 'lab' and 'explain'");
    if (config->vm_count || config->menu.count || instead_of_vms(config) ||
        config->mode != CONFIG_MODE_GUESTS)
        return true;
    return refuse_nothing(parser, bytes);
}

static bool parse_file(struct config_parser *parser, struct config_span text)
{
    if (!check_encoding(parser, &text))
        return false;
    begin_section(parser, CONFIG_SECTION_TOP);
    return parse_lines(parser, text) && end_section(parser) && check_whole(parser, text.bytes);
}

enum hv_err config_parse(const char *text, size_t bytes, struct config *config,
                         struct config_diagnosis *diagnosis)
{
    struct config_parser parser = { .config = config, .diagnosis = diagnosis };
    memset(config, 0, sizeof(*config));
    memset(diagnosis, 0, sizeof(*diagnosis));
    return parse_file(&parser, (struct config_span){ text, bytes }) ? HV_OK : HV_ERR_INVALID;
}
