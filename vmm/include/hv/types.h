/*
 * Types that every part of Trapline shares: addresses that cannot be mixed up, and errors.
 *
 * Each kind of address is a structure of one field, so that passing a guest-physical address where
 * a host-physical one is expected does not compile.
 */
#ifndef HV_TYPES_H
#define HV_TYPES_H

#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct { uint64_t v; } gpa_t; /* guest-physical */
typedef struct { uint64_t v; } hpa_t; /* host-physical */
typedef struct { uint64_t v; } gva_t; /* guest-linear */

#define GPA(x) ((gpa_t){ (uint64_t)(x) })
#define HPA(x) ((hpa_t){ (uint64_t)(x) })
#define GVA(x) ((gva_t){ (uint64_t)(x) })

/* An operation failed. Recorded (logged) where it was born; callers pass it on. */
enum hv_err {
    HV_OK = 0,
    HV_ERR_INVALID,     /* an argument or input is malformed */
    HV_ERR_NO_MEMORY,   /* allocation failed, or a table is full */
    HV_ERR_NOT_FOUND,   /* the named thing does not exist */
    HV_ERR_RANGE,       /* an address, offset or size lies outside of what is allowed */
    HV_ERR_EXISTS,      /* it overlaps or duplicates something that is there */
    HV_ERR_UNSUPPORTED, /* the machine, the processor, or this version cannot do it */
    HV_ERR_TIMEOUT,     /* hardware did not answer within its bound */
    HV_ERR_IO,          /* a device or file reported an error */
};

#define HV_MUST_CHECK __attribute__((warn_unused_result))
#define HV_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define HV_NORETURN _Noreturn

#define HV_PAGE_SHIFT 12u
#define HV_PAGE_BYTES 4096u
#define HV_PAGE_MASK 4095u

#define HV_ARRAY_COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define HV_CONTAINER_OF(p, type, member) ((type *)(void *)((char *)(p) - offsetof(type, member)))
#define HV_LIKELY(x) __builtin_expect(!!(x), 1)
#define HV_UNLIKELY(x) __builtin_expect(!!(x), 0)

static inline uint64_t hv_align_up(uint64_t x, uint64_t power_of_two)
{
    return (x + power_of_two - 1) & ~(power_of_two - 1);
}

static inline uint64_t hv_align_down(uint64_t x, uint64_t power_of_two)
{
    return x & ~(power_of_two - 1);
}

static inline uint64_t hv_min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t hv_max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

#endif
