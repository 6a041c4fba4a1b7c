// Everything that computes: reading, the model, writing. The page stays responsive, and can end it.
import { Enhancer, Fault } from "./enhancer.js";
import { loadModel } from "./model.js";
import { Picture } from "./picture.js";
import { WavWriter, openWav } from "./wav.js";

const BLOCK_SECONDS = 1;

const models = new Map();
let page = null; // page.json
let job = 0; // the last one asked for: earlier ones stop

function model(name) {
  if (!models.has(name)) {
    const loading = loadModel(page.models.find((entry) => entry.name === name), page.runtime);
    loading.catch(() => models.delete(name)); // asked again, it is tried again
    models.set(name, loading);
  }
  return models.get(name);
}

const actions = {
  start({ description }) {
    page = description;
  },
  async open({ id, file }) {
    const wav = await openWav(file);
    postMessage({ type: "opened", id, wav: wav && { ...wav.format, frames: wav.frames, lost: wav.lost } });
  },
  enhance,
  cancel() {
    job++;
  },
  live,
};

addEventListener("message", async ({ data }) => {
  try {
    await actions[data.type](data);
  } catch (error) {
    const memory = error instanceof RangeError || error.name === "NotReadableError";
    const line = memory ? "There is not enough memory for this recording; use deepnmf enhance." : `${error.message}`;
    postMessage({ type: "failed", id: data.id, line, expected: memory || error instanceof Fault });
  }
});

/** Decoded channels, with the interface of a WAV file. */
function decodedSource(channels, rateHz) {
  const format = { rateHz, channels: channels.length, subtype: "PCM_16", extensible: false, mask: 0 };
  const read = (at, count) => channels.map((samples) => samples.subarray(at, at + count));
  return { format, frames: channels[0].length, read };
}

async function enhance({ id, file, channels, rateHz, modelName, maxAttenuationDb }) {
  job = id;
  const source = channels ? decodedSource(channels, rateHz) : await openWav(file);
  const loaded = await model(modelName);
  const { format } = source;
  let complete = [];
  const observer = (before, after) => complete.push(...picture.push(before, after));
  const enhancer = new Enhancer(loaded, page.rules, format.rateHz, format.channels, { maxAttenuationDb, observer });
  const picture = new Picture(enhancer.spec, Math.ceil(source.frames / enhancer.spec.hop));
  const output = new WavWriter(format);
  const previews = previewWriters(format, channels);
  const report = (fraction) => {
    postMessage({ type: "progress", id, fraction, columns: complete, of: picture.columns });
    complete = [];
  };
  const write = (block, original) => {
    output.write(block);
    previews.after?.write(block);
    if (original) previews.before?.write(original);
  };

  await enhancer.warmUp(await source.read(0, Math.floor(page.rules.warm_up_seconds * format.rateHz)));
  const step = Math.floor(BLOCK_SECONDS * format.rateHz);
  for (let at = 0; at < source.frames; at += step) {
    const block = await source.read(at, step);
    write(await enhancer.process(block), block);
    report(Math.min(1, (at + step) / source.frames));
    await messagesReceived();
    if (job !== id) return;
  }
  write(await enhancer.flush());
  complete.push(...picture.finish());
  report(1);
  const enhanced = output.finish();
  const after = previews.after?.finish() ?? enhanced;
  const before = previews.before?.finish() ?? file;
  postMessage({ type: "done", id, enhanced, before, after, clipped: output.clipped });
}

/** Browsers play 16-bit WAV; what is in another coding gets a copy to listen to. */
function previewWriters(format, channels) {
  const plays = format.subtype === "PCM_16" && !format.extensible;
  const preview = () => new WavWriter({ ...format, extensible: false }, "PCM_16");
  return { before: plays && !channels ? null : preview(), after: plays ? null : preview() };
}

/** Let messages in that have arrived meanwhile: a cancel among them. */
function messagesReceived() {
  return new Promise((resolve) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => {
      channel.port1.close();
      resolve();
    };
    channel.port2.postMessage(null);
  });
}

/** Enhance blocks from a port and send them back, with the dry signal at the same delay. */
async function live({ id, port, rateHz, modelName, maxAttenuationDb }) {
  const enhancer = new Enhancer(await model(modelName), page.rules, rateHz, 1, { maxAttenuationDb });
  let waiting = new Float32Array(0);
  let queue = Promise.resolve();
  const answer = async (samples) => {
    const all = new Float32Array(waiting.length + samples.length);
    all.set(waiting);
    all.set(samples, waiting.length);
    const [enhanced] = await enhancer.process([samples]);
    waiting = all.slice(enhanced.length);
    const dry = all.slice(0, enhanced.length);
    port.postMessage({ enhanced, dry }, [enhanced.buffer, dry.buffer]);
  };
  port.onmessage = ({ data }) => {
    queue = queue.then(() => answer(data)).catch((error) => {
      port.onmessage = null;
      postMessage({ type: "failed", id, line: error.message, expected: error instanceof Fault });
    });
  };
  postMessage({ type: "live", id });
}
