"use strict";

// What turns the stage: pointer, keys, and the panel.

const part = id => document.getElementById(id);
const modes = [...document.querySelectorAll("[data-mode]")];
const kinds = [...document.querySelectorAll("[name=kind]")].filter(choice => !choice.disabled);
const judgedChoices = [...document.querySelectorAll("[name=judged]")];
const trustworthy = readsTrue();
const count = view.pictures.length;

const failed = error => {
  part("waiting").textContent = `The pictures cannot be decoded here: ${error.message || error}`;
  part("waiting").hidden = false;
};

// What the page says besides the pictures, after each painting.
let said = "";
const told = () => {
  part("waiting").hidden ||= [0, state.judged].every(at => shownOf(at));
  if (part("waiting").hidden) document.documentElement.dataset.ready = "";
  part("zoom").textContent = `${Number((100 * state.scale * ratio()).toPrecision(3))} %`;
  part("divider").hidden = state.mode !== "slider";
  part("divider").style.left = `${100 * state.split}%`;
  part("divider").setAttribute("aria-valuenow", Math.round(100 * state.split));
  named();
  pointed();
};

const short = value => String(Number(value.toPrecision(5)));
// A value of a map in as many decimals as its steps have.
const stepped = (value, kind) => kind.name === "error"
  ? short(value) : value.toFixed(Math.ceil(-Math.log10((kind.high - kind.low) / view.levels)));
const signed = value => value > 0 ? `+${value}` : value < 0 ? `−${-value}` : "0";

// The values of the pixel that is pointed at.
const pointed = () => {
  const { spot, kind } = state;
  part("place").textContent = spot ? `x ${spot.x}, y ${spot.y}` : "point at a picture";
  part("pixel-kind").textContent = kind ? "overlay" : "";
  const listed = numbers => numbers.join(deep ? "\n" : " ");
  for (const row of document.querySelectorAll(".pixel tbody tr")) {
    const at = Number(row.dataset.at);
    const [values, difference, overlay] = row.querySelectorAll("td");
    const pixel = spot && trustworthy ? pixelAt(at, spot.x, spot.y) : null;
    const reference = spot && trustworthy && at ? pixelAt(0, spot.x, spot.y) : null;
    values.textContent = pixel ? listed(pixel) : "";
    difference.textContent = pixel && reference
      ? listed(pixel.map((value, channel) => signed(value - reference[channel]))) : "";
    row.querySelector(".chip").style.background = pixel ? `rgb(${rgbOf(pixel).join(" ")})` : "";
    const value = spot && kind && at && trustworthy ? mapAt(at, kind, spot.x, spot.y) : undefined;
    overlay.textContent = value === undefined ? "" : value === null ? "edge" : stepped(value, kind);
  }
};

// The names of what the panes show.
const named = () => {
  const shown = panes();
  const { width } = size();
  const marks = shown.map(pane => ({
    left: state.mode === "slider" ? 0 : pane.left, top: pane.top, at: pane.at,
    most: (state.mode === "slider" ? width / 2 : pane.width) - 24, right: state.mode === "slider" && pane.at !== 0,
  }));
  const now = JSON.stringify(marks);
  if (now === said) return;
  said = now;
  part("names").replaceChildren(...marks.map(mark => {
    const made = document.createElement("span"), role = document.createElement("b");
    role.textContent = mark.at === 0 ? "reference" : count > 2 ? mark.at : "judged";
    made.append(role, view.pictures[mark.at].name);
    made.style.top = `${mark.top + 10}px`;
    made.style.maxWidth = `${Math.max(40, mark.most)}px`;
    made.style[mark.right ? "right" : "left"] = `${(mark.right ? 0 : mark.left) + 10}px`;
    return made;
  }));
};

// Modes.
let timer = 0;
const setMode = mode => {
  state.mode = mode;
  state.swapped = false;
  for (const button of modes) button.setAttribute("aria-pressed", button.dataset.mode === mode);
  part("flicker").hidden = mode !== "flicker";
  timed();
  repaint();
};
const swap = () => { state.swapped = !state.swapped; repaint(); };
const timed = () => {
  clearInterval(timer);
  const runs = state.mode === "flicker" && state.playing;
  if (runs) timer = setInterval(swap, state.interval);
  part("play").textContent = state.playing ? "❚❚" : "▶";
  part("play").setAttribute("aria-pressed", state.playing);
  part("every").textContent = `${(state.interval / 1000).toFixed(1)} s`;
  part("interval").value = state.interval;
};
const play = on => { state.playing = on; timed(); };
const every = interval => {
  state.interval = Math.min(2000, Math.max(200, interval));
  timed();
};
const split = at => { state.split = Math.min(1, Math.max(0, at)); repaint(); };
const judge = at => {
  if (at < 1 || at >= count) return;
  state.judged = at;
  state.swapped = false;
  if (judgedChoices.length) judgedChoices[at - 1].checked = true;
  for (const heading of document.querySelectorAll(".numbers thead th")) {
    heading.toggleAttribute("aria-current", count > 2 && heading.cellIndex === at);
  }
  repaint();
};
const bySwap = () => {
  if (state.mode === "flicker") play(false);
  if (state.mode === "slider" || state.mode === "beside" || state.mode === "all") setMode("single");
  swap();
};

// The overlay and its colours.
const SHARES = [1, 0.5, 0.25, 0.1, 0.05, 0.02];
const farsOf = kind => SHARES.map(share => {
  const far = kind.alike + share * ((kind.alike === kind.low ? kind.high : kind.low) - kind.alike);
  return kind.name === "error" ? Math.round(far) : Number(far.toPrecision(6));
});
const CHOSEN = { error: 2 }; // which of them at first; of the others the second
const setKind = name => {
  state.kind = view.kinds.find(kind => kind.name === name) ?? null;
  kinds.forEach(choice => { choice.checked = choice.value === (state.kind?.name ?? ""); });
  part("scheme").hidden = !state.kind;
  if (state.kind) {
    const fars = farsOf(state.kind), first = fars[CHOSEN[name] ?? 1];
    part("far").replaceChildren(...fars.map(far => new Option(`${short(state.kind.alike)} to ${short(far)}`, far)));
    part("far").value = first;
    setScheme({ far: first });
  }
  repaint();
};
const setScheme = change => {
  Object.assign(state.scheme, change);
  const { kind, scheme } = state;
  const stops = [...Array(33).keys()].map(step => {
    const [red, green, blue, cover] = colourAt(step / 32, scheme);
    return `rgb(${red} ${green} ${blue} / ${cover})`;
  });
  part("colours").style.background = `linear-gradient(to right, ${stops.join(", ")})`;
  part("ticks").replaceChildren(...[0, 0.25, 0.5, 0.75, 1].map(share => {
    const made = document.createElement("span");
    made.textContent = short(kind.alike + share * (scheme.far - kind.alike));
    return made;
  }));
  const unit = kind.name === "error" ? `, in levels of 0 to ${kind.high}` : "";
  part("meaning").textContent = `Left: alike. Right: ${short(scheme.far)} and beyond${unit}.`;
  repaint();
};
const nextKind = step => {
  const at = kinds.findIndex(choice => choice.checked);
  setKind(kinds[(at + step + kinds.length) % kinds.length].value);
};
const setOpacity = percent => {
  state.opacity = Math.min(100, Math.max(0, percent)) / 100;
  part("opacity").value = Math.round(100 * state.opacity);
  repaint();
};

for (const button of modes) button.addEventListener("click", () => setMode(button.dataset.mode));
for (const choice of kinds) choice.addEventListener("change", () => setKind(choice.value));
for (const choice of judgedChoices) choice.addEventListener("change", () => judge(Number(choice.value)));
part("scale").replaceChildren(...Object.keys(SCALES).map(name => new Option(name)));
part("scale").addEventListener("change", event => setScheme({ scale: event.target.value }));
part("far").addEventListener("change", event => setScheme({ far: Number(event.target.value) }));
part("clear").addEventListener("change", event => setScheme({ clear: event.target.checked }));
part("opacity").addEventListener("input", event => setOpacity(Number(event.target.value)));
part("interval").addEventListener("input", event => every(Number(event.target.value)));
part("play").addEventListener("click", () => play(!state.playing));
part("swap").addEventListener("click", bySwap);
// Whoever clicks goes on with the keys of the stage; whoever came by keyboard stays where they are.
for (const button of document.querySelectorAll(".top button, #flicker button")) {
  button.addEventListener("click", event => { if (event.detail && !part("help").open) stage.focus(); });
}

// Zoom.
const STEP = 1.25;
const zoomBy = factor => zoomTo(state.scale * factor, ...middle());
const oneToOne = (x, y) => zoomTo(1 / ratio(), x, y);
part("in").addEventListener("click", () => zoomBy(STEP));
part("out").addEventListener("click", () => zoomBy(1 / STEP));
part("fit").addEventListener("click", fit);
part("one").addEventListener("click", () => oneToOne(...middle()));

// Pointers: one moves the pictures or the divider, two zoom.
const held = new Map();
let divides = false;
const onStage = event => {
  const { left, top } = stage.getBoundingClientRect();
  return [event.clientX - left, event.clientY - top];
};
const pointAt = (x, y) => {
  state.pane = paneAt(x, y);
  const pane = panes()[state.pane];
  const at = pane && pictureAt(x, y, pane.frame);
  const inside = at && at.x >= 0 && at.y >= 0 && at.x < view.width && at.y < view.height;
  state.spot = inside ? { x: Math.floor(at.x), y: Math.floor(at.y) } : null;
  state.byKey = false;
};
stage.addEventListener("pointerdown", event => {
  if (event.button > 1 || event.target.closest("#flicker")) return;
  held.set(event.pointerId, onStage(event));
  stage.setPointerCapture(event.pointerId);
  divides = event.target.closest("#divider") !== null;
  pointAt(...onStage(event));
  repaint();
  if (divides) part("divider").focus({ focusVisible: false });
  stage.classList.toggle("held", !divides);
});
stage.addEventListener("pointermove", event => {
  const [x, y] = onStage(event), before = held.get(event.pointerId);
  if (before) {
    held.set(event.pointerId, [x, y]);
    if (divides) split(x / size().width);
    else if (held.size === 2) {
      const [other] = [...held].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      const apart = ([a, b]) => Math.hypot(a - other[0], b - other[1]);
      pan((before[0] - x) / 2, (before[1] - y) / 2);
      zoomTo(state.scale * apart([x, y]) / Math.max(1, apart(before)), (x + other[0]) / 2, (y + other[1]) / 2);
    } else pan(before[0] - x, before[1] - y);
  }
  pointAt(x, y);
  repaint();
});
const released = event => {
  held.delete(event.pointerId);
  if (!held.size) { divides = false; stage.classList.remove("held"); }
};
for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, released);
stage.addEventListener("pointerleave", () => { if (!state.byKey) { state.spot = null; repaint(); } });
stage.addEventListener("wheel", event => {
  event.preventDefault();
  const unit = [1, 16, 400][event.deltaMode];
  const [x, y] = onStage(event);
  zoomTo(state.scale * Math.exp(-event.deltaY * unit * (event.ctrlKey ? 0.01 : 0.002)), x, y);
  pointAt(x, y);
}, { passive: false });
stage.addEventListener("dblclick", event => {
  if (event.target.closest("#flicker")) return;
  if (state.fitted) oneToOne(...onStage(event)); else fit();
});

// Keys.
const moved = (right, down, fine) => {
  const { frame } = panes()[0];
  const step = fine ? [state.scale, state.scale] : [frame.width / 10, frame.height / 10];
  pan(right * step[0], down * step[1]);
  pointAtMiddle();
};
const pointAtMiddle = () => {
  state.spot = {
    x: Math.min(view.width - 1, Math.floor(state.x)), y: Math.min(view.height - 1, Math.floor(state.y)),
  };
  state.byKey = true;
};
const nudge = (direction, wide) => {
  if (state.mode === "flicker") every(state.interval + 100 * direction);
  else split(state.split + direction * (wide ? 0.1 : 0.02));
};
const togglePanel = () => {
  const bare = document.body.classList.toggle("bare");
  part("panel").hidden = bare;
  part("panel-switch").setAttribute("aria-expanded", !bare);
};
const help = () => part("help").open ? part("help").close() : part("help").showModal();
part("panel-switch").addEventListener("click", togglePanel);
part("help-switch").addEventListener("click", help);

const KEYS = {
  s: () => setMode("slider"), f: () => setMode("flicker"), b: () => setMode("beside"), a: () => setMode("single"),
  g: () => { if (count > 2) setMode("all"); },
  " ": bySwap, t: () => play(!state.playing),
  ",": event => nudge(-1, event.shiftKey), ".": event => nudge(1, event.shiftKey),
  "<": () => nudge(-1, true), ">": () => nudge(1, true),
  "[": () => judge(state.judged - 1), "]": () => judge(state.judged + 1),
  "+": () => zoomBy(STEP), "=": () => zoomBy(STEP), "-": () => zoomBy(1 / STEP), "_": () => zoomBy(1 / STEP),
  0: fit, x: () => oneToOne(...middle()),
  arrowleft: event => moved(-1, 0, event.shiftKey), arrowright: event => moved(1, 0, event.shiftKey),
  arrowup: event => moved(0, -1, event.shiftKey), arrowdown: event => moved(0, 1, event.shiftKey),
  o: event => nextKind(event.shiftKey ? -1 : 1),
  j: () => setOpacity(100 * state.opacity - 5), k: () => setOpacity(100 * state.opacity + 5),
  i: togglePanel, "?": help,
};
for (let at = 1; at <= 9; at++) KEYS[at] = () => judge(at);

// Controls keep the keys that they live by.
const keeps = (target, key) => {
  if (target.closest("select, dialog")) return key !== "?";
  if (target.closest("#divider, [type=range], [type=radio]") && key.startsWith("arrow")) return true;
  return target.closest("button, summary, input") !== null && key === " ";
};
addEventListener("keydown", event => {
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(KEYS, key) || keeps(event.target, key)) return;
  // Below the pictures arrows scroll the page, where it is longer than the window.
  if (key.startsWith("arrow") && event.target.closest("#panel, .scroll")) return;
  event.preventDefault();
  KEYS[key](event);
});
part("divider").addEventListener("keydown", event => {
  const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 };
  if (event.key in steps) nudge(steps[event.key], event.shiftKey);
  else if (event.key === "Home" || event.key === "End") split(event.key === "Home" ? 0 : 1);
  else return;
  event.preventDefault();
});
stage.addEventListener("focus", () => {
  if (stage.matches(":focus-visible") && !state.spot) { pointAtMiddle(); repaint(); }
});

part("untrue").hidden = trustworthy;
document.querySelector(".pixel").classList.toggle("deep", deep);
if (matchMedia("(prefers-reduced-motion: reduce)").matches) state.playing = false;
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
new ResizeObserver(repaint).observe(stage);
setMode("slider");
judge(1);
setKind("");
