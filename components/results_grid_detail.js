// The detail view: one moment on a large stage, with all that is known about it.

// What is asked of the page from here is answered behind the view, which makes way.
const LEAVES = ["similar", "unlike", "frame", "more_of_video"];

class Detail extends Stage {
  constructor(grid, dialog, picture) {
    const element = dialog.querySelector(".detail");
    element.querySelector(".picture-place").replaceWith(picture);
    super(grid, element);
    this.dialog = dialog;
    this.strips = [];
    this.known = [];
    // There is only one stage here: all that lies on it can be reached by Tab.
    for (const stop of picture.querySelectorAll(".action, .pill, .tick")) stop.tabIndex = 0;
    dialog.addEventListener("keydown", (event) => grid.onKey(event, this));
    dialog.addEventListener("close", () => this.stop());
    // A click beside the view lands on the dialog itself.
    dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
    this.prepareTransport();
  }

  prepareTransport() {
    const prepare = (name, words, key, act) => {
      label(this.part(name), words, key);
      this.part(name).addEventListener("click", act);
    };
    prepare("close", "Close", "Escape", () => this.dialog.close());
    prepare("back", "Previous segment", "[", () => this.playNeighbour(-1));
    prepare("ahead", "Next segment", "]", () => this.playNeighbour(1));
    prepare("frame-back", "One frame back", ",", () => this.step(-1));
    prepare("frame-ahead", "One frame ahead", ".", () => this.step(1));
    prepare("pause", "Play or pause", "K", () => this.toggle());
    prepare("loop", "Loop", "O", () => this.grid.toggleLoop());
    prepare("past", "Play on past the end", "P", () => this.playOn());
    this.part("all").addEventListener("click", () => this.ask("more_of_video"));
    this.part("paces").replaceChildren(...SPEEDS.map((speed) => this.pace(speed)));
  }

  pace(speed) {
    const button = document.createElement("button");
    button.type = "button";
    button.value = speed;
    button.textContent = `${speed}×`;
    button.setAttribute("aria-label", `Speed ${speed}`);
    button.addEventListener("click", () => this.grid.setSpeed(speed));
    return button;
  }

  /** Opens for the moment of a card; what was playing there goes on here. */
  open(card) {
    const { moment, player, inHand } = card;
    const going = inHand && {
      how: { spans: player.spans, at: player.at, from: player.video.currentTime, withSound: true },
      endless: player.endless,
    };
    card.stop();
    this.show(moment);
    this.showModes();
    this.dialog.showModal();
    this.element.focus();
    if (!going) return;
    this.start(going.how);
    this.player.endless = going.endless;
  }

  /** Follows what the page now says of the moment; closes when it is no longer there. */
  refresh(moments) {
    if (!this.dialog.open) return;
    const { id } = this.moment;
    const moment = moments.find(({ segments }) => segments.includes(id));
    if (moment) this.show(moment);
    else this.dialog.close();
  }

  show(moment) {
    const before = this.moment;
    if (JSON.stringify(before) !== JSON.stringify(moment)) {
      this.showPicture(moment);
      this.part("name").textContent = moment.title;
      this.part("reason").textContent = moment.why;
      this.part("facts-list").replaceChildren(...moment.facts.flatMap(describe));
      this.part("strips").hidden = !moment.heat;
      if (before.heat !== moment.heat || before.id !== moment.id) this.layRows(moment.options);
    }
    this.showChoices();
    this.fillStrips();
  }

  /** One strip for each option, empty and of its final size. */
  layRows(options) {
    this.options = options.length > 1 ? options : [""];
    this.strips = this.options.map((option) => {
      const strip = new Strip(this.grid.newStrip(), (segment) => this.playSegment(segment));
      strip.element.tabIndex = 0;
      strip.element.hidden = false;
      strip.element.setAttribute("aria-label", `Scores of the whole video ${option}`.trim());
      strip.clear();
      return strip;
    });
    this.part("strips").replaceChildren(
      ...this.strips.flatMap(({ element }, at) => {
        if (!this.options[at]) return [element];
        const name = document.createElement("span");
        name.textContent = this.options[at];
        return [name, element];
      }),
    );
  }

  async fillStrips() {
    const { heat } = this.moment;
    const segments = await this.segments;
    if (this.moment.heat !== heat) return;
    this.known = segments;
    // The video may have answered in more options than its best segment did.
    const options = Object.keys(segments[0]?.options ?? {});
    if (options.length > this.options.length) this.layRows(options);
    const scale = this.grid.scaleFor(this.moment);
    this.strips.forEach((strip, at) => strip.show(ofOption(segments, this.options[at]), scale));
    this.showNeighbours();
  }

  showNeighbours() {
    const here = this.hereAmong(this.known);
    for (const [name, direction] of [["back", -1], ["ahead", 1]]) {
      const next = neighbour(this.known, here, direction);
      this.part(name).disabled = !next;
      this.part(name).querySelector(".when").textContent = next ? clock(next.start) : "";
    }
  }

  showModes() {
    this.part("loop").setAttribute("aria-pressed", this.grid.loop);
    for (const button of this.part("paces").children) {
      button.setAttribute("aria-pressed", Number(button.value) === this.grid.speed);
    }
  }

  showTime(second) {
    for (const strip of this.strips) strip.showTime(second);
    this.showNeighbours();
  }

  ask(action, details) {
    super.ask(action, details);
    if (LEAVES.includes(action)) this.dialog.close();
  }

  /** The moment before or after this one, in the order of the cards. */
  move(key) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
    const next = step && this.grid.cardBeside(this.moment, step);
    if (!next) return false;
    this.show(next.moment);
    return true;
  }

  openDetail() {
    this.dialog.close();
  }

  /** The browser closes a dialog by itself. */
  escape() {
    return false;
  }
}

/** A fact as a term and its meaning. */
function describe([name, value]) {
  const [term, meaning] = [document.createElement("dt"), document.createElement("dd")];
  term.textContent = name;
  meaning.textContent = value;
  return [term, meaning];
}

/** The segments as one option scores them; all of them when the option is "". */
function ofOption(segments, option) {
  if (!option) return segments;
  return segments
    .filter(({ options }) => typeof options[option] === "number")
    .map((segment) => ({ ...segment, score: segment.options[option] }));
}
