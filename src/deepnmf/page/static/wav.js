// WAV files, read slice by slice at their own rate: decodeAudioData would resample them to that of its context.
import { Fault } from "./enhancer.js";

const PCM = { 1: "PCM_U8", 2: "PCM_16", 3: "PCM_24", 4: "PCM_32" };
const FLOAT = { 4: "FLOAT", 8: "DOUBLE" };
const SIZES = { PCM_U8: 1, PCM_16: 2, PCM_24: 3, PCM_32: 4, FLOAT: 4, DOUBLE: 8, ULAW: 1, ALAW: 1 };
const LARGEST_BYTES = 2 ** 32 - 2 ** 16;

/** Open a WAV file; return null if the bytes are not WAV, or in a coding that only the browser may decode. */
export async function openWav(file) {
  const head = new DataView(await file.slice(0, 12).arrayBuffer());
  if (head.byteLength < 12 || !["RIFF", "RF64", "BW64"].includes(text(head, 0)) || text(head, 8) !== "WAVE") return null;
  let format = null;
  let longSize = null;
  for (let at = 12; at + 8 <= file.size; ) {
    const chunk = new DataView(await file.slice(at, at + 8 + 64).arrayBuffer());
    const name = text(chunk, 0);
    let size = chunk.getUint32(4, true);
    if (name === "data") {
      if (size === 2 ** 32 - 1 && longSize !== null) size = longSize;
      return format && new WavFile(file, format, at + 8, size);
    }
    if (name === "ds64" && chunk.byteLength >= 24) longSize = Number(chunk.getBigUint64(16, true));
    if (name === "fmt ") {
      format = parsedFormat(chunk);
      if (format === null) return null;
    }
    at += 8 + size + (size % 2);
  }
  throw new Fault(`${file.name}: its WAV header is cut short; fetch the file again.`);
}

function text(view, at) {
  return String.fromCharCode(...[0, 1, 2, 3].map((k) => view.getUint8(at + k)));
}

function parsedFormat(chunk) {
  if (chunk.byteLength < 24) return null;
  let tag = chunk.getUint16(8, true);
  const channels = chunk.getUint16(10, true);
  const rateHz = chunk.getUint32(12, true);
  const size = chunk.getUint16(20, true) / channels;
  const extensible = tag === 0xfffe && chunk.byteLength >= 34;
  const mask = extensible ? chunk.getUint32(28, true) : 0;
  if (extensible) tag = chunk.getUint16(32, true);
  const subtype = { 1: PCM, 3: FLOAT, 6: { 1: "ALAW" }, 7: { 1: "ULAW" } }[tag]?.[size];
  return subtype && channels ? { rateHz, channels, subtype, extensible, mask } : null;
}

class WavFile {
  constructor(file, format, start, claimed) {
    this.file = file;
    this.format = format;
    this.start = start;
    this.frameBytes = SIZES[format.subtype] * format.channels;
    const there = file.size - start;
    const unknown = claimed === 0 || claimed >= 0x7f000000;
    this.frames = Math.floor((unknown ? there : Math.min(claimed, there)) / this.frameBytes);
    this.lost = !unknown && claimed > there ? "The file is cut short; what there is of it was enhanced." : "";
  }

  /** Return `count` samples of each channel, fewer at the end. */
  async read(at, count) {
    const from = this.start + at * this.frameBytes;
    const until = this.start + Math.min(at + count, this.frames) * this.frameBytes;
    const bytes = new DataView(await this.file.slice(from, until).arrayBuffer());
    return deinterleaved(decoded(bytes, this.format.subtype), this.format.channels);
  }
}

function deinterleaved(values, channels) {
  return Array.from({ length: channels }, (_, channel) =>
    Float32Array.from({ length: values.length / channels }, (_, k) => values[k * channels + channel]),
  );
}

const READ = {
  PCM_U8: (view, at) => (view.getUint8(at) - 128) / 2 ** 7,
  PCM_16: (view, at) => view.getInt16(at, true) / 2 ** 15,
  PCM_24: (view, at) => (view.getUint16(at, true) + view.getInt8(at + 2) * 2 ** 16) / 2 ** 23,
  PCM_32: (view, at) => view.getInt32(at, true) / 2 ** 31,
  FLOAT: (view, at) => view.getFloat32(at, true),
  DOUBLE: (view, at) => view.getFloat64(at, true),
  ULAW: (view, at) => muLaw(view.getUint8(at)),
  ALAW: (view, at) => aLaw(view.getUint8(at)),
};

function decoded(view, subtype) {
  const size = SIZES[subtype];
  const read = READ[subtype];
  return Float32Array.from({ length: Math.floor(view.byteLength / size) }, (_, k) => read(view, k * size));
}

function muLaw(byte) {
  const code = ~byte & 0xff;
  const size = ((2 * (code & 15) + 33) << (((code >> 4) & 7) + 2)) - 132;
  return (code & 0x80 ? -size : size) / 32768;
}

function aLaw(byte) {
  const code = byte ^ 0x55;
  const exponent = (code >> 4) & 7;
  const size = exponent ? (2 * (code & 15) + 33) << (exponent + 2) : (2 * (code & 15) + 1) << 3;
  return (code & 0x80 ? size : -size) / 32768;
}

const WRITE = {
  PCM_U8: (view, at, x) => view.setUint8(at, whole(x, 2 ** 7) + 128),
  PCM_16: (view, at, x) => view.setInt16(at, whole(x, 2 ** 15), true),
  PCM_24: (view, at, x) => {
    const value = whole(x, 2 ** 23);
    view.setUint16(at, value & 0xffff, true);
    view.setInt8(at + 2, value >> 16);
  },
  PCM_32: (view, at, x) => view.setInt32(at, whole(x, 2 ** 31), true),
  FLOAT: (view, at, x) => view.setFloat32(at, x, true),
  DOUBLE: (view, at, x) => view.setFloat64(at, x, true),
};

function whole(x, steps) {
  return Math.max(-steps, Math.min(steps - 1, Math.round(x * steps)));
}

/** Collects blocks as a WAV file of the input's rate, channels and width; A-law and mu-law become 16 bits. */
export class WavWriter {
  constructor(format, subtype = format.subtype) {
    this.format = format;
    this.subtype = subtype in WRITE ? subtype : "PCM_16";
    this.parts = [];
    this.bytes = 0;
    this.clipped = 0;
  }

  write(block) {
    const size = SIZES[this.subtype];
    const write = WRITE[this.subtype];
    const bounded = !["FLOAT", "DOUBLE"].includes(this.subtype);
    const bytes = new DataView(new ArrayBuffer(block.length * block[0].length * size));
    block.forEach((samples, channel) => {
      samples.forEach((x, k) => {
        if (bounded && Math.abs(x) > 1) this.clipped++;
        write(bytes, (k * block.length + channel) * size, x);
      });
    });
    this.bytes += bytes.byteLength;
    if (this.bytes > LARGEST_BYTES) throw new Fault("More than 4 GB do not fit into WAV; use deepnmf enhance.");
    this.parts.push(new Blob([bytes])); // the browser may keep it on disk
  }

  /** Return the file. */
  finish() {
    return new Blob([this.#header(), ...this.parts, new Uint8Array(this.bytes % 2)], { type: "audio/wav" });
  }

  #header() {
    const { rateHz, channels, extensible, mask } = this.format;
    const size = SIZES[this.subtype];
    const tag = ["FLOAT", "DOUBLE"].includes(this.subtype) ? 3 : 1;
    const wide = extensible || channels > 2;
    const formatBytes = wide ? 40 : 16;
    const view = new DataView(new ArrayBuffer(28 + formatBytes));
    const put = (at, letters) => [...letters].forEach((letter, k) => view.setUint8(at + k, letter.charCodeAt(0)));
    put(0, "RIFF");
    view.setUint32(4, 20 + formatBytes + this.bytes + (this.bytes % 2), true);
    put(8, "WAVEfmt ");
    view.setUint32(16, formatBytes, true);
    view.setUint16(20, wide ? 0xfffe : tag, true);
    view.setUint16(22, channels, true);
    view.setUint32(24, rateHz, true);
    view.setUint32(28, rateHz * channels * size, true);
    view.setUint16(32, channels * size, true);
    view.setUint16(34, 8 * size, true);
    if (wide) {
      view.setUint16(36, 22, true);
      view.setUint16(38, 8 * size, true);
      view.setUint32(40, mask, true);
      [tag, 0, 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71].forEach((b, k) => view.setUint8(44 + k, b));
    }
    put(20 + formatBytes, "data");
    view.setUint32(24 + formatBytes, this.bytes, true);
    return view;
  }
}
