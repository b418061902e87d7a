// Lets the training commune trust the key of this browser.

import { stored } from "./keys.js";

const own = stored();
const form = document.getElementById("tin-khoa");
if (own && form) {
  form.elements.khoa.value = own.public;
  form.hidden = false;
  document.getElementById("chua-co-khoa").hidden = true;
}
