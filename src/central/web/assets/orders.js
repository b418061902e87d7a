// Shows an order field by field, from the very bytes that are signed, and refuses what it does not know.

import { sha256 } from "./sha2.js";
import { hex, say, text, words } from "./keys.js";

// The names of groups and people; the page that shows orders fills them in.
export const names = { groups: [], people: [] };

export function node(tag, content, cssClass) {
  const made = document.createElement(tag);
  if (cssClass) made.className = cssClass;
  made.append(...[content].flat().filter((part) => part !== null && part !== undefined));
  return made;
}

export const groupName = (id) => {
  const title = names.groups.find((group) => group.id === id)?.title;
  return title ? `${title} (${id})` : id;
};
export const person = (key) => names.people.find((grant) => grant.key === key)?.holder ?? key;
export const time = (at) => {
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
export const visible = (shown) =>
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
  lines.push(...explainContent(body));
  for (const name of ["supersedes", "cap"]) {
    const value = body.take(name);
    if (value !== undefined) lines.push([say(name), visible(String(value))]);
  }
  return lines;
}

// Words, audio and plan of a message.
function explainContent(body) {
  const lines = [];
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

const LOCAL_NUMBERS = ["silent_s", "confirm_s", "minutes_max"];

function explainLocal(body) {
  const lines = [[say("policy_version"), String(body.number("version"))]];
  const told = body.take("order");
  if (told === undefined) return [...lines, [say("draft_name"), say("local_taken_back")]];
  const order = fields(told);
  lines.push([say("draft_name"), order.text("title")]);
  lines.push(...explainContent(order));
  for (const name of LOCAL_NUMBERS) lines.push([say(`local_${name}`), String(order.number(name))]);
  const always = order.take("with_contact") ?? false;
  if (typeof always !== "boolean") throw new Error("with_contact is no yes or no");
  lines.push([say("local_with_contact"), say(always ? "local_yes" : "local_no")]);
  order.done();
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
  else if (kind === "local_emergency") lines.push(...explainLocal(body));
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
export function understood(payload, id) {
  try {
    const command = JSON.parse(text.decode(payload));
    return command.id === id ? explain(command) : null;
  } catch {
    return null;
  }
}

// The audio is checked against the hash in the command before it can be heard.
function listen(media) {
  const button = node("button", `${say("listen")} (${Math.round(media.ms / 1000)} s)`, "btn sec");
  button.type = "button";
  button.addEventListener("click", async () => {
    const bytes = new Uint8Array(await (await fetch(`/media/${media.sha256}`)).arrayBuffer());
    if (hex(sha256(bytes)) !== media.sha256) return button.replaceWith(node("p", say("audio_false"), "err"));
    const player = document.createElement("audio");
    player.controls = true;
    player.src = URL.createObjectURL(new Blob([bytes], { type: media.codec }));
    button.replaceWith(player);
    player.play();
  });
  return button;
}
