// What the keys do, in one table: it answers them, and it is the help sheet.
//
// An entry acts on the stage that has the focus. With `own` only the stage itself may have it: a
// focused button or player has its own idea of the key. `anywhere` needs no stage. Held down, a key
// acts again only if it `repeats`: others would do and undo the same. An entry that answers false
// leaves the key to the next one.

const SKIP_SEC = 2;
const DIGITS = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];
const MOVES = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"];

const KEYS = {
  Moments: [
    {
      keys: DIGITS,
      caps: ["1", "…", "9"],
      words: "Play the first to the ninth moment",
      anywhere: true,
      act: (_, { key }, grid) => grid.playNth(Number(key)),
    },
    {
      keys: MOVES,
      caps: ["←", "→", "↑", "↓"],
      words: "Go to another moment; also Home and End",
      own: true,
      repeats: true,
      act: (stage, { key }) => stage.move(key),
    },
    { keys: ["d"], words: "Details, large", act: (stage) => stage.openDetail() },
    { keys: ["x"], words: "Tick", act: (stage, event, grid) => tickBy(event, stage, grid) },
    { caps: ["Shift", "X"], words: "Tick all from the last one ticked to here" },
    { keys: ["b"], words: "Keep in the basket, or take out", act: (stage) => stage.keep() },
    { keys: ["+"], words: "Good match", act: (stage) => stage.rate("up") },
    { keys: ["-"], words: "Bad match", act: (stage) => stage.rate("down") },
    { keys: ["m"], words: "More like this", act: (stage) => stage.ask("similar") },
    {
      keys: ["l"],
      words: "Less like this, while it does not play",
      act: (stage) => !stage.inHand && stage.ask("unlike"),
    },
  ],
  Playing: [
    { keys: ["Enter"], words: "Play from the start", own: true, act: (stage) => stage.play() },
    { keys: [" "], caps: ["Space"], words: "Play, pause", own: true, act: (stage) => stage.toggle() },
    { keys: ["Escape"], caps: ["Esc"], words: "Stop", act: (stage) => stage.escape() },
    { keys: ["k"], words: "Pause, go on", act: (stage) => stage.inHand && stage.toggle() },
    {
      keys: ["j"],
      words: `Back ${SKIP_SEC} seconds`,
      repeats: true,
      act: (stage) => stage.skip(-SKIP_SEC),
    },
    {
      keys: ["l"],
      words: `Ahead ${SKIP_SEC} seconds`,
      repeats: true,
      act: (stage) => stage.skip(SKIP_SEC),
    },
    {
      keys: [",", "."],
      words: "One frame back, one ahead",
      repeats: true,
      act: (stage, { key }) => stage.step(key === "," ? -1 : 1),
    },
    {
      keys: ["[", "]"],
      words: "Play the segment before, the one after",
      act: (stage, { key }) => void stage.playNeighbour(key === "[" ? -1 : 1),
    },
    { keys: ["p"], words: "Play on past the end", act: (stage) => stage.playOn() },
    {
      keys: ["<", ">"],
      words: "Slower, faster",
      act: (_, { key }, grid) => grid.changeSpeed(key === "<" ? -1 : 1),
    },
    { keys: ["o"], words: "Loop", act: (_, event, grid) => grid.toggleLoop() },
    { keys: ["f"], words: "Search with this frame", act: (stage) => stage.searchFrame() },
  ],
  Help: [{ keys: ["?"], words: "This sheet", anywhere: true, act: (_, event, grid) => grid.help() }],
};

function tickBy({ shiftKey }, stage, grid) {
  return grid.tick(stage, { through: shiftKey });
}

/** Does what a key asks for; false when it asks for nothing here. `stage` may be null. */
function answerKey(event, stage, grid) {
  const { key, target, repeat } = event;
  const pressed = key.length === 1 ? key.toLowerCase() : key;
  return Object.values(KEYS).flat().some(({ keys, own, anywhere, repeats, act }) => {
    if (!keys?.includes(pressed) || !(stage || anywhere)) return false;
    if (own && target !== stage.element) return false;
    return (repeat && !repeats) || act(stage, event, grid) !== false;
  });
}

/** Writes the table into the help sheet. */
function writeKeys(element) {
  for (const [title, entries] of Object.entries(KEYS)) {
    const section = document.createElement("section");
    const heading = document.createElement("h3");
    const list = document.createElement("dl");
    heading.textContent = title;
    for (const { keys, caps, words } of entries) {
      const [term, meaning] = [document.createElement("dt"), document.createElement("dd")];
      for (const cap of caps ?? keys) {
        const kbd = document.createElement("kbd");
        kbd.textContent = cap.length === 1 ? cap.toUpperCase() : cap;
        term.append(kbd);
      }
      meaning.textContent = words;
      list.append(term, meaning);
    }
    section.append(heading, list);
    element.append(section);
  }
}
