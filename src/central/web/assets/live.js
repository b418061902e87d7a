// Opens one stream of what changed while the page is shown, and tells the parts of the page that draw it. A part names
// its events itself: hx-trigger="boxes from:body, shown from:body".
"use strict";
{
  const AGAIN_MS = 10_000;
  const MINUTE_MS = 60_000;
  let stream;
  let again;
  let minutes;

  const tell = (name) => document.body.dispatchEvent(new CustomEvent(name));
  const showLost = (isLost) => {
    for (const element of document.querySelectorAll("[data-live-lost]")) element.hidden = !isLost;
  };

  const close = () => {
    clearTimeout(again);
    clearInterval(minutes);
    stream?.close();
    stream = undefined;
  };

  const open = () => {
    close();
    if (document.hidden) return;
    stream = new EventSource("/su-kien");
    stream.addEventListener("open", () => showLost(false));
    stream.addEventListener("changed", (event) => {
      for (const name of event.data.split(" ")) tell(name);
      if (event.data.includes("signed-out")) close();
    });
    stream.addEventListener("error", () => {
      showLost(true);
      // A browser gives up for good when the answer is no stream.
      if (stream?.readyState === EventSource.CLOSED) again = setTimeout(open, AGAIN_MS);
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
