// The page requests the groups every five seconds while it is visible.
import {address, change, read, view} from './view.js';
import {age, byId, clock, element, ofTotal, perSecond, plain, term, unknown} from './format.js';
import * as groupTable from './table.js';
import {sections, summary} from './group.js';
import * as charts from './charts.js';
import * as processes from './processes.js';

const refreshMillis = 5000;
const firstMillis = 1100; // until the first rates
const retryMillis = 2000;
const secondsSince = (timestamp) => Date.now() / 1000 - timestamp;
let timer = 0;
let lastAnswer = 0; // Unix time of the last response

function showMachine(report) {
  const m = report.machine || {}, e = report.exporter;
  const total = report.groups.reduce((n, g) => n + g.num_procs, 0);
  const tiles = [];
  if (m.cpus) tiles.push(term('CPU', m.cpu_ratio === undefined ? 'measuring' :
    `${m.cpu_ratio.toFixed(1)} of ${m.cpus} core${m.cpus === 1 ? '' : 's'}`));
  if (m.memory_bytes) tiles.push(term('Memory', ofTotal(m.memory_used_bytes, m.memory_bytes)));
  if (m.cpus) {
    tiles.push(term('Disk read', m.read_bytes_per_second === undefined ? 'measuring' : perSecond(m.read_bytes_per_second)));
    tiles.push(term('Disk write', m.write_bytes_per_second === undefined ? 'measuring' : perSecond(m.write_bytes_per_second)));
  }
  tiles.push(term('Processes', `${total} in ${report.groups.length} groups`));
  if (report.failed_exits !== undefined) tiles.push(term('Exits', `${report.failed_exits} failed in 5 min`, report.failed_exits > 0));
  byId('machine').replaceChildren(...tiles, ...problems(e));
}

const plural = (n) => `${n} process${n === 1 ? '' : 'es'}`;

// problems returns a tile for each problem of the exporter.
function problems(e) {
  const out = [];
  if (e.scrape_partial) out.push(term('Last walk', 'partial', true));
  if (e.unreadable_procs > 0) out.push(term('Unreadable', plural(e.unreadable_procs), true));
  if (e.unresponsive_processes > 0) out.push(term('Unresponsive', plural(e.unresponsive_processes), true));
  if (e.lost_exit_events_total > 0) out.push(term('Lost exit events', plain(e.lost_exit_events_total), true));
  if (!e.config_last_reload_successful) out.push(term('Configuration', 'last reload failed', true));
  return out;
}

function showExporter(e) {
  byId('exporter').replaceChildren(
    term('Exporter', `${e.version || 'unknown version'}${e.revision ? ' (' + e.revision.slice(0, 12) + ')' : ''}`),
    term('Source', e.source || unknown),
    term('Running for', age(secondsSince(e.process_start_time_seconds))),
    term('Last walk', `${(1000 * e.scrape_duration_seconds).toFixed(1)} ms`),
    term('PSS and USS', e.smaps_budget_seconds > 0 ? `at most ${1000 * e.smaps_budget_seconds} ms per walk` : 'off'),
    term('Configuration loaded', `${age(secondsSince(e.config_last_reload_success_timestamp_seconds))} ago`),
  );
  byId('problem').textContent = e.scrape_success ? '' : `Cannot read processes${e.error ? ': ' + e.error : ''}.`;
}

async function fetchReport(query, path = 'groups') {
  const response = await fetch(`api/v1/${path}${query}`, {cache: 'no-store', signal: AbortSignal.timeout(15000)});
  lastAnswer = Date.now() / 1000;
  if (response.status === 404) return null;
  if (!response.ok) throw new Error(`The exporter responded with status ${response.status} ${response.statusText}.`);
  return response.json();
}

// showHistory shows the charts of the view.
async function showHistory() {
  const query = charts.query().toString();
  const report = await fetchReport('?' + query, 'history');
  if (report && charts.query().toString() === query) charts.show(report);
}

// showGroup shows the open group. It returns false if there are no rates of processes yet.
async function showGroup() {
  const name = view.group;
  const report = await fetchReport('?group=' + encodeURIComponent(name));
  if (view.group !== name) return true;
  byId('group-head').replaceChildren(...(report ? report.groups.flatMap(summary) : [element('p', 'The group does not exist any more.')]));
  byId('group-body').replaceChildren(...(report ? report.groups.flatMap(sections) : []));
  return processes.show(name);
}

// showError shows why there are no new values, and since when.
function showError(err) {
  document.body.classList.add('stale');
  const since = lastAnswer ? ` since ${clock(lastAnswer)}` : '';
  const answered = err.message.startsWith('The exporter');
  byId('problem').textContent = answered ? `${err.message} Retrying.` : `No answer${since}, retrying.`;
}

async function refresh() {
  clearTimeout(timer);
  let next = refreshMillis;
  try {
    const report = await fetchReport('');
    performance.mark('update-begins');
    showMachine(report);
    showExporter(report.exporter);
    groupTable.show(report);
    performance.measure('update', 'update-begins');
    await showHistory();
    const measured = view.group === null ? await processes.showUnmatched() : await showGroup();
    if (!measured) next = firstMillis;
    document.body.classList.remove('stale');
    document.body.dataset.updates = Number(document.body.dataset.updates || 0) + 1;
    if (report.interval_seconds === 0) {
      next = firstMillis;
      byId('count').textContent += ', measuring, 1 s';
    }
  } catch (err) {
    showError(err);
    next = retryMillis;
  }
  schedule(next);
}

function schedule(millis) {
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(refresh, millis);
}

// showView shows what the state of the view says.
function showView() {
  const open = view.group !== null;
  byId('overview').hidden = open;
  byId('group').hidden = byId('group-title').hidden = !open;
  byId('back').href = byId('home').href = address({group: null});
  byId('filter').value = view.filter;
  byId('unit').value = view.cores ? 'cores' : 'percent';
  groupTable.arrange();
  if (lastAnswer) showHistory().catch(showError);
  if (!open) return;
  byId('group-name').textContent = view.group;
  byId('processes').replaceChildren();
  byId('group-body').replaceChildren();
  byId('group-head').replaceChildren(element('p', 'Loading …'));
  showGroup().then((measured) => { if (!measured) schedule(firstMillis); }, showError);
}

function navigate(group) {
  change({group}, true);
  scrollTo(0, 0);
  showView();
}

function handleKey(event) {
  const typing = event.target.closest('input, select, textarea');
  if (event.key === '/' && !typing && view.group === null) {
    event.preventDefault();
    byId('filter').focus();
  } else if (event.key === 'Escape' && view.group !== null) {
    navigate(null);
  } else if (event.key === 'Escape' && view.filter) {
    groupTable.setFilter('');
  }
}

read();
groupTable.start(navigate, charts.redraw);
charts.start((group) => groupTable.setFilter(group, true), () => { showHistory().catch(showError); });
showView();
for (const id of ['back', 'home']) {
  byId(id).addEventListener('click', (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    navigate(null);
  });
}
byId('unmatched').addEventListener('toggle', () => {
  processes.showUnmatched().then((measured) => { if (!measured) schedule(firstMillis); }, showError);
});
document.addEventListener('keydown', handleKey);
addEventListener('popstate', () => { read(); showView(); });
document.addEventListener('visibilitychange', () => { if (document.hidden) clearTimeout(timer); else refresh(); });
refresh();
