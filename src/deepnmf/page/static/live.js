// Listening to the microphone through the model, with headphones.
import { Fault } from "./enhancer.js";
import { roundHalfEven } from "./stft.js";

export class Live {
  #context = null;
  #stream = null;
  #node = null;

  /**
   * Start; `connect(port, rateHz)` hands the worker its end. Calls `onLevels` ten times a second with levels in dB and
   * the seconds from microphone to ear.
   */
  async start(stft, connect, onLevels) {
    if (!navigator.mediaDevices || typeof AudioWorkletNode === "undefined") {
      throw new Fault("A microphone needs a secure page (https or localhost) and a browser with AudioWorklet.");
    }
    const wanted = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1 };
    try {
      this.#stream = await navigator.mediaDevices.getUserMedia({ audio: wanted });
    } catch (error) {
      const reason = error.name === "NotFoundError" ? "there is none" : "the browser does not allow it";
      throw new Fault(`The microphone cannot be opened: ${reason}.`);
    }
    this.#context = new AudioContext({ latencyHint: "interactive" });
    const { sampleRate } = this.#context;
    await this.#context.audioWorklet.addModule(new URL("live-processor.js", import.meta.url));
    const hop = roundHalfEven((sampleRate * stft.hop_ms) / 1000);
    this.#node = new AudioWorkletNode(this.#context, "live", { processorOptions: { hop } });
    const { port1, port2 } = new MessageChannel();
    this.#node.port.postMessage({ port: port1 }, [port1]);
    this.#node.port.onmessage = ({ data }) => onLevels(this.#measured(data, stft));
    connect(port2, sampleRate);
    this.#context.createMediaStreamSource(this.#stream).connect(this.#node).connect(this.#context.destination);
    await this.#context.resume();
  }

  #measured({ input, output, samples, buffered }, stft) {
    const level = (power) => 10 * Math.log10(power / samples + 1e-9);
    const hardware = (this.#context?.baseLatency ?? 0) + (this.#context?.outputLatency ?? 0);
    return { input: level(input), output: level(output), delay: stft.window_ms / 1000 + buffered + hardware };
  }

  set isDry(isDry) {
    this.#node?.port.postMessage({ isDry });
  }

  stop() {
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#context?.close();
    this.#stream = this.#context = this.#node = null;
  }
}
