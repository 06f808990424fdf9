// A second program next to main.cc that includes all headers; Python calls its functions.

#include "lnn_model.h"
#include "lnn_op_resolver.h"
#include "model.h"
#include "recording.h"
#include "tensorflow/lite/micro/micro_interpreter.h"

namespace {

alignas(16) std::uint8_t arena[LNN_ARENA_BYTES];
lnn::OpResolver resolver;
const TfLiteStatus registered = lnn::AddOperations(resolver);
tflite::MicroInterpreter interpreter(tflite::GetModel(lnn_model_data), resolver, arena,
                                     sizeof(arena));
lnn::Model<tflite::MicroInterpreter> model(&interpreter);

}  // namespace

int replay();

extern "C" {
int probe_replay() { return replay(); }
int probe_start() {
  if (registered != kTfLiteOk || interpreter.AllocateTensors() != kTfLiteOk) return 1;
  model.Reset();
  return model.Fits() ? 0 : 2;
}
void probe_reset() { model.Reset(); }
void probe_restart() { model.Restart(); }
int probe_step(const lnn::Number* inputs, lnn::Number* outputs) {
  return static_cast<int>(model.Step(inputs, outputs));
}
int probe_quantize(int index, const float* real, lnn::Number* numbers) {
  return static_cast<int>(lnn::Quantize(lnn::kInputs[static_cast<std::size_t>(index)], real, numbers));
}
void probe_dequantize(int index, const lnn::Number* numbers, float* real) {
  lnn::Dequantize(lnn::kOutputs[static_cast<std::size_t>(index)], numbers, real);
}
unsigned int probe_saved_bytes() { return lnn::kSavedStateBytes; }
void probe_save(std::uint8_t* bytes) { model.SaveState(bytes); }
int probe_restore(const std::uint8_t* bytes, unsigned int size) {
  return static_cast<int>(model.RestoreState(bytes, size));
}
unsigned int probe_model_bytes() { return lnn_model_data_size; }
}
