// The grid of moments. Posters first; one <video> at a time, made when somebody asks for it.
// The other results_grid_*.js files stand before this one in the same script.

const SPEEDS = [0.5, 1, 1.5, 2];
// Strips are asked for a little before their cards come into view.
const NEAR_VIEW = "200px";

const grids = new WeakMap();

export default function ({ data, parentElement, setTriggerValue }) {
  const began = performance.now();
  const element = parentElement.querySelector(".grid");
  if (!grids.has(element)) grids.set(element, new Grid(parentElement));
  const grid = grids.get(element);
  grid.send = (messages) => setTriggerValue("event", messages);
  const before = grid.data;
  grid.show(data);
  grid.tellTimeSince(began);
  // Also called for a run that began before the last one and came after it: what that one showed
  // counts.
  return () =>
    queueMicrotask(() => (element.isConnected ? grid.takeBack(data, before) : grid.close()));
}

class Grid {
  constructor(root) {
    this.root = root;
    this.element = root.querySelector(".grid");
    this.cards = [];
    this.player = null;
    this.speed = 1;
    this.loop = false;
    this.heats = new Heats();
    // The page scrolls inside the window: only browsers that know scrollMargin look ahead.
    const near = { rootMargin: NEAR_VIEW, scrollMargin: NEAR_VIEW };
    this.views = new IntersectionObserver((seen) => this.onView(seen), near);
    // What the page was told last.
    this.data = { cards: [], selected: null };
    // The moment that played by itself last.
    this.atOnce = "";
    // What stands open: the similar ones of moments, and the answer whose cut was opened.
    this.openFolds = new Set();
    this.openCut = null;
    this.lastTicked = null;
    this.send = () => {};
    // What the page was asked and has not answered yet, and the number of the last of it.
    this.asked = [];
    this.number = 0;
    this.detail = new Detail(this, this.part("details"), this.copyOf("picture"));
    this.extras = new Map();
    this.listen();
  }

  listen() {
    this.element.addEventListener("keydown", (event) => this.onKey(event));
    this.element.addEventListener("focusin", (event) => this.rove(event.target.closest(".card")));
    // Keys that need no card work as long as nothing else has the focus.
    this.onPageKey = (event) => event.target === document.body && this.onKey(event, null);
    document.addEventListener("keydown", this.onPageKey);
    writeKeys(this.part("keys"));
    this.part("help-button").addEventListener("click", () => this.help());
    this.part("help").addEventListener("click", ({ target }) => {
      if (target.closest(".close") || target === this.part("help")) this.part("help").close();
    });
  }

  part(name) {
    return this.root.querySelector(`.${name}`);
  }

  /** A new element like the one of that name in the template. */
  copyOf(name) {
    return this.root.querySelector("template").content.querySelector(`.${name}`).cloneNode(true);
  }

  /** Brings the cards in line with the data; a card whose moment is unchanged is not touched. */
  show(data) {
    this.data = data;
    this.number = Math.max(this.number, data.answered);
    this.asked = this.asked.filter(({ number }) => number > data.answered);
    this.heats.keep(new Set(this.moments.map(({ heat }) => heat)));
    this.element.dataset.layout = data.layout;
    this.element.toggleAttribute("data-why", data.cards.some((moment) => moment.why));
    this.part("footnote").textContent = data.footnote;
    this.lay();
    this.detail.refresh(this.moments);
    this.playAtOnce(data.play);
  }

  /** Shows again what was shown before, unless that was nothing. */
  takeBack(data, before) {
    if (this.data === data && before.layout) this.show(before);
  }

  /** Plays what was picked elsewhere on the page, where the focus stays. */
  playAtOnce(id) {
    if (id === this.atOnce) return;
    this.atOnce = id;
    const card = this.cards.find(({ moment }) => moment.id === id);
    if (!card) return;
    card.element.scrollIntoView({ block: "nearest" });
    card.start({ spans: card.moment.spans, at: 0, withSound: true });
  }

  /** All moments of the data, the folded ones too. */
  get moments() {
    return this.data.cards.flatMap((moment) => [moment, ...moment.similar]);
  }

  get cutIsOpen() {
    return this.openCut === this.data.cut?.key;
  }

  /** Draws the cards that are not folded away, with what stands between them. */
  lay() {
    const moments = this.data.cards
      .filter(({ below }) => !below || this.cutIsOpen)
      .flatMap((moment) => (this.openFolds.has(moment.id) ? [moment, ...moment.similar] : [moment]));
    const places = new Map(this.cards.map((card) => [card, card.place]));
    const focused = this.root.activeElement;
    const focusedAt = this.cards.indexOf(this.cardOf(focused));

    const cards = this.assign(moments);
    for (const card of this.cards) if (!cards.includes(card)) card.remove();
    this.cards = cards;
    cards.forEach((card, index) => card.show(moments[index], cards.length, index + 1));
    this.arrange(this.elements());

    this.glide(places);
    this.keepFocus(focused, focusedAt);
    this.showTicking();
    this.rove(this.element.querySelector('.card[tabindex="0"]') ?? this.cards[0]?.element);
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
      return owner ?? new Card(this, this.copyOf("card"));
    });
  }

  /** The cards in order, with a heading for each video and the line of the cut between them. */
  elements() {
    const { cut, grouped } = this.data;
    const extras = new Map();
    const extra = (key, make) => extras.set(key, this.extras.get(key) ?? make()).get(key);
    const elements = [];
    let group = null;
    let above = true;
    const cutLine = () => {
      above = false;
      elements.push(this.showCut(extra("cut", () => this.newCut())));
    };
    for (const { element, moment } of this.cards) {
      if (above && moment.below) cutLine();
      const key = `${moment.video_id} ${moment.below}`;
      // A similar one stands beside its card, whatever video it is of.
      if (grouped && !moment.is_similar && key !== group) {
        elements.push(this.showGroup(extra(key, () => this.newGroup()), moment));
        group = key;
      }
      elements.push(element);
    }
    if (cut && above) cutLine();
    this.extras = extras;
    return elements;
  }

  newCut() {
    const line = this.copyOf("cut");
    line.addEventListener("click", () => this.toggleCut());
    return line;
  }

  showCut(line) {
    line.querySelector(".cut-words").textContent = this.data.cut.label;
    line.setAttribute("aria-expanded", this.cutIsOpen);
    return line;
  }

  newGroup() {
    const heading = this.copyOf("group");
    heading.querySelector(".group-all").addEventListener("click", () => {
      this.ask("more_of_video", { segment_id: heading.dataset.segment });
    });
    return heading;
  }

  showGroup(heading, { id, title, group }) {
    heading.dataset.segment = id;
    heading.querySelector(".group-title").textContent = title;
    heading.querySelector(".group-count").textContent = group;
    heading.querySelector(".group-all").setAttribute("aria-label", `All moments of ${title}`);
    return heading;
  }

  /** Puts the elements in order around the one that plays: to be moved would interrupt it. */
  arrange(elements) {
    for (const element of [...this.element.children]) {
      if (!elements.includes(element)) element.remove();
    }
    if (elements.every((element, index) => this.element.children[index] === element)) return;
    const still = elements.indexOf(this.player?.stage.element);
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

  /** An element that was moved has lost the focus; of a card that is gone its successor gets it. */
  keepFocus(focused, at) {
    if (!focused || this.root.activeElement === focused) return;
    const successor = at < 0 ? null : this.cards[Math.min(at, this.cards.length - 1)]?.element;
    (focused.isConnected ? focused : successor)?.focus({ preventScroll: true });
  }

  toggleFold({ moment }) {
    if (!this.openFolds.delete(moment.id)) this.openFolds.add(moment.id);
    this.lay();
  }

  toggleCut() {
    this.openCut = this.cutIsOpen ? null : this.data.cut.key;
    this.lay();
  }

  onView(seen) {
    for (const { target, isIntersecting } of seen) {
      if (!isIntersecting) continue;
      this.views.unobserve(target);
      this.cardOf(target)?.fillStrip();
    }
  }

  newStrip() {
    return this.copyOf("strip");
  }

  /** How the strip of a moment is drawn: what is marked on it, and the score that is its top. */
  scaleFor(moment) {
    const others = this.moments.filter(({ id, video_id }) => {
      return video_id === moment.video_id && id !== moment.id;
    });
    return { own: moment.spans, others: others.flatMap(({ spans }) => spans), top: this.data.top };
  }

  /** Says how long it took from the data to the end of the frame that shows the cards. */
  tellTimeSince(began) {
    const tell = () => {
      const took = Math.round(performance.now() - began);
      this.element.dataset.drawnMs = took;
      this.part("drawn").textContent = `drawn in ${took} ms`;
    };
    // An animation frame is called before its picture is made, a timer set in it afterwards.
    requestAnimationFrame(() => setTimeout(tell));
  }

  /** Asks the page for something. All that is unanswered is sent again: messages can overtake. */
  ask(action, details) {
    this.number += 1;
    this.asked.push({ number: this.number, action, ...details });
    this.send([...this.asked]);
    for (const stage of [...this.cards, this.detail]) stage.showChoices();
    this.showTicking();
  }

  /** The mark that a moment was given but that the page has not drawn yet; undefined if none. */
  freshMark({ segments }) {
    const fresh = this.asked.findLast(
      ({ action, segment_id }) => action in MARKS && segments.includes(segment_id),
    );
    return fresh && MARKS[fresh.action];
  }

  /** Whether a moment is in the basket, or will be when the page has answered. */
  isKept({ segments, kept }) {
    const turns = this.asked.filter(
      ({ action, segment_id }) => action === "basket" && segments.includes(segment_id),
    );
    return kept !== (turns.length % 2 === 1);
  }

  /** The ids of the ticked moments, some of which may stand on other pages. */
  get selection() {
    const fresh = this.asked.findLast(({ action }) => action === "select");
    return new Set(fresh?.segment_ids ?? this.data.selected ?? []);
  }

  /** Ticks or unticks a moment, or all `through` to it from the last one; false without ticks. */
  tick({ moment }, { through }) {
    if (!this.data.selected) return false;
    const selection = this.selection;
    const ticks = !selection.has(moment.id);
    const ids = this.cards.map((card) => card.moment.id);
    const at = ids.indexOf(moment.id);
    const from = through && ids.includes(this.lastTicked) ? ids.indexOf(this.lastTicked) : at;
    for (const id of ids.slice(Math.min(from, at), Math.max(from, at) + 1)) {
      if (ticks) selection.add(id);
      else selection.delete(id);
    }
    this.lastTicked = moment.id;
    const shown = ids.filter((id) => selection.has(id));
    this.ask("select", { segment_ids: [...new Set([...shown, ...selection])] });
    this.say(`${selection.size} selected`);
    return true;
  }

  showTicking() {
    this.element.toggleAttribute("data-ticking", this.selection.size > 0);
  }

  cardOf(element) {
    const owner = element?.closest(".card");
    return this.cards.find((card) => card.element === owner);
  }

  cardBeside({ id }, step) {
    return this.cards[this.cards.findIndex((card) => card.moment.id === id) + step];
  }

  close() {
    document.removeEventListener("keydown", this.onPageKey);
    this.views.disconnect();
    for (const card of this.cards) card.leave();
    this.player?.stop();
  }

  say(words) {
    this.part("announcer").textContent = words;
  }

  help() {
    this.part("help").showModal();
  }

  playNth(number) {
    const card = this.cards[number - 1];
    if (!card || this.detail.dialog.open) return false;
    card.element.scrollIntoView({ block: "nearest" });
    card.play();
    return true;
  }

  changeSpeed(direction) {
    const at = SPEEDS.indexOf(this.speed) + direction;
    this.setSpeed(SPEEDS[clamp(at, 0, SPEEDS.length - 1)]);
  }

  setSpeed(speed) {
    this.speed = speed;
    this.player?.keepPace();
    this.tellMode(`Speed ${speed}`);
  }

  toggleLoop() {
    this.loop = !this.loop;
    this.tellMode(this.loop ? "Loop on" : "Loop off");
  }

  tellMode(words) {
    this.detail.showModes();
    if (this.player) this.player.stage.flash(words);
    else this.say(words);
  }

  /** One card, and what is in it, can be reached by Tab; the arrows move between cards. */
  rove(chosen) {
    if (!chosen) return;
    for (const { element } of this.cards) {
      const reachable = element === chosen ? 0 : -1;
      const stops = element.querySelectorAll(".action, .pill, .half, .tick, .fold, .strip");
      for (const stop of [element, ...stops]) stop.tabIndex = reachable;
    }
  }

  onKey(event, stage = this.cardOf(event.target)) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (!answerKey(event, stage ?? null, this)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  moveFocus(card, key) {
    const at = this.cards.indexOf(card);
    const target = {
      ArrowLeft: this.cards[at - 1],
      ArrowRight: this.cards[at + 1],
      ArrowUp: this.cardInRow(card, -1),
      ArrowDown: this.cardInRow(card, 1),
      Home: this.cards[0],
      End: this.cards.at(-1),
    }[key];
    target?.element.focus();
    return true;
  }

  /** The card nearest to this one in the row above (-1) or below (1); rows may be cut short. */
  cardInRow(card, direction) {
    const { top, left } = card.place;
    const far = ({ place }) => [direction * (place.top - top), Math.abs(place.left - left)];
    const beyond = this.cards.filter((other) => far(other)[0] > 1);
    return beyond.toSorted((a, b) => far(a)[0] - far(b)[0] || far(a)[1] - far(b)[1])[0];
  }
}
