// Text of values, and construction of elements. Any user can choose process names, so the
// page sets text with textContent only.

export const unknown = '–';
export const byId = (id) => document.getElementById(id);

function scaled(value, units, base) {
  let i = 0;
  while (Math.abs(value) >= base && i < units.length - 1) {
    value /= base;
    i++;
  }
  const digits = i === 0 && Number.isInteger(value) ? 0 : value >= 100 ? 0 : 1;
  return value.toFixed(digits) + units[i];
}

const byteUnits = [' B', ' KiB', ' MiB', ' GiB', ' TiB', ' PiB'];

export const bytes = (v) => scaled(v, byteUnits, 1024);
export const perSecond = (v) => bytes(v) + '/s';
export const plain = (v) => scaled(v, ['', ' k', ' M', ' G'], 1000);
export const percent = (v) => (100 * v).toFixed(1) + ' %';
export const count = (v) => String(v);
export const cores = (v) => v.toFixed(v < 10 ? 2 : 1);
export const clock = (seconds) => new Date(1000 * seconds).toLocaleTimeString([], {hour12: false});
export const date = (seconds) => new Date(1000 * seconds).toLocaleString([], {hour12: false});

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
  for (const [unit, size] of [['d', 86400], ['h', 3600], ['min', 60]]) {
    if (seconds >= size) return Math.floor(seconds / size) + ' ' + unit;
  }
  return Math.max(0, Math.floor(seconds)) + ' s';
}

export const isZero = (text) => /^0(\.0+)?( |$)/.test(text);

export function element(tag, text, className) {
  const e = document.createElement(tag);
  if (text !== undefined) e.textContent = text;
  if (className) e.className = className;
  return e;
}

export function term(name, value, bad) {
  const div = element('div');
  div.append(element('dt', name), element('dd', value, bad ? 'bad' : ''));
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
