// Opens one stream of what changed while the page is shown, and tells the parts of the page that draw it. A part names
// its events itself: hx-trigger="boxes from:body, shown from:body".
"use strict";
{
  const AGAIN_MS = 10_000;
  const MINUTE_MS = 60_000;
  let stream;
  let again;
  let minutes;
  let isLost = false;

  const tell = (name) => document.body.dispatchEvent(new CustomEvent(name));
  const showLost = (isShown) => {
    for (const element of document.querySelectorAll("[data-live-lost]")) element.hidden = !isShown;
  };

  const close = () => {
    clearTimeout(again);
    clearInterval(minutes);
    stream?.close();
    stream = undefined;
  };

  // Nothing of the page stays on the screen once its person is signed out.
  const leave = () => {
    close();
    location.reload();
  };

  // A person who was signed out meanwhile is sent to the page to sign in on, which is no stream either.
  const askAgain = async () => {
    again = setTimeout(open, AGAIN_MS);
    const answer = await fetch("/fragments/phien").catch(() => null);
    if (answer?.redirected) leave();
  };

  const open = () => {
    close();
    if (document.hidden) return;
    stream = new EventSource("/su-kien");
    stream.addEventListener("open", () => {
      showLost(false);
      // Nobody told of what changed meanwhile.
      if (isLost) tell("shown");
      isLost = false;
    });
    stream.addEventListener("changed", (event) => {
      const names = event.data.split(" ");
      if (names.includes("signed-out")) return leave();
      for (const name of names) tell(name);
    });
    stream.addEventListener("error", () => {
      isLost = true;
      showLost(true);
      // A browser gives up for good when the answer is no stream.
      if (stream?.readyState === EventSource.CLOSED) askAgain();
    });
    // What is left of a bulletin changes by itself.
    minutes = setInterval(() => tell("minute"), MINUTE_MS);
  };

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return close();
    open();
    tell("shown");
  });
  addEventListener("pagehide", close);
  open();
}
