// One <video> on one stage: a muted loop, or the moment with sound and controls.

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
// Pictures that stood as long as each other, to this, are a frame long; one alone may be several,
// for a busy machine leaves some out.
const SAME_LENGTH_SEC = 0.001;
// A frame is this long where nobody knows better.
const USUAL_FRAME_SEC = 1 / 25;
// Behind the end by more than this, a busy machine was late: the player goes back to the end.
const LATE_SEC = 0.05;

/** Plays the spans of a moment, or of any other stretch, one after the other from the one at `at`.
 *
 * `from` is the second to begin at, when that is not the start of a span.
 */
class Player {
  constructor(stage, { spans, at = 0, from, withSound }) {
    this.stage = stage;
    this.spans = spans;
    this.at = at;
    this.from = from ?? this.span.start;
    this.withSound = withSound;
    this.ready = false;
    this.endless = false;
    // The picture that stands, how long the one before it stood, and how long a frame of this video
    // was seen to be.
    this.frame = null;
    this.stood = 0;
    this.frameSec = null;
    this.video = document.createElement("video");
    this.video.playsInline = true;
    this.video.preload = "auto";
    this.video.tabIndex = -1;
    this.listen();
  }

  listen() {
    const on = (name, act) => this.video.addEventListener(name, () => this.open && act());
    on("loadedmetadata", () => this.jump());
    on("seeking", () => {
      // The picture after a jump does not follow the one before it.
      this.frame = null;
      this.followViewer();
    });
    on("seeked", () => (this.ready ? this.tellTime() : this.arrive()));
    on("error", () => this.explain());
    on("play", () => this.onPlay());
    on("pause", () => this.onPause());
    on("ended", () => this.finish());
    on("fullscreenchange", () => this.dress());
    // Animation frames rest in a hidden tab; this does not.
    on("timeupdate", () => this.watch());
    this.seeFrames();
  }

  get open() {
    return this.stage.grid.player === this;
  }

  get span() {
    return this.spans[this.at];
  }

  /** Whether it plays its stage's own moment, and not another stretch of the video. */
  get ofMoment() {
    return this.spans[0].start === this.stage.moment.spans[0].start;
  }

  start() {
    const address = webAddress(this.stage.moment.src);
    if (!address) return this.fail("unreachable");
    this.stage.state = "loading";
    this.video.muted = !this.withSound;
    this.dress();
    this.keepPace();
    this.video.src = address;
    this.stage.part("screen").replaceChildren(this.video);
  }

  /** Once finished, our own two buttons stand where the browser's would be, except full screen. */
  dress() {
    const finished = this.stage.state === "finished" && !this.video.matches(":fullscreen");
    this.video.controls = this.withSound && !finished;
  }

  /** Previews keep the pace of life. Loading resets the rate to the default one: both are set. */
  keepPace() {
    const rate = this.withSound ? this.stage.grid.speed : 1;
    this.video.defaultPlaybackRate = this.video.playbackRate = rate;
  }

  /** Plays `spans` from the start of the one at `at`, with sound. */
  restart(spans, at) {
    this.spans = spans;
    this.at = at;
    this.from = this.span.start;
    // Only a preview is muted by us; who muted a player wants it to stay so.
    if (!this.withSound) this.video.muted = false;
    this.withSound = true;
    this.endless = false;
    this.stage.showProgress(-1);
    this.dress();
    this.keepPace();
    // What is still loading plays by itself once it is there.
    if (!this.ready) return;
    // A running preview does not say again that it plays.
    this.stage.state = "playing";
    this.seekTo(at);
    this.run();
  }

  playOn() {
    this.leaveMoment();
    this.stage.element.focus({ preventScroll: true });
    this.run();
  }

  toggle() {
    if (this.video.paused) this.run();
    else this.video.pause();
  }

  /** Jumps by some seconds; playing goes on, and what has finished stands there. */
  skip(seconds) {
    this.lookAt(this.video.currentTime + seconds);
  }

  /** Shows the frame after (1) or before (-1) the one that stands. */
  step(direction) {
    const { video } = this;
    video.pause();
    if (video.seeking) return;
    const length = this.stage.moment.frame_sec ?? this.frameSec ?? USUAL_FRAME_SEC;
    // Half a frame inside the next one: its start may be rounded. That is also where a jump ends
    // whose picture has not been reported yet.
    const frame = this.frame ?? video.currentTime - length / 2;
    this.lookAt(frame + (direction + 0.5) * length);
  }

  lookAt(second) {
    const { video, stage } = this;
    if (stage.state === "finished") stage.state = "paused";
    this.dress();
    video.currentTime = Math.min(Math.max(0, second), video.duration);
  }

  /** Notes each picture that is shown, and how long a frame is: the least that two in a row stood. */
  seeFrames() {
    this.video.requestVideoFrameCallback?.((_, { mediaTime }) => {
      const length = mediaTime - (this.frame ?? mediaTime);
      if (!this.video.paused && length > SAME_LENGTH_SEC) {
        if (Math.abs(length - this.stood) < SAME_LENGTH_SEC) {
          this.frameSec = Math.min(length, this.frameSec ?? length);
        }
        this.stood = length;
      }
      this.frame = mediaTime;
      this.seeFrames();
    });
  }

  stop() {
    if (!this.open) return;
    this.stage.grid.player = null;
    this.release();
    this.stage.state = "idle";
  }

  release() {
    this.video.pause();
    this.video.removeAttribute("src");
    // Without this the browser goes on downloading.
    this.video.load();
    this.video.remove();
    this.stage.showProgress(-1);
    this.stage.showTime(null);
  }

  fail(problem) {
    this.stage.grid.player = null;
    this.release();
    this.stage.fail(problem);
  }

  seekTo(at) {
    this.at = at;
    this.video.currentTime = this.span.start + NUDGE_SEC;
  }

  jump() {
    const { video } = this;
    if (!video.videoWidth) return this.fail("undecodable");
    if (video.duration <= this.spans.at(-1).start) return this.fail("short");
    video.currentTime = this.from + NUDGE_SEC;
  }

  arrive() {
    if (Math.abs(this.video.currentTime - this.from) > JUMP_TOLERANCE_SEC) {
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
      if (this.open && error.name === "NotAllowedError") this.stage.fail("blocked");
    }
  }

  onPlay() {
    if (this.stage.state === "finished" && !this.endless) this.seekTo(0);
    this.stage.state = this.withSound ? "playing" : "preview";
    this.dress();
    requestAnimationFrame(() => this.onFrame());
  }

  onPause() {
    if (this.stage.state === "playing") this.stage.state = "paused";
  }

  onFrame() {
    if (!this.open || this.video.paused) return;
    this.watch();
    requestAnimationFrame(() => this.onFrame());
  }

  watch() {
    const { video, span } = this;
    this.tellTime();
    if (!this.ready || this.endless || video.seeking) return;
    const played = (video.currentTime - span.start) / (span.end - span.start);
    if (this.ofMoment) this.stage.showProgress(this.at, Math.min(1, Math.max(0, played)));
    if (!video.paused && video.currentTime >= span.end) this.goOn();
  }

  tellTime() {
    if (this.ready) this.stage.showTime(this.video.currentTime);
  }

  /** Behind the end of one span comes the next, behind the last one the end. */
  goOn() {
    const next = this.spans[this.at + 1];
    if (!next) this.finish();
    else if (next.start - this.video.currentTime < NOTHING_BETWEEN_SEC) this.at += 1;
    else this.seekTo(this.at + 1);
  }

  /** At the end a preview begins again, and what loops; else "Replay" and "Play on" are offered. */
  finish() {
    if (!this.withSound || (this.stage.grid.loop && !this.endless)) {
      this.seekTo(0);
      this.run();
      return;
    }
    const { video, span } = this;
    this.stage.part("on").hidden = video.currentTime > video.duration - NOTHING_BETWEEN_SEC;
    video.pause();
    if (!this.endless && video.currentTime > span.end + LATE_SEC) {
      video.currentTime = span.end + NUDGE_SEC;
    }
    this.stage.state = "finished";
    this.dress();
  }

  /** Somebody who drags the playhead out of the moment is not held back. */
  followViewer() {
    const { currentTime, paused } = this.video;
    // Play at the very end of a video makes the browser itself go back to 0:00.
    const byBrowser = this.stage.state === "finished" && !paused;
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
    this.stage.showProgress(-1);
  }

  async explain() {
    const problem = await problemOf(this.video, webAddress(this.stage.moment.src));
    if (this.open) this.fail(problem);
  }
}
