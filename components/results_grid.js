// The grid of moments. Posters first; one <video> at a time, made when somebody asks for it.
//
// A card is idle, loading, preview, playing, paused, finished or error; its data-state says so and
// the style sheet does the rest.

const HOVER_DELAY_MS = 200;
const COPIED_FOR_MS = 1500;
const GLIDE_MS = 140;

// Offsets may be rounded to the millisecond. A start that was rounded down would otherwise show the
// last frame before the moment; half a millisecond makes up for it and reaches no other frame.
const NUDGE_SEC = 0.0006;
// A jump that ends further away than this did not happen.
const JUMP_TOLERANCE_SEC = 0.5;
// A viewer who drags this far outside the moment wants to see more of the video.
const LEAVE_TOLERANCE_SEC = 0.25;
// A moment that ends this close to the end of its video has nothing after it to play on to, and
// halves this close to each other nothing between them to jump over.
const NOTHING_BETWEEN_SEC = 0.1;

// What happened, and what to do or to know.
const PROBLEMS = {
  unreachable: ["This video could not be loaded.", "Its server may be down. Click to try again."],
  missing: ["This video is no longer there.", "Its file was moved or deleted on the server."],
  undecodable: ["This browser cannot play this file.", "It is no video, or of an unknown format."],
  unseekable: ["This moment cannot be reached.", "The server does not support jumping to a time."],
  short: ["This moment is past the end.", "The video is shorter than when it was indexed."],
  blocked: ["The browser blocked playback.", "Click to play."],
};

// The states with a picture of the video to look at, in somebody's hands.
const IN_HAND = ["playing", "paused", "finished"];

// What a thumb tells the page, and what is said of it.
const MARKS = { liked: "up", disliked: "down", unmarked: "" };
const MARKED = {
  liked: "Marked as a good match",
  disliked: "Marked as a bad match",
  unmarked: "Mark removed",
};

// What a key does anywhere on a card.
const SHORTCUTS = {
  "+": (card) => card.rate("up"),
  "-": (card) => card.rate("down"),
  m: (card) => card.ask("similar"),
  l: (card) => card.ask("unlike"),
  f: (card) => card.searchFrame(),
};

const grids = new WeakMap();

export default function ({ data, parentElement, setTriggerValue }) {
  const began = performance.now();
  const element = parentElement.querySelector(".grid");
  if (!grids.has(element)) grids.set(element, new Grid(parentElement));
  const grid = grids.get(element);
  grid.send = (messages) => setTriggerValue("event", messages);
  grid.show(data);
  grid.tellTimeSince(began);
  // Also called when a newer run of this function overtakes an older one: the grid stays then.
  return () => queueMicrotask(() => element.isConnected || grid.close());
}

class Grid {
  constructor(root) {
    this.root = root;
    this.element = root.querySelector(".grid");
    this.template = root.querySelector("template");
    this.announcer = root.querySelector(".announcer");
    this.cards = [];
    this.player = null;
    this.send = () => {};
    // What the page was asked and has not answered yet, and the number of the last of it.
    this.asked = [];
    this.number = 0;
    this.element.addEventListener("keydown", (event) => this.onKey(event));
    this.element.addEventListener("focusin", (event) => this.rove(event.target.closest(".card")));
  }

  /** Brings the cards in line with the data; a card whose moment is unchanged is not touched. */
  show({ cards: moments, footnote, answered }) {
    this.number = Math.max(this.number, answered);
    this.asked = this.asked.filter(({ number }) => number > answered);
    const places = new Map(this.cards.map((card) => [card, card.place]));
    const focused = this.root.activeElement;
    const focusedAt = this.cards.indexOf(this.cardOf(focused));

    const cards = this.assign(moments);
    for (const card of this.cards) if (!cards.includes(card)) card.remove();
    this.cards = cards;
    this.arrange(cards.map((card) => card.element));
    cards.forEach((card, index) => card.show(moments[index], cards.length, index + 1));

    this.glide(places);
    if (focusedAt >= 0) this.keepFocus(focused, focusedAt);
    this.element.toggleAttribute("data-why", moments.some((moment) => moment.why));
    this.root.querySelector(".footnote").textContent = footnote;
    this.rove(this.element.querySelector('.card[tabindex="0"]') ?? this.element.firstElementChild);
  }

  /** A card for each moment: the one that shows it, or a part of it, already, else a new one. */
  assign(moments) {
    const owners = new Map();
    for (const card of this.cards) {
      for (const segment of card.moment.segments) owners.set(segment, card);
    }
    const free = new Set(this.cards);
    return moments.map(({ segments }) => {
      const owner = segments.map((segment) => owners.get(segment)).find((card) => free.has(card));
      free.delete(owner);
      return owner ?? new Card(this, this.template.content.firstElementChild.cloneNode(true));
    });
  }

  /** Puts the elements in order around the one that plays: to be moved would interrupt it. */
  arrange(elements) {
    if (elements.every((element, index) => this.element.children[index] === element)) return;
    const still = elements.indexOf(this.player?.card.element);
    if (still > 0) elements[still].before(...elements.slice(0, still));
    this.element.append(...elements.slice(still + 1));
  }

  /** Lets the cards that stay move from where they were to where they are now. */
  glide(places) {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const stayed = this.cards.filter((card) => places.has(card));
    // All are measured before the first is touched: the browser then lays them out only once.
    for (const card of stayed) card.glide?.cancel();
    const moves = stayed.map((card) => [card, places.get(card), card.place]);
    for (const [card, before, now] of moves) card.glideFrom(before, now);
  }

  /** An element that was moved has lost the focus; of one that is gone its successor gets it. */
  keepFocus(focused, at) {
    if (this.root.activeElement === focused) return;
    const successor = this.cards[Math.min(at, this.cards.length - 1)]?.element;
    (focused.isConnected ? focused : successor)?.focus({ preventScroll: true });
  }

  /** Says how long it took from the data to the end of the frame that shows the cards. */
  tellTimeSince(began) {
    const tell = () => {
      const took = Math.round(performance.now() - began);
      this.element.dataset.drawnMs = took;
      this.root.querySelector(".drawn").textContent = `drawn in ${took} ms`;
    };
    // An animation frame is called before its picture is made, a timer set in it afterwards.
    requestAnimationFrame(() => setTimeout(tell));
  }

  /** Asks the page for something. All that is unanswered is sent again: messages can overtake. */
  ask(action, id, second) {
    this.number += 1;
    this.asked.push({ number: this.number, action, segment_id: id, second });
    this.send([...this.asked]);
  }

  /** The mark that a moment was given but that the page has not drawn yet; undefined if none. */
  freshMark({ segments }) {
    const fresh = this.asked.findLast(
      ({ action, segment_id }) => action in MARKS && segments.includes(segment_id),
    );
    return fresh && MARKS[fresh.action];
  }

  cardOf(element) {
    const owner = element?.closest(".card");
    return this.cards.find((card) => card.element === owner);
  }

  close() {
    for (const card of this.cards) card.leave();
    this.player?.stop();
  }

  say(words) {
    this.announcer.textContent = words;
  }

  /** One card, and what is in it, can be reached by Tab; the arrows move between cards. */
  rove(chosen) {
    if (!chosen) return;
    for (const { element } of this.cards) {
      const reachable = element === chosen ? 0 : -1;
      for (const stop of [element, ...element.querySelectorAll(".action, .pill, .half")]) {
        stop.tabIndex = reachable;
      }
    }
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const card = this.cardOf(event.target);
    if (!card || !this.act(card, event)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Does what a key on a card asks for; false when it asks for nothing. */
  act(card, { key, target, repeat }) {
    if (key === "Escape") return card.escape();
    const shortcut = SHORTCUTS[key.toLowerCase()];
    // A key that is held down would do and undo the same.
    if (shortcut) return repeat || (shortcut(card) ?? true);
    // A focused button or player has its own idea of all other keys.
    if (target !== card.element) return false;
    if (key === "Enter") card.play();
    else if (key === " ") card.toggle();
    else return this.moveFocus(card, key);
    return true;
  }

  moveFocus(card, key) {
    const at = this.cards.indexOf(card);
    const columns = getComputedStyle(this.element).gridTemplateColumns.split(" ").length;
    const target = {
      ArrowLeft: at - 1,
      ArrowRight: at + 1,
      ArrowUp: at - columns,
      ArrowDown: at + columns,
      Home: 0,
      End: this.cards.length - 1,
    }[key];
    if (target === undefined) return false;
    this.cards[target]?.element.focus();
    return true;
  }
}

class Card {
  constructor(grid, element) {
    this.grid = grid;
    this.element = element;
    this.moment = { segments: [] };
    this.hovered = false;
    this.hover = 0;
    this.glide = null;
    this.preparePoster();
    this.prepareButtons();
    // A card that slides under a resting pointer was not chosen: it is entered, but nothing moves.
    element.addEventListener("pointermove", (event) => this.hovered || this.enter(event));
    element.addEventListener("pointerleave", () => this.leave());
  }

  preparePoster() {
    const poster = this.part("poster");
    poster.addEventListener("load", () => (this.element.dataset.poster = "ready"));
    poster.addEventListener("error", () => (this.element.dataset.poster = "none"));
  }

  prepareButtons() {
    label(this.part("similar"), "More like this", "M");
    label(this.part("unlike"), "Less like this", "L");
    label(this.part("copy"), "Copy link to this time");
    label(this.part("up"), "Good match", "+");
    label(this.part("down"), "Bad match", "-");
    this.part("frame").title = "Search with this frame (F)";
    this.part("frame").setAttribute("aria-keyshortcuts", "F");
    // Browsers give the clipboard to secure pages only.
    this.part("copy").hidden = !navigator.clipboard;
    this.part("play").addEventListener("click", () => this.play());
    this.part("finished").addEventListener("click", (event) => {
      if (event.target === this.part("on")) this.player?.playOn();
      else this.play();
    });
    this.part("similar").addEventListener("click", () => this.ask("similar"));
    this.part("unlike").addEventListener("click", () => this.ask("unlike"));
    this.part("copy").addEventListener("click", () => this.copyLink());
    this.part("up").addEventListener("click", () => this.rate("up"));
    this.part("down").addEventListener("click", () => this.rate("down"));
    this.part("frame").addEventListener("click", () => this.searchFrame());
    this.halves.forEach((half, at) => half.addEventListener("click", () => this.play(at)));
  }

  part(name) {
    return this.element.querySelector(`.${name}`);
  }

  get halves() {
    return this.element.querySelectorAll(".half");
  }

  get place() {
    return this.element.getBoundingClientRect();
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
    this.moment = moment;
    this.showMark();
    if (JSON.stringify(before) === JSON.stringify(moment)) return;
    // A stretch that has only grown or shrunk is played to the end that it had.
    if (before.src !== moment.src || before.spans.length !== moment.spans.length) this.stop();
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
    this.showTimes(moment);
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

  /** One stretch stands on the picture; two have a row of their own, with a bar for each. */
  showTimes({ spans, title }) {
    const pair = spans.length > 1;
    this.part("time").hidden = pair;
    this.part("time").textContent = spans[0].time;
    this.part("halves").hidden = !pair;
    if (!pair) return;
    this.halves.forEach((half, at) => {
      const { time, name } = spans[at];
      half.querySelector(".span").textContent = time;
      half.setAttribute("aria-label", `Play ${"AB"[at]}, ${name}, of ${title}`);
    });
  }

  /** Fills the bars up to a fraction of half `at`; nothing is playing when that is -1. */
  showProgress(at, fraction = 0) {
    this.halves.forEach((half, index) => {
      const share = index === at ? fraction : index < at ? 1 : 0;
      half.querySelector(".done").style.inlineSize = `${share * 100}%`;
      half.ariaCurrent = index === at ? "true" : null;
    });
  }

  showMark() {
    const mark = this.grid.freshMark(this.moment) ?? this.moment.mark;
    for (const name of ["up", "down"]) this.part(name).setAttribute("aria-pressed", mark === name);
  }

  /** Presses a thumb, or takes it back. The page is not waited for; what it draws later counts. */
  rate(thumb) {
    const pressed = this.part(thumb).getAttribute("aria-pressed") === "true";
    const action = pressed ? "unmarked" : { up: "liked", down: "disliked" }[thumb];
    this.grid.ask(action, this.moment.marked);
    this.grid.say(MARKED[action]);
    this.showMark();
  }

  ask(action) {
    this.grid.ask(action, this.moment.id);
  }

  /** Pauses and asks for what looks like the picture that stands; false while there is none. */
  searchFrame() {
    if (!IN_HAND.includes(this.state)) return false;
    const { video } = this.player;
    video.pause();
    this.grid.ask("frame", this.moment.id, video.currentTime);
    return true;
  }

  glideFrom(before, now) {
    const [x, y] = [before.left - now.left, before.top - now.top];
    if (!x && !y) return;
    const from = { transform: `translate(${x}px, ${y}px)` };
    this.glide = this.element.animate([from, { transform: "none" }], {
      duration: GLIDE_MS,
      easing: "ease-out",
    });
  }

  remove() {
    this.stop();
    this.element.remove();
  }

  showPoster(address) {
    this.element.dataset.poster = address ? "loading" : "none";
    if (address) this.part("poster").src = address;
  }

  /** Plays with sound from the start of half `at`; a preview that is running becomes the player. */
  play(at = 0) {
    // The button that was pressed is about to vanish, and the keys with it.
    this.element.focus({ preventScroll: true });
    if (this.player) this.player.restart(at);
    else this.open({ withSound: true, at });
  }

  toggle() {
    if (IN_HAND.includes(this.state)) this.player.toggle();
    else this.play();
  }

  open({ withSound, at = 0 }) {
    clearTimeout(this.hover);
    this.grid.player?.stop();
    this.grid.player = new Player(this, { withSound, at });
    this.grid.player.start();
  }

  enter(event) {
    this.hovered = true;
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
    this.hovered = false;
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

/** One <video> on one card: a muted loop, or the moment with sound and controls.
 *
 * It plays the spans of its moment one after the other, from the one at `at`.
 */
class Player {
  constructor(card, { withSound, at }) {
    this.card = card;
    this.spans = card.moment.spans;
    this.at = at;
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
    const address = webAddress(this.card.moment.src);
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

  get span() {
    return this.spans[this.at];
  }

  /** Plays the moment from the start of half `at`, with sound. */
  restart(at) {
    this.spans = this.card.moment.spans;
    this.at = at;
    // Only a preview is muted by us; who muted a player wants it to stay so.
    if (!this.withSound) this.video.muted = false;
    this.withSound = true;
    this.endless = false;
    this.dress();
    // What is still loading plays by itself once it is there.
    if (!this.ready) return;
    // A running preview does not say again that it plays.
    this.card.state = "playing";
    this.seekTo(at);
    this.run();
  }

  playOn() {
    this.leaveMoment();
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
    this.card.showProgress(-1);
  }

  fail(problem) {
    this.card.grid.player = null;
    this.release();
    this.card.fail(problem);
  }

  seekTo(at) {
    this.at = at;
    this.video.currentTime = this.span.start + NUDGE_SEC;
  }

  jump() {
    const { video } = this;
    if (!video.videoWidth) return this.fail("undecodable");
    if (video.duration <= this.spans.at(-1).start) return this.fail("short");
    this.seekTo(this.at);
  }

  arrive() {
    if (Math.abs(this.video.currentTime - this.span.start) > JUMP_TOLERANCE_SEC) {
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
    if (this.card.state === "finished" && !this.endless) this.seekTo(0);
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
    const { video, span } = this;
    if (!this.ready || this.endless || video.seeking) return;
    const played = (video.currentTime - span.start) / (span.end - span.start);
    this.card.showProgress(this.at, Math.min(1, Math.max(0, played)));
    if (!video.paused && video.currentTime >= span.end) this.goOn();
  }

  /** Behind the end of one span comes the next, behind the last one the end. */
  goOn() {
    const next = this.spans[this.at + 1];
    if (!next) this.finish();
    else if (next.start - this.video.currentTime < NOTHING_BETWEEN_SEC) this.at += 1;
    else this.seekTo(this.at + 1);
  }

  /** At the end a preview begins again; a player waits for "Replay" or "Play on". */
  finish() {
    if (!this.withSound) {
      this.seekTo(0);
      this.run();
      return;
    }
    const { currentTime, duration } = this.video;
    this.card.part("on").hidden = currentTime > duration - NOTHING_BETWEEN_SEC;
    this.video.pause();
    this.card.state = "finished";
    this.dress();
  }

  /** Somebody who drags the playhead out of the moment is not held back. */
  followViewer() {
    const { currentTime, paused } = this.video;
    // Play at the very end of a video makes the browser itself go back to 0:00.
    const byBrowser = this.card.state === "finished" && !paused;
    if (!this.ready || byBrowser || this.holds(this.span, currentTime)) return;
    const at = this.spans.findIndex((span) => this.holds(span, currentTime));
    if (at >= 0) this.at = at;
    else this.leaveMoment();
  }

  holds({ start, end }, second) {
    return second > start - LEAVE_TOLERANCE_SEC && second < end + LEAVE_TOLERANCE_SEC;
  }

  leaveMoment() {
    this.endless = true;
    this.card.showProgress(-1);
  }

  /** The browser says only "not supported"; our own server can be asked for more. */
  async explain() {
    const address = webAddress(this.card.moment.src);
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

/** Names a button for those who see it, those who hear it and those who press its key. */
function label(button, words, key = "") {
  button.title = key ? `${words} (${key})` : words;
  button.setAttribute("aria-label", words);
  if (key) button.setAttribute("aria-keyshortcuts", key);
}
