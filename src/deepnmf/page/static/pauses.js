// Further attenuation in pauses of speech: deepnmf.dsp.pauses, whose constants are the rules.

/** The masks of a stream with further attenuation in pauses, frame by frame. */
export class Pauses {
  constructor(rules, bins) {
    this.rules = rules;
    this.bins = bins;
    this.bands = Math.min(rules.bands, bins);
    const positions = Float64Array.from({ length: bins }, (_, k) => (k * (this.bands - 1)) / Math.max(1, bins - 1));
    this.below = positions.map((position) => Math.max(0, Math.min(Math.floor(position), this.bands - 2)));
    this.beyond = positions.map((position, k) => position - this.below[k]);
    this.energies = rules.least_energy.map(() => new Float64Array(this.bands + 1)); // of mixture and output
    this.sizes = this.#sums(() => 1);
    this.highest = 0;
  }

  /** Change the masks of the next frames in place, given magnitudes at unit level: (F, N) both, row by row. */
  push(mask, magnitudes, frames) {
    for (let t = 0; t < frames; t++) {
      const ratios = this.#ratios((k) => mask[k * frames + t], (k) => magnitudes[k * frames + t]);
      const share = this.#share(ratios);
      if (share === 0) continue;
      const steady = ratios.map((ratio) => this.rules.pause_gain * Math.sqrt(ratio));
      for (let k = 0; k < this.bins; k++) {
        const [low, high] = [steady[this.below[k]], steady[this.below[k] + 1]];
        mask[k * frames + t] += share * (low + this.beyond[k] * (high - low) - mask[k * frames + t]);
      }
    }
  }

  /** The squared gains of the bands, and of the whole, after a frame. */
  #ratios(maskAt, magnitudeAt) {
    const { decay, least_energy: least } = this.rules;
    const [mixture, output] = this.energies;
    const powers = [this.#sums((k) => magnitudeAt(k) ** 2), this.#sums((k) => (maskAt(k) * magnitudeAt(k)) ** 2)];
    this.energies.forEach((energies, index) => {
      for (let band = 0; band < energies.length; band++) {
        const power = powers[index][band] / this.sizes[band] + least[index];
        energies[band] += (1 - decay) * (power - energies[band]);
      }
    });
    return output.map((energy, band) => energy / mixture[band]);
  }

  /** How far a frame is a pause, 0 to 1. */
  #share(ratios) {
    const { whole_gain: whole, band_gain: band, of_highest: ofHighest, fade } = this.rules;
    const gain = Math.max(...ratios.subarray(0, -1), (band / whole) ** 2 * ratios[this.bands]);
    this.highest = Math.max(this.highest, gain);
    const limit = Math.min(band ** 2, ofHighest ** 2 * this.highest);
    return gain < limit ? Math.min(1, fade * (1 - Math.sqrt(gain / limit))) : 0;
  }

  /** Sums over triangles around the bands, and over all bins. */
  #sums(valueAt) {
    const sums = new Float64Array(this.bands + 1);
    for (let k = 0; k < this.bins; k++) {
      const value = valueAt(k);
      sums[this.below[k]] += (1 - this.beyond[k]) * value;
      if (this.beyond[k]) sums[this.below[k] + 1] += this.beyond[k] * value;
      sums[this.bands] += value;
    }
    return sums;
  }
}
