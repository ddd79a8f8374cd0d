// Events of the recent past: their text, table and marks in the charts.
import {address, view} from './view.js';
import {byId, clock, count, element, exitText, plain, table, unknown, update} from './format.js';
import {hasGroup} from './table.js';

const maxRows = 100; // of the table
const nearPixels = 14; // distance up to which marks share one number
const texts = {oom_kill: 'killed by the OOM killer', failure: 'failed', exit: 'exited', start: 'started', reload: 'configuration reloaded', exporter_start: 'exporter started'};
const lines = {oom_kill: 'OOM', reload: 'reload', exporter_start: 'start'}; // texts of marks that have the height of the chart
const textOf = (kind) => texts[kind] || kind;
const eventText = (e) => (e.reason ? exitText(e.reason, e.code) : textOf(e.kind));
const isBad = (e) => e.kind === 'oom_kill' || e.kind === 'failure';
const isNormal = (e) => e.kind === 'start' || e.kind === 'exit';
const events = (e) => e.others || 1;
const total = (list, value) => list.reduce((sum, e) => sum + value(e), 0);

// isFiltered reports whether the page shows the events of some groups only.
const isFiltered = () => view.group !== null || view.filter !== '';

// shown returns the events of the groups that the page shows.
export const shown = (report) => report.events.filter((e) => (view.group !== null ? e.group === view.group : !view.filter || e.group && hasGroup(e.group)));

const most = (e) => (e.approximate ? '≤ ' : '');

export function describe(e) {
  const who = e.group ? `${e.group}: ` : '';
  const number = (e.group || e.others) && e.count > 1 ? `${e.count} ` : '';
  return `${who}${number}${eventText(e)}`;
}

// rest returns a row for each kind of events that have no own row.
function rest(list, name) {
  return Object.keys(texts).flatMap((kind) => {
    const same = list.filter((e) => e.kind === kind), n = total(same, events);
    return n > 0 ? [[unknown, `and ${n} more${name}`, textOf(kind), count(total(same, (e) => e.count))]] : [];
  });
}

function row(e) {
  const group = e.others ? `and ${e.others} more` : e.group || unknown;
  return [most(e) + clock(e.timestamp_seconds), group, eventText(e), count(e.count)];
}

// show shows the number of events, and the events if they are open. If there are too many, starts and regular exits
// are not in the table.
export function show(report) {
  const all = shown(report), number = total(all, events), sums = isFiltered() ? report.events.filter((e) => e.others) : [];
  const failed = total(all, (e) => (e.kind === 'failure' ? e.count : 0)), killed = total(all, (e) => (e.kind === 'oom_kill' ? e.count : 0));
  byId('events').hidden = report.events.length === 0;
  byId('events-count').textContent = `Events${view.filter && view.group === null ? ' of the groups in the table' : ''}, ${number}` +
    (failed > 0 ? `; red: ${failed} failed exit${failed === 1 ? '' : 's'}` : '') + (killed > 0 ? `; red line: ${killed} OOM kill${killed === 1 ? '' : 's'}` : '');
  if (!byId('events').open) return;
  const newest = all.slice().sort((a, b) => b.timestamp_seconds - a.timestamp_seconds);
  const first = new Set([...newest.filter((e) => !isNormal(e)), ...newest.filter(isNormal)].slice(0, maxRows));
  const rows = newest.filter((e) => first.has(e)), others = newest.filter((e) => !first.has(e));
  const caption = `${rows.length < all.length ? `Newest ${rows.length} of ${number}` : 'Newest first'}${all.some((e) => e.approximate) ? '; ≤: the walk that found the event was at this time' : ''}`;
  const t = table(caption, ['Time', 'Group', 'Event', 'Processes'],
    [...rows.map(row), ...rest(others, ''), ...rest(sums, ' of unknown groups')], [1, 2]);
  rows.forEach((e, i) => { if (e.group && view.group === null) t.tBodies[0].rows[i].cells[1].replaceChildren(link(e.group)); });
  rows.forEach((e, i) => { if (isBad(e)) t.tBodies[0].rows[i].cells[2].classList.add('bad'); });
  update(byId('events-body'), t);
}

function link(group) {
  const a = element('a', group);
  a.href = address({group});
  a.dataset.group = group;
  return a;
}

// start sets what a click on the group of an event does.
export function start(open) {
  byId('events-body').addEventListener('click', (event) => {
    const a = event.target.closest('a');
    if (!a || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    open(a.dataset.group);
  });
}

function markHeight(e, full) {
  return isNormal(e) ? 5 : e.kind === 'failure' ? 9 : full;
}

// drawMarks draws a mark for each event at the bottom of a chart. Marks of failures that are near each other have
// their number, marks of the height of the chart a word. inkOf returns a color.
export function drawMarks(u, list, inkOf) {
  const {ctx, bbox} = u, scale = devicePixelRatio || 1, bottom = bbox.top + bbox.height, right = bbox.left + bbox.width;
  const failures = [], words = [];
  ctx.save();
  ctx.font = `${11 * scale}px system-ui, sans-serif`;
  for (const e of list.slice().sort((a, b) => a.timestamp_seconds - b.timestamp_seconds)) {
    const x = u.valToPos(e.timestamp_seconds, 'x', true);
    if (x < bbox.left || x > right) continue;
    const length = Math.min(markHeight(e, bbox.height / scale) * scale, bbox.height), ink = inkOf(isBad(e) ? '--bad' : isNormal(e) ? '--faint' : '--accent');
    ctx.fillStyle = ink;
    ctx.fillRect(x - scale, bottom - length, (e.kind === 'oom_kill' ? 3 : 2) * scale, length);
    if (lines[e.kind]) words.push({x, ink, text: lines[e.kind], count: e.count});
    if (e.kind === 'failure') failures.push({from: x, to: x, count: e.count});
  }
  Object.assign(ctx, {lineJoin: 'round', lineWidth: 3 * scale, strokeStyle: inkOf('--paper')});
  drawNumbers(ctx, failures, {left: bbox.left, right, y: bottom - 12 * scale, scale, ink: inkOf('--bad')});
  drawWords(ctx, words, {right, y: bbox.top + 10 * scale, scale});
  ctx.restore();
}

function write(ctx, text, x, y, ink, align) {
  Object.assign(ctx, {textAlign: align, fillStyle: ink});
  ctx.strokeText(text, x, y);
  ctx.fillText(text, x, y);
}

// drawNumbers draws the numbers of failures. Marks whose numbers would overlap have one number.
function drawNumbers(ctx, failures, {left, right, y, scale, ink}) {
  const halfOf = (m) => Math.max(nearPixels * scale, ctx.measureText(plain(m.count)).width + 4 * scale) / 2;
  const centerOf = (m) => Math.max(left + halfOf(m), Math.min((m.from + m.to) / 2, right - halfOf(m)));
  const merged = [];
  for (const m of failures) {
    merged.push({...m});
    for (let [a, b] = merged.slice(-2); b && centerOf(b) - centerOf(a) < halfOf(a) + halfOf(b); [a, b] = merged.slice(-2)) {
      merged.splice(-2, 2, {from: a.from, to: b.to, count: a.count + b.count});
    }
  }
  for (const m of merged) if (m.count > 1) write(ctx, plain(m.count), centerOf(m), y, ink, 'center');
}

// drawWords draws the words of marks. A word that would overlap another one is missing.
function drawWords(ctx, words, {right, y, scale}) {
  let end = 0;
  for (const {x, ink, text, count: n} of words) {
    const label = n > 1 ? `${n} ${text}` : text, width = ctx.measureText(label).width, fits = x + width + 6 * scale <= right;
    const begin = fits ? x + 4 * scale : x - 3 * scale - width;
    if (begin < end) continue;
    write(ctx, label, begin, y, ink, 'left');
    end = begin + width + 4 * scale;
  }
}
