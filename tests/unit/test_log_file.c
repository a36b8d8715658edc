// SRCS: boot/log_file.c boot/files.c boot/utf.c boot/print.c boot/allocate.c vmm/lib/format.c
// UEFI
/* UEFI specification, "EFI_FILE_PROTOCOL": statuses of Open, Write, Flush and Delete. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "uefi.h"

#define NAME "report.txt"
#define PATH "\\trapline\\report.txt"

struct fixture {
    EFI_BOOT_SERVICES services;
    EFI_SYSTEM_TABLE system;
    struct fake_volume volume;
    struct boot boot;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->services.HandleProtocol = fake_handle_protocol;
    f->boot = (struct boot){ .image = f, .system = &f->system, .services = &f->services };
    f->volume.room_bytes = SIZE_MAX;
    fake_current_volume = &f->volume;
    *state = f;
    return 0;
}

/* Whatever went wrong, nothing of the firmware's is kept, and it is no reason not to start. */
static int tear_down(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(f->volume.open_handles, f->boot.root ? 1 : 0);
    assert_int_equal(f->boot.reason[0], 0);
    if (f->boot.root)
        f->boot.root->Close(f->boot.root);
    free(f);
    return 0;
}

static void test_a_file_is_written_and_read_again(void **state)
{
    struct fixture *f = *state;
    char text[16] = { 0 };
    assert_null(boot_log_write(&f->boot, NAME, "hello", 5));
    assert_int_equal(boot_log_read(&f->boot, NAME, text, sizeof(text)), 5);
    assert_string_equal(text, "hello");
    assert_true(fake_file_at(&f->volume, "\\trapline", false)->folder);
    assert_int_equal(boot_log_read(&f->boot, NAME, text, 2), 2);
    assert_int_equal(boot_log_read(&f->boot, "absent", text, sizeof(text)), 0);
}

static void test_a_shorter_file_leaves_nothing_of_the_longer_one(void **state)
{
    struct fixture *f = *state;
    assert_null(boot_log_write(&f->boot, NAME, "a long report", 13));
    assert_null(boot_log_write(&f->boot, NAME, "short", 5));
    assert_int_equal(fake_file_at(&f->volume, PATH, false)->bytes, 5);
}

static void test_the_open_volume_is_used_and_stays_open(void **state)
{
    struct fixture *f = *state;
    assert_true(boot_volume_open(&f->boot));
    EFI_FILE_PROTOCOL *root = f->boot.root;
    assert_null(boot_log_write(&f->boot, NAME, "x", 1));
    assert_ptr_equal(f->boot.root, root);
}

static void test_large_texts_go_in_pieces(void **state)
{
    struct fixture *f = *state;
    static char text[200000];
    memset(text, 'x', sizeof(text));
    assert_null(boot_log_write(&f->boot, NAME, text, sizeof(text)));
    assert_int_equal(fake_file_at(&f->volume, PATH, false)->bytes, sizeof(text));
    assert_true(f->volume.writes > 1);
}

static void test_a_full_volume_keeps_no_half_file(void **state)
{
    struct fixture *f = *state;
    static char text[200000];
    f->volume.room_bytes = 100000;
    for (unsigned i = 0; i < 2; i++) {
        f->volume.short_writes = i;
        assert_string_equal(boot_log_write(&f->boot, NAME, text, sizeof(text)),
                            "the volume is full");
        assert_null(fake_file_at(&f->volume, PATH, false));
    }
}

/* EDK2 makes a folder without a cluster then, in which files get lost. */
static void test_a_folder_is_only_made_where_there_is_room(void **state)
{
    struct fixture *f = *state;
    f->volume.room_bytes = 2 * 512;
    assert_string_equal(boot_log_write(&f->boot, NAME, "x", 1), "the volume is full");
    assert_int_equal(f->volume.folders_made, 0);
    f->volume.info_status = EFI_UNSUPPORTED; /* nobody knows: it is tried */
    assert_null(boot_log_write(&f->boot, NAME, "x", 1));
    assert_int_equal(f->volume.folders_made, 1);
    f->volume.info_status = EFI_SUCCESS;
    assert_null(boot_log_write(&f->boot, NAME, "y", 1)); /* it is there now */
    assert_int_equal(f->volume.folders_made, 1);
}

static void test_what_the_stick_says_comes_back_as_words(void **state)
{
    struct fixture *f = *state;
    static const struct {
        EFI_STATUS status;
        const char *words;
    } cases[] = {
        { EFI_WRITE_PROTECTED, "write-protected" }, { EFI_NO_MEDIA, "no longer there" },
        { EFI_MEDIA_CHANGED, "something else is in its place" },
        { EFI_DEVICE_ERROR, "no longer there (device error)" },
        { EFI_VOLUME_CORRUPTED, "damaged" }, { EFI_ACCESS_DENIED, "does not allow" },
        { EFI_TIMEOUT, "does not answer" }, { EFI_UNSUPPORTED, "can't write" },
        { EFI_OUT_OF_RESOURCES, "no memory" }, { EFI_ABORTED, "firmware error" },
        { EFI_NOT_FOUND, "volume that Trapline was started from" },
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        f->volume.open_status = cases[i].status;
        assert_non_null(strstr(boot_log_write(&f->boot, NAME, "x", 1), cases[i].words));
        f->volume.open_status = EFI_SUCCESS;
        f->volume.write_status = cases[i].status;
        assert_non_null(strstr(boot_log_write(&f->boot, NAME, "x", 1), cases[i].words));
        f->volume.write_status = EFI_SUCCESS;
        f->volume.flush_status = cases[i].status;
        assert_non_null(strstr(boot_log_write(&f->boot, NAME, "x", 1), cases[i].words));
        assert_null(fake_file_at(&f->volume, PATH, false));
        f->volume.flush_status = EFI_SUCCESS;
    }
}

/* Pulled in the middle: the write fails, and so does all that follows. */
static void test_pulled_while_writing(void **state)
{
    struct fixture *f = *state;
    static char text[200000];
    assert_null(boot_log_write(&f->boot, NAME, text, 1));
    f->volume.writes = 0;
    f->volume.writes_before_fault = 2;
    f->volume.write_status = EFI_NO_MEDIA;
    assert_string_equal(boot_log_write(&f->boot, NAME, text, sizeof(text)),
                        "the stick is no longer there");
    assert_int_equal(f->volume.writes, 2);
    f->volume.delete_status = EFI_DEVICE_ERROR;
    assert_non_null(boot_log_write(&f->boot, NAME, text, 1));
}

static void test_a_file_that_can_not_be_deleted_is_not_half_replaced(void **state)
{
    struct fixture *f = *state;
    assert_null(boot_log_write(&f->boot, NAME, "a long report", 13));
    f->volume.delete_status = EFI_WARN_DELETE_FAILURE;
    assert_non_null(strstr(boot_log_write(&f->boot, NAME, "short", 5), "access denied"));
    assert_int_equal(fake_file_at(&f->volume, PATH, false)->bytes, 13);
}

static void test_no_volume_and_bad_names(void **state)
{
    struct fixture *f = *state;
    char byte, name[200];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = 0;
    assert_non_null(boot_log_write(&f->boot, name, "x", 1));
    assert_non_null(boot_log_write(&f->boot, "\xff", "x", 1));
    assert_int_equal(boot_log_read(&f->boot, name, &byte, 1), 0);
    fake_current_volume = NULL;
    assert_non_null(strstr(boot_log_write(&f->boot, NAME, "x", 1), "no longer there"));
    assert_int_equal(boot_log_read(&f->boot, NAME, &byte, 1), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_file_is_written_and_read_again),
        TEST(test_a_shorter_file_leaves_nothing_of_the_longer_one),
        TEST(test_the_open_volume_is_used_and_stays_open),
        TEST(test_large_texts_go_in_pieces),
        TEST(test_a_full_volume_keeps_no_half_file),
        TEST(test_a_folder_is_only_made_where_there_is_room),
        TEST(test_what_the_stick_says_comes_back_as_words),
        TEST(test_pulled_while_writing),
        TEST(test_a_file_that_can_not_be_deleted_is_not_half_replaced),
        TEST(test_no_volume_and_bad_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
