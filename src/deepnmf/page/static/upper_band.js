// Gains above the band of a model: deepnmf.dsp.upper_band, whose constants are the rules.

/** Gains of the bins from `stop` to `bins`, frame by frame; `start` to `stop` is the top of the model's band. */
export class UpperBand {
  constructor(rules, [start, stop], bins) {
    this.rules = rules;
    [this.start, this.stop, this.above] = [start, stop, bins - stop];
    this.count = Math.min(this.above, 2 + roundHalfEven(this.above / rules.band_bins));
    this.spacing = Math.max(1, this.above - 1) / Math.max(1, this.count - 1);
    this.part = (stop - start) / rules.top_parts;
    this.tilt = 0;
    this.counted = 0;
    this.noise = new Float64Array(this.count);
    this.speech = new Float64Array(this.count);
    this.weights = this.pool(new Float64Array(this.above).fill(1));
  }

  /** The gains (Float64Array) of a frame, from mask and magnitudes by bin of the model, and power by bin above. */
  push(maskAt, magnitudeAt, power) {
    const { rules } = this;
    const total = new Float64Array(rules.top_parts);
    const masked = new Float64Array(rules.top_parts);
    for (let k = this.start; k < this.stop; k++) {
      const part = Math.floor((k - this.start) / this.part);
      const weight = magnitudeAt(k) + rules.least_magnitude;
      total[part] += weight;
      masked[part] += maskAt(k) * weight;
    }
    const bands = this.pool(power).map((sum, band) => sum / this.weights[band]);
    return this.spread(this.#next(total, masked, bands));
  }

  #next(total, masked, power) {
    const { rules } = this;
    const last = rules.top_parts - 1;
    const mean = Math.min(1, sum(masked) / sum(total));
    const [low, high] = [0, last].map((part) => masked[part] / total[part] + rules.mask_floor);
    this.tilt += rules.tilt_weight * (Math.log(high / low) / last - this.tilt);
    const absence = (1 - mean) ** rules.speech_absence;
    this.counted += absence;
    const weight = absence * Math.max(rules.noise_weight, 1 / Math.max(1, this.counted));
    return power.map((value, band) => {
      const steps = (band * this.spacing) / this.part;
      const carried = mean * Math.exp(Math.max(rules.steepest, Math.min(0, this.tilt) * steps));
      this.noise[band] += weight * (value - this.noise[band]);
      const rise = (1 - rules.past_weight) * Math.max(value - this.noise[band], 0);
      const speech = rise + rules.past_weight * this.speech[band] + rules.tiny;
      const share = Math.max(speech / (speech + this.noise[band]), rules.least_share);
      this.speech[band] = share * share * value;
      return Math.min(carried, Math.sqrt(carried * share));
    });
  }

  /** Sums over triangles around the bands. */
  pool(bins) {
    const sums = new Float64Array(this.count);
    bins.forEach((value, bin) => this.#shares(bin).forEach(([band, share]) => (sums[band] += share * value)));
    return sums;
  }

  /** Values of bands, interpolated at the bins. */
  spread(bands) {
    return new Float64Array(this.above).map((_, bin) => sum(this.#shares(bin).map(([band, share]) => share * bands[band])));
  }

  #shares(bin) {
    const position = bin / this.spacing;
    const band = Math.min(Math.floor(position), this.count - 1);
    const beyond = position - band;
    return band + 1 < this.count ? [[band, 1 - beyond], [band + 1, beyond]] : [[band, 1]];
  }
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

/** Python's rounding. */
function roundHalfEven(x) {
  const floor = Math.floor(x);
  return x - floor === 0.5 ? floor + (floor % 2) : Math.round(x);
}
