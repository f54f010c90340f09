// Two stretches of video that play in step: one position, one play button, one picture each.
// results_grid_problems.js stands before this in the same script.
//
// The first video leads and is heard, the second one follows at its own offset. Nothing is played
// until both can be: whoever has to load or to jump is waited for. What drifts all the same is put
// right by playing a little faster or slower, and by a jump when it is far away.

// Less than a frame, which nobody sees.
const IN_STEP_SEC = 0.02;
const LOST_SEC = 0.3;
const MOST_HURRY = 0.25;
// A jump that ends further away than this did not happen.
const MISSED_SEC = 0.5;
const LATE_SEC = 0.1;
const SKIP_SEC = 2;
const SHIFT_SEC = 0.1;
const MOST_SHIFT_SEC = 30;

const pairs = new WeakMap();

export default function ({ data, parentElement }) {
  const element = parentElement.querySelector(".pair");
  if (!pairs.has(element)) pairs.set(element, new Pair(element));
  const pair = pairs.get(element);
  const before = pair.data;
  pair.show(data);
  // Also called for a run that began before the last one and came after it: what that one showed
  // counts.
  return () =>
    queueMicrotask(() => (element.isConnected ? pair.takeBack(data, before) : pair.close()));
}

/** One of both: a video, and where its stretch begins. `at` counts from there. */
class Side {
  constructor(pair, element) {
    this.pair = pair;
    this.element = element;
    this.video = element.querySelector("video");
    this.problem = "";
    this.shift = 0;
    // Where it is to go, until it is there.
    this.wanted = null;
    const on = (name, act) => this.video.addEventListener(name, () => this.address && act());
    on("loadedmetadata", () => this.arrive());
    on("seeked", () => this.check());
    on("error", () => this.explain());
    on("timeupdate", () => pair.watch());
    // The news comes late: somebody may have gone back meanwhile.
    on("ended", () => this.video.ended && pair.finish());
    on("pause", () => pair.onPause(this));
    element.querySelector(".picture").addEventListener("click", () => pair.toggle());
  }

  /** Titles are text from outside: textContent only. */
  show({ src, title, span, start }) {
    this.start = start;
    this.element.dataset.start = start;
    this.source = src;
    this.shift = 0;
    this.element.querySelector(".title").textContent = title;
    this.element.querySelector(".span").textContent = span;
    this.video.setAttribute("aria-label", `${title}, ${span}`);
    this.load();
  }

  load() {
    this.address = webAddress(this.source);
    this.explainAs("");
    if (this.address) this.video.src = this.address;
    else this.fail("unreachable");
  }

  release() {
    this.address = "";
    this.video.pause();
    this.video.removeAttribute("src");
    // Without this the browser goes on downloading.
    this.video.load();
  }

  get at() {
    return this.video.currentTime - this.start - this.shift;
  }

  set at(second) {
    this.wanted = Math.max(0, this.start + this.shift + second);
    if (this.video.readyState >= HTMLMediaElement.HAVE_METADATA) {
      this.video.currentTime = this.wanted;
    }
  }

  get ready() {
    return this.video.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA && !this.video.seeking;
  }

  /** Its length is known: it goes to where the pair stands. */
  arrive() {
    if (!this.video.videoWidth) return this.fail("undecodable");
    if (this.video.duration <= this.start) return this.fail("short");
    this.at = this.pair.position;
  }

  /** It has arrived somewhere after a jump. */
  check() {
    const missed = this.wanted !== null && Math.abs(this.video.currentTime - this.wanted);
    // Nothing lies behind the end; anywhere else a server that cannot jump is to blame.
    if (missed > MISSED_SEC && this.wanted < this.video.duration) this.fail("unseekable");
    this.wanted = null;
    this.pair.onReady();
  }

  async explain() {
    const { address } = this;
    const problem = await problemOf(this.video, address);
    if (this.address === address) this.fail(problem);
  }

  fail(problem) {
    this.release();
    this.explainAs(problem);
    this.pair.onProblem(problem);
  }

  explainAs(problem) {
    this.problem = problem;
    const message = this.element.querySelector(".message");
    const [what, next] = PROBLEMS[problem] ?? ["", ""];
    message.querySelector("strong").textContent = what;
    message.querySelector("span").textContent = next;
    message.hidden = !problem;
    this.element.dataset.problem = problem;
  }
}

class Pair {
  constructor(element) {
    this.element = element;
    this.sides = [...element.querySelectorAll(".side")].map((side) => new Side(this, side));
    this.position = 0;
    this.length = 0;
    // Whether somebody wants it to play, and whether we have stopped it to wait for a picture.
    this.wanted = false;
    this.waiting = false;
    this.listen();
  }

  part(name) {
    return this.element.querySelector(`.${name}`);
  }

  listen() {
    this.element.addEventListener("keydown", (event) => this.onKey(event));
    this.part("toggle").addEventListener("click", () => this.toggle());
    this.part("position").addEventListener("input", ({ target }) => this.seek(Number(target.value)));
    name(this.part("earlier"), `Second video ${SHIFT_SEC} seconds earlier`, "[");
    name(this.part("later"), `Second video ${SHIFT_SEC} seconds later`, "]");
    this.part("earlier").addEventListener("click", () => this.shiftBy(-SHIFT_SEC));
    this.part("later").addEventListener("click", () => this.shiftBy(SHIFT_SEC));
  }

  show(data) {
    if (data.id === this.data?.id) return;
    this.data = data;
    this.pause();
    this.length = data.length;
    this.part("position").max = data.length;
    this.sides.forEach((side, index) => side.show(data.sides[index]));
    this.say("");
    this.showShift();
    this.seek(0);
    this.state = "loading";
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (data.start && !still) this.play();
  }

  /** Shows again what was shown before. */
  takeBack(data, before) {
    if (this.data === data && before) this.show(before);
  }

  close() {
    this.data = null;
    this.wanted = false;
    for (const side of this.sides) side.release();
  }

  set state(state) {
    this.element.dataset.state = state;
    name(this.part("toggle"), state === "playing" ? "Pause" : "Play", "K");
  }

  /** Those that can be played; a side that failed does not hold up the other. */
  get playable() {
    return this.sides.filter(({ problem }) => !problem);
  }

  toggle() {
    if (this.wanted) this.pause();
    else this.play();
  }

  play() {
    for (const side of this.sides) if (side.problem) side.load();
    if (this.element.dataset.state === "finished") this.seek(0);
    this.wanted = true;
    this.state = "playing";
    this.run();
  }

  pause() {
    this.wanted = false;
    for (const { video } of this.sides) video.pause();
    if (this.data) this.state = "paused";
  }

  finish() {
    if (!this.wanted) return;
    this.pause();
    // A busy machine may be late.
    if (this.position > this.length + LATE_SEC) this.seek(this.length);
    this.state = "finished";
  }

  seek(second) {
    this.position = Math.min(Math.max(0, second), this.length);
    for (const side of this.sides) side.at = this.position;
    if (this.element.dataset.state === "finished") this.state = "paused";
    this.showPosition();
  }

  /** Lines the second video up by hand: its copy may begin a little earlier or later. */
  shiftBy(seconds) {
    const [, second] = this.sides;
    const shift = Math.round((second.shift + seconds) / SHIFT_SEC) * SHIFT_SEC;
    second.shift = Math.min(Math.max(-MOST_SHIFT_SEC, shift), MOST_SHIFT_SEC);
    second.at = this.position;
    this.showShift();
  }

  /** While it is to play, this looks at every frame what there is to do. */
  run() {
    if (!this.wanted) return;
    this.watch();
    requestAnimationFrame(() => this.run());
  }

  /** Animation frames rest in a hidden tab; the videos call this there. */
  watch() {
    const sides = this.playable;
    if (!this.wanted || !sides.length) return;
    const [leader, follower] = sides;
    if (!sides.every((side) => side.ready)) {
      this.waiting = true;
      for (const { video } of sides) video.pause();
      return;
    }
    this.waiting = false;
    this.position = leader.at;
    this.showPosition();
    if (this.position >= this.length) {
      this.finish();
      return;
    }
    for (const side of sides) this.start(side, side !== leader);
    if (follower) this.keepInStep(leader, follower);
  }

  async start({ video, address }, muted) {
    video.muted = muted;
    if (!video.paused) return;
    try {
      await video.play();
    } catch (error) {
      // Anything else means that it was stopped before it began.
      if (address && error.name === "NotAllowedError") {
        this.pause();
        this.say(PROBLEMS.blocked.join(" "));
      }
    }
  }

  keepInStep(leader, follower) {
    const drift = follower.at - leader.at;
    if (Math.abs(drift) > LOST_SEC) {
      follower.at = leader.at;
      return;
    }
    const hurry = Math.abs(drift) > IN_STEP_SEC ? -2 * drift : 0;
    follower.video.playbackRate = 1 + Math.min(Math.max(-MOST_HURRY, hurry), MOST_HURRY);
  }

  /** Something else than us, such as a key on a headset, has stopped one of both.
   *
   * The news comes late: what we had stopped to wait may be playing again.
   */
  onPause({ video }) {
    if (this.wanted && !this.waiting && video.paused && !video.ended) this.pause();
  }

  onReady() {
    const { state } = this.element.dataset;
    if (state === "loading" && this.playable.every((side) => side.ready)) this.state = "paused";
  }

  onProblem(problem) {
    this.say(PROBLEMS[problem].join(" "));
    if (this.playable.length) {
      this.onReady();
      return;
    }
    this.wanted = false;
    this.state = "error";
  }

  onKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const act = this.actOf(event);
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  actOf({ key, target }) {
    // A focused button has its own idea of the space bar.
    if (key === " ") return target.closest("button") ? null : () => this.toggle();
    return {
      k: () => this.toggle(),
      j: () => this.seek(this.position - SKIP_SEC),
      l: () => this.seek(this.position + SKIP_SEC),
      ArrowLeft: () => this.seek(this.position - 1),
      ArrowRight: () => this.seek(this.position + 1),
      Home: () => this.seek(0),
      End: () => this.seek(this.length),
      "[": () => this.shiftBy(-SHIFT_SEC),
      "]": () => this.shiftBy(SHIFT_SEC),
    }[key];
  }

  showPosition() {
    const bar = this.part("position");
    const [now, end] = [clock(this.position), clock(this.length)];
    bar.value = this.position;
    bar.style.setProperty("--played", this.length ? this.position / this.length : 0);
    bar.setAttribute("aria-valuetext", `${now} of ${end}`);
    this.part("clock").textContent = `${now} / ${end}`;
  }

  showShift() {
    const { shift } = this.sides[1];
    const by = `${Math.abs(shift).toFixed(1)} s ${shift < 0 ? "earlier" : "later"}`;
    this.part("by").textContent = Math.abs(shift) < SHIFT_SEC / 2 ? "as found" : by;
  }

  say(words) {
    this.part("announcer").textContent = words;
  }
}

/** Names a button for those who see it, those who hear it and those who press its key. */
function name(button, words, key) {
  button.title = `${words} (${key})`;
  button.setAttribute("aria-label", words);
  button.setAttribute("aria-keyshortcuts", key);
}

/** Seconds as people write them, with tenths. */
function clock(seconds) {
  const tenths = Math.round(seconds * 10);
  const [minutes, rest] = [Math.floor(tenths / 600), tenths % 600];
  return `${minutes}:${(rest / 10).toFixed(1).padStart(4, "0")}`;
}
