/**
 * Line charts as inline SVG.
 *
 * @typedef {{style: string, at: Float64Array, values: Float64Array,
 *   deviations: ?Float64Array}} Line Deviations are drawn as a band around the values.
 * @typedef {{title: string, lines: Line[], mark: ?number, across: string, from: number,
 *   to: number}} Chart The horizontal axis is named `across`, and ends at `from` and `to`.
 */

const SVG = "http://www.w3.org/2000/svg";
const CHART_HEIGHT = 180;
const MARGIN = { left: 52, right: 18, top: 8, bottom: 34 };

function svgElement(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

/**
 * Round numbers that divide an interval into at most `most` parts.
 *
 * @param {number} low
 * @param {number} high
 * @param {number} most
 * @returns {number[]}
 */
function ticks(low, high, most) {
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, index) => (first + index) * step);
}

/** Least and greatest finite value of all lines, with some air. */
function verticalLimits(lines) {
  let low = Infinity;
  let high = -Infinity;
  for (const { values, deviations } of lines) {
    values.forEach((value, index) => {
      if (!Number.isFinite(value)) return;
      const width = deviations?.[index] || 0;
      low = Math.min(low, value - width);
      high = Math.max(high, value + width);
    });
  }
  if (low > high) return [0, 1];
  const air = (high - low) * 0.05 || Math.abs(high) * 0.1 || 1;
  return [low - air, high + air];
}

/**
 * Draw a chart into an element, as wide as the element is.
 *
 * @param {HTMLElement} parent Its content is replaced.
 * @param {Chart} chart
 */
function drawChart(parent, chart) {
  const width = Math.max(240, parent.clientWidth);
  const [low, high] = verticalLimits(chart.lines);
  const right = width - MARGIN.right;
  const bottom = CHART_HEIGHT - MARGIN.bottom;
  const span = chart.to - chart.from || 1;
  const x = (at) => MARGIN.left + ((at - chart.from) / span) * (right - MARGIN.left);
  const y = (value) => bottom - ((value - low) / (high - low)) * (bottom - MARGIN.top);
  const svg = svgElement("svg", {
    viewBox: `0 0 ${width} ${CHART_HEIGHT}`,
    role: "img",
    "aria-label": chart.title,
  });
  const levels = ticks(low, high, 4);
  const distance = levels.length > 1 ? levels[1] - levels[0] : high - low;
  const digits = Math.max(0, Math.ceil(-Math.log10(distance) - 1e-9));
  for (const tick of levels) {
    const level = y(tick);
    const ends = { x1: MARGIN.left, x2: right, y1: level, y2: level };
    svg.append(svgElement("line", { class: "grid", ...ends }));
    const place = { x: MARGIN.left - 6, y: level + 4, "text-anchor": "end" };
    svg.append(svgElement("text", place, fixedNumber(tick, digits)));
  }
  for (const tick of ticks(chart.from, chart.from + span, width / 90)) {
    if (!Number.isInteger(tick)) continue;
    const place = { x: x(tick), y: bottom + 15, "text-anchor": "middle" };
    svg.append(svgElement("text", place, String(tick)));
  }
  const middle = { x: (MARGIN.left + right) / 2, y: CHART_HEIGHT - 4, "text-anchor": "middle" };
  svg.append(svgElement("text", middle, chart.across));
  if (chart.mark !== null) {
    const at = x(chart.mark);
    svg.append(svgElement("line", { class: "mark", x1: at, x2: at, y1: MARGIN.top, y2: bottom }));
  }
  for (const { style, at, values, deviations } of chart.lines) {
    if (!deviations) continue;
    const upper = Array.from(at, (time, i) => `${x(time)} ${y(values[i] + deviations[i])}`);
    const lower = Array.from(at, (time, i) => `${x(time)} ${y(values[i] - deviations[i])}`);
    const outline = [...upper, ...lower.reverse()].filter((point) => !point.includes("NaN"));
    svg.append(svgElement("polygon", { class: style, points: outline.join(" ") }));
  }
  for (const line of chart.lines) {
    svg.append(svgElement("path", { class: line.style, d: pathOf(line, x, y) }));
  }
  parent.replaceChildren(svg);
}

/** The path through all points of a line; missing values interrupt it. */
function pathOf(line, x, y) {
  let path = "";
  let command = "M";
  for (let index = 0; index < line.values.length; index++) {
    const value = line.values[index];
    if (!Number.isFinite(value)) {
      command = "M";
      continue;
    }
    path += `${command}${x(line.at[index]).toFixed(1)} ${y(value).toFixed(1)}`;
    // A point between two missing values is a dot.
    if (command === "M") path += "h0.1";
    command = "L";
  }
  return path;
}

/**
 * A number with as many digits as tell values within a range apart.
 *
 * @param {number} value
 * @param {number} range
 * @returns {string}
 */
function shortNumber(value, range) {
  return fixedNumber(value, Math.max(0, Math.ceil(1.5 - Math.log10(range || 1))));
}

/** A number with so many digits after the point; very large and very small ones in powers of 10. */
function fixedNumber(value, digits) {
  const format = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  const inPowers = Math.abs(value) >= 1e7 || digits > 6;
  const text = inPowers ? value.toPrecision(3) : value.toLocaleString("en-US", format);
  return text.replace(/^-(0(\.0*)?)$/, "$1").replace("-", "−");
}
