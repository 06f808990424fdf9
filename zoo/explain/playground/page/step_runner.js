/**
 * Runs the .tflite file of one time step on TensorFlow Lite in WebAssembly.
 *
 * @typedef {{input: number, output: number, initial: Float32Array}} State Positions among the
 *   file's inputs and outputs, and the value before the first step.
 * @typedef {{inputs: number[], output: number, states: State[], outputs: number,
 *   window: ?number}} Interface Positions of the data inputs and of the answer, and the number of
 *   values of an answer. After a window of steps, the states start again.
 */

class StepRunner {
  /**
   * Start the interpreter, which takes some tenths of a second.
   *
   * @param {Uint8Array} program The interpreter as WebAssembly.
   * @param {Uint8Array} file The .tflite file.
   * @param {Interface} wiring
   * @returns {Promise<StepRunner>}
   */
  static async start(program, file, wiring) {
    const silent = () => {};
    const runtime = await tflite_web_api_ModuleFactory({
      wasmBinary: program,
      print: silent,
      printErr: silent,
    });
    // The interpreter reads the file from this memory as long as it lives.
    const address = runtime._malloc(file.length);
    runtime.HEAPU8.set(file, address);
    const options = { numThreads: 1, enableProfiling: false, maxProfilingBufferEntries: 1 };
    const created = runtime.TFLiteWebModelRunner.CreateFromBufferAndOptions(
      address,
      file.length,
      options,
    );
    if (!created.ok()) throw new Error(created.errorMessage());
    return new StepRunner(created.value(), wiring);
  }

  constructor(interpreter, wiring) {
    this.interpreter = interpreter;
    this.wiring = wiring;
    const list = (vector) => Array.from({ length: vector.size() }, (_, i) => vector.get(i));
    this.inputs = list(interpreter.GetInputs());
    this.outputs = list(interpreter.GetOutputs());
  }

  /**
   * Run all steps of a sequence; the page can react in between, but must not start another one.
   *
   * @param {Float32Array[]} inputs The values of each data input, row by row.
   * @param {number} length Number of steps.
   * @returns {Promise<Float32Array>} The answer after each step.
   */
  async run(inputs, length) {
    const answers = new Float32Array(length * this.wiring.outputs);
    const states = this.wiring.states.map((state) => state.initial.slice());
    let pause = performance.now() + CHUNK_MILLISECONDS;
    for (let step = 0; step < length; step++) {
      if (performance.now() > pause) {
        await nextFrame();
        pause = performance.now() + CHUNK_MILLISECONDS;
      }
      this.runStep(inputs, states, step, length, answers);
    }
    return answers;
  }

  runStep(inputs, states, step, length, answers) {
    const { wiring } = this;
    if (wiring.window && step % wiring.window === 0) {
      wiring.states.forEach((state, index) => states[index].set(state.initial));
    }
    wiring.states.forEach((state, index) => this.inputs[state.input].data().set(states[index]));
    wiring.inputs.forEach((position, index) => {
      const columns = inputs[index].length / length;
      const row = inputs[index].subarray(step * columns, (step + 1) * columns);
      this.inputs[position].data().set(row);
    });
    if (!this.interpreter.Infer()) throw new Error("The interpreter cannot run this file.");
    wiring.states.forEach((state, index) => states[index].set(this.outputs[state.output].data()));
    answers.set(this.outputs[wiring.output].data(), step * wiring.outputs);
  }
}

/** Longest time in which the page does not react. */
const CHUNK_MILLISECONDS = 25;

function nextFrame() {
  // A page in the background draws no frames.
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, 50);
    requestAnimationFrame(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
