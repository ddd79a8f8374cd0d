// The running and the ended processes of the open group, and the processes in no group.
import {change, view} from './view.js';
import {age, byId, bytes, clock, count, date, element, exitText, isZero, moment, period, table, unknown, update} from './format.js';
import {request} from './request.js';
import {cpu} from './table.js';
import {recordsAlways} from './charts.js';

let source = ''; // of the exporter

// setSource sets the source of the exporter, which says why there are no ended processes.
export const setSource = (text) => { source = text; };

// commandOf returns the command line of a process, after its name if that is not the base name of
// the program, as the function HasOwnName of the exporter.
function commandOf(p) {
  const program = p.command.split(' ')[0].split('/').pop().replace(/^-/, '').replace(/:$/, '');
  const own = p.name && !p.command.startsWith('[') && program.slice(0, 15) !== p.name;
  return own ? `(${p.name}) ${p.command}` : p.command;
}

const states = {R: 'running', S: 'sleeping', D: 'waiting, not interruptible', Z: 'zombie', T: 'stopped', t: 'stopped by a tracer', I: 'idle'};

// A column has the name of the field that sorts the processes, if any.
const columns = [
  {title: 'PID', sort: 'pid', text: (p) => count(p.pid)},
  {title: 'User', text: (p) => p.user ?? unknown, left: true, wide: true},
  {title: 'Started', sort: 'start_time_seconds', wide: true, text: (p, r) => `${age(r.timestamp_seconds - p.start_time_seconds)} ago`, hint: (p) => date(p.start_time_seconds)},
  {title: 'State', text: (p) => p.state, left: true, wide: true, hint: (p) => states[p.state] || ''},
  {title: 'Threads', text: (p) => (p.num_threads === undefined ? unknown : count(p.num_threads)), wide: true},
  {title: 'CPU', sort: 'cpu_ratio', value: (p) => p.cpu_ratio, show: (v) => cpu(v), rate: true},
  {title: 'RSS', sort: 'resident_bytes', value: (p) => p.resident_bytes, show: bytes},
  {title: 'Read/s', sort: 'read_bytes_per_second', value: (p) => p.read_bytes_per_second, show: bytes, rate: true, wide: true},
  {title: 'Write/s', sort: 'write_bytes_per_second', value: (p) => p.write_bytes_per_second, show: bytes, rate: true, wide: true},
  {title: 'Command', text: commandOf, left: true, hint: (p) => p.command},
];

function textOf(c, p, report) {
  if (c.text) return c.text(p, report);
  const v = c.value(p);
  if (v !== undefined) return c.show(v);
  return c.rate && (report.interval_seconds === 0 || p.cpu_ratio === undefined) ? 'measuring' : unknown;
}

function head(resort) {
  const tr = element('tr');
  for (const c of columns) {
    const th = element('th', c.sort ? undefined : c.title, `${c.left ? 'text' : ''}${c.wide ? ' wide' : ''}`.trim());
    th.scope = 'col';
    if (c.sort) {
      const button = element('button', c.title);
      button.type = 'button';
      button.addEventListener('click', () => {
        change({processes: view.processes === '-' + c.sort ? c.sort : '-' + c.sort});
        resort();
      });
      th.append(button);
      if (view.processes.replace(/^-/, '') === c.sort) th.setAttribute('aria-sort', view.processes.startsWith('-') ? 'descending' : 'ascending');
    }
    tr.append(th);
  }
  return tr;
}

function running(report, resort) {
  const t = element('table', undefined, 'wide-table'), top = element('thead'), body = element('tbody');
  const shown = report.processes.length;
  const number = shown < report.num_procs ? `${shown} of ${report.num_procs}` : shown;
  t.append(element('caption', `Processes, ${number}, at ${clock(report.timestamp_seconds)}`), top, body);
  top.append(head(resort));
  for (const p of report.processes) {
    const tr = element('tr');
    for (const c of columns) {
      const text = textOf(c, p, report);
      const td = element('td', text, `${c.left ? 'text' : ''}${c.wide ? ' wide' : ''}${c.title === 'Command' ? ' command' : ''}${!c.left && isZero(text) ? ' zero' : ''}`.trim());
      if (c.hint) td.title = c.hint(p);
      if (c.title === 'Command') td.dataset.more = more(p, report);
      tr.append(td);
    }
    body.append(tr);
  }
  return scrollable(t, 'Processes');
}

// more returns the values of the columns that narrow screens do not show.
const more = (p, report) => columns.filter((c) => c.wide).map((c) => `${c.title} ${textOf(c, p, report)}`).join(', ');

function scrollable(t, label) {
  const box = element('div', undefined, 'scrollable');
  box.tabIndex = 0;
  box.setAttribute('role', 'region');
  box.setAttribute('aria-label', label);
  box.append(t);
  return box;
}

const endText = (p) => exitText(p.reason, p.code) + (p.oom_killed ? ' (OOM killer)' : '');

const lifetime = (seconds) => (seconds < 0.1 ? '< 0.1 s' : seconds < 10 ? `${seconds.toFixed(1)} s` : seconds < 3600 ? period(seconds) : age(seconds));

// most precedes a value that is at most as high: that of the walk that found the exit.
const most = (p) => (p.approximate ? '≤ ' : '');

function ended(report) {
  const t = table('Ended processes', ['Ended', 'PID', 'Name', 'Ran for', 'Exit'], report.ended.map((p) =>
    [most(p) + moment(p.end_time_seconds), count(p.pid), p.name, most(p) + lifetime(p.end_time_seconds - p.start_time_seconds), endText(p)]), [2, 4]);
  [...t.tBodies[0].rows].forEach((tr, i) => {
    if (report.ended[i].failed) tr.lastChild.className = 'text bad';
  });
  return scrollable(t, 'Ended processes');
}

// noneEnded says why there are no ended processes of a group.
function noneEnded() {
  if (source !== 'bpf') return 'Ended processes: only the source bpf reports them (--source=bpf).';
  return `Ended processes: none in the recorded time.${recordsAlways() ? '' : ' Set --web.retention to record without a viewer.'}`;
}

// fetchProcesses returns the selected processes, or the reason why there are none.
async function fetchProcesses(selection) {
  const q = new URLSearchParams({...selection, sort: view.processes});
  const {ok, report, text} = await request('processes?' + q);
  return ok ? report : {problem: text};
}

// show shows the processes of a group. It returns false if there are no rates yet.
export async function show(name) {
  const report = await fetchOf(name);
  return view.group !== name || showReport(name, report);
}

// fetchOf returns the processes of a group.
export const fetchOf = (name) => fetchProcesses({group: name});

// showReport shows the processes of the open group. It returns false if there are no rates yet.
export function showReport(name, report) {
  update(byId('ended'), ...(report.problem ? [] : [report.ended ? ended(report) : element('p', noneEnded())]));
  return fill(byId('processes'), report, () => show(name));
}

// showUnmatched shows the processes in no group, if they are open. It returns false if there are no rates yet.
export async function showUnmatched() {
  if (view.group !== null || !byId('unmatched').open) return true;
  return fill(byId('unmatched-body'), await fetchProcesses({unmatched: true}), showUnmatched);
}

// fill shows the processes of a report in a box. It returns false if there are no rates yet.
function fill(box, report, again) {
  if (report.problem) {
    update(box, element('p', report.problem));
    return true;
  }
  if (report.num_procs === 0 && view.group !== null) {
    update(box, element('p', 'The group has no processes.'));
    return true;
  }
  update(box, running(report, () => { again().catch(() => {}); }), ...suggestion(report));
  return report.interval_seconds > 0;
}

// suggestion returns rules for processes in no group.
function suggestion(report) {
  if (!report.suggested_rules) return [];
  return [element('p', 'Rules for these processes, to append to process_names:'), element('pre', report.suggested_rules)];
}
