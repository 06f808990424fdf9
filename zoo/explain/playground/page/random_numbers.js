/**
 * Random numbers that Python and the page compute alike, bit for bit; see random_numbers.py.
 */

const NOISE_SEED = 1;
const DROP_SEED = 2;
const UNIFORMS_PER_NORMAL = 12;

/**
 * Return a generator of numbers in [0, 1): Mulberry32.
 *
 * @param {number} seed A 32-bit integer.
 * @returns {function(): number}
 */
function uniformNumbers(seed) {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/**
 * Return nearly normal numbers of mean 0 and variance 1: the sum of 12 uniform numbers, minus 6.
 *
 * @param {number} seed A 32-bit integer.
 * @param {number} count How many numbers.
 * @returns {Float64Array}
 */
function normalNumbers(seed, count) {
  const next = uniformNumbers(seed);
  const numbers = new Float64Array(count);
  for (let index = 0; index < count; index++) {
    let sum = 0;
    for (let term = 0; term < UNIFORMS_PER_NORMAL; term++) sum += next();
    numbers[index] = sum - UNIFORMS_PER_NORMAL / 2;
  }
  return numbers;
}
