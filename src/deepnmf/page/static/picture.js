// Powers of a stream before and after, averaged into columns of a spectrogram with a mel axis.

export const ROWS = 128;
const MOST_COLUMNS = 1000;

const toMel = (hz) => 2595 * Math.log10(1 + hz / 700);
const toHz = (mel) => 700 * (10 ** (mel / 2595) - 1);

/** The frequency at a height of the picture, from 0 at the bottom to 1 at the top. */
export function frequencyAt(height, rateHz) {
  return toHz(height * toMel(rateHz / 2));
}

/** The height of a frequency. */
export function heightOf(hz, rateHz) {
  return toMel(hz) / toMel(rateHz / 2);
}

export class Picture {
  /** @param {number} frames of the recording */
  constructor(spec, frames) {
    this.columns = Math.max(1, Math.min(MOST_COLUMNS, frames));
    this.frames = Math.max(1, frames);
    this.edges = Array.from({ length: ROWS + 1 }, (_, row) =>
      Math.min(spec.bins - 1, (frequencyAt(row / ROWS, spec.rateHz) * spec.fftSize) / spec.rateHz),
    );
    this.done = 0;
    this.#start(0);
  }

  #start(column) {
    this.column = column;
    this.count = 0;
    this.before = new Float64Array(ROWS);
    this.after = new Float64Array(ROWS);
  }

  /** Add some frames, the spectra of all channels before and after; return the columns that they complete. */
  push(before, after) {
    const complete = [];
    for (let t = 0; t < before[0].length; t++) {
      const column = Math.min(this.columns - 1, Math.floor((this.done++ * this.columns) / this.frames));
      if (column !== this.column) {
        complete.push(this.#finished());
        this.#start(column);
      }
      for (const frames of before) this.#add(frames[t], this.before);
      for (const frames of after) this.#add(frames[t], this.after);
      this.count++;
    }
    return complete;
  }

  /** Return the last column. */
  finish() {
    return this.count ? [this.#finished()] : [];
  }

  #add([re, im], powers) {
    for (let row = 0; row < ROWS; row++) {
      const first = Math.round(this.edges[row]);
      const last = Math.max(first + 1, Math.round(this.edges[row + 1]));
      for (let k = first; k < last; k++) powers[row] += (re[k] * re[k] + im[k] * im[k]) / (last - first);
    }
  }

  #finished() {
    const level = (powers) => Float32Array.from(powers, (power) => 10 * Math.log10(power / this.count + 1e-12));
    return { column: this.column, before: level(this.before), after: level(this.after) };
  }
}
