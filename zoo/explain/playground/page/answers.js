/**
 * Answers of the model in real units, and sentences about them.
 *
 * @typedef {{kind: string, names: string[], units: string[], matrix: Float32Array,
 *   offset: Float32Array, gaussian: ?string, outputs: number}} AnswerFormat A row of numbers in
 *   real units is `matrix` (names x outputs, row by row) times an output of the model, plus
 *   `offset`; or the means of Gaussians, whose parameters are pairs of outputs.
 */

/** Answers after each step, in real units. */
class Answers {
  /**
   * @param {Float32Array} raw The outputs of the model, step by step.
   * @param {AnswerFormat} format
   */
  constructor(raw, format) {
    this.count = format.names.length;
    this.steps = raw.length / format.outputs;
    this.values = new Float64Array(this.steps * this.count);
    /** The standard deviations of distributions; of other answers, 0. */
    this.deviations = new Float64Array(this.steps * this.count);
    for (let step = 0; step < this.steps; step++) {
      const row = raw.subarray(step * format.outputs, (step + 1) * format.outputs);
      if (format.gaussian) this.setGaussians(step, row, format.gaussian === "natural");
      else this.setNumbers(step, row, format);
    }
  }

  setNumbers(step, row, { matrix, offset, outputs }) {
    for (let index = 0; index < this.count; index++) {
      let sum = offset[index];
      for (let column = 0; column < outputs; column++) {
        const factor = matrix[index * outputs + column];
        if (factor) sum += factor * row[column];
      }
      this.values[step * this.count + index] = sum;
    }
  }

  /** The parameters are the natural ones, or the means of y and y². */
  setGaussians(step, row, natural) {
    for (let index = 0; index < this.count; index++) {
      const [first, second] = [row[2 * index], row[2 * index + 1]];
      const place = step * this.count + index;
      this.values[place] = natural ? -first / (2 * second) : first;
      const variance = natural ? -1 / (2 * second) : second - first * first;
      this.deviations[place] = Math.sqrt(Math.max(0, variance));
    }
  }

  /** All numbers of one step. */
  at(step) {
    return this.values.subarray(step * this.count, (step + 1) * this.count);
  }

  /** The standard deviations of one step. */
  deviationsAt(step) {
    return this.deviations.subarray(step * this.count, (step + 1) * this.count);
  }

  /** One number at all steps. */
  over(index) {
    return Float64Array.from({ length: this.steps }, (_, step) => this.at(step)[index]);
  }

  /** The standard deviations of one number at all steps. */
  deviationsOver(index) {
    return Float64Array.from({ length: this.steps }, (_, step) => this.deviationsAt(step)[index]);
  }
}

/**
 * A sentence that compares the answers to the original and the changed signal.
 *
 * @param {AnswerFormat} format
 * @param {{numbers: Float64Array, deviations: Float64Array}} original
 * @param {{numbers: Float64Array, deviations: Float64Array}} changed
 * @param {number} shown Index of the number that the page shows.
 * @param {number} range Difference of the greatest and the least of these numbers.
 * @returns {string}
 */
function comparison(format, original, changed, shown, range) {
  if (format.kind === "classes") return classComparison(format, original.numbers, changed.numbers);
  const unit = format.units[shown] ? ` ${format.units[shown]}` : "";
  const [before, after] = [original, changed].map(({ numbers, deviations }) => {
    const value = numbers[shown];
    if (!Number.isFinite(value)) return "not a number";
    const deviation = format.gaussian ? ` ± ${shortNumber(deviations[shown], range)}` : "";
    return shortNumber(value, range) + deviation + unit;
  });
  const name = format.names[shown];
  if (before === after) return `${name}: ${after}, as on the original signal.`;
  return `${name}: ${after} instead of ${before}.`;
}

function classComparison(format, original, changed) {
  const [before, after] = [likeliest(original), likeliest(changed)];
  const percent = shortPercent(changed[after]);
  if (before === after) {
    const same = shortPercent(original[before]);
    return same === percent
      ? `${format.names[after]}, ${percent}, as on the original signal.`
      : `Still ${format.names[after]}: ${percent} instead of ${same}.`;
  }
  const earlier = `${format.names[before]} (${shortPercent(original[before])})`;
  return `Now ${format.names[after]} (${percent}) instead of ${earlier}.`;
}

function likeliest(probabilities) {
  return probabilities.indexOf(Math.max(...probabilities));
}

function shortPercent(probability) {
  if (!Number.isFinite(probability)) return "not a number";
  const digits = probability > 0.1 && probability < 0.9 ? 0 : 1;
  return `${(100 * probability).toFixed(digits)} %`;
}

/**
 * The largest difference of two sequences of outputs, relative to the range of each output in the
 * first. A single row of outputs has one range.
 *
 * @param {Float32Array} expected Row by row.
 * @param {Float32Array} received
 * @param {number} outputs Number of outputs.
 * @returns {number}
 */
function relativeDifference(expected, received, outputs) {
  const groups = expected.length > outputs ? outputs : 1;
  let largest = 0;
  for (let group = 0; group < groups; group++) {
    let [low, high, difference] = [Infinity, -Infinity, 0];
    for (let index = group; index < expected.length; index += groups) {
      const value = expected[index];
      low = Math.min(low, value);
      high = Math.max(high, value);
      const distance = Object.is(value, received[index]) ? 0 : Math.abs(value - received[index]);
      // Not a number in one of them only is larger than any number.
      difference = Number.isNaN(distance) ? Infinity : Math.max(difference, distance);
    }
    largest = Math.max(largest, difference / (high - low || Math.abs(high) || 1));
  }
  return largest;
}
