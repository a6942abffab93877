// The calls as cards with a button for everything they can do, dialing, and speed dials.
"use strict";

const who = (call) => call.remote.name || call.remote.address.replace(/^(tel|sip):/, "") || "Unknown caller";
const number = (call) => (call.remote.name ? call.remote.address.replace(/^(tel|sip):/, "") : "");

function how(call) {
  if (call.consult) return "transfer in progress";
  if (call.held) return "on hold";
  const names = { alerting: "is calling", offering: "is calling", contacting: "being called", dialing: "ringing", connected: call.muted ? "on a call, muted" : "on a call" };
  return names[call.state] ?? call.state;
}

const isUp = (call) => call.state === "connected" || call.state === "hold";
const isRinging = (call) => call.direction === "inbound" && !call.sessionId && ["alerting", "offering"].includes(call.state);
const path = (call, verb) => `/api/v1/calls/${encodeURIComponent(call.conversationId)}/${verb}`;

// Every button: which calls have it, what it says, what it does.
const BUTTONS = [
  { when: isRinging, says: "Answer", look: "go", does: (c) => post(path(c, "answer")) },
  { when: isRinging, says: "Reject", look: "stop", does: (c) => post(path(c, "reject")) },
  { when: (c) => isUp(c) && !c.consult && !c.held, says: "Hold", does: (c) => post(path(c, "hold")) },
  { when: (c) => isUp(c) && !c.consult && c.held, says: "Resume", does: (c) => post(path(c, "resume")) },
  { when: (c) => isUp(c) && !c.muted, says: "Mute", does: (c) => post(path(c, "mute")) },
  { when: (c) => isUp(c) && c.muted, says: "Unmute", does: (c) => post(path(c, "unmute")) },
  { when: (c) => isUp(c) && !c.consult, says: "Transfer", does: (c, card) => aim(card, "Transfer at once", (to) => post(path(c, "transfer"), { to, mode: "blind" })) },
  { when: (c) => isUp(c) && !c.consult, says: "Consult", does: (c, card) => aim(card, "Talk first, then transfer", (to) => post(path(c, "transfer"), { to, mode: "consult" })) },
  { when: (c) => c.consult, says: "Complete transfer", look: "go", does: (c) => post(path(c, "consult"), { action: "complete" }) },
  { when: (c) => c.consult, says: "Cancel transfer", does: (c) => post(path(c, "consult"), { action: "cancel" }) },
  { when: (c) => c.consult, says: "Swap", does: (c) => post(path(c, "consult"), { action: "speakTo", speakTo: c.consult.speakTo === "OBJECT" ? "DESTINATION" : "OBJECT" }) },
  { when: (c) => c.consult, says: "Talk to all", does: (c) => post(path(c, "consult"), { action: "speakTo", speakTo: "CONFERENCE" }) },
  { when: (c) => isUp(c) && !c.consult, says: "Add somebody", does: (c, card) => aim(card, "Add to the call", (to) => post(path(c, "participants"), { participants: [{ address: Object.values(to)[0], ...to }] })) },
  { when: (c, all) => isUp(c) && all.filter(isUp).length > 1, says: "Join the calls", does: (c, _, all) => post(path(c, "participants"), { conversationIds: all.filter((o) => isUp(o) && o !== c).map((o) => o.conversationId) }) },
  { when: (c) => c.recording === "active", says: "Pause recording", does: (c) => post(path(c, "recording"), { state: "paused" }) },
  { when: (c) => c.recording === "paused", says: "Record again", does: (c) => post(path(c, "recording"), { state: "active" }) },
  { when: (c) => !isRinging(c) && !c.consult, says: "End", look: "stop", does: (c) => post(path(c, "end")) },
];

// --- the cards ---

const cards = new Map();
let shownCalls = [];

function showCalls(now) {
  shownCalls = now.calls;
  byId("no-calls").hidden = now.calls.length > 0;
  const ids = new Set(now.calls.map((c) => c.conversationId));
  for (const [id, card] of cards) {
    if (ids.has(id)) continue;
    // Whoever worked with it shall not lose the place on the page.
    if (card.contains(document.activeElement)) byId("calls-title").focus();
    card.remove();
    cards.delete(id);
  }
  for (const one of now.calls) {
    let card = cards.get(one.conversationId);
    if (!card) {
      card = makeCard(one.conversationId);
      cards.set(one.conversationId, card);
      byId("calls").append(card);
    }
    showCall(card, one, now.calls);
  }
}

const current = (id) => shownCalls.find((c) => c.conversationId === id);

function makeCard(id) {
  const card = byId("call-template").content.firstElementChild.cloneNode(true);
  const place = card.querySelector(".buttons");
  for (const entry of BUTTONS) {
    const button = text("button", entry.says, entry.look ?? "");
    button.type = "button";
    button.addEventListener("click", () => {
      const one = current(id);
      if (one) tryTo(Promise.resolve(entry.does(one, card, shownCalls)));
    });
    place.append(button);
  }
  const form = card.querySelector(".target");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const to = { [form.querySelector(".kind").value]: form.querySelector(".to").value.trim() };
    tryTo(card.aimed(to).then(() => { form.hidden = true; }));
  });
  form.querySelector(".never-mind").addEventListener("click", () => { form.hidden = true; });
  return card;
}

/// Asks in the card for somebody, then does what was wanted with it.
function aim(card, what, then) {
  const form = card.querySelector(".target");
  form.querySelector(".what").textContent = what;
  form.querySelector(".to").value = "";
  form.hidden = false;
  form.querySelector(".to").focus();
  card.aimed = then;
  return Promise.resolve();
}

function showCall(card, one, all) {
  card.dataset.look = isRinging(one) ? "ringing" : one.held ? "held" : isUp(one) ? "talking" : "";
  put(card.querySelector(".who"), who(one));
  put(card.querySelector(".number"), number(one));
  put(card.querySelector(".how"), how(one));
  const notes = [
    one.recording === "active" && "This call is recorded.",
    one.recording === "paused" && "The recording is paused.",
  ].filter(Boolean).join(" ");
  put(card.querySelector(".note"), notes);
  card.querySelector(".note").hidden = !notes;
  [...card.querySelector(".buttons").children].forEach((button, i) => {
    button.hidden = !BUTTONS[i].when(one, all);
    button.setAttribute("aria-label", `${BUTTONS[i].says}: ${who(one)}`);
  });
  showParties(card, one);
  const m = one.media;
  put(card.querySelector(".media"), m ? `Sound ${m.connection}, quality (MOS) ${m.mos.toFixed(1)}, delay ${Math.round(m.rttMs ?? 0)} ms, jitter ${m.jitterMs.toFixed(1)} ms, loss ${m.lossPercent.toFixed(1)} %` : "");
}

// Only what changed, so that a screen reader reads only that.
function put(element, content) { if (element.textContent !== content) element.textContent = content; }

function showParties(card, one) {
  const list = card.querySelector(".parties");
  const parties = (one.parties ?? []).length > 1 ? one.parties : [];
  const shape = JSON.stringify(parties);
  if (list.dataset.shape === shape) return;
  list.dataset.shape = shape;
  list.replaceChildren(...parties.map((party) => {
    const row = document.createElement("li");
    const name = party.name || party.address || "Unknown";
    const button = text("button", "Remove");
    button.type = "button";
    button.setAttribute("aria-label", `Remove ${name} from the call`);
    button.addEventListener("click", () => tryTo(ask("DELETE", path(one, `participants/${encodeURIComponent(party.participantId)}`))));
    row.append(text("span", name), button);
    return row;
  }));
}

// --- wrap-up: calls that are over and want a code ---

const wrapUps = new Map();

async function wrapUpWanted({ conversationId, wrapUp, remote }) {
  wrapUpOver(conversationId);
  const form = byId("wrap-up-template").content.firstElementChild.cloneNode(true);
  wrapUps.set(conversationId, form);
  form.querySelector(".who").textContent = remote.name || remote.address || "the last call";
  form.querySelector(".skip-it").hidden = wrapUp.mandatory;
  form.querySelector(".skip-it").addEventListener("click", () => {
    wrapUpOver(conversationId);
    tryTo(ask("DELETE", path(at, "wrapup")));
  });
  const at = { conversationId };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    tryTo(post(path(at, "wrapup"), { code: form.querySelector(".codes").value }));
  });
  byId("wrap-ups").append(form);
  // It may be over already, when this is an old event that is told again.
  const answer = await call(path(at, "wrapup-codes"));
  if (!answer.ok) return wrapUpOver(conversationId);
  const codes = await answer.json();
  form.querySelector(".codes").replaceChildren(...codes.map((code) => new Option(code.name, code.id)));
}

function wrapUpOver(id) {
  wrapUps.get(id)?.remove();
  wrapUps.delete(id);
}

// --- dialing ---

byId("dial-form").addEventListener("submit", (event) => {
  event.preventDefault();
  tryTo(post("/api/v1/calls", { phoneNumber: byId("number").value.trim() }).then(() => { byId("number").value = ""; }));
});

async function loadSpeedDials() {
  const answer = await call("/api/v1/speed-dials");
  if (!answer.ok) return;
  const dials = await answer.json();
  byId("speed-dials").replaceChildren(...dials.map((dial) => {
    const row = document.createElement("li");
    const button = text("button", dial.label);
    button.type = "button";
    button.setAttribute("aria-label", `Call ${dial.label}`);
    button.addEventListener("click", () => tryTo(post("/api/v1/calls", dial.call)));
    row.append(button);
    return row;
  }));
}
