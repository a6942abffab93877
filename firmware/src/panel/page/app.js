// The phone's front: sends keys and hook to the phone, shows its display, lamps and events.
"use strict";

const byId = (id) => document.getElementById(id);
const LETTERS = ["", "ABC", "DEF", "GHI", "JKL", "MNO", "PQRS", "TUV", "WXYZ", "", "+", ""];
const DIGITS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"];
const FEATURES = [
  ["mute", "Mute"], ["hold", "Hold"], ["speaker", "Speaker"], ["headset", "Headset"],
  ["transfer", "Transfer"], ["conference", "Conference"], ["redial", "Redial"], ["ok", "OK"],
  ["volume_down", "Volume −"], ["volume_up", "Volume +"], ["up", "Up"], ["down", "Down"], ["back", "Back"],
];
const LAMPS = { mute: "mute", speaker: "speaker", headset: "headset", line1: "line1", line2: "line2", line3: "line3", line4: "line4" };
const KEYBOARD = { Enter: "ok", Backspace: "back", ArrowUp: "up", ArrowDown: "down", m: "mute", h: "hold", s: "speaker", r: "redial", F1: "soft1", F2: "soft2", F3: "soft3", F4: "soft4" };

let apiKey = sessionStorage.getItem("offhook-key") || "";
// From the first event the phone still has.
let lastEvent = "0";
let lifted = false;

function call(path, options = {}) {
  const headers = { ...options.headers };
  if (apiKey) headers.Authorization = `Bearer ${apiKey}`;
  if (options.body) headers["Content-Type"] = "application/json";
  return fetch(path, { ...options, headers });
}

async function post(path, body) {
  const answer = await call(path, { method: "POST", body: JSON.stringify(body) });
  if (answer.status === 401) askForKey();
  else if (!answer.ok) show("error", (await answer.json()).message);
  refresh();
}

// --- keys ---

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
  lifted = !lifted;
  showHook();
  post("/api/v1/board/hook", { state: lifted ? "lifted" : "resting" }).catch(() => {});
}
byId("hook").addEventListener("click", toggleHook);

const held = new Map();
document.addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.altKey || event.metaKey || event.target.matches("input")) return;
  const onButton = event.target.matches("button");
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

// --- display, lamps, state ---

function showHook() {
  byId("hook").setAttribute("aria-pressed", lifted);
  byId("hook-text").textContent = lifted ? "Put the handset down" : "Lift the handset";
}

let refreshing = null;
function refresh() {
  // One look at a time; whoever asks meanwhile gets another look after it.
  if (refreshing) { refreshing = "again"; return; }
  refreshing = "now";
  look().catch(() => {}).finally(() => {
    const again = refreshing === "again";
    refreshing = null;
    if (again) refresh();
  });
}

async function look() {
  const [status, lamps, picture] = await Promise.all([
    call("/api/v1/status"), call("/api/v1/board/lamps"), call("/api/v1/board/display.png"),
  ]);
  if (status.status === 401) return askForKey();
  if (status.ok) {
    const now = await status.json();
    lifted = now.hook === "lifted";
    showHook();
    const who = now.cloud.user ? `${now.cloud.user.name}, ${now.cloud.station?.name ?? "no station"}` : now.cloud.environment;
    byId("state").textContent = `${now.cloud.connected ? "Connected" : "Not connected"}: ${who}${now.notice ? ` – ${now.notice}` : ""}`;
  }
  if (lamps.ok) {
    const states = await lamps.json();
    for (const [key, lamp] of Object.entries(LAMPS)) {
      document.querySelector(`[data-key="${key}"]`)?.setAttribute("data-lamp", states[lamp] ?? "off");
    }
    document.title = states.message && states.message !== "off" ? "● Offhook" : "Offhook";
  }
  if (picture.ok) {
    const old = byId("display").src;
    byId("display").src = URL.createObjectURL(await picture.blob());
    if (old) URL.revokeObjectURL(old);
  }
}

// --- events: fetch instead of EventSource, which cannot send the key ---

function show(name, text) {
  const item = document.createElement("li");
  const time = document.createElement("time");
  time.textContent = new Date().toLocaleTimeString();
  const title = document.createElement("b");
  title.textContent = name;
  item.append(time, title, ` ${text.length > 300 ? `${text.slice(0, 300)} …` : text}`);
  byId("events").prepend(item);
  while (byId("events").childElementCount > 200) byId("events").lastChild.remove();
}

async function follow() {
  const answer = await call("/api/v1/events", { headers: { "Last-Event-ID": lastEvent } });
  if (answer.status === 401) { askForKey(); return; }
  refresh();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const field = (name) => block.split("\n").filter((l) => l.startsWith(`${name}: `)).map((l) => l.slice(name.length + 2)).join("\n");
      if (!field("event")) continue;
      lastEvent = field("id");
      if (field("event") !== "conversationUpdateRaw") show(field("event"), field("data"));
      refresh();
    }
  }
}

async function followForEver() {
  for (;;) {
    try { await follow(); } catch { /* the phone restarts, or the network is away */ }
    byId("state").textContent = "The phone does not answer; trying again …";
    await new Promise((later) => setTimeout(later, 1000));
  }
}

function askForKey() { byId("key-form").hidden = false; }
byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  apiKey = byId("key").value.trim();
  sessionStorage.setItem("offhook-key", apiKey);
  byId("key-form").hidden = true;
  refresh();
});

// Blinking text, clocks and call durations change without an event.
setInterval(refresh, 1000);
followForEver();
