// Approves a notice with the approver's own key. Nothing is signed that says something else than the page shows.

import { drawKeyForm, openByForm, show } from "./key_form.js";
import { guard, isOpen, say, signatureOf, stored, text } from "./keys.js";
import { names, understood } from "./orders.js";

const $ = (id) => document.getElementById(id);
const json = (id) => JSON.parse($(id)?.textContent ?? "null");
const form = $("form-duyet");
const shown = json("tin");
Object.assign(names, json("names") ?? {});

function fault(words) {
  $("loi-duyet").textContent = words;
  show("loi-duyet", words !== "");
  if (words) $("loi-duyet").focus();
}

openByForm(() => {
  if (isOpen()) fault("");
  drawKeyForm();
});

// Says whether an order is exactly the notice of this page.
function isShown(payload, id) {
  if (!understood(payload, id)) return false;
  const { body, groups } = JSON.parse(text.decode(payload));
  const same = (one, other) => JSON.stringify(one ?? null) === JSON.stringify(other ?? null);
  const sorted = (list) => [...list].sort();
  return body.kind === "announce" && body.class === shown.loai && body.mode === "actual" && body.cap === undefined
    && (shown.ten.trim() === "" || body.title === shown.ten) && (body.words?.text ?? "") === (shown.loi.trim() ? shown.loi : "")
    && same(body.media?.sha256, shown.am) && same(sorted(groups), sorted(shown.noi)) && same(body.plan.at, shown.luc)
    && same(body.plan.repeats, { times: shown.lan }) && same(body.supersedes, shown.thay);
}

async function post(path, fields) {
  const answer = await fetch(path, { method: "POST", body: new URLSearchParams(fields) });
  if (answer.redirected || answer.status === 401) throw new Error(say("signed_out"));
  const told = await answer.json();
  if (answer.ok) return told;
  const problem = new Error(told.loi);
  problem.status = answer.status;
  throw problem;
}

async function approve() {
  if (!isOpen()) throw new Error(say("locked"));
  const own = [["ban", form.elements.ban.value], ["khoa", stored().id]];
  const made = await post(`${form.getAttribute("action")}/ban-ky`, own);
  const payload = new TextEncoder().encode(made["ban-ky"]);
  if (!isShown(payload, made.ma)) throw new Error(shown.bao);
  const told = await post(`${form.getAttribute("action")}/ky`, [...own, ["chu-ky", signatureOf(payload)]]);
  location.assign(told.den);
}

if (form && shown) {
  guard(drawKeyForm);
  drawKeyForm();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = $("duyet");
    button.disabled = true;
    fault("");
    try {
      await approve();
    } catch (error) {
      // Somebody changed it meanwhile: the ordinary form shows both versions side by side.
      if (error.status === 409) {
        const decision = document.createElement("input");
        Object.assign(decision, { type: "hidden", name: "viec", value: "duyet" });
        form.append(decision);
        return form.submit();
      }
      fault(error.message);
      drawKeyForm();
    }
    button.disabled = false;
  });
}
