// On every page: the focus goes to what has to be mended, and whoever is about to be signed out is asked in time.

document.querySelector(".err-sum")?.focus();

const notice = document.getElementById("sap-het");
if (notice) {
  const WARN_MS = Number(notice.dataset.truoc) * 1000;
  // Timers stand still while a machine sleeps: the server is asked, not the timer believed.
  const look = async () => {
    const answer = await fetch("/fragments/phien").catch(() => null);
    if (!answer) return later(60_000);
    // A server that can't answer now has signed nobody out.
    if (!answer.ok) return later(60_000);
    const left = answer.redirected ? 0 : Number(await answer.text()) * 1000;
    // Nothing of the page stays on the screen once its person is signed out; what was written is in the draft.
    if (!(left > 0)) return location.reload();
    notice.hidden = left > WARN_MS;
    later(left > WARN_MS ? left - WARN_MS + 1000 : Math.min(left + 1000, 20_000));
  };
  let timer;
  const later = (ms) => {
    clearTimeout(timer);
    timer = setTimeout(look, ms);
  };
  notice.querySelector("button").addEventListener("click", async () => {
    await fetch("/tai-khoan/o-lai", { method: "POST" }).catch(() => null);
    look();
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
  later(Number(notice.dataset.con) * 1000 - WARN_MS + 1000);
}
