// The page to write a notice on: saves what is written, foresees, uploads in parts that resume, records. Without this script
// the page works by its buttons.
const $ = (id) => document.getElementById(id);
const form = $("soan-tin");
const words = form.dataset;
const field = (name) => form.elements[name];

for (const part of document.querySelectorAll("[data-script]")) part.hidden = false;

const send = (wants) => {
  const body = new URLSearchParams(new FormData(form));
  body.set("viec", wants);
  return fetch(form.action, { method: "POST", body });
};

// What is written is saved two seconds after the last key, one request at a time.
let waiting, saving = false, again = false;
const save = async () => {
  if (!("tuLuu" in words)) return;
  if (saving) return void (again = true);
  saving = true;
  try {
    const answer = await send("tu-luu");
    if (answer.redirected || answer.status === 401) throw new Error();
    const { goc, loi } = await answer.json();
    if (goc) field("goc").value = goc;
    $("da-luu").textContent = loi ?? words.luu;
  } catch {
    $("da-luu").textContent = words.khongLuu;
  }
  saving = false;
  if (again) { again = false; await save(); }
};

// The preview follows half a second after the save, so that the heart is not asked for each key.
let foreseeing;
const foresee = async () => {
  foreseeing?.abort();
  foreseeing = new AbortController();
  const body = new URLSearchParams(new FormData(form));
  body.set("viec", "xem-truoc");
  try {
    const answer = await fetch(form.action, { method: "POST", body, signal: foreseeing.signal });
    if (answer.ok && !answer.redirected) $("xem-truoc").outerHTML = await answer.text();
  } catch { /* The next change asks again. */ }
};
const changed = () => {
  clearTimeout(waiting);
  waiting = setTimeout(async () => { await save(); await foresee(); }, 2000);
};
form.addEventListener("input", ({ target }) => {
  if (target.type === "file") return;
  // What was mended is no fault any more; pressing again tells whether it is right now.
  const bad = target.closest(".bad");
  bad?.classList.remove("bad");
  bad?.querySelectorAll(".err").forEach((err) => err.remove());
  target.removeAttribute("aria-invalid");
  if (!form.querySelector(".bad")) document.querySelector(".err-sum")?.remove();
  changed();
});

// A second press while the first is under way is no second notice; the address of the page makes that sure as well.
form.addEventListener("submit", () => {
  clearTimeout(waiting);
  setTimeout(() => form.querySelectorAll("button").forEach((button) => { button.disabled = true; }));
});
addEventListener("pageshow", () => form.querySelectorAll("button").forEach((button) => { button.disabled = false; }));

// Uploads: at most 1 MB at a time; after a broken connection the server says how far it has come. A server between that takes
// less gets smaller parts.
const PART = 1024 * 1024, PART_MIN = 64 * 1024, PAUSE_MAX = 15000;
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const address = (query) => `${form.action}/tep?${new URLSearchParams(query)}`;

// A refusal that the person reads; everything else is tried again.
class Refused extends Error {}
class SignedOut extends Error {}
class TooMuchAtOnce extends Error {}

// Asks, and gives the answer, or null where a part begins elsewhere.
const ask = async (query, options = {}) => {
  const answer = await fetch(address(query), options);
  if (answer.redirected || answer.status === 401) throw new SignedOut();
  const told = await answer.json().catch(() => null);
  if (answer.ok && told) return told;
  if (answer.status === 409 && told?.den != null) return { den: told.den };
  if (answer.status === 413 && !told?.loi) throw new TooMuchAtOnce();
  if (told?.loi && (answer.status < 500 || answer.status === 507)) throw new Refused(told.loi);
  if (answer.status < 500 && !answer.ok) throw new Refused(words.khongTai);
  throw new TypeError();
};

// An upload that is under way is remembered, so that it goes on after signing in again.
const remembered = (file) => `loaxa-tep ${file.name} ${file.size} ${file.lastModified}`;

// Finds how far an upload has come that was begun before, or begins it.
const beginning = async (file) => {
  const id = sessionStorage.getItem(remembered(file));
  const known = id && await ask({ ma: id }).catch((error) => { if (!(error instanceof Refused)) throw error; });
  if (known) return { id, from: known.den, whole: known.xong };
  const { ma } = await ask({ ten: file.name, co: file.size }, { method: "POST" });
  sessionStorage.setItem(remembered(file), ma);
  return { id: ma, from: 0 };
};

const upload = async (file) => {
  $("tep-loi").hidden = true;
  $("dang-tai").hidden = false;
  $("tep-dang-co").replaceChildren();
  field("tep").value = "";
  // The largest part that goes through, the next part, and whether the last one came is unknown.
  let at, most = PART, part = PART, unsure = false;
  for (let wait = 500; ;) {
    try {
      at ??= await beginning(file);
      if (unsure) {
        const { den, xong } = await ask({ ma: at.id });
        Object.assign(at, { from: den, whole: xong });
        [unsure, part] = [false, Math.max(PART_MIN, part / 2)];
      }
      // A file that came whole before the connection broke is not sent again.
      const { den, xong } = at.whole ? { den: file.size, xong: at.whole }
        : await ask({ ma: at.id, tu: at.from }, { method: "PUT", body: file.slice(at.from, at.from + part) });
      at.from = den;
      part = Math.min(most, 2 * part);
      wait = 500;
      $("tien-do").value = 100 * den / file.size;
      $("tai-duoc").textContent = `${Math.floor(100 * den / file.size)} %`;
      if (xong) { sessionStorage.removeItem(remembered(file)); return take(xong); }
    } catch (error) {
      if (error instanceof TooMuchAtOnce && part > PART_MIN) { part = most = part / 2; continue; }
      if (error instanceof Refused || error instanceof TooMuchAtOnce) return give_up(file, at?.id, error.message || words.quaLon);
      unsure = at !== undefined;
      $("tai-duoc").textContent = error instanceof SignedOut ? words.hetPhien : words.matMang;
      await pause(wait);
      wait = Math.min(2 * wait, PAUSE_MAX);
    }
  }
};

// Nothing of what is refused stays anywhere.
const give_up = async (file, id, why) => {
  sessionStorage.removeItem(remembered(file));
  $("dang-tai").hidden = true;
  $("chon-tep").value = "";
  $("tep-loi").textContent = why;
  $("tep-loi").hidden = false;
  if (id) await fetch(address({ ma: id }), { method: "DELETE" }).catch(() => null);
};

const take = ({ tep, ten, giay }) => {
  field("tep").value = tep;
  const name = document.createElement("p"), player = document.createElement("audio");
  name.textContent = `${ten} · ${Math.floor(giay / 60)}:${String(giay % 60).padStart(2, "0")}`;
  Object.assign(player, { controls: true, src: `/media/${tep}` });
  $("tep-dang-co").replaceChildren(name, player);
  $("dang-tai").hidden = true;
  changed();
};
$("chon-tep").addEventListener("change", ({ target }) => { if (target.files[0]) upload(target.files[0]); });

// Recording: whatever container the browser makes; the server reads all of them.
let recorder, meter;
const KINDS = ["audio/webm;codecs=opus", "audio/ogg;codecs=opus", "audio/mp4"];
$("bat-dau-ghi").addEventListener("click", async () => {
  $("tep-loi").hidden = true;
  let sound;
  try {
    sound = await navigator.mediaDevices.getUserMedia({ audio: true });
  } catch {
    $("tep-loi").textContent = words.khongMic;
    $("tep-loi").hidden = false;
    return;
  }
  const kind = KINDS.find((kind) => MediaRecorder.isTypeSupported(kind)), parts = [];
  recorder = new MediaRecorder(sound, kind ? { mimeType: kind } : {});
  recorder.ondataavailable = ({ data }) => parts.push(data);
  recorder.onstop = () => {
    sound.getTracks().forEach((track) => track.stop());
    cancelAnimationFrame(meter);
    $("bat-dau-ghi").hidden = false;
    $("dung-ghi").hidden = true;
    const end = recorder.mimeType.includes("mp4") ? "m4a" : recorder.mimeType.includes("ogg") ? "ogg" : "webm";
    upload(new File(parts, `ghi-am.${end}`, { type: recorder.mimeType }));
  };
  recorder.start(1000);
  $("bat-dau-ghi").hidden = true;
  $("dung-ghi").hidden = false;
  show(sound);
});
$("dung-ghi").addEventListener("click", () => recorder.stop());

// The level: loud enough is between a fifth and four fifths.
const show = (sound) => {
  const context = new AudioContext(), node = context.createAnalyser(), samples = new Float32Array(node.fftSize);
  context.createMediaStreamSource(sound).connect(node);
  const draw = () => {
    node.getFloatTimeDomainData(samples);
    const peak = Math.min(1, Math.max(...samples.map(Math.abs)));
    $("muc-tieng").setAttribute("width", 100 * peak);
    $("muc-tieng").setAttribute("class", peak > 0.9 ? "fc k-bad" : "fc k-ok");
    meter = requestAnimationFrame(draw);
  };
  draw();
};

// Whoever was quicker than this script, on a slow line, has written or chosen a file already.
const isWritten = ({ type, value, defaultValue, checked, defaultChecked, options, selectedIndex }) => {
  if (type === "radio" || type === "checkbox") return checked !== defaultChecked;
  if (options) return selectedIndex !== Math.max(0, [...options].findIndex((option) => option.defaultSelected));
  return type !== "file" && defaultValue !== undefined && value !== defaultValue;
};
if ([...form.elements].some(isWritten)) changed();
if ($("chon-tep").files[0]) upload($("chon-tep").files[0]);
