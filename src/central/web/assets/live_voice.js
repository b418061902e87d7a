// Speaks as long as the button is held: pieces of a tenth of a second go to the centre one after the other. It ends with the hand,
// the page or the connection.
const $ = (id) => document.getElementById(id);
const form = $("noi"), words = form.dataset, button = $("giu");
let talk = null;

const say = (error) => { $("loi").textContent = error; $("loi").hidden = !error; };
const level = (buffer) => {
  let peak = 0;
  for (const sample of new Int16Array(buffer)) peak = Math.max(peak, Math.abs(sample));
  $("muc").setAttribute("width", 100 * peak / 32768);
  $("muc").setAttribute("class", peak > 30000 ? "fc k-bad" : "fc k-ok");
};

const begin = async () => {
  if (talk) return;
  const mine = talk = { waiting: [], number: 0, over: false };
  say("");
  const body = new URLSearchParams(new FormData(form));
  if (!body.has("noi")) { talk = null; return say(words.noiNao); }
  try {
    mine.sound = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: false } });
  } catch { talk = null; return say(words.mic); }
  try {
    const answer = await fetch("/noi-truc-tiep", { method: "POST", body });
    const told = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(), { told: told.loi });
    mine.address = `/noi-truc-tiep/${told.phien}`;
    mine.context = new AudioContext();
    // Firefox computes no sound where nothing plays it.
    await Promise.race([mine.context.resume(), new Promise((done) => setTimeout(done, 3000))]);
    if (mine.context.state !== "running") throw Object.assign(new Error(), { told: words.loa });
    await mine.context.audioWorklet.addModule("/assets/voice_worklet.js");
    const node = new AudioWorkletNode(mine.context, "voice");
    node.port.onmessage = ({ data }) => { level(data); mine.waiting.push(data); pump(mine); };
    mine.context.createMediaStreamSource(mine.sound).connect(node);
    if (mine.over) return end(mine);
    $("tinh-trang").textContent = words.noi;
    button.classList.add("dang-noi");
  } catch (error) { say(error.told ?? words.mat); end(mine); }
};

// One request at a time keeps the pieces in order; what gathers while it is under way goes together.
const pump = async (mine) => {
  if (mine.sending || mine.over) return;
  mine.sending = true;
  try {
    while (mine.waiting.length && !mine.over) {
      const begun = performance.now();
      const body = new Blob(mine.waiting.splice(0));
      const answer = await fetch(`${mine.address}?so=${mine.number}`, { method: "PUT", body });
      if (answer.status !== 204) throw new Error();
      mine.number += 1;
      $("tre").textContent = `${Math.round(performance.now() - begun + 100)} ms`;
    }
  } catch { say(words.mat); end(mine); }
  mine.sending = false;
};

const end = (mine) => {
  mine.over = true;
  mine.sound?.getTracks().forEach((track) => track.stop());
  if (mine.context?.state !== "closed") mine.context?.close();
  // A beacon goes out even when the page is closed.
  if (mine.address) navigator.sendBeacon(`${mine.address}/het`);
  if (talk === mine) talk = null;
  $("tinh-trang").textContent = words.im;
  $("muc").setAttribute("width", 0);
  button.classList.remove("dang-noi");
};
const stop = () => { if (talk) end(talk); };

button.addEventListener("pointerdown", (event) => { button.setPointerCapture(event.pointerId); begin(); });
for (const kind of ["pointerup", "pointercancel", "lostpointercapture"]) button.addEventListener(kind, stop);
button.addEventListener("keydown", (event) => {
  if ([" ", "Enter"].includes(event.key)) { event.preventDefault(); if (!event.repeat) begin(); }
});
button.addEventListener("keyup", stop);
button.addEventListener("blur", stop);
addEventListener("pagehide", stop);
document.addEventListener("visibilitychange", () => { if (document.hidden) stop(); });
