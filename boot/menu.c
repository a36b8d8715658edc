/*
 * The menu: keys to states, states to rows of text. Pure; no lock.
 *
 * The text says everything without colours: a serial line shows it as well as a screen does.
 */
#include "boot/menu.h"

#include "boot/utf.h"
#include "hv/format.h"
#include "hv/string.h"

#define MESSAGE_ROWS 4
#define LEAST_COLUMNS 20

void menu_begin(struct menu *menu, const struct config_menu *entries, const char *last_title)
{
    memset(menu, 0, sizeof(*menu));
    menu->count = entries->count;
    menu->seconds_left = entries->seconds;
    memcpy(menu->entries, entries->entries, sizeof(menu->entries));
    for (unsigned i = 0; last_title && i < menu->count; i++)
        if (strcmp(menu->entries[i].title, last_title) == 0)
            menu->marked = i;
}

static void mark(struct menu *menu, unsigned key)
{
    switch (key) {
    case MENU_KEY_UP:
        menu->marked = menu->marked ? menu->marked - 1 : menu->count - 1;
        break;
    case MENU_KEY_DOWN:
        menu->marked = menu->marked + 1 < menu->count ? menu->marked + 1 : 0;
        break;
    case MENU_KEY_FIRST:
        menu->marked = 0;
        break;
    case MENU_KEY_LAST:
        menu->marked = menu->count - 1;
        break;
    default:
        if (key > MENU_KEY_NUMBER && key <= MENU_KEY_NUMBER + menu->count)
            menu->marked = key - MENU_KEY_NUMBER - 1;
        break;
    }
}

enum menu_answer menu_press(struct menu *menu, unsigned key)
{
    menu->seconds_left = 0;
    if (key == MENU_KEY_ENTER)
        return MENU_STARTS;
    if (key == MENU_KEY_ESCAPE)
        return MENU_LEAVES;
    mark(menu, key);
    return MENU_WAITS;
}

enum menu_answer menu_tick(struct menu *menu)
{
    if (menu->seconds_left == 0)
        return MENU_WAITS;
    menu->seconds_left--;
    return menu->seconds_left == 0 ? MENU_STARTS : MENU_WAITS;
}

/* --- rendering --- */

/* The page grows downwards; what does not fit is left out. */
struct pen {
    struct menu_page *page;
    unsigned row, rows;  /* the next one, and how many there are */
    unsigned left, wide; /* of the block that everything stands in */
};

static void put(struct pen *pen, bool marked, const char *format, ...) HV_PRINTF(3, 4);

/* Where a text must be cut to take at most `most` columns. */
static const char *columns_end(const char *text, unsigned most)
{
    while (*text && most-- > 0)
        (void)utf8_next(&text);
    return text;
}

/* Exactly `wide` columns, so that nothing of an earlier page is left; an empty row stays empty. */
static void fit(char *text, unsigned wide)
{
    const char *at = text;
    unsigned columns = 0;
    for (; *at && columns < wide; columns++)
        (void)utf8_next(&at);
    for (char *tab = strchr(text, '\t'); tab; tab = strchr(tab, '\t'))
        *tab = ' ';
    size_t bytes = (size_t)(at - text);
    if (bytes > 0)
        for (; columns < wide && bytes + 1 < MENU_LINE_BYTES; columns++)
            text[bytes++] = ' ';
    text[bytes] = 0;
}

static void put(struct pen *pen, bool marked, const char *format, ...)
{
    va_list args;
    if (pen->row >= pen->rows)
        return;
    struct menu_row *row = &pen->page->rows[pen->row++];
    va_start(args, format);
    hv_vsnprintf(row->text, sizeof(row->text), format, args);
    va_end(args);
    fit(row->text, pen->wide);
    row->column = pen->left;
    row->marked = marked;
}

static void put_space(struct pen *pen)
{
    put(pen, false, "%s", "");
}

/* Broken at spaces, into at most `most` rows. */
static void put_wrapped(struct pen *pen, const char *text, unsigned most)
{
    while (*text && most-- > 0) {
        const char *end = columns_end(text, pen->wide), *cut = end;
        while (*end && cut > text && *cut != ' ')
            cut--;
        if (cut == text || !*end)
            cut = end;
        put(pen, false, "%.*s", (int)(cut - text), text);
        text = *cut == ' ' ? cut + 1 : cut;
    }
}

static void put_entries(struct pen *pen, const struct menu *menu, unsigned shown)
{
    unsigned first = menu->marked < shown ? 0 : menu->marked - shown + 1;
    for (unsigned i = first; i < first + shown && i < menu->count; i++) {
        bool marked = i == menu->marked;
        char digit = i < 9 ? (char)('1' + i) : ' ';
        bool more = (i == first && first > 0) || (i == first + shown - 1 && i + 1 < menu->count);
        put(pen, marked, "%s %c  %s%s", marked ? " >" : "  ", digit, menu->entries[i].title,
            more ? " ..." : "");
    }
}

static void put_clock(struct pen *pen, const struct menu *menu)
{
    if (menu->seconds_left > 0)
        put(pen, false, "The marked entry starts in %u second%s; any key stops the clock.",
            menu->seconds_left, menu->seconds_left == 1 ? "" : "s");
    else
        put(pen, false, " "); /* in the place of the clock that stood there */
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* One block in the middle of the screen's width. */
static void begin(struct pen *pen, struct menu_page *page, unsigned columns, unsigned rows)
{
    page->count = 0;
    memset(page->rows, 0, sizeof(page->rows));
    columns = columns < LEAST_COLUMNS ? LEAST_COLUMNS : columns;
    /* Writing to the last column makes some consoles begin a new row. */
    pen->wide = least(columns - 2, MENU_MOST_COLUMNS);
    pen->left = (columns - pen->wide) / 2;
    pen->page = page;
    pen->row = 0;
    pen->rows = least(rows, MENU_MAX_ROWS);
}

void menu_render(const struct menu *menu, unsigned columns, unsigned rows, struct menu_page *page)
{
    struct pen pen;
    unsigned message_rows = menu->message[0] ? MESSAGE_ROWS + 1 : 0;
    /* Title, clock, keys, and space between them. */
    unsigned frame = 8 + message_rows;
    begin(&pen, page, columns, rows);
    bool spacious = pen.rows >= frame + 1;
    if (spacious) {
        put_space(&pen);
        put(&pen, false, "Trapline: what shall this machine do?");
        put_space(&pen);
    }
    unsigned room = spacious ? pen.rows - frame : pen.rows > 1 ? pen.rows - 1 : 1;
    put_entries(&pen, menu, least(room, menu->count));
    if (spacious)
        put_space(&pen);
    put_clock(&pen, menu);
    if (spacious) {
        put_space(&pen);
        put(&pen, false, "Up, Down: mark   Enter: start   Esc: leave this machine to its firmware");
    }
    if (message_rows > 0 && spacious) {
        put_space(&pen);
        put_wrapped(&pen, menu->message, MESSAGE_ROWS);
    }
    page->count = pen.row;
}
