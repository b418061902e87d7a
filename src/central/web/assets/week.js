// A slot of the week is moved by the arrow keys, or dragged by the mouse: both open its form with times that much earlier or
// later, where they are kept, and undone for half a minute.
const SLOT = 'a.slot[href^="/tuan/khung"]';
const STEP_MINUTES = 5;
const STEP_PIXELS = 12;
const MINUTES_MAX = 720;

const open = (slot, minutes) => location.assign(`${slot.href}&lech=${minutes}`);

document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && drag) letGo();
  const slot = event.target.closest?.(SLOT);
  const minutes = { ArrowUp: -STEP_MINUTES, ArrowDown: STEP_MINUTES }[event.key];
  if (!slot || !minutes || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  open(slot, minutes);
});

let drag = null;
// A drag ends in a click, which would open the form with the old times.
let isOver = false;

const moved = (times, minutes) => times.replace(/(\d\d):(\d\d)/g, (_, hour, minute) => {
  const at = (60 * hour + Number(minute) + minutes + 1440) % 1440;
  return [Math.floor(at / 60), at % 60].map((part) => String(part).padStart(2, '0')).join(':');
});

const letGo = () => {
  drag.told.textContent = drag.times;
  drag = null;
};

document.addEventListener('pointerdown', (event) => {
  isOver = false;
  const slot = event.target.closest?.(SLOT);
  const told = slot?.querySelector('b.num');
  // A finger scrolls.
  if (!told || event.button !== 0 || event.pointerType === 'touch') return;
  drag = { slot, told, times: told.textContent, from: event.clientY, minutes: 0 };
});

document.addEventListener('pointermove', (event) => {
  if (!drag) return;
  const steps = Math.trunc((event.clientY - drag.from) / STEP_PIXELS);
  drag.minutes = Math.max(-MINUTES_MAX, Math.min(MINUTES_MAX, steps * STEP_MINUTES));
  drag.told.textContent = moved(drag.times, drag.minutes);
});

document.addEventListener('pointerup', () => {
  if (!drag) return;
  const { slot, minutes } = drag;
  isOver = minutes !== 0;
  if (isOver) open(slot, minutes);
  letGo();
});

document.addEventListener('pointercancel', () => { if (drag) letGo(); });
document.addEventListener('dragstart', (event) => { if (event.target.closest?.(SLOT)) event.preventDefault(); });
document.addEventListener('click', (event) => {
  if (isOver && event.target.closest?.(SLOT)) event.preventDefault();
  isOver = false;
}, true);
