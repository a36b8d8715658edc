// SRCS: boot/print.c boot/utf.c boot/mp_services.c vmm/lib/format.c
// UEFI
/*
 * What boot/ says and asks on firmware's console, and of its cores. UEFI specification, "Simple Text
 * Output Protocol", "Simple Text Input Protocol"; PI specification, "MP Services Protocol".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "boot/mp_services.h"

static CHAR16 shown[4096];
static size_t shown_units;
static unsigned calls, clears, keys_waiting, keys_read, stalls;
static bool keys_never_end;
static EFI_STATUS mode_status;
static UINTN mode_rows;

static EFI_STATUS EFIAPI output(SIMPLE_TEXT_OUTPUT_INTERFACE *self, CHAR16 *text)
{
    size_t length = 0;

    (void)self;
    calls++;
    while (text[length])
        length++;
    assert_true(length < 128 && shown_units + length < 4096);
    memcpy(shown + shown_units, text, length * sizeof(*text));
    shown_units += length;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI clear(SIMPLE_TEXT_OUTPUT_INTERFACE *self)
{
    (void)self;
    clears++;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI query(SIMPLE_TEXT_OUTPUT_INTERFACE *self, UINTN mode, UINTN *columns,
                               UINTN *rows)
{
    (void)self;
    assert_int_equal(mode, 2);
    *columns = 80;
    *rows = mode_rows;
    return mode_status;
}

static EFI_STATUS EFIAPI read_key(SIMPLE_INPUT_INTERFACE *self, EFI_INPUT_KEY *key)
{
    (void)self;
    *key = (EFI_INPUT_KEY){ 0, 'x' };
    if (keys_waiting == 0 && !keys_never_end)
        return EFI_NOT_READY;
    keys_waiting -= keys_waiting > 0;
    keys_read++;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI stall(UINTN us)
{
    stalls++;
    if (us == 0)
        fail();
    if (stalls == 7)
        keys_waiting = keys_read ? 0 : 1; /* somebody presses a key at last */
    return EFI_SUCCESS;
}

static SIMPLE_TEXT_OUTPUT_MODE mode = { .Mode = 2 };
static SIMPLE_TEXT_OUTPUT_INTERFACE out = { .OutputString = output, .ClearScreen = clear,
                                            .QueryMode = query, .Mode = &mode };
static SIMPLE_INPUT_INTERFACE in = { .ReadKeyStroke = read_key };
static EFI_SYSTEM_TABLE table;
static EFI_BOOT_SERVICES services;
static struct boot boot;

static int set_up(void **state)
{
    (void)state;
    shown_units = calls = clears = keys_waiting = keys_read = stalls = 0;
    keys_never_end = false;
    mode_status = EFI_SUCCESS;
    mode_rows = 50;
    table.ConOut = &out;
    table.ConIn = &in;
    out.Mode = &mode;
    memset(&services, 0, sizeof(services));
    services.Stall = stall;
    boot = (struct boot){ .system = &table, .services = &services };
    return 0;
}

static void expect(const char *text)
{
    assert_int_equal(shown_units, strlen(text));
    for (size_t i = 0; i < shown_units; i++)
        assert_int_equal(shown[i], (unsigned char)text[i]);
    shown_units = 0;
}

/* Lines end as consoles want them; long texts go out in pieces, and none of them is lost. */
static void test_texts(void **state)
{
    char text[700], wanted[1400];
    size_t n = 0;

    (void)state;
    boot_print(&boot, "a%d\nb", 7);
    expect("a7\r\nb");
    boot_print(&boot, "%s", "");
    expect("");
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        text[i] = i % 3 == 0 ? '\n' : (char)('a' + i % 26);
        if (text[i] == '\n')
            wanted[n++] = '\r';
        wanted[n++] = text[i];
    }
    text[sizeof(text) - 1] = wanted[n] = 0;
    boot_print(&boot, "%s", text);
    expect(wanted);
    boot_print(&boot, "\xc3\xbc\xff");
    assert_int_equal(shown_units, 2);
    assert_int_equal(shown[0], 0xfc);
    assert_int_equal(shown[1], 0xfffd);
}

/* Servers have no console until somebody logs in. */
static void test_no_console(void **state)
{
    (void)state;
    table.ConOut = NULL;
    table.ConIn = NULL;
    boot_print(&boot, "nobody reads it");
    boot_clear_screen(&boot);
    assert_int_equal(boot_screen_rows(&boot), 25);
    assert_false(boot_wait_for_key(&boot, 1000));
    boot_drop_keys(&boot);
    assert_int_equal(calls + clears + stalls, 0);
}

static void test_rows(void **state)
{
    (void)state;
    boot_clear_screen(&boot);
    assert_int_equal(clears, 1);
    assert_int_equal(boot_screen_rows(&boot), 50);
    mode_rows = 0;
    assert_int_equal(boot_screen_rows(&boot), 25);
    mode_rows = 50;
    mode_status = EFI_UNSUPPORTED;
    assert_int_equal(boot_screen_rows(&boot), 25);
    out.Mode = NULL;
    assert_int_equal(boot_screen_rows(&boot), 25);
}

static void test_keys(void **state)
{
    (void)state;
    assert_true(boot_wait_for_key(&boot, 2)); /* after seven tenths of a second */
    assert_int_equal(stalls, 7);
    assert_false(boot_wait_for_key(&boot, 2));
    assert_int_equal(stalls, 27);
    keys_waiting = 5;
    boot_drop_keys(&boot);
    assert_int_equal(keys_waiting, 0);
    keys_read = 0;
    keys_never_end = true; /* a keyboard that is broken */
    boot_drop_keys(&boot);
    assert_in_range(keys_read, 100, 1000);
}

static void test_the_first_reason_stays(void **state)
{
    (void)state;
    assert_false(boot_refuse(&boot, "one %u", 1u));
    assert_false(boot_refuse(&boot, "two"));
    assert_string_equal(boot.reason, "one 1");
}

/* Each has a name of its own, but those that nobody expects. */
static void test_names_of_statuses(void **state)
{
    static const EFI_STATUS statuses[] = {
        EFI_SUCCESS, EFI_INVALID_PARAMETER, EFI_UNSUPPORTED, EFI_BAD_BUFFER_SIZE,
        EFI_BUFFER_TOO_SMALL, EFI_DEVICE_ERROR, EFI_WRITE_PROTECTED, EFI_OUT_OF_RESOURCES,
        EFI_VOLUME_CORRUPTED, EFI_VOLUME_FULL, EFI_NO_MEDIA, EFI_MEDIA_CHANGED, EFI_NOT_FOUND,
        EFI_ACCESS_DENIED, EFI_TIMEOUT, EFI_CRC_ERROR,
    };
    const size_t count = sizeof(statuses) / sizeof(statuses[0]);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(boot_status_name(statuses[i]), boot_status_name(statuses[j]));
    }
    assert_string_equal(boot_status_name(EFI_CRC_ERROR), boot_status_name((EFI_STATUS)12345));
}

/* --- cores --- */

static struct {
    struct mp_services protocol;
    EFI_STATUS locate, number, who, info, event, startup;
    bool found_nothing;
    UINTN all, enabled, self;
    unsigned events_open;
} mp_world;

static EFI_STATUS EFIAPI locate(EFI_GUID *guid, VOID *registration, VOID **interface)
{
    (void)guid;
    (void)registration;
    *interface = mp_world.found_nothing ? NULL : &mp_world.protocol;
    return mp_world.locate;
}

static EFI_STATUS EFIAPI get_number(struct mp_services *self, UINTN *all, UINTN *enabled)
{
    (void)self;
    *all = mp_world.all;
    *enabled = mp_world.enabled;
    return mp_world.number;
}

static EFI_STATUS EFIAPI get_info(struct mp_services *self, UINTN number, struct mp_processor *info)
{
    (void)self;
    info->processor_id = 10 * number;
    return mp_world.info;
}

static EFI_STATUS EFIAPI who_am_i(struct mp_services *self, UINTN *number)
{
    (void)self;
    *number = mp_world.self;
    return mp_world.who;
}

static EFI_STATUS EFIAPI startup(struct mp_services *self, mp_procedure_t procedure, UINTN number,
                                 EFI_EVENT event, UINTN timeout_us, VOID *argument,
                                 BOOLEAN *finished)
{
    (void)self;
    (void)number;
    assert_true(!event == !!finished); /* one of both tells that it is over */
    assert_true(!event || timeout_us == 0);
    if (mp_world.startup == EFI_SUCCESS && !event)
        procedure(argument);
    return mp_world.startup;
}

static EFI_STATUS EFIAPI create_event(UINT32 type, EFI_TPL tpl, EFI_EVENT_NOTIFY notify,
                                      VOID *context, EFI_EVENT *event)
{
    (void)type;
    (void)tpl;
    (void)notify;
    (void)context;
    *event = &mp_world;
    mp_world.events_open += !EFI_ERROR(mp_world.event);
    return mp_world.event;
}

static EFI_STATUS EFIAPI close_event(EFI_EVENT event)
{
    assert_ptr_equal(event, &mp_world);
    mp_world.events_open--;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI check_event(EFI_EVENT event)
{
    assert_ptr_equal(event, &mp_world);
    return mp_world.startup;
}

static VOID EFIAPI procedure(VOID *argument)
{
    ++*(unsigned *)argument;
}

static void good_cores(void)
{
    memset(&mp_world, 0, sizeof(mp_world));
    mp_world.protocol = (struct mp_services){ .get_number = get_number, .get_info = get_info,
                                              .startup_this = startup, .who_am_i = who_am_i };
    mp_world.all = 4;
    mp_world.enabled = 3;
    mp_world.self = 1;
    services.LocateProtocol = locate;
    services.CreateEvent = create_event;
    services.CloseEvent = close_event;
    services.CheckEvent = check_event;
}

/* Firmware that contradicts itself about its cores has none to lend. */
static void test_cores_are_found_or_not(void **state)
{
    struct boot_mp mp;
    struct mp_processor info;

    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        good_cores();
        switch (i) {
        case 1: mp_world.locate = EFI_NOT_FOUND; break;
        case 2: mp_world.found_nothing = true; break;
        case 3: mp_world.number = EFI_DEVICE_ERROR; break;
        case 4: mp_world.who = EFI_DEVICE_ERROR; break;
        case 5: mp_world.enabled = 5; break;
        case 6: mp_world.self = 4; break;
        case 7: mp_world.all = mp_world.enabled = mp_world.self = 0; break;
        default: break;
        }
        assert_int_equal(boot_mp_find(&boot, &mp), i == 0);
        assert_int_equal(boot_mp_info(&mp, 2, &info), i == 0);
        assert_int_equal(info.processor_id, i == 0 ? 20 : 0);
    }
    good_cores();
    assert_true(boot_mp_find(&boot, &mp));
    assert_int_equal(mp.all, 4);
    assert_int_equal(mp.enabled, 3);
    assert_int_equal(mp.self, 1);
    mp_world.info = EFI_NOT_FOUND;
    assert_false(boot_mp_info(&mp, 2, &info));
}

static void test_a_core_is_lent(void **state)
{
    struct boot_mp mp;
    unsigned ran = 0;
    EFI_EVENT done;

    (void)state;
    good_cores();
    assert_true(boot_mp_find(&boot, &mp));
    assert_int_equal(boot_mp_run(&mp, 2, procedure, &ran, 1000), EFI_SUCCESS);
    assert_int_equal(ran, 1);
    mp_world.startup = EFI_TIMEOUT;
    assert_int_equal(boot_mp_run(&mp, 2, procedure, &ran, 1000), EFI_TIMEOUT);
    mp_world.event = EFI_OUT_OF_RESOURCES;
    assert_int_equal(boot_mp_start(&boot, &mp, 2, procedure, &ran, &done), EFI_OUT_OF_RESOURCES);
    mp_world.event = EFI_SUCCESS;
    assert_int_equal(boot_mp_start(&boot, &mp, 2, procedure, &ran, &done), EFI_TIMEOUT);
    assert_int_equal(mp_world.events_open, 0); /* none is left behind */
    mp_world.startup = EFI_SUCCESS;
    assert_int_equal(boot_mp_start(&boot, &mp, 2, procedure, &ran, &done), EFI_SUCCESS);
    mp_world.startup = EFI_NOT_READY;
    assert_false(boot_mp_has_finished(&boot, done));
    assert_int_equal(mp_world.events_open, 1);
    mp_world.startup = EFI_SUCCESS;
    assert_true(boot_mp_has_finished(&boot, done));
    assert_int_equal(mp_world.events_open, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_texts, set_up),
        cmocka_unit_test_setup(test_no_console, set_up),
        cmocka_unit_test_setup(test_rows, set_up),
        cmocka_unit_test_setup(test_keys, set_up),
        cmocka_unit_test_setup(test_the_first_reason_stays, set_up),
        cmocka_unit_test_setup(test_names_of_statuses, set_up),
        cmocka_unit_test_setup(test_cores_are_found_or_not, set_up),
        cmocka_unit_test_setup(test_a_core_is_lent, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
