// A stage is a picture that plays, with all that lies on it. Cards are stages, and the detail view
// is a large one.
//
// A stage is idle, loading, preview, playing, paused, finished or error; its data-state says so and
// the style sheet does the rest.

const COPIED_FOR_MS = 1500;
const HINT_FOR_MS = 900;

// The states with a picture of the video to look at, in somebody's hands.
const IN_HAND = ["playing", "paused", "finished"];

// What a thumb tells the page, and what is said of it.
const MARKS = { liked: "up", disliked: "down", unmarked: "" };
const MARKED = {
  liked: "Marked as a good match",
  disliked: "Marked as a bad match",
  unmarked: "Mark removed",
};

class Stage {
  constructor(grid, element) {
    this.grid = grid;
    this.element = element;
    this.moment = { segments: [], spans: [] };
    this.preparePoster();
    this.prepareButtons();
  }

  preparePoster() {
    const poster = this.part("poster");
    poster.addEventListener("load", () => (this.element.dataset.poster = "ready"));
    poster.addEventListener("error", () => (this.element.dataset.poster = "none"));
  }

  prepareButtons() {
    const on = (name, act) => this.part(name).addEventListener("click", act);
    label(this.part("similar"), "More like this", "M");
    label(this.part("unlike"), "Less like this", "L");
    label(this.part("copy"), "Copy link to this time");
    label(this.part("up"), "Good match", "+");
    label(this.part("down"), "Bad match", "-");
    label(this.part("keep"), "Keep in the basket", "B");
    label(this.part("expand"), "Details", "D");
    this.part("frame").title = "Search with this frame (F)";
    this.part("frame").setAttribute("aria-keyshortcuts", "F");
    // Browsers give the clipboard to secure pages only.
    this.part("copy").hidden = !navigator.clipboard;
    on("play", () => this.play());
    on("finished", ({ target }) => {
      if (target === this.part("on")) this.playOn();
      else this.replay();
    });
    on("similar", () => this.ask("similar"));
    on("unlike", () => this.ask("unlike"));
    on("copy", () => this.copyLink());
    on("up", () => this.rate("up"));
    on("down", () => this.rate("down"));
    on("keep", () => this.keep());
    on("expand", () => this.openDetail());
    on("frame", () => this.searchFrame());
    on("tick", ({ shiftKey }) => this.grid.tick(this, { through: shiftKey }));
  }

  part(name) {
    return this.element.querySelector(`.${name}`);
  }

  get player() {
    return this.grid.player?.stage === this ? this.grid.player : null;
  }

  get state() {
    return this.element.dataset.state;
  }

  set state(state) {
    this.element.dataset.state = state;
  }

  get inHand() {
    return IN_HAND.includes(this.state);
  }

  /** Writes on the picture what it shows. Titles are text from outside: textContent only. */
  showPicture(moment) {
    const before = this.moment;
    this.moment = moment;
    // A stretch that has only grown or shrunk is played to the end that it had.
    if (before.src !== moment.src || before.spans.length !== moment.spans.length) this.stop();
    this.element.setAttribute("aria-label", moment.name);
    this.part("play").setAttribute("aria-label", `Play ${moment.name}`);
    this.part("tick").setAttribute("aria-label", `Select ${moment.name}`);
    this.part("rank").textContent = moment.rank;
    this.part("option").textContent = moment.option;
    this.part("option").hidden = !moment.option;
    this.part("time").textContent = moment.spans[0].time;
    this.part("time").hidden = moment.spans.length > 1;
    if (before.poster !== moment.poster) this.showPoster(webAddress(moment.poster));
  }

  showPoster(address) {
    this.element.dataset.poster = address ? "loading" : "none";
    if (address) this.part("poster").src = address;
  }

  /** What somebody has set: thumb, basket and tick, drawn before the page has answered. */
  showChoices() {
    const { grid, moment } = this;
    const mark = grid.freshMark(moment) ?? moment.mark;
    for (const name of ["up", "down"]) {
      this.part(name).hidden = !grid.data.rating;
      this.part(name).setAttribute("aria-pressed", mark === name);
    }
    this.part("keep").hidden = !grid.data.keeping;
    this.part("keep").setAttribute("aria-pressed", grid.isKept(moment));
    this.part("tick").hidden = !grid.data.selected;
    this.part("tick").checked = grid.selection.has(moment.id);
    this.element.toggleAttribute("data-ticked", this.part("tick").checked);
  }

  /** Presses a thumb, or takes it back; false where there are none. The page is not waited for; what
      it draws later counts. */
  rate(thumb) {
    if (!this.grid.data.rating) return false;
    const pressed = this.part(thumb).getAttribute("aria-pressed") === "true";
    const action = pressed ? "unmarked" : { up: "liked", down: "disliked" }[thumb];
    this.ask(action, { segment_id: this.moment.marked });
    this.grid.say(MARKED[action]);
    return true;
  }

  /** Puts the moment into the basket, or takes it out; false where there is no basket. */
  keep() {
    if (!this.grid.data.keeping) return false;
    this.ask("basket");
    this.grid.say(this.grid.isKept(this.moment) ? "Kept in the basket" : "Out of the basket");
    return true;
  }

  ask(action, details = {}) {
    this.grid.ask(action, { segment_id: this.moment.id, ...details });
  }

  /** Pauses and asks for what looks like the picture that stands; false while there is none. */
  searchFrame() {
    if (!this.inHand) return false;
    const { video } = this.player;
    video.pause();
    this.ask("frame", { second: video.currentTime });
    return true;
  }

  /** Plays with sound from the start of span `at`; a preview that is running becomes the player. */
  play(at = 0, spans = this.moment.spans) {
    // The button that was pressed is about to vanish, and the keys with it.
    this.element.focus({ preventScroll: true });
    if (this.player) this.player.restart(spans, at);
    else this.start({ spans, at, withSound: true });
  }

  /** Once more what was played last, which may be another stretch than the moment. */
  replay() {
    this.play(0, this.player?.ofMoment === false ? this.player.spans : this.moment.spans);
  }

  toggle() {
    if (this.inHand) this.player.toggle();
    else this.play();
  }

  /** These answer false while there is no picture in somebody's hands. */

  skip(seconds) {
    return this.inHand && (this.player.skip(seconds), true);
  }

  step(direction) {
    return this.inHand && (this.player.step(direction), true);
  }

  playOn() {
    return this.inHand && (this.player.playOn(), true);
  }

  start(how) {
    this.grid.player?.stop();
    this.grid.player = new Player(this, how);
    this.grid.player.start();
  }

  /** The segments of the whole video; none when nobody knows them. */
  get segments() {
    return this.grid.heats.of(this.moment.heat);
  }

  /** The stretch of video that is on: of an idle stage its moment. */
  hereAmong(segments) {
    const { player } = this;
    if (!player) return this.moment;
    if (!player.endless) return player.span;
    const { currentTime } = player.video;
    return segmentAt(segments, currentTime) ?? { start: currentTime, end: currentTime };
  }

  /** Plays the segment before (-1) or after (1) what is on. */
  async playNeighbour(direction) {
    const segments = await this.segments;
    const next = neighbour(segments, this.hereAmong(segments), direction);
    if (next) this.playSegment(next);
    else this.grid.say(direction > 0 ? "No segment after this one" : "No segment before this one");
  }

  playSegment({ start, end }) {
    this.play(0, [{ start, end }]);
    this.flash(`${clock(start)}–${clock(end)}`);
  }

  /** Stops and gives the poster back. */
  stop() {
    this.player?.stop();
    this.state = "idle";
  }

  fail(problem) {
    const [what, next] = PROBLEMS[problem];
    this.part("message").querySelector("strong").textContent = what;
    this.part("message").querySelector("span").textContent = next;
    this.element.dataset.problem = problem;
    this.state = "error";
    this.grid.say(`${what} ${next}`);
  }

  /** How far span `at` has been played, and the second that is on; for those who show it. */
  showProgress() {}
  showTime() {}

  /** Says for a moment on the picture, and aloud, what a key has done. */
  flash(words) {
    const hint = this.part("hint");
    hint.textContent = words;
    hint.animate([{ opacity: 1 }, { opacity: 1, offset: 0.8 }, { opacity: 0 }], HINT_FOR_MS);
    this.grid.say(words);
  }

  openDetail() {
    this.grid.detail.open(this);
  }

  async copyLink() {
    const { src, start, end } = this.moment;
    const address = webAddress(src);
    if (!address) return;
    await navigator.clipboard.writeText(`${address}#t=${start},${end}`);
    const button = this.part("copy");
    label(button, "Link copied");
    button.dataset.done = "";
    this.grid.say("Link copied");
    setTimeout(() => {
      label(button, "Copy link to this time");
      delete button.dataset.done;
    }, COPIED_FOR_MS);
  }
}

/** Names a button for those who see it, those who hear it and those who press its key. */
function label(button, words, key = "") {
  button.title = key ? `${words} (${key})` : words;
  button.setAttribute("aria-label", words);
  if (key) button.setAttribute("aria-keyshortcuts", key);
}
