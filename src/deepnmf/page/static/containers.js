// The sampling rate of compressed recordings, from their headers: the browser decodes them, but would resample.

const MP3_RATES = [44100, 48000, 32000];
const AAC_RATES = [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350];

/** Return the sampling rate of FLAC, Ogg, MP3, AAC, MP4 or WebM, null if the bytes are none of these. */
export function rateOf(bytes) {
  const at = afterId3(bytes);
  if (starts(bytes, "fLaC", at)) return flacRate(bytes, at);
  if (starts(bytes, "OggS")) return oggRate(bytes);
  if (starts(bytes, "ftyp", 4)) return mp4Rate(bytes);
  if (bytes[0] === 0x1a && bytes[1] === 0x45) return webmRate(bytes);
  return frameRate(bytes, at);
}

function starts(bytes, letters, at = 0) {
  return [...letters].every((letter, k) => bytes[at + k] === letter.charCodeAt(0));
}

/** Return the position of a word of bytes, −1 without one. */
function find(bytes, letters, from = 0, until = bytes.length) {
  const first = letters.charCodeAt(0);
  for (let at = bytes.indexOf(first, from); at >= 0 && at < until; at = bytes.indexOf(first, at + 1)) {
    if (starts(bytes, letters, at)) return at;
  }
  return -1;
}

function view(bytes, at, length) {
  return at >= 0 && at + length <= bytes.length ? new DataView(bytes.buffer, bytes.byteOffset + at, length) : null;
}

function afterId3(bytes) {
  if (!starts(bytes, "ID3")) return 0;
  return 10 + bytes.slice(6, 10).reduce((size, byte) => (size << 7) | (byte & 0x7f), 0);
}

function flacRate(bytes, at) {
  return (view(bytes, at + 18, 4)?.getUint32(0) ?? 0) >>> 12 || null;
}

function oggRate(bytes) {
  const page = bytes.subarray(0, 512);
  if (find(page, "OpusHead") >= 0) return 48000; // Opus always decodes to it
  const flac = find(page, "fLaC");
  if (flac >= 0) return flacRate(bytes, flac);
  const vorbis = find(page, "\x01vorbis");
  return view(bytes, vorbis, 16)?.getUint32(12, true) ?? null;
}

function mp4Rate(bytes) {
  if (find(bytes, "dOps") >= 0) return 48000;
  const entry = ["mp4a", "alac", "fLaC"].map((name) => find(bytes, name, find(bytes, "stsd"))).find((at) => at >= 0);
  const rate = entry === undefined ? null : (view(bytes, entry + 28, 2)?.getUint16(0) ?? null);
  return aacRate(bytes, find(bytes, "esds", entry ?? 0)) ?? (rate || null);
}

/** Return the output rate of an AudioSpecificConfig: spectral band replication doubles that of the core. */
function aacRate(bytes, esds) {
  if (esds < 0) return null;
  const start = bytes.indexOf(0x05, esds + 8);
  if (start < 0 || start > esds + 64) return null;
  let at = start + 1;
  while (bytes[at] & 0x80) at++;
  const config = view(bytes, at + 1, 4);
  if (config === null) return null;
  const bits = config.getUint32(0);
  const core = AAC_RATES[(bits >>> 23) & 15] ?? null;
  return bits >>> 27 === 5 ? (AAC_RATES[(bits >>> 15) & 15] ?? core) : core;
}

function webmRate(bytes) {
  if (find(bytes, "A_OPUS", 0, 1 << 16) >= 0) return 48000;
  for (let at = bytes.indexOf(0xb5); at >= 0 && at < 1 << 16; at = bytes.indexOf(0xb5, at + 1)) {
    const size = bytes[at + 1] & 0x7f;
    const rate = size === 8 ? view(bytes, at + 2, 8)?.getFloat64(0) : size === 4 ? view(bytes, at + 2, 4)?.getFloat32(0) : 0;
    if (rate >= 3000 && rate <= 768000) return rate;
  }
  return null;
}

/** Return the rate of the first frame of MP3 or ADTS, twelve ones and the header after them. */
function frameRate(bytes, from) {
  for (let at = from; at < Math.min(bytes.length - 4, from + (1 << 16)); at++) {
    if (bytes[at] !== 0xff || (bytes[at + 1] & 0xe0) !== 0xe0) continue;
    const [second, third] = [bytes[at + 1], bytes[at + 2]];
    if ((second & 0xf6) === 0xf0) return AAC_RATES[(third >> 2) & 15] ?? null;
    const version = (second >> 3) & 3; // 0: MPEG 2.5, 2: MPEG 2, 3: MPEG 1
    const index = (third >> 2) & 3;
    if (version === 1 || index === 3 || (second & 6) === 0 || third >> 4 === 15) continue;
    return MP3_RATES[index] / { 0: 4, 2: 2, 3: 1 }[version];
  }
  return null;
}
