// Makes a key in this browser and signs with it. The key never leaves it: what goes out are signatures.
//
// What is shown of a draft is read from the very bytes that are signed, not from what central says about them.

import * as ed from "./ed25519.js";
import { sha256, sha512 } from "./sha2.js";
import { scryptAsync } from "./scrypt.js";

ed.hashes.sha512 = sha512;

const PAYLOAD_TYPE = "application/vnd.loaxa.command+json";
const STORE = "loaxa-key-v1";
// 32 MB and about half a second on a phone: what an attacker pays for each guess of a passphrase.
const SCRYPT = { N: 2 ** 15, r: 8, p: 1, dkLen: 32 };
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
let desk = { drafts: [], groups: [], people: [] };

const stored = () => JSON.parse(localStorage.getItem(STORE) ?? "null");
const keyId = (publicKey) => hex(sha256(publicKey)).slice(0, 16);

// The seed is covered by as many bytes of a key stretched from passphrase and salt; a salt is used once.
async function cover(bytes, passphrase, salt) {
  const stretched = await scryptAsync(utf8.encode(passphrase.normalize("NFC")), salt, SCRYPT);
  return bytes.map((byte, n) => byte ^ stretched[n]);
}

async function makeKey(holder, passphrase) {
  const secret = crypto.getRandomValues(new Uint8Array(32));
  const salt = crypto.getRandomValues(new Uint8Array(16));
  const publicKey = ed.getPublicKey(secret);
  const covered = await cover(secret, passphrase, salt);
  const kept = { holder, public: base64(publicKey), id: keyId(publicKey), salt: base64(salt), covered: base64(covered) };
  localStorage.setItem(STORE, JSON.stringify(kept));
  if (localStorage.getItem(STORE) === null) throw new Error(say("not_kept"));
  // The browser is asked not to clear it when space runs out; it may say no.
  navigator.storage?.persist?.();
  seed = secret;
}

async function unlock(passphrase) {
  const kept = stored();
  const secret = await cover(bytesOf(kept.covered), passphrase, bytesOf(kept.salt));
  if (base64(ed.getPublicKey(secret)) !== kept.public) throw new Error(say("wrong_passphrase"));
  seed = secret;
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
    "x-loaxa-signature": base64(ed.sign(utf8.encode(message), seed)),
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
  const signature = base64(ed.sign(toBeSigned(bytesOf(draft.payload)), seed));
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
const time = (at) => new Date(at).toLocaleString("vi-VN", { timeZone: "Asia/Ho_Chi_Minh" });

// A command as lines of [label, content]; null for what this page does not know, and that nobody should sign here.
function explain(command) {
  const lines = [[say("groups"), command.groups.map(groupName).join(", ")]];
  if (command.v !== 1 || (command.critical ?? []).length > 0) return null;
  if (command.body.kind === "announce") {
    const { title, words: spoken, plan, media } = command.body;
    lines.push([say("draft_name"), title]);
    if (spoken) lines.push([say("words"), node("blockquote", spoken.text)]);
    if (media) lines.push([say("audio"), listen(media)]);
    if (plan.opening) lines.push([say("opening"), say("opening_yes")]);
    const times = plan.repeats === "until_cancelled" ? "∞" : (plan.repeats?.times ?? 1);
    lines.push([say("repeat"), String(times)]);
    lines.push([say("volume"), `${plan.volume_percent ?? 100} %`]);
    if (command.body.supersedes) lines.push([say("supersedes"), command.body.supersedes]);
    if (plan.at) lines.push([say("at"), time(plan.at)]);
  } else if (command.body.kind === "policy") {
    lines.push([say("policy"), node("pre", JSON.stringify(command.body, null, 1))]);
  } else {
    return null;
  }
  lines.push([say("not_after"), time(command.expires)]);
  lines.push([say("author"), command.author || "-"]);
  lines.push([say("issuer"), person(command.issuer)]);
  return lines;
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
  let command, lines;
  try {
    command = JSON.parse(text.decode(payload));
    lines = explain(command);
  } catch {
    lines = null;
  }
  const kind = command?.body?.class ?? command?.body?.kind ?? "?";
  const mode = command?.body?.mode;
  const card = node("article", null, `announcement ${kind}`);
  card.dataset.draft = draft.id;
  const badge = (word, cssClass) => node("span", word, `badge ${cssClass}`);
  card.append(node("p", [badge(say(`class_${kind}`), kind), " ", mode ? badge(say(`mode_${mode}`), mode) : null]));
  if (!lines || command.id !== draft.id) {
    card.append(node("p", say("not_understood"), "fault"));
  } else {
    const list = node("dl", null);
    for (const [label, content] of lines) list.append(node("dt", label), node("dd", content));
    card.append(list);
  }
  const signers = draft.signatures.map((signed) => person(signed.key));
  card.append(node("p", `${say("signed_by")}: ${signers.join(", ") || "-"} · ${signers.length} ${say("of")} ${draft.needed}`, "signers"));
  if (draft.sent) {
    card.append(node("p", say("is_sent"), "is-sent"));
  } else if (draft.signatures.some((signed) => signed.key === stored().id)) {
    card.append(node("p", say("you_signed")));
  } else if (lines && command.id === draft.id) {
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
  seed = null;
  tell("");
  draw();
});

setInterval(refresh, REFRESH_MS);
draw();
