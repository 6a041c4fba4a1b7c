// The two spectrograms, drawn as their columns arrive.
import { ROWS, heightOf } from "./picture.js";

const RANGE_DB = 80;
const MAGMA = [
  [0, 0, 4], [28, 16, 68], [79, 18, 123], [129, 37, 129], [181, 54, 122], [229, 80, 100], [251, 135, 97], [254, 194, 135], [252, 253, 191],
];

const COLOURS = Array.from({ length: 256 }, (_, level) => {
  const place = (level / 255) * (MAGMA.length - 1);
  const index = Math.min(MAGMA.length - 2, Math.floor(place));
  return [0, 1, 2].map((c) => MAGMA[index][c] + (place - index) * (MAGMA[index + 1][c] - MAGMA[index][c]));
});

export class Spectrograms {
  /** @param {{before: HTMLCanvasElement, after: HTMLCanvasElement}} canvases */
  constructor(canvases) {
    this.canvases = canvases;
  }

  /** Begin a picture of some columns at a rate. */
  start(columns, rateHz) {
    this.columns = { before: [], after: [] };
    this.peak = -200;
    for (const canvas of Object.values(this.canvases)) {
      canvas.width = columns;
      canvas.height = ROWS;
      canvas.parentElement.querySelector(".axis").replaceChildren(...frequencyLabels(rateHz));
    }
  }

  /** Add columns of levels in dB, and draw: all of them where the peak has risen. */
  add(columns) {
    const known = this.peak;
    for (const { column, before, after } of columns) {
      this.columns.before[column] = before;
      this.columns.after[column] = after;
      for (const level of before) this.peak = Math.max(this.peak, level);
    }
    const drawn = this.peak > known ? Object.keys(this.columns.before).map(Number) : columns.map(({ column }) => column);
    for (const name of ["before", "after"]) {
      const context = this.canvases[name].getContext("2d");
      for (const column of drawn) this.#draw(context, this.columns[name][column], column);
    }
  }

  #draw(context, levels, column) {
    const image = context.createImageData(1, ROWS);
    levels.forEach((level, row) => {
      const shade = Math.round(255 * Math.max(0, Math.min(1, 1 + (level - this.peak) / RANGE_DB)));
      image.data.set([...COLOURS[shade], 255], 4 * (ROWS - 1 - row));
    });
    context.putImageData(image, column, 0);
  }
}

function frequencyLabels(rateHz) {
  return [250, 1000, 4000, 8000, 16000]
    .filter((hz) => heightOf(hz, rateHz) < 0.93)
    .map((hz) => {
      const label = document.createElement("span");
      label.textContent = hz < 1000 ? `${hz} Hz` : `${hz / 1000} kHz`;
      label.style.bottom = `${100 * heightOf(hz, rateHz)}%`;
      return label;
    });
}

/** Draw the scale of colours. */
export function drawColours(canvas) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(256, 1);
  COLOURS.forEach((colour, level) => image.data.set([...colour, 255], 4 * level));
  context.putImageData(image, 0, 0);
}
