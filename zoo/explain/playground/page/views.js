/**
 * The charts, tables and pictures of the playground, and the sentence that compares the answers.
 *
 * @typedef {{inputs: Float32Array[], at: Float64Array, raw: Float32Array, answers: Answers}}
 *   Answered The inputs of a model, the time of each sample, and the answers.
 * @typedef {{output: number, signal: number, read: number, whole: boolean}} Choice The number and
 *   the feature that are shown, the sample at which answers are read, and whether charts show all.
 */

/** A chart that shows steps closer together is hard to read. */
const PIXELS_PER_STEP = 4;

/** A name with its unit, if it has one. */
function withUnit(name, unit) {
  return unit ? `${name} (${unit})` : name;
}

class Views {
  /**
   * @param {function(string): HTMLElement} part The elements by name.
   * @param {Object} data The data of the page.
   */
  constructor(part, data) {
    Object.assign(this, { part, data });
    part("signal-figure").hidden = Boolean(data.picture);
    part("pictures").hidden = !data.picture;
  }

  /**
   * @param {Answered} original
   * @param {Answered} changed
   * @param {Choice} choice
   */
  draw(original, changed, choice) {
    const { data, part } = this;
    const { format } = data;
    const [before, after] = [original, changed].map((answer) => {
      const step = this.stepAt(answer, choice.read);
      return { numbers: answer.answers.at(step), deviations: answer.answers.deviationsAt(step) };
    });
    const values = data.curve ? before.numbers : original.answers.over(choice.output);
    const range = Math.max(...values) - Math.min(...values) || Math.abs(values[0]);
    part("answer").textContent = comparison(format, before, after, choice.output, range);
    if (format.kind === "classes") {
      drawClasses(part("classes"), format, before.numbers, after.numbers);
    }
    if (data.picture) this.drawPictures(original, changed, choice.read);
    else this.drawSignal(original, changed, choice);
    if (data.curve) this.drawCurve(before.numbers, after.numbers, choice.output);
    else this.drawAnswers(original, changed, choice);
  }

  /** The last step of an answer at or before a time. */
  stepAt(answer, read) {
    let step = answer.answers.steps - 1;
    const last = (index) => answer.at[index * this.data.rows + this.data.rows - 1];
    while (step > 0 && last(step) > read) step -= 1;
    return step;
  }

  drawSignal(original, changed, choice) {
    const { data } = this;
    const { input, column, name, unit, zero, scale } = data.features[choice.signal];
    const line = (style, { inputs, at }) => {
      const { columns } = data.inputs[input];
      const quantity = (_, step) => scale * (inputs[input][step * columns + column] - zero);
      const values = Float32Array.from(at, quantity);
      return { style, at: Float64Array.from(at, (time) => time + data.first), values };
    };
    const lines = [line("original", original), line("changed", changed)];
    this.drawOverTime("signal-chart", withUnit(name, unit), lines, choice);
  }

  drawAnswers(original, changed, choice) {
    const { data } = this;
    const index = choice.output;
    const line = (style, { answers, at }) => {
      const values = answers.over(index);
      const times = Float64Array.from(values, (_, step) => {
        return at[(step + 1) * data.rows - 1] + data.first;
      });
      const deviations = data.format.gaussian ? answers.deviationsOver(index) : null;
      return { style, at: times, values, deviations };
    };
    const title = withUnit(data.format.names[index], data.format.units[index]);
    const lines = [line("original", original), line("changed", changed)];
    this.drawOverTime("answer-chart", title, lines, choice);
  }

  drawOverTime(name, title, lines, choice) {
    const parent = this.part(name);
    const [from, to] = this.shownSteps(choice, parent.clientWidth);
    const within = ({ style, at, values, deviations }) => {
      const inside = (_, index) => at[index] >= from && at[index] <= to;
      const [times, shown, widths] = [at, values, deviations].map((list) => list?.filter(inside));
      return { style, at: times, values: shown, deviations: widths };
    };
    drawChart(parent, {
      title: `${title}: original and changed signal over time`,
      lines: lines.map(within),
      mark: choice.read + this.data.first,
      across: this.data.across,
      from,
      to,
    });
  }

  /** First and last step of the charts: those around the step that is read, or all. */
  shownSteps({ read, whole }, width) {
    const { first, length } = this.data;
    const count = Math.floor(width / PIXELS_PER_STEP);
    this.part("whole-choice").hidden = length <= count;
    if (length <= count || whole) return [first, first + length - 1];
    const start = Math.min(Math.max(0, read - Math.floor(count / 2)), length - count);
    return [first + start, first + start + count - 1];
  }

  /** All numbers of one answer, for models that predict a whole curve. */
  drawCurve(before, after, shown) {
    const at = Float64Array.from(before, (_, index) => index + 1);
    drawChart(this.part("answer-chart"), {
      title: "All outputs, for the original and the changed signal",
      lines: [
        { style: "original", at, values: before },
        { style: "changed", at, values: after },
      ],
      mark: shown + 1,
      across: "output",
      from: 1,
      to: before.length,
    });
  }

  drawPictures(original, changed, read) {
    const { picture } = this.data;
    const pixels = picture.width * picture.height;
    const draw = (name, { inputs, at }) => {
      let sample = at.length - 1;
      while (sample > 0 && at[sample] > read) sample -= 1;
      const values = inputs[picture.input].subarray(sample * pixels, (sample + 1) * pixels);
      drawPicture(this.part(name), values, picture);
    };
    draw("original-picture", original);
    draw("changed-picture", changed);
    const caption = `At ${this.data.step} ${read + this.data.first}: original and changed.`;
    this.part("pictures-caption").textContent = caption;
  }
}
