// The parts of TensorFlowLiteSwift that LiquidModel.swift calls, for a compiler without it.
import Foundation

public struct Tensor {
  public struct Shape {
    public let rank: Int

    public init(_ dimensions: [Int]) {
      rank = dimensions.count
    }
  }

  public let data: Data
  public let shape: Shape
}

public final class SignatureRunner {
  public func invoke(with inputs: [String: Data]) throws {}

  public func resizeInput(named inputName: String, toShape shape: Tensor.Shape) throws {}

  public func input(named name: String) throws -> Tensor {
    return Tensor(data: Data(), shape: Tensor.Shape([1]))
  }

  public func output(named name: String) throws -> Tensor {
    return Tensor(data: Data(), shape: Tensor.Shape([1]))
  }
}

public final class Interpreter {
  public init(modelPath: String) throws {}

  public func signatureRunner(with key: String) throws -> SignatureRunner {
    return SignatureRunner()
  }
}
