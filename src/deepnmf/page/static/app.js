// The page: what is dropped goes to the worker, what comes back is shown and played.
import { Engine } from "./engine.js";
import { Fault } from "./enhancer.js";
import { Live } from "./live.js";
import { Player } from "./player.js";
import { openRecording } from "./recording.js";
import { Spectrograms, drawColours } from "./spectrogram.js";

const $ = (id) => document.getElementById(id);
const show = (id, isShown) => ($(id).hidden = !isShown);
const NO_LIMIT = 41;

const player = new Player({ before: $("sound-before"), after: $("sound-after") });
const live = new Live();
const spectrograms = new Spectrograms({ before: $("before"), after: $("after") });
let description; // page.json
let engine;
let recording = null;
let name = ""; // of the recording

async function start() {
  const response = await fetch("page.json").catch(() => null);
  if (!response?.ok) {
    $("unstarted").textContent = "The page cannot be loaded completely (page.json is missing); reload it.";
    return;
  }
  description = await response.json();
  engine = new Engine(description);
  for (const { name } of description.models) $("model").add(new Option(name, name));
  $("model").value = description.default;
  describeModel();
  show("example", description.example !== null);
  show("documentation", description.documentation !== null);
  $("documentation").href = description.documentation ?? "";
  drawColours($("colours"));
  listen();
  navigator.serviceWorker?.register("sw.js").catch(() => {}); // without it, the page needs the network
  show("unstarted", false);
  show("app", true);
}

const chosenModel = () => description.models.find((model) => model.name === $("model").value);

function settings() {
  const limit = Number($("attenuation").value);
  return { modelName: $("model").value, maxAttenuationDb: limit === NO_LIMIT ? null : limit };
}

function describeModel() {
  const { title, weights, stft } = chosenModel();
  $("about-model").textContent = `${title}, ${weights.toLocaleString("en")} weights, latency ${stft.window_ms} ms`;
}

function describeAttenuation() {
  const { maxAttenuationDb } = settings();
  const text = maxAttenuationDb === null ? "no limit" : `${maxAttenuationDb} dB`;
  $("attenuation-text").value = text;
  $("attenuation").setAttribute("aria-valuetext", text);
}

function fail(error) {
  if (error === null) return; // cancelled
  if (!(error instanceof Fault)) console.error(error);
  $("error").textContent = error.message;
  show("error", true);
}

/** Run what the user asked for; a fault of it becomes the one line of the page. */
async function attempt(action) {
  show("error", false);
  try {
    await action();
  } catch (error) {
    fail(error);
  }
}

function take(file) {
  attempt(async () => {
    stopLive();
    engine.cancel();
    player.unload();
    player.seek(0);
    recording = null;
    name = file.name;
    document.body.classList.add("small");
    $("title").textContent = name;
    $("facts").textContent = "reading …";
    for (const id of ["transport", "download", "spectrograms", "busy", "cancel"]) show(id, false);
    show("result", true);
    try {
      recording = await openRecording(file, (each) => engine.open(each));
    } catch (error) {
      show("result", false);
      throw error;
    }
    describeRecording();
    await enhance();
  });
}

function describeRecording(...notes) {
  const { rateHz, channelCount, frames } = recording;
  const channels = { 1: "mono", 2: "stereo" }[channelCount] ?? `${channelCount} channels`;
  const facts = [clock(frames / rateHz), `${rateHz / 1000} kHz`, channels].join(" · ");
  $("facts").textContent = [facts, ...recording.notes, ...notes].join(" · ");
}

async function enhance() {
  engine.cancel();
  show("download", false);
  for (const id of ["busy", "cancel", "spectrograms"]) show(id, true);
  $("progress").removeAttribute("value"); // until the model is loaded
  $("status").textContent = "loading …";
  let columns = 0;
  try {
    const done = await engine.enhance(recording, settings(), (progress) => {
      if (!columns) spectrograms.start((columns = progress.of), recording.rateHz);
      $("progress").value = progress.fraction;
      $("status").textContent = `${Math.round(100 * progress.fraction)} %`;
      spectrograms.add(progress.columns);
    });
    finish(done);
  } catch (error) {
    if (error !== null && !hasSound()) show("result", false); // nothing to show, and one line says why
    throw error;
  } finally {
    show("busy", false);
    show("cancel", false);
  }
}

function finish({ enhanced, before, after, clipped }) {
  const wasPlaying = player.playing;
  const isNew = !hasSound();
  player.load({ before, after });
  URL.revokeObjectURL($("download").href);
  $("download").href = URL.createObjectURL(enhanced);
  $("download").download = `${name.replace(/\.[^.]*$/, "")}_enhanced.wav`;
  for (const id of ["download", "transport"]) show(id, true);
  describeRecording(...(clipped ? [`${clipped} samples above full scale were clipped`] : []));
  showPosition();
  $("announcement").textContent = `${name} is enhanced.`;
  if (isNew) $("play").focus({ preventScroll: true }); // so that Space plays
  if (wasPlaying) player.play();
}

function clock(seconds) {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}

function showPosition() {
  if (!recording) return;
  const seconds = recording.frames / recording.rateHz;
  const share = Math.min(1, player.position / seconds);
  $("position").value = share;
  $("position").setAttribute("aria-valuetext", `${clock(player.position)} of ${clock(seconds)}`);
  $("clock").textContent = `${clock(player.position)} / ${clock(seconds)}`;
  document.querySelectorAll(".playhead").forEach((head) => (head.style.left = `${100 * share}%`));
  document.body.classList.toggle("playing", player.playing);
  $("play").setAttribute("aria-label", player.playing ? "Pause" : "Play");
  document.querySelector(`[name="track"][value="${player.track}"]`).checked = true;
  for (const track of ["before", "after"]) $(track).closest("figure").classList.toggle("heard", player.track === track);
  if (player.playing) requestAnimationFrame(showPosition);
}

const hasSound = () => !$("transport").hidden;
const seekShare = (share) => player.seek((share * recording.frames) / recording.rateHz);
const playOrPause = () => hasSound() && (player.playing ? player.pause() : player.play());

function listen() {
  listenForFiles();
  player.addEventListener("change", showPosition);
  $("play").addEventListener("click", playOrPause);
  $("position").addEventListener("input", () => seekShare(Number($("position").value)));
  document.querySelectorAll('[name="track"]').forEach((radio) => radio.addEventListener("change", () => player.select(radio.value)));
  for (const track of ["before", "after"]) {
    $(track).addEventListener("click", (event) => {
      if (!hasSound()) return;
      player.select(track);
      seekShare(event.offsetX / $(track).clientWidth);
      player.play();
    });
  }
  $("attenuation").addEventListener("input", describeAttenuation);
  for (const id of ["attenuation", "model"]) $(id).addEventListener("change", changeSettings);
  $("cancel").addEventListener("click", cancel);
  $("microphone").addEventListener("click", () => attempt(startLive));
  $("live-stop").addEventListener("click", stopLive);
  $("live-dry").addEventListener("click", toggleDry);
  document.addEventListener("keydown", onKey);
}

function listenForFiles() {
  const box = $("drop");
  for (const type of ["dragenter", "dragover"]) {
    addEventListener(type, (event) => {
      event.preventDefault();
      box.classList.add("over");
    });
  }
  for (const type of ["dragleave", "drop"]) addEventListener(type, () => box.classList.remove("over"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    const [file] = event.dataTransfer.files;
    if (file) take(file);
    else fail(new Fault("That was not a file; drop a recording."));
  });
  $("choose").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => {
    if ($("file").files[0]) take($("file").files[0]);
    $("file").value = ""; // the same file may be chosen again
  });
  $("example").addEventListener("click", () =>
    attempt(async () => {
      const response = await fetch(description.example).catch(() => null);
      if (!response?.ok) throw new Fault("The example cannot be loaded; reload the page.");
      take(new File([await response.blob()], description.example, { type: "audio/wav" }));
    }),
  );
}

function changeSettings() {
  describeModel();
  describeAttenuation();
  if (!$("live").hidden) attempt(startLive);
  else if (recording) attempt(enhance);
}

function cancel() {
  engine.cancel();
  if (hasSound()) {
    show("download", true); // what was there before
  } else {
    recording = null;
    show("result", false);
  }
}

async function startLive() {
  stopLive();
  engine.cancel();
  player.pause();
  const { stft } = chosenModel();
  $("live-facts").textContent = "opening the microphone …";
  for (const id of ["live", "result"]) show(id, id === "live");
  try {
    await live.start(stft, connectLive, showLevels);
  } catch (error) {
    stopLive();
    throw error;
  }
}

function connectLive(port, rateHz) {
  const onFault = (error) => {
    stopLive();
    fail(error);
  };
  engine.live(port, rateHz, settings(), onFault).then(() => ($("announcement").textContent = "Live."), onFault);
}

function showLevels({ input, output, delay }) {
  $("level-in").value = input;
  $("level-out").value = output;
  $("live-facts").textContent = `Use headphones: loudspeakers would feed back. Delay about ${Math.round(1000 * delay)} ms.`;
}

function stopLive() {
  live.stop();
  show("live", false);
  show("result", recording !== null);
  setDry(false);
}

function setDry(isDry) {
  live.isDry = isDry;
  $("live-dry").setAttribute("aria-pressed", isDry);
  $("live-dry").textContent = isDry ? "Hear it enhanced" : "Hear it unprocessed";
}

const toggleDry = () => setDry($("live-dry").getAttribute("aria-pressed") !== "true");

/** Keys of the page; keys that a focused control uses stay its own. */
function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { tagName } = document.activeElement;
  const usesArrows = ["INPUT", "SELECT"].includes(tagName);
  const usesSpace = ["SELECT", "BUTTON", "A"].includes(tagName);
  const isLive = !$("live").hidden;
  const keys = {
    b: () => (isLive ? toggleDry() : hasSound() && player.toggle()),
    d: () => !$("download").hidden && $("download").click(),
    Escape: () => (isLive ? stopLive() : cancel()),
    ...(!usesSpace && { " ": playOrPause }),
    ...(!usesArrows && {
      ArrowLeft: () => player.seek(player.position - 2),
      ArrowRight: () => player.seek(player.position + 2),
    }),
  };
  const action = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action || (tagName === "SELECT" && event.key !== "Escape")) return;
  if (event.key === " ") event.preventDefault(); // it would scroll
  action();
}

/** In a frame of the documentation: as high as the contents, and in the colours of the outer page. */
function fitFrame() {
  if (!window.frameElement) return;
  const outer = parent.document.body;
  const adopt = () => {
    document.documentElement.dataset.scheme = outer.dataset.mdColorScheme === "slate" ? "dark" : "light";
    document.body.style.background = parent.getComputedStyle(outer).backgroundColor;
  };
  document.body.classList.add("framed");
  new ResizeObserver(() => (window.frameElement.style.height = `${document.body.offsetHeight}px`)).observe(document.body);
  new MutationObserver(adopt).observe(outer, { attributeFilter: ["data-md-color-scheme"] });
  adopt();
}

fitFrame();
start();
