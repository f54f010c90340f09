// What only the browser can do for the page; browser.py says what that is.

const COPIED_FOR_MS = 1500;
// How long a change of page may take to reach the address bar.
const ARRIVES_WITHIN_MS = 2000;

const helpers = new WeakMap();

export default function ({ data, parentElement, setTriggerValue }) {
  const button = parentElement.querySelector(".copy");
  if (!helpers.has(button)) helpers.set(button, new Helper(button));
  const helper = helpers.get(button);
  helper.send = (picture) => setTriggerValue("picture", picture);
  const before = helper.data;
  helper.show(data);
  // Also called for a run that began before the last one and came after it: what that one showed
  // counts.
  return () =>
    queueMicrotask(() => (button.isConnected ? helper.takeBack(data, before) : helper.close()));
}

class Helper {
  constructor(button) {
    this.button = button;
    this.announcer = button.parentNode.querySelector(".announcer");
    this.paste = (event) => this.onPaste(event);
    button.addEventListener("click", () => this.copyLink());
    document.addEventListener("paste", this.paste);
  }

  show(data) {
    const turned = this.view !== undefined && this.view !== data.view;
    [this.view, this.most, this.data] = [data.view, data.most, data];
    this.button.hidden = !data.can_copy;
    if (turned) this.toTop();
    if (data.address) this.putRight(data, performance.now() + ARRIVES_WITHIN_MS);
  }

  /** Shows again what was shown before. */
  takeBack(data, before) {
    if (this.data === data && before) this.show(before);
  }

  close() {
    document.removeEventListener("paste", this.paste);
    this.data = null;
  }

  toTop() {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    document
      .querySelector('[data-testid="stMain"]')
      ?.scrollTo({ top: 0, behavior: still ? "instant" : "smooth" });
  }

  /** Sets the query once the browser is on the page; an address with a query is somebody's choice. */
  putRight(data, until) {
    if (this.data !== data || location.search || performance.now() > until) return;
    const path = location.pathname.replace(/\/?$/, "/");
    if (path === data.home) history.replaceState(history.state, "", data.address);
    else requestAnimationFrame(() => this.putRight(data, until));
  }

  async copyLink() {
    await toClipboard(location.href);
    this.say("Link copied", "Link copied");
    setTimeout(() => this.say("Copy link"), COPIED_FOR_MS);
  }

  say(label, aloud = "") {
    this.button.querySelector("span").textContent = label;
    this.announcer.textContent = aloud;
  }

  /** Takes a picture. Text that comes with one, as from a web page, belongs into the field. */
  async onPaste(event) {
    const file = [...(event.clipboardData?.files ?? [])].find((f) => f.type.startsWith("image/"));
    const field = event.composedPath()[0]?.closest?.("input, textarea, [contenteditable]");
    if (!file || (field && event.clipboardData.types.includes("text/plain"))) return;
    event.preventDefault();
    const picture = { type: file.type, size: file.size };
    if (file.size <= this.most) picture.base64 = toBase64(new Uint8Array(await file.arrayBuffer()));
    this.send(picture);
  }
}

function toBase64(bytes) {
  const pieces = [];
  // A call takes only so many arguments.
  for (let at = 0; at < bytes.length; at += 0x8000) {
    pieces.push(String.fromCharCode(...bytes.subarray(at, at + 0x8000)));
  }
  return btoa(pieces.join(""));
}

async function toClipboard(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Browsers give the clipboard to secure pages only; this older way is left for the others.
  const field = Object.assign(document.createElement("textarea"), { value: text });
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}
