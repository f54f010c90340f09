// How a question scores a whole video: asked for when a card comes into view, drawn as one strip.

// So many are fetched at once; pictures and players share the browser's few connections.
const FETCHES_AT_ONCE = 2;
// The least score is drawn this high, so that a strip is never empty where there is video.
const LEAST_HEIGHT = 0.08;
// The scores of one question lie close together: raised to this power, what stands out is seen.
const CONTRAST = 3;
// So far in from either end the words over a strip still stand inside it.
const TIP_MARGIN = 0.14;
const ABOUT_SEC = 0.05;

/** The scores of videos by their addresses; each is fetched once. */
class Heats {
  constructor() {
    this.known = new Map();
    this.waiting = [];
    this.running = 0;
  }

  /** Gives a video's segments in order, [{start, end, score, options}]; none when nobody knows. */
  of(address) {
    if (!address) return Promise.resolve([]);
    if (!this.known.has(address)) {
      const asked = new Promise((give) => this.waiting.push({ address, give }));
      this.known.set(address, asked);
      this.fetchNext();
    }
    return this.known.get(address);
  }

  /** Forgets what is on the screen no more. */
  keep(addresses) {
    for (const address of this.known.keys()) {
      if (!addresses.has(address)) this.known.delete(address);
    }
    this.waiting = this.waiting.filter(({ address, give }) => addresses.has(address) || give([]));
  }

  async fetchNext() {
    if (this.running >= FETCHES_AT_ONCE || !this.waiting.length) return;
    const { address, give } = this.waiting.shift();
    this.running += 1;
    give(await this.fetch(address));
    this.running -= 1;
    this.fetchNext();
  }

  /** A strip that cannot be had stays empty: it is an extra, and its card plays without it. */
  async fetch(address) {
    try {
      const answer = await fetch(address);
      if (!answer.ok) return [];
      const { starts, ends, scores, options } = await answer.json();
      return starts.map((start, at) => ({
        start,
        end: ends[at],
        score: scores[at],
        options: Object.fromEntries(
          Object.entries(options).map(([option, column]) => [option, column[at]]),
        ),
      }));
    } catch {
      return [];
    }
  }
}

/** The segment before (-1) or after (1) a stretch of video; undefined at the ends. */
function neighbour(segments, { start, end }, direction) {
  return direction > 0
    ? segments.find((segment) => segment.start >= end - ABOUT_SEC)
    : segments.findLast((segment) => segment.end <= start + ABOUT_SEC);
}

/** The segment that is on at a second: where several overlap, the one that scores most. */
function segmentAt(segments, second) {
  const on = segments.filter(({ start, end }) => start <= second && second < end);
  return on.toSorted((a, b) => b.score - a.score)[0];
}

/** The scores of a video from left to right. It is a slider: the arrows walk, Enter plays. */
class Strip {
  constructor(element, play) {
    this.element = element;
    this.play = play;
    this.segments = [];
    this.chosen = null;
    element.addEventListener("pointermove", (event) => this.point(this.under(event)));
    element.addEventListener("pointerleave", () => this.point(null));
    element.addEventListener("blur", () => this.point(null));
    element.addEventListener("click", (event) => this.enter(this.under(event)));
    element.addEventListener("keydown", (event) => this.onKey(event));
  }

  part(name) {
    return this.element.querySelector(`.${name}`);
  }

  /** Draws `segments`. `own` is the card's moment, `others` are further moments of the video, and
   * `top` is the score that reaches the upper edge, the same for all strips of an answer. */
  show(segments, scale) {
    const drawn = JSON.stringify(scale);
    if (segments === this.segments && drawn === this.drawn) return;
    const { own, others, top } = scale;
    this.segments = segments;
    this.drawn = drawn;
    this.length = Math.max(0, ...segments.map(({ end }) => end));
    this.chosen = segments.find((segment) => overlap(segment, own)) ?? segments[0] ?? null;
    const height = (score) => {
      const share = top > 0 ? clamp(score / top, 0, 1) ** CONTRAST : 0;
      return LEAST_HEIGHT + (1 - LEAST_HEIGHT) * share;
    };
    const bars = { own: [], other: [], rest: [] };
    for (const segment of segments) {
      const kind = overlap(segment, own)
        ? "own"
        : others.some((other) => overlap(segment, [other]))
          ? "other"
          : "rest";
      bars[kind].push(this.bar(segment, height(segment.score)));
    }
    for (const [kind, paths] of Object.entries(bars)) {
      this.part(kind).setAttribute("d", paths.join(""));
    }
    this.element.dataset.heat = segments.length ? "ready" : "none";
    this.element.setAttribute("aria-valuemax", Math.max(1, segments.length));
    this.tell();
  }

  clear() {
    this.segments = [];
    this.chosen = null;
    for (const kind of ["own", "other", "rest"]) this.part(kind).removeAttribute("d");
    this.element.dataset.heat = "waiting";
    this.tell();
  }

  bar({ start, end }, height) {
    const [left, right] = [start, end].map((second) => ((1000 * second) / this.length).toFixed(2));
    return `M${left} 100V${(100 * (1 - height)).toFixed(1)}H${right}V100Z`;
  }

  /** The segment under the pointer, null beside all of them. */
  under({ clientX }) {
    const { left, width } = this.element.getBoundingClientRect();
    return segmentAt(this.segments, ((clientX - left) / width) * this.length) ?? null;
  }

  enter(segment) {
    if (segment) this.play(segment);
  }

  onKey(event) {
    const at = this.segments.indexOf(this.chosen);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: this.segments.length - 1 };
    if (event.key === "Enter" || event.key === " ") this.enter(this.chosen);
    else if (event.key in to) this.choose(this.segments[to[event.key]] ?? this.chosen);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  choose(segment) {
    this.chosen = segment;
    this.tell();
    this.point(segment);
  }

  /** Shows the time and the score of a segment over it. */
  point(segment) {
    const tip = this.part("tip");
    tip.hidden = !segment;
    if (!segment) return;
    tip.textContent = `${clock(segment.start)} · ${points(segment.score)}`;
    const middle = (segment.start + segment.end) / 2 / this.length;
    tip.style.insetInlineStart = `${100 * clamp(middle, TIP_MARGIN, 1 - TIP_MARGIN)}%`;
  }

  /** Moves the line that says which second plays; null takes it away. */
  showTime(second) {
    const playhead = this.part("playhead");
    playhead.hidden = second === null || !this.length;
    if (!playhead.hidden) playhead.style.insetInlineStart = `${(100 * second) / this.length}%`;
  }

  tell() {
    const { chosen } = this;
    this.element.setAttribute("aria-valuenow", this.segments.indexOf(chosen) + 1 || 1);
    const words = chosen
      ? `${clock(chosen.start)} to ${clock(chosen.end)}, score ${points(chosen.score)}`
      : "Not known";
    this.element.setAttribute("aria-valuetext", words);
  }
}

function overlap(segment, spans) {
  return spans.some(({ start, end }) => segment.start < end && segment.end > start);
}

function clamp(number, least, most) {
  return Math.min(Math.max(number, least), most);
}

/** A score as people read it; one that rounds to nothing has no sign. */
function points(score) {
  return score.toFixed(2).replace(/^-(0\.0+)$/, "$1");
}

/** Seconds as m:ss or h:mm:ss, cut down as a player does. */
function clock(seconds) {
  // Rounded first, so that 11.9999999 is 0:12.
  const whole = Math.floor(Math.round(seconds * 1000) / 1000);
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}
