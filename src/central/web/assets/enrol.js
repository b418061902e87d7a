// Asks central for a one-time code, and shows it as text and as a QR.
"use strict";
{
  const $ = (id) => document.getElementById(id);
  const form = $("enrol-form");

  const ask = async () => {
    const groups = [...document.querySelectorAll("input[name=group]:checked")].map((box) => box.value);
    const answer = await fetch("/api/v1/enrolments", {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${$("token").value.trim()}` },
      body: JSON.stringify({ box: $("box").value.trim(), title: $("box-title").value.trim(), groups }),
    });
    const said = await answer.json();
    if (!answer.ok) throw new Error(said[form.dataset.error] ?? said.error);
    return said;
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    event.submitter.disabled = true;
    $("problem").hidden = true;
    $("made").hidden = true;
    try {
      const { code, expires, command, qr } = await ask();
      $("made-for").textContent = $("box-title").value;
      $("code").textContent = code;
      $("command").textContent = command;
      $("until").textContent = new Date(expires).toLocaleString("vi-VN", { timeZone: "Asia/Ho_Chi_Minh" });
      $("qr").src = `data:image/svg+xml;base64,${btoa(qr)}`;
      $("made").hidden = false;
      $("made").scrollIntoView();
    } catch (error) {
      $("problem").textContent = error.message;
      $("problem").hidden = false;
      $("problem").scrollIntoView();
    } finally {
      event.submitter.disabled = false;
    }
  });
}
