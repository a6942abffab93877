// What all parts of the page need: asking the phone, its state, its events, login and stations.
"use strict";

const byId = (id) => document.getElementById(id);
const text = (tag, content, className = "") => {
  const element = document.createElement(tag);
  element.textContent = content;
  element.className = className;
  return element;
};

let apiKey = sessionStorage.getItem("offhook-key") || "";
// From the first event the phone still has.
let lastEvent = "0";

function call(path, options = {}) {
  const headers = { ...options.headers };
  if (apiKey) headers.Authorization = `Bearer ${apiKey}`;
  if (options.body) headers["Content-Type"] = "application/json";
  return fetch(path, { ...options, headers });
}

/// Asks the phone; an error is shown and thrown.
async function ask(method, path, body) {
  const answer = await call(path, { method, body: body === undefined ? undefined : JSON.stringify(body) });
  const content = await answer.json().catch(() => ({}));
  if (answer.status === 401) askForKey();
  if (!answer.ok) {
    showError(content.message ?? `The phone answered ${answer.status}.`);
    throw new Error(content.type ?? String(answer.status));
  }
  showError("");
  refresh();
  return content;
}
const post = (path, body) => ask("POST", path, body);
// For what a button does: the error is on the page already.
const tryTo = (doing) => doing.catch(() => {});

function showError(message) {
  byId("error").textContent = message;
  byId("error").hidden = !message;
}

// --- state ---

let needStation = false;
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
  const answer = await call("/api/v1/status");
  if (answer.status === 401) return askForKey();
  if (!answer.ok) return;
  const now = await answer.json();
  const who = now.cloud.user?.name ?? "";
  const state = now.login.state === "needed" ? "Nobody is logged in" : now.cloud.connected ? "Connected" : "Not connected";
  byId("state").textContent = [state, who, now.notice].filter(Boolean).join(" · ");
  if (needStation && now.cloud.connected && !now.cloud.station) tryTo(chooseStation());
  needStation = false;
  showFacts(now);
  showLogin(now.login);
  showCalls(now);
  await lookAtFront(now);
}

function showFacts(now) {
  const facts = [
    ["Agent", now.cloud.user?.name ?? "–"],
    ["Station", now.cloud.station?.name ?? "–"],
    ["Cloud", now.cloud.environment],
    ["Sound", `${now.audio.path}${now.audio.mute ? ", muted" : ""}`],
    ["Version", now.version],
  ];
  byId("facts").replaceChildren(...facts.flatMap(([name, value]) => [text("dt", name), text("dd", value)]));
}

// --- login and stations ---

const WHY = {
  nobody: "Nobody has logged in at this phone yet.",
  loggedOut: "The last user has logged out.",
  expiring: "The login ends soon. Log in again to keep calls coming.",
  refused: "Genesys Cloud does not accept the login any more.",
};

let loginShown = false;
function showLogin(login) {
  byId("log-out").hidden = login.state !== "loggedIn" && login.reason !== "expiring";
  byId("choose-station").hidden = login.state === "needed" && login.reason !== "expiring";
  byId("login").hidden = login.state !== "needed";
  byId("login-why").textContent = login.trouble ?? WHY[login.reason] ?? "";
  const mayBegin = login.state === "needed" && !login.trouble;
  byId("login-link").hidden = !mayBegin;
  if (mayBegin && !loginShown) {
    // The link is fetched ahead, so that following it is a plain click.
    loginShown = true;
    beginLogin();
    tryTo(showLoginCode());
  }
  if (login.state !== "needed") loginShown = false;
}

// With the key, which an image of its own could not send.
async function showLoginCode() {
  const answer = await call("/api/v1/login/code.svg");
  const image = byId("login-code");
  image.hidden = !answer.ok;
  if (answer.ok) image.src = URL.createObjectURL(await answer.blob());
}

const beginLogin = () => tryTo(post("/api/v1/login/start").then(({ url }) => { byId("login-link").href = url; }));
// A begun login lives 15 minutes.
setInterval(() => { if (loginShown) beginLogin(); }, 10 * 60 * 1000);

byId("login-form").addEventListener("submit", (event) => {
  event.preventDefault();
  tryTo(post("/api/v1/login/finish", { address: byId("login-address").value.trim() }).then(() => { byId("login-address").value = ""; }));
});
byId("log-out").addEventListener("click", () => {
  if (confirm("Log out? Calls will not ring at this phone until somebody logs in.")) tryTo(post("/api/v1/logout"));
});

byId("choose-station").addEventListener("click", () => tryTo(chooseStation()));
async function chooseStation() {
  const stations = await ask("GET", "/api/v1/stations");
  byId("stations").hidden = false;
  const rows = stations.map((station) => {
    const mark = station.current ? " (yours now)" : station.taken ? " (in use by somebody else)" : "";
    const button = text("button", station.name + mark);
    button.type = "button";
    button.addEventListener("click", () => tryTo(post(`/api/v1/stations/${encodeURIComponent(station.id)}/associate`).then(() => { byId("stations").hidden = true; })));
    const row = document.createElement("li");
    row.append(button);
    return row;
  });
  byId("station-list").replaceChildren(...(rows.length ? rows : [text("li", "You have no WebRTC phone yet: ask your administrator.")]));
  byId("station-list").querySelector("button")?.focus();
}

// --- events: fetch instead of EventSource, which cannot send the key ---

function show(name, data) {
  const item = document.createElement("li");
  const time = document.createElement("time");
  time.textContent = new Date().toLocaleTimeString();
  const title = document.createElement("b");
  title.textContent = name;
  item.append(time, title, ` ${data.length > 300 ? `${data.slice(0, 300)} …` : data}`);
  byId("events").prepend(item);
  while (byId("events").childElementCount > 200) byId("events").lastChild.remove();
}

async function follow() {
  const answer = await call("/api/v1/events", { headers: { "Last-Event-ID": lastEvent } });
  if (answer.status === 401) { askForKey(); return; }
  refresh();
  loadSpeedDials();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const blocks = rest.split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const field = (name) => block.split("\n").filter((l) => l.startsWith(`${name}: `)).map((l) => l.slice(name.length + 2)).join("\n");
      if (!field("event")) continue;
      lastEvent = field("id");
      // An old one is told again to a page that is loaded later.
      if (field("event") === "stationChoice") needStation = true;
      if (field("event") === "wrapUpRequired") tryTo(wrapUpWanted(JSON.parse(field("data"))));
      if (field("event") === "wrapUpOver") wrapUpOver(JSON.parse(field("data")).conversationId);
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
window.addEventListener("load", followForEver);
