// The page on which people make a key and sign with it.

import { ask, bytesOf, forget, guard, isOpen, kept, lockWhereLeft, makeKey, say, signatureOf, stored, text, unlock } from "./keys.js";
import { groupName, names, node, person, time, understood, visible } from "./orders.js";

const REFRESH_MS = 3000;
const NO_DESK = { drafts: [], groups: [], people: [] };
const $ = (id) => document.getElementById(id);
let desk = NO_DESK;

async function sign(draft) {
  const payload = bytesOf(draft.payload);
  if (!understood(payload, draft.id)) throw new Error(say("not_understood"));
  const signature = signatureOf(payload);
  const body = JSON.stringify({ key: stored().id, signature });
  const { sent, expected } = await ask("POST", `/api/v1/drafts/${draft.id}/signatures`, body);
  const outlook = say("error_key") === "error_vi" ? expected?.said_vi : expected?.said;
  tell(sent ? [say("sent_now"), outlook].filter(Boolean).join(" ") : say("signed_now"));
  await refresh();
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
    const button = node("button", `${say("sign")} · ${say(`mode_${mode}`) === `mode_${mode}` ? kind : say(`mode_${mode}`)}`, `btn sign ${mode}`);
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
  if (!isOpen()) return;
  try {
    const before = JSON.stringify(desk);
    desk = await ask("GET", "/api/v1/drafts");
    Object.assign(names, { groups: desk.groups, people: desk.people });
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
  const standing = desk.local_emergency;
  $("local-standing").textContent = standing
    ? `${say("local_standing")}: ${visible(standing.title)} (${standing.groups.map(groupName).join(", ")}, ${say("not_after")} ${time(standing.expires)})`
    : say("local_none");
  for (const choice of document.querySelectorAll("fieldset.groups")) {
    if (choice.querySelector("input")) continue;
    for (const group of desk.groups) {
      const box = document.createElement("input");
      box.type = "checkbox";
      box.name = "group";
      box.value = group.id;
      choice.append(node("label", [box, ` ${group.title}`], "choice"));
    }
  }
}

// The groups that are chosen in a form.
function chosen(form) {
  const to = [...form.querySelectorAll("input[name=group]:checked")].map((box) => box.value);
  if (to.length === 0) throw new Error(say("no_group"));
  return to;
}

async function draft(form, asked) {
  await ask("POST", "/api/v1/drafts", JSON.stringify(asked));
  form.reset();
  tell(say("drafted"));
  await refresh();
  $("drafts").scrollIntoView();
}

function draw() {
  const own = stored();
  $("make").hidden = own !== null;
  $("key").hidden = own === null;
  $("desk").hidden = true;
  if (!own) return;
  $("key-holder").textContent = own.holder;
  $("key-id").textContent = own.id;
  $("key-public").textContent = own.public;
  $("key-state").textContent = isOpen() ? "" : say("locked");
  $("unlock-form").hidden = isOpen();
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
  const mode = document.querySelector("input[name=mode]:checked").value;
  const fields = {
    to: chosen($("draft-form")), class: "emergency", mode,
    title: $("draft-title").value.trim(), text: $("draft-text").value.trim(),
    opening: $("draft-siren").checked ? "siren" : "chime", repeat: Number($("draft-repeat").value),
    author: stored().holder,
  };
  await draft($("draft-form"), { announce: { fields } });
}));

$("local-form").addEventListener("submit", guarded(async () => {
  const message = {
    title: $("local-title").value.trim(), text: $("local-text").value.trim(),
    silent_s: Number($("local-silent").value) * 60, minutes_max: Number($("local-minutes").value),
    days: Number($("local-days").value),
  };
  const order = { to: chosen($("local-form")), message, author: stored().holder };
  await draft($("local-form"), { local_emergency: order });
}));

$("local-take-back").addEventListener("click", guarded(async () => {
  const order = { to: chosen($("local-form")), author: stored().holder };
  await draft($("local-form"), { local_emergency: order });
}));

$("export").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([kept()], { type: "application/json" }));
  link.download = `loaxa-${stored().id}.json`;
  link.click();
});

$("forget").addEventListener("click", () => {
  if (!confirm(say("forget_sure"))) return;
  forget();
  tell("");
  draw();
});

guard(() => {
  desk = NO_DESK;
  $("drafts").replaceChildren();
  tell("");
  draw();
});

setInterval(refresh, REFRESH_MS);
draw();
