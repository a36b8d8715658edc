/*
 * A calendar date to seconds since 1970. Pure; no lock.
 * UEFI specification, "GetTime()": ranges of the fields, meaning of TimeZone.
 */
#include "boot/civil_time.h"

static bool is_leap_year(uint32_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static uint32_t days_in_month(uint32_t year, uint32_t month)
{
    static const uint8_t days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    return days[month - 1] + (month == 2 && is_leap_year(year) ? 1 : 0);
}

static bool is_valid(const struct civil_time *time)
{
    return time->year >= 1970 && time->year <= 9999 && time->month >= 1 && time->month <= 12 &&
           time->day >= 1 && time->day <= days_in_month(time->year, time->month) &&
           time->hour <= 23 && time->minute <= 59 && time->second <= 59 &&
           (time->utc_minus_local_minutes == CIVIL_TIME_ZONE_UNSPECIFIED ||
            (time->utc_minus_local_minutes >= -1440 && time->utc_minus_local_minutes <= 1440));
}

uint64_t civil_time_to_epoch(const struct civil_time *time)
{
    if (!is_valid(time))
        return 0;
    uint64_t days = time->day - 1;
    for (uint32_t month = 1; month < time->month; month++)
        days += days_in_month(time->year, month);
    /* Whole years before this one, with the leap days among them. */
    uint64_t before = time->year - 1;
    days += before * 365 + before / 4 - before / 100 + before / 400 - 719162;
    int64_t seconds = (int64_t)((days * 24 + time->hour) * 60 + time->minute) * 60 + time->second;
    if (time->utc_minus_local_minutes != CIVIL_TIME_ZONE_UNSPECIFIED)
        seconds += (int64_t)time->utc_minus_local_minutes * 60;
    return seconds > 0 ? (uint64_t)seconds : 0;
}
