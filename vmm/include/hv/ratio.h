/*
 * Multiplication by a fixed fraction, exactly rounded down, without a division: for clocks, which are
 * read often and must not drift.
 *
 * Why it is exact: with inverse = (rest * 2^64 - e) / denominator, 0 <= e < denominator, the high half
 * of n * inverse is less than n / 2^64 < 1 below n * rest / denominator. So its integer part is the
 * quotient or one less, and the remainder that goes with it tells which.
 *
 * Pure; no lock.
 */
#ifndef HV_RATIO_H
#define HV_RATIO_H

#include "hv/types.h"

struct hv_ratio {
    uint64_t whole;       /* of the fraction */
    uint64_t rest;        /* the numerator without the whole part: below the denominator */
    uint64_t denominator; /* 1 to 2^63 - 1 */
    uint64_t inverse;     /* rest * 2^64 / denominator, rounded down */
};

/* Of constants. */
#define HV_RATIO(numerator_, denominator_)                                                         \
    {                                                                                              \
        .whole = (numerator_) / (denominator_), .rest = (numerator_) % (denominator_),             \
        .denominator = (denominator_),                                                             \
        .inverse = (uint64_t)(((unsigned __int128)((numerator_) % (denominator_)) << 64) /         \
                              (denominator_)),                                                     \
    }

/* Long division by hand, since one of 128 bits would need libgcc. */
static inline struct hv_ratio hv_ratio_make(uint64_t numerator, uint64_t denominator)
{
    uint64_t rest = numerator % denominator, remainder = rest, inverse = 0;

    for (unsigned bit = 0; bit < 64; bit++) {
        remainder <<= 1;
        inverse <<= 1;
        if (remainder >= denominator) {
            remainder -= denominator;
            inverse |= 1;
        }
    }
    return (struct hv_ratio){ numerator / denominator, rest, denominator, inverse };
}

/* n * numerator / denominator, rounded down; the result is cut to 64 bits. */
static inline uint64_t hv_ratio_apply(const struct hv_ratio *ratio, uint64_t n)
{
    uint64_t quotient = (uint64_t)((unsigned __int128)n * ratio->inverse >> 64);
    uint64_t remainder = n * ratio->rest - quotient * ratio->denominator;

    return n * ratio->whole + quotient + (remainder >= ratio->denominator);
}

#endif
