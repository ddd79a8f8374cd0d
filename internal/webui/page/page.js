'use strict';

// The page asks for the groups every five seconds while somebody can see it. Names
// come from whoever may start a process, so all text is set as text.

const refreshMillis = 5000;
const rowHeight = 32; // pixels, as in page.css
const overscan = 10;

const unknown = '–';
const byId = (id) => document.getElementById(id);

function scaled(value, units, base) {
  let i = 0;
  while (Math.abs(value) >= base && i < units.length - 1) {
    value /= base;
    i++;
  }
  const digits = i === 0 && Number.isInteger(value) ? 0 : value >= 100 ? 0 : 1;
  return value.toFixed(digits) + units[i];
}

const bytes = (v) => scaled(v, [' B', ' KiB', ' MiB', ' GiB', ' TiB', ' PiB'], 1024);
const plain = (v) => scaled(v, ['', ' k', ' M', ' G'], 1000);
const percent = (v) => (100 * v).toFixed(1) + ' %';
const count = (v) => String(v);

function age(seconds) {
  for (const [unit, size] of [['d', 86400], ['h', 3600], ['min', 60]]) {
    if (seconds >= size) return Math.floor(seconds / size) + ' ' + unit;
  }
  return Math.max(0, Math.floor(seconds)) + ' s';
}

// A column has what to sort by, how to show it, and whether there is room for it
// on a phone.
const columns = [
  {title: 'Group', key: (g) => g.label, text: (g) => g.label},
  {title: 'Processes', key: (g) => g.procs, show: count},
  {title: 'CPU', key: (g) => g.cpu, show: percent, hint: 'of one core'},
  {title: 'Last minutes', spark: true, wide: true},
  {title: 'Resident', key: (g) => g.resident_bytes, show: bytes},
  {title: 'Proportional', key: (g) => g.pss_bytes, show: bytes, wide: true, hint: 'shared pages divided among those who share them'},
  {title: 'Read/s', key: (g) => g.read_bytes, show: bytes, wide: true},
  {title: 'Written/s', key: (g) => g.write_bytes, show: bytes, wide: true},
  {title: 'Files', key: (g) => g.fds, show: count, wide: true, hint: 'open file descriptors'},
  {title: 'Worst limit', key: (g) => g.fd_ratio, show: percent, wide: true, hint: 'open file descriptors of the process next to its limit'},
  {title: 'Threads', key: (g) => g.threads, show: count, wide: true},
  {title: 'Switches/s', key: (g) => g.context_switches, show: plain, wide: true},
  {title: 'Exits', key: (g) => g.exits, show: count, wide: true, hint: 'since the exporter started'},
  {title: 'Oldest', key: (g) => g.age, show: age, wide: true},
];

const state = {groups: [], shown: [], sort: 2, descending: true, filter: '', open: null, focused: null};
const rows = []; // the ones in the table, used again for other groups

function cell(tag, text, className) {
  const e = document.createElement(tag);
  if (text !== undefined) e.textContent = text;
  if (className) e.className = className;
  return e;
}

function buildHead() {
  columns.forEach((c, i) => {
    const th = cell('th', undefined, c.wide ? 'wide' : '');
    th.scope = 'col';
    if (c.spark) {
      th.append(cell('span', c.title));
    } else {
      const button = cell('button', c.title);
      button.type = 'button';
      if (c.hint) button.title = c.hint;
      button.addEventListener('click', () => sortBy(i));
      th.append(button);
    }
    byId('head').append(th);
  });
}

function sortBy(i) {
  state.descending = state.sort === i ? !state.descending : i !== 0;
  state.sort = i;
  arrange();
}

// arrange sorts and filters. What is not known comes last either way.
function arrange() {
  const key = columns[state.sort].key;
  const wanted = state.filter.toLowerCase();
  const sign = state.descending ? -1 : 1;
  state.shown = state.groups.filter((g) => g.label.toLowerCase().includes(wanted));
  state.shown.sort((a, b) => {
    const x = key(a), y = key(b);
    if (x === undefined || y === undefined) {
      return (x === undefined) - (y === undefined) || (a.label < b.label ? -1 : 1);
    }
    return x === y ? (a.label < b.label ? -1 : 1) : x < y ? -sign : sign;
  });
  [...byId('head').children].forEach((th, i) => {
    if (i === state.sort) th.setAttribute('aria-sort', state.descending ? 'descending' : 'ascending');
    else th.removeAttribute('aria-sort');
  });
  const total = state.groups.length;
  byId('count').textContent = state.shown.length === total ? `${total} groups` : `${state.shown.length} of ${total} groups`;
  draw();
}

function spark(values) {
  const most = Math.max(...values, 0.001);
  return values.map((v, i) => `${i ? 'L' : 'M'}${(90 * (i + 60 - values.length) / 59).toFixed(1)} ${(19 - 18 * v / most).toFixed(1)}`).join('');
}

function newRow() {
  const tr = cell('tr');
  columns.forEach((c, i) => {
    const td = cell('td', undefined, c.wide ? 'wide' : '');
    if (i === 0) {
      const button = cell('button');
      button.type = 'button';
      button.addEventListener('click', () => open(tr.group));
      td.append(button);
    } else if (c.spark) {
      const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
      svg.setAttribute('class', 'spark');
      svg.setAttribute('viewBox', '0 0 90 20');
      svg.setAttribute('aria-hidden', 'true');
      svg.append(document.createElementNS('http://www.w3.org/2000/svg', 'path'));
      td.append(svg);
    }
    tr.append(td);
  });
  return tr;
}

function fillRow(tr, g) {
  tr.group = g;
  columns.forEach((c, i) => {
    const td = tr.children[i];
    if (c.spark) {
      td.firstChild.firstChild.setAttribute('d', g.history && g.history.length > 1 ? spark(g.history) : '');
      return;
    }
    const target = i === 0 ? td.firstChild : td;
    const value = c.key(g);
    const text = i === 0 ? value : value === undefined ? unknown : c.show(value);
    if (target.textContent !== text) target.textContent = text;
    if (i === 0) target.title = text;
  });
}

// draw fills the table with the rows that can be seen, and with room in the place
// of the others.
function draw() {
  const box = byId('scroll'), body = byId('rows');
  const first = Math.max(0, Math.min(Math.floor(box.scrollTop / rowHeight) - overscan, state.shown.length));
  const last = Math.min(state.shown.length, first + Math.ceil(box.clientHeight / rowHeight) + 2 * overscan + 20);
  while (rows.length < last - first) rows.push(newRow());
  const visible = rows.slice(0, last - first);
  visible.forEach((tr, i) => fillRow(tr, state.shown[first + i]));
  const pad = (n) => {
    const tr = cell('tr', undefined, 'pad'), td = cell('td');
    tr.setAttribute('aria-hidden', 'true');
    td.colSpan = columns.length;
    td.style.height = n * rowHeight + 'px';
    tr.append(td);
    return tr;
  };
  const wanted = [pad(first), ...visible, pad(state.shown.length - last)];
  const same = body.children.length === wanted.length && visible.every((tr, i) => body.children[i + 1] === tr);
  if (same) {
    body.firstChild.replaceWith(wanted[0]);
    body.lastChild.replaceWith(wanted[wanted.length - 1]);
  } else {
    body.replaceChildren(...wanted);
  }
}

function fact(name, value, bad) {
  const div = cell('div');
  div.append(cell('dt', name), cell('dd', value, bad ? 'bad' : ''));
  return div;
}

function showHealth(report) {
  const e = report.exporter;
  byId('build').textContent = `${e.version}${e.revision ? ' ' + e.revision.slice(0, 12) : ''}`;
  byId('health').replaceChildren(
    fact('Source', e.source || unknown),
    fact('Up for', age((Date.now() - Date.parse(e.start)) / 1000)),
    fact('Last scrape', `${(1000 * e.scrape_seconds).toFixed(1)} ms${e.scrape_partial ? ', cut short' : ''}`, e.scrape_partial),
    fact('Memory shares', e.smaps_budget_seconds > 0 ? `${1000 * e.smaps_budget_seconds} ms a scrape at most` : 'off'),
    fact('Processes', plain(report.groups.reduce((n, g) => n + g.procs, 0))),
    fact('Not readable', String(e.unreadable), e.unreadable > 0),
    fact('Not answering', String(e.blocked), e.blocked > 0),
    fact('Lost events', String(e.lost_events), e.lost_events > 0),
    fact('Configuration', e.config_reloaded ? `loaded ${age((Date.now() - Date.parse(e.config_time)) / 1000)} ago` : 'last reload failed', !e.config_reloaded),
  );
  byId('problem').textContent = e.scrape_success ? '' : `Processes cannot be read${e.error ? ': ' + e.error : ''}.`;
}

function take(report) {
  const now = Date.parse(report.time);
  for (const g of report.groups) {
    const labels = Object.entries(g.labels || {}).map(([k, v]) => `${k}=${v}`).join(' ');
    g.label = labels ? `${g.name}  ${labels}` : g.name;
    if (g.oldest_start) g.age = (now - Date.parse(g.oldest_start)) / 1000;
  }
  state.groups = report.groups;
  showHealth(report);
  arrange();
}

async function ask(query) {
  const response = await fetch('api/v1/groups' + query, {cache: 'no-store'});
  if (response.status === 404) return null;
  if (!response.ok) throw new Error(`the exporter says ${response.status} ${response.statusText}`);
  return response.json();
}

let timer = 0;

async function refresh() {
  clearTimeout(timer);
  try {
    const report = await ask('');
    performance.mark('update-begins');
    take(report);
    performance.measure('update', 'update-begins');
    if (state.open) await showDetail();
    document.body.dataset.updates = Number(document.body.dataset.updates || 0) + 1;
  } catch (err) {
    byId('problem').textContent = `No news: ${err.message}. The table shows what was last known.`;
  }
  if (!document.hidden) timer = setTimeout(refresh, refreshMillis);
}

function table(head, lines) {
  const t = cell('table'), body = cell('tbody'), top = cell('thead'), tr = cell('tr');
  for (const h of head) {
    const th = cell('th', h);
    th.scope = 'col';
    tr.append(th);
  }
  top.append(tr);
  for (const line of lines) {
    const row = cell('tr');
    for (const text of line) row.append(cell('td', text));
    body.append(row);
  }
  t.append(top, body);
  return t;
}

async function showDetail() {
  const name = state.open;
  const report = await ask('?group=' + encodeURIComponent(name));
  if (state.open !== name) return;
  const body = byId('detail-body');
  if (!report) {
    body.replaceChildren(cell('p', 'The group is gone.'));
    return;
  }
  const parts = [];
  for (const g of report.groups) {
    if (g.labels) parts.push(cell('h3', Object.entries(g.labels).map(([k, v]) => `${k}=${v}`).join(' ')));
    parts.push(cell('p', g.rule ? `Rule ${g.rule}` : 'No rule of the configuration in force made this group.'));
    if (g.expect) parts.push(cell('p', `${g.procs} processes, expected ${g.expect.min} to ${g.expect.max ?? 'any number'}`));
    const memory = [['Resident', g.resident_bytes], ['Proportional', g.pss_bytes], ['Unique', g.uss_bytes], ['Swapped', g.swap_bytes]];
    const limit = g.fd_ratio === undefined ? unknown : `${percent(g.fd_ratio)} of its limit`;
    parts.push(table(['Open files', ''], [['All', g.fds === undefined ? unknown : count(g.fds)], ['The process next to its limit', limit]]));
    const lines = memory.map(([k, v]) => [k, v === undefined ? unknown : bytes(v)]);
    if (g.smaps_age_seconds !== undefined) lines.push(['Shares were read', `${age(g.smaps_age_seconds)} ago at most`]);
    parts.push(table(['Memory', ''], lines));
    if (g.states) parts.push(table(['State', 'Threads'], Object.entries(g.states).map(([k, v]) => [k, String(v)])));
    if (g.thread_names) {
      const order = g.thread_names.sort((a, b) => (b.cpu || 0) - (a.cpu || 0)).slice(0, 100);
      parts.push(table(['Thread', 'Count', 'CPU'], order.map((t) => [t.name, String(t.count), t.cpu === undefined ? unknown : percent(t.cpu)])));
    }
    if (g.wchans) parts.push(table(['Sleeps in', 'Threads'], Object.entries(g.wchans).sort((a, b) => b[1] - a[1]).map(([k, v]) => [k, String(v)])));
    if (g.exit_codes) parts.push(table(['Ended by', 'Code', 'Processes'], g.exit_codes.map((e) => [e.reason, e.code, String(e.count)])));
  }
  body.replaceChildren(...parts);
}

async function open(g) {
  state.open = g.name;
  byId('detail-name').textContent = g.name;
  byId('detail-body').replaceChildren(cell('p', 'Looking …'));
  byId('detail').showModal();
  try {
    await showDetail();
  } catch (err) {
    byId('detail-body').replaceChildren(cell('p', `No news: ${err.message}.`));
  }
}

buildHead();
byId('close').addEventListener('click', () => byId('detail').close());
byId('detail').addEventListener('close', () => { state.open = null; });
byId('filter').addEventListener('input', (event) => {
  state.filter = event.target.value;
  byId('scroll').scrollTop = 0;
  arrange();
});
let drawing = false;
byId('scroll').addEventListener('scroll', () => {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => { drawing = false; draw(); });
});
document.addEventListener('visibilitychange', () => { if (document.hidden) clearTimeout(timer); else refresh(); });
refresh();
