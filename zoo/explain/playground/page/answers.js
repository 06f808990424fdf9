/**
 * Answers of the model in real units, and sentences about them.
 *
 * @typedef {{kind: string, names: string[], units: string[], matrix: Float32Array,
 *   offset: Float32Array, outputs: number}} AnswerFormat A row of numbers in real units is
 *   `matrix` (names x outputs, row by row) times an output of the model, plus `offset`.
 */

/** Answers after each step, in real units. */
class Answers {
  /**
   * @param {Float32Array} raw The outputs of the model, step by step.
   * @param {AnswerFormat} format
   */
  constructor(raw, format) {
    const { outputs, names, matrix, offset } = format;
    this.count = names.length;
    this.steps = raw.length / outputs;
    this.values = new Float64Array(this.steps * this.count);
    for (let step = 0; step < this.steps; step++) {
      for (let row = 0; row < this.count; row++) {
        let sum = offset[row];
        for (let column = 0; column < outputs; column++) {
          const factor = matrix[row * outputs + column];
          if (factor) sum += factor * raw[step * outputs + column];
        }
        this.values[step * this.count + row] = sum;
      }
    }
  }

  /** All numbers of one step. */
  at(step) {
    return this.values.subarray(step * this.count, (step + 1) * this.count);
  }

  /** One number at all steps. */
  over(index) {
    return Float64Array.from({ length: this.steps }, (_, step) => this.at(step)[index]);
  }
}

/**
 * A sentence that compares the answers to the original and the changed signal.
 *
 * @param {AnswerFormat} format
 * @param {Float64Array} original
 * @param {Float64Array} changed
 * @param {number} shown Index of the number that the page shows.
 * @param {number} range Difference of the greatest and the least of these numbers.
 * @returns {string}
 */
function comparison(format, original, changed, shown, range) {
  if (format.kind === "classes") return classComparison(format, original, changed);
  const unit = format.units[shown] ? ` ${format.units[shown]}` : "";
  const [before, after] = [original[shown], changed[shown]].map((value) =>
    Number.isFinite(value) ? shortNumber(value, range) + unit : "not a number",
  );
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
