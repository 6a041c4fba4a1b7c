// Enhance raw float32 samples of one channel at the graph's rate, as `deepnmf enhance` does a file:
//   npm install onnxruntime-web && node enhance.js model.onnx in.f32 out.f32 [MAX_ATTENUATION_DB]
// In a browser, load the same package by a script element, and the graph by fetch.
const ort = require("onnxruntime-web");
const { readFileSync, writeFileSync } = require("fs");

const WARM_UP_HOPS = 300; // 3 s: warm_up_hops of the graph's metadata
const OF_AUDIO = ["analysis", "synthesis", "past_frames"]; // its cleared_after_warm_up; the last only with a filter
ort.env.wasm.numThreads = 1;

const tensor = (shape, fill = 0) => new ort.Tensor("float32", new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(fill), shape);

class Stream {
  static async open(model, maxAttenuationDb = Infinity) {
    const stream = new Stream();
    stream.session = await ort.InferenceSession.create(model);
    stream.shapes = Object.fromEntries(stream.session.inputMetadata.map((input) => [input.name, input.shape]));
    const { samples, max_attenuation_db, ...states } = stream.shapes;
    stream.hop = samples[0];
    stream.delay = states.analysis[0];
    stream.controls = max_attenuation_db ? { max_attenuation_db: tensor([1], maxAttenuationDb) } : {};
    stream.states = Object.fromEntries(Object.entries(states).map(([name, shape]) => [name, tensor(shape)]));
    return stream;
  }

  async process(block) {
    const samples = new ort.Tensor("float32", block, [this.hop]);
    const results = await this.session.run({ samples, ...this.controls, ...this.states });
    for (const name of Object.keys(this.states)) this.states[name] = results[`${name}_next`];
    return results.enhanced.data;
  }

  endWarmUp() {
    for (const name of OF_AUDIO) if (name in this.states) this.states[name] = tensor(this.shapes[name]);
  }
}

async function enhance(stream, samples) {
  const { hop, delay } = stream;
  const warmUp = Math.min(WARM_UP_HOPS, Math.floor(samples.length / hop)) * hop;
  for (let at = 0; at < warmUp; at += hop) await stream.process(samples.slice(at, at + hop));
  stream.endWarmUp();
  const padded = new Float32Array(Math.ceil((samples.length + delay) / hop) * hop);
  padded.set(samples);
  const output = new Float32Array(padded.length);
  for (let at = 0; at < padded.length; at += hop) output.set(await stream.process(padded.slice(at, at + hop)), at);
  return output.slice(delay, delay + samples.length);
}

async function main([model, input, target, limitDb]) {
  const bytes = readFileSync(input);
  const samples = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  const stream = await Stream.open(readFileSync(model), limitDb === undefined ? Infinity : Number(limitDb));
  writeFileSync(target, Buffer.from((await enhance(stream, samples)).buffer));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(`enhance: ${error.message}`);
  process.exit(1);
});
