/*
 * The calendar of an MC146818. See rtc_calendar.h.
 */
#include "vmm/devices/rtc_calendar.h"

#define SECONDS_PER_DAY 86400u
#define DAYS_PER_ERA 146097u          /* 400 years */
#define DAYS_PER_WRAP 3652425u        /* 10,000 years, after which four digits repeat */
#define DAYS_BEFORE_1970 719468u      /* from 0000-03-01 to 1970-01-01 */
#define WEEKDAY_OF_1970 4u            /* Thursday, with Sunday = 0 */

#define HOURS_PM 0x80u
#define ALARM_DONT_CARE 0xC0u /* both top bits set */
#define ALARM_ANY (-1)
#define ALARM_NEVER (-2)

struct date {
    uint32_t year, month, day;
};

static uint8_t encode(const uint8_t *cmos, uint32_t value)
{
    if (cmos[RTC_REG_B] & RTC_B_BINARY)
        return (uint8_t)value;
    return (uint8_t)(value / 10 << 4 | value % 10);
}

static uint32_t decode(const uint8_t *cmos, uint8_t raw, uint32_t least, uint32_t most)
{
    uint32_t value = raw;
    if (!(cmos[RTC_REG_B] & RTC_B_BINARY))
        value = (raw >> 4) * 10u + (raw & 15);
    if (value < least)
        return least;
    return value > most ? most : value;
}

static uint8_t encode_hour(const uint8_t *cmos, uint32_t hour)
{
    if (cmos[RTC_REG_B] & RTC_B_24_HOUR)
        return encode(cmos, hour);
    uint32_t clock_face = hour % 12 ? hour % 12 : 12;
    return encode(cmos, clock_face) | (hour >= 12 ? HOURS_PM : 0);
}

static uint32_t decode_hour(const uint8_t *cmos, uint8_t raw)
{
    if (cmos[RTC_REG_B] & RTC_B_24_HOUR)
        return decode(cmos, raw, 0, 23);
    uint32_t clock_face = decode(cmos, raw & (uint8_t)~HOURS_PM, 1, 12);
    return clock_face % 12 + (raw & HOURS_PM ? 12 : 0);
}

/* Years begin in March here, so that the leap day is the last one of a year. */
static uint32_t days_of(const struct date *date)
{
    uint32_t year = date->month > 2 ? date->year : date->year + 9999; /* modulo 10,000 years */
    uint32_t month = (date->month + 9) % 12;
    uint32_t days = year * 365 + year / 4 - year / 100 + year / 400;
    return (days + (month * 153 + 2) / 5 + date->day - 1) % DAYS_PER_WRAP;
}

static struct date date_of(uint32_t days)
{
    uint32_t era = days / DAYS_PER_ERA;
    uint32_t in_era = days % DAYS_PER_ERA;
    uint32_t year =
        (in_era - in_era / 1460 + in_era / 36524 - in_era / (DAYS_PER_ERA - 1)) / 365;
    uint32_t in_year = in_era - (year * 365 + year / 4 - year / 100);
    uint32_t month = (in_year * 5 + 2) / 153;
    struct date date = {
        .year = era * 400 + year + (month >= 10),
        .month = month < 10 ? month + 3 : month - 9,
        .day = in_year - (month * 153 + 2) / 5 + 1,
    };
    date.year %= 10000;
    return date;
}

static void write_date(uint8_t *cmos, uint32_t days)
{
    struct date date = date_of(days);
    cmos[RTC_REG_DAY] = encode(cmos, date.day);
    cmos[RTC_REG_MONTH] = encode(cmos, date.month);
    cmos[RTC_REG_YEAR] = encode(cmos, date.year % 100);
    cmos[RTC_REG_CENTURY] = encode(cmos, date.year / 100);
}

static uint32_t read_days(const uint8_t *cmos)
{
    struct date date = {
        .year = decode(cmos, cmos[RTC_REG_CENTURY], 0, 99) * 100 +
                decode(cmos, cmos[RTC_REG_YEAR], 0, 99),
        .month = decode(cmos, cmos[RTC_REG_MONTH], 1, 12),
        .day = decode(cmos, cmos[RTC_REG_DAY], 1, 31),
    };
    return days_of(&date);
}

static void write_time(uint8_t *cmos, uint32_t second_of_day)
{
    cmos[RTC_REG_SECONDS] = encode(cmos, second_of_day % 60);
    cmos[RTC_REG_MINUTES] = encode(cmos, second_of_day / 60 % 60);
    cmos[RTC_REG_HOURS] = encode_hour(cmos, second_of_day / 3600);
}

static uint32_t read_time(const uint8_t *cmos)
{
    return decode_hour(cmos, cmos[RTC_REG_HOURS]) * 3600 +
           decode(cmos, cmos[RTC_REG_MINUTES], 0, 59) * 60 +
           decode(cmos, cmos[RTC_REG_SECONDS], 0, 59);
}

void rtc_calendar_set(uint8_t *cmos, uint64_t epoch_seconds)
{
    uint64_t days = epoch_seconds / SECONDS_PER_DAY;
    write_time(cmos, (uint32_t)(epoch_seconds % SECONDS_PER_DAY));
    write_date(cmos, (uint32_t)((days + DAYS_BEFORE_1970) % DAYS_PER_WRAP));
    cmos[RTC_REG_DAY_OF_WEEK] = encode(cmos, (uint32_t)((days + WEEKDAY_OF_1970) % 7) + 1);
}

void rtc_calendar_advance(uint8_t *cmos, uint64_t seconds)
{
    uint64_t time = read_time(cmos) + seconds % SECONDS_PER_DAY;
    uint64_t days = seconds / SECONDS_PER_DAY + time / SECONDS_PER_DAY;
    write_time(cmos, (uint32_t)(time % SECONDS_PER_DAY));
    if (!days)
        return;
    uint32_t weekday = decode(cmos, cmos[RTC_REG_DAY_OF_WEEK], 1, 7) - 1;
    cmos[RTC_REG_DAY_OF_WEEK] = encode(cmos, (uint32_t)((weekday + days) % 7) + 1);
    write_date(cmos, (uint32_t)((read_days(cmos) + days) % DAYS_PER_WRAP));
}

/* The chip compares bytes: an alarm matches only if some time is written in the same way. */
static int alarm_hour(const uint8_t *cmos)
{
    uint8_t raw = cmos[RTC_REG_HOURS_ALARM];
    if ((raw & ALARM_DONT_CARE) == ALARM_DONT_CARE)
        return ALARM_ANY;
    uint32_t hour = decode_hour(cmos, raw);
    return encode_hour(cmos, hour) == raw ? (int)hour : ALARM_NEVER;
}

static int alarm_sixtieth(const uint8_t *cmos, enum rtc_register reg)
{
    uint8_t raw = cmos[reg];
    if ((raw & ALARM_DONT_CARE) == ALARM_DONT_CARE)
        return ALARM_ANY;
    uint32_t value = decode(cmos, raw, 0, 59);
    return encode(cmos, value) == raw ? (int)value : ALARM_NEVER;
}

static bool matches(int alarm, uint32_t value)
{
    return alarm == ALARM_ANY || alarm == (int)value;
}

/* Skips whole hours and minutes that do not match: at most 25 + 2 * 60 + 60 steps. */
uint32_t rtc_calendar_alarm_in(const uint8_t *cmos)
{
    int hour = alarm_hour(cmos);
    int minute = alarm_sixtieth(cmos, RTC_REG_MINUTES_ALARM);
    int second = alarm_sixtieth(cmos, RTC_REG_SECONDS_ALARM);
    if (hour == ALARM_NEVER || minute == ALARM_NEVER || second == ALARM_NEVER)
        return 0;
    uint32_t now = read_time(cmos);
    uint32_t at = now + 1;
    for (;;) {
        if (!matches(hour, at / 3600 % 24))
            at = (at / 3600 + 1) * 3600;
        else if (!matches(minute, at / 60 % 60))
            at = (at / 60 + 1) * 60;
        else if (!matches(second, at % 60))
            at++;
        else
            return at - now;
    }
}
