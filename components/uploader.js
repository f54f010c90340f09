// Sends video files to the server slice by slice, one file after the other.
//
// The queue belongs to the window, not to the component: a rerun or another page of the app neither
// stops nor forgets an upload. It goes on by itself after a broken connection, and when the same
// file is chosen again after the page was closed.

const SLICE_BYTES = 8 * 1024 * 1024;
// A connection that moves nothing for so long is lost, though nobody said so.
const SILENT_MS = 30_000;
// At the end the server reads the whole file once.
const FINISH_MS = 600_000;
const WAITS_MS = [1_000, 2_000, 4_000, 8_000, 15_000];
const HEARD_MS = 3_000;
const SPEED_OVER_MS = 5_000;
// Of the server on its way up or of a proxy before it, and of a request that overlapped another.
const PASSING = [0, 404, 408, 409, 429, 502, 503, 504];

export default function ({ data, parentElement, setStateValue }) {
  const queue = (window.seekpointUploads ??= new Queue());
  const view = parentElement.querySelector(".uploader");
  queue.attach(view, parentElement.querySelector("template"), data);
  queue.tell = (files) => setStateValue("files", files);
  queue.settle(data.reported, data.gone);
  // Also called when a newer run of this function overtakes an older one: the view stays then.
  return () => queueMicrotask(() => view.isConnected || queue.detach(view));
}

class Queue {
  constructor() {
    this.rows = [];
    this.current = null;
    this.view = null;
    this.reported = [];
    this.warn = (event) => event.preventDefault();
  }

  /** Shows itself in `view`, which is another one after each change of page. */
  attach(view, template, data) {
    [this.address, this.token, this.most] = [data.address, data.token, data.most];
    if (this.view === view) return;
    [this.view, this.template] = [view, template];
    this.part("label").textContent = data.label;
    this.part("limit").textContent = `Up to ${inUnits(data.most)} each`;
    this.part("rows").replaceChildren(...this.rows.map((row) => row.element));
    this.prepare(this.part("zone"), this.part("choose"), view.querySelector("input"));
  }

  detach(view) {
    if (this.view !== view) return;
    this.view = null;
  }

  prepare(zone, choose, input) {
    const over = (is) => (event) => {
      event.preventDefault();
      zone.toggleAttribute("data-over", is);
    };
    input.accept = "video/*,.mkv,.avi,.ts,.ogv,.mxf";
    choose.addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      this.add(input.files);
      // Otherwise choosing the same file again would be no change.
      input.value = "";
    });
    zone.addEventListener("dragover", over(true));
    zone.addEventListener("dragleave", over(false));
    zone.addEventListener("drop", (event) => {
      over(false)(event);
      this.add(event.dataTransfer.files);
    });
  }

  part(name) {
    return this.view?.querySelector(`.${name}`);
  }

  add(files) {
    for (const file of files) {
      if (this.rows.some((row) => nameOf(row.file) === nameOf(file))) continue;
      const row = new Row(this, file, this.template.content.firstElementChild.cloneNode(true));
      this.rows.push(row);
      this.part("rows").append(row.element);
    }
    this.next();
  }

  remove(row) {
    const at = this.rows.indexOf(row);
    this.rows.splice(at, 1);
    row.element.remove();
    this.report();
    return this.rows[at] ?? this.rows[at - 1];
  }

  /** Sends the next file that waits, unless one is being sent. */
  async next() {
    removeEventListener("beforeunload", this.warn);
    if (this.rows.some((row) => row.underWay)) addEventListener("beforeunload", this.warn);
    if (this.current) return;
    this.current = this.rows.find((row) => row.state === "waiting");
    if (!this.current) return;
    await this.current.send();
    this.current = null;
    this.report();
    this.next();
  }

  /** Takes note of what Python has heard of, and of what it found used up or expired. */
  settle(reported, gone) {
    this.reported = reported;
    for (const row of this.rows.filter((row) => gone.includes(row.id))) {
      if (row.state !== "done") continue;
      forget(row.file, this.address);
      this.remove(row);
    }
    this.report();
  }

  /** Tells Python which files are there until it has heard: a word to a server that is being
   * started again is lost. */
  report(patience = HEARD_MS) {
    clearTimeout(this.repeat);
    const done = this.rows.filter((row) => row.state === "done");
    const ids = done.map((row) => row.id);
    if (!this.view || JSON.stringify(ids) === JSON.stringify(this.reported)) return;
    this.tell(done.map(({ id, file }) => ({ id, name: file.name, size: file.size })));
    this.repeat = setTimeout(() => this.report(2 * patience), patience);
  }

  say(words) {
    if (this.view) this.part("announcer").textContent = words;
  }

  /** Asks the server. Throws what it refuses, or a status of 0 when it cannot be reached. */
  ask(method, id, { headers = {}, body, onProgress, patience = SILENT_MS, signal } = {}) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      let silence;
      const listen = () => {
        clearTimeout(silence);
        silence = setTimeout(() => request.abort(), patience);
      };
      request.open(method, id ? `${this.address}/${id}` : this.address);
      request.responseType = "json";
      request.setRequestHeader("Upload-Token", this.token);
      for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
      request.upload.addEventListener("progress", (event) => {
        listen();
        onProgress?.(event.loaded);
      });
      request.addEventListener("loadend", () => {
        clearTimeout(silence);
        const { status, response } = request;
        if (status >= 200 && status < 300 && response) resolve(response);
        else reject(new Refusal(status, response));
      });
      signal?.addEventListener("abort", () => request.abort());
      listen();
      request.send(body);
    });
  }
}

/** One file and its line: waiting, sending, paused, checking, done or error. */
class Row {
  constructor(queue, file, element) {
    this.queue = queue;
    this.file = file;
    this.element = element;
    this.id = "";
    this.removal = new AbortController();
    this.part("name").textContent = this.part("name").title = file.name;
    this.part("size").textContent = inUnits(file.size);
    this.part("bar").setAttribute("aria-label", file.name);
    label(this.part("remove"), `Cancel the upload of ${file.name}`);
    this.part("remove").addEventListener("click", () => this.remove());
    this.part("again").addEventListener("click", () => this.again());
    this.progress(0);
    this.enter("waiting", "Waiting");
    if (!file.size) this.fail("This file is empty.", "Choose another one.");
    if (file.size > queue.most) this.fail("This file is too large.", "Cut it into shorter videos.");
  }

  part(name) {
    return this.element.querySelector(`.${name}`);
  }

  get state() {
    return this.element.dataset.state;
  }

  get underWay() {
    return ["waiting", "sending", "paused", "checking"].includes(this.state);
  }

  enter(state, words) {
    this.element.dataset.state = state;
    this.part("status").textContent = words;
  }

  /** Sends the file to its end, however often the connection breaks; never throws. */
  async send() {
    for (let tries = 0; !this.removal.signal.aborted; tries += 1) {
      this.moved = false;
      try {
        await this.transfer();
        return this.finish();
      } catch (problem) {
        if (this.removal.signal.aborted) return;
        if (!(await readable(this.file))) {
          return this.fail("This file was moved or changed.", "Remove it, then choose it again.");
        }
        if (!PASSING.includes(problem.status)) {
          return this.fail(problem.message, problem.hint ?? "", { again: true });
        }
        if (this.moved) tries = 0;
        await this.pause(problem, WAITS_MS[Math.min(tries, WAITS_MS.length - 1)]);
      }
    }
  }

  async transfer() {
    const { file } = this;
    let received = await this.resume();
    this.pace = [];
    while (received < file.size) {
      const from = received;
      this.sent(from);
      ({ received } = await this.ask("PATCH", {
        headers: { "Upload-Offset": from, "Content-Type": "application/octet-stream" },
        body: file.slice(from, from + SLICE_BYTES),
        onProgress: (bytes) => this.sent(Math.min(from + bytes, file.size)),
      }));
      this.moved = true;
    }
    this.progress(1);
    this.enter("checking", "Checking");
    await this.ask("POST", { patience: FINISH_MS });
  }

  /** How much the server has; announces the file to one that does not know it. */
  async resume() {
    this.id ||= remembered(this.file, this.queue.address);
    try {
      if (this.id) return (await this.ask("GET")).received;
    } catch (problem) {
      if (problem.status !== 404) throw problem;
      this.id = "";
    }
    const { name, size } = this.file;
    const headers = { "Upload-Name": encodeURIComponent(name.toWellFormed()), "Upload-Length": size };
    this.id = (await this.ask("POST", { headers })).id;
    remember(this.file, this.queue.address, this.id);
    return 0;
  }

  ask(method, options) {
    return this.queue.ask(method, this.id, { signal: this.removal.signal, ...options });
  }

  sent(bytes) {
    const now = performance.now();
    this.pace = [...this.pace.filter(([then]) => then > now - SPEED_OVER_MS), [now, bytes]];
    const [[then, before]] = this.pace;
    const speed = now - then > 500 ? ((bytes - before) / (now - then)) * 1000 : 0;
    const share = bytes / this.file.size;
    const words = [`${Math.floor(share * 100)} %`];
    if (speed > 0) {
      words.push(`${inUnits(speed)}/s`, timeLeft((this.file.size - bytes) / speed));
    }
    this.progress(share);
    this.enter("sending", words.join(" · "));
  }

  progress(share) {
    this.part("fill").style.inlineSize = `${share * 100}%`;
    this.part("bar").setAttribute("aria-valuenow", Math.floor(share * 100));
  }

  /** Waits for a while, or until the browser is online again. */
  async pause(problem, milliseconds) {
    const words = problem.status === 0 ? "Connection lost, trying again" : "Trying again";
    if (this.state !== "paused") this.queue.say(`${this.file.name}: ${words}`);
    this.enter("paused", words);
    await new Promise((resolve) => {
      const over = AbortSignal.any([this.removal.signal, AbortSignal.timeout(milliseconds)]);
      over.addEventListener("abort", resolve);
      addEventListener("online", resolve, { once: true, signal: over });
    });
  }

  finish() {
    this.enter("done", "Uploaded");
    label(this.part("remove"), `Remove ${this.file.name}`);
    this.queue.say(`${this.file.name} is uploaded`);
  }

  fail(what, next, { again = false } = {}) {
    this.enter("error", `${what} ${next}`.trim());
    this.element.toggleAttribute("data-again", again);
    label(this.part("remove"), `Remove ${this.file.name}`);
    this.queue.say(`${this.file.name}: ${what} ${next}`);
  }

  again() {
    label(this.part("remove"), `Cancel the upload of ${this.file.name}`);
    this.enter("waiting", "Waiting");
    // The button that was pressed is gone, and the keys with it.
    this.part("remove").focus();
    this.queue.next();
  }

  remove() {
    this.removal.abort();
    // Without an answer the server drops it after a day.
    if (this.id) this.queue.ask("DELETE", this.id).catch(() => {});
    forget(this.file, this.queue.address);
    const neighbour = this.queue.remove(this);
    (neighbour?.part("remove") ?? this.queue.part("choose"))?.focus();
    this.queue.next();
  }
}

class Refusal extends Error {
  constructor(status, response) {
    super(response?.message ?? `The server answered with the status ${status}.`);
    this.status = status;
    this.hint =
      response?.hint ??
      (status === 413
        ? `A proxy before it must allow requests of ${inUnits(SLICE_BYTES)}.`
        : "Try again later.");
  }
}

/** False for a file that was changed, moved or deleted since it was chosen. */
function readable(file) {
  const read = (part) => part.arrayBuffer();
  return read(file.slice(0, 1)).then(
    () => true,
    () => false,
  );
}

// Unfinished uploads are remembered by what a browser tells of a file.

function nameOf(file) {
  return [file.name, file.size, file.lastModified].join("|");
}

function memoryOf(file, address) {
  return `seekpoint ${address} ${nameOf(file)}`;
}

function remembered(file, address) {
  return stored((storage) => storage.getItem(memoryOf(file, address))) ?? "";
}

function remember(file, address, id) {
  stored((storage) => storage.setItem(memoryOf(file, address), id));
}

function forget(file, address) {
  stored((storage) => storage.removeItem(memoryOf(file, address)));
}

/** Some browsers are set to keep nothing; then an upload goes on only while its page is open. */
function stored(act) {
  try {
    return act(localStorage);
  } catch {
    return null;
  }
}

function inUnits(bytes) {
  const units = ["bytes", "KB", "MB", "GB"];
  let [number, unit] = [bytes, 0];
  for (; number >= 1000 && unit < 3; unit += 1) number /= 1024;
  return `${number < 10 && unit ? Math.round(number * 10) / 10 : Math.round(number)} ${units[unit]}`;
}

function timeLeft(seconds) {
  if (seconds < 60) return `about ${Math.max(5, 5 * Math.round(seconds / 5))} s left`;
  if (seconds < 3600) return `about ${Math.round(seconds / 60)} min left`;
  return `about ${(seconds / 3600).toFixed(1)} h left`;
}

function label(button, words) {
  button.title = words;
  button.setAttribute("aria-label", words);
}
