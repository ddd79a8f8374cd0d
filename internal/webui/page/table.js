// The table of groups. It has elements for the visible rows only.
import {address, change, view} from './view.js';
import {age, byId, bytes, cores, count, date, clock, element, expected, isUnexpected, isZero, percent, period, plain, unknown} from './format.js';

const rowHeight = 32; // pixels, as in page.css
const overscan = 10;
const historyStep = 5; // seconds between two points of the history in the report

// cpu returns CPU usage in the unit that the user has chosen.
export const cpu = (v) => (view.cores ? cores(v) : percent(v));

// A column has a sort key and a format. Narrow screens omit wide columns. The source of a rate
// needs two walks.
const columns = [
  {id: 'group', title: 'Group', key: (g) => g.label},
  {id: 'processes', title: 'Processes', key: (g) => g.num_procs, show: count, bad: isUnexpected},
  {id: 'cpu', title: 'CPU', key: (g) => g.cpu_ratio, show: cpu, rate: true},
  {id: 'history', title: 'CPU history', wide: true, hint: 'CPU usage; all rows have the same scale'},
  {id: 'rss', title: 'RSS', key: (g) => g.resident_bytes, show: bytes, hint: 'resident memory; shared pages count in every process'},
  {id: 'pss', title: 'PSS', key: (g) => g.proportional_bytes, show: bytes, wide: true,
    hint: 'proportional memory: shared pages divided by the number of processes that share them'},
  {id: 'read', title: 'Read/s', key: (g) => g.read_bytes_per_second, show: bytes, wide: true, rate: true, hint: 'read from storage'},
  {id: 'write', title: 'Write/s', key: (g) => g.write_bytes_per_second, show: bytes, wide: true, rate: true, hint: 'written to storage'},
  {id: 'fds', title: 'FDs', key: (g) => g.open_filedesc, show: count, wide: true, hint: 'open file descriptors'},
  {id: 'fduse', title: 'FD use', key: (g) => g.worst_fd_ratio, show: percent, wide: true,
    hint: 'open file descriptors of the fullest process, in percent of its limit'},
  {id: 'threads', title: 'Threads', key: (g) => g.num_threads, show: count, wide: true},
  {id: 'switches', title: 'Ctx sw/s', key: (g) => g.context_switches_per_second, show: plain, wide: true, rate: true, hint: 'context switches'},
  {id: 'failed', title: 'Failed', key: (g) => g.failed_exits, show: count, wide: true, bad: (g) => g.failed_exits > 0},
  {id: 'exits', title: 'Exits', key: (g) => g.exits_total, show: count, wide: true, hint: 'since the exporter started'},
  {id: 'started', title: 'Started', key: (g) => g.oldest_start_time_seconds, show: (v, g) => age(g.age) + ' ago', wide: true, ofGroup: true,
    hint: 'start of the oldest process', absolute: true},
];

const state = {groups: [], shown: [], max: 0, points: 0, time: 0, window: 0};
const rows = []; // table rows, reused for other groups

const isShown = (c) => c.id === 'group' || !view.columns || view.columns.includes(c.id);
const className = (c) => [c.wide && !view.columns ? 'wide' : '', isShown(c) ? '' : 'off', c.id === 'history' ? 'history' : ''].join(' ').trim();

function title(c) {
  if (c.id === 'cpu') return view.cores ? 'CPU cores' : 'CPU %';
  if (c.id === 'history') return `Last ${age(state.points * historyStep)}, ≤ ${cpu(state.max)}`;
  return c.title;
}

function buildHead() {
  columns.forEach((c) => {
    const th = element('th');
    th.scope = 'col';
    if (c.key) {
      const button = element('button');
      button.type = 'button';
      button.addEventListener('click', () => sortBy(c.id));
      th.append(button);
    } else {
      th.append(element('span'));
    }
    byId('head').append(th);
    if (c.id !== 'group') byId('choices').append(choice(c));
  });
}

function choice(c) {
  const label = element('label'), box = element('input');
  box.type = 'checkbox';
  box.name = c.id;
  box.addEventListener('change', () => {
    const all = columns.filter((c) => c.id !== 'group').map((c) => c.id);
    const chosen = all.filter((id) => byId('choices').querySelector(`[name="${id}"]`).checked);
    change({columns: chosen.length === all.length ? null : chosen});
    arrange();
  });
  label.append(box, c.title);
  return label;
}

// updateHead shows the titles, the sorted column and the hidden columns.
function updateHead() {
  [...byId('head').children].forEach((th, i) => {
    const c = columns[i];
    th.className = className(c);
    th.firstChild.textContent = title(c);
    const hint = c.id === 'failed' ? `exits that failed in ${period(state.window)}` : c.id === 'cpu' ? (view.cores ? '1 is one core' : '100 % is one core') : c.hint;
    if (hint) th.firstChild.title = hint;
    if (c.id === view.sort) th.setAttribute('aria-sort', view.descending ? 'descending' : 'ascending');
    else th.removeAttribute('aria-sort');
    const box = byId('choices').querySelector(`[name="${c.id}"]`);
    if (box) box.checked = isShown(c);
  });
}

function sortBy(id) {
  change({sort: id, descending: view.sort === id ? !view.descending : id !== 'group'});
  arrange();
}

// arrange sorts and filters. Unknown values are last in both directions.
export function arrange() {
  const column = columns.find((c) => c.id === view.sort && c.key) || columns[2];
  const key = column.key, sign = view.descending ? -1 : 1;
  const text = view.filter.toLowerCase();
  state.shown = state.groups.filter((g) => g.label.toLowerCase().includes(text));
  state.shown.sort((a, b) => {
    const x = key(a), y = key(b);
    if (x === undefined || y === undefined) {
      return (x === undefined) - (y === undefined) || (a.label < b.label ? -1 : 1);
    }
    return x === y ? (a.label < b.label ? -1 : 1) : x < y ? -sign : sign;
  });
  const total = state.groups.length;
  byId('count').textContent = state.shown.length === total ? `${total} groups` : `${state.shown.length} of ${total} groups`;
  showEmpty(total);
  updateHead();
  draw();
}

function showEmpty(total) {
  const empty = byId('empty');
  empty.hidden = state.shown.length > 0 || total === 0;
  if (empty.hidden) return;
  const clear = element('button', 'Show all groups');
  clear.type = 'button';
  clear.addEventListener('click', () => { setFilter('', true); byId('filter').focus(); });
  empty.replaceChildren(`No group name or label contains “${view.filter}”. `, clear);
}

// setFilter shows the groups whose label contains text.
export function setFilter(text, step) {
  if (byId('filter').value !== text) byId('filter').value = text;
  change({filter: text}, step);
  byId('scroll').scrollTop = 0;
  arrange();
}

// spark returns a path of the history in a box of 100 x 20. All rows have the same scales.
function spark(values) {
  const at = (i) => (100 * (i + state.points - values.length) / (state.points - 1)).toFixed(2);
  const y = (v) => (20 - 19 * v / state.max).toFixed(2);
  return `M${at(0)} 20` + values.map((v, i) => `L${at(i)} ${y(v)}`).join('') + `L100 20Z`;
}

function showTip(event, g) {
  const values = g.cpu_ratio_history, box = event.currentTarget.getBoundingClientRect();
  const tip = byId('tip');
  if (!values || values.length < 2) return;
  const i = Math.round((event.clientX - box.left) / box.width * (state.points - 1)) - (state.points - values.length);
  tip.hidden = i < 0 || i >= values.length;
  if (tip.hidden) return;
  tip.textContent = `${clock(state.time - (values.length - 1 - i) * historyStep)}  ${cpu(values[i])}`;
  tip.style.left = `${Math.min(event.clientX + 12, innerWidth - 160)}px`;
  tip.style.top = `${box.bottom}px`;
}

function newRow() {
  const tr = element('tr');
  columns.forEach((c) => {
    const td = element('td');
    if (c.id === 'group') {
      td.append(element('a'));
    } else if (c.id === 'history') {
      const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
      svg.setAttribute('class', 'spark');
      svg.setAttribute('viewBox', '0 0 100 20');
      svg.setAttribute('preserveAspectRatio', 'none');
      svg.setAttribute('aria-hidden', 'true');
      svg.append(document.createElementNS('http://www.w3.org/2000/svg', 'path'));
      svg.addEventListener('mousemove', (event) => showTip(event, tr.group));
      svg.addEventListener('mouseleave', () => { byId('tip').hidden = true; });
      td.append(svg);
    }
    tr.append(td);
  });
  return tr;
}

// missing returns the text of an unknown value.
const missing = (c, g) => (c.rate && g.cpu_ratio === undefined ? 'measuring' : unknown);

function fillRow(tr, g) {
  tr.group = g;
  columns.forEach((c, i) => {
    const td = tr.children[i];
    let name = className(c);
    if (c.id === 'group') {
      const link = td.firstChild;
      if (link.textContent !== g.label) link.textContent = link.title = g.label;
      link.href = address({group: g.group});
    } else if (c.id === 'history') {
      const values = g.cpu_ratio_history;
      td.firstChild.firstChild.setAttribute('d', values && values.length > 1 && state.max > 0 ? spark(values) : '');
    } else {
      const value = c.key(g);
      const text = value === undefined ? missing(c, g) : c.show(value, c.ofGroup ? g : undefined);
      if (td.textContent !== text) td.textContent = text;
      if (c.absolute) td.title = value === undefined ? '' : date(value);
      const bad = c.bad && c.bad(g);
      if (bad) name += ' bad';
      else if (value === undefined || isZero(text)) name += ' zero';
      if (c.id === 'processes') td.title = bad ? `expected ${expected(g)}` : '';
    }
    if (td.className !== name) td.className = name;
  });
}

function padding(n) {
  const tr = element('tr', undefined, 'pad'), td = element('td');
  tr.setAttribute('aria-hidden', 'true');
  td.colSpan = columns.length;
  td.style.height = n * rowHeight + 'px';
  tr.append(td);
  return tr;
}

// draw fills the table with the visible rows, and with padding for the others. The focus
// stays on its group.
function draw() {
  const box = byId('scroll'), body = byId('rows');
  const focused = body.contains(document.activeElement) ? document.activeElement.closest('tr').group.label : null;
  const first = Math.max(0, Math.min(Math.floor(box.scrollTop / rowHeight) - overscan, state.shown.length));
  const last = Math.min(state.shown.length, first + Math.ceil(box.clientHeight / rowHeight) + 2 * overscan + 20);
  while (rows.length < last - first) rows.push(newRow());
  const visible = rows.slice(0, last - first);
  visible.forEach((tr, i) => fillRow(tr, state.shown[first + i]));
  const content = [padding(first), ...visible, padding(state.shown.length - last)];
  const same = body.children.length === content.length && visible.every((tr, i) => body.children[i + 1] === tr);
  if (same) {
    body.firstChild.replaceWith(content[0]);
    body.lastChild.replaceWith(content[content.length - 1]);
  } else {
    body.replaceChildren(...content);
  }
  state.first = first;
  if (focused === null) return;
  const tr = visible.find((tr) => tr.group.label === focused);
  (tr ? tr.querySelector('a') : box).focus({preventScroll: true});
}

// focusRow focuses a group, by its index in the shown groups, and scrolls to it.
export function focusRow(i) {
  const box = byId('scroll'), head = byId('head').offsetHeight;
  if (!state.shown.length) return;
  i = Math.max(0, Math.min(i, state.shown.length - 1));
  if (i * rowHeight < box.scrollTop) box.scrollTop = i * rowHeight;
  const bottom = (i + 1) * rowHeight + head;
  if (bottom > box.scrollTop + box.clientHeight) box.scrollTop = bottom - box.clientHeight;
  draw();
  const tr = rows[i - state.first];
  if (tr) tr.querySelector('a').focus({preventScroll: true});
}

function handleKey(event) {
  const steps = {ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15, Home: -1e9, End: 1e9};
  const tr = document.activeElement.closest('#rows tr');
  if (!(event.key in steps) || event.ctrlKey || event.altKey || event.metaKey || !state.shown.length) return;
  event.preventDefault();
  focusRow(tr ? state.shown.indexOf(tr.group) + steps[event.key] : event.key === 'End' ? 1e9 : 0);
}

// show shows a report.
export function show(report) {
  state.groups = report.groups;
  state.time = report.timestamp_seconds;
  state.window = report.failed_exits_seconds || 0;
  state.max = state.points = 0;
  for (const g of report.groups) {
    const labels = Object.entries(g.labels || {}).map(([k, v]) => `${k}=${v}`).join(' ');
    g.label = labels ? `${g.group}  ${labels}` : g.group;
    if (g.oldest_start_time_seconds) g.age = report.timestamp_seconds - g.oldest_start_time_seconds;
    const values = g.cpu_ratio_history || [];
    state.points = Math.max(state.points, values.length);
    for (const v of values) state.max = Math.max(state.max, v);
  }
  arrange();
}

// start builds the table. open is called with the group of an activated row, and changed
// after a change of the unit of CPU usage.
export function start(open, changed) {
  buildHead();
  byId('filter').addEventListener('input', (event) => setFilter(event.target.value));
  byId('filter').addEventListener('keydown', (event) => {
    if (event.key === 'ArrowDown') { event.preventDefault(); focusRow(0); }
  });
  byId('unit').addEventListener('change', (event) => {
    change({cores: event.target.value === 'cores'});
    arrange();
    changed();
  });
  byId('scroll').addEventListener('keydown', handleKey);
  byId('rows').addEventListener('click', (event) => {
    const tr = event.target.closest('tr');
    if (!tr || !tr.group || event.ctrlKey || event.metaKey || event.shiftKey || event.button || String(getSelection())) return;
    event.preventDefault();
    open(tr.group.group);
  });
  let drawing = false;
  byId('scroll').addEventListener('scroll', () => {
    if (drawing) return;
    drawing = true;
    requestAnimationFrame(() => { drawing = false; draw(); });
  });
}
