// Replaces TensorFlow Lite Micro's header.
#ifndef TFLM_STUB_SCHEMA_H_
#define TFLM_STUB_SCHEMA_H_

#include <cstdint>

namespace tflite {

struct Model {
  std::uint32_t version() const { return 3; }
};

inline const Model* GetModel(const void* buffer) { return static_cast<const Model*>(buffer); }

}  // namespace tflite

#endif  // TFLM_STUB_SCHEMA_H_
