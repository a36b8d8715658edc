// SRCS: boot/keep.c boot/keep_plan.c boot/mp_services.c boot/allocate.c boot/firmware_map.c boot/memory_map.c boot/log_file.c boot/files.c boot/utf.c boot/print.c vmm/core/report.c vmm/lib/format.c
// UEFI
/* A firmware that is kept: what it lends, refuses, and has back. UEFI specification,
 * "EFI_BOOT_SERVICES.AllocatePages()"; PI specification, volume 2, "MP Services Protocol". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "boot/keep.h"
#include "boot/mp_services.h"
#include "hv/console.h"
#include "hv/log.h"
#include "hv/report.h"
#include "uefi.h"
#include "x86/kept.h"

#define CORES 4
#define MB (UINT64_C(1) << 20)

struct fixture {
    EFI_BOOT_SERVICES services;
    EFI_RUNTIME_SERVICES runtime;
    EFI_SYSTEM_TABLE system;
    struct mp_services mp;
    struct fake_volume volume;
    struct boot boot;
    struct boot_info info;
    uint8_t variables[4096];
};

/* What the fakes below do, and what was asked of them. */
static struct {
    struct fixture *fixture;
    uint64_t most_bytes;      /* of one piece of memory */
    unsigned fails_at;        /* the piece that is not to be had; 0: none */
    unsigned pieces;          /* of firmware's map */
    unsigned maps_until_broken;
    UINTN cores;
    UINTN mute;               /* a core that firmware cannot say anything of */
    unsigned clears;
    unsigned pages_held;
    const char *refusal;      /* of kept_check */
    unsigned runs, joined;
    EFI_STATUS lend_status;   /* for core 2 */
    unsigned events_open;
    bool never_back;
    unsigned checks, stalls, resets;
    uint32_t disabled;        /* a core's number */
    const char *line;         /* what the run reports */
    const char *different;    /* what it has not put back */
    char printed[4096];
} fake;

/* --- the processor's part --- */

const char *kept_check(void)
{
    return fake.refusal;
}

void kept_join(void)
{
    fake.joined++;
}

const char *kept_run(struct boot_info *info)
{
    fake.runs++;
    assert_ptr_equal(info, &fake.fixture->info);
    memset(fake.fixture->variables, 0xee, sizeof(fake.fixture->variables));
    if (fake.line)
        report_line(fake.line, strlen(fake.line));
    return fake.different;
}

void console_write_line(const char *bytes, size_t n)
{
    (void)bytes;
    (void)n;
}

size_t log_read(uint64_t *from, char *out, size_t bytes)
{
    static const char text[] = "[0] a line\r\n";
    size_t n = sizeof(text) - 1 - *from;
    assert_true(bytes >= n);
    memcpy(out, text + *from, n);
    *from += n;
    return n;
}


/* --- firmware --- */

static EFI_STATUS EFIAPI allocate_pages(EFI_ALLOCATE_TYPE how, EFI_MEMORY_TYPE type, UINTN pages,
                                        EFI_PHYSICAL_ADDRESS *start)
{
    (void)how;
    (void)type;
    if (pages * 4096 > fake.most_bytes || (fake.fails_at && --fake.fails_at == 0))
        return EFI_OUT_OF_RESOURCES;
    void *memory = aligned_alloc(4096, pages * 4096);
    assert_non_null(memory);
    *start = (uint64_t)memory;
    fake.pages_held += (unsigned)pages;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI free_pages(EFI_PHYSICAL_ADDRESS start, UINTN pages)
{
    free((void *)start);
    fake.pages_held -= (unsigned)pages;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI get_memory_map(UINTN *bytes, EFI_MEMORY_DESCRIPTOR *map, UINTN *key,
                                        UINTN *stride, UINT32 *version)
{
    *key = 1;
    *version = 1;
    *stride = sizeof(*map);
    UINTN needed = fake.pieces * sizeof(*map);
    if (fake.maps_until_broken && --fake.maps_until_broken == 0)
        return EFI_DEVICE_ERROR;
    bool small = !map || *bytes < needed;
    *bytes = needed;
    if (small)
        return EFI_BUFFER_TOO_SMALL;
    for (unsigned i = 0; i < fake.pieces; i++)
        map[i] = (EFI_MEMORY_DESCRIPTOR){
            .Type = i % 2 ? EfiReservedMemoryType : EfiConventionalMemory,
            .PhysicalStart = 0x100000 + i * (uint64_t)0x1000000,
            .NumberOfPages = 0x1000, .Attribute = EFI_MEMORY_WB };
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI locate_protocol(EFI_GUID *guid, VOID *key, VOID **interface)
{
    (void)guid;
    (void)key;
    *interface = fake.fixture->mp.get_number ? &fake.fixture->mp : NULL;
    return *interface ? EFI_SUCCESS : EFI_NOT_FOUND;
}

static EFI_STATUS EFIAPI create_event(UINT32 type, EFI_TPL tpl, EFI_EVENT_NOTIFY notify,
                                      VOID *context, EFI_EVENT *event)
{
    (void)type;
    (void)tpl;
    (void)notify;
    (void)context;
    *event = (EFI_EVENT)(uintptr_t)++fake.events_open;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI close_event(EFI_EVENT event)
{
    (void)event;
    fake.events_open--;
    return EFI_SUCCESS;
}

/* Firmware needs a moment. */
static EFI_STATUS EFIAPI check_event(EFI_EVENT event)
{
    (void)event;
    return fake.never_back || ++fake.checks % 3 ? EFI_NOT_READY : EFI_SUCCESS;
}

static EFI_STATUS EFIAPI stall(UINTN us)
{
    (void)us;
    fake.stalls++;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI reset_system(EFI_RESET_TYPE type, EFI_STATUS status, UINTN bytes, CHAR16 *data)
{
    (void)type;
    (void)status;
    (void)bytes;
    (void)data;
    fake.resets++;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI output(SIMPLE_TEXT_OUTPUT_INTERFACE *self, CHAR16 *text)
{
    size_t used = strlen(fake.printed);
    (void)self;
    while (*text && used < sizeof(fake.printed) - 1)
        fake.printed[used++] = (char)*text++;
    fake.printed[used] = 0;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI clear_screen(SIMPLE_TEXT_OUTPUT_INTERFACE *self)
{
    (void)self;
    fake.clears++;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI get_number(struct mp_services *self, UINTN *all, UINTN *enabled)
{
    (void)self;
    *all = *enabled = fake.cores;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI get_info(struct mp_services *self, UINTN number, struct mp_processor *info)
{
    (void)self;
    if (number == fake.mute)
        return EFI_DEVICE_ERROR;
    info->processor_id = 0x10 + number;
    info->status = (number == fake.disabled ? 0 : MP_PROCESSOR_ENABLED) |
                   (number == 1 ? MP_PROCESSOR_IS_BSP : 0);
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI startup_this(struct mp_services *self, mp_procedure_t procedure,
                                      UINTN number, EFI_EVENT event, UINTN timeout_us,
                                      VOID *argument, BOOLEAN *finished)
{
    (void)self;
    (void)finished;
    assert_non_null(event);
    assert_int_equal(timeout_us, 0); /* firmware must not take a core back by INIT */
    assert_int_not_equal(number, 1);
    if (number == 2 && fake.lend_status != EFI_SUCCESS)
        return fake.lend_status;
    procedure(argument);
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI who_am_i(struct mp_services *self, UINTN *number)
{
    (void)self;
    *number = 1; /* the boot core need not be the first */
    return EFI_SUCCESS;
}

/* --- */

static int set_up(void **state)
{
    static SIMPLE_TEXT_OUTPUT_INTERFACE out = { .OutputString = output,
                                                .ClearScreen = clear_screen };
    struct fixture *f = calloc(1, sizeof(*f));
    memset(&fake, 0, sizeof(fake));
    fake.fixture = f;
    fake.most_bytes = UINT64_MAX;
    fake.disabled = UINT32_MAX;
    fake.mute = UINT32_MAX;
    fake.cores = CORES;
    fake.pieces = 1;
    f->services.HandleProtocol = fake_handle_protocol;
    f->services.AllocatePages = allocate_pages;
    f->services.FreePages = free_pages;
    f->services.GetMemoryMap = get_memory_map;
    f->services.LocateProtocol = locate_protocol;
    f->services.CreateEvent = create_event;
    f->services.CloseEvent = close_event;
    f->services.CheckEvent = check_event;
    f->services.Stall = stall;
    f->runtime.ResetSystem = reset_system;
    f->system.RuntimeServices = &f->runtime;
    f->system.ConOut = &out;
    f->mp = (struct mp_services){ .get_number = get_number, .get_info = get_info,
                                  .startup_this = startup_this, .who_am_i = who_am_i };
    f->boot = (struct boot){ .image = f, .system = &f->system, .services = &f->services,
                             .info = &f->info };
    f->volume.room_bytes = SIZE_MAX;
    f->info.image.data_start = (uint64_t)f->variables;
    f->info.image.data_bytes = sizeof(f->variables);
    f->info.config.vm_count = 1;
    f->info.config.vms[0] = (struct config_vm){ .vcpus = 1, .memory_bytes = 32 * MB };
    report_start(NULL, 0);
    memset(f->variables, 0x11, sizeof(f->variables));
    fake_current_volume = &f->volume;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    boot_free_beyond(&f->boot, 0);
    assert_int_equal(fake.pages_held, 0);
    assert_int_equal(f->volume.open_handles, 0);
    free(f);
    return 0;
}

static struct fake_file *file_of(struct fixture *f, const char *path)
{
    return fake_file_at(&f->volume, path, false);
}

static void test_a_run(void **state)
{
    struct fixture *f = *state;
    fake.disabled = 0;
    assert_true(boot_keep_run(&f->boot));
    assert_int_equal(fake.runs, 1);
    /* The boot core and those that were lent, with their APIC ids behind it. */
    assert_int_equal(fake.joined, 2);
    assert_int_equal(f->info.cpu_count_hint, 3);
    assert_int_equal(f->info.apic_ids[1], 0x12);
    assert_int_equal(f->info.apic_ids[2], 0x13);
    assert_int_equal(fake.events_open, 0);
    assert_int_equal(fake.resets, 0);
    /* Of firmware's free memory nothing is ours but what was taken. */
    uint64_t ours = 0;
    for (uint32_t i = 0; i < f->info.memory_count; i++) {
        ours += f->info.memory[i].kind == BOOT_MEMORY_FREE ? f->info.memory[i].bytes : 0;
        if (f->info.memory[i].start == 0x100000)
            assert_int_equal(f->info.memory[i].kind, BOOT_MEMORY_FIRMWARE);
    }
    assert_in_range(ours, 40 * MB, 64 * MB);
    assert_string_equal((const char *)file_of(f, "\\trapline\\log.txt")->data, "[0] a line\r\n");
    assert_null(file_of(f, "\\trapline\\explain-1.txt"));
    /* The next run begins as this one. */
    assert_int_equal(f->variables[0], 0x11);
    assert_int_equal(f->variables[sizeof(f->variables) - 1], 0x11);
}

static void test_reports_are_numbered(void **state)
{
    struct fixture *f = *state;
    f->info.config.vm_count = 0;
    memcpy(f->info.config.lab, "lab.elf", 8);
    fake.line = "LAB total";
    assert_true(boot_keep_run(&f->boot));
    fake.line = "LAB again";
    boot_free_beyond(&f->boot, 0);
    f->boot.info = &f->info;
    assert_true(boot_keep_run(&f->boot));
    assert_string_equal((const char *)file_of(f, "\\trapline\\lab-1.txt")->data, "LAB total\r\n");
    assert_string_equal((const char *)file_of(f, "\\trapline\\lab-2.txt")->data, "LAB again\r\n");
    assert_non_null(strstr(fake.printed, "Written: \\trapline\\lab-2.txt (11 bytes)"));
}

static void test_a_core_that_is_not_lent_is_named_and_left_out(void **state)
{
    struct fixture *f = *state;
    fake.lend_status = EFI_UNSUPPORTED;
    assert_true(boot_keep_run(&f->boot));
    assert_non_null(strstr(fake.printed, "does not lend core 2 (unsupported)"));
    assert_int_equal(f->info.cpu_count_hint, 3);
    assert_int_equal(fake.events_open, 0);
}

static void test_what_was_not_put_back_is_said(void **state)
{
    struct fixture *f = *state;
    fake.different = "CR4";
    assert_true(boot_keep_run(&f->boot));
    assert_non_null(strstr(fake.printed, "The boot core's CR4 is not as firmware had it"));
}

static void test_no_mp_services(void **state)
{
    struct fixture *f = *state;
    f->mp.get_number = NULL;
    assert_true(boot_keep_run(&f->boot));
    assert_int_equal(f->info.cpu_count_hint, 1);
    assert_int_equal(fake.joined, 0);
}

static void test_cores_that_firmware_does_not_have_back(void **state)
{
    struct fixture *f = *state;
    fake.never_back = true;
    boot_keep_run(&f->boot);
    assert_int_equal(fake.resets, 1);
    assert_non_null(strstr(fake.printed, "starting the machine over"));
    assert_in_range(fake.stalls, 1000, 10000);
}

static void test_a_volume_that_is_gone(void **state)
{
    struct fixture *f = *state;
    f->volume.open_status = EFI_NO_MEDIA;
    assert_true(boot_keep_run(&f->boot));
    assert_non_null(strstr(fake.printed,
                           "log.txt could not be written: the stick is no longer there"));
}

static void test_refusals(void **state)
{
    struct fixture *f = *state;
    fake.refusal = "because";
    assert_false(boot_keep_run(&f->boot));
    assert_non_null(strstr(f->boot.reason, "not possible here: because"));
    fake.refusal = NULL;
    f->boot.reason[0] = 0;
    fake.most_bytes = 16 * MB; /* 24 pieces of it are less than the guest wants */
    f->info.config.vms[0].memory_bytes = 512 * MB;
    assert_false(boot_keep_run(&f->boot));
    assert_non_null(strstr(f->boot.reason, "512 MB left for the guests"));
    boot_free_beyond(&f->boot, 0);
    f->boot.info = &f->info;
    f->boot.reason[0] = 0;
    fake.most_bytes = 4 * MB;
    assert_false(boot_keep_run(&f->boot));
    assert_non_null(strstr(f->boot.reason, "below 4 GB"));
    boot_free_beyond(&f->boot, 0);
    f->boot.info = &f->info;
    f->boot.reason[0] = 0;
    fake.most_bytes = 0;
    assert_false(boot_keep_run(&f->boot));
    assert_non_null(strstr(f->boot.reason, "no memory"));
    /* A later start from the same image must not write its report to what was given back. */
    size_t bytes;
    assert_null(report_text(&bytes));
    assert_int_equal(fake.runs, 0);
}

/* Whatever piece of memory is not there, at whatever step the map cannot be read: it is said, nothing
 * runs, and nothing is kept. */
static void test_every_step_may_fail(void **state)
{
    struct fixture *f = *state;
    unsigned refused = 0;
    for (unsigned i = 1; i < 40; i++) {
        fake.fails_at = i <= 32 ? i : 0;
        fake.maps_until_broken = i > 32 ? i - 32 : 0;
        fake.runs = 0;
        f->boot.reason[0] = 0;
        bool ran = boot_keep_run(&f->boot);
        assert_int_equal(fake.runs, ran);
        assert_int_equal(f->boot.reason[0] != 0, !ran);
        refused += !ran;
        boot_free_beyond(&f->boot, 0);
        assert_int_equal(fake.pages_held, 0);
        f->boot.info = &f->info;
        f->info.memory_count = 0;
    }
    assert_in_range(refused, 5, 39);
}

/* A map of so many pieces that ours cannot be told apart in it any more. */
static void test_a_map_of_too_many_pieces(void **state)
{
    struct fixture *f = *state;
    fake.pieces = BOOT_INFO_MAX_MEMORY;
    assert_false(boot_keep_run(&f->boot));
    assert_non_null(strstr(f->boot.reason, "too many pieces"));
    assert_int_equal(fake.runs, 0);
}

/* More cores than there is room for, and one of which firmware says nothing. */
static void test_more_cores_than_there_is_room_for(void **state)
{
    struct fixture *f = *state;
    unsigned most = HV_ARRAY_COUNT(f->info.apic_ids);
    fake.cores = most + 100;
    fake.mute = 5;
    assert_true(boot_keep_run(&f->boot));
    assert_int_equal(f->info.cpu_count_hint, most);
    assert_int_equal(fake.joined, most - 1);
    for (unsigned i = 1; i < most; i++)
        assert_int_not_equal(f->info.apic_ids[i], 0x15);
    assert_int_equal(fake.events_open, 0);
}

/* On a serial line firmware's text stays where it is. */
static void test_the_screen_is_cleared_where_there_is_one(void **state)
{
    struct fixture *f = *state;
    assert_true(boot_keep_run(&f->boot));
    assert_int_equal(fake.clears, 1);
    boot_free_beyond(&f->boot, 0);
    f->boot.info = &f->info;
    f->info.config.console = CONFIG_CONSOLE_SERIAL;
    assert_true(boot_keep_run(&f->boot));
    assert_int_equal(fake.clears, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_run),
        TEST(test_reports_are_numbered),
        TEST(test_a_core_that_is_not_lent_is_named_and_left_out),
        TEST(test_what_was_not_put_back_is_said),
        TEST(test_no_mp_services),
        TEST(test_cores_that_firmware_does_not_have_back),
        TEST(test_a_volume_that_is_gone),
        TEST(test_refusals),
        TEST(test_every_step_may_fail),
        TEST(test_a_map_of_too_many_pieces),
        TEST(test_more_cores_than_there_is_room_for),
        TEST(test_the_screen_is_cleared_where_there_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
