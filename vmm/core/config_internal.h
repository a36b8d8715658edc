/*
 * What the two halves of the config parser share. Not for others: those include hv/config.h.
 */
#ifndef CONFIG_INTERNAL_H
#define CONFIG_INTERNAL_H

#include "hv/config.h"

enum config_section { CONFIG_SECTION_TOP, CONFIG_SECTION_MENU, CONFIG_SECTION_VM };

enum config_kind {
    CONFIG_KIND_WORD,
    CONFIG_KIND_COUNT,
    CONFIG_KIND_SIZE,
    CONFIG_KIND_PATH,
    CONFIG_KIND_TEXT,
    CONFIG_KIND_MODULE,
};

/* A row of hv/config_keys.def. */
struct config_key {
    const char *name;
    enum config_section section;
    enum config_kind kind;
    size_t offset; /* of the member, in the structure of its section */
    uint64_t least, most;
    const char *syntax;
    const char *initial;
};

/* A piece of the file. */
struct config_span {
    const char *at;
    size_t bytes;
};

/* A piece of the file, fit to be shown: cut, and printable ASCII. */
struct config_quote {
    char text[48];
};

struct config_parser {
    struct config *config;
    struct config_diagnosis *diagnosis;
    enum config_section section;
    struct config_vm *vm;            /* of a [vm NAME] section */
    struct config_menu_entry *entry; /* of a [menu TITLE] section */
    unsigned line;                   /* 1-based; 0 before the first */
    uint32_t seen;                   /* keys of this section */
};

/* Writes the diagnosis for the current line; `found` is a format. Always false. */
bool config_refuse(struct config_parser *parser, const char *expected, const char *found, ...)
    HV_PRINTF(3, 4);

struct config_quote config_quote(struct config_span span);
bool config_span_is(struct config_span span, const char *word);
/* Without white space at both ends. */
struct config_span config_trim(struct config_span span);

static inline bool config_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* No control characters but tab, and well-formed UTF-8; a comment may be of any encoding. */
bool config_check_characters(struct config_parser *parser, struct config_span line);

/* Parses the value by the key's kind into `member`. */
bool config_value_parse(struct config_parser *parser, const struct config_key *key,
                        struct config_span value, void *member);

#endif
