"use strict";

const stored = id => JSON.parse(document.getElementById(id)?.textContent ?? "null");

// Every picture stands once in the page, however many pairs show it.
const pictures = stored("pictures");
for (const image of document.querySelectorAll("img[data-picture]")) image.src = pictures[image.dataset.picture];

const judge = document.getElementById("judge");
const sections = document.querySelectorAll(".worst");
const choose = () => sections.forEach((section, at) => { section.hidden = at !== judge.selectedIndex; });
judge.addEventListener("change", choose);
choose(); // a browser that goes back keeps the choice

// A pair, enlarged: a slider lays the picture judged over the reference.
const dialog = document.getElementById("compare");
const slider = dialog.querySelector(".slider"), edge = slider.querySelector("input");
const move = () => slider.style.setProperty("--at", `${edge.value}%`);
edge.addEventListener("input", move);
for (const button of document.querySelectorAll("button.compare")) {
  const card = button.closest(".card");
  const sources = [...card.querySelectorAll("img")].map(image => image.src);
  const open = () => {
    slider.querySelectorAll("img").forEach((image, at) => { image.src = sources[at]; });
    document.getElementById("compared").textContent = card.querySelector("strong").textContent;
    dialog.querySelector("code").textContent = button.dataset.view;
    edge.value = 50;
    move();
    dialog.showModal();
    edge.focus();
  };
  button.addEventListener("click", open);
  card.querySelector(".sides").addEventListener("click", open);
  card.classList.add("opens");
}

// The scatter plot.
const points = stored("points");
if (points) {
  const plot = document.getElementById("plot");
  const [across, up] = ["across", "up"].map(id => document.getElementById(id));
  const short = value => String(Number(value.toPrecision(4)));

  const element = (name, attributes, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };

  const scale = (values, from, to) => {
    let low = Infinity, high = -Infinity;
    for (const value of values) { low = Math.min(low, value); high = Math.max(high, value); }
    if (!(low < high)) { low -= 0.5; high += 0.5; }
    const rough = (high - low) / 5;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].find(part => part * power >= rough) * power;
    const ticks = [];
    for (let at = Math.ceil(low / step); at * step <= high; at++) ticks.push(at * step);
    return { ticks, place: value => from + (to - from) * (value - low) / (high - low) };
  };

  const draw = () => {
    const width = Math.max(280, plot.parentElement.clientWidth), height = Math.round(Math.max(280, width * 0.62));
    const [left, right, top, bottom] = [54, width - 12, 12, height - 44];
    plot.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const [xs, ys] = [across, up].map(choice => points.values[choice.value]);
    const shown = xs.map((_, at) => at).filter(at => xs[at] !== null && ys[at] !== null);
    const x = scale(shown.map(at => xs[at]), left + 8, right - 8);
    const y = scale(shown.map(at => ys[at]), bottom - 8, top + 8);
    const parts = [];
    for (const tick of x.ticks) {
      parts.push(element("line", { class: "rule", x1: x.place(tick), x2: x.place(tick), y1: top, y2: bottom }));
      parts.push(element("text", { x: x.place(tick), y: bottom + 16, "text-anchor": "middle" }, short(tick)));
    }
    for (const tick of y.ticks) {
      parts.push(element("line", { class: "rule", x1: left, x2: right, y1: y.place(tick), y2: y.place(tick) }));
      parts.push(element("text", { x: left - 6, y: y.place(tick) + 4, "text-anchor": "end" }, short(tick)));
    }
    const [a, b] = [across, up].map(choice => points.metrics[choice.value]);
    parts.push(element("text", { class: "label", x: right, y: bottom + 34, "text-anchor": "end" }, `${a} →`));
    parts.push(element("text", { class: "label", x: left + 6, y: top + 8 }, `↑ ${b}`));
    const marks = element("g", { class: "marks" });
    for (const at of shown) {
      const method = points.method[at];
      const dot = element("circle", {
        cx: x.place(xs[at]).toFixed(1), cy: y.place(ys[at]).toFixed(1), r: 3.2,
        fill: points.colours[method], "fill-opacity": 0.75,
      });
      dot.append(element("title", {}, `${points.methods[method]}, ${points.pair[at]}: ${a} ${xs[at]}, ${b} ${ys[at]}`));
      marks.append(dot);
    }
    parts.push(marks);
    plot.replaceChildren(...parts);
    plot.setAttribute("aria-label", `${b} against ${a}`);
    const ranks = ["spearman", "kendall"].map(kind => points.agreement[kind]?.[a]?.[b]);
    const thinned = points.step > 1 ? `, one row in ${points.step}` : "";
    const agreed = ranks.every(rank => rank !== null && rank !== undefined)
      ? ` Over all rows, each metric turned so that higher is better: Spearman ${ranks[0].toFixed(3)}, Kendall ${ranks[1].toFixed(3)}.`
      : "";
    document.getElementById("agreement").textContent = `${shown.length} points${thinned}.${agreed}`;
  };
  for (const choice of [across, up]) choice.addEventListener("change", draw);
  addEventListener("resize", draw);
  draw();
}
