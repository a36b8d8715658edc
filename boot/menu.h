/*
 * The menu: what is marked, how long until it starts, and how that looks.
 *
 * Not here: keys and screen of the firmware (menu_screen.c). Pure; host-tested.
 */
#ifndef BOOT_MENU_H
#define BOOT_MENU_H

#include "hv/config.h"

#define MENU_MAX_ROWS (CONFIG_MAX_MENU + 12)
#define MENU_LINE_BYTES 320  /* of UTF-8 */
#define MENU_MOST_COLUMNS 78 /* wider is harder to read, on any screen */
#define MENU_MESSAGE_BYTES 480

enum menu_key {
    MENU_KEY_OTHER,
    MENU_KEY_UP,
    MENU_KEY_DOWN,
    MENU_KEY_FIRST,
    MENU_KEY_LAST,
    MENU_KEY_ENTER,
    MENU_KEY_ESCAPE,
    MENU_KEY_NUMBER, /* MENU_KEY_NUMBER + n: the digit n, from 1 to 9 */
};

enum menu_answer { MENU_WAITS, MENU_STARTS, MENU_LEAVES };

struct menu {
    struct config_menu_entry entries[CONFIG_MAX_MENU];
    unsigned count;        /* at least 1 */
    unsigned marked;
    unsigned seconds_left; /* of the countdown; 0: there is none */
    char message[MENU_MESSAGE_BYTES]; /* what came of the last choice; empty: nothing to say */
};

/* One row as it shall look: text from column `column` on; `marked`: in reverse. */
struct menu_row {
    char text[MENU_LINE_BYTES];
    unsigned column;
    bool marked;
};

struct menu_page {
    struct menu_row rows[MENU_MAX_ROWS];
    unsigned count; /* rows from the top of the screen; those below are empty */
};

/* Begins with the entry whose title was chosen last (not one of them, or NULL: the first). */
void menu_begin(struct menu *menu, const struct config_menu *entries, const char *last_title);

/* A key. Every key but Enter and Escape ends the countdown and does what it does. */
enum menu_answer menu_press(struct menu *menu, unsigned key);

/* A second has gone by. */
enum menu_answer menu_tick(struct menu *menu);

/* How it looks on a screen of so many columns and rows (any; smaller ones show less, the marked
 * entry always among it). */
void menu_render(const struct menu *menu, unsigned columns, unsigned rows, struct menu_page *page);

#endif
