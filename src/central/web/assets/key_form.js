// The form in which a person opens the key of this browser, on pages where something is signed.

import { isOpen, stored, unlock } from "./keys.js";

const $ = (id) => document.getElementById(id);

export const show = (id, shown) => { if ($(id)) $(id).hidden = !shown; };

// Shows whether there is a key, and whether it is open.
export function drawKeyForm() {
  const own = stored();
  show("khong-khoa", own === null);
  show("mo-khoa-form", own !== null && !isOpen());
  show("khoa-mo", isOpen());
}

// Opens the key by what is typed; `tried` is called afterwards, whether it is open or not.
export function openByForm(tried) {
  $("mo-khoa-form")?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = event.submitter ?? event.target.querySelector("button");
    button.disabled = true;
    show("khoa-loi", false);
    try {
      await unlock($("mat-khau").value);
      event.target.reset();
    } catch (error) {
      $("khoa-loi").textContent = error.message;
      show("khoa-loi", true);
    }
    button.disabled = false;
    tried();
  });
}
