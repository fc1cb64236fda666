"use strict";

// What is on the stage: panes that all show the same part of the pictures, painted at once from one place and scale.

const stage = document.getElementById("stage");
const canvas = document.getElementById("canvas");
const context = canvas.getContext("2d", { alpha: false });
const MOST_SCALE = 128; // pixels of the screen for one of the picture
const GRID_FROM = 12, VALUES_FROM = 56; // likewise
const GAP = 2;

const state = {
  mode: "slider", judged: 1, swapped: false, playing: true, interval: 600,
  scale: 1, x: view.width / 2, y: view.height / 2, fitted: true, // of CSS pixels; what lies in the middle of a pane
  split: 0.5,
  spot: null, byKey: false, pane: 0, // the pixel that is pointed at, how, and in which pane
  kind: null, opacity: 0.85, scheme: { scale: "inferno", far: null, clear: true },
};

const ratio = () => devicePixelRatio || 1;
const size = () => ({ width: stage.clientWidth, height: stage.clientHeight });

// The panes in CSS pixels: which picture, where.
const panes = () => {
  const { width, height } = size();
  const whole = { left: 0, top: 0, width, height };
  switch (state.mode) {
    case "slider": return [{ ...whole, width: state.split * width, at: 0, frame: whole },
      { ...whole, left: state.split * width, width: (1 - state.split) * width, at: state.judged, frame: whole }];
    case "beside": return tiled([0, state.judged], width, height, 1.5);
    case "all": return tiled(view.pictures.map((_, at) => at), width, height, 1);
    default: return [{ ...whole, at: state.swapped ? 0 : state.judged, frame: whole }];
  }
};

// Tiles in as many columns as show the pictures largest; more columns unless fewer show them so many times larger.
const tiled = (which, width, height, times) => {
  const sized = columns => {
    const rows = Math.ceil(which.length / columns);
    return { columns, width: (width - GAP * (columns - 1)) / columns, height: (height - GAP * (rows - 1)) / rows };
  };
  const fits = tile => Math.min(tile.width / view.width, tile.height / view.height);
  const best = which.map((_, at) => sized(at + 1)).reduce((a, b) => times * fits(b) > fits(a) ? b : a);
  return which.map((at, place) => {
    const frame = {
      left: (place % best.columns) * (best.width + GAP), top: Math.floor(place / best.columns) * (best.height + GAP),
      width: best.width, height: best.height,
    };
    return { ...frame, at, frame };
  });
};

const paneAt = (x, y) => panes().findIndex(pane =>
  x >= pane.left && x < pane.left + pane.width && y >= pane.top && y < pane.top + pane.height);

// From CSS pixels of the stage to pixels of the picture.
const pictureAt = (x, y, frame) => ({
  x: state.x + (x - frame.left - frame.width / 2) / state.scale,
  y: state.y + (y - frame.top - frame.height / 2) / state.scale,
});

const fitScale = () => {
  const { frame } = panes()[0];
  return Math.min(frame.width / view.width, frame.height / view.height);
};

const placed = (x, y) => {
  state.x = Math.min(view.width, Math.max(0, x));
  state.y = Math.min(view.height, Math.max(0, y));
  repaint();
};

const fit = () => {
  state.fitted = true;
  state.scale = fitScale();
  placed(view.width / 2, view.height / 2);
};

// Zoom so that what lies at (x, y) of the stage stays there.
const zoomTo = (scale, x, y) => {
  const all = panes(), { frame } = all[Math.max(0, paneAt(x, y))];
  const kept = pictureAt(x, y, frame);
  state.fitted = false;
  state.scale = Math.min(MOST_SCALE, Math.max(Math.min(fitScale() / 2, 1 / ratio()), scale));
  placed(
    kept.x - (x - frame.left - frame.width / 2) / state.scale,
    kept.y - (y - frame.top - frame.height / 2) / state.scale,
  );
};

const middle = () => {
  const { frame } = panes()[0];
  return [frame.left + frame.width / 2, frame.top + frame.height / 2];
};

const pan = (right, down) => {
  state.fitted = false;
  placed(state.x + right / state.scale, state.y + down / state.scale);
};

// Painting.
let asked = 0;
const repaint = () => { asked ||= requestAnimationFrame(() => { asked = 0; paint(); told(); }); };

const paint = () => {
  const { width, height } = size(), dots = ratio();
  const [across, down] = [Math.round(width * dots), Math.round(height * dots)];
  if (canvas.width !== across || canvas.height !== down) Object.assign(canvas, { width: across, height: down });
  if (state.fitted) Object.assign(state, { scale: fitScale(), x: view.width / 2, y: view.height / 2 });
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = getComputedStyle(stage).backgroundColor;
  context.fillRect(0, 0, across, down);
  panes().forEach((pane, number) => {
    context.save();
    context.beginPath();
    const [left, right] = [pane.left, pane.left + pane.width].map(edge => Math.round(edge * dots));
    const [top, bottom] = [pane.top, pane.top + pane.height].map(edge => Math.round(edge * dots));
    context.rect(left, top, right - left, bottom - top);
    context.clip();
    paintPane(pane, number, dots, { left, right, top, bottom });
    context.restore();
  });
};

const paintPane = (pane, number, dots, clip) => {
  const scale = state.scale * dots, { frame } = pane;
  const origin = [
    (frame.left + frame.width / 2) * dots - state.x * scale, (frame.top + frame.height / 2) * dots - state.y * scale,
  ].map(place => scale >= 1 ? Math.round(place) : place); // whole pixels on whole dots
  const picture = shownOf(pane.at);
  if (!picture) return;
  paintLayer(picture, 0, 0, origin, scale, clip);
  if (state.kind && pane.at) {
    const overlay = overlayOf(pane.at);
    context.globalAlpha = state.opacity;
    if (overlay) paintLayer(overlay, state.kind.left, state.kind.top, origin, scale, clip);
    context.globalAlpha = 1;
  }
  if (state.scale >= GRID_FROM) paintGrid(origin, scale, clip);
  if (state.scale >= VALUES_FROM) paintValues(pane.at, origin, scale, clip);
  const elsewhere = number !== state.pane && state.mode !== "slider";
  if (state.spot && (state.byKey || elsewhere)) paintSpot(origin, scale, dots);
};

// A picture or map whose first pixel lies at (left, top) of the pictures: only what is seen, from the half that is
// just large enough.
const paintLayer = (pyramid, left, top, origin, scale, clip) => {
  const step = Math.min(pyramid.length - 1, Math.max(0, Math.floor(-Math.log2(scale))));
  const source = pyramid[step], zoom = scale * 2 ** step;
  const [x, y] = [origin[0] + left * scale, origin[1] + top * scale];
  const first = [(clip.left - x) / zoom, (clip.top - y) / zoom].map(place => Math.max(0, Math.floor(place) - 1));
  const last = [
    Math.min(source.width, Math.ceil((clip.right - x) / zoom) + 1),
    Math.min(source.height, Math.ceil((clip.bottom - y) / zoom) + 1),
  ];
  const [width, height] = [last[0] - first[0], last[1] - first[1]];
  if (width <= 0 || height <= 0) return;
  context.imageSmoothingEnabled = scale < 2 && scale !== 1;
  context.drawImage(
    source, first[0], first[1], width, height, x + first[0] * zoom, y + first[1] * zoom, width * zoom, height * zoom,
  );
};

const seen = (origin, scale, clip) => ({
  x0: Math.max(0, Math.floor((clip.left - origin[0]) / scale)),
  x1: Math.min(view.width, Math.ceil((clip.right - origin[0]) / scale)),
  y0: Math.max(0, Math.floor((clip.top - origin[1]) / scale)),
  y1: Math.min(view.height, Math.ceil((clip.bottom - origin[1]) / scale)),
});

const paintGrid = (origin, scale, clip) => {
  const { x0, x1, y0, y1 } = seen(origin, scale, clip);
  const [left, right] = [x0, x1].map(x => origin[0] + x * scale);
  const [top, bottom] = [y0, y1].map(y => origin[1] + y * scale);
  context.fillStyle = "rgb(128 128 128 / 0.35)";
  for (let x = x0; x <= x1; x++) context.fillRect(Math.round(origin[0] + x * scale), top, 1, bottom - top);
  for (let y = y0; y <= y1; y++) context.fillRect(left, Math.round(origin[1] + y * scale), right - left, 1);
};

const LIGHT = { halo: "rgb(0 0 0 / 0.55)", grey: "#ffffff", colours: ["#ffa79f", "#93f29f", "#a5caff"] };
const DARK = { halo: "rgb(255 255 255 / 0.55)", grey: "#000000", colours: ["#8c0f0a", "#05501a", "#10329c"] };

// The values themselves, written into their pixels.
const paintValues = (at, origin, scale, clip) => {
  const { x0, x1, y0, y1 } = seen(origin, scale, clip);
  const letters = Math.min(scale / (deep ? 4.2 : 3.6), 16 * ratio());
  context.font = `${letters}px ui-monospace, "SFMono-Regular", Menlo, Consolas, "DejaVu Sans Mono", monospace`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) {
    const pixel = pixelAt(at, x, y);
    if (!pixel) return;
    const [cx, cy] = [origin[0] + (x + 0.5) * scale, origin[1] + (y + 0.5) * scale];
    const [red, green, blue] = rgbOf(pixel);
    const ink = 0.3 * red + 0.6 * green + 0.1 * blue > 140 ? DARK : LIGHT;
    pixel.forEach((value, channel) => {
      const line = cy + (channel - (pixel.length - 1) / 2) * letters * 1.15;
      context.lineWidth = letters / 5;
      context.strokeStyle = ink.halo;
      context.strokeText(value, cx, line);
      context.fillStyle = pixel.length === 1 ? ink.grey : ink.colours[channel];
      context.fillText(value, cx, line);
    });
  }
};

// Where the same pixel lies in the other panes.
const paintSpot = (origin, scale, dots) => {
  const [x, y] = [origin[0] + (state.spot.x + 0.5) * scale, origin[1] + (state.spot.y + 0.5) * scale];
  const half = Math.max(5 * dots, scale / 2);
  for (const [colour, width] of [["rgb(0 0 0 / 0.8)", 3], ["#fff", 1]]) {
    context.strokeStyle = colour;
    context.lineWidth = width * dots;
    context.strokeRect(x - half, y - half, 2 * half, 2 * half);
  }
};

// The overlay of a picture in its present colours, the last one kept.
const coloured = new Map();
const overlayOf = at => {
  const map = stepsOf(at, state.kind);
  if (!map) return undefined;
  const key = JSON.stringify([state.kind.name, state.scheme]);
  if (coloured.get(at)?.key !== key) coloured.set(at, { key, pyramid: colouredOf(map, state.kind, state.scheme) });
  return coloured.get(at).pyramid;
};
