/*
 * Running code on the machine's other cores while boot services are alive.
 *
 * Not here: what is run. No lock: only the boot core calls this.
 * UEFI Platform Initialization specification, volume 2, "MP Services Protocol".
 */
#include "boot/mp_services.h"

bool boot_mp_find(struct boot *boot, struct boot_mp *mp)
{
    EFI_GUID guid = MP_SERVICES_GUID;
    UINTN all = 0, enabled = 0, self = 0;
    *mp = (struct boot_mp){ 0 };
    if (EFI_ERROR(boot->services->LocateProtocol(&guid, NULL, (void **)&mp->protocol)) ||
        !mp->protocol || EFI_ERROR(mp->protocol->get_number(mp->protocol, &all, &enabled)) ||
        EFI_ERROR(mp->protocol->who_am_i(mp->protocol, &self)) || enabled > all || self >= all) {
        mp->protocol = NULL;
        return false;
    }
    mp->all = all;
    mp->enabled = enabled;
    mp->self = self;
    return true;
}

bool boot_mp_info(const struct boot_mp *mp, UINTN number, struct mp_processor *info)
{
    *info = (struct mp_processor){ 0 };
    return mp->protocol && !EFI_ERROR(mp->protocol->get_info(mp->protocol, number, info));
}

EFI_STATUS boot_mp_run(const struct boot_mp *mp, UINTN number, mp_procedure_t procedure,
                       void *argument, UINTN timeout_us)
{
    BOOLEAN finished = FALSE;
    return mp->protocol->startup_this(mp->protocol, procedure, number, NULL, timeout_us, argument,
                                      &finished);
}

EFI_STATUS boot_mp_start(struct boot *boot, const struct boot_mp *mp, UINTN number,
                         mp_procedure_t procedure, void *argument, EFI_EVENT *done)
{
    EFI_STATUS status = boot->services->CreateEvent(0, 0, NULL, NULL, done);
    if (EFI_ERROR(status))
        return status;
    status = mp->protocol->startup_this(mp->protocol, procedure, number, *done, 0, argument, NULL);
    if (EFI_ERROR(status))
        boot->services->CloseEvent(*done);
    return status;
}

bool boot_mp_has_finished(struct boot *boot, EFI_EVENT done)
{
    if (EFI_ERROR(boot->services->CheckEvent(done)))
        return false;
    boot->services->CloseEvent(done);
    return true;
}
