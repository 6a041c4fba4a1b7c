// The streaming transform of deepnmf.dsp.stft: frame t ends at sample (t + 1) · hop.
import { RealPair } from "./fourier.js";

/** Return the transform of the model's window, hop and bin spacing at another rate (`spec_at_rate` in Python). */
export function specAtRate(stft, rateHz) {
  const window = roundHalfEven((rateHz * stft.window_ms) / 1000);
  const fftSize = Math.max(roundHalfEven((stft.fft_size * rateHz) / stft.rate_hz), window);
  const hop = roundHalfEven((rateHz * stft.hop_ms) / 1000);
  return { rateHz, window, hop, fftSize, bins: Math.floor(fftSize / 2) + 1 };
}

/** Round as Python does: halves to the even neighbour. */
export function roundHalfEven(x) {
  const rounded = Math.round(x);
  return rounded - x === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

/** Return the periodic square-root Hann window. */
function analysisWindow({ window }) {
  return Float64Array.from({ length: window }, (_, n) => Math.sqrt(0.5 - 0.5 * Math.cos((2 * Math.PI * n) / window)));
}

/** Return the window that makes overlap-add the identity: the squares repeat every hop, and are divided out. */
function synthesisWindow(spec) {
  const analysis = analysisWindow(spec);
  const period = new Float64Array(spec.hop);
  analysis.forEach((value, n) => (period[n % spec.hop] += value * value));
  return analysis.map((value, n) => value / period[n % spec.hop]);
}

/** Return how many zeros to push after `length` samples, so that synthesis returns the last of them. */
export function padding({ window, hop }, length) {
  return Math.ceil((length + window - hop) / hop) * hop - length;
}

/** Samples of one channel to spectra. */
export class Analyser {
  constructor(spec) {
    this.spec = spec;
    this.pair = new RealPair(spec.fftSize);
    this.shape = analysisWindow(spec);
    this.buffer = new Float32Array(spec.window - spec.hop);
  }

  /** Return the spectra, [re, im] each, of the frames that `samples` complete. */
  push(samples) {
    const { window, hop } = this.spec;
    const joined = new Float32Array(this.buffer.length + samples.length);
    joined.set(this.buffer);
    joined.set(samples, this.buffer.length);
    const count = Math.max(0, Math.floor((joined.length - window) / hop) + 1);
    const spectra = [];
    for (let frame = 0; frame < count; frame += 2) {
      this.#window(this.pair.re, joined, frame * hop);
      if (frame + 1 < count) this.#window(this.pair.im, joined, (frame + 1) * hop);
      else this.pair.im.fill(0);
      const [first, second] = this.pair.forward();
      spectra.push(first);
      if (frame + 1 < count) spectra.push(second);
    }
    this.buffer = joined.slice(count * hop);
    return spectra;
  }

  #window(target, samples, start) {
    target.fill(0);
    for (let n = 0; n < this.spec.window; n++) target[n] = this.shape[n] * samples[start + n];
  }
}

/** Spectra of one channel to samples: the mirror of `Analyser`. */
export class Synthesiser {
  constructor(spec) {
    this.spec = spec;
    this.pair = new RealPair(spec.fftSize);
    this.shape = synthesisWindow(spec);
    this.tail = new Float64Array(spec.window - spec.hop);
    this.skip = spec.window - spec.hop; // the zeros before the first sample
  }

  /** Return the samples that spectra, [re, im] each, complete. */
  push(spectra) {
    const { window, hop, bins } = this.spec;
    const added = new Float64Array(spectra.length * hop + window - hop);
    added.set(this.tail);
    const none = [new Float64Array(bins), new Float64Array(bins)];
    for (let frame = 0; frame < spectra.length; frame += 2) {
      this.pair.inverse(spectra[frame], spectra[frame + 1] ?? none);
      for (let n = 0; n < window; n++) {
        added[frame * hop + n] += this.shape[n] * this.pair.re[n];
        if (frame + 1 < spectra.length) added[(frame + 1) * hop + n] += this.shape[n] * this.pair.im[n];
      }
    }
    this.tail = added.slice(spectra.length * hop);
    const skipped = Math.min(this.skip, spectra.length * hop);
    this.skip -= skipped;
    return Float32Array.from(added.subarray(skipped, spectra.length * hop));
  }
}
