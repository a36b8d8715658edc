// SRCS: boot/menu_screen.c boot/menu.c boot/log_file.c boot/files.c boot/print.c boot/allocate.c boot/utf.c vmm/lib/format.c
// UEFI
/* The menu on a fake firmware's console: UEFI "Simple Text Input Protocol", "Simple Text Output
 * Protocol", "WaitForEvent()". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "boot/menu_screen.h"
#include "uefi.h"

#define ROWS 60
#define COLUMNS 200
#define ENTER 0, '\r'
#define TICK 0xffff, 0 /* a second without a key */

struct stroke {
    uint16_t scan, unicode;
};

/* A console that shows, and a script of what comes: strokes and seconds. */
static struct {
    EFI_BOOT_SERVICES services;
    EFI_SYSTEM_TABLE system;
    SIMPLE_TEXT_OUTPUT_INTERFACE out;
    SIMPLE_TEXT_OUTPUT_MODE mode;
    SIMPLE_INPUT_INTERFACE in;
    struct fake_volume volume;
    char text[ROWS][COLUMNS + 1];
    UINTN column, row, attribute, reverse_row;
    UINTN columns, rows;
    bool drained; /* the next key is one of the script's */
    bool mode_unknown, cursor, no_events, no_timer, wait_fails;
    const struct stroke *script;
    unsigned at, length;
    unsigned stalls, stale, wakes_without_key;
    unsigned events_open;
    size_t written;
} console;
static struct boot boot;
static struct menu_screen screen;

static EFI_STATUS EFIAPI output(SIMPLE_TEXT_OUTPUT_INTERFACE *self, CHAR16 *text)
{
    (void)self;
    for (; *text; text++) {
        console.written++;
        if (*text == '\n')
            console.row++;
        else if (*text == '\r')
            console.column = 0;
        else if (console.row < ROWS && console.column < COLUMNS)
            console.text[console.row][console.column++] = (char)*text;
        if (*text == '>' && console.attribute == (EFI_BLACK | EFI_BACKGROUND_LIGHTGRAY))
            console.reverse_row = console.row;
    }
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI query(SIMPLE_TEXT_OUTPUT_INTERFACE *self, UINTN number, UINTN *columns,
                               UINTN *rows)
{
    (void)self;
    (void)number;
    if (console.mode_unknown)
        return EFI_UNSUPPORTED;
    *columns = console.columns;
    *rows = console.rows;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI set_attribute(SIMPLE_TEXT_OUTPUT_INTERFACE *self, UINTN attribute)
{
    (void)self;
    console.attribute = attribute;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI clear(SIMPLE_TEXT_OUTPUT_INTERFACE *self)
{
    (void)self;
    memset(console.text, ' ', sizeof(console.text));
    for (unsigned i = 0; i < ROWS; i++)
        console.text[i][COLUMNS] = 0;
    console.row = console.column = 0;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI set_position(SIMPLE_TEXT_OUTPUT_INTERFACE *self, UINTN column, UINTN row)
{
    (void)self;
    assert_true(column < console.columns && row < console.rows);
    console.column = column;
    console.row = row;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI show_cursor(SIMPLE_TEXT_OUTPUT_INTERFACE *self, BOOLEAN on)
{
    (void)self;
    console.cursor = on;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI read_key(SIMPLE_INPUT_INTERFACE *self, EFI_INPUT_KEY *key)
{
    (void)self;
    if (console.stale > 0) {
        console.stale--;
        *key = (EFI_INPUT_KEY){ 0, '\r' };
        return EFI_SUCCESS;
    }
    if (!console.drained || console.wakes_without_key > 0) {
        console.drained = true; /* what was typed before has been read */
        return EFI_NOT_READY;
    }
    if (console.at == console.length || console.script[console.at].scan == 0xffff)
        return EFI_NOT_READY;
    *key = (EFI_INPUT_KEY){ console.script[console.at].scan, console.script[console.at].unicode };
    console.at++;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI create_event(UINT32 type, EFI_TPL tpl, EFI_EVENT_NOTIFY notify,
                                      VOID *context, EFI_EVENT *event)
{
    (void)tpl;
    (void)context;
    assert_int_equal(type, EVT_TIMER);
    assert_null(notify);
    if (console.no_events)
        return EFI_OUT_OF_RESOURCES;
    console.events_open++;
    *event = &console.mode;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI set_timer(EFI_EVENT event, EFI_TIMER_DELAY type, UINT64 time_100ns)
{
    (void)event;
    assert_int_equal(type, TimerPeriodic);
    assert_int_equal(time_100ns, 10000000);
    return console.no_timer ? EFI_UNSUPPORTED : EFI_SUCCESS;
}

static EFI_STATUS EFIAPI close_event(EFI_EVENT event)
{
    (void)event;
    console.events_open--;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI wait_for_event(UINTN count, EFI_EVENT *events, UINTN *which)
{
    assert_ptr_equal(events[0], &console.mode);
    if (console.wait_fails)
        return EFI_UNSUPPORTED;
    if (count == 2 && console.wakes_without_key > 0) {
        console.wakes_without_key--;
        *which = 1;
        return EFI_SUCCESS;
    }
    assert_true(count == 1 || console.at < console.length);
    *which = count == 2 && console.script[console.at].scan != 0xffff;
    if (*which == 0)
        console.at++;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI stall(UINTN us)
{
    (void)us;
    /* Twenty slices are a second. */
    if (++console.stalls % 20 == 0 && console.at < console.length &&
        console.script[console.at].scan == 0xffff)
        console.at++;
    return EFI_SUCCESS;
}

static int set_up(void **state)
{
    static struct config_menu entries = { .count = 3, .seconds = 3 };
    (void)state;
    memset(&console, 0, sizeof(console));
    console.services = (EFI_BOOT_SERVICES){
        .CreateEvent = create_event, .SetTimer = set_timer, .CloseEvent = close_event,
        .WaitForEvent = wait_for_event, .Stall = stall, .HandleProtocol = fake_handle_protocol };
    console.out = (SIMPLE_TEXT_OUTPUT_INTERFACE){
        .OutputString = output, .QueryMode = query, .SetAttribute = set_attribute,
        .ClearScreen = clear, .SetCursorPosition = set_position, .EnableCursor = show_cursor,
        .Mode = &console.mode };
    console.in = (SIMPLE_INPUT_INTERFACE){ .ReadKeyStroke = read_key, .WaitForKey = &console };
    console.system.ConOut = &console.out;
    console.system.ConIn = &console.in;
    console.columns = 80;
    console.rows = 25;
    console.volume.room_bytes = SIZE_MAX;
    fake_current_volume = &console.volume;
    for (unsigned i = 0; i < 3; i++)
        snprintf(entries.entries[i].title, CONFIG_TITLE_BYTES, "Entry %u", i + 1);
    menu_begin(&screen.menu, &entries, NULL);
    boot = (struct boot){ .image = &boot, .system = &console.system,
                          .services = &console.services };
    return 0;
}

static const struct config_menu_entry *ask(const struct stroke *script, unsigned length)
{
    console.script = script;
    console.length = length;
    console.at = 0;
    console.drained = false;
    const struct config_menu_entry *chosen = menu_screen_ask(&boot, &screen);
    assert_int_equal(console.events_open, 0);
    return chosen;
}

#define ASK(...) ask((const struct stroke[]){ __VA_ARGS__ },                                       \
                     sizeof((const struct stroke[]){ __VA_ARGS__ }) / sizeof(struct stroke))

static void test_every_key(void **state)
{
    (void)state;
    assert_string_equal(ASK({ ENTER })->title, "Entry 1");
    assert_string_equal(ASK({ SCAN_DOWN, 0 }, { ENTER })->title, "Entry 2");
    assert_string_equal(ASK({ SCAN_UP, 0 }, { 0, '\n' })->title, "Entry 1");
    assert_string_equal(ASK({ SCAN_END, 0 }, { ENTER })->title, "Entry 3");
    assert_string_equal(ASK({ SCAN_HOME, 0 }, { ENTER })->title, "Entry 1");
    assert_string_equal(ASK({ SCAN_PAGE_DOWN, 0 }, { ENTER })->title, "Entry 3");
    assert_string_equal(ASK({ SCAN_PAGE_UP, 0 }, { ENTER })->title, "Entry 1");
    assert_string_equal(ASK({ 0, '2' }, { ENTER })->title, "Entry 2");
    assert_string_equal(ASK({ 0, '9' }, { 0, '0' }, { 0, 'x' }, { ENTER })->title, "Entry 2");
    assert_null(ASK({ SCAN_ESC, 0 }));
}

static void test_what_is_shown(void **state)
{
    (void)state;
    ASK({ SCAN_DOWN, 0 }, { ENTER });
    assert_non_null(strstr(console.text[3], "   1  Entry 1"));
    assert_non_null(strstr(console.text[4], " > 2  Entry 2"));
    assert_int_equal(console.reverse_row, 4);
    assert_null(strstr(console.text[7], "starts in")); /* the clock has stopped */
    assert_true(console.cursor);
    assert_int_equal(console.attribute, EFI_LIGHTGRAY | EFI_BACKGROUND_BLACK);
}

/* A serial line is slow: a tick sends the clock's row, and not the page. */
static void test_only_what_has_changed_is_drawn(void **state)
{
    (void)state;
    ASK({ ENTER });
    size_t page = console.written;
    screen.menu.seconds_left = 3;
    console.written = 0;
    ASK({ TICK }, { ENTER });
    assert_true(console.written < page + 2 * MENU_MOST_COLUMNS);
}

static void test_the_clock_runs_out(void **state)
{
    (void)state;
    assert_string_equal(ASK({ TICK }, { TICK }, { TICK })->title, "Entry 1");
    screen.menu.seconds_left = 3;
    assert_string_equal(ASK({ TICK }, { SCAN_DOWN, 0 }, { TICK }, { TICK }, { TICK }, { TICK },
                            { ENTER })->title, "Entry 2");
}

static void test_keys_from_before_are_nobodys(void **state)
{
    (void)state;
    console.stale = 5;
    assert_null(ASK({ TICK }, { SCAN_ESC, 0 }));
    assert_int_equal(console.stale, 0);
}

/* Shift alone wakes up and is no key; a console that does so without end is bounded. */
static void test_wakes_without_a_key(void **state)
{
    (void)state;
    console.wakes_without_key = 3;
    assert_null(ASK({ SCAN_ESC, 0 }));
    screen.menu.seconds_left = 3;
    console.wakes_without_key = 100000;
    assert_non_null(ASK({ TICK }, { TICK }, { TICK }));
    assert_true(console.stalls > 0);
}

static void test_firmware_without_timer_events(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        set_up(NULL);
        console.no_events = i == 0;
        console.no_timer = i == 1;
        console.wait_fails = i == 2;
        assert_string_equal(ASK({ SCAN_DOWN, 0 }, { ENTER })->title, "Entry 2");
        screen.menu.seconds_left = 2;
        assert_string_equal(ASK({ TICK }, { TICK })->title, "Entry 2");
        assert_true(console.stalls >= 40);
    }
}

/* Nobody can type: the clock runs, even where the operator wants none. */
static void test_no_keyboard(void **state)
{
    (void)state;
    console.system.ConIn = NULL;
    screen.menu.seconds_left = 0;
    assert_string_equal(ASK({ TICK }, { TICK }, { TICK }, { TICK }, { TICK }, { TICK }, { TICK },
                            { TICK }, { TICK }, { TICK })->title, "Entry 1");
    assert_int_equal(console.at, 10);
}

static void test_no_screen(void **state)
{
    (void)state;
    console.system.ConOut = NULL;
    assert_string_equal(ASK({ SCAN_DOWN, 0 }, { ENTER })->title, "Entry 2");
}

static void test_a_console_that_does_not_say_its_size(void **state)
{
    (void)state;
    console.mode_unknown = true;
    assert_string_equal(ASK({ ENTER })->title, "Entry 1");
    assert_non_null(strstr(console.text[3], " > 1  Entry 1"));
    set_up(NULL);
    console.out.Mode = NULL;
    assert_string_equal(ASK({ ENTER })->title, "Entry 1");
}

static void test_a_choice_is_remembered(void **state)
{
    char title[CONFIG_TITLE_BYTES];
    (void)state;
    menu_choice_read(&boot, title);
    assert_string_equal(title, "");
    assert_null(menu_choice_write(&boot, "Entry 2"));
    menu_choice_read(&boot, title);
    assert_string_equal(title, "Entry 2");
    unsigned writes = console.volume.writes;
    assert_null(menu_choice_write(&boot, "Entry 2")); /* nothing to write */
    assert_int_equal(console.volume.writes, writes);
    console.volume.write_status = EFI_WRITE_PROTECTED;
    assert_non_null(strstr(menu_choice_write(&boot, "Entry 3"), "write-protected"));
}

/* Whatever somebody has put there. */
static void test_a_choice_that_makes_no_sense(void **state)
{
    char title[CONFIG_TITLE_BYTES], text[300];
    (void)state;
    memset(text, 'x', sizeof(text));
    assert_null(boot_log_write(&boot, "menu.txt", text, sizeof(text)));
    menu_choice_read(&boot, title);
    assert_int_equal(strlen(title), CONFIG_TITLE_BYTES - 1);
    assert_null(boot_log_write(&boot, "menu.txt", "\n\xff\r", 3));
    menu_choice_read(&boot, title);
    assert_string_equal(title, "");
    memset(text, 't', CONFIG_TITLE_BYTES - 1);
    text[CONFIG_TITLE_BYTES - 1] = 0;
    assert_null(menu_choice_write(&boot, text)); /* the longest */
    menu_choice_read(&boot, title);
    assert_string_equal(title, text);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_key),
        TEST(test_what_is_shown),
        TEST(test_only_what_has_changed_is_drawn),
        TEST(test_the_clock_runs_out),
        TEST(test_keys_from_before_are_nobodys),
        TEST(test_wakes_without_a_key),
        TEST(test_firmware_without_timer_events),
        TEST(test_no_keyboard),
        TEST(test_no_screen),
        TEST(test_a_console_that_does_not_say_its_size),
        TEST(test_a_choice_is_remembered),
        TEST(test_a_choice_that_makes_no_sense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
