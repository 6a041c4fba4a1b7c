// The microphone's end of live listening: blocks of a hop go to the worker, and what comes back is played, a little late.
const BUFFERED_SECONDS = 0.03;

class LiveProcessor extends AudioWorkletProcessor {
  constructor({ processorOptions: { hop } }) {
    super();
    this.block = new Float32Array(hop);
    this.filled = 0;
    this.ready = []; // blocks {enhanced, dry} to play
    this.buffered = 0;
    this.at = 0; // in the first of them
    this.started = false;
    this.isDry = false;
    this.levels = { input: 0, output: 0, samples: 0 };
    this.port.onmessage = ({ data }) => {
      if (data.port) this.#connect(data.port);
      else this.isDry = data.isDry;
    };
  }

  #connect(port) {
    this.worker = port;
    port.onmessage = ({ data }) => {
      if (!data.enhanced.length) return; // the first hops fill the window
      this.ready.push(data);
      this.buffered += data.enhanced.length;
      this.started ||= this.buffered >= BUFFERED_SECONDS * sampleRate;
    };
  }

  process([input], [output]) {
    if (input[0]) this.#send(input[0]);
    for (let k = 0; k < output[0].length; k++) output[0][k] = this.#next();
    output.slice(1).forEach((channel) => channel.set(output[0]));
    this.#report(input[0], output[0]);
    return true;
  }

  #send(samples) {
    for (const sample of samples) {
      this.block[this.filled++] = sample;
      if (this.filled < this.block.length) continue;
      this.worker?.postMessage(this.block.slice());
      this.filled = 0;
    }
  }

  /** The next sample; silence until enough is buffered again after a gap. */
  #next() {
    if (!this.started) return 0;
    const block = this.ready[0];
    const sample = block[this.isDry ? "dry" : "enhanced"][this.at++];
    this.buffered--;
    if (this.at === block.enhanced.length) {
      this.at = 0;
      this.ready.shift();
      this.started = this.ready.length > 0;
    }
    return sample;
  }

  #report(input, output) {
    const { levels } = this;
    for (const sample of input ?? []) levels.input += sample * sample;
    for (const sample of output) levels.output += sample * sample;
    levels.samples += output.length;
    if (levels.samples < sampleRate / 10) return;
    this.port.postMessage({ ...levels, buffered: this.buffered / sampleRate });
    this.levels = { input: 0, output: 0, samples: 0 };
  }
}

registerProcessor("live", LiveProcessor);
