// The worker, as promises and events; a crashed one is replaced.
import { Fault } from "./enhancer.js";

const CRASH = "The part of the page that computes has stopped, perhaps for lack of memory; try again or use deepnmf enhance.";

export class Engine {
  #worker = null;
  #waiting = new Map(); // by id: {resolve, reject, onProgress}
  #last = 0;

  constructor(description) {
    this.description = description;
  }

  /** Return the header of a WAV file, null if it is none. */
  async open(file) {
    return (await this.#ask({ type: "open", file })).wav;
  }

  /** Enhance a recording; the promise is rejected with null where `cancel` ended it. */
  enhance(recording, settings, onProgress) {
    const { file, channels, rateHz } = recording;
    return this.#ask({ type: "enhance", ...(channels ? { channels, rateHz } : { file }), ...settings }, onProgress);
  }

  /** Enhance what comes through a port. */
  live(port, rateHz, settings, onFault) {
    const asked = this.#ask({ type: "live", port, rateHz, ...settings }, null, [port]);
    this.onLiveFault = onFault;
    return asked;
  }

  /** End whatever runs. */
  cancel() {
    this.#worker?.postMessage({ type: "cancel" });
    for (const { reject } of this.#waiting.values()) reject(null);
    this.#waiting.clear();
  }

  #ask(message, onProgress = null, transfer = []) {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, onProgress });
      this.#started().postMessage({ ...message, id }, transfer);
    });
  }

  #started() {
    if (this.#worker) return this.#worker;
    const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }) => this.#receive(data);
    worker.onerror = worker.onmessageerror = () => this.#crashed();
    worker.postMessage({ type: "start", description: this.description });
    this.#worker = worker;
    return worker;
  }

  #receive(data) {
    const waiting = this.#waiting.get(data.id);
    if (data.type === "progress") {
      waiting?.onProgress?.(data);
      return;
    }
    this.#waiting.delete(data.id);
    if (data.type !== "failed") waiting?.resolve(data);
    else if (waiting) waiting.reject(faultOf(data));
    else this.onLiveFault?.(faultOf(data));
  }

  #crashed() {
    this.#worker?.terminate();
    this.#worker = null;
    for (const { reject } of this.#waiting.values()) reject(new Fault(CRASH));
    this.#waiting.clear();
    this.onLiveFault?.(new Fault(CRASH));
  }
}

function faultOf({ line, expected }) {
  return new Fault(expected ? line : `${CRASH} (${line})`);
}
