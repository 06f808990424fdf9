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
    [
      ["loader", unpackBytes],
      ["program", unpackBytes],
      ["file", unpackFloat32Bytes],
    ].map(([name, unpack]) => unpack(part(name).textContent)),
  );
  const script = document.createElement("script");
  script.textContent = new TextDecoder().decode(loader);
  document.head.append(script);
  return StepRunner.start(program, file, wiring);
}

/** Rounding explains differences below this, relative to the range of the answers. */
const LARGEST_DIFFERENCE = 1e-3;

class Playground {
  constructor(section, part, data, source) {
    Object.assign(this, { section, part, data, source });
    this.signal = new ChangedSignal(data.inputs, data.features, data.elapsed, data.length);
    this.views = new Views(part, data);
    this.sliders = new Map();
    this.isBusy = false;
    this.isStale = false;
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
    const bound = `differ from those of Keras by at most ${difference.toExponential(1)}`;
    const compared = difference ? `${bound} of their range.` : "are those of Keras.";
    const warning = "This browser computes other answers than Keras: do not rely on them.";
    const sentences = [source, `On the original signal, its answers ${compared}`];
    return [...sentences, difference < LARGEST_DIFFERENCE ? "" : warning].join(" ").trim();
  }

  createControls() {
    const { data, part } = this;
    const names = data.features.map((feature) => feature.name);
    fillList(part("feature"), ["all features", ...names]);
    part("feature").parentElement.hidden =
      names.length < 2 || Boolean(data.precomputed || data.picture);
    fillList(
      part("signal"),
      data.features.map(({ name, unit }) => withUnit(name, unit)),
    );
    part("signal").value = String(data.signal);
    const isClass = data.format.kind === "classes";
    fillList(
      part("output"),
      data.format.names.map((name, index) =>
        isClass ? `probability of “${name}”` : withUnit(name, data.format.units[index]),
      ),
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

  /** Answer in the next frame, however many events came until then. */
  schedule() {
    this.showValues();
    this.isStale = true;
    if (this.isBusy) return;
    this.isBusy = true;
    requestAnimationFrame(() => this.update());
  }

  /** Answer to where the sliders are, until they have not moved meanwhile. */
  async update() {
    while (this.isStale) {
      this.isStale = false;
      const began = performance.now();
      this.changed = await this.answersTo(this.changes());
      this.draw();
      this.section.dataset.milliseconds = (performance.now() - began).toFixed(1);
      this.section.dataset.updates = Number(this.section.dataset.updates || 0) + 1;
      if (this.isStale) await nextFrame();
    }
    this.isBusy = false;
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
    this.views.draw(this.original, this.changed, {
      output: Number(this.part("output").value),
      signal: Number(this.part("signal").value),
      read: this.readAt(),
      whole: this.part("whole").checked,
    });
    this.section.answers = this.changed.raw;
  }
}
