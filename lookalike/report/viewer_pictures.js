"use strict";

// Pictures, their values and their maps, out of the bytes that stand in the page. Each is decoded when it is first
// wanted, and once.

const view = JSON.parse(document.getElementById("view").textContent);
const deep = view.bits === 16;

const bytesOf = place => {
  const text = document.getElementById(`png-${place}`).textContent;
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const letters = atob(text), bytes = new Uint8Array(letters.length);
  for (let at = 0; at < bytes.length; at++) bytes[at] = letters.charCodeAt(at);
  return bytes;
};

const decode = place => createImageBitmap(
  new Blob([bytesOf(place)], { type: "image/png" }), { colorSpaceConversion: "none", premultiplyAlpha: "none" },
);

const canvasOf = (width, height, options) => {
  const canvas = new OffscreenCanvas(width, height);
  return [canvas, canvas.getContext("2d", options)];
};

// The levels of a decoded picture, four bytes a pixel.
const levelsOf = bitmap => {
  const { width, height } = bitmap;
  const [, context] = canvasOf(width, height, { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, width, height).data;
};

// A picture and its halves, so that a small view of it is an average and not a selection of its pixels.
const pyramidOf = picture => {
  const steps = [picture];
  for (let { width, height } = picture; Math.max(width, height) > 512;) {
    [width, height] = [width / 2, height / 2];
    const [canvas, context] = canvasOf(Math.ceil(width), Math.ceil(height));
    context.imageSmoothingQuality = "low"; // at exactly one half the mean of four pixels
    context.drawImage(steps.at(-1), 0, 0, steps.at(-1).width / 2, steps.at(-1).height / 2);
    steps.push(canvas.transferToImageBitmap());
    ({ width, height } = steps.at(-1));
  }
  return steps;
};

// What was wanted and is there. Who asks for what is not there yet gets undefined, and a new painting once it is.
const there = new Map();
const wanted = (key, make) => {
  if (!there.has(key)) {
    there.set(key, undefined);
    make().then(made => { there.set(key, made); repaint(); }, failed);
  }
  return there.get(key);
};

const shownOf = at => wanted(`shown ${at}`, async () => pyramidOf(await decode(view.pictures[at].png)));

// Values of all pixels: their levels, and of 16 bits the low bytes likewise.
const valuesOf = at => {
  const shown = shownOf(at), { low } = view.pictures[at];
  return shown && wanted(`values ${at}`, async () => ({
    high: levelsOf(shown[0]), low: low === null ? null : levelsOf(await decode(low)),
  }));
};

const valueAt = (values, place) => values.low ? values.high[place] * 256 + values.low[place] : values.high[place];

// The values of one pixel, a number a channel; undefined until they are there.
const pixelAt = (at, x, y) => {
  const values = valuesOf(at);
  const start = 4 * (y * view.width + x);
  return values && Array.from({ length: view.channels }, (_, channel) => valueAt(values, start + channel));
};

// The colour of a pixel on the screen.
const rgbOf = pixel => [0, 1, 2].map(channel => pixel[Math.min(channel, pixel.length - 1)] >> (deep ? 8 : 0));

// A map as steps from its lowest value to its highest.
const stepsOf = (at, kind) => {
  if (kind.name !== "error") {
    const place = view.pictures[at].maps[kind.name];
    return place === undefined ? undefined : wanted(`map ${place}`, async () => {
      const levels = levelsOf(await decode(place)), steps = new Uint16Array(levels.length / 4);
      for (let pixel = 0; pixel < steps.length; pixel++) steps[pixel] = levels[4 * pixel];
      return { steps, most: view.levels };
    });
  }
  const [reference, judged] = [valuesOf(0), valuesOf(at)];
  if (!reference || !judged) return undefined;
  return wanted(`error ${at}`, async () => errorOf(reference, judged));
};

// The sum of the channels' absolute differences; of 16 bits in units of 257, so that there are as many steps.
const errorOf = (reference, judged) => {
  const steps = new Uint16Array(view.width * view.height);
  const [a, b] = [reference.high, judged.high];
  for (let pixel = 0, place = 0; pixel < steps.length; pixel++, place += 4) {
    let sum = 0;
    for (let channel = 0; channel < view.channels; channel++) {
      sum += deep
        ? Math.abs(valueAt(reference, place + channel) - valueAt(judged, place + channel)) / 257
        : Math.abs(a[place + channel] - b[place + channel]);
    }
    steps[pixel] = Math.round(sum);
  }
  return { steps, most: 255 * view.channels };
};

// The value of a map at a pixel of the picture: undefined until it is there, null where the map has none.
const mapAt = (at, kind, x, y) => {
  if (kind.name === "error") {
    const [reference, judged] = [pixelAt(0, x, y), pixelAt(at, x, y)];
    if (!reference || !judged) return undefined;
    return reference.reduce((sum, value, channel) => sum + Math.abs(value - judged[channel]), 0) / view.channels;
  }
  const map = stepsOf(at, kind);
  if (!map) return undefined;
  const [column, row] = [x - kind.left, y - kind.top];
  if (column < 0 || row < 0 || column >= kind.width || row >= kind.height) return null;
  return kind.low + (kind.high - kind.low) * map.steps[row * kind.width + column] / map.most;
};

// Colours from alike to different.
const SCALES = {
  inferno: ["#000004", "#1b0c41", "#4a0c6b", "#781c6d", "#a52c60", "#cf4446", "#ed6925", "#fb9b06", "#f7d13d", "#fcffa4"],
  viridis: ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"],
  "grey, white is alike": ["#ffffff", "#000000"],
  "grey, black is alike": ["#000000", "#ffffff"],
};
const CLEAR_UNTIL = 0.5; // of the scale, where the alike is to be seen through

// Red, green and blue up to 255 and how much is covered up to 1, of a share of the way.
const colourAt = (share, { scale, clear }) => {
  const stops = SCALES[scale];
  const place = share * (stops.length - 1), from = Math.min(Math.floor(place), stops.length - 2);
  const parts = [1, 3, 5].map(start => [from, from + 1].map(stop => parseInt(stops[stop].slice(start, start + 2), 16)));
  const cover = clear ? Math.min(1, share / CLEAR_UNTIL) : 1;
  return [...parts.map(([low, high]) => Math.round(low + (high - low) * (place - from))), cover];
};

// A map in colours, as a pyramid.
const colouredOf = (map, kind, scheme) => {
  const colours = new Uint32Array(map.most + 1);
  for (let step = 0; step <= map.most; step++) {
    const value = kind.low + (kind.high - kind.low) * step / map.most;
    const share = Math.min(1, Math.max(0, (value - kind.alike) / (scheme.far - kind.alike)));
    const [red, green, blue, cover] = colourAt(share, scheme);
    colours[step] = (Math.round(255 * cover) << 24 | blue << 16 | green << 8 | red) >>> 0;
  }
  const [canvas, context] = canvasOf(kind.width, kind.height);
  const image = new ImageData(kind.width, kind.height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let pixel = 0; pixel < pixels.length; pixel++) pixels[pixel] = colours[map.steps[pixel]];
  context.putImageData(image, 0, 0);
  return pyramidOf(canvas.transferToImageBitmap());
};

// Some browsers alter what a page reads from a canvas, to make it harder to know them again.
const readsTrue = () => {
  const [, context] = canvasOf(16, 16, { willReadFrequently: true });
  const image = new ImageData(16, 16);
  for (let at = 0; at < 1024; at++) image.data[at] = at % 4 === 3 ? 255 : (at * 37) % 256;
  context.putImageData(image, 0, 0);
  return context.getImageData(0, 0, 16, 16).data.every((value, at) => value === image.data[at]);
};
