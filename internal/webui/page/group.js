// The page of the groups with one name.
import {age, bytes, count, element, exitText, expected, isUnexpected, percent, perSecond, table, term, unknown} from './format.js';
import {cpu} from './table.js';

const known = (value, show) => (value === undefined ? unknown : show(value));
const ruleText = (r) => `${r.position}: ${r.name}${r.line ? ` (line ${r.line})` : ''}`;

function tiles(g) {
  const rate = (v, show) => (v === undefined ? (g.cpu_ratio === undefined ? 'measuring' : unknown) : show(v));
  const dl = element('dl', undefined, 'tiles');
  dl.append(
    term('Processes', (g.num_procs === 0 ? 'none' : count(g.num_procs)) + (isUnexpected(g) ? `, expected ${expected(g)}` : ''), isUnexpected(g)),
    term('CPU', rate(g.cpu_ratio, (v) => cpu(v))),
    term('RSS', known(g.resident_bytes, bytes)),
    term('Read', rate(g.read_bytes_per_second, perSecond)),
    term('Write', rate(g.write_bytes_per_second, perSecond)),
    term('Threads', known(g.num_threads, count)),
  );
  dl.firstChild.classList.toggle('long', isUnexpected(g));
  if (g.tcp_sent_bytes_per_second !== undefined) {
    dl.append(term('Sent', perSecond(g.tcp_sent_bytes_per_second)), term('Received', perSecond(g.tcp_received_bytes_per_second)));
  }
  if (g.tcp_connections !== undefined) dl.append(term('TCP connections', count(g.tcp_connections)));
  if (g.expected_ports_not_listening) dl.append(term('Not listening', g.expected_ports_not_listening.join(' '), true));
  return dl;
}

function limits(g) {
  const lines = [['Open file descriptors', known(g.open_filedesc, count)],
    ['FD use of the fullest process', known(g.worst_fd_ratio, (v) => `${percent(v)} of its limit`)]];
  if (g.expected_min_procs !== undefined) {
    lines.push(['Expected processes', expected(g)], ['Matching processes', count(g.matched_procs)]);
  }
  return table('Limits', ['Limit', 'Value'], lines);
}

function memory(g) {
  const values = [['RSS', g.resident_bytes], ['PSS', g.proportional_bytes], ['USS', g.unique_bytes], ['Swapped', g.swapped_bytes], ['Virtual', g.virtual_bytes]];
  const lines = values.map(([k, v]) => [k, known(v, bytes)]);
  if (g.smaps_age_seconds !== undefined) lines.push(['Maximum age of PSS and USS', age(g.smaps_age_seconds)]);
  return table('Memory', ['Kind', 'Size'], lines);
}

// network returns the tables of the sockets of a group.
function network(g) {
  const tables = [];
  if (g.tcp_connections_by_state) {
    const order = Object.entries(g.tcp_connections_by_state).sort((a, b) => b[1] - a[1]);
    tables.push(table('TCP connections by state', ['State', 'Connections'], order.map(([k, v]) => [k, count(v)])));
  }
  if (g.listening_ports) {
    tables.push(table('Listening ports', ['Port', 'Processes'], g.listening_ports.map((p) => [`${p.protocol}/${p.port}`, count(p.listening_procs)])));
  }
  return tables;
}

const labels = (g) => (g.labels ? [element('h3', Object.entries(g.labels).map(([k, v]) => `${k}=${v}`).join(' '))] : []);

// summary returns the elements of one group that are above its processes.
export function summary(g) {
  return [...labels(g), element('p', g.rule ? `Rule ${ruleText(g.rule)}` : 'No rule of the current configuration created this group.'), tiles(g)];
}

// sections returns the elements of one group that are below its processes.
export function sections(g) {
  const tables = element('div', undefined, 'tables');
  tables.append(limits(g), memory(g), ...network(g));
  if (g.states) tables.append(table('Threads by state', ['State', 'Threads'], Object.entries(g.states).map(([k, v]) => [k, count(v)])));
  if (g.threads_wchan) {
    const order = Object.entries(g.threads_wchan).sort((a, b) => b[1] - a[1]);
    tables.append(table('Threads by wait channel', ['Wait channel', 'Threads'], order.map(([k, v]) => [k, count(v)])));
  }
  if (g.threads) {
    const order = g.threads.sort((a, b) => (b.cpu_ratio || 0) - (a.cpu_ratio || 0)).slice(0, 100);
    tables.append(table('Threads by name', ['Thread name', 'Threads', 'CPU'], order.map((t) => [t.threadname, count(t.thread_count), known(t.cpu_ratio, cpu)])));
  }
  if (g.exits) {
    tables.append(table('Exits since the exporter started', ['Exit', 'Processes'],
      g.exits.map((e) => [exitText(e.reason, e.code), count(e.exits_total)])));
  }
  return [...labels(g), tables];
}
