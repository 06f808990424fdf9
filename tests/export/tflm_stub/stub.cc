#include <cstring>
#include <vector>

#include "tensorflow/lite/micro/micro_interpreter.h"

namespace {

// From the concatenated inputs to the concatenated outputs; returns 0 on success.
using InvokeFunction = int (*)(const std::uint8_t* inputs, std::uint8_t* outputs);

std::vector<int> input_bytes, output_bytes;
InvokeFunction invoke = nullptr;

std::size_t Sum(const std::vector<int>& sizes) {
  std::size_t sum = 0;
  for (int size : sizes) sum += static_cast<std::size_t>(size);
  return sum;
}

void Place(const std::vector<int>& sizes, std::uint8_t* start, TfLiteTensor* tensors) {
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    tensors[i].data.data = start;
    tensors[i].bytes = static_cast<std::size_t>(sizes[i]);
    start += sizes[i];
  }
}

}  // namespace

extern "C" void stub_set(int inputs, const int* inputs_bytes, int outputs,
                         const int* outputs_bytes, InvokeFunction function) {
  input_bytes.assign(inputs_bytes, inputs_bytes + inputs);
  output_bytes.assign(outputs_bytes, outputs_bytes + outputs);
  invoke = function;
}

namespace tflite {

MicroInterpreter::MicroInterpreter(const Model*, const MicroOpResolver& op_resolver,
                                   std::uint8_t* tensor_arena, std::size_t tensor_arena_size,
                                   MicroResourceVariables*, MicroProfilerInterface*, bool)
    : op_resolver_(op_resolver), arena_(tensor_arena), arena_size_(tensor_arena_size) {}

TfLiteStatus MicroInterpreter::AllocateTensors() {
  if (!op_resolver_.IsFull()) return kTfLiteError;
  if (input_bytes.size() > kMost || output_bytes.size() > kMost) return kTfLiteError;
  if (Sum(input_bytes) > arena_size_ || Sum(output_bytes) > arena_size_) return kTfLiteError;
  Place(input_bytes, arena_, inputs_);
  Place(output_bytes, arena_, outputs_);
  return kTfLiteOk;
}

TfLiteStatus MicroInterpreter::Invoke() {
  const std::vector<std::uint8_t> inputs(arena_, arena_ + Sum(input_bytes));
  std::memset(arena_, 0x5a, arena_size_);
  return invoke(inputs.data(), arena_) == 0 ? kTfLiteOk : kTfLiteError;
}

TfLiteTensor* MicroInterpreter::input(std::size_t index) { return &inputs_[index]; }
TfLiteTensor* MicroInterpreter::output(std::size_t index) { return &outputs_[index]; }

}  // namespace tflite
