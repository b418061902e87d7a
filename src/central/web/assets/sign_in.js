// Passkeys (WebAuthn), the strength of a new password, and the button that shows a password as it is typed.

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

// The server's question with its binary fields, which travel as base64url.
function question({ publicKey: asked }) {
  const ids = (list) => (list ?? []).map((key) => ({ ...key, id: bytes(key.id) }));
  const read = { ...asked, challenge: bytes(asked.challenge) };
  if (asked.user) read.user = { ...asked.user, id: bytes(asked.user.id) };
  if (asked.excludeCredentials) read.excludeCredentials = ids(asked.excludeCredentials);
  if (asked.allowCredentials) read.allowCredentials = ids(asked.allowCredentials);
  return { publicKey: read };
}

function answer(key) {
  const { response } = key;
  const fields = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (response[name]) fields[name] = text(response[name]);
  }
  return JSON.stringify({
    id: key.id, rawId: text(key.rawId), type: key.type, response: fields,
    extensions: key.getClientExtensionResults?.() ?? {},
  });
}

async function ask(form) {
  const asked = await fetch(form.dataset.hoi, { method: "POST" });
  if (!asked.ok) throw new Error(await asked.text());
  const key = await navigator.credentials[form.dataset.khoaMay](question(await asked.json()));
  form.elements["tra-loi"].value = answer(key);
  form.submit();
}

for (const form of document.querySelectorAll("[data-khoa-may]")) {
  if (!window.PublicKeyCredential) continue;
  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const failed = form.querySelector("[data-loi]");
    const button = form.querySelector("button");
    failed.hidden = true;
    button.disabled = true;
    ask(form)
      .catch(() => { failed.hidden = false; })
      .finally(() => { button.disabled = false; });
  });
}

// The strength of a new password, as the server will judge it.
for (const line of document.querySelectorAll("[data-do-manh]")) {
  const field = document.getElementById(line.dataset.doManh);
  let waits, latest = 0;
  const grade = async () => {
    const mine = ++latest;
    line.hidden = !field.value;
    if (!field.value) return;
    const answer = await fetch(line.dataset.hoi, { method: "POST", body: new URLSearchParams(new FormData(field.form)) });
    if (!answer.ok || answer.redirected || mine !== latest) return;
    const { muc, noi } = await answer.json();
    line.querySelector("meter").value = muc;
    line.querySelector("[role=status]").textContent = noi;
  };
  const changed = () => {
    clearTimeout(waits);
    waits = setTimeout(() => grade().catch(() => null), 300);
  };
  field.addEventListener("input", changed);
  if (field.value) changed();
}

for (const button of document.querySelectorAll("[data-hien]")) {
  const field = document.getElementById(button.dataset.hien);
  button.hidden = false;
  button.addEventListener("click", () => {
    const shown = field.type === "text";
    field.type = shown ? "password" : "text";
    button.setAttribute("aria-pressed", String(!shown));
    field.focus();
  });
}
