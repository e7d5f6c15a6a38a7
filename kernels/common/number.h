/* number.h: rounding, exp and log that give the same bits on every machine; IEEE binary16. */
#ifndef BNN_NUMBER_H
#define BNN_NUMBER_H

#include "base.h"

/* Rounds half to even for |x| < 2^22: adding 1.5 * 2^23 leaves no fraction bits.  Vectorises on every target. */
static inline float bnn_round(float x) { return (x + 12582912.0f) - 12582912.0f; }

static inline float bnn_clip(float x, float limit)
{
    x = x < limit ? x : limit;
    return x > -limit ? x : -limit;
}

/* Rounds a value within +-16383 stochastically: the 256ths of v that u does not reach are cut off.  Exact from here on: over
 * the 256 values of u the mean is round(256 v) / 256, and no value leaves an integer limit that v is within. */
static inline int32_t bnn_dithered(float v, uint8_t u) { return ((int32_t)bnn_round(v * 256.0f) + u) >> 8; }

/* The largest of BNN_TILE columns' maxima, or `largest`. */
static inline float bnn_largest_of(const float *most, float largest)
{
    for (size_t c = 0; c < BNN_TILE; c++) largest = most[c] > largest ? most[c] : largest;
    return largest;
}

static inline float bnn_absolute(float x) { return x < 0.0f ? -x : x; }

static inline float bnn_float_from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint32_t bnn_bits_from_float(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* exp(x) for x <= 0, relative error below 2e-7; 0 from -87 down.  x = (n + f) ln 2, |f| <= 1/2, and a polynomial in f
 * (the Taylor series of 2^f, degree 7, remainder below 6e-9). */
static inline float bnn_exp(float x)
{
    float scaled = (x > -87.0f ? x : -87.0f) * 1.44269504f;
    float whole = bnn_round(scaled);
    /* ln 2 in two parts: whole * the first is exact. */
    float rest = (x > -87.0f ? x : -87.0f) - whole * 0.693359375f;
    rest = rest + whole * 2.12194440e-4f;
    float power = 1.0f / 5040.0f;
    power = power * rest + 1.0f / 720.0f;
    power = power * rest + 1.0f / 120.0f;
    power = power * rest + 1.0f / 24.0f;
    power = power * rest + 1.0f / 6.0f;
    power = power * rest + 0.5f;
    power = power * rest + 1.0f;
    power = power * rest + 1.0f;
    float result = power * bnn_float_from_bits((uint32_t)((int32_t)whole + 127) << 23);
    return x > -87.0f ? result : 0.0f;
}

/* log(x) for finite x > 0, relative error below 1e-12: x = 2^n m, m in [sqrt(1/2), sqrt(2)), and
 * log m = 2 atanh((m - 1) / (m + 1)). */
static inline double bnn_log(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int exponent = (int)(bits >> 52) - 1023;
    bits = (bits & UINT64_C(0x000fffffffffffff)) | UINT64_C(0x3ff0000000000000);
    double mantissa;
    memcpy(&mantissa, &bits, sizeof mantissa);
    if (mantissa > 1.4142135623730951) {
        mantissa *= 0.5;
        exponent += 1;
    }
    double t = (mantissa - 1.0) / (mantissa + 1.0), square = t * t;
    double series = 0.0;
    for (int power = 19; power > 0; power -= 2) series = series * square + 1.0 / power;
    return exponent * 0.6931471805599453 + 2.0 * t * series;
}

/* binary16 to float32, exact. */
static inline float bnn_float_from_half(uint16_t half)
{
    uint32_t magnitude = (uint32_t)(half & 0x7fff) << 13, sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t special = magnitude >= UINT32_C(0x0f800000) ? UINT32_C(0x7f800000) : 0; /* infinity, NaN */
    /* Read as float32 with a wrong exponent bias, then multiplied by 2^112: subnormals come out right as well. */
    float scaled = bnn_float_from_bits(magnitude) * 0x1p112f;
    return bnn_float_from_bits(bnn_bits_from_float(scaled) | special | sign);
}

/* float32 to binary16, half to even, overflow to infinity. */
static inline uint16_t bnn_half_from_float(float x)
{
    uint32_t bits = bnn_bits_from_float(x), sign = bits >> 16 & 0x8000, magnitude = bits & UINT32_C(0x7fffffff);
    uint32_t odd = magnitude >> 13 & 1;
    uint32_t normal = (magnitude - UINT32_C(0x38000000) + 0xfff + odd) >> 13;
    /* Below 2^-14 the float adder rounds to the half's last place: 0.5 has that place in its own last bit. */
    uint32_t tiny = bnn_bits_from_float(bnn_float_from_bits(magnitude) + 0.5f) - UINT32_C(0x3f000000);
    uint32_t large = magnitude > UINT32_C(0x7f800000) ? 0x7e00 : 0x7c00;
    uint32_t result = magnitude < UINT32_C(0x38800000) ? tiny : normal;
    result = magnitude >= UINT32_C(0x477ff000) ? large : result;
    return (uint16_t)(result | sign);
}

#endif
