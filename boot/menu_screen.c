/*
 * The menu on the firmware's console: keys, clock, and rows that have changed.
 *
 * Not here: what the keys do, how the rows look (menu.c). No lock: one core runs.
 * UEFI specification, "Simple Text Input Protocol", "Simple Text Output Protocol",
 * "WaitForEvent()".
 */
#include "boot/menu_screen.h"

#include "boot/utf.h"
#include "hv/format.h"
#include "hv/string.h"

#define CHOICE_FILE "menu.txt"
#define SECOND_100NS 10000000u
#define SLICES_A_SECOND 20
#define SLICE_US (1000000u / SLICES_A_SECOND)
#define STALE_KEYS 256
#define SECONDS_WITHOUT_KEYBOARD 10
#define PLAIN (EFI_LIGHTGRAY | EFI_BACKGROUND_BLACK)
#define REVERSE (EFI_BLACK | EFI_BACKGROUND_LIGHTGRAY)

/* --- output --- */

static void screen_size(struct boot *boot, UINTN *columns, UINTN *rows)
{
    SIMPLE_TEXT_OUTPUT_INTERFACE *out = boot->system->ConOut;
    *columns = 80;
    *rows = 25;
    if (out->Mode && !EFI_ERROR(out->QueryMode(out, (UINTN)out->Mode->Mode, columns, rows)))
        return;
    *columns = 80;
    *rows = 25;
}

static void draw_row(struct boot *boot, const struct menu_row *row, unsigned number)
{
    SIMPLE_TEXT_OUTPUT_INTERFACE *out = boot->system->ConOut;
    out->SetCursorPosition(out, row->column, number);
    out->SetAttribute(out, row->marked ? REVERSE : PLAIN);
    boot_print(boot, "%s", row->text);
    out->SetAttribute(out, PLAIN);
}

/* Serial lines are slow: what stands there already is not sent again. */
static void draw(struct boot *boot, struct menu_screen *screen)
{
    UINTN columns, rows;
    if (!boot->system->ConOut)
        return;
    screen_size(boot, &columns, &rows);
    menu_render(&screen->menu, (unsigned)columns, (unsigned)rows, &screen->page);
    for (unsigned i = 0; i < screen->page.count; i++) {
        const struct menu_row *row = &screen->page.rows[i], *shown = &screen->shown.rows[i];
        if (row->marked != shown->marked || strcmp(row->text, shown->text) != 0)
            draw_row(boot, row, i);
    }
    screen->shown = screen->page;
}

static void begin_drawing(struct boot *boot, struct menu_screen *screen)
{
    SIMPLE_TEXT_OUTPUT_INTERFACE *out = boot->system->ConOut;
    memset(&screen->shown, 0, sizeof(screen->shown));
    if (!out)
        return;
    out->SetAttribute(out, PLAIN);
    out->EnableCursor(out, FALSE);
    boot_clear_screen(boot);
}

/* What is printed next stands below the menu. */
static void end_drawing(struct boot *boot, struct menu_screen *screen)
{
    SIMPLE_TEXT_OUTPUT_INTERFACE *out = boot->system->ConOut;
    if (!out)
        return;
    out->SetCursorPosition(out, 0, screen->page.count ? screen->page.count - 1 : 0);
    out->EnableCursor(out, TRUE);
    boot_print(boot, "\n");
}

/* --- input --- */

static unsigned key_of(const EFI_INPUT_KEY *key)
{
    switch (key->ScanCode) {
    case SCAN_UP:
        return MENU_KEY_UP;
    case SCAN_DOWN:
        return MENU_KEY_DOWN;
    case SCAN_HOME:
    case SCAN_PAGE_UP:
        return MENU_KEY_FIRST;
    case SCAN_END:
    case SCAN_PAGE_DOWN:
        return MENU_KEY_LAST;
    case SCAN_ESC:
        return MENU_KEY_ESCAPE;
    }
    if (key->UnicodeChar == '\r' || key->UnicodeChar == '\n')
        return MENU_KEY_ENTER;
    if (key->UnicodeChar >= '1' && key->UnicodeChar <= '9')
        return MENU_KEY_NUMBER + (unsigned)(key->UnicodeChar - '0');
    return MENU_KEY_OTHER;
}

static bool read_key(struct boot *boot, unsigned *key)
{
    SIMPLE_INPUT_INTERFACE *in = boot->system->ConIn;
    EFI_INPUT_KEY pressed;
    if (!in || in->ReadKeyStroke(in, &pressed) != EFI_SUCCESS)
        return false;
    *key = key_of(&pressed);
    return true;
}

/* Firmware that has no timer events can still stall. */
static bool stall_for_key(struct boot *boot, unsigned *key)
{
    for (unsigned i = 0; i < SLICES_A_SECOND; i++) {
        if (read_key(boot, key))
            return true;
        boot->services->Stall(SLICE_US);
    }
    return false;
}

/* True: a key; false: a second has gone by. */
static bool wait(struct boot *boot, EFI_EVENT second, unsigned *key)
{
    SIMPLE_INPUT_INTERFACE *in = boot->system->ConIn;
    EFI_EVENT events[2] = { second, in ? in->WaitForKey : NULL };
    UINTN which = 0;
    if (!second)
        return stall_for_key(boot, key);
    /* A key that only changes the state of Shift wakes up, and is none. */
    for (unsigned i = 0; i < STALE_KEYS; i++) {
        if (EFI_ERROR(boot->services->WaitForEvent(in ? 2 : 1, events, &which)))
            return stall_for_key(boot, key);
        if (which == 0)
            return false;
        if (read_key(boot, key))
            return true;
    }
    return stall_for_key(boot, key);
}

static EFI_EVENT clock_start(struct boot *boot)
{
    EFI_EVENT second = NULL;
    if (EFI_ERROR(boot->services->CreateEvent(EVT_TIMER, TPL_APPLICATION, NULL, NULL, &second)))
        return NULL;
    if (!EFI_ERROR(boot->services->SetTimer(second, TimerPeriodic, SECOND_100NS)))
        return second;
    boot->services->CloseEvent(second);
    return NULL;
}

const struct config_menu_entry *menu_screen_ask(struct boot *boot, struct menu_screen *screen)
{
    struct menu *menu = &screen->menu;
    enum menu_answer answer = MENU_WAITS;
    EFI_EVENT second = clock_start(boot);
    unsigned key;
    if (!boot->system->ConIn && menu->seconds_left == 0)
        menu->seconds_left = SECONDS_WITHOUT_KEYBOARD;
    /* What was typed before there was anything to see was meant for somebody else. */
    for (unsigned i = 0; i < STALE_KEYS && read_key(boot, &key); i++)
        ;
    begin_drawing(boot, screen);
    while (answer == MENU_WAITS) {
        draw(boot, screen);
        answer = wait(boot, second, &key) ? menu_press(menu, key) : menu_tick(menu);
    }
    end_drawing(boot, screen);
    if (second)
        boot->services->CloseEvent(second);
    return answer == MENU_STARTS ? &menu->entries[menu->marked] : NULL;
}

/* --- the last choice --- */

void menu_choice_read(struct boot *boot, char title[CONFIG_TITLE_BYTES])
{
    size_t bytes = boot_log_read(boot, CHOICE_FILE, title, CONFIG_TITLE_BYTES - 1);
    title[bytes] = 0;
    for (char *at = title; *at; at++)
        if (*at == '\r' || *at == '\n')
            *at = 0;
}

const char *menu_choice_write(struct boot *boot, const char *title)
{
    char text[CONFIG_TITLE_BYTES + 2];
    menu_choice_read(boot, text);
    if (strcmp(text, title) == 0)
        return NULL;
    int bytes = hv_snprintf(text, sizeof(text), "%s\r\n", title);
    return boot_log_write(boot, CHOICE_FILE, text, (size_t)bytes);
}
