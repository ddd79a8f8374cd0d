// The page requests the groups every five seconds while it is visible.
import {address, change, read, view} from './view.js';
import {age, byId, clock, element, expected, isUnexpected, ofTotal, period, perSecond, plain, term, unknown, update} from './format.js';
import {Unreachable, last, request} from './request.js';
import * as groupTable from './table.js';
import * as search from './search.js';
import {sections, summary} from './group.js';
import * as charts from './charts.js';
import * as processes from './processes.js';
import * as touch from './touch.js';

const refreshMillis = 5000;
const firstMillis = 1100; // until the first rates
const retryMillis = 2000;
const button = {pressed: false, waiting: []}; // of the mouse, or a touch
const secondsSince = (timestamp) => Date.now() / 1000 - timestamp;
let timer = 0;
let firstBegin; // start of the exporter that responded first, as Unix time

function showMachine(report) {
  const m = report.machine || {}, e = report.exporter;
  const total = report.groups.reduce((n, g) => n + g.num_procs, 0);
  const tiles = [];
  if (m.cpus) tiles.push(term('CPU', m.cpu_ratio === undefined ? 'measuring' :
    `${m.cpu_ratio.toFixed(1)} of ${m.cpus} core${m.cpus === 1 ? '' : 's'}`));
  if (m.memory_bytes) tiles.push(term('Memory used', ofTotal(m.memory_used_bytes, m.memory_bytes)));
  if (m.cpus) {
    const rate = (v) => (v === undefined ? 'measuring' : perSecond(v)), hint = 'by all block devices; charts and table show what processes cause';
    tiles.push(term('Devices read', rate(m.read_bytes_per_second), false, hint), term('Devices written', rate(m.write_bytes_per_second), false, hint));
  }
  tiles.push(term('Processes', `${total} in ${report.groups.length} groups`));
  tiles.at(-1).className = 'middle';
  if (report.failed_exits !== undefined) {
    tiles.push(term('Exits', failedLink(report), report.failed_exits > 0));
    tiles.at(-1).className = 'middle';
  }
  update(byId('machine'), ...tiles, ...unexpected(report.groups), ...problems(e));
}

// failedLink returns the number of failures, which sorts the table by them.
function failedLink(report) {
  const to = {group: null, sort: 'failed', descending: true};
  const seconds = Math.round(report.failed_exits_seconds); // at most five minutes
  const link = element('a', `${report.failed_exits} failed in ${seconds < 300 ? `${seconds} s` : period(seconds)}`);
  link.href = address(to);
  link.title = 'Sort the groups by failed exits';
  link.addEventListener('click', (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    change(to, true);
    showView();
  });
  return link;
}

// unexpected returns a tile about the groups with fewer or more processes than expected.
function unexpected(groups) {
  const [first, ...others] = groups.filter(isUnexpected);
  if (!first) return [];
  const more = others.length > 0 ? `; ${others.length} more` : '';
  const tile = term('Expected', `${first.group} has ${first.matched_procs}, ${expected(first)}${more}`, true);
  tile.className = 'long';
  return [tile];
}

const plural = (n) => `${n} process${n === 1 ? '' : 'es'}`;

// problems returns a tile for each problem of the exporter.
function problems(e) {
  const out = [];
  if (e.scrape_incomplete) out.push(term('Last walk', 'incomplete', true));
  if (e.unreadable_procs > 0) out.push(term('Unreadable', plural(e.unreadable_procs), true));
  if (e.unresponsive_processes > 0) out.push(term('Unresponsive', plural(e.unresponsive_processes), true));
  if (e.lost_exit_events_total > 0) out.push(term('Lost exit events', plain(e.lost_exit_events_total), true));
  if (!e.config_last_reload_successful) out.push(term('Configuration', 'last reload failed', true));
  return out;
}

// smapsAge returns the age of the oldest PSS value.
function smapsAge(groups) {
  const oldest = groups.reduce((max, g) => Math.max(max, g.smaps_age_seconds ?? -1), -1);
  return oldest < 0 ? '' : `, values up to ${age(oldest)} old`;
}

function showExporter(report) {
  const e = report.exporter;
  update(byId('exporter'),
    term('Exporter', `${e.version || 'unknown version'}${e.revision ? ' (' + e.revision.slice(0, 12) + ')' : ''}`),
    term('Source', e.source || unknown),
    ...(e.socket_source ? [term('Sockets', e.socket_source)] : []),
    term('Running for', age(secondsSince(e.process_start_time_seconds))),
    term('Last walk', `${(1000 * e.scrape_duration_seconds).toFixed(1)} ms`),
    term('PSS and USS', e.smaps_budget_seconds > 0 ? `at most ${1000 * e.smaps_budget_seconds} ms per walk${smapsAge(report.groups)}` : 'off'),
    term('Configuration loaded', `${age(secondsSince(e.config_last_reload_success_timestamp_seconds))} ago`),
  );
  byId('problem').textContent = e.scrape_success ? '' : `Cannot read processes${e.error ? ': ' + e.error : ''}.`;
}

// showRestart says that the exporter has restarted while the page was open.
function showRestart(e) {
  const begin = e.process_start_time_seconds;
  firstBegin ??= begin;
  byId('notice').textContent = begin > firstBegin + 1 ? `The exporter restarted at ${clock(begin)}; earlier values are gone.` : '';
}

// released waits until no button of the mouse is pressed: an update could move what was pressed, and the click
// would be lost. A drag over a chart does not wait, because charts do not change during it.
function released() {
  return new Promise((resolve) => {
    if (button.pressed) button.waiting.push(resolve);
    else resolve();
  });
}

function watchButton() {
  const end = () => {
    button.pressed = false;
    const waiting = button.waiting.splice(0);
    setTimeout(() => waiting.forEach((resolve) => resolve())); // after the click
  };
  addEventListener('pointerdown', (event) => { button.pressed = event.button === 0 && event.target.className !== 'u-over'; });
  addEventListener('pointermove', (event) => { if (button.pressed && event.buttons === 0) end(); }); // released outside the window
  for (const type of ['pointerup', 'pointercancel', 'blur']) addEventListener(type, end);
}

// A BadStatus is the error of a response with an error status.
class BadStatus extends Error {}

async function fetchReport(query, path = 'groups') {
  const {ok, status, statusText, report} = await request(path + query);
  if (!ok && status !== 404) throw new BadStatus(`The exporter responded with status ${status} ${statusText}.`);
  return ok ? report : null;
}

// showHistory shows the charts of the view.
async function showHistory() {
  (await fetchHistory())();
}

// fetchHistory requests the history, and returns a function that shows it.
async function fetchHistory() {
  const query = charts.query().toString();
  const report = await fetchReport('?' + query, 'history');
  return () => { if (report && charts.query().toString() === query) charts.show(report); };
}

// showGroup shows the open group. It returns false if there are no rates of processes yet.
async function showGroup() {
  const name = view.group;
  // The requests wait for the same walk. Their values are shown together, with the times of the walks.
  const [report, showCharts, list] = await Promise.all([
    fetchReport('?group=' + encodeURIComponent(name)), fetchHistory(), processes.fetchOf(name)]);
  await released();
  if (view.group !== name) return true;
  showCharts();
  if (report) processes.setSource(report.exporter.source);
  const head = report ? [...report.groups.flatMap(summary), element('p', `At ${clock(report.timestamp_seconds)}`, 'value')] :
    [element('p', 'The group does not exist any more.')];
  update(byId('group-head'), ...head);
  update(byId('group-body'), ...(report ? report.groups.flatMap(sections) : []));
  return processes.showReport(name, list);
}

// showError shows why there are no new values, and since when.
function showError(err) {
  document.body.classList.add('stale');
  let text = `${err.message} Retrying.`;
  if (err instanceof Unreachable) {
    text = `No answer${last.response ? ` since ${clock(last.response)}` : ''}, retrying.`;
  } else if (!(err instanceof BadStatus)) {
    console.error(err);
    text = `The page has an error: ${text}`;
  }
  byId('problem').textContent = text;
}

async function refresh() {
  clearTimeout(timer);
  let next = refreshMillis;
  try {
    const query = groupTable.query(), charted = view.group === null ? fetchHistory() : null;
    charted?.catch(() => {}); // the request of the groups fails too
    const report = await fetchReport(query);
    await released();
    performance.mark('update-begins');
    showMachine(report);
    showExporter(report);
    groupTable.show(report);
    if (view.filter) search.changed();
    performance.measure('update', 'update-begins');
    showRestart(report.exporter);
    if (charted) (await charted)();
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
  if (!open) {
    groupTable.arrange();
    if (view.filter) search.changed();
  }
  if (last.response && !open) showHistory().catch(showError);
  if (!open) return;
  byId('group-name').textContent = view.group;
  for (const id of ['processes', 'ended', 'group-body']) byId(id).replaceChildren();
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
  } else if (event.key === 'ArrowDown' && event.target === document.body && view.group === null) {
    event.preventDefault();
    groupTable.focusRow(0);
  } else if (event.key === 'Escape' && view.group !== null) {
    navigate(null);
  } else if (event.key === 'Escape' && view.filter) {
    groupTable.setFilter('');
  }
}

read();
watchButton();
groupTable.start(navigate, charts.redraw);
search.start(() => { released().then(groupTable.arrange); });
charts.start((group) => groupTable.setFilter(group, true), navigate, () => { showHistory().catch(showError); });
touch.start(byId('plots'));
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
