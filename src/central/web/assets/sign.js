// Makes a key in this browser and signs with it. The key never leaves it: what goes out are signatures.
//
// What is shown of a draft is read from the very bytes that are signed, not from what central says about them.

import * as ed from "./ed25519.js";
import { sha256, sha512 } from "./sha2.js";
import { scryptAsync } from "./scrypt.js";

ed.hashes.sha512 = sha512;

const PAYLOAD_TYPE = "application/vnd.loaxa.command+json";
const STORE = "loaxa-key-v1";
// OWASP's advice of 2026: 128 MB and some seconds on a phone, which an attacker pays for each guess of a passphrase.
const SCRYPT = { N: 2 ** 17, r: 8, p: 1 };
// A key that is kept without its parameters was covered by these.
const SCRYPT_BEFORE = { N: 2 ** 15, r: 8, p: 1 };
// A kept record is no reason to take all memory of the machine.
const SCRYPT_N_MAX = 2 ** 20;
// Time without a touch or a key after which the key is locked again.
const LOCK_AFTER_MS = 10 * 60 * 1000;
// Time in the background after which the key is locked: long enough to look at another message.
const HIDDEN_MS_MAX = 60 * 1000;
const REFRESH_MS = 3000;

const words = JSON.parse(document.getElementById("words").textContent);
const $ = (id) => document.getElementById(id);
const say = (key) => words[key] ?? key;
const utf8 = new TextEncoder();
const text = new TextDecoder("utf-8", { fatal: true });
const base64 = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
const bytesOf = (code) => Uint8Array.from(atob(code), (char) => char.charCodeAt(0));
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

// ---- the key

let seed = null; // the secret, only while it is unlocked
let touchedAt = 0; // the time of the last sign of the person
let hiddenAt = null; // the time at which the page went into the background
const NO_DESK = { drafts: [], groups: [], people: [] };
let desk = NO_DESK;

const stored = () => JSON.parse(localStorage.getItem(STORE) ?? "null");
const keyId = (publicKey) => hex(sha256(publicKey)).slice(0, 16);

// The seed is covered by as many bytes of a key stretched from passphrase and salt; a salt is used once.
async function cover(bytes, passphrase, salt, { N, r, p }) {
  if (!(N <= SCRYPT_N_MAX)) throw new Error(say("no_memory"));
  let stretched;
  try {
    stretched = await scryptAsync(utf8.encode(passphrase.normalize("NFC")), salt, { N, r, p, dkLen: 32 });
  } catch {
    throw new Error(say("no_memory"));
  }
  return bytes.map((byte, n) => byte ^ stretched[n]);
}

// Keeps the secret under the passphrase, with a fresh salt and the parameters of today.
async function keep(holder, secret, passphrase) {
  const salt = crypto.getRandomValues(new Uint8Array(16));
  const publicKey = ed.getPublicKey(secret);
  const covered = await cover(secret, passphrase, salt, SCRYPT);
  const kept = {
    holder, public: base64(publicKey), id: keyId(publicKey), salt: base64(salt), covered: base64(covered), scrypt: SCRYPT,
  };
  localStorage.setItem(STORE, JSON.stringify(kept));
  if (localStorage.getItem(STORE) === null) throw new Error(say("not_kept"));
}

function open(secret) {
  seed = secret;
  touchedAt = Date.now();
}

function lock() {
  if (!seed) return;
  seed.fill(0);
  seed = null;
  desk = NO_DESK;
  $("drafts").replaceChildren();
  tell("");
  draw();
}

// Timers stand still while a machine sleeps, so the times are compared; one that goes back is no proof of anything.
function lockWhereLeft() {
  const now = Date.now();
  const idle = now - touchedAt > LOCK_AFTER_MS || now < touchedAt;
  const away = hiddenAt !== null && (now - hiddenAt > HIDDEN_MS_MAX || now < hiddenAt);
  if (idle || away) lock();
}

// The secret of a key that is unlocked and was not left.
function secretOf() {
  lockWhereLeft();
  if (!seed) throw new Error(say("locked"));
  return seed;
}

async function makeKey(holder, passphrase) {
  const secret = crypto.getRandomValues(new Uint8Array(32));
  await keep(holder, secret, passphrase);
  // The browser is asked not to clear it when space runs out; it may say no.
  navigator.storage?.persist?.();
  open(secret);
}

async function unlock(passphrase) {
  const kept = stored();
  const under = kept.scrypt ?? SCRYPT_BEFORE;
  const secret = await cover(bytesOf(kept.covered), passphrase, bytesOf(kept.salt), under);
  if (base64(ed.getPublicKey(secret)) !== kept.public) throw new Error(say("wrong_passphrase"));
  if (under.N < SCRYPT.N || under.r < SCRYPT.r) {
    // A phone with too little memory goes on with what it has.
    await keep(kept.holder, secret, passphrase).catch(() => {});
  }
  open(secret);
}

// ---- central

async function ask(method, path, body = "") {
  const at = new Date().toISOString().replace("Z", "000Z");
  const bytes = utf8.encode(body);
  const nonce = hex(crypto.getRandomValues(new Uint8Array(16)));
  const message = `loaxa-request v2\n${method}\n${path}\n${at}\n${nonce}\n${hex(sha256(bytes))}`;
  const headers = {
    "content-type": "application/json",
    "x-loaxa-key": stored().id,
    "x-loaxa-time": at,
    "x-loaxa-nonce": nonce,
    "x-loaxa-signature": base64(ed.sign(utf8.encode(message), secretOf())),
  };
  const answer = await fetch(path, { method, headers, body: method === "GET" ? undefined : body });
  const said = await answer.json();
  if (!answer.ok) {
    const problem = new Error(said[say("error_key")] ?? said.error);
    problem.status = answer.status;
    throw problem;
  }
  return said;
}

// DSSE's pre-authentication encoding.
function toBeSigned(payload) {
  const head = utf8.encode(`DSSEv1 ${PAYLOAD_TYPE.length} ${PAYLOAD_TYPE} ${payload.length} `);
  const all = new Uint8Array(head.length + payload.length);
  all.set(head);
  all.set(payload, head.length);
  return all;
}

async function sign(draft) {
  const payload = bytesOf(draft.payload);
  if (!understood(payload, draft.id)) throw new Error(say("not_understood"));
  const signature = base64(ed.sign(toBeSigned(payload), secretOf()));
  const body = JSON.stringify({ key: stored().id, signature });
  const { sent, expected } = await ask("POST", `/api/v1/drafts/${draft.id}/signatures`, body);
  const outlook = say("error_key") === "error_vi" ? expected?.said_vi : expected?.said;
  tell(sent ? [say("sent_now"), outlook].filter(Boolean).join(" ") : say("signed_now"));
  await refresh();
}

// ---- what a draft says

function node(tag, content, cssClass) {
  const made = document.createElement(tag);
  if (cssClass) made.className = cssClass;
  made.append(...[content].flat().filter((part) => part !== null && part !== undefined));
  return made;
}

const groupName = (id) => {
  const title = desk.groups.find((group) => group.id === id)?.title;
  return title ? `${title} (${id})` : id;
};
const person = (key) => desk.people.find((grant) => grant.key === key)?.holder ?? key;
const time = (at) => {
  const known = typeof at === "string" ? new Date(at) : new Date(NaN);
  if (Number.isNaN(known.getTime())) throw new Error("no time");
  return known.toLocaleString("vi-VN", { timeZone: "Asia/Ho_Chi_Minh" });
};

// The fields of an object, each to be taken once: what nobody took, this page does not know.
function fields(object) {
  if (object === null || typeof object !== "object" || Array.isArray(object)) throw new Error("no object");
  const left = new Map(Object.entries(object));
  return {
    take(name) {
      const value = left.get(name);
      left.delete(name);
      return value;
    },
    number(name) {
      const value = this.take(name);
      if (!Number.isSafeInteger(value) || value < 0) throw new Error(`${name} is no number`);
      return value;
    },
    text(name) {
      const value = this.take(name);
      if (typeof value !== "string") throw new Error(`${name} is no text`);
      return visible(value);
    },
    // One of the words that the texts of this page explain.
    word(name, prefix) {
      const word = this.take(name);
      if (typeof word !== "string" || !Object.hasOwn(words, `${prefix}_${word}`)) throw new Error(`${name} is ${word}`);
      return say(`${prefix}_${word}`);
    },
    done() {
      if (left.size > 0) throw new Error(`unknown: ${[...left.keys()]}`);
    },
  };
}

// Signs that take no room, or turn the direction of writing, could make a text read as another.
const visible = (shown) =>
  shown.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (sign) => (sign === "\n" ? sign : `[U+${sign.codePointAt(0).toString(16)}]`));

const list = (value) => {
  if (!Array.isArray(value)) throw new Error("no list");
  return value;
};

function explainOpening(opening) {
  const pattern = fields(opening);
  const repeats = pattern.number("repeats");
  const tones = list(pattern.take("tones")).map((one) => {
    const tone = fields(one);
    const [from, to] = [tone.take("from_hz"), tone.take("to_hz")];
    if (!Number.isFinite(from) || !Number.isFinite(to)) throw new Error("a tone without a pitch");
    const [ms, gap] = [tone.number("ms"), tone.number("gap_ms")];
    tone.done();
    return { from, to, ms: ms + gap };
  });
  pattern.done();
  const pitches = tones.flatMap(({ from, to }) => [from, to]);
  const seconds = (tones.reduce((sum, { ms }) => sum + ms, 0) * repeats) / 1000;
  return `${seconds} s: ${tones.length} ${say("tones")}, ${Math.min(...pitches)}-${Math.max(...pitches)} Hz, × ${repeats}`;
}

function explainPlan(plan) {
  const wanted = fields(plan);
  const lines = [];
  const opening = wanted.take("opening");
  lines.push([say("opening"), opening === undefined ? say("nothing") : explainOpening(opening)]);
  const repeats = wanted.take("repeats");
  if (repeats === "until_cancelled") {
    lines.push([say("repeat"), say("until_cancelled")]);
  } else {
    const times = fields(repeats);
    lines.push([say("repeat"), String(times.number("times"))]);
    times.done();
  }
  lines.push([say("gap"), `${wanted.number("gap_s")} s`]);
  lines.push([say("volume"), `${wanted.number("volume_percent")} %`]);
  lines.push([say("interruption"), wanted.word("interruption", "interruption")]);
  const at = wanted.take("at");
  if (at !== undefined) lines.push([say("at"), time(at)]);
  wanted.done();
  return lines;
}

function explainAnnouncement(body) {
  const lines = [[say("draft_name"), body.text("title")]];
  body.word("class", "class");
  body.word("mode", "mode");
  const [spoken, media] = [body.take("words"), body.take("media")];
  if (spoken !== undefined) {
    const told = fields(spoken);
    lines.push([say("words"), node("blockquote", told.text("text"))], [say("language"), told.text("language")]);
    told.done();
  }
  if (media !== undefined) {
    const audio = fields(media);
    for (const name of ["sha256", "codec", "path"]) audio.text(name);
    for (const name of ["bytes", "ms"]) audio.number(name);
    audio.done();
    lines.push([say("audio"), listen(media)]);
  }
  lines.push(...explainPlan(body.take("plan")));
  for (const name of ["supersedes", "cap"]) {
    const value = body.take(name);
    if (value !== undefined) lines.push([say(name), visible(String(value))]);
  }
  return lines;
}

const POLICY_NUMBERS = [
  "version", "session_minutes_max", "day_minutes_max", "volume_day_percent_max", "volume_night_percent_max",
  "volume_zone_percent_max",
];

function explainPolicy(body) {
  const lines = [];
  const windows = list(body.take("allowed")).map((one) => {
    const window = fields(one);
    const days = list(window.take("days") ?? []).map(String);
    const hours = `${window.text("from")}-${window.text("until")}`;
    window.done();
    return visible([hours, ...days].join(" "));
  });
  lines.push([say("policy_allowed"), windows.join("; ") || say("nothing")]);
  for (const name of ["rest_weekdays", "rest_dates"]) {
    lines.push([say(`policy_${name}`), visible(list(body.take(name) ?? []).join(", ")) || say("nothing")]);
  }
  for (const name of POLICY_NUMBERS) lines.push([say(`policy_${name}`), String(body.number(name))]);
  return lines;
}

// A command as lines of [label, content]; fails on what this page does not know, and that nobody should sign here.
function explain(command) {
  const told = fields(command);
  if (told.number("v") !== 1 || list(told.take("critical") ?? []).length > 0) throw new Error("another version");
  const lines = [[say("groups"), visible(list(told.take("groups")).map(groupName).join(", "))]];
  const body = fields(told.take("body"));
  const kind = body.take("kind");
  if (kind === "announce") lines.push(...explainAnnouncement(body));
  else if (kind === "policy") lines.push(...explainPolicy(body));
  else throw new Error(`unknown kind ${kind}`);
  body.done();
  lines.push([say("not_before"), time(told.take("not_before"))], [say("not_after"), time(told.take("expires"))]);
  lines.push([say("issued_at"), time(told.take("issued_at"))], [say("author"), told.text("author") || "-"]);
  const approver = told.take("approver");
  if (approver !== undefined) lines.push([say("approver"), visible(String(approver))]);
  lines.push([say("issuer"), visible(person(told.take("issuer")))], [say("serial"), String(told.number("serial"))]);
  lines.push([say("command_id"), told.text("id")]);
  told.done();
  return lines;
}

// The lines of a draft, or nothing where this page does not understand all of it.
function understood(payload, id) {
  try {
    const command = JSON.parse(text.decode(payload));
    return command.id === id ? explain(command) : null;
  } catch {
    return null;
  }
}

// The audio is checked against the hash in the command before it can be heard.
function listen(media) {
  const button = node("button", `${say("listen")} (${Math.round(media.ms / 1000)} s)`, "quiet");
  button.type = "button";
  button.addEventListener("click", guarded(async () => {
    const bytes = new Uint8Array(await (await fetch(`/media/${media.sha256}`)).arrayBuffer());
    if (hex(sha256(bytes)) !== media.sha256) throw new Error(say("audio_false"));
    const player = document.createElement("audio");
    player.controls = true;
    player.src = URL.createObjectURL(new Blob([bytes], { type: media.codec }));
    button.replaceWith(player);
    player.play();
  }));
  return button;
}

function show(draft) {
  const payload = bytesOf(draft.payload);
  const lines = understood(payload, draft.id);
  let command;
  try {
    command = JSON.parse(text.decode(payload));
  } catch {
    command = null;
  }
  const kind = command?.body?.class ?? command?.body?.kind ?? "?";
  const mode = command?.body?.mode;
  const card = node("article", null, `announcement ${kind}`);
  card.dataset.draft = draft.id;
  const badge = (word, cssClass) => node("span", word, `badge ${cssClass}`);
  card.append(node("p", [badge(say(`class_${kind}`), kind), " ", mode ? badge(say(`mode_${mode}`), mode) : null]));
  if (!lines) {
    card.append(node("p", say("not_understood"), "fault"));
  } else {
    const told = node("dl", null);
    for (const [label, content] of lines) told.append(node("dt", label), node("dd", content));
    card.append(told);
  }
  const signers = draft.signatures.map((signed) => person(signed.key));
  card.append(node("p", `${say("signed_by")}: ${signers.join(", ") || "-"} · ${signers.length} ${say("of")} ${draft.needed}`, "signers"));
  if (draft.sent) {
    card.append(node("p", say("is_sent"), "is-sent"));
  } else if (draft.signatures.some((signed) => signed.key === stored().id)) {
    card.append(node("p", say("you_signed")));
  } else if (lines) {
    const button = node("button", `${say("sign")} · ${say(`mode_${mode}`) === `mode_${mode}` ? kind : say(`mode_${mode}`)}`, `sign ${mode}`);
    button.type = "button";
    button.addEventListener("click", guarded(() => sign(draft)));
    card.append(button);
  }
  card.append(node("details", [node("summary", say("exact_bytes")), node("pre", command ? JSON.stringify(command, null, 1) : draft.payload)], "small"));
  return card;
}

// ---- the page

function tell(good, problem = "") {
  $("good").textContent = good;
  $("good").hidden = !good;
  $("problem").textContent = problem;
  $("problem").hidden = !problem;
}

// Runs what a person asked for, and says what went wrong.
const guarded = (work) => async (event) => {
  event?.preventDefault();
  const button = event?.submitter ?? event?.currentTarget;
  if (button) button.disabled = true;
  try {
    tell("");
    await work();
  } catch (error) {
    tell("", error.message);
  } finally {
    if (button) button.disabled = false;
  }
};

async function refresh() {
  lockWhereLeft();
  if (!seed) return;
  try {
    const before = JSON.stringify(desk);
    desk = await ask("GET", "/api/v1/drafts");
    $("key-state").textContent = say("key_trusted");
    $("give-root").hidden = true;
    $("desk").hidden = false;
    if (JSON.stringify(desk) !== before) drawDesk();
  } catch (error) {
    $("key-state").textContent = error.message;
    $("give-root").hidden = error.status !== 401;
    $("desk").hidden = true;
  }
}

function drawDesk() {
  $("none").hidden = desk.drafts.length > 0;
  const open = new Set([...document.querySelectorAll("#drafts details[open]")].map((it) => it.parentElement.dataset.draft));
  $("drafts").replaceChildren(...desk.drafts.map(show));
  for (const card of $("drafts").children) {
    if (open.has(card.dataset.draft)) card.querySelector("details").open = true;
  }
  if ($("groups").querySelector("input")) return;
  for (const group of desk.groups) {
    const box = document.createElement("input");
    box.type = "checkbox";
    box.name = "group";
    box.value = group.id;
    $("groups").append(node("label", [box, ` ${group.title}`], "choice"));
  }
}

function draw() {
  const kept = stored();
  $("make").hidden = kept !== null;
  $("key").hidden = kept === null;
  $("desk").hidden = true;
  if (!kept) return;
  $("key-holder").textContent = kept.holder;
  $("key-id").textContent = kept.id;
  $("key-public").textContent = kept.public;
  $("key-state").textContent = seed ? "" : say("locked");
  $("unlock-form").hidden = seed !== null;
  refresh();
}

$("make-form").addEventListener("submit", guarded(async () => {
  if ($("passphrase").value !== $("passphrase-again").value) throw new Error(say("not_the_same"));
  await makeKey($("holder").value.trim(), $("passphrase").value);
  $("make-form").reset();
  draw();
}));

$("unlock-form").addEventListener("submit", guarded(async () => {
  await unlock($("unlock-passphrase").value);
  $("unlock-form").reset();
  draw();
}));

$("draft-form").addEventListener("submit", guarded(async () => {
  const to = [...document.querySelectorAll("input[name=group]:checked")].map((box) => box.value);
  const mode = document.querySelector("input[name=mode]:checked").value;
  if (to.length === 0) throw new Error(say("no_group"));
  const fields = {
    to, class: "emergency", mode, title: $("draft-title").value.trim(), text: $("draft-text").value.trim(),
    opening: $("draft-siren").checked ? "siren" : "chime", repeat: Number($("draft-repeat").value),
    author: stored().holder,
  };
  await ask("POST", "/api/v1/drafts", JSON.stringify({ announce: { fields } }));
  $("draft-form").reset();
  tell(say("drafted"));
  await refresh();
  $("drafts").scrollIntoView();
}));

$("export").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([localStorage.getItem(STORE)], { type: "application/json" }));
  link.download = `loaxa-${stored().id}.json`;
  link.click();
});

$("forget").addEventListener("click", () => {
  if (!confirm(say("forget_sure"))) return;
  localStorage.removeItem(STORE);
  lock();
  tell("");
  draw();
});

for (const touch of ["pointerdown", "keydown"]) {
  addEventListener(touch, () => {
    lockWhereLeft();
    touchedAt = Date.now();
  }, { capture: true });
}
// Whoever goes back to the page finds it locked, also where the browser kept it as it was.
addEventListener("pagehide", lock);
document.addEventListener("visibilitychange", () => {
  lockWhereLeft();
  hiddenAt = document.hidden ? Date.now() : null;
});

setInterval(refresh, REFRESH_MS);
draw();
