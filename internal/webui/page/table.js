// The table of groups. It has elements for the rows on the screen only, unless there are few groups.
import {address, change, view} from './view.js';
import {age, byId, bytes, cores, count, date, element, expected, isUnexpected, isZero, percent, period, plain, shortAge, unknown, update} from './format.js';
import * as search from './search.js';
import * as spark from './spark.js';

const rowHeight = 32; // pixels, as in page.css
const overscan = 5; // rows above and below the visible ones
const fewGroups = 100; // up to which all rows have elements, so that the browser finds text in them

// cpu returns CPU usage in the unit that the user has chosen.
export const cpu = (v) => (view.cores ? cores(v) : percent(v));

// A column has a sort key, a format and a width in units of the font size. wide needs 701 pixels, veryWide 1500.
// A rate is unknown until the second walk. sources are the sources of sockets of which the column needs one. With
// a source of sockets, a column with yields needs the next larger screen. A column with mean is also shown for a
// selected time.
const columns = [
  {id: 'group', title: 'Group', mean: true, key: (g) => g.label, width: 11},
  {id: 'processes', title: 'Processes', key: (g) => g.num_procs, show: (n) => (n === 0 ? 'none' : count(n)), bad: isUnexpected, width: 6.2},
  {id: 'cpu', title: 'CPU', mean: true, key: (g) => g.cpu_ratio, show: cpu, rate: true, width: 5.6},
  {id: 'history', title: 'CPU history', wide: true, hint: 'CPU usage; all rows have the same scale', width: 12,
    history: (g) => g.cpu_ratio_history, show: cpu},
  {id: 'rss', title: 'RSS', mean: true, key: (g) => g.resident_bytes, show: bytes, hint: 'resident memory; shared pages count in every process', width: 5.2},
  {id: 'rsshistory', title: 'RSS history', veryWide: true, yields: true, hint: 'RSS; all rows have the same scale', width: 12.8,
    history: (g) => g.resident_bytes_history, show: bytes, parameter: 'resident_bytes'},
  {id: 'pss', title: 'PSS', key: (g) => g.proportional_bytes, show: bytes, wide: true, width: 5.2,
    hint: 'proportional memory: shared pages divided by the number of processes that share them',
    cellHint: (g) => (g.smaps_age_seconds === undefined ? '' : `read up to ${age(g.smaps_age_seconds)} ago`)},
  {id: 'read', title: 'Read/s', mean: true, key: (g) => g.read_bytes_per_second, show: bytes, wide: true, rate: true, hint: 'read from storage', width: 5.2},
  {id: 'write', title: 'Write/s', mean: true, key: (g) => g.write_bytes_per_second, show: bytes, wide: true, rate: true, hint: 'written to storage', width: 5.2},
  {id: 'sent', title: 'Sent/s', mean: true, key: (g) => g.tcp_sent_bytes_per_second, show: bytes, wide: true, rate: true, width: 5.2,
    sources: ['bpf'], hint: 'TCP payload sent'},
  {id: 'received', title: 'Recv/s', mean: true, key: (g) => g.tcp_received_bytes_per_second, show: bytes, wide: true, rate: true, width: 5.2,
    sources: ['bpf'], hint: 'TCP payload received'},
  {id: 'connections', title: 'Conns', key: (g) => g.tcp_connections, show: count, wide: true, width: 5.2,
    sources: ['bpf', 'procfs'], hint: 'TCP connections, without listening sockets', bad: (g) => Boolean(g.expected_ports_not_listening),
    cellHint: (g) => (g.expected_ports_not_listening ? `no process listens on ${g.expected_ports_not_listening.join(' ')}` : '')},
  {id: 'fds', title: 'FDs', key: (g) => g.open_filedesc, show: count, wide: true, hint: 'open file descriptors', width: 4},
  {id: 'fduse', title: 'FD use', key: (g) => g.worst_fd_ratio, show: percent, wide: true, width: 4.8,
    hint: 'open file descriptors of the fullest process, in percent of its limit'},
  {id: 'threads', title: 'Threads', mean: true, key: (g) => g.num_threads, show: (v) => count(Math.round(v)), wide: true, yields: true, width: 5},
  {id: 'switches', title: 'Ctx sw/s', key: (g) => g.context_switches_per_second, show: plain, wide: true, yields: true, rate: true, hint: 'context switches', width: 5.2},
  {id: 'failed', title: 'Failed', key: (g) => g.failed_exits, show: count, wide: true, bad: (g) => g.failed_exits > 0, width: 4.6},
  {id: 'exits', title: 'Exits', key: (g) => g.exits_total, show: count, wide: true, yields: true, hint: 'since the exporter started', width: 4.6},
  {id: 'started', title: 'Started', key: (g) => g.oldest_start_time_seconds, show: (v, g) => shortAge(g.age) + ' ago', wide: true, ofGroup: true,
    hint: 'start of the oldest process', absolute: true, width: 7},
];

// state holds the report, and what is shown of it. Reading the size or the position of an element
// forces a layout, so both are kept here.
const state = {
  groups: [], present: [], means: null, // the groups that are shown, those of the last walk, and those of a selected time
  sockets: '', window: 0, line: spark.timeline([]), highest: {},
  shown: [], // sorted and filtered groups
  top: 0, height: 0, // position and size of the visible part, in pixels
  order: '', sorted: [], // the groups in this order
};
const screens = {wide: matchMedia('(min-width: 701px)'), veryWide: matchMedia('(min-width: 1500px)')};
const spare = []; // rows without a group
let rows = new Map(); // rows of the table by label

// fits reports whether a column has space. isKnown reports whether the exporter has its values.
function fits(c) {
  const size = (c.wide ? 1 : c.veryWide ? 2 : 0) + (c.yields && state.sockets ? 1 : 0);
  return size <= (screens.veryWide.matches ? 2 : screens.wide.matches ? 1 : 0);
}
const isKnown = (c) => (!c.sources || c.sources.includes(state.sockets)) && (c.mean || !state.means);
const isShown = (c) => c.id === 'group' || isKnown(c) && (view.columns ? view.columns.includes(c.id) : fits(c));
const className = (c) => [isShown(c) ? '' : 'off', c.history ? 'history' : ''].filter(Boolean).join(' ');

function title(c) {
  if (c.id === 'cpu') return view.cores ? 'CPU cores' : 'CPU %';
  if (c.history && state.highest[c.id] !== undefined) return `Last ${age(state.line.times.at(-1) - state.line.times[0])}, ≤ ${c.show(state.highest[c.id])}`;
  return c.title;
}

function hint(c) {
  if (c.id === 'failed') return `exits that failed in ${period(state.window)}`;
  if (c.id === 'cpu') return view.cores ? '1 is one core' : '100 % is one core';
  return c.hint || '';
}

function buildHead() {
  columns.forEach((c) => {
    const th = element('th');
    th.scope = 'col';
    th.style.width = `${c.width}em`;
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
    const fitting = columns.filter((c) => c.id !== 'group' && isKnown(c) && fits(c)).map((c) => c.id);
    change({columns: String(chosen) === String(fitting) ? null : chosen});
    arrange();
  });
  label.append(box, c.title);
  return label;
}

// set changes a property of an element if it is different. Writing the same value costs a layout.
const set = (e, name, value) => { if (e[name] !== value) e[name] = value; };

function setAttribute(e, name, value) {
  if (value === null) e.removeAttribute(name);
  else if (e.getAttribute(name) !== value) e.setAttribute(name, value);
}

// updateHead shows the titles, the sorted column and the hidden columns.
function updateHead() {
  [...byId('head').children].forEach((th, i) => {
    const c = columns[i];
    set(th, 'className', className(c));
    set(th.firstChild, 'textContent', title(c));
    set(th.firstChild, 'title', hint(c));
    setAttribute(th, 'aria-sort', c.id !== view.sort ? null : view.descending ? 'descending' : 'ascending');
    const box = byId('choices').querySelector(`[name="${c.id}"]`);
    if (!box) return;
    box.checked = isShown(c);
    box.parentNode.hidden = !isKnown(c);
  });
}

function sortBy(id) {
  change({sort: id, descending: view.sort === id ? !view.descending : id !== 'group'});
  arrange();
}

// isGone reports whether all processes of a group have ended.
const isGone = (g) => g.num_procs === 0;

// sortGroups sorts the groups, unless they are in this order. Unknown values are last in both directions, and
// groups without processes last among equal values.
function sortGroups() {
  const column = columns.find((c) => c.id === view.sort && c.key && isKnown(c)) || columns[2];
  const order = `${column.id} ${view.descending}`;
  if (state.order === order) return;
  const key = column.key, sign = view.descending ? -1 : 1;
  const equal = (a, b) => isGone(a) - isGone(b) || (a.label < b.label ? -1 : 1);
  state.sorted = state.groups.slice().sort((a, b) => {
    const x = key(a), y = key(b);
    if (x === undefined || y === undefined) return (x === undefined) - (y === undefined) || equal(a, b);
    return x === y ? equal(a, b) : x < y ? -sign : sign;
  });
  state.order = order;
}

// arrange sorts, filters and shows the groups, unless another view is open.
export function arrange() {
  if (view.group !== null) return;
  sortGroups();
  const total = state.groups.length;
  state.shown = view.filter ? state.sorted.filter((g) => hasText(g) || search.processOf(g.group)) : state.sorted;
  set(byId('count'), 'textContent', countText(total));
  showEmpty(total);
  updateHead();
  draw();
}

// hasText reports whether the name or a label of a group contains the filter.
const hasText = (g) => g.lower.includes(view.filter.toLowerCase());

const processText = (p) => `PID ${p.pid} ${p.name}`;

// found returns the process because of which the filter shows a group.
const found = (g) => (view.filter && !hasText(g) ? search.processOf(g.group) : undefined);

function countText(total) {
  const number = state.shown.length, ended = state.shown.filter(isGone).length;
  const text = (number === total ? `${total} groups` : `${number} of ${total} groups`) + (ended > 0 ? `, ${ended} without processes` : '') +
    (state.means ? ', means of the selected time' : '');
  const only = number === 1 && found(state.shown[0]), ungrouped = number === 0 && search.processOf('');
  return text + (only ? `: ${processText(only)}` : '') + (ungrouped ? `, and ${processText(ungrouped)} in no group` : '');
}

function showEmpty(total) {
  const empty = byId('empty');
  set(empty, 'hidden', state.shown.length > 0 || total === 0);
  if (empty.hidden) return;
  const clear = element('button', 'Show all groups');
  clear.type = 'button';
  clear.addEventListener('click', () => { setFilter('', true); byId('filter').focus(); });
  const processes = search.isRefused() ? '' : ', and no process of a group has this PID or name';
  update(empty, `No group name or label contains “${view.filter}”${processes}. `, clear);
}

// hasGroup reports whether the filter shows a group, which may not exist any more.
export const hasGroup = (name) => name.toLowerCase().includes(view.filter.toLowerCase()) || state.shown.some((g) => g.group === name);

// setFilter shows the groups whose label or processes contain text.
export function setFilter(text, step) {
  if (byId('filter').value !== text) byId('filter').value = text;
  change({filter: text}, step);
  search.changed();
  if (state.top > 0) byId('scroll').scrollTop = state.top = 0;
  arrange();
  state.changed();
}

// showTip shows the value of the history under the pointer.
function showTip(event) {
  const svg = event.target.closest?.('svg.spark');
  if (!svg) {
    set(byId('tip'), 'hidden', true);
    return;
  }
  const c = columns[svg.parentNode.cellIndex];
  spark.showTip(svg.getBoundingClientRect(), event.clientX, c.history(svg.closest('tr').group) || [], c.show, state.line);
}

// newRow returns a row: its elements, and the text and the class that each cell has.
function newRow() {
  const tr = element('tr');
  const cells = columns.map((c) => {
    const td = element('td');
    let content = td.appendChild(c.id === 'group' ? element('a') : c.history ? spark.newSpark() : document.createTextNode(''));
    if (c.id === 'group') content = content.appendChild(document.createTextNode(''));
    if (c.history) content = content.firstChild;
    tr.append(td);
    return {td, content, text: '', name: '', hint: ''};
  });
  return {tr, cells, index: -1, href: ''};
}

// missing returns the text of an unknown value.
const missing = (c, g) => (c.rate && !state.means && g.cpu_ratio === undefined ? 'measuring' : unknown);

function cellText(c, g) {
  if (c.id === 'group') return found(g) ? `${g.label}  ${processText(found(g))}` : g.label;
  if (c.history) return spark.path(c.history(g), state.highest[c.id], state.line);
  const value = c.key(g);
  return value === undefined ? missing(c, g) : c.show(value, c.ofGroup ? g : undefined);
}

function cellHint(c, g) {
  if (c.cellHint) return c.cellHint(g);
  if (c.absolute) return c.key(g) === undefined ? '' : date(c.key(g));
  if (c.id === 'group') return found(g) ? `${g.label}\n${processText(found(g))}: ${found(g).command}` : g.label;
  return c.id === 'processes' && isUnexpected(g) ? `expected ${expected(g)}` : '';
}

// fillRow shows a group in a row. It writes only what differs.
function fillRow(row, g, index, names) {
  const {tr, cells} = row;
  tr.group = g;
  set(tr, 'className', isGone(g) ? 'gone' : '');
  if (row.index !== index) {
    row.index = index;
    tr.setAttribute('aria-rowindex', index + 2); // the head is the first row
  }
  const href = address({group: g.group});
  if (row.href !== href) row.href = tr.firstChild.firstChild.href = href;
  for (let i = 0; i < columns.length; i++) {
    const c = columns[i], cell = cells[i], text = cellText(c, g), hint = cellHint(c, g);
    let name = names[i];
    if (text !== cell.text) {
      cell.text = text;
      if (c.history) cell.content.setAttribute('d', text);
      else cell.content.data = text;
    }
    if (c.bad && c.bad(g)) name += ' bad';
    else if (c.show && !c.history && (text === unknown || isZero(text))) name += ' zero';
    else if (text === 'measuring') name += ' zero measuring';
    if (name !== cell.name) cell.td.className = cell.name = name;
    if (hint !== cell.hint) cell.td.title = cell.hint = hint;
  }
}

function padding() {
  const tr = element('tr', undefined, 'pad'), td = element('td');
  tr.setAttribute('aria-hidden', 'true');
  td.style.height = '0px';
  tr.append(td);
  return tr;
}

const setPadding = (tr, n) => { if (tr.firstChild.style.height !== `${n * rowHeight}px`) tr.firstChild.style.height = `${n * rowHeight}px`; };

// visible returns the indexes of the first row with elements, and of the one after the last.
function visible() {
  const total = state.shown.length, number = Math.ceil(state.height / rowHeight);
  if (total <= fewGroups) return [0, total];
  const first = Math.max(0, Math.min(Math.floor(state.top / rowHeight), total - number) - overscan);
  return [first, Math.min(total, first + number + 2 * overscan)];
}

// place puts the rows of groups into the table, in order. A row keeps its group. Other groups get free
// rows, if possible the one at their place, because moving a row costs a layout of it.
function place(groups) {
  const body = byId('rows'), kept = new Map(groups.map((g) => [g.label, rows.get(g.label)]));
  const free = new Map(); // rows in the table without a group, by element
  for (const [label, row] of rows) if (!kept.has(label)) free.set(row.tr, row);
  let next = body.firstChild.nextSibling;
  for (const g of groups) {
    let row = kept.get(g.label);
    while (row && row.tr !== next && free.has(next)) next = remove(next, free);
    if (!row) row = free.get(next) || spare.pop() || newRow();
    free.delete(row.tr);
    kept.set(g.label, row);
    if (row.tr === next) next = next.nextSibling;
    else body.insertBefore(row.tr, next);
  }
  while (next !== body.lastChild) next = remove(next, free);
  rows = kept;
}

// remove removes a free row from the table, and returns the element after it.
function remove(tr, free) {
  const next = tr.nextSibling;
  spare.push(free.get(tr));
  free.delete(tr);
  tr.remove();
  return next;
}

// draw fills the table with the rows on the screen, and with padding for the others. The focus stays
// on its group.
function draw() {
  const body = byId('rows'), active = document.activeElement, focused = body.contains(active) ? active.closest('tr').group.label : null;
  const [first, last] = visible(), groups = state.shown.slice(first, last), names = columns.map(className);
  place(groups);
  groups.forEach((g, i) => fillRow(rows.get(g.label), g, first + i, names));
  setPadding(body.firstChild, first);
  setPadding(body.lastChild, state.shown.length - last);
  setAttribute(body.parentNode, 'aria-rowcount', String(state.shown.length + 1));
  if (focused === null) return;
  const link = rows.has(focused) ? linkOf(rows.get(focused)) : byId('scroll');
  if (link !== document.activeElement) link.focus({preventScroll: true});
}

const linkOf = (row) => row.tr.firstChild.firstChild;

// focusRow focuses a group, by its index in the shown groups, and scrolls to it.
export function focusRow(i) {
  const box = byId('scroll'), head = byId('head').offsetHeight;
  if (!state.shown.length) return;
  i = Math.max(0, Math.min(i, state.shown.length - 1));
  if (i * rowHeight < box.scrollTop) box.scrollTop = i * rowHeight;
  const bottom = (i + 1) * rowHeight + head;
  if (bottom > box.scrollTop + box.clientHeight) box.scrollTop = bottom - box.clientHeight;
  state.top = box.scrollTop;
  draw();
  const row = rows.get(state.shown[i].label);
  if (row) linkOf(row).focus({preventScroll: true});
}

function handleKey(event) {
  const steps = {ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15, Home: -1e9, End: 1e9};
  const tr = document.activeElement.closest('#rows tr');
  if (!(event.key in steps) || event.ctrlKey || event.altKey || event.metaKey || !state.shown.length) return;
  event.preventDefault();
  focusRow(tr ? state.shown.indexOf(tr.group) + steps[event.key] : event.key === 'End' ? 1e9 : 0);
}

// query returns the parameters of the request for the groups: the histories that the table shows.
export function query() {
  const shown = columns.filter((c) => c.parameter && isShown(c));
  return shown.length > 0 ? '?history=' + shown.map((c) => c.parameter).join(',') : '';
}

// setLabel sets the label of a group, which identifies its row.
function setLabel(g) {
  const labels = Object.entries(g.labels || {}).map(([k, v]) => `${k}=${v}`).join(' ');
  g.label = labels ? `${g.group}  ${labels}` : g.group;
  g.lower = g.label.toLowerCase();
}

// show shows a report.
export function show(report) {
  Object.assign(state, {
    present: report.groups, sockets: report.exporter.socket_source || '', window: report.failed_exits_seconds || 0,
    line: spark.timeline(report.history_timestamps_seconds || []), highest: {},
  });
  const histories = columns.filter((c) => c.history);
  for (const g of report.groups) {
    setLabel(g);
    if (g.oldest_start_time_seconds) g.age = report.timestamp_seconds - g.oldest_start_time_seconds;
    for (const c of histories) for (const v of c.history(g) || []) if (!(v <= state.highest[c.id])) state.highest[c.id] = v;
  }
  showGroups();
}

// showMeans shows the means of groups in a selected time, or again the last report.
export function showMeans(means) {
  state.means = means && means.map((m) => ({group: m.group, labels: m.labels, ...m.values}));
  state.means?.forEach(setLabel);
  showGroups();
}

function showGroups() {
  Object.assign(state, {groups: state.means || state.present, order: ''});
  arrange();
}

function resize() {
  state.height = 0.8 * innerHeight; // as in page.css
}

// start builds the table. open is called with the group of an activated row, and changed
// after a change of the filter or the unit of CPU usage.
export function start(open, changed) {
  state.changed = changed;
  buildHead();
  byId('rows').append(padding(), padding());
  resize();
  addEventListener('resize', () => { resize(); draw(); });
  for (const screen of Object.values(screens)) screen.addEventListener('change', () => arrange());
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
  byId('rows').addEventListener('mousemove', showTip);
  byId('rows').addEventListener('mouseleave', () => { byId('tip').hidden = true; });
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
    requestAnimationFrame(() => { drawing = false; state.top = byId('scroll').scrollTop; draw(); });
  });
}
