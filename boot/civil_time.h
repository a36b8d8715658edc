/*
 * A calendar date to seconds. Pure; host-tested.
 */
#ifndef BOOT_CIVIL_TIME_H
#define BOOT_CIVIL_TIME_H

#include "hv/types.h"

struct civil_time {
    uint32_t year, month, day, hour, minute, second;
    int32_t utc_minus_local_minutes; /* UEFI's TimeZone; CIVIL_TIME_ZONE_UNSPECIFIED: unknown */
};

#define CIVIL_TIME_ZONE_UNSPECIFIED 2047

/* Seconds since 1970-01-01 00:00 UTC; an unspecified zone is taken for UTC. 0 for what is not a
 * date of the Gregorian calendar between 1970 and 9999. */
uint64_t civil_time_to_epoch(const struct civil_time *time);

#endif
