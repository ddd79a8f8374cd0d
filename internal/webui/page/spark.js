// Small charts of the recent usage in a row of a table.
import {byId, clock} from './format.js';
import {gaps} from './times.js';

const width = 600, height = 200; // of the box of a path

// A timeline has the times of the points of all rows.
export const timeline = (times) => ({times, missing: gaps(times)});

// path returns the path of a history. All rows have the same scales.
export function path(values, highest, {times, missing}) {
  if (!values || values.length < 2 || !(highest > 0)) return '';
  const first = times.length - values.length, begin = times[0], scale = width / (times.at(-1) - begin);
  const x = (i) => Math.round((times[i] - begin) * scale);
  let out = `M${x(first)} ${height}`;
  values.forEach((v, k) => {
    const i = first + k;
    if (k > 0 && missing.has(i)) out += `L${x(i - 1)} ${height}ZM${x(i)} ${height}`;
    out += `L${x(i)} ${Math.round(height - Math.max(v > 0 ? 8 : 0, 0.95 * height * v / highest))}`;
  });
  return `${out}L${width} ${height}Z`;
}

export function newSpark() {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('class', 'spark');
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('aria-hidden', 'true');
  svg.append(document.createElementNS('http://www.w3.org/2000/svg', 'path'));
  return svg;
}

// showTip shows the value of a history at a part of its width, and hides the tip if there is none.
export function showTip(box, clientX, values, show, {times, missing}) {
  const tip = byId('tip'), at = times[0] + (clientX - box.left) / box.width * (times.at(-1) - times[0]);
  const after = times.findIndex((t) => t >= at), before = Math.max(0, after - 1), first = times.length - values.length;
  const i = at - times[before] < times[after] - at ? before : after; // the nearest point
  tip.hidden = values.length < 2 || after < 0 || missing.has(after) || i < first;
  if (tip.hidden) return;
  tip.textContent = `${clock(times[i])}  ${show(values[i - first])}`;
  tip.style.left = `${Math.min(clientX + 12, innerWidth - 160)}px`;
  tip.style.top = `${box.bottom}px`;
}
