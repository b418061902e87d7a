// Tells a duty officer on any page that somebody calls: by sound, in the title, and where the browser allows it by shaking.

const bell = document.getElementById("goi");
const title = document.title;
let ringing = null;
let context = null;

// Two tones, as a telephone: nobody takes them for the siren of a loudspeaker.
function ring() {
  try {
    context ??= new AudioContext();
    context.resume().catch(() => {});
    for (const [pitch, at] of [[880, 0], [660, 0.25], [880, 0.5], [660, 0.75]]) {
      const [tone, volume] = [context.createOscillator(), context.createGain()];
      tone.frequency.value = pitch;
      volume.gain.value = 0.25;
      tone.connect(volume).connect(context.destination);
      tone.start(context.currentTime + at);
      tone.stop(context.currentTime + at + 0.2);
    }
  } catch { /* Without sound there are colour and title. */ }
  navigator.vibrate?.([300, 150, 300]);
}

function look() {
  const calls = [...document.querySelectorAll("#goi [data-ten]")];
  document.title = calls.length > 0 ? `(!) ${calls[0].dataset.ten}` : title;
  const loud = calls.some((call) => "tieng" in call.dataset);
  document.documentElement.classList.toggle("bi-goi", loud);
  if (loud && !ringing) {
    ring();
    ringing = setInterval(ring, 2000);
  } else if (!loud && ringing) {
    clearInterval(ringing);
    ringing = null;
  }
}

// A browser lets a page sound once its person has touched it.
addEventListener("pointerdown", () => { (context ??= new AudioContext()).resume().catch(() => {}); }, { once: true });
if (bell) new MutationObserver(look).observe(bell, { attributes: true, childList: true, subtree: true });
