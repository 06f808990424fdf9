/**
 * Sliders and lists that keyboard, mouse and touch move.
 *
 * @typedef {{name: string, label: string, help: string, values: number[], start: number}} Slider
 */

/**
 * Create a labelled slider.
 *
 * @param {string} name Part of its id.
 * @param {string} label
 * @param {string} help A sentence; "" for none.
 * @param {number} last The greatest position; the least is 0.
 * @param {number} start
 * @returns {{row: HTMLElement, input: HTMLInputElement, show: function(string): void}} The
 *   elements, and a function that shows the value as a text.
 */
function createSlider(name, label, help, last, start) {
  const id = `playground-${name}`;
  const row = document.createElement("div");
  row.className = "slider";
  const caption = document.createElement("label");
  caption.htmlFor = id;
  caption.textContent = label;
  const output = document.createElement("output");
  output.htmlFor = id;
  const input = document.createElement("input");
  Object.assign(input, { type: "range", id, min: 0, max: last, step: 1 });
  // The reset of a form returns to the attribute.
  input.setAttribute("value", start);
  row.append(caption, output, input);
  if (help) {
    const note = document.createElement("small");
    note.id = `${id}-help`;
    note.textContent = help;
    input.setAttribute("aria-describedby", note.id);
    row.append(note);
  }
  const show = (text) => {
    output.textContent = text;
    input.setAttribute("aria-valuetext", text);
  };
  return { row, input, show };
}

/**
 * Fill a list with texts; the value of each option is its index.
 *
 * @param {HTMLSelectElement} select
 * @param {string[]} texts
 */
function fillList(select, texts) {
  select.replaceChildren(...texts.map((text, index) => new Option(text, String(index))));
}

/**
 * The text of a slider's value.
 *
 * @param {string} name Name of the slider.
 * @param {number} value
 * @param {?Feature} feature The only feature that changes, or null for all.
 * @returns {string}
 */
function sliderText(name, value, feature) {
  const number = String(Math.round(value * 100) / 100).replace("-", "−");
  if (name === "gain" || name === "rate") return `× ${number}`;
  if (name === "dropped") return `${Math.round(value * 100)} %`;
  const sign = value > 0 && name === "offset" ? "+" : "";
  const deviations = `${sign}${number} SD`;
  if (!feature || !value) return deviations;
  const size = Math.abs(feature.scale) * feature.spread;
  const unit = feature.unit ? ` ${feature.unit}` : "";
  const quantity = `${sign}${shortNumber(value * size, size)}${unit}`;
  return feature.constant ? quantity : `${deviations} = ${quantity}`;
}
