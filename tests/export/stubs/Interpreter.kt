// The parts of LiteRT's Kotlin interface that LiquidModel.kt calls, for a compiler without LiteRT.
package org.tensorflow.lite

import java.nio.ByteBuffer

class Tensor {
    fun numDimensions() = 3
}

class Interpreter(model: ByteBuffer) : AutoCloseable {
    fun runSignature(inputs: Map<String, Any>, outputs: Map<String, Any>, key: String) = Unit

    fun getInputTensorFromSignature(input: String, key: String) = Tensor()

    override fun close() = Unit
}
