// Signs real emergencies with the officer's own key: the first officer's choice, and the second officer's agreement.
// Nothing is signed that this page does not understand, or that says something else than the page shows.

import { sha256 } from "./sha2.js";
import { drawKeyForm, openByForm, show } from "./key_form.js";
import { guard, hex, isOpen, say, signatureOf, stored, text } from "./keys.js";
import { groupName, names, node, understood } from "./orders.js";

const HOLD_MS = 2000;
const $ = (id) => document.getElementById(id);
const json = (id) => JSON.parse($(id)?.textContent ?? "null");
const choice = $("khan-cap");
const agreement = $("dong-y");
const order = json("lenh");
Object.assign(names, json("names") ?? {});

function fault(words) {
  $("loi-phat").textContent = words;
  show("loi-phat", words !== "");
  if (words) $("loi-phat").focus();
}

// ---- the key of this browser

function drawKey() {
  drawKeyForm();
  drawHold();
}

openByForm(drawKey);

// ---- what is chosen, or asked

const chosen = () => choice?.querySelector("[name=tin]:checked");
const places = () => [...(choice?.querySelectorAll("[name=noi]:checked") ?? [])];

// The order of the second officer's page, where all of it is understood and it is a real emergency.
function asked() {
  if (!order) return null;
  const payload = new TextEncoder().encode(order["ban-ky"]);
  const lines = understood(payload, order.ma);
  if (!lines || order.ma !== agreement.dataset.ma) return null;
  const command = JSON.parse(text.decode(payload));
  const { kind, class: level, mode } = command.body;
  return kind === "announce" && level === "emergency" && mode === "actual" ? { payload, lines, command } : null;
}

function drawHold() {
  const button = $("giu");
  if (!button) return;
  if (choice) {
    const boxes = places().reduce((sum, place) => sum + Number(place.dataset.cum), 0);
    const count = places().length;
    $("giu-so").textContent = say("count").replace("{places}", count).replace("{boxes}", boxes);
    button.disabled = !(isOpen() && chosen() && count > 0 && $("so").value.trim() === String(count));
  } else {
    button.disabled = !(isOpen() && asked());
  }
}

function drawChoice() {
  const message = chosen();
  if (message) $("tin-loi").textContent = `“${message.dataset.loi}”`;
  show("nghe-rieng", Boolean(message));
  drawHold();
}

function drawAgreement() {
  const found = asked();
  if (!found) return fault(say("not_understood"));
  const { body, groups } = found.command;
  $("tin-ten").textContent = body.title;
  $("tin-loi").textContent = `“${body.words?.text ?? ""}”`;
  $("tin-noi").textContent = groups.map((id) => names.groups.find((group) => group.id === id)?.title ?? groupName(id)).join(", ");
  const rows = found.lines.map(([label, content]) => node("div", [node("dt", label), node("dd", content)]));
  $("tin-het").replaceChildren(...rows);
  show("nghe-rieng", Boolean(body.media));
}

// The audio is checked against its hash before it can be heard: the second officer hears what is signed.
$("nghe-rieng")?.addEventListener("click", async () => {
  const hash = choice ? chosen().dataset.am : asked()?.command.body.media.sha256;
  const bytes = new Uint8Array(await (await fetch(`/media/${hash}`)).arrayBuffer());
  if (hex(sha256(bytes)) !== hash) return fault(say("audio_false"));
  const player = document.createElement("audio");
  player.controls = true;
  player.src = URL.createObjectURL(new Blob([bytes]));
  $("nghe-rieng").parentElement.querySelector("audio")?.remove();
  $("nghe-rieng").after(player);
  player.play().catch(() => {});
});

// ---- the press

async function post(path, fields) {
  const answer = await fetch(path, { method: "POST", body: new URLSearchParams(fields) });
  if (answer.redirected || answer.status === 401) throw new Error(say("signed_out"));
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.loi);
  return told;
}

// Says whether an order is exactly what the first officer chose.
function isChosen(payload, id, message, groups) {
  if (!understood(payload, id)) return false;
  const { body, groups: to } = JSON.parse(text.decode(payload));
  const is = (one, other) => JSON.stringify(one) === JSON.stringify(other);
  return body.kind === "announce" && body.class === "emergency" && body.mode === "actual"
    && body.title === message.dataset.ten && body.words?.text === message.dataset.loi
    && body.media?.sha256 === message.dataset.am && is([...to].sort(), [...groups].sort())
    && body.plan.at === undefined && body.supersedes === undefined && body.cap === undefined;
}

async function sign(id, payload) {
  const told = await post(`/khan-cap/${id}/ky`, [["khoa", stored().id], ["chu-ky", signatureOf(payload)]]);
  location.assign(told.den);
}

async function press() {
  if (agreement) {
    const found = asked();
    if (!found) throw new Error(say("not_understood"));
    return sign(order.ma, found.payload);
  }
  const [message, groups] = [chosen(), places().map((place) => place.value)];
  const fields = [["tin", message.value], ["so", $("so").value], ["khoa", stored().id], ...groups.map((id) => ["noi", id])];
  if (choice.dataset.sau) fields.push(["sau", choice.dataset.sau]);
  const made = await post("/khan-cap", fields);
  const payload = new TextEncoder().encode(made["ban-ky"]);
  if (!isChosen(payload, made.ma, message, groups)) throw new Error(say("not_chosen"));
  return sign(made.ma, payload);
}

// Two seconds by finger, mouse, Space or Enter; whoever lets go earlier has done nothing.
let holding = null;
let busy = false;
const hold = (button) => {
  if (holding || busy || button.disabled) return;
  button.classList.add("holding");
  holding = setTimeout(async () => {
    release(button);
    busy = true;
    button.disabled = true;
    fault("");
    try {
      await press();
    } catch (error) {
      fault(error.message);
      busy = false;
      drawKey();
    }
  }, HOLD_MS);
};
const release = (button) => {
  clearTimeout(holding);
  holding = null;
  button.classList.remove("holding");
};
const button = $("giu");
if (button) {
  button.addEventListener("pointerdown", (event) => { if (event.button === 0) hold(button); });
  for (const end of ["pointerup", "pointerleave", "pointercancel", "blur", "keyup"]) button.addEventListener(end, () => release(button));
  button.addEventListener("keydown", (event) => {
    if (event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    if (!event.repeat) hold(button);
  });
  button.addEventListener("contextmenu", (event) => event.preventDefault());
  guard(drawKey);
  choice?.addEventListener("input", drawChoice);
  if (choice) drawChoice();
  if (agreement) drawAgreement();
  drawKey();
}

// STOP acts on the press, not on the release, and once. Without this script the button is a form's.
const stop = $("dung");
let stopping = false;
stop?.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || stopping) return;
  stopping = true;
  stop.form.requestSubmit(stop);
});
stop?.addEventListener("click", (event) => { if (stopping && event.detail > 0) event.preventDefault(); });
