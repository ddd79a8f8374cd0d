// Text of values, and construction of elements. Any user can choose process names, so the
// page sets text with textContent only.

export const unknown = '–';
export const byId = (id) => document.getElementById(id);

// scaled returns a value with a unit, and with decimals if their number is given. It has at most three digits
// before the decimals, which fit into a column: 1,010 KiB are 1.0 MiB.
function scaled(value, units, base, decimals) {
  let i = 0;
  while (Math.abs(value) >= 999.5 && i < units.length - 1) {
    value /= base;
    i++;
  }
  const digits = i === 0 && Number.isInteger(value) ? 0 : value >= 100 ? 0 : 1;
  return value.toFixed(decimals ?? digits) + units[i];
}

const byteUnits = [' B', ' KiB', ' MiB', ' GiB', ' TiB', ' PiB'];

export const bytes = (v, digits) => scaled(v, byteUnits, 1024, digits);
export const perSecond = (v) => bytes(v) + '/s';
export const plain = (v, digits) => scaled(v, ['', ' k', ' M', ' G'], 1000, digits);
export const percent = (v, digits = 1) => (100 * v).toFixed(digits) + ' %';
export const count = (v) => String(v);
export const cores = (v, digits) => v.toFixed(digits ?? (v < 10 ? 2 : 1));

// formatter returns a function that formats Unix times. The first call makes the format, which is expensive.
function formatter(options) {
  let format;
  return (seconds) => (format ??= new Intl.DateTimeFormat([], {...options, hourCycle: 'h23'})).format(1000 * seconds);
}

const time = {hour: '2-digit', minute: '2-digit', second: '2-digit'};
export const clock = formatter(time);
export const date = formatter({year: 'numeric', month: 'numeric', day: 'numeric', ...time});

// moment returns a time, with its date if it is not today.
export const moment = (seconds) => (new Date(1000 * seconds).toDateString() === new Date().toDateString() ? clock(seconds) : date(seconds));

// ofTotal returns two sizes with the unit of the second, such as 9.2 of 23.5 GiB.
export function ofTotal(used, total) {
  let i = 0;
  while (total >= 1024 && i < byteUnits.length - 1) {
    used /= 1024;
    total /= 1024;
    i++;
  }
  return `${used.toFixed(1)} of ${total.toFixed(1)}${byteUnits[i]}`;
}

export function age(seconds) {
  const days = Math.floor(seconds / 86400), hours = Math.floor(seconds / 3600) % 24, minutes = Math.floor(seconds / 60) % 60;
  if (days > 0) return `${days} d${hours > 0 ? ` ${hours} h` : ''}`;
  if (hours > 0) return `${hours} h${minutes > 0 ? ` ${minutes} min` : ''}`;
  return minutes > 0 ? `${minutes} min` : `${Math.max(0, Math.floor(seconds))} s`;
}

// shortAge returns an age in its largest unit.
export const shortAge = (seconds) => age(seconds).split(' ').slice(0, 2).join(' ');

// period returns a time in minutes and seconds.
export function period(seconds) {
  const all = Math.round(seconds), minutes = Math.floor(all / 60), rest = all % 60;
  if (minutes === 0) return `${rest} s`;
  return `${minutes} min${rest > 0 ? ` ${rest} s` : ''}`;
}

// expected returns the numbers of processes that the rule of a group expects.
export function expected(g) {
  const {expected_min_procs: min, expected_max_procs: max} = g;
  return max === undefined ? `at least ${min}` : min === max ? `exactly ${min}` : `${min} to ${max}`;
}

// isUnexpected reports whether a group has fewer or more processes than its rule expects.
export const isUnexpected = (g) => g.expected_min_procs !== undefined &&
  (g.matched_procs < g.expected_min_procs || g.matched_procs > (g.expected_max_procs ?? Infinity));

export const isZero = (text) => /^0(\.0+)?( |$)/.test(text);

export function element(tag, text, className) {
  const e = document.createElement(tag);
  if (text !== undefined) e.textContent = text;
  if (className) e.className = className;
  return e;
}

// update makes the children of parent equal to nodes. It changes elements in place, with their listeners, so that
// an update keeps the focus, the selection and the scroll positions, and a click that has begun.
export function update(parent, ...nodes) {
  nodes.forEach((node, i) => {
    const old = parent.childNodes[i];
    if (!old) parent.append(node);
    else if (old.nodeName !== node.nodeName) old.replaceWith(node);
    else if (old.nodeType === Node.TEXT_NODE) setData(old, node.data);
    else updateElement(old, node);
  });
  while (parent.childNodes.length > nodes.length) parent.lastChild.remove();
}

const setData = (text, data) => { if (text.data !== data) text.data = data; };

function updateElement(old, node) {
  for (const {name} of [...old.attributes]) if (!node.hasAttribute(name)) old.removeAttribute(name);
  for (const {name, value} of node.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  update(old, ...node.childNodes);
}

// exitText returns how a process ended, as the function exitText of the exporter.
export const exitText = (reason, code) => (reason === 'exited' ? `exited with status ${code}` : `killed by ${code}${reason === 'dumped' ? ', core dumped' : ''}`);

// term returns a tile. hint is its title.
export function term(name, value, bad, hint) {
  const div = element('div'), dd = element('dd', undefined, bad ? 'bad' : '');
  dd.append(value);
  div.title = hint || dd.textContent;
  div.append(element('dt', name), dd);
  return div;
}

// table returns a table with a caption. The first column and columns in text are aligned left.
export function table(caption, head, lines, text = []) {
  const t = element('table'), body = element('tbody'), top = element('thead'), tr = element('tr');
  const align = (i) => (text.includes(i) ? 'text' : '');
  head.forEach((h, i) => {
    const th = element('th', h, align(i));
    th.scope = 'col';
    tr.append(th);
  });
  top.append(tr);
  for (const line of lines) {
    const row = element('tr');
    line.forEach((value, i) => row.append(element('td', value, `${align(i)}${i > 0 && isZero(value) ? ' zero' : ''}`)));
    body.append(row);
  }
  t.append(element('caption', caption), top, body);
  return t;
}
