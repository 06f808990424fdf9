// Replaces TensorFlow Lite Micro's header: the types that generated sources use.
#ifndef TFLM_STUB_COMMON_H_
#define TFLM_STUB_COMMON_H_

#include <cstddef>
#include <cstdint>

typedef enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 } TfLiteStatus;

typedef union TfLitePtrUnion {
  float* f;
  std::int16_t* i16;
  std::int8_t* int8;
  void* data;
} TfLitePtrUnion;

typedef struct TfLiteTensor {
  TfLitePtrUnion data;
  std::size_t bytes;
} TfLiteTensor;

#endif  // TFLM_STUB_COMMON_H_
