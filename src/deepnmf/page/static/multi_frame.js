// The filter over several frames behind the mask: deepnmf.dsp.past_frames, and its part of the enhancer. A frame is [re, im].

/** The present and past frames of the lowest bins, those of a recording's transform with the same bin spacing. */
export class MultiFrame {
  /**
   * @param {object} filter L `bins` and K `past_frames`, of the model's entry in page.json.
   * @param {number} leastPower Added to the magnitude of a cross-spectrum.
   */
  constructor({ bins, past_frames: count }, leastPower, spec, channels) {
    [this.bins, this.count, this.leastPower, this.channels] = [bins, count, leastPower, channels];
    this.present = Math.min(bins, spec.bins);
    this.turns = Array.from({ length: count }, (_, past) => turn((past + 1) * spec.hop, spec.fftSize, this.present));
    this.clear();
  }

  /** Forget all frames: they are of the audio, unlike the states of the network. */
  clear() {
    this.past = Array.from({ length: this.channels }, () => Array.from({ length: this.count }, () => zeros(this.present)));
  }

  /** Return frames at unit level by time and channel, each the present one and K before, turned to the present. */
  push(spectra, scales) {
    return Array.from(scales, (scale, t) => spectra.map((frames, channel) => this.#turned(frames[t], scale, channel)));
  }

  #turned([re, im], scale, channel) {
    const unit = [re, im].map((part) => Float64Array.from(part.subarray(0, this.present), (value) => value * scale));
    const past = this.past[channel];
    const turned = past.map((frame, index) => product(this.turns[index], frame));
    this.past[channel] = [unit, ...past].slice(0, this.count);
    return [unit, ...turned];
  }

  /** Return the phase advances (2, K, L, N) of the frames of `push`, zeros beyond the band. */
  advances(times) {
    const advances = new Float32Array(2 * this.count * this.bins * times.length);
    times.forEach((channels, t) => {
      for (let past = 0; past < this.count; past++) {
        for (let k = 0; k < this.present; k++) {
          const [re, im] = advance(channels, past + 1, k, this.leastPower);
          const at = (past * this.bins + k) * times.length + t;
          advances[at] = re;
          advances[at + advances.length / 2] = im;
        }
      }
    });
    return advances;
  }

  /** Return the weighted sum of a channel's frames at one time, for weights (2, 1 + K, L, N). */
  sum(frames, weights, t, times) {
    const [re, im] = zeros(this.present);
    frames.forEach(([frameRe, frameIm], index) => {
      for (let k = 0; k < this.present; k++) {
        const at = (index * this.bins + k) * times + t;
        const [weightRe, weightIm] = [weights[at], weights[at + weights.length / 2]];
        re[k] += weightRe * frameRe[k] - weightIm * frameIm[k];
        im[k] += weightRe * frameIm[k] + weightIm * frameRe[k];
      }
    });
    return [re, im];
  }
}

/** The phase of the mean cross-spectrum of the channels at a bin, from a past frame to the present one. */
function advance(channels, index, k, leastPower) {
  let [re, im] = [0, 0];
  for (const frames of channels) {
    const [a, b] = [frames[0][0][k], frames[0][1][k]];
    const [c, d] = [frames[index][0][k], frames[index][1][k]];
    re += (a * c + b * d) / channels.length;
    im += (b * c - a * d) / channels.length;
  }
  const scale = 1 / (Math.hypot(re, im) + leastPower);
  return [re * scale, im * scale];
}

/** Factors that advance the phase of each bin by some samples. */
function turn(samples, fftSize, bins) {
  const angles = Float64Array.from({ length: bins }, (_, k) => (2 * Math.PI * ((samples * k) % fftSize)) / fftSize);
  return [angles.map(Math.cos), angles.map(Math.sin)];
}

function product([a, b], [c, d]) {
  return [a.map((value, k) => value * c[k] - b[k] * d[k]), a.map((value, k) => value * d[k] + b[k] * c[k])];
}

function zeros(length) {
  return [new Float64Array(length), new Float64Array(length)];
}
