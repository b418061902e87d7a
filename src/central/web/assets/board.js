// The electronic board: listens to what sounds, asks where the stream fails, and turns pages of four lines at most.
const board = document.getElementById("bang");
const title = document.getElementById("ten");
const text = document.getElementById("loi");
const pageOf = document.getElementById("trang");
const heading = title.closest("h1");
const LINES = 4, PAGE_MS = 8000, LOST_MS = 45000, AGAIN_MS = 5000;
const query = board.dataset.thon ? `?thon=${encodeURIComponent(board.dataset.thon)}` : "";
const ahead = Number(board.dataset.now) - Date.now();
const RUNG = { emergency: "oc", exercise: "he", live: "di", priority: "di", normal: "ci", programme: "sq" };
let shown = "", pages = [""], page = 0, heard = Date.now(), lost = null, turned = Date.now();

/** The rung's word in the reader's language. */
const word = (rung) => board.querySelector(`[data-hang="${rung}"]`)?.textContent ?? "";

function hour(at) {
  return new Intl.DateTimeFormat("vi-VN", { hour: "2-digit", minute: "2-digit", timeZone: "Asia/Ho_Chi_Minh" }).format(at);
}

/** Tells whether a text has at most so many lines on the board, and the board fits the screen. */
function fits(words) {
  text.textContent = words;
  const style = getComputedStyle(text);
  const line = parseFloat(style.lineHeight) || parseFloat(style.fontSize) * 1.22;
  return text.getBoundingClientRect().height <= line * LINES + 2 && board.scrollHeight <= window.innerHeight + 2;
}

/** Cuts a text at spaces into pages that fit. */
function cut(words) {
  const found = [], all = words.split(/\s+/).filter(Boolean);
  while (all.length) {
    let low = 1, high = all.length;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (fits(all.slice(0, middle).join(" "))) low = middle; else high = middle - 1;
    }
    found.push(all.splice(0, low).join(" "));
  }
  return found.length ? found : [""];
}

function turn() {
  text.textContent = pages[page];
  const of = board.dataset.trang.replace("{page}", page + 1).replace("{pages}", pages.length);
  pageOf.textContent = lost ? board.dataset.mat.replace("{at}", hour(lost + ahead)) : pages.length > 1 ? of : "";
}

function draw(told) {
  const first = told.sounding[0];
  const rung = first?.class ?? "";
  board.classList.toggle("emer", rung === "emergency");
  board.classList.toggle("drill", rung === "exercise");
  heading.classList.toggle("quiet", !first);
  const fallback = board.dataset[rung === "live" ? "loaiLive" : rung === "programme" ? "loaiProgramme" : "loaiOther"];
  const name = first ? first.title ?? fallback : board.dataset.im;
  const strong = rung === "emergency" || rung === "exercise";
  title.textContent = strong ? `${word(rung)}: ${name}` : name;
  heading.querySelector("svg")?.remove();
  if (RUNG[rung]) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", "i s");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    use.setAttribute("href", `#i-${RUNG[rung]}`);
    svg.append(use);
    heading.prepend(svg);
  }
  pages = cut(first ? first.words ?? name : board.dataset.tiep);
  page = 0;
  turned = Date.now();
  turn();
}

function take(json) {
  heard = Date.now();
  if (lost) { lost = null; turn(); }
  if (json === shown) return;
  shown = json;
  draw(JSON.parse(json));
}

let stream = null;
function listen() {
  stream?.close();
  stream = new EventSource(`/dang-phat/su-kien${query}`);
  stream.addEventListener("now", (event) => take(event.data));
}

/** Asks for what sounds where the stream says nothing: it may be refused, or cut without a word. */
async function ask() {
  const answer = await fetch(`/dang-phat.json${query}`, { cache: "no-store" });
  if (answer.ok) take(await answer.text());
}

setInterval(() => {
  document.getElementById("gio").textContent = hour(Date.now() + ahead);
  if (pages.length > 1 && Date.now() - turned >= PAGE_MS) { page = (page + 1) % pages.length; turned = Date.now(); turn(); }
  if (!lost && Date.now() - heard > LOST_MS) { lost = heard; turn(); }
}, 1000);
setInterval(() => {
  if (stream.readyState === EventSource.CLOSED) listen();
  ask().catch(() => {});
}, AGAIN_MS);
// What comes next, and the date, are those of the hour at which the page was loaded.
setInterval(() => { if (!lost && !JSON.parse(shown).sounding.length) location.reload(); }, 15 * 60000);
addEventListener("resize", () => draw(JSON.parse(shown)));
take(board.dataset.told);
listen();
