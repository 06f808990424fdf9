/* Arithmetic of exported models: fixed point on 32-bit integers, and 32-bit floats.
 *
 * C99. Each operation is exact, so every platform computes the same bits: plain C and the DSP
 * instructions of Arm cores agree. Compile with -ffp-contract=off where float results must be
 * equal in every bit. Integers are shifted to the right arithmetically, as all compilers for
 * two's complement processors do. Define LNN_PLAIN_C to leave out DSP instructions. */
#ifndef LNN_PRIMITIVES_H
#define LNN_PRIMITIVES_H

#include <stdint.h>

#if defined(__GNUC__)
#define LNN_INLINE static inline __attribute__((always_inline, unused))
#define LNN_ALIGNED __attribute__((aligned(4)))
#else
#define LNN_INLINE static inline
#define LNN_ALIGNED
#endif
#if defined(__GNUC__) && defined(__ARM_FEATURE_DSP) && !defined(LNN_PLAIN_C)
#define LNN_DSP 1
#else
#define LNN_DSP 0
#endif
#if defined(__GNUC__) && !defined(__clang__)
#define LNN_UNROLL _Pragma("GCC unroll 8")
#else
#define LNN_UNROLL
#endif

/* Products of 8-bit and 16-bit numbers are of type int: compilers refuse an int of 16 bits here. */
typedef char lnn_int_has_32_bits[sizeof(int) >= 4 ? 1 : -1];

/* Sums of products of two rows of a matrix. */
typedef struct {
  int32_t first;
  int32_t second;
} lnn_pair;

/* (a b + 2^31) / 2^32 */
LNN_INLINE int32_t lnn_multiply_high(int32_t a, int32_t b) {
#if LNN_DSP
  int32_t result;
  __asm__("smmulr %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
  return result;
#else
  return (int32_t)(((int64_t)a * b + INT64_C(0x80000000)) >> 32);
#endif
}

/* a / 2^shift, rounded; shift is at least 1. */
LNN_INLINE int32_t lnn_shift_right(int32_t a, int shift) {
  return (a + (int32_t)(1 << (shift - 1))) >> shift;
}

/* a, limited to low ... high. */
LNN_INLINE int32_t lnn_clamp(int32_t a, int32_t low, int32_t high) {
  return a < low ? low : a > high ? high : a;
}

/* a, limited to 16 bits. */
LNN_INLINE int32_t lnn_saturate16(int32_t a) {
#if LNN_DSP
  int32_t result;
  __asm__("ssat %0, #16, %1" : "=r"(result) : "r"(a));
  return result;
#else
  return lnn_clamp(a, -32768, 32767);
#endif
}

LNN_INLINE int32_t lnn_absolute(int32_t a) { return a < 0 ? -a : a; }
LNN_INLINE int32_t lnn_max(int32_t a, int32_t b) { return a > b ? a : b; }
LNN_INLINE int32_t lnn_min(int32_t a, int32_t b) { return a < b ? a : b; }

/* a / b, rounded; b is not 0. */
LNN_INLINE int32_t lnn_divide(int32_t a, int32_t b) {
  const int32_t half = lnn_absolute(b) >> 1;
  return (a < 0 ? a - half : a + half) / b;
}

/* The greatest integer whose square is not above a; 0 for negative a. */
LNN_INLINE int32_t lnn_square_root(int32_t a) {
  uint32_t rest = a < 0 ? 0u : (uint32_t)a;
  uint32_t root = 0u;
  uint32_t bit;
  for (bit = UINT32_C(1) << 30; bit != 0u; bit >>= 2) {
    if (rest >= root + bit) {
      rest -= root + bit;
      root = (root >> 1) + bit;
    } else {
      root >>= 1;
    }
  }
  return (int32_t)root;
}

/* A tabulated function, interpolated: z counts in steps of 2^-shift table entries. */
LNN_INLINE int32_t lnn_interpolate(const int16_t *table, int32_t z, int shift) {
  const int32_t i = z >> shift;
  const int32_t low = table[i];
  const int32_t rise = (table[i + 1] - low) * (z & ((1 << shift) - 1));
  return shift == 0 ? low : low + lnn_shift_right(rise, shift == 0 ? 1 : shift);
}

/* tanh(x / 2) of a number x with 15 fractional bits; 15 fractional bits. */
LNN_INLINE int32_t lnn_half_tanh(const int16_t *table, int32_t a) {
  const int32_t y = lnn_interpolate(table, lnn_min(lnn_absolute(a), 393215), 10);
  return a < 0 ? -y : y;
}

/* sigmoid(x) = (1 + tanh(x / 2)) / 2 of a number with 15 fractional bits; 15 fractional bits. */
LNN_INLINE int32_t lnn_sigmoid(const int16_t *table, int32_t a) {
  return (lnn_half_tanh(table, a) + 32769) >> 1;
}

/* tanh of a number with 16 fractional bits; 15 fractional bits. */
LNN_INLINE int32_t lnn_tanh(const int16_t *table, int32_t a) { return lnn_half_tanh(table, a); }

#if LNN_DSP
LNN_INLINE uint32_t lnn_word(const void *address) {
  uint32_t word;
  __builtin_memcpy(&word, address, sizeof word);
  return word;
}
LNN_INLINE int32_t lnn_multiply_two(uint32_t a, uint32_t b, int32_t sum) {
  int32_t result;
  __asm__("smlad %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
}
LNN_INLINE uint32_t lnn_even_bytes(uint32_t a) {
  uint32_t result;
  __asm__("sxtb16 %0, %1" : "=r"(result) : "r"(a));
  return result;
}
LNN_INLINE uint32_t lnn_odd_bytes(uint32_t a) {
  uint32_t result;
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(result) : "r"(a));
  return result;
}
#endif

/* The sum of w[j] x[j]. Rows of 8-bit weights are stored in groups of four as w0 w2 w1 w3, so that
 * DSP instructions find (w0, w1) and (w2, w3) in the even and odd bytes of a word. */
LNN_INLINE int32_t lnn_dot_w8(const int8_t *w, const int16_t *x, int n) {
  int32_t sum = 0;
  int j;
  LNN_UNROLL
  for (j = 0; j + 4 <= n; j += 4) {
#if LNN_DSP
    const uint32_t weights = lnn_word(w + j);
    sum = lnn_multiply_two(lnn_even_bytes(weights), lnn_word(x + j), sum);
    sum = lnn_multiply_two(lnn_odd_bytes(weights), lnn_word(x + j + 2), sum);
#else
    sum += w[j] * x[j] + w[j + 2] * x[j + 1] + w[j + 1] * x[j + 2] + w[j + 3] * x[j + 3];
#endif
  }
  for (j = n & ~3; j < n; ++j) sum += w[j] * x[j];
  return sum;
}

LNN_INLINE lnn_pair lnn_dot2_w8(const int8_t *w, const int16_t *x, int n) {
  const int8_t *v = w + n;
  lnn_pair sums = {0, 0};
  int j;
  LNN_UNROLL
  for (j = 0; j + 4 <= n; j += 4) {
#if LNN_DSP
    const uint32_t a = lnn_word(w + j), b = lnn_word(v + j);
    const uint32_t x0 = lnn_word(x + j), x1 = lnn_word(x + j + 2);
    sums.first = lnn_multiply_two(lnn_even_bytes(a), x0, sums.first);
    sums.first = lnn_multiply_two(lnn_odd_bytes(a), x1, sums.first);
    sums.second = lnn_multiply_two(lnn_even_bytes(b), x0, sums.second);
    sums.second = lnn_multiply_two(lnn_odd_bytes(b), x1, sums.second);
#else
    const int32_t x0 = x[j], x1 = x[j + 1], x2 = x[j + 2], x3 = x[j + 3];
    sums.first += w[j] * x0 + w[j + 2] * x1 + w[j + 1] * x2 + w[j + 3] * x3;
    sums.second += v[j] * x0 + v[j + 2] * x1 + v[j + 1] * x2 + v[j + 3] * x3;
#endif
  }
  for (j = n & ~3; j < n; ++j) {
    sums.first += w[j] * x[j];
    sums.second += v[j] * x[j];
  }
  return sums;
}

LNN_INLINE int32_t lnn_dot_w16(const int16_t *w, const int16_t *x, int n) {
  int32_t sum = 0;
  int j;
  LNN_UNROLL
  for (j = 0; j + 2 <= n; j += 2) {
#if LNN_DSP
    sum = lnn_multiply_two(lnn_word(w + j), lnn_word(x + j), sum);
#else
    sum += w[j] * x[j] + w[j + 1] * x[j + 1];
#endif
  }
  if ((n & 1) != 0) sum += w[n - 1] * x[n - 1];
  return sum;
}

LNN_INLINE lnn_pair lnn_dot2_w16(const int16_t *w, const int16_t *x, int n) {
  const int16_t *v = w + n;
  lnn_pair sums = {0, 0};
  int j;
  LNN_UNROLL
  for (j = 0; j + 2 <= n; j += 2) {
#if LNN_DSP
    const uint32_t two = lnn_word(x + j);
    sums.first = lnn_multiply_two(lnn_word(w + j), two, sums.first);
    sums.second = lnn_multiply_two(lnn_word(v + j), two, sums.second);
#else
    const int32_t x0 = x[j], x1 = x[j + 1];
    sums.first += w[j] * x0 + w[j + 1] * x1;
    sums.second += v[j] * x0 + v[j + 1] * x1;
#endif
  }
  if ((n & 1) != 0) {
    sums.first += w[n - 1] * x[n - 1];
    sums.second += v[n - 1] * x[n - 1];
  }
  return sums;
}

/* Floats */

typedef union {
  float real;
  int32_t bits;
} lnn_float_bits;

LNN_INLINE int32_t lnn_bits_of(float a) {
  lnn_float_bits both;
  both.real = a;
  return both.bits;
}
LNN_INLINE float lnn_float_of(int32_t bits) {
  lnn_float_bits both;
  both.bits = bits;
  return both.real;
}

/* 1 if a is a number, 0 if it is infinite or not a number. */
LNN_INLINE int lnn_is_finite(float a) { return (lnn_bits_of(a) & 0x7F800000) != 0x7F800000; }
LNN_INLINE int lnn_is_nan(float a) { return (lnn_bits_of(a) & 0x7FFFFFFF) > 0x7F800000; }

/* The 16-bit integer next to a scale + offset. */
LNN_INLINE int16_t lnn_quantize(float a, float scale, float offset) {
  const float value = a * scale + offset;
  if (value >= 32767.0f) return INT16_MAX;
  if (value <= -32768.0f) return INT16_MIN;
  return (int16_t)(value < 0.0f ? value - 0.5f : value + 0.5f);
}

LNN_INLINE float lnn_max_f32(float a, float b) { return a > b ? a : b; }
LNN_INLINE float lnn_min_f32(float a, float b) { return a < b ? a : b; }
LNN_INLINE float lnn_absolute_f32(float a) { return lnn_float_of(lnn_bits_of(a) & 0x7FFFFFFF); }

LNN_INLINE float lnn_dot_f32(const float *w, const float *x, int n) {
  float sum = 0.0f;
  int j;
  LNN_UNROLL
  for (j = 0; j < n; ++j) sum += w[j] * x[j];
  return sum;
}

/* sigmoid by cubic interpolation of a table; its slope at a value y is y (1 - y). */
LNN_INLINE float lnn_sigmoid_f32(const float *table, float a) {
  float z = (a + 16.0f) * 8.0f;
  if (lnn_is_nan(a)) return a;
  z = z > 0.0f ? z : 0.0f;
  z = z < 255.99998f ? z : 255.99998f;
  {
    const int32_t i = (int32_t)z;
    const float t = z - (float)i, u = 1.0f - t;
    const float low = table[i], high = table[i + 1], rise = high - low;
    const float left = low * (1.0f - low) * 0.125f - rise;
    const float right = rise - high * (1.0f - high) * 0.125f;
    return (low + t * rise) + (t * u) * (u * left + t * right);
  }
}
LNN_INLINE float lnn_tanh_f32(const float *table, float a) {
  return 2.0f * lnn_sigmoid_f32(table, 2.0f * a) - 1.0f;
}

/* exp(a) = 2^n exp(r), a = n log(2) + r */
LNN_INLINE float lnn_exp_f32(float a) {
  float z = a > -87.0f ? a : -87.0f;
  if (lnn_is_nan(a)) return a;
  z = z < 88.0f ? z : 88.0f;
  {
    const int32_t n = (int32_t)(z * 1.44269502f + (z < 0.0f ? -0.5f : 0.5f));
    const float r = (z - (float)n * 0.693359375f) - (float)n * -0.00021219444f;
    float y = 1.98412701e-04f;
    y = y * r + 1.38888892e-03f;
    y = y * r + 8.33333377e-03f;
    y = y * r + 4.16666679e-02f;
    y = y * r + 1.66666672e-01f;
    y = y * r + 0.5f;
    y = y * r + 1.0f;
    y = y * r + 1.0f;
    return y * lnn_float_of((n + 127) * 8388608);
  }
}

/* log(m 2^n) = n log(2) + 2 atanh((m - 1) / (m + 1)) */
LNN_INLINE float lnn_log_f32(float a) {
  const float least = 1.17549435e-38f;
  const int32_t bits = lnn_bits_of(a > least ? a : least);
  int32_t n = (bits >> 23) - 127;
  float m = lnn_float_of((bits & 0x7FFFFF) | 0x3F800000);
  if (lnn_is_nan(a)) return a;
  if (m > 1.41421354f) {
    m = m * 0.5f;
    n = n + 1;
  }
  {
    const float s = (m - 1.0f) / (m + 1.0f), t = s * s;
    float y = 0.181818187f;
    y = y * t + 0.222222224f;
    y = y * t + 0.285714298f;
    y = y * t + 0.400000006f;
    y = y * t + 0.666666687f;
    y = y * t + 2.0f;
    return (float)n * 0.693359375f + (s * y + (float)n * -0.00021219444f);
  }
}

/* The square root, by Newton's method; 0 for negative numbers. */
LNN_INLINE float lnn_square_root_f32(float a) {
  float y = lnn_float_of((lnn_bits_of(a) >> 1) + 0x1FBB4F2E);
  int k;
  if (lnn_is_nan(a)) return a;
  if (!(a > 0.0f)) return 0.0f;
  for (k = 0; k < 4; ++k) y = 0.5f * (y + a / y);
  return y;
}

/* sin(a) = (-1)^n sin(r), a = n pi + r; a - a beyond 26 million. */
LNN_INLINE float lnn_sin_f32(float a) {
  float z = a * 0.318309873f;
  z = lnn_absolute_f32(z) < 8388608.0f ? z : 0.0f;
  {
    const int32_t n = (int32_t)(z + (z < 0.0f ? -0.5f : 0.5f));
    const float real = (float)n;
    const float r = ((a - real * 3.140625f) - real * 9.67025757e-04f) - real * 6.28318533e-07f;
    const float t = r * r;
    float y = -2.50521079e-08f;
    y = y * t + 2.75573188e-06f;
    y = y * t + -1.98412701e-04f;
    y = y * t + 8.33333377e-03f;
    y = y * t + -1.66666672e-01f;
    y = r + r * t * y;
    y = (n & 1) != 0 ? -y : y;
    return lnn_absolute_f32(a) < 26000000.0f ? y : a - a;
  }
}

/* The greatest integer that is not above a. */
LNN_INLINE float lnn_floor_f32(float a) {
  const int near = lnn_absolute_f32(a) < 8388608.0f;
  const float whole = near ? (float)(int32_t)a : a;
  return near && whole > a ? whole - 1.0f : whole;
}

/* The error function: Abramowitz and Stegun, 7.1.26. */
LNN_INLINE float lnn_erf_f32(float a) {
  const float x = lnn_absolute_f32(a);
  const float t = 1.0f / (1.0f + 0.327591091f * x);
  float y = 1.06140542f;
  y = y * t + -1.45315206f;
  y = y * t + 1.42141378f;
  y = y * t + -0.284496725f;
  y = y * t + 0.254829586f;
  y = 1.0f - y * t * lnn_exp_f32(-(x * x));
  return a < 0.0f ? -y : y;
}

#endif
