/*
 * The calendar of an MC146818 as bytes in its registers: setting it, moving it on, and finding when
 * the alarm matches. Pure; register B among the bytes says whether they are BCD and 12-hour.
 *
 * Not the time base, not the interrupts: rtc_mc146818.c has those.
 *
 * Lock: the caller's.
 * Source: MC146818 data sheet, "Time, Calendar and Alarm Locations".
 */
#ifndef VMM_DEVICES_RTC_CALENDAR_H
#define VMM_DEVICES_RTC_CALENDAR_H

#include "hv/dev_rtc.h"

enum rtc_register {
    RTC_REG_SECONDS = 0x00,
    RTC_REG_SECONDS_ALARM = 0x01,
    RTC_REG_MINUTES = 0x02,
    RTC_REG_MINUTES_ALARM = 0x03,
    RTC_REG_HOURS = 0x04,
    RTC_REG_HOURS_ALARM = 0x05,
    RTC_REG_DAY_OF_WEEK = 0x06, /* Sunday = 1 */
    RTC_REG_DAY = 0x07,
    RTC_REG_MONTH = 0x08,
    RTC_REG_YEAR = 0x09,
    RTC_REG_A = 0x0A,
    RTC_REG_B = 0x0B,
    RTC_REG_C = 0x0C,
    RTC_REG_D = 0x0D,
};

#define RTC_B_24_HOUR 0x02u
#define RTC_B_BINARY 0x04u

/* Fills in date and time, from seconds since 1970-01-01 00:00. The year is cut to four digits. */
void rtc_calendar_set(uint8_t *cmos, uint64_t epoch_seconds);

/* Moves date and time on. A field that holds no valid value counts as the nearest one that is; the
 * day of the week is counted by itself, as the chip does. */
void rtc_calendar_advance(uint8_t *cmos, uint64_t seconds);

/* Seconds until the alarm matches the time next, 1 to 86,400; 0: never, for no time is written as
 * the alarm bytes are. */
uint32_t rtc_calendar_alarm_in(const uint8_t *cmos);

#endif
