/**
 * Changes of a signal: gain, offset, noise, dropped samples and another sampling rate. Python
 * computes the same numbers in changes.py.
 *
 * @typedef {{name: string, columns: number, values: Float32Array}} Input Values row by row.
 * @typedef {{input: number, column: number, name: string, spread: number, constant: boolean,
 *   zero: number, scale: number, unit: string}} Feature See changes.py.
 * @typedef {{feature: ?number, gain: number, offset: number, noise: number, dropped: number,
 *   rate: number}} Changes
 */

/**
 * The time of each new sample, in original samples, at another sampling rate.
 *
 * @param {number} length Number of original samples.
 * @param {number} rate New samples per original sample.
 * @returns {Float64Array}
 */
function positions(length, rate) {
  const count = rate === 1 ? length : Math.floor((length - 1) * rate) + 1;
  return Float64Array.from({ length: count }, (_, index) => index / rate);
}

/** Computes the inputs that a model gets from a changed signal. */
class ChangedSignal {
  /**
   * @param {Input[]} inputs
   * @param {Feature[]} features
   * @param {?{input: number, column: number}} elapsed Where the elapsed times are.
   * @param {number} length Number of samples.
   */
  constructor(inputs, features, elapsed, length) {
    Object.assign(this, { inputs, features, elapsed, length });
    this.noise = null;
    const next = uniformNumbers(DROP_SEED);
    this.dropAt = Float64Array.from({ length }, next);
    // The first sample has none before it.
    this.dropAt[0] = 1;
  }

  /**
   * @param {Changes} changes
   * @returns {Float32Array[]} The values of each input, row by row.
   */
  values(changes) {
    const changed = this.inputs.map((input) => input.values.slice());
    const held = this.heldSamples(changes.dropped);
    this.features.forEach((feature, index) => {
      if (changes.feature === null || changes.feature === index) {
        this.change(changed[feature.input], feature, index, changes, held);
      }
    });
    return changes.rate === 1 ? changed : this.resampled(changed, changes.rate);
  }

  /** The last sample that was not dropped, at each sample. */
  heldSamples(dropped) {
    const held = new Int32Array(this.length);
    let last = 0;
    for (let step = 0; step < this.length; step++) {
      if (this.dropAt[step] >= dropped) last = step;
      held[step] = last;
    }
    return held;
  }

  change(target, feature, index, changes, held) {
    const { columns, values } = this.inputs[feature.input];
    const count = this.features.length;
    if (changes.noise && !this.noise) this.noise = normalNumbers(NOISE_SEED, this.length * count);
    const spread = feature.constant && changes.feature === null ? 0 : feature.spread;
    const shift = feature.zero * (1 - changes.gain);
    for (let step = 0; step < this.length; step++) {
      const noise = changes.noise ? changes.noise * this.noise[held[step] * count + index] : 0;
      const value = values[held[step] * columns + feature.column] * changes.gain + shift;
      target[step * columns + feature.column] = value + spread * (changes.offset + noise);
    }
  }

  resampled(inputs, rate) {
    const at = positions(this.length, rate);
    const resampled = inputs.map((values, index) => {
      const { columns } = this.inputs[index];
      const rows = new Float32Array(at.length * columns);
      at.forEach((position, step) => {
        const start = Math.floor(position) * columns;
        rows.set(values.subarray(start, start + columns), step * columns);
      });
      return rows;
    });
    if (this.elapsed) this.resampleElapsed(resampled[this.elapsed.input], at);
    return resampled;
  }

  /** Write the time between new samples; the first one keeps its own. */
  resampleElapsed(target, at) {
    const { columns, values } = this.inputs[this.elapsed.input];
    const steps = Float64Array.from(
      { length: this.length },
      (_, step) => values[step * columns + this.elapsed.column],
    );
    const ends = steps.slice();
    for (let step = 1; step < this.length; step++) ends[step] += ends[step - 1];
    let previous = ends[0] - steps[0];
    at.forEach((position, step) => {
      const before = Math.floor(position);
      const after = Math.min(before + 1, this.length - 1);
      const time = ends[before] + (position - before) * steps[after];
      target[step * columns + this.elapsed.column] = time - previous;
      previous = time;
    });
  }
}
