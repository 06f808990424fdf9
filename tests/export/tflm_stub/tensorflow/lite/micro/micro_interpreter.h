// Replaces TensorFlow Lite Micro's header.
//
// stub_set defines the tensors and the function that Invoke calls. Outputs overlap the inputs, and
// Invoke overwrites the rest of the arena, which the real memory planner may also do.
#ifndef TFLM_STUB_MICRO_INTERPRETER_H_
#define TFLM_STUB_MICRO_INTERPRETER_H_

#include "tensorflow/lite/c/common.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

#define TFLITE_SCHEMA_VERSION (3)

namespace tflite {

class MicroResourceVariables;
class MicroProfilerInterface;

class MicroInterpreter {
 public:
  MicroInterpreter(const Model* model, const MicroOpResolver& op_resolver,
                   std::uint8_t* tensor_arena, std::size_t tensor_arena_size,
                   MicroResourceVariables* resource_variables = nullptr,
                   MicroProfilerInterface* profiler = nullptr, bool preserve_all_tensors = false);

  TfLiteStatus AllocateTensors();
  TfLiteStatus Invoke();
  TfLiteTensor* input(std::size_t index);
  TfLiteTensor* output(std::size_t index);

 private:
  static constexpr std::size_t kMost = 32;

  const MicroOpResolver& op_resolver_;
  std::uint8_t* arena_;
  std::size_t arena_size_;
  TfLiteTensor inputs_[kMost] = {};
  TfLiteTensor outputs_[kMost] = {};
};

}  // namespace tflite

#endif  // TFLM_STUB_MICRO_INTERPRETER_H_
