// The grid of moments. Posters first; one <video> at a time, made when somebody asks for it.
//
// A card is idle, loading, preview, playing, paused, finished or error; its data-state says so and
// the style sheet does the rest.

const HOVER_DELAY_MS = 200;
const COPIED_FOR_MS = 1500;

// Offsets may be rounded to the millisecond. A start that was rounded down would otherwise show the
// last frame before the moment; half a millisecond makes up for it and reaches no other frame.
const NUDGE_SEC = 0.0006;
// A jump that ends further away than this did not happen.
const JUMP_TOLERANCE_SEC = 0.5;
// A viewer who drags this far outside the moment wants to see more of the video.
const LEAVE_TOLERANCE_SEC = 0.25;
// A moment that ends this close to the end of its video has nothing after it to play on to.
const NOTHING_FOLLOWS_SEC = 0.1;

// What happened, and what to do or to know.
const PROBLEMS = {
  unreachable: ["This video could not be loaded.", "Its server may be down. Click to try again."],
  missing: ["This video is no longer there.", "Its file was moved or deleted on the server."],
  undecodable: ["This browser cannot play this file.", "It is no video, or of an unknown format."],
  unseekable: ["This moment cannot be reached.", "The server does not support jumping to a time."],
  short: ["This moment is past the end.", "The video is shorter than when it was indexed."],
  blocked: ["The browser blocked playback.", "Click to play."],
};

const grids = new WeakMap();

export default function ({ data, parentElement, setTriggerValue }) {
  const element = parentElement.querySelector(".grid");
  if (!grids.has(element)) grids.set(element, new Grid(parentElement));
  const grid = grids.get(element);
  grid.send = (action, id) => setTriggerValue("event", { action, segment_id: id });
  grid.show(data.cards);
  // Also called when a newer run of this function overtakes an older one: the grid stays then.
  return () => queueMicrotask(() => element.isConnected || grid.close());
}

class Grid {
  constructor(root) {
    this.element = root.querySelector(".grid");
    this.template = root.querySelector("template");
    this.announcer = root.querySelector(".announcer");
    this.cards = new Map();
    this.player = null;
    this.send = () => {};
    this.element.addEventListener("keydown", (event) => this.onKey(event));
    this.element.addEventListener("focusin", (event) => this.rove(event.target.closest(".card")));
  }

  /** Brings the cards in line with the data; a card whose moment is unchanged is not touched. */
  show(moments) {
    const wanted = new Set(moments.map((moment) => moment.id));
    for (const [id, card] of this.cards) if (!wanted.has(id)) this.drop(id, card);
    moments.forEach((moment, index) => {
      const card = this.cards.get(moment.id) ?? this.add(moment.id);
      card.show(moment, moments.length, index + 1);
      // Moving an element that already stands in its place would interrupt its player.
      if (this.element.children[index] !== card.element) {
        this.element.insertBefore(card.element, this.element.children[index] ?? null);
      }
    });
    this.element.toggleAttribute("data-why", moments.some((moment) => moment.why));
    this.rove(this.element.querySelector('.card[tabindex="0"]') ?? this.element.firstElementChild);
  }

  add(id) {
    const card = new Card(this, this.template.content.firstElementChild.cloneNode(true));
    this.cards.set(id, card);
    return card;
  }

  drop(id, card) {
    card.stop();
    card.element.remove();
    this.cards.delete(id);
  }

  close() {
    for (const card of this.cards.values()) card.leave();
    this.player?.stop();
  }

  say(words) {
    this.announcer.textContent = words;
  }

  /** One card, and what is in it, can be reached by Tab; the arrows move between cards. */
  rove(chosen) {
    if (!chosen) return;
    for (const { element } of this.cards.values()) {
      const reachable = element === chosen ? 0 : -1;
      for (const stop of [element, ...element.querySelectorAll(".action, .pill")]) {
        stop.tabIndex = reachable;
      }
    }
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const card = this.cards.get(event.target.closest(".card")?.dataset.id);
    if (!card) return;
    // A focused button or player has its own idea of these keys; Escape always stops.
    const onCard = event.target === card.element;
    const done = event.key === "Escape" ? card.escape() : onCard && this.act(card, event.key);
    if (!done) return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Does what a key on a card asks for; false when it asks for nothing. */
  act(card, key) {
    if (key === "Enter") card.play();
    else if (key === " ") card.toggle();
    else return this.moveFocus(card, key);
    return true;
  }

  moveFocus(card, key) {
    const cards = [...this.element.children];
    const at = cards.indexOf(card.element);
    const columns = getComputedStyle(this.element).gridTemplateColumns.split(" ").length;
    const target = {
      ArrowLeft: at - 1,
      ArrowRight: at + 1,
      ArrowUp: at - columns,
      ArrowDown: at + columns,
      Home: 0,
      End: cards.length - 1,
    }[key];
    if (target === undefined) return false;
    cards[target]?.focus();
    return true;
  }
}

class Card {
  constructor(grid, element) {
    this.grid = grid;
    this.element = element;
    this.moment = {};
    this.hover = 0;
    this.preparePoster();
    this.prepareButtons();
    element.addEventListener("pointerenter", (event) => this.enter(event));
    element.addEventListener("pointerleave", () => this.leave());
  }

  preparePoster() {
    const poster = this.part("poster");
    poster.addEventListener("load", () => (this.element.dataset.poster = "ready"));
    poster.addEventListener("error", () => (this.element.dataset.poster = "none"));
  }

  prepareButtons() {
    label(this.part("copy"), "Copy link to this time");
    // Browsers give the clipboard to secure pages only.
    this.part("copy").hidden = !navigator.clipboard;
    this.part("play").addEventListener("click", () => this.play());
    this.part("finished").addEventListener("click", (event) => {
      if (event.target === this.part("on")) this.player?.playOn();
      else this.play();
    });
    this.part("similar").addEventListener("click", () => this.grid.send("similar", this.moment.id));
    this.part("copy").addEventListener("click", () => this.copyLink());
  }

  part(name) {
    return this.element.querySelector(`.${name}`);
  }

  get player() {
    return this.grid.player?.card === this ? this.grid.player : null;
  }

  get state() {
    return this.element.dataset.state;
  }

  set state(state) {
    this.element.dataset.state = state;
  }

  /** Writes a moment onto the card. Titles are text from outside: textContent only. */
  show(moment, count, position) {
    const { element } = this;
    element.setAttribute("aria-posinset", position);
    element.setAttribute("aria-setsize", count);
    const before = this.moment;
    if (JSON.stringify(before) === JSON.stringify(moment)) return;
    this.moment = moment;
    const same = ["src", "start", "end"].every((name) => before[name] === moment[name]);
    if (!same) this.stop();
    element.setAttribute("aria-label", moment.name);
    Object.assign(element.dataset, {
      id: moment.id,
      videoId: moment.video_id,
      start: moment.start,
      end: moment.end,
      score: moment.score,
    });
    this.part("play").setAttribute("aria-label", `Play ${moment.name}`);
    this.part("rank").textContent = moment.rank;
    this.part("time").textContent = moment.time;
    this.part("title").textContent = this.part("title").title = moment.title;
    this.part("score").textContent = moment.score_label;
    this.part("fill").style.inlineSize = `${moment.relevance * 100}%`;
    this.part("why").textContent = this.part("why").title = moment.why;
    for (const name of ["option", "category"]) {
      this.part(name).textContent = moment[name];
      this.part(name).hidden = !moment[name];
    }
    if (before.poster !== moment.poster) this.showPoster(webAddress(moment.poster));
  }

  showPoster(address) {
    this.element.dataset.poster = address ? "loading" : "none";
    if (address) this.part("poster").src = address;
  }

  /** Plays with sound from the start; a preview that is already running becomes the player. */
  play() {
    // The button that was pressed is about to vanish, and the keys with it.
    this.element.focus({ preventScroll: true });
    if (this.player) this.player.restart();
    else this.open({ withSound: true });
  }

  toggle() {
    if (["playing", "paused", "finished"].includes(this.state)) this.player.toggle();
    else this.play();
  }

  open({ withSound }) {
    clearTimeout(this.hover);
    this.grid.player?.stop();
    this.grid.player = new Player(this, withSound);
    this.grid.player.start();
  }

  enter(event) {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (event.pointerType !== "mouse" || still) return;
    this.hover = setTimeout(() => this.preview(), HOVER_DELAY_MS);
  }

  /** A preview takes the place of a finished player, never of one somebody is using. */
  preview() {
    const other = this.grid.player;
    const free = !other || other.card.state === "finished" || other.card.state === "error";
    if (free && this.state === "idle") this.open({ withSound: false });
  }

  leave() {
    clearTimeout(this.hover);
    if (this.player && !this.player.withSound) this.stop();
  }

  /** Stops and gives the poster back. */
  stop() {
    clearTimeout(this.hover);
    this.player?.stop();
    this.state = "idle";
  }

  escape() {
    if (this.state === "idle") return false;
    this.stop();
    this.element.focus();
    return true;
  }

  fail(problem) {
    const [what, next] = PROBLEMS[problem];
    this.part("message").querySelector("strong").textContent = what;
    this.part("message").querySelector("span").textContent = next;
    this.element.dataset.problem = problem;
    this.state = "error";
    this.grid.say(`${what} ${next}`);
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

/** One <video> on one card: a muted loop, or the moment with sound and controls. */
class Player {
  constructor(card, withSound) {
    this.card = card;
    this.moment = card.moment;
    this.withSound = withSound;
    this.ready = false;
    this.endless = false;
    this.video = document.createElement("video");
    this.video.playsInline = true;
    this.video.preload = "auto";
    this.video.tabIndex = -1;
    this.listen();
  }

  listen() {
    const on = (name, act) => this.video.addEventListener(name, () => this.open && act());
    on("loadedmetadata", () => this.jump());
    on("seeking", () => this.followViewer());
    on("seeked", () => this.ready || this.arrive());
    on("error", () => this.explain());
    on("play", () => this.onPlay());
    on("pause", () => this.onPause());
    on("ended", () => this.finish());
    on("fullscreenchange", () => this.dress());
    // Animation frames rest in a hidden tab; this does not.
    on("timeupdate", () => this.watch());
  }

  get open() {
    return this.card.grid.player === this;
  }

  start() {
    const address = webAddress(this.moment.src);
    if (!address) return this.fail("unreachable");
    this.card.state = "loading";
    this.video.muted = !this.withSound;
    this.dress();
    this.video.src = address;
    this.card.part("screen").replaceChildren(this.video);
  }

  /** Once finished, our own two buttons stand where the browser's would be, except full screen. */
  dress() {
    const finished = this.card.state === "finished" && !this.video.matches(":fullscreen");
    this.video.controls = this.withSound && !finished;
  }

  /** Plays the moment from its start, with sound. */
  restart() {
    // Only a preview is muted by us; who muted a player wants it to stay so.
    if (!this.withSound) this.video.muted = false;
    this.withSound = true;
    this.endless = false;
    this.dress();
    // What is still loading plays by itself once it is there.
    if (!this.ready) return;
    // A running preview does not say again that it plays.
    this.card.state = "playing";
    this.toStart();
    this.run();
  }

  playOn() {
    this.endless = true;
    this.card.element.focus({ preventScroll: true });
    this.run();
  }

  toggle() {
    if (this.video.paused) this.run();
    else this.video.pause();
  }

  stop() {
    if (!this.open) return;
    this.card.grid.player = null;
    this.release();
    this.card.state = "idle";
  }

  release() {
    this.video.pause();
    this.video.removeAttribute("src");
    // Without this the browser goes on downloading.
    this.video.load();
    this.video.remove();
  }

  fail(problem) {
    this.card.grid.player = null;
    this.release();
    this.card.fail(problem);
  }

  toStart() {
    this.video.currentTime = this.moment.start + NUDGE_SEC;
  }

  jump() {
    const { video, moment } = this;
    if (!video.videoWidth) return this.fail("undecodable");
    if (video.duration <= moment.start) return this.fail("short");
    this.toStart();
  }

  arrive() {
    if (Math.abs(this.video.currentTime - this.moment.start) > JUMP_TOLERANCE_SEC) {
      return this.fail("unseekable");
    }
    this.ready = true;
    this.run();
  }

  async run() {
    try {
      await this.video.play();
    } catch (error) {
      // Anything else means that the player was stopped before it began. The video is kept: the
      // next click may start it only if nothing has to be loaded first.
      if (this.open && error.name === "NotAllowedError") this.card.fail("blocked");
    }
  }

  onPlay() {
    if (this.card.state === "finished" && !this.endless) this.toStart();
    this.card.state = this.withSound ? "playing" : "preview";
    this.dress();
    requestAnimationFrame(() => this.onFrame());
  }

  onPause() {
    if (this.card.state === "playing") this.card.state = "paused";
  }

  onFrame() {
    if (!this.open || this.video.paused) return;
    this.watch();
    requestAnimationFrame(() => this.onFrame());
  }

  watch() {
    const { video, moment } = this;
    const over = this.ready && !video.paused && !video.seeking && video.currentTime >= moment.end;
    if (over && !this.endless) this.finish();
  }

  /** At the end a preview begins again; a player waits for "Replay" or "Play on". */
  finish() {
    if (!this.withSound) {
      this.toStart();
      this.run();
      return;
    }
    const { currentTime, duration } = this.video;
    this.card.part("on").hidden = currentTime > duration - NOTHING_FOLLOWS_SEC;
    this.video.pause();
    this.card.state = "finished";
    this.dress();
  }

  /** Somebody who drags the playhead out of the moment is not held back. */
  followViewer() {
    const { currentTime, paused } = this.video;
    const { start, end } = this.moment;
    // Play at the very end of a video makes the browser itself go back to 0:00.
    const byBrowser = this.card.state === "finished" && !paused;
    const inside =
      currentTime > start - LEAVE_TOLERANCE_SEC && currentTime < end + LEAVE_TOLERANCE_SEC;
    if (this.ready && !byBrowser && !inside) this.endless = true;
  }

  /** The browser says only "not supported"; our own server can be asked for more. */
  async explain() {
    const address = webAddress(this.moment.src);
    const code = this.video.error?.code;
    const ours = new URL(address).origin === location.origin;
    if (code === MediaError.MEDIA_ERR_DECODE) return this.fail("undecodable");
    if (code === MediaError.MEDIA_ERR_NETWORK || !ours) return this.fail("unreachable");
    const problem = await fetch(address, { method: "HEAD" }).then(
      (answer) => (answer.ok ? "undecodable" : answer.status === 404 ? "missing" : "unreachable"),
      () => "unreachable",
    );
    if (this.open) this.fail(problem);
  }
}

/** An absolute http(s) address, or "" for anything else (javascript:, data:, file:). */
function webAddress(address) {
  const url = URL.canParse(address, location.href) ? new URL(address, location.href) : null;
  return url && ["http:", "https:"].includes(url.protocol) ? url.href : "";
}

function label(button, words) {
  button.title = words;
  button.setAttribute("aria-label", words);
}
