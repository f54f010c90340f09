// A card of the wall, or a row of the table: a stage with its words, its strip and its folds.

const HOVER_DELAY_MS = 200;
const GLIDE_MS = 140;

class Card extends Stage {
  constructor(grid, element) {
    super(grid, element);
    this.hovered = false;
    this.hover = 0;
    this.glide = null;
    this.strip = new Strip(this.part("strip"), (segment) => this.playSegment(segment));
    this.halves.forEach((half, at) => half.addEventListener("click", () => this.play(at)));
    this.part("fold").addEventListener("click", () => grid.toggleFold(this));
    // A card that slides under a resting pointer was not chosen: it is entered, but nothing moves.
    const picture = this.part("picture");
    picture.addEventListener("pointermove", (event) => this.hovered || this.enter(event));
    element.addEventListener("pointerleave", () => this.leave());
  }

  get halves() {
    return this.element.querySelectorAll(".half");
  }

  get place() {
    return this.element.getBoundingClientRect();
  }

  /** Writes a moment onto the card; what has not changed is not touched. */
  show(moment, count, position) {
    const { element } = this;
    element.setAttribute("aria-posinset", position);
    element.setAttribute("aria-setsize", count);
    const before = this.moment;
    if (JSON.stringify(before) !== JSON.stringify(moment)) {
      this.showPicture(moment);
      this.showWords(moment);
    }
    this.showChoices();
    this.showFold();
    this.showStrip(before.heat);
  }

  showWords(moment) {
    Object.assign(this.element.dataset, {
      id: moment.id,
      videoId: moment.video_id,
      start: moment.start,
      end: moment.end,
      score: moment.score,
    });
    this.element.toggleAttribute("data-similar", moment.is_similar);
    this.part("row-time").textContent = moment.spans[0].time;
    this.showHalves(moment);
    this.part("title").textContent = this.part("title").title = moment.title;
    this.part("score").textContent = moment.score_label;
    this.part("level").textContent = moment.level;
    this.part("level").title = moment.level_reason;
    this.part("fill").style.inlineSize = `${moment.relevance * 100}%`;
    this.part("exported").hidden = !moment.exported;
    this.part("category").textContent = moment.category;
    this.part("category").hidden = !moment.category;
    this.part("why").textContent = this.part("why").title = moment.why;
  }

  /** One stretch stands on the picture; two have a row of their own, with a bar for each. */
  showHalves({ spans, title }) {
    const pair = spans.length > 1;
    this.part("halves").hidden = !pair;
    if (!pair) return;
    this.halves.forEach((half, at) => {
      const { time, name } = spans[at];
      half.querySelector(".span").textContent = time;
      half.setAttribute("aria-label", `Play ${"AB"[at]}, ${name}, of ${title}`);
    });
  }

  showFold() {
    const fold = this.part("fold");
    fold.hidden = !this.moment.similar.length;
    fold.textContent = this.moment.similar_label;
    fold.setAttribute("aria-expanded", this.grid.openFolds.has(this.moment.id));
  }

  /** The strip has its place from the start, and is filled once the card comes into view. */
  showStrip(before) {
    const { heat, title } = this.moment;
    this.part("strip").hidden = !heat;
    this.part("strip").setAttribute("aria-label", `Scores of all of ${title}`);
    if (!heat) return;
    if (heat !== before) this.strip.clear();
    // Watched anew: a card that is in view already is reported again.
    this.grid.views.unobserve(this.element);
    this.grid.views.observe(this.element);
  }

  async fillStrip() {
    const { heat } = this.moment;
    const segments = await this.segments;
    if (this.moment.heat === heat) this.strip.show(segments, this.grid.scaleFor(this.moment));
  }

  /** Fills the bars up to a fraction of half `at`; nothing is playing when that is -1. */
  showProgress(at, fraction = 0) {
    this.halves.forEach((half, index) => {
      const share = index === at ? fraction : index < at ? 1 : 0;
      half.querySelector(".done").style.inlineSize = `${share * 100}%`;
      half.ariaCurrent = index === at ? "true" : null;
    });
  }

  showTime(second) {
    this.strip.showTime(second);
  }

  move(key) {
    return this.grid.moveFocus(this, key);
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
    this.grid.views.unobserve(this.element);
    this.element.remove();
  }

  start(how) {
    clearTimeout(this.hover);
    super.start(how);
  }

  stop() {
    clearTimeout(this.hover);
    super.stop();
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
    const free = !other || other.stage.state === "finished" || other.stage.state === "error";
    if (free && this.state === "idle") this.start({ spans: this.moment.spans, withSound: false });
  }

  leave() {
    this.hovered = false;
    clearTimeout(this.hover);
    if (this.player && !this.player.withSound) this.stop();
  }

  escape() {
    if (this.state === "idle") return false;
    this.stop();
    this.element.focus();
    return true;
  }
}
