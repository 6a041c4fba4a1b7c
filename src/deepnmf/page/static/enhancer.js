// The enhancer of deepnmf.enhancement.enhancer: the transform runs at the recording's own rate, the mask is estimated
// on the bins shared with the model, and bins above its band get gains extrapolated from the top of it. What a filter over
// several frames makes of the lowest bins is added. After some models, pauses are attenuated further.
import { MultiFrame } from "./multi_frame.js";
import { Pauses } from "./pauses.js";
import { Analyser, Synthesiser, padding, specAtRate } from "./stft.js";
import { UpperBand } from "./upper_band.js";

const LARGEST_SAMPLE = 1e6;
const FRAMES_A_CALL = 100;

/** A fault that the page shows as it is. */
export class Fault extends Error {}

/**
 * Enhance a stream of blocks of any size.
 *
 * @param {object} model `describe`, its entry in page.json, and `estimator()`, which returns a fresh mask estimator with
 *   `push(magnitudes, frames, advances)`: magnitudes at unit level (F, N), row by row, and phase advances (2, K, L, N) if
 *   the model has a filter, to `mask` (F, N) and `weights` (2, 1 + K, L, N).
 * @param {object} rules The constants of the Python package, from page.json.
 */
export class Enhancer {
  constructor(model, rules, rateHz, channels, { maxAttenuationDb = null, observer = null } = {}) {
    const [lowest, highest] = rules.rate_range_hz;
    if (!(rateHz >= lowest && rateHz <= highest)) {
      throw new Fault(`A sampling rate of ${rateHz} Hz is outside ${lowest} to ${highest} Hz; resample it first.`);
    }
    this.spec = specAtRate(model.describe.stft, rateHz);
    this.channels = channels;
    this.leastGain = maxAttenuationDb === null ? 0 : 10 ** (-maxAttenuationDb / 20);
    this.tinyPower = rules.tiny_power;
    this.observer = observer;
    this.track = new Track(model, rules, this.spec, channels);
    this.analysers = repeated(channels, () => new Analyser(this.spec));
    this.synthesisers = repeated(channels, () => new Synthesiser(this.spec));
    this.received = 0;
    this.returned = 0;
  }

  /** Let level and states settle on the first seconds of a recording, before the first block. */
  async warmUp(block) {
    const analysers = repeated(this.channels, () => new Analyser(this.spec));
    for (const piece of pieces(checked(block), this.spec.hop * FRAMES_A_CALL)) {
      const spectra = piece.map((samples, channel) => analysers[channel].push(samples));
      if (spectra[0].length) await this.track.push(spectra);
    }
    this.track.forgetFrames();
  }

  /** Take the next samples, one Float32Array a channel; return those that are ready. */
  async process(block) {
    const ready = [];
    for (const piece of pieces(checked(block), this.spec.hop * FRAMES_A_CALL)) ready.push(await this.#piece(piece));
    const output = joined(ready, this.channels);
    this.received += block[0].length;
    this.returned += output[0].length;
    return output;
  }

  /** Return the remaining samples, so that output and input have equal length. */
  async flush() {
    const due = this.received - this.returned;
    const silence = new Float32Array(padding(this.spec, this.received));
    return (await this.#piece(repeated(this.channels, () => silence))).map((samples) => samples.subarray(0, due));
  }

  async #piece(block) {
    const spectra = block.map((samples, channel) => this.analysers[channel].push(samples));
    if (!spectra[0].length) return repeated(this.channels, () => new Float32Array(0));
    const outputs = this.#applied(spectra, await this.track.push(spectra));
    this.observer?.(spectra, outputs);
    return outputs.map((frames, channel) => this.synthesisers[channel].push(frames));
  }

  #applied(spectra, { gains, added }) {
    return spectra.map((frames, channel) =>
      frames.map((frame, t) => {
        const filtered = added?.[t][channel];
        const gain = this.leastGain ? this.#limited(frame, gains[t], filtered) : gains[t];
        const output = frame.map((part) => part.map((value, k) => value * gain[k]));
        filtered?.forEach((part, index) => part.forEach((value, k) => (output[index][k] += value)));
        return output;
      }),
    );
  }

  /** Return gains that limit the attenuation, and scale what a filter adds: `limited` of the Python package. */
  #limited([re, im], gain, filtered) {
    const share = Math.sqrt(1 - this.leastGain ** 2);
    filtered?.forEach((part) => part.forEach((value, k) => (part[k] = share * value)));
    return gain.map((value, k) => {
      let inPhase = value;
      if (k < filtered?.[0].length) {
        const power = Math.max(re[k] ** 2 + im[k] ** 2, this.tinyPower);
        inPhase += (filtered[0][k] * re[k] + filtered[1][k] * im[k]) / power;
      }
      return value + Math.max(this.leastGain - inPhase, 0);
    });
  }
}

/** One gain for all channels, from the mean of their powers, and what the model's filter adds to each. */
class Track {
  constructor(model, rules, spec, channels) {
    const { stft, level_seconds: seconds, filter, pauses } = model.describe;
    this.spec = spec;
    this.rules = rules;
    this.bins = Math.floor(stft.fft_size / 2) + 1;
    this.scale = Math.fround(specAtRate(stft, stft.rate_hz).window / spec.window); // a longer window sums more samples
    this.level = new LevelTracker(seconds, spec.hop / spec.rateHz, rules.level_floor);
    this.estimator = model.estimator();
    this.top = rules.top_band.map((share) => Math.floor(share * this.bins));
    this.above = spec.bins > this.bins ? new UpperBand(rules.upper_band, this.top, spec.bins) : null;
    this.pauses = pauses ? new Pauses(rules.pauses, this.bins) : null;
    this.filter = filter ? new MultiFrame(filter, rules.least_power, spec, channels) : null;
  }

  /** Clear the frames that a filter reads; level and states stay. */
  forgetFrames() {
    this.filter?.clear();
  }

  /** Return the `gains` (Float32Array) of frames, given the spectra of every channel, and what is `added` to these. */
  async push(spectra) {
    const count = spectra[0].length;
    const magnitudes = new Float32Array(this.bins * count);
    const inside = new Float32Array(this.bins);
    const scales = new Float64Array(count);
    for (let t = 0; t < count; t++) {
      this.#modelBand(spectra.map((frames) => frames[t]), inside);
      const level = this.level.push(inside);
      scales[t] = this.scale / level;
      for (let k = 0; k < this.bins; k++) magnitudes[k * count + t] = inside[k] / level;
    }
    const frames = this.filter?.push(spectra, scales);
    const { mask, weights } = await this.estimator.push(magnitudes, count, this.filter?.advances(frames));
    this.pauses?.push(mask, magnitudes, count);
    return {
      gains: repeated(count, (t) => this.#atRate(mask, magnitudes, t, count, spectra)),
      added: frames?.map((channels, t) => channels.map((each) => this.#filtered(each, mask, weights, t, scales))),
    };
  }

  /** What the filter adds to a channel's spectrum. */
  #filtered(frames, mask, weights, t, scales) {
    const sum = this.filter.sum(frames, weights, t, scales.length);
    return sum.map((part) => part.map((value, k) => (value * mask[k * scales.length + t]) / scales[t]));
  }

  /** Fill `inside` with the magnitudes of a frame at the model's scale; a missing upper band repeats the one below. */
  #modelBand(frame, inside) {
    const present = Math.min(this.bins, this.spec.bins);
    for (let k = 0; k < present; k++) {
      let power = 0;
      for (const [re, im] of frame) power += re[k] * re[k] + im[k] * im[k];
      inside[k] = Math.sqrt(power / frame.length) * this.scale;
    }
    const from = Math.floor(present / 2);
    for (let k = present; k < this.bins; k++) {
      inside[k] = this.rules.missing_band_gain * inside[from + ((k - present) % (present - 1 - from))];
    }
  }

  #atRate(mask, magnitudes, t, count, spectra) {
    const gain = new Float32Array(this.spec.bins);
    const known = this.above ? this.top[1] : this.spec.bins;
    for (let k = 0; k < known; k++) gain[k] = mask[k * count + t];
    if (this.above) {
      const power = meanPower(spectra.map((frames) => frames[t]), known);
      gain.set(this.above.push((k) => mask[k * count + t], (k) => magnitudes[k * count + t], power), known);
    }
    return gain;
  }
}

/** The power of the bins from `first` on, a mean over channels. */
function meanPower(frame, first) {
  const power = new Float64Array(frame[0][0].length - first);
  for (const [re, im] of frame) {
    for (let k = 0; k < power.length; k++) power[k] += (re[first + k] ** 2 + im[first + k] ** 2) / frame.length;
  }
  return power;
}

/** Root mean square of the magnitudes so far: a plain mean at first, an exponential one afterwards. */
class LevelTracker {
  constructor(seconds, frameSeconds, floor) {
    this.leastWeight = Math.min(1, frameSeconds / seconds);
    this.floor = floor;
    this.power = 0;
    this.counted = 0;
  }

  push(magnitudes) {
    let power = 0;
    for (const magnitude of magnitudes) power += magnitude * magnitude;
    power /= magnitudes.length;
    if (power > this.floor ** 2) {
      this.counted++;
      this.power += Math.max(1 / this.counted, this.leastWeight) * (power - this.power);
    }
    return Math.max(Math.sqrt(this.power), this.floor);
  }
}

function checked(block) {
  for (const samples of block) {
    for (const sample of samples) {
      if (!(Math.abs(sample) <= LARGEST_SAMPLE)) {
        throw new Fault("The recording holds samples that are NaN, infinite or absurdly large; repair it first.");
      }
    }
  }
  return block;
}

function* pieces(block, step) {
  for (let at = 0; at < block[0].length; at += step) yield block.map((samples) => samples.subarray(at, at + step));
}

function joined(blocks, channels) {
  const length = blocks.reduce((sum, block) => sum + block[0].length, 0);
  return repeated(channels, (channel) => {
    const whole = new Float32Array(length);
    let at = 0;
    for (const block of blocks) {
      whole.set(block[channel], at);
      at += block[channel].length;
    }
    return whole;
  });
}

function repeated(count, make) {
  return Array.from({ length: count }, (_, index) => make(index));
}
