/*
 * The menu on the firmware's console.
 */
#ifndef BOOT_MENU_SCREEN_H
#define BOOT_MENU_SCREEN_H

#include "boot/menu.h"
#include "boot/uefi.h"

/* Large: it has pages of its own. */
struct menu_screen {
    struct menu menu;
    struct menu_page page;  /* as it shall look */
    struct menu_page shown; /* as it does */
};

/* Shows the menu until an entry is chosen or the clock runs out. Works on whatever consoles the
 * firmware has, at once; without a keyboard the clock runs in any case. NULL: the menu was left. */
const struct config_menu_entry *menu_screen_ask(struct boot *boot, struct menu_screen *screen);

/* The title that was chosen last, from \trapline\menu.txt; empty: none that can be read. */
void menu_choice_read(struct boot *boot, char title[CONFIG_TITLE_BYTES]);

/* Remembers the title there, if it is another one. NULL, or why it could not. */
const char *menu_choice_write(struct boot *boot, const char *title);

#endif
