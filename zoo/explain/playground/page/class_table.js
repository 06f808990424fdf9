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
