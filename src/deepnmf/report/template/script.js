"use strict";

// One player per example: four sounds of one length, of which one is heard, and every picture that shows their time.
class Player {
  constructor(sounds, find) {
    this.sounds = sounds;
    this.bars = find(".controls");
    this.strips = find(".strip");
    this.heads = this.strips.map((strip) => strip.querySelector(".playhead"));
    const tracks = sounds.map((sound) => sound.closest(".track"));
    this.radios = tracks.map((track) => track.querySelector("input"));
    this.current = Math.max(0, this.radios.findIndex((radio) => radio.checked));
    sounds.forEach((sound) => {
      sound.controls = false;
      sound.addEventListener("ended", () => this.show());
      sound.addEventListener("seeked", () => this.show());
    });
    this.radios.forEach((radio, index) => radio.addEventListener("change", () => this.choose(index)));
    this.bars.forEach((bar) => {
      bar.querySelector(".play").addEventListener("click", () => this.toggle());
      bar.querySelector(".position").addEventListener("input", (event) => this.seek(Number(event.target.value)));
    });
    this.strips.forEach((strip) => strip.addEventListener("click", (event) => this.click(strip, event)));
    this.show();
  }

  get sound() { return this.sounds[this.current]; }
  get length() { return Number(this.bars[0].querySelector(".position").max); }

  choose(index) {
    if (index === this.current) return;
    const before = this.sound;
    const playing = !before.paused;
    before.pause();
    this.current = index;
    this.radios[index].checked = true;
    this.sound.currentTime = before.currentTime;
    if (playing) this.play();
  }

  play() {
    players.forEach((other) => { if (other !== this) other.sound.pause(); });
    if (this.sound.currentTime >= this.length - 0.05) this.sound.currentTime = 0;
    this.sound.play().catch(() => this.show());
    this.follow();
  }

  toggle() {
    if (this.sound.paused) this.play();
    else this.sound.pause();
    this.show();
  }

  seek(seconds) {
    this.sound.currentTime = seconds;
    this.show();
  }

  click(strip, event) {
    const box = strip.getBoundingClientRect();
    const track = this.radios.indexOf(strip.parentElement.querySelector("input"));
    if (track >= 0) this.choose(track);
    this.seek(((event.clientX - box.left) / box.width) * this.length);
    if (this.sound.paused) this.play();
  }

  follow() {
    this.show();
    if (!this.sound.paused) requestAnimationFrame(() => this.follow());
  }

  show() {
    const now = this.sound.currentTime;
    this.heads.forEach((head) => { head.style.left = `${(100 * now) / this.length}%`; });
    this.bars.forEach((bar) => {
      bar.classList.toggle("playing", !this.sound.paused);
      const button = bar.querySelector(".play");
      button.setAttribute("aria-label", button.ariaLabel.replace(/^\w+/, this.sound.paused ? "Play" : "Pause"));
      const position = bar.querySelector(".position");
      position.value = now;
      position.setAttribute("aria-valuetext", `${now.toFixed(1)} of ${this.length.toFixed(1)} seconds`);
      bar.querySelector(".clock").textContent = `${now.toFixed(1)} / ${this.length.toFixed(1)} s`;
    });
  }
}

function showPanel(name, chosen) {
  document.querySelectorAll(`[data-panel^="${name}-"]`).forEach((panel) => {
    panel.hidden = panel.dataset.panel !== `${name}-${chosen}`;
  });
}

function nameAtoms(figure) {
  const centres = figure.dataset.atoms.split(",");
  const strip = figure.querySelector(".strip");
  const output = figure.querySelector("output");
  strip.addEventListener("pointermove", (event) => {
    const box = strip.getBoundingClientRect();
    const place = Math.floor(((event.clientX - box.left) / box.width) * centres.length);
    const atom = Math.min(Math.max(place, 0), centres.length - 1);
    output.textContent = `– number ${atom + 1}: centre ${centres[atom]} Hz`;
  });
  strip.addEventListener("pointerleave", () => { output.textContent = ""; });
}

document.documentElement.classList.add("scripted");
const players = [];
for (let index = 0; ; index += 1) {
  const find = (selector) => [...document.querySelectorAll(`${selector}[data-player="${index}"]`)];
  const sounds = find("audio");
  if (!sounds.length) break;
  players.push(new Player(sounds, find));
}
document.querySelectorAll("[data-tabs]").forEach((group) => {
  group.addEventListener("change", (event) => showPanel(group.dataset.tabs, event.target.value));
  showPanel(group.dataset.tabs, "0");
});
document.querySelectorAll("[data-atoms]").forEach(nameAtoms);
