// Before and after as one player: both sounds run, and a fade of some milliseconds switches between them.
const FADE_SECONDS = 0.012;
const MOST_DRIFT_SECONDS = 0.02;

export class Player extends EventTarget {
  #sounds;
  #gains = {};
  #urls = [];
  #context = null;

  /** @param {{before: HTMLAudioElement, after: HTMLAudioElement}} sounds */
  constructor(sounds) {
    super();
    this.track = "after";
    this.#sounds = sounds;
    for (const sound of Object.values(sounds)) sound.addEventListener("ended", () => this.pause());
  }

  /** Take two sounds of equal length; the position is kept. */
  load(blobs) {
    const { position } = this;
    this.unload();
    for (const [name, blob] of Object.entries(blobs)) {
      const url = URL.createObjectURL(blob);
      this.#urls.push(url);
      this.#sounds[name].src = url;
      this.#sounds[name].currentTime = position;
    }
  }

  unload() {
    this.pause();
    this.#urls.forEach((url) => URL.revokeObjectURL(url));
    this.#urls = [];
  }

  get #audible() {
    return this.#sounds[this.track];
  }

  get #silent() {
    return this.#sounds[this.track === "after" ? "before" : "after"];
  }

  get playing() {
    return !this.#audible.paused;
  }

  get position() {
    return this.#audible.currentTime || 0;
  }

  async play() {
    this.#connect();
    if (this.#audible.ended) this.seek(0);
    this.#silent.currentTime = this.position;
    this.#fade(0);
    await Promise.all([this.#context.resume(), this.#audible.play(), this.#silent.play()]);
    this.dispatchEvent(new Event("change"));
  }

  pause() {
    Object.values(this.#sounds).forEach((sound) => sound.pause());
    this.dispatchEvent(new Event("change"));
  }

  seek(seconds) {
    for (const sound of Object.values(this.#sounds)) {
      sound.currentTime = Math.max(0, Math.min(seconds, sound.duration || 0));
    }
    this.dispatchEvent(new Event("change"));
  }

  /** Switch to the other sound, at the same position. */
  toggle() {
    this.select(this.track === "after" ? "before" : "after");
  }

  select(track) {
    if (track !== this.track) {
      if (Math.abs(this.#silent.currentTime - this.position) > MOST_DRIFT_SECONDS) this.#silent.currentTime = this.position;
      this.track = track;
      this.#fade(FADE_SECONDS);
    }
    this.dispatchEvent(new Event("change"));
  }

  /** Sounds go through gains from the first play on: a context may only start after a key or a click. */
  #connect() {
    if (this.#context) return;
    this.#context = new AudioContext();
    for (const [name, sound] of Object.entries(this.#sounds)) {
      this.#gains[name] = this.#context.createGain();
      this.#context.createMediaElementSource(sound).connect(this.#gains[name]).connect(this.#context.destination);
    }
  }

  #fade(seconds) {
    if (!this.#context) return;
    for (const [name, { gain }] of Object.entries(this.#gains)) {
      gain.setTargetAtTime(name === this.track ? 1 : 0, this.#context.currentTime, seconds / 3);
    }
  }
}
