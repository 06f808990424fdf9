/**
 * The playground: sliders change the signal, the model's file answers, charts show both.
 */

/**
 * Start the interpreter and the controls; a sentence in the page says if that fails.
 *
 * @param {HTMLElement} section
 */
async function startPlayground(section) {
  const part = (name) => section.querySelector(`[data-part="${name}"]`);
  const missing = ["WebAssembly", "DecompressionStream"].filter((name) => !(name in window));
  try {
    if (missing.length) throw new Error(`This browser has no ${missing.join(" and no ")}.`);
    part("status").textContent = "The model is starting.";
    // The page is drawn before the interpreter keeps the browser busy.
    await new Promise((resolve) => setTimeout(resolve, 0));
    const data = await unpackArrays(JSON.parse(part("data").textContent));
    const source = data.precomputed
      ? new PrecomputedAnswers(data.precomputed)
      : await startRunner(part, data.wiring);
    const playground = new Playground(section, part, data, source);
    await playground.start();
    section.dataset.state = "ready";
    part("status").textContent = "";
  } catch (error) {
    section.dataset.state = "failed";
    part("board").hidden = true;
    part("status").textContent = `The playground cannot run here. ${error.message}`;
  }
}

async function startRunner(part, wiring) {
  const [loader, program, file] = await Promise.all(
    ["loader", "program", "file"].map((name) => unpackBytes(part(name).textContent)),
  );
  const script = document.createElement("script");
  script.textContent = new TextDecoder().decode(loader);
  document.head.append(script);
  return StepRunner.start(program, file, wiring);
}

/** Rounding explains differences below this, relative to the range of the answers. */
const LARGEST_DIFFERENCE = 1e-3;

/** A chart that shows steps closer together is hard to read. */
const PIXELS_PER_STEP = 4;

class Playground {
  constructor(section, part, data, source) {
    Object.assign(this, { section, part, data, source });
    this.signal = new ChangedSignal(data.inputs, data.features, data.elapsed, data.length);
    this.sliders = new Map();
    this.scheduled = false;
  }

  async start() {
    const original = await this.answersTo(this.changes(true));
    this.original = original;
    this.changed = original;
    this.part("proof").textContent = this.proof(original.raw);
    this.part("board").hidden = false;
    this.createControls();
    this.draw();
    new ResizeObserver(() => this.draw()).observe(this.part("answer-chart"));
  }

  /** Where the sliders are, or where they start. */
  changes(initial = false) {
    const chosen = initial ? 0 : Number(this.part("feature").value);
    const changes = { feature: chosen ? chosen - 1 : null, rate: 1 };
    for (const slider of this.data.sliders) {
      const position = initial ? slider.start : Number(this.sliders.get(slider.name).input.value);
      changes[slider.name] = slider.values[position];
    }
    return changes;
  }

  /** The inputs of changes, and the answers to them. */
  async answersTo(changes) {
    const inputs = this.signal.values(changes);
    const at = positions(this.data.length, changes.rate);
    const steps = Math.floor(at.length / this.data.rows);
    const raw = await this.source.run(inputs, steps, changes);
    const answers = new Answers(raw, this.data.format);
    return { inputs, at, raw, answers };
  }

  /** Sentences on where the answers come from, and on their difference from those of Keras. */
  proof(raw) {
    const { keras, source, format, precomputed } = this.data;
    const last = raw.subarray(raw.length - keras.length);
    const difference = relativeDifference(keras, last, format.outputs);
    this.section.dataset.difference = difference;
    if (precomputed) return source;
    const bound = difference ? difference.toExponential(1) : "0";
    const compared = `On the original signal, its answers differ from those of Keras by at most ${bound} of their range.`;
    const warning = "This browser computes other answers than Keras: do not rely on them.";
    return [source, compared, difference < LARGEST_DIFFERENCE ? "" : warning].join(" ");
  }

  createControls() {
    const { data, part } = this;
    const names = data.features.map((feature) => feature.name);
    fillList(part("feature"), ["all features", ...names]);
    part("feature").parentElement.hidden = 
      names.length < 2 || Boolean(data.precomputed || data.picture);
    fillList(part("signal"), names);
    part("signal").value = String(data.signal);
    const isClass = data.format.kind === "classes";
    fillList(
      part("output"),
      data.format.names.map((name) => (isClass ? `probability of “${name}”` : name)),
    );
    part("output").value = String(data.shown);
    for (const { name, label, help, values, start } of data.sliders) {
      this.addSlider(name, label, help, values.length - 1, start, part("sliders"));
    }
    if (!data.curve && data.length > 1) {
      this.addSlider("step", "Read at", "", data.length - 1, data.explained, part("step"));
    }
    part("controls").addEventListener("input", (event) => this.controlMoved(event));
    part("controls").addEventListener("reset", () => setTimeout(() => this.schedule(), 0));
    for (const name of ["signal", "output", "step", "whole"]) {
      part(name).addEventListener("input", () => this.draw());
    }
    part("signal-figure").hidden = Boolean(data.picture);
    part("pictures").hidden = !data.picture;
  }

  addSlider(name, label, help, last, start, parent) {
    const slider = createSlider(name, label, help, last, start);
    this.sliders.set(name, slider);
    parent.append(slider.row);
  }

  controlMoved(event) {
    if (event.target === this.part("feature") && event.target.value !== "0") {
      this.part("signal").value = String(event.target.value - 1);
    }
    // Answers that were computed beforehand are to one change at a time.
    if (this.data.precomputed && event.target.type === "range") {
      for (const { name, start } of this.data.sliders) {
        const { input } = this.sliders.get(name);
        if (input !== event.target) input.value = start;
      }
    }
    this.schedule();
  }

  /** Answer before the next frame, however many events came until then. */
  schedule() {
    if (this.scheduled) return;
    this.scheduled = true;
    requestAnimationFrame(() => {
      this.scheduled = false;
      this.update();
    });
  }

  async update() {
    this.showValues();
    const began = performance.now();
    try {
      this.changed = await this.answersTo(this.changes());
    } catch (error) {
      if (error instanceof Replaced) return;
      throw error;
    }
    this.draw();
    this.section.dataset.milliseconds = (performance.now() - began).toFixed(1);
    this.section.dataset.updates = Number(this.section.dataset.updates || 0) + 1;
  }

  showValues() {
    const changes = this.changes();
    const feature = changes.feature === null ? null : this.data.features[changes.feature];
    for (const { name } of this.data.sliders) {
      this.sliders.get(name).show(sliderText(name, changes[name], feature));
    }
    const step = this.sliders.get("step");
    if (step) step.show(`${this.data.step} ${Number(step.input.value) + this.data.first}`);
  }

  /** The sample at which the answers are read, counted in original samples. */
  readAt() {
    const step = this.sliders.get("step");
    return step ? Number(step.input.value) : this.data.explained;
  }

  draw() {
    this.showValues();
    const { data, original, changed, part } = this;
    const shown = Number(part("output").value);
    const read = this.readAt();
    const before = original.answers.at(this.stepAt(original, read));
    const after = changed.answers.at(this.stepAt(changed, read));
    const values = data.curve ? before : original.answers.over(shown);
    const range = Math.max(...values) - Math.min(...values) || Math.abs(values[0]);
    part("answer").textContent = comparison(data.format, before, after, shown, range);
    if (data.format.kind === "classes") drawClasses(part("classes"), data.format, before, after);
    if (data.picture) this.drawPictures(read);
    else this.drawSignal(Number(part("signal").value), read);
    if (data.curve) this.drawAcross(before, after, shown);
    else this.drawAnswers(shown, read);
    this.section.answers = changed.raw;
  }

  /** The last step of an answer at or before a time. */
  stepAt(answer, read) {
    let step = answer.answers.steps - 1;
    const last = (index) => answer.at[index * this.data.rows + this.data.rows - 1];
    while (step > 0 && last(step) > read) step -= 1;
    return step;
  }

  drawSignal(index, read) {
    const { data } = this;
    const { input, column, name, unit, zero, scale } = data.features[index];
    const line = (style, { inputs, at }) => {
      const { columns } = data.inputs[input];
      const quantity = (_, step) => scale * (inputs[input][step * columns + column] - zero);
      const values = Float32Array.from(at, quantity);
      return { style, at: Float64Array.from(at, (time) => time + data.first), values };
    };
    this.drawOverTime("signal-chart", `${name}${unit ? ` in ${unit}` : ""}`, line, read);
  }

  drawAnswers(index, read) {
    const { data } = this;
    const line = (style, { answers, at }) => {
      const values = answers.over(index);
      const times = Float64Array.from(values, (_, step) => {
        return at[(step + 1) * data.rows - 1] + data.first;
      });
      return { style, at: times, values };
    };
    const unit = data.format.units[index];
    const title = `${data.format.names[index]}${unit ? ` in ${unit}` : ""}`;
    this.drawOverTime("answer-chart", title, line, read);
  }

  drawOverTime(name, title, line, read) {
    const parent = this.part(name);
    const [from, to] = this.shownSteps(read, parent.clientWidth);
    const within = ({ style, at, values }) => {
      const inside = (_, index) => at[index] >= from && at[index] <= to;
      return { style, at: at.filter(inside), values: values.filter(inside) };
    };
    drawChart(parent, {
      title: `${title}: original and changed signal over time`,
      lines: [within(line("original", this.original)), within(line("changed", this.changed))],
      mark: read + this.data.first,
      across: this.data.across,
      from,
      to,
    });
  }

  /** First and last step of the charts: those around the step that is read, or all. */
  shownSteps(read, width) {
    const { first, length } = this.data;
    const count = Math.floor(width / PIXELS_PER_STEP);
    this.part("whole-choice").hidden = length <= count;
    if (length <= count || this.part("whole").checked) return [first, first + length - 1];
    const start = Math.min(Math.max(0, read - Math.floor(count / 2)), length - count);
    return [first + start, first + start + count - 1];
  }

  /** All numbers of one answer, for models that predict a whole curve. */
  drawAcross(before, after, shown) {
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

  drawPictures(read) {
    const { picture } = this.data;
    const pixels = picture.width * picture.height;
    const draw = (name, { inputs, at }) => {
      let sample = at.length - 1;
      while (sample > 0 && at[sample] > read) sample -= 1;
      const values = inputs[picture.input].subarray(sample * pixels, (sample + 1) * pixels);
      drawPicture(this.part(name), values, picture);
    };
    draw("original-picture", this.original);
    draw("changed-picture", this.changed);
    const caption = `At ${this.data.step} ${read + this.data.first}: original and changed.`;
    this.part("pictures-caption").textContent = caption;
  }
}

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

/** A table of the probabilities of all classes, with bars. */
function drawClasses(table, format, before, after) {
  table.hidden = false;
  const cell = (tag, text) => {
    const element = document.createElement(tag);
    element.textContent = text;
    return element;
  };
  const heading = document.createElement("tr");
  heading.append(...["class", "original", "changed"].map((text) => cell("th", text)));
  const rows = format.names.map((name, index) => {
    const row = document.createElement("tr");
    row.append(cell("th", name));
    [before, after].forEach((answer, column) => {
      const data = cell("td", shortPercent(answer[index]));
      const bar = document.createElement("span");
      bar.className = column ? "bar changed" : "bar original";
      bar.style.width = `${100 * Math.min(1, Math.max(0, answer[index] || 0))}%`;
      data.append(bar);
      row.append(data);
    });
    return row;
  });
  table.replaceChildren(heading, ...rows);
}
