// Replaces TensorFlow Lite Micro's header, with the same methods.
#ifndef TFLM_STUB_MICRO_MUTABLE_OP_RESOLVER_H_
#define TFLM_STUB_MICRO_MUTABLE_OP_RESOLVER_H_

#include <cstring>

#include "tensorflow/lite/c/common.h"

#define TFLM_STUB_METHODS(M)                                                                      \
  M(Abs) M(Add) M(AddN) M(ArgMax) M(ArgMin) M(AssignVariable) M(AveragePool2D) M(BatchMatMul)     \
  M(BatchToSpaceNd) M(BroadcastArgs) M(BroadcastTo) M(CallOnce) M(Cast) M(Ceil) M(Concatenation)  \
  M(Conv2D) M(Cos) M(CumSum) M(DepthToSpace) M(DepthwiseConv2D) M(Dequantize) M(Div) M(Elu)       \
  M(Equal) M(Exp) M(ExpandDims) M(Fill) M(Floor) M(FloorDiv) M(FloorMod) M(FullyConnected)        \
  M(Gather) M(GatherNd) M(Greater) M(GreaterEqual) M(HardSwish) M(If) M(L2Normalization)          \
  M(L2Pool2D) M(LeakyRelu) M(Less) M(LessEqual) M(Log) M(LogicalAnd) M(LogicalNot) M(LogicalOr)   \
  M(Logistic) M(LogSoftmax) M(Maximum) M(MaxPool2D) M(Mean) M(Minimum) M(MirrorPad) M(Mul) M(Neg) \
  M(NotEqual) M(Pack) M(Pad) M(PadV2) M(Prelu) M(Quantize) M(ReadVariable) M(ReduceMax) M(Relu)   \
  M(Relu6) M(Reshape) M(ResizeBilinear) M(ResizeNearestNeighbor) M(Round) M(Rsqrt) M(SelectV2)    \
  M(Shape) M(Sin) M(Slice) M(Softmax) M(SpaceToBatchNd) M(SpaceToDepth) M(Split) M(SplitV)        \
  M(Squeeze) M(Sqrt) M(Square) M(SquaredDifference) M(StridedSlice) M(Sub) M(Sum) M(Svdf) M(Tanh) \
  M(Transpose) M(TransposeConv) M(UnidirectionalSequenceLSTM) M(Unpack) M(VarHandle) M(While)     \
  M(ZerosLike)

struct TFLMRegistration {};

namespace tflite {

class MicroOpResolver {
 public:
  virtual ~MicroOpResolver() {}
  virtual bool IsFull() const = 0;
};

template <unsigned int tOpCount>
class MicroMutableOpResolver : public MicroOpResolver {
 public:
#define TFLM_STUB_METHOD(Name) \
  TfLiteStatus Add##Name(const TFLMRegistration& = TFLMRegistration()) { return Register(#Name); }
  TFLM_STUB_METHODS(TFLM_STUB_METHOD)
#undef TFLM_STUB_METHOD

  bool IsFull() const override { return count_ == tOpCount; }

 private:
  TfLiteStatus Register(const char* name) {
    if (count_ >= tOpCount) return kTfLiteError;
    for (unsigned int i = 0; i < count_; ++i) {
      if (std::strcmp(names_[i], name) == 0) return kTfLiteError;
    }
    names_[count_++] = name;
    return kTfLiteOk;
  }

  const char* names_[tOpCount] = {};
  unsigned int count_ = 0;
};

}  // namespace tflite

#endif  // TFLM_STUB_MICRO_MUTABLE_OP_RESOLVER_H_
