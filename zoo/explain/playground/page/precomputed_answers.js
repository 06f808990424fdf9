/** Answers that were computed beforehand, for models whose file cannot run in a browser. */
class PrecomputedAnswers {
  /**
   * @param {{original: Float32Array, changed: Object<string, [number, Float32Array][]>}} answers
   *   By name of a slider, its values with the answers to them.
   */
  constructor(answers) {
    this.answers = answers;
  }

  async run(inputs, steps, changes) {
    for (const [name, answers] of Object.entries(this.answers.changed)) {
      const found = answers.find(([value]) => value === changes[name]);
      if (found) return found[1];
    }
    return this.answers.original;
  }
}
