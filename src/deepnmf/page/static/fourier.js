// Fourier transforms of any size, two real signals at a time.

/** Complex transform of a fixed size: mixed radix where 2, 3 and 5 divide the size down to 1, else by Bluestein. */
class Complex {
  constructor(size) {
    this.size = size;
    this.factors = factors(size);
    if (this.factors === null) {
      this.#prepareConvolution();
      return;
    }
    this.cos = Float64Array.from({ length: size }, (_, k) => Math.cos((2 * Math.PI * k) / size));
    this.sin = Float64Array.from({ length: size }, (_, k) => -Math.sin((2 * Math.PI * k) / size));
    this.spareRe = new Float64Array(size);
    this.spareIm = new Float64Array(size);
  }

  /** Transform `re` + i `im` in place. */
  forward(re, im) {
    if (this.factors === null) this.#convolve(re, im);
    else this.#mixedRadix(re, im);
  }

  /** Invert `forward` in place. */
  inverse(re, im) {
    this.forward(im, re);
    for (let k = 0; k < this.size; k++) {
      re[k] /= this.size;
      im[k] /= this.size;
    }
  }

  /** Stockham's algorithm: each pass splits off one factor, and the order sorts itself. */
  #mixedRadix(re, im) {
    let from = [re, im];
    let to = [this.spareRe, this.spareIm];
    let length = this.size;
    let stride = 1;
    for (const radix of this.factors) {
      PASSES[radix](from, to, length / radix, stride, this.cos, this.sin);
      [from, to] = [to, from];
      length /= radix;
      stride *= radix;
    }
    if (from[0] !== re) {
      re.set(from[0]);
      im.set(from[1]);
    }
  }

  #prepareConvolution() {
    const { size } = this;
    let padded = 2 * size - 1;
    while (!isFast(factors(padded))) padded++;
    this.inner = new Complex(padded);
    // exp(−iπk²/n): k² modulo 2n, as the angle of a large number would lose digits
    const angle = (k) => (Math.PI * ((k * k) % (2 * size))) / size;
    this.chirpRe = Float64Array.from({ length: size }, (_, k) => Math.cos(angle(k)));
    this.chirpIm = Float64Array.from({ length: size }, (_, k) => -Math.sin(angle(k)));
    [this.filterRe, this.filterIm, this.workRe, this.workIm] = Array.from({ length: 4 }, () => new Float64Array(padded));
    for (let k = 0; k < size; k++) {
      const mirrored = (padded - k) % padded;
      this.filterRe[k] = this.filterRe[mirrored] = this.chirpRe[k];
      this.filterIm[k] = this.filterIm[mirrored] = -this.chirpIm[k];
    }
    this.inner.forward(this.filterRe, this.filterIm);
  }

  /** Bluestein's algorithm: a convolution with a chirp. */
  #convolve(re, im) {
    const { size, inner, chirpRe, chirpIm, filterRe, filterIm, workRe, workIm } = this;
    workRe.fill(0);
    workIm.fill(0);
    for (let k = 0; k < size; k++) {
      workRe[k] = re[k] * chirpRe[k] - im[k] * chirpIm[k];
      workIm[k] = re[k] * chirpIm[k] + im[k] * chirpRe[k];
    }
    inner.forward(workRe, workIm);
    for (let k = 0; k < inner.size; k++) {
      const real = workRe[k] * filterRe[k] - workIm[k] * filterIm[k];
      workIm[k] = workRe[k] * filterIm[k] + workIm[k] * filterRe[k];
      workRe[k] = real;
    }
    inner.inverse(workRe, workIm);
    for (let k = 0; k < size; k++) {
      re[k] = workRe[k] * chirpRe[k] - workIm[k] * chirpIm[k];
      im[k] = workRe[k] * chirpIm[k] + workIm[k] * chirpRe[k];
    }
  }
}

/** Return the factors 4, 2, 3 and 5 of a size, or null if others are left. */
function factors(size) {
  const found = [];
  for (const factor of [4, 2, 3, 5]) {
    for (; size % factor === 0; size /= factor) found.push(factor);
  }
  return size === 1 ? found : null;
}

/** Whether a size has at most one odd factor: passes of those take longer. */
function isFast(found) {
  return found !== null && found.filter((factor) => factor % 2).length < 2;
}

/** Passes by radix: from, to, length of the parts, stride, and the roots of unity of the whole size. */
const PASSES = { 2: pass2, 3: passOdd(3), 4: pass4, 5: passOdd(5) };

function pass2([re, im], [toRe, toIm], length, stride, cos, sin) {
  const half = length * stride;
  for (let j = 0; j < length; j++) {
    const c = cos[j * stride];
    const s = sin[j * stride];
    for (let k = 0; k < stride; k++) {
      const a = k + stride * j;
      const b = a + half;
      const to = k + stride * 2 * j;
      const differenceRe = re[a] - re[b];
      const differenceIm = im[a] - im[b];
      toRe[to] = re[a] + re[b];
      toIm[to] = im[a] + im[b];
      toRe[to + stride] = differenceRe * c - differenceIm * s;
      toIm[to + stride] = differenceRe * s + differenceIm * c;
    }
  }
}

function pass4([re, im], [toRe, toIm], length, stride, cos, sin) {
  const part = length * stride;
  for (let j = 0; j < length; j++) {
    const root = j * stride;
    const c1 = cos[root];
    const s1 = sin[root];
    const c2 = cos[2 * root];
    const s2 = sin[2 * root];
    const c3 = cos[3 * root];
    const s3 = sin[3 * root];
    for (let k = 0; k < stride; k++) {
      const a = k + root;
      const b = a + part;
      const c = b + part;
      const d = c + part;
      const sumRe = re[a] + re[c];
      const sumIm = im[a] + im[c];
      const otherRe = re[b] + re[d];
      const otherIm = im[b] + im[d];
      const differenceRe = re[a] - re[c];
      const differenceIm = im[a] - im[c];
      const turnedRe = im[b] - im[d]; // −i (b − d)
      const turnedIm = re[d] - re[b];
      const to = k + 4 * root;
      toRe[to] = sumRe + otherRe;
      toIm[to] = sumIm + otherIm;
      let real = differenceRe + turnedRe;
      let imaginary = differenceIm + turnedIm;
      toRe[to + stride] = real * c1 - imaginary * s1;
      toIm[to + stride] = real * s1 + imaginary * c1;
      real = sumRe - otherRe;
      imaginary = sumIm - otherIm;
      toRe[to + 2 * stride] = real * c2 - imaginary * s2;
      toIm[to + 2 * stride] = real * s2 + imaginary * c2;
      real = differenceRe - turnedRe;
      imaginary = differenceIm - turnedIm;
      toRe[to + 3 * stride] = real * c3 - imaginary * s3;
      toIm[to + 3 * stride] = real * s3 + imaginary * c3;
    }
  }
}

function passOdd(radix) {
  const rootsRe = Float64Array.from({ length: radix * radix }, (_, i) =>
    Math.cos((2 * Math.PI * Math.floor(i / radix) * (i % radix)) / radix),
  );
  const rootsIm = Float64Array.from({ length: radix * radix }, (_, i) =>
    -Math.sin((2 * Math.PI * Math.floor(i / radix) * (i % radix)) / radix),
  );
  return ([re, im], [toRe, toIm], length, stride, cos, sin) => {
    const part = length * stride;
    for (let j = 0; j < length; j++) {
      for (let k = 0; k < stride; k++) {
        for (let t = 0; t < radix; t++) {
          let real = 0;
          let imaginary = 0;
          for (let r = 0; r < radix; r++) {
            const from = k + stride * j + r * part;
            const c = rootsRe[t * radix + r];
            const s = rootsIm[t * radix + r];
            real += re[from] * c - im[from] * s;
            imaginary += re[from] * s + im[from] * c;
          }
          const to = k + stride * (radix * j + t);
          const root = t * j * stride;
          toRe[to] = real * cos[root] - imaginary * sin[root];
          toIm[to] = real * sin[root] + imaginary * cos[root];
        }
      }
    }
  };
}

/** Transform of two real signals at once, as the real and the imaginary part of one complex signal. */
export class RealPair {
  constructor(size) {
    this.size = size;
    this.bins = Math.floor(size / 2) + 1;
    this.re = new Float64Array(size);
    this.im = new Float64Array(size);
    this.complex = new Complex(size);
  }

  /** Transform what is in `re` and `im`; return their spectra up to half the rate, [re, im] each. */
  forward() {
    const { size, bins, re, im } = this;
    this.complex.forward(re, im);
    const [firstRe, firstIm, secondRe, secondIm] = Array.from({ length: 4 }, () => new Float64Array(bins));
    for (let k = 0; k < bins; k++) {
      const mirrored = (size - k) % size;
      firstRe[k] = (re[k] + re[mirrored]) / 2;
      firstIm[k] = (im[k] - im[mirrored]) / 2;
      secondRe[k] = (im[k] + im[mirrored]) / 2;
      secondIm[k] = (re[mirrored] - re[k]) / 2;
    }
    return [[firstRe, firstIm], [secondRe, secondIm]];
  }

  /** Leave the signals of two spectra in `re` and `im`. */
  inverse([firstRe, firstIm], [secondRe, secondIm]) {
    const { size, bins, re, im } = this;
    for (let k = 0; k < bins; k++) {
      const mirrored = (size - k) % size;
      re[mirrored] = firstRe[k] + secondIm[k];
      im[mirrored] = secondRe[k] - firstIm[k];
      re[k] = firstRe[k] - secondIm[k];
      im[k] = secondRe[k] + firstIm[k];
      if (mirrored === k) {
        re[k] = firstRe[k]; // of real signals, these bins are real
        im[k] = secondRe[k];
      }
    }
    this.complex.inverse(re, im);
  }
}
