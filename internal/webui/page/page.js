'use strict';

// The page requests the groups every five seconds while it is visible. Any user
// can choose process names, so the page sets text with textContent only.

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

// A column has a sort key, a format and, for wide screens only, the flag wide.
const columns = [
  {title: 'Group', key: (g) => g.label, text: (g) => g.label},
  {title: 'Processes', key: (g) => g.num_procs, show: count},
  {title: 'CPU', key: (g) => g.cpu_ratio, show: percent, hint: 'percent of one core'},
  {title: 'Last 5 minutes', spark: true, wide: true},
  {title: 'Resident', key: (g) => g.resident_bytes, show: bytes},
  {title: 'Proportional', key: (g) => g.proportional_bytes, show: bytes, wide: true, hint: 'shared pages divided by the number of processes that share them'},
  {title: 'Read/s', key: (g) => g.read_bytes_per_second, show: bytes, wide: true},
  {title: 'Written/s', key: (g) => g.write_bytes_per_second, show: bytes, wide: true},
  {title: 'Open files', key: (g) => g.open_filedesc, show: count, wide: true, hint: 'open file descriptors'},
  {title: 'File limit', key: (g) => g.worst_fd_ratio, show: percent, wide: true, hint: 'open file descriptors in percent of the limit, in the process closest to its limit'},
  {title: 'Threads', key: (g) => g.num_threads, show: count, wide: true},
  {title: 'Switches/s', key: (g) => g.context_switches_per_second, show: plain, wide: true},
  {title: 'Exits', key: (g) => g.exits_total, show: count, wide: true, hint: 'since the exporter started'},
  {title: 'Oldest', key: (g) => g.age, show: age, wide: true},
];

const state = {groups: [], shown: [], sort: 2, descending: true, filter: '', open: null, focused: null};
const rows = []; // table rows, reused for other groups

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

// arrange sorts and filters. Unknown values are last in both directions.
function arrange() {
  const key = columns[state.sort].key;
  const text = state.filter.toLowerCase();
  const sign = state.descending ? -1 : 1;
  state.shown = state.groups.filter((g) => g.label.toLowerCase().includes(text));
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
  const max = Math.max(...values, 0.001);
  return values.map((v, i) => `${i ? 'L' : 'M'}${(90 * (i + 60 - values.length) / 59).toFixed(1)} ${(19 - 18 * v / max).toFixed(1)}`).join('');
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
      td.firstChild.firstChild.setAttribute('d', g.cpu_ratio_history && g.cpu_ratio_history.length > 1 ? spark(g.cpu_ratio_history) : '');
      return;
    }
    const target = i === 0 ? td.firstChild : td;
    const value = c.key(g);
    const text = i === 0 ? value : value === undefined ? unknown : c.show(value);
    if (target.textContent !== text) target.textContent = text;
    if (i === 0) target.title = text;
  });
}

// draw fills the table with the visible rows, and with padding for the others.
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
  const content = [pad(first), ...visible, pad(state.shown.length - last)];
  const same = body.children.length === content.length && visible.every((tr, i) => body.children[i + 1] === tr);
  if (same) {
    body.firstChild.replaceWith(content[0]);
    body.lastChild.replaceWith(content[content.length - 1]);
  } else {
    body.replaceChildren(...content);
  }
}

function fact(name, value, bad) {
  const div = cell('div');
  div.append(cell('dt', name), cell('dd', value, bad ? 'bad' : ''));
  return div;
}

const secondsSince = (timestamp) => Date.now() / 1000 - timestamp;

function showHealth(report) {
  const e = report.exporter;
  byId('build').textContent = `Version ${e.version || 'unknown'}${e.revision ? ' (' + e.revision.slice(0, 12) + ')' : ''}`;
  byId('health').replaceChildren(
    fact('Source', e.source || unknown),
    fact('Uptime', age(secondsSince(e.process_start_time_seconds))),
    fact('Last scrape', `${(1000 * e.scrape_duration_seconds).toFixed(1)} ms${e.scrape_partial ? ', partial' : ''}`, e.scrape_partial),
    fact('Proportional memory', e.smaps_budget_seconds > 0 ? `at most ${1000 * e.smaps_budget_seconds} ms per scrape` : 'off'),
    fact('Processes', plain(report.groups.reduce((n, g) => n + g.num_procs, 0))),
    fact('Unreadable', String(e.unreadable_procs), e.unreadable_procs > 0),
    fact('Unresponsive', String(e.unresponsive_processes), e.unresponsive_processes > 0),
    fact('Lost exit events', String(e.lost_exit_events_total), e.lost_exit_events_total > 0),
    fact('Configuration', e.config_last_reload_successful ? `loaded ${age(secondsSince(e.config_last_reload_success_timestamp_seconds))} ago` : 'last reload failed', !e.config_last_reload_successful),
  );
  byId('problem').textContent = e.scrape_success ? '' : `Cannot read processes${e.error ? ': ' + e.error : ''}.`;
}

function showReport(report) {
  for (const g of report.groups) {
    const labels = Object.entries(g.labels || {}).map(([k, v]) => `${k}=${v}`).join(' ');
    g.label = labels ? `${g.group}  ${labels}` : g.group;
    if (g.oldest_start_time_seconds) g.age = report.timestamp_seconds - g.oldest_start_time_seconds;
  }
  state.groups = report.groups;
  showHealth(report);
  arrange();
}

async function fetchReport(query) {
  const response = await fetch('api/v1/groups' + query, {cache: 'no-store'});
  if (response.status === 404) return null;
  if (!response.ok) throw new Error(`status ${response.status} ${response.statusText}`);
  return response.json();
}

let timer = 0;

async function refresh() {
  clearTimeout(timer);
  try {
    const report = await fetchReport('');
    performance.mark('update-begins');
    showReport(report);
    performance.measure('update', 'update-begins');
    if (state.open) await showDetail();
    document.body.dataset.updates = Number(document.body.dataset.updates || 0) + 1;
  } catch (err) {
    byId('problem').textContent = `Update failed: ${err.message}. The table shows the previous values.`;
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

const ruleText = (r) => `${r.position}: ${r.name}${r.line ? ` (line ${r.line})` : ''}`;

async function showDetail() {
  const name = state.open;
  const report = await fetchReport('?group=' + encodeURIComponent(name));
  if (state.open !== name) return;
  const body = byId('detail-body');
  if (!report) {
    body.replaceChildren(cell('p', 'The group does not exist any more.'));
    return;
  }
  const parts = [];
  for (const g of report.groups) {
    if (g.labels) parts.push(cell('h3', Object.entries(g.labels).map(([k, v]) => `${k}=${v}`).join(' ')));
    parts.push(cell('p', g.rule ? `Rule ${ruleText(g.rule)}` : 'No rule of the current configuration created this group.'));
    if (g.expected_min_procs !== undefined) {
      parts.push(cell('p', `${g.matched_procs} matching processes, expected ${g.expected_min_procs} to ${g.expected_max_procs ?? 'any number'}`));
    }
    const limit = g.worst_fd_ratio === undefined ? unknown : `${percent(g.worst_fd_ratio)} of its limit`;
    const files = g.open_filedesc === undefined ? unknown : count(g.open_filedesc);
    parts.push(table(['Open files', ''], [['All', files], ['Process closest to its limit', limit]]));
    const memory = [['Resident', g.resident_bytes], ['Proportional', g.proportional_bytes], ['Unique', g.unique_bytes],
      ['Swapped', g.swapped_bytes], ['Virtual', g.virtual_bytes]];
    const lines = memory.map(([k, v]) => [k, v === undefined ? unknown : bytes(v)]);
    if (g.smaps_age_seconds !== undefined) lines.push(['Maximum age of proportional and unique', age(g.smaps_age_seconds)]);
    parts.push(table(['Memory', ''], lines));
    if (g.states) parts.push(table(['State', 'Threads'], Object.entries(g.states).map(([k, v]) => [k, String(v)])));
    if (g.threads) {
      const order = g.threads.sort((a, b) => (b.cpu_ratio || 0) - (a.cpu_ratio || 0)).slice(0, 100);
      const cpu = (t) => t.cpu_ratio === undefined ? unknown : percent(t.cpu_ratio);
      parts.push(table(['Thread name', 'Count', 'CPU'], order.map((t) => [t.threadname, String(t.thread_count), cpu(t)])));
    }
    if (g.threads_wchan) {
      const order = Object.entries(g.threads_wchan).sort((a, b) => b[1] - a[1]);
      parts.push(table(['Wait channel', 'Threads'], order.map(([k, v]) => [k, String(v)])));
    }
    if (g.exits) parts.push(table(['Exit reason', 'Code', 'Processes'], g.exits.map((e) => [e.reason, e.code, String(e.exits_total)])));
  }
  body.replaceChildren(...parts);
}

async function open(g) {
  state.open = g.group;
  byId('detail-name').textContent = g.group;
  byId('detail-body').replaceChildren(cell('p', 'Loading …'));
  byId('detail').showModal();
  try {
    await showDetail();
  } catch (err) {
    byId('detail-body').replaceChildren(cell('p', `Request failed: ${err.message}.`));
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
