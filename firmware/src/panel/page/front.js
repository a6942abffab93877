// The front of a virtual board: keys, hook, display and lamps.
"use strict";

const LETTERS = ["", "ABC", "DEF", "GHI", "JKL", "MNO", "PQRS", "TUV", "WXYZ", "", "+", ""];
const DIGITS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"];
const FEATURES = [
  ["mute", "Mute"], ["hold", "Hold"], ["speaker", "Speaker"], ["headset", "Headset"],
  ["transfer", "Transfer"], ["conference", "Conference"], ["redial", "Redial"], ["ok", "OK"],
  ["volume_down", "Volume −"], ["volume_up", "Volume +"], ["up", "Up"], ["down", "Down"], ["back", "Back"],
];
const LAMPS = { mute: "mute", speaker: "speaker", headset: "headset", line1: "line1", line2: "line2", line3: "line3", line4: "line4" };
const KEYBOARD = { Enter: "ok", Backspace: "back", ArrowUp: "up", ArrowDown: "down", m: "mute", h: "hold", t: "transfer", c: "conference", s: "speaker", r: "redial", F1: "soft1", F2: "soft2", F3: "soft3", F4: "soft4" };

// Presses and releases must reach the phone in their order.
let sending = Promise.resolve();
const sendKey = (key, action) => (sending = sending.then(() => post("/api/v1/board/keys", { key, action })).catch(() => {}));

function makeKey(parent, key, label, small) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = label;
  button.dataset.key = key;
  if (small !== undefined) {
    const letters = document.createElement("small");
    letters.textContent = small;
    button.append(letters);
  }
  if (LAMPS[key]) button.classList.add("lamp");
  let down = false;
  const release = () => { if (down) { down = false; sendKey(key, "release"); } };
  button.addEventListener("pointerdown", (event) => {
    down = true;
    button.setPointerCapture(event.pointerId);
    sendKey(key, "press");
  });
  button.addEventListener("pointerup", release);
  button.addEventListener("pointercancel", release);
  // Enter or Space on the focused button; a mouse click has a detail and was sent above.
  button.addEventListener("click", (event) => { if (event.detail === 0) sendKey(key, "tap"); });
  parent.append(button);
}

DIGITS.forEach((key, i) => makeKey(byId("digits"), key, key, LETTERS[i]));
FEATURES.forEach(([key, label]) => makeKey(byId("features"), key, label));
[1, 2, 3, 4].forEach((n) => makeKey(byId("lines"), `line${n}`, `Line ${n}`));
[1, 2, 3, 4].forEach((n) => makeKey(byId("soft"), `soft${n}`, "▲"));
byId("soft").querySelectorAll("button").forEach((button, i) => button.setAttribute("aria-label", `Soft key ${i + 1}`));

function toggleHook() {
  showHook(lifted ? "resting" : "lifted");
  post("/api/v1/board/hook", { state: lifted ? "lifted" : "resting" }).catch(() => {});
}
byId("hook").addEventListener("click", toggleHook);

const held = new Map();
document.addEventListener("keydown", (event) => {
  if (byId("phone").hidden || event.repeat || event.ctrlKey || event.altKey || event.metaKey || event.target.matches("input, select, textarea")) return;
  const onButton = event.target.matches("button, a, summary");
  if (event.key === " " && !onButton) { event.preventDefault(); toggleHook(); return; }
  if (event.key === "Enter" && onButton) return;
  const line = event.shiftKey && /^Digit([1-4])$/.exec(event.code);
  const key = line ? `line${line[1]}` : DIGITS.includes(event.key) ? event.key : KEYBOARD[event.key];
  if (!key) return;
  event.preventDefault();
  held.set(event.code, key);
  document.querySelector(`[data-key="${key}"]`)?.classList.add("down");
  sendKey(key, "press");
});
document.addEventListener("keyup", (event) => {
  const key = held.get(event.code);
  if (!key) return;
  held.delete(event.code);
  document.querySelector(`[data-key="${key}"]`)?.classList.remove("down");
  sendKey(key, "release");
});


// --- display and lamps ---

let lifted = false;
function showHook(hook) {
  lifted = hook === "lifted";
  byId("hook").setAttribute("aria-pressed", lifted);
  byId("hook-text").textContent = lifted ? "Put the handset down" : "Lift the handset";
}

// What the display shows as text, for those who do not see it.
function describe(now) {
  const calls = now.calls.map((c) => `${who(c)}, ${how(c)}`).join("; ");
  return `The phone's display: ${now.notice ?? (calls || "idle")}`;
}

// Whether this phone has a front at all is known from its first answer.
let hasFront = true;
async function lookAtFront(now) {
  if (!hasFront) return;
  const [lamps, picture] = await Promise.all([call("/api/v1/board/lamps"), call("/api/v1/board/display.png")]);
  hasFront = lamps.status !== 404;
  byId("phone").hidden = !lamps.ok;
  if (!lamps.ok) return;
  showHook(now.hook);
  const states = await lamps.json();
  for (const [key, lamp] of Object.entries(LAMPS)) {
    const button = document.querySelector(`[data-key="${key}"]`);
    if (button) button.dataset.lamp = states[lamp] ?? "off";
  }
  document.title = states.message && states.message !== "off" ? "● Offhook" : "Offhook";
  if (picture.ok) {
    const image = byId("display");
    const old = image.src;
    image.src = URL.createObjectURL(await picture.blob());
    image.alt = describe(now);
    if (old) URL.revokeObjectURL(old);
  }
}
