// Touches of the charts: a horizontal drag selects a range, as a drag of the mouse. uPlot knows only the mouse.
const least = 10; // pixels, of a drag

// start makes drags over the charts in a box events of the mouse. The browser keeps vertical drags, see page.css.
export function start(box) {
  let begin = null, drags = false; // the first event of a touch
  const send = (type, {clientX, clientY}) => begin.target.dispatchEvent(
    new MouseEvent(type, {bubbles: true, buttons: type === 'mouseup' ? 0 : 1, clientX, clientY, movementX: 1}));
  box.addEventListener('pointerdown', (event) => {
    if (event.pointerType === 'touch' && event.isPrimary && event.target.className === 'u-over') begin = event;
  });
  box.addEventListener('pointermove', (event) => {
    if (!begin || !event.isPrimary) return;
    if (!drags && Math.abs(event.clientX - begin.clientX) > least) {
      drags = true;
      send('mousedown', begin);
    }
    if (drags) send('mousemove', event);
  });
  const end = (event) => {
    if (!begin || !event.isPrimary) return;
    if (drags) send('mouseup', event.type === 'pointerup' ? event : begin);
    begin = null;
    drags = false;
  };
  box.addEventListener('pointerup', end);
  box.addEventListener('pointercancel', end);
}
