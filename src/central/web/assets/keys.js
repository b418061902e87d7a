// The signing key of a person: made in this browser, kept under a passphrase, open for as long as somebody is at the page.
// The key never leaves the browser: what goes out are signatures.

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

export const words = JSON.parse(document.getElementById("words")?.textContent ?? "{}");
export const say = (key) => words[key] ?? key;
const utf8 = new TextEncoder();
export const text = new TextDecoder("utf-8", { fatal: true });
export const base64 = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
export const bytesOf = (code) => Uint8Array.from(atob(code), (char) => char.charCodeAt(0));
export const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

// ---- the key

let seed = null; // the secret, only while it is unlocked
let touchedAt = 0; // the time of the last sign of the person
let hiddenAt = null; // the time at which the page went into the background
let told = () => {}; // what is told that the key was locked

export const stored = () => JSON.parse(localStorage.getItem(STORE) ?? "null");
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

export function lock() {
  if (!seed) return;
  seed.fill(0);
  seed = null;
  told();
}

// Timers stand still while a machine sleeps, so the times are compared; one that goes back is no proof of anything.
export function lockWhereLeft() {
  const now = Date.now();
  const idle = now - touchedAt > LOCK_AFTER_MS || now < touchedAt;
  const away = hiddenAt !== null && (now - hiddenAt > HIDDEN_MS_MAX || now < hiddenAt);
  if (idle || away) lock();
}

export const isOpen = () => seed !== null;

// Forgets the key that this browser keeps.
export function forget() {
  localStorage.removeItem(STORE);
  lock();
}

// The key as it is kept, for a file.
export const kept = () => localStorage.getItem(STORE);

// The secret of a key that is unlocked and was not left.
function secretOf() {
  lockWhereLeft();
  if (!seed) throw new Error(say("locked"));
  return seed;
}

export async function makeKey(holder, passphrase) {
  const secret = crypto.getRandomValues(new Uint8Array(32));
  await keep(holder, secret, passphrase);
  // The browser is asked not to clear it when space runs out; it may say no.
  navigator.storage?.persist?.();
  open(secret);
}

export async function unlock(passphrase) {
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

export async function ask(method, path, body = "") {
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

// The signature of an order, in base64.
export const signatureOf = (payload) => base64(ed.sign(toBeSigned(payload), secretOf()));

// Watches the person at the page; `changed` is called when the key was locked.
export function guard(changed) {
  told = changed;
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
}
