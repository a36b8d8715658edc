/*
 * The MC146818 real-time clock and the PC's CMOS memory around it: index and data at 0x70/0x71 and
 * a second bank of 128 bytes at 0x72/0x73.
 *
 * The calendar starts from the clock's epoch (UTC), runs by the VM's clock and keeps what the guest
 * sets. Not modelled: daylight saving (the DSE bit is kept and does nothing, as on later chips),
 * the square wave pin, and time bases other than 32,768 Hz.
 *
 * Lock: the VM's device lock for every function here; the interrupt line is set with it held.
 */
#ifndef HV_DEV_RTC_H
#define HV_DEV_RTC_H

#include "hv/device.h"

/* The regions: 0x70 and 0x72 with two ports each. The second may be left out. */
enum rtc_tag { RTC_TAG_STANDARD, RTC_TAG_EXTENDED };

#define RTC_PORTS 2u
#define RTC_BANK_BYTES 128u
#define RTC_REG_CENTURY 0x32u /* what the FADT's CENTURY field says */

struct rtc_state {
    uint64_t second_ns;  /* when the current second began, in the VM's clock */
    uint64_t synced_ns;  /* up to when flags and calendar have been brought */
    uint8_t cmos[2 * RTC_BANK_BYTES]; /* with the RTC's registers in their places */
    uint8_t index;
    uint8_t extended_index;
    uint8_t nmi_masked;  /* bit 7 of the last write to 0x70 */
};

struct rtc_wiring {
    struct hv_clock *clock;
    struct irq_line irq;               /* IRQ8 */
    uint64_t memory_below_4g_bytes;    /* from address 0 up, all of it: for CMOS memory sizes */
    uint64_t memory_above_4g_bytes;
};

struct rtc {
    struct device dev;
    struct rtc_state state;
    struct rtc_wiring wiring;
    struct hv_timer timer;
    bool line; /* what the interrupt line was last set to */
};

extern const struct device_ops rtc_ops;

/* A battery-backed start: calendar from clock->epoch_seconds, BCD, 24 hours. `reset` later only
 * does what the RESET pin does; time and CMOS outlive it. */
void rtc_init(struct rtc *rtc, const struct rtc_wiring *wiring);

/* Has the guest masked NMI by port 0x70? */
bool rtc_nmi_masked(const struct rtc *rtc);

#endif
