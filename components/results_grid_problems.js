// Why a video does not play: in words, and how that is found out. Every player of ours says the same.

// What happened, and what to do or to know.
const PROBLEMS = {
  unreachable: ["This video could not be loaded.", "Its server may be down. Click to try again."],
  missing: ["This video is no longer there.", "Its file was moved or deleted on the server."],
  undecodable: ["This browser cannot play this file.", "It is no video, or of an unknown format."],
  unseekable: ["This moment cannot be reached.", "The server does not support jumping to a time."],
  short: ["This moment is past the end.", "The video is shorter than when it was indexed."],
  blocked: ["The browser blocked playback.", "Click to play."],
};

/** What is wrong with a video that failed, as a name in PROBLEMS.
 *
 * The browser says only "not supported"; our own server can be asked for more.
 */
async function problemOf(video, address) {
  const code = video.error?.code;
  const ours = new URL(address).origin === location.origin;
  if (code === MediaError.MEDIA_ERR_DECODE) return "undecodable";
  if (code === MediaError.MEDIA_ERR_NETWORK || !ours) return "unreachable";
  return fetch(address, { method: "HEAD" }).then(
    (answer) => (answer.ok ? "undecodable" : answer.status === 404 ? "missing" : "unreachable"),
    () => "unreachable",
  );
}

/** An absolute http(s) address, or "" for anything else (javascript:, data:, file:). */
function webAddress(address) {
  const url = URL.canParse(address, location.href) ? new URL(address, location.href) : null;
  return url && ["http:", "https:"].includes(url.protocol) ? url.href : "";
}
