// A model: its graph in ONNX Runtime, and a stream of masks. Runtime and graphs are cached by the browser.
import { Fault } from "./enhancer.js";

const CACHE = "deepnmf";

/** Return a page's file that never changes under its hash: from the cache, else fetched, checked and cached. */
async function cachedBytes({ url, sha256 }) {
  const cache = await globalThis.caches?.open(CACHE).catch(() => null); // none on an insecure origin
  const key = `${url}?sha256=${sha256}`;
  const known = await cache?.match(key);
  if (known) return known.arrayBuffer();
  const response = await fetch(key).catch(() => null);
  if (!response?.ok) throw new Fault(`${url} cannot be loaded (${response?.status ?? "no connection"}); reload the page.`);
  const bytes = await response.arrayBuffer();
  if (globalThis.crypto?.subtle && (await hexDigest(bytes)) !== sha256) {
    throw new Fault(`${url} is damaged; reload the page.`);
  }
  await cache?.put(key, new Response(bytes)).catch(() => {}); // a full disk is no reason to stop
  return bytes;
}

async function hexDigest(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

let runtime = null;

async function startedRuntime(files) {
  if (typeof WebAssembly !== "object") {
    throw new Fault("This browser has no WebAssembly, which the model needs; use another browser or deepnmf enhance.");
  }
  const ort = await import(`./${files.script.url}`);
  ort.env.wasm.wasmBinary = await cachedBytes(files.binary);
  ort.env.wasm.wasmPaths = { mjs: new URL(files.loader.url, import.meta.url).href };
  ort.env.wasm.numThreads = globalThis.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency || 1) : 1;
  ort.env.logLevel = "error";
  return ort;
}

/** Load a model by its entry in page.json. */
export async function loadModel(describe, files) {
  const graph = await cachedBytes(describe.graph);
  runtime ??= startedRuntime(files);
  try {
    const ort = await runtime;
    const session = await ort.InferenceSession.create(graph);
    return { describe, estimator: () => new Estimator(ort, session, describe) };
  } catch (error) {
    runtime = null;
    if (error instanceof Fault) throw error;
    throw new Fault(`The model cannot be started in this browser (${error.message}); try another browser.`);
  }
}

/** Masks of a stream, and weights of the filter if the model has one; the states start as zeros. */
export class Estimator {
  constructor(ort, session, { stft, filter }) {
    this.ort = ort;
    this.session = session;
    this.bins = Math.floor(stft.fft_size / 2) + 1;
    this.filter = filter;
    this.states = {};
    for (const { name, shape } of session.inputMetadata.slice(filter ? 2 : 1)) {
      const size = shape.reduce((product, length) => product * length, 1);
      this.states[name] = new ort.Tensor("float32", new Float32Array(size), shape);
    }
  }

  /** Return `mask` (F, N) and `weights` (2, 1 + K, L, N), from magnitudes (F, N) at unit level and `advances` (2, K, L, N). */
  async push(magnitudes, frames, advances) {
    const inputs = { magnitudes: new this.ort.Tensor("float32", magnitudes, [this.bins, frames]) };
    if (this.filter) {
      const shape = [2, this.filter.past_frames, this.filter.bins, frames];
      inputs.advances = new this.ort.Tensor("float32", advances, shape);
    }
    const results = await this.session.run({ ...inputs, ...this.states });
    for (const name of Object.keys(this.states)) this.states[name] = results[`${name}_next`];
    return { mask: results.mask.data, weights: results.filter_weights?.data };
  }
}
