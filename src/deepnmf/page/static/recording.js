// A dropped file as a recording at its true rate. WAV stays a file, read slice by slice in the worker; what only the
// browser can decode is decoded here, in a context of the file's own rate, so that nothing is resampled.
import { rateOf } from "./containers.js";
import { Fault } from "./enhancer.js";

const MOST_COMPRESSED_BYTES = 150e6;
const MOST_SECONDS = 2 * 3600;
const UNKNOWN_RATE_HZ = 48000;

/** Return {file} or {channels}, and rateHz, channelCount, frames, notes. `openInWorker` returns a WAV header or null. */
export async function openRecording(file, openInWorker) {
  if (!file.size) throw new Fault(`${file.name} is empty.`);
  const wav = await openInWorker(file);
  if (wav && !wav.frames) throw new Fault(`${file.name} holds no sound.`);
  if (wav) return { file, rateHz: wav.rateHz, channelCount: wav.channels, frames: wav.frames, notes: wav.lost ? [wav.lost] : [] };
  return decodedRecording(file);
}

async function decodedRecording(file) {
  const tooLong = `${file.name} is too long to decode in a browser: convert it to WAV, which is read piece by piece, or use deepnmf enhance.`;
  if (file.size > MOST_COMPRESSED_BYTES) throw new Fault(tooLong);
  const bytes = await file.arrayBuffer();
  const rate = rateOf(new Uint8Array(bytes));
  const rateHz = rate ?? UNKNOWN_RATE_HZ;
  const buffer = await decoded(bytes, rateHz, file.name);
  if (buffer.duration > MOST_SECONDS) throw new Fault(tooLong);
  if (!buffer.length) throw new Fault(`${file.name} holds no sound.`);
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, channel) => buffer.getChannelData(channel).slice());
  const notes = rate ? [] : [`Its sampling rate could not be read: resampled to ${UNKNOWN_RATE_HZ / 1000} kHz.`];
  return { channels, rateHz, channelCount: channels.length, frames: buffer.length, notes };
}

async function decoded(bytes, rateHz, name) {
  try {
    return await new OfflineAudioContext(1, 1, rateHz).decodeAudioData(bytes);
  } catch {
    throw new Fault(`${name} is not a recording that this browser can read. Try WAV, FLAC, MP3, Ogg or M4A.`);
  }
}
