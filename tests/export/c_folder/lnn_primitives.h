/* The dot product of the model `tiny`, on processors with and without DSP instructions. */
#ifndef LNN_PRIMITIVES_H
#define LNN_PRIMITIVES_H

#include <stdint.h>
#include <string.h>

#if defined(__ARM_FEATURE_DSP) && !defined(LNN_PLAIN_C)
#include <arm_acle.h>
#define LNN_DSP 1
#endif

/* The sum of the products of an even number of values. */
static inline int32_t lnn_dot(const int16_t *a, const int16_t *b, int count) {
  int32_t sum = 0;
#ifdef LNN_DSP
  for (int i = 0; i < count; i += 2) {
    int16x2_t left, right;
    memcpy(&left, a + i, sizeof left);
    memcpy(&right, b + i, sizeof right);
    sum = __smlad(left, right, sum);
  }
#else
  for (int i = 0; i < count; ++i) sum += (int32_t)a[i] * b[i];
#endif
  return sum;
}

static inline int16_t lnn_saturate(int32_t value) {
  return (int16_t)(value > INT16_MAX ? INT16_MAX : value < INT16_MIN ? INT16_MIN : value);
}

#endif
