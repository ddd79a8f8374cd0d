// Charts of the recent usage, stacked by group, with marks for events. uplot.js defines uPlot.
import {byId, bytes, clock, cores, element, percent, plain, unknown} from './format.js';
import * as events from './events.js';
import {meanOf, withGaps} from './times.js';
import {showMeans} from './table.js';
import {change, view} from './view.js';

const colors = ['#3b7dd8', '#d0681f', '#3a9e5f', '#c7489a', '#8a63d2', '#9a7d0a', '#1f9aa8', '#d0453b', '#6b7f1e', '#7a5c48', '#4a55b5', '#b06fa8',
  '#c79a1b', '#2f6f63', '#d97f9b', '#5f93b0'];
const otherColor = '#8a939c';
const dark = matchMedia('(prefers-color-scheme: dark)');
const touches = matchMedia('(hover: none)'); // a touch moves the cursor, and selects no group
const maxColors = 500; // above which groups that are not shown lose their color
const height = 136; // pixels, as in page.css
const cpu = (v, digits) => (view.cores ? cores(v, digits) : percent(v, digits));

// A metric is shown for all groups, or for the open group only. An optional one is shown if the report has it.
const metrics = [
  {id: 'cpu_ratio', title: 'CPU', show: cpu},
  {id: 'resident_bytes', title: 'Memory (RSS)', show: bytes, binary: true},
  {id: 'read_bytes_per_second', title: 'Disk read per second', show: bytes, binary: true},
  {id: 'write_bytes_per_second', title: 'Disk write per second', show: bytes, binary: true},
  {id: 'num_threads', title: 'Threads', show: plain, ofGroup: true},
  {id: 'tcp_received_bytes_per_second', title: 'TCP received per second', show: bytes, binary: true, ofGroup: true, optional: true},
  {id: 'tcp_sent_bytes_per_second', title: 'TCP sent per second', show: bytes, binary: true, ofGroup: true, optional: true},
];

const charts = new Map(); // by metric
const colorOf = new Map(); // by group
const state = {original: null, report: null, drawn: '', filter: null, refresh: null};
const mouse = {at: null, drags: false, missed: false}; // position; whether it drags over a chart, and has delayed an update
let inks = new Map(); // by custom property

// assignColors gives each group of the charts the color that fewest groups have. A group keeps its color until
// an older group with this color is in the same chart. names has the names of the groups by chart.
function assignColors(names) {
  const near = new Map(); // names in the same charts, by name
  for (const list of names) {
    for (const name of list) near.set(name, new Set([...near.get(name) || [], ...list]));
  }
  const takenBy = (name) => new Set([...near.get(name)].filter((other) => other !== name).map((other) => colorOf.get(other)));
  for (const name of [...colorOf.keys()].reverse()) { // the newest first
    if (!near.has(name) && colorOf.size > maxColors || near.has(name) && takenBy(name).has(colorOf.get(name))) colorOf.delete(name);
  }
  for (const name of [...near.keys()].filter((name) => !colorOf.has(name)).sort()) {
    const taken = takenBy(name), first = hashOf(name) % colors.length, known = [...colorOf.values()];
    const users = (c) => (taken.has(c) ? 1e6 : 0) + known.filter((other) => other === c).length;
    const turned = [...colors.slice(first), ...colors.slice(0, first)];
    colorOf.set(name, turned.reduce((best, c) => (users(c) < users(best) ? c : best)));
  }
}

// hashOf returns a number of a name, so that most groups have the same color in the next visit.
const hashOf = (name) => [...name].reduce((h, c) => (31 * h + c.codePointAt(0)) >>> 0, 7);

// colorsOf returns the colors of the series of a chart.
function colorsOf(series) {
  const used = new Set();
  return series.map((s) => {
    let own = s.others ? otherColor : colorOf.get(nameOf(s));
    if (used.has(own)) own = colors.find((c) => !used.has(c)) || own; // the charts have more groups than colors
    used.add(own);
    return own;
  });
}

const nameOf = (s) => (s.others ? `${s.others} other group${s.others === 1 ? '' : 's'}` : [s.group, ...Object.entries(s.labels || {}).map(([k, v]) => `${k}=${v}`)].join(' '));

// stacked returns the sums of each series and those below it, null in gaps. The first series is at the bottom.
function stacked(series, {timestamps_seconds: times, missing}) {
  let below = times.map((t, i) => (missing.has(i) ? null : 0));
  return series.map((s) => {
    below = below.map((v, i) => (v === null ? null : v + (s.values[i] ?? 0)));
    return below;
  });
}

// inkOf returns the color of a custom property, which a canvas cannot resolve.
function inkOf(name) {
  if (!inks.has(name)) {
    const probe = byId('ink');
    probe.style.color = `var(${name})`;
    inks.set(name, getComputedStyle(probe).color);
  }
  return inks.get(name);
}

const axis = () => ({stroke: inkOf('--faint'), grid: {stroke: inkOf('--line'), width: 1}, ticks: {show: false}, font: '12px system-ui, sans-serif'});

// drawEvents draws the marks of events, and says if there are no values.
function drawEvents(u, chart) {
  events.drawMarks(u, events.shown(state.report), inkOf);
  if (chart.known) return;
  const {ctx, bbox} = u, scale = devicePixelRatio || 1;
  ctx.save();
  Object.assign(ctx, {font: `${13 * scale}px system-ui, sans-serif`, textAlign: 'center', fillStyle: inkOf('--faint')});
  ctx.fillText('No data in this time', bbox.left + bbox.width / 2, bbox.top + bbox.height / 2);
  ctx.restore();
}

// indexOf returns the index of the point under the cursor, or undefined.
function indexOf({cursor}) {
  return cursor.left >= 0 ? cursor.idx ?? undefined : undefined;
}

// showMoment shows the time under the cursor and the events near it.
function showMoment(u) {
  const i = indexOf(u), times = state.report.timestamps_seconds;
  if (i === undefined) {
    byId('moment').textContent = 'Drag over a chart to zoom.' + (view.group === null && !touches.matches ? ' Click on a color to filter the table by its group.' : '');
    return;
  }
  const at = times[i], near = Math.max(3, (times.at(-1) - times[0]) / 100);
  const list = events.shown(state.report).filter((e) => Math.abs(e.timestamp_seconds - at) <= near);
  const shown = list.slice(0, 3).map(events.describe).join('; ');
  byId('moment').textContent = `${clock(at)}  ${shown}${list.length > 3 ? `; ${list.length - 3} more` : ''}`;
}

// showValues shows the values under the cursor. Without a cursor, it shows the means of a selected range,
// or the last values.
function showValues(chart, i) {
  const means = i === undefined && view.from !== null;
  const valueOf = means ? (values) => meanOf(values, state.report, view.from, view.to) : (values) => values[i ?? values.length - 1];
  const textOf = (v) => (v === null || v === undefined ? unknown : chart.metric.show(v));
  chart.series.forEach((s, k) => {
    chart.values[k].textContent = textOf(valueOf(s.values));
  });
  const zero = state.report.timestamps_seconds.map((t, k) => (state.report.missing.has(k) ? null : 0));
  chart.total.textContent = chart.known ? `${means ? 'mean ' : ''}${textOf(valueOf(chart.sums.at(-1) || zero))}` : 'no data';
}

// itemAt returns the series under the cursor.
function itemAt(chart) {
  const idx = indexOf(chart.plot);
  if (idx === undefined) return undefined;
  const y = chart.plot.posToVal(chart.plot.cursor.top, 'y');
  return chart.series.find((s, k) => chart.sums[k][idx] >= y);
}

const filterBy = (s) => { if (s && s.group && view.group === null) state.filter(s.group); };

// legendItem returns an item of a legend. A button filters by the series that the item has.
function legendItem(tag) {
  const item = {box: element('li'), swatch: element('span', '', 'swatch'), name: element(tag, '', 'name'), value: element('span', '', 'value')};
  if (tag === 'button') {
    item.name.type = 'button';
    item.name.addEventListener('click', () => filterBy(item.series));
  }
  item.box.append(item.swatch, item.name, item.value);
  return item;
}

// legend shows the series of a chart. An update keeps the items of series that remain, with their focus.
function legend(chart) {
  const old = chart.items;
  chart.items = new Map(chart.series.map((s, i) => {
    const tag = view.group === null && s.group ? 'button' : 'span', key = JSON.stringify([tag, s.group, s.labels, s.others]);
    const item = old.get(key) || legendItem(tag);
    item.series = s;
    item.name.textContent = nameOf(s);
    if (tag === 'button') item.name.title = `Filter the table by ${s.group}`;
    item.swatch.style.background = chart.colors[i];
    return [key, item];
  }));
  const items = [...chart.items.values()];
  chart.values = items.map((item) => item.value);
  arrange(chart.legend, items.map((item) => item.box));
}

// arrange makes boxes the children of list. It does not move the box that has the focus or is pressed, which would
// lose the focus and the click.
function arrange(list, boxes) {
  for (const box of [...list.children]) if (!boxes.includes(box)) box.remove();
  const at = Math.max(0, boxes.findIndex((box) => box.matches(':active, :focus-within')));
  if (boxes.length > 0 && boxes[at].parentNode !== list) list.append(boxes[at]);
  boxes[at]?.before(...boxes.slice(0, at));
  boxes[at]?.after(...boxes.slice(at + 1));
}

function selected(u) {
  if (u.select.width < 4) return;
  const from = Math.floor(u.posToVal(u.select.left, 'x')), to = Math.ceil(u.posToVal(u.select.left + u.select.width, 'x'));
  u.setSelect({left: 0, top: 0, width: 0, height: 0}, false);
  zoom(from, to);
}

function zoom(from, to) {
  change({from, to}, true);
  state.refresh();
}

function options(chart, left, top) {
  return {
    width: chart.box.clientWidth || 300,
    height,
    padding: [8, 6, 0, 0],
    legend: {show: false},
    cursor: {left, top, sync: {key: 'charts'}, drag: {x: true, y: false, setScale: false}, points: {show: false}, y: false},
    scales: {y: {range: (u, min, max) => [0, max > 0 ? max * 1.05 : 1]}},
    axes: [
      {...axis(), size: 26, space: 90, values: timeLabels},
      {...axis(), size: 74, space: 36, incrs: chart.metric.binary ? binarySteps : undefined, values: (u, splits) => labels(chart.metric, splits)},
    ],
    series: [{}, ...chart.colors.map((c) => ({stroke: c, fill: c, width: 1, points: {show: false}})).reverse()],
    hooks: {
      draw: [(u) => drawEvents(u, chart)],
      setSelect: [selected],
      setCursor: [(u) => { showMoment(u); showValues(chart, indexOf(u)); }],
    },
  };
}

// timeLabels returns the labels of the time axis, without one that does not fit at its end.
function timeLabels(u, splits) {
  const end = u.bbox.width / (devicePixelRatio || 1) - 20; // pixels
  return splits.map((t) => (u.valToPos(t, 'x') > end ? '' : clock(t)));
}

// labels returns the labels of an axis, with as many decimals as all of them need.
function labels(metric, splits) {
  const exact = splits.map((v) => parseFloat(metric.show(v, 4)));
  for (let digits = 0; ; digits++) {
    const texts = splits.map((v) => metric.show(v, digits));
    if (digits === 4 || texts.every((text, i) => parseFloat(text) === exact[i])) return texts;
  }
}

// Steps of an axis of bytes: powers of 2, so that labels are round.
const binarySteps = Array.from({length: 50}, (_, i) => 2 ** i);

function newChart(metric) {
  const figure = element('figure'), caption = element('figcaption'), box = element('div', undefined, 'plot'), list = element('ul', undefined, 'legend');
  const total = element('span', '', 'value');
  caption.append(metric.title, total);
  box.setAttribute('role', 'img');
  box.setAttribute('aria-label', `${metric.title} over time; the list has the values`);
  figure.append(caption, box, list);
  return {metric, figure, box, total, legend: list, key: '', series: [], items: new Map(), values: [], plot: null};
}

// read sets the series of a chart.
function read(chart) {
  const all = state.report.series.filter((s) => s.metric === chart.metric.id);
  chart.series = all.filter((s) => s.values.some((v) => v > 0));
  chart.known = all.some((s) => s.values.some((v) => v !== null));
}

function draw(chart) {
  const times = state.report.timestamps_seconds;
  chart.sums = stacked(chart.series, state.report);
  chart.colors = colorsOf(chart.series);
  const data = [times, ...chart.sums.slice().reverse()];
  const key = JSON.stringify([chart.series.map(nameOf), chart.colors, view.group, dark.matches]);
  if (chart.plot && chart.key === key) {
    chart.plot.setData(data);
  } else {
    const {left, top} = chart.plot?.cursor || {left: -10, top: -10};
    if (chart.plot) chart.plot.destroy();
    legend(chart);
    chart.plot = new uPlot(options(chart, left, top), data, chart.box);
    chart.plot.over.addEventListener('click', () => { if (!touches.matches) filterBy(itemAt(chart)); });
    chart.key = key;
  }
}

// pointed returns the chart under the mouse, and the position in it.
function pointed(plots) {
  for (const plot of mouse.at ? plots : []) {
    const box = plot.over.getBoundingClientRect(), left = mouse.at.x - box.left, top = mouse.at.y - box.top;
    if (left >= 0 && left < box.width && top >= 0 && top < box.height) return {plot, left, top};
  }
  return {plot: plots[0], left: -10, top: -10};
}

// follow sets the cursor of the charts after an update, which can move or replace a chart under the mouse
// without an event. On a touch screen the cursor stays in its place.
function follow(current) {
  const plots = current.map((c) => c.plot);
  if (plots.includes(null) || mouse.drags) return;
  for (const plot of plots) plot.syncRect(true);
  const {plot, left, top} = touches.matches ? {plot: plots[0], ...plots[0].cursor} : pointed(plots);
  plot.setCursor({left, top}, true, true);
}

// rangeText returns the time of the charts. Only the charts show the past.
function rangeText(report, zoomed) {
  const times = report.timestamps_seconds;
  if (times.length > 1) {
    const below = view.group === null ? 'The table shows the means of this time.' : 'The rest of the page shows present values.';
    return `${clock(times[0])} to ${clock(times.at(-1))}${zoomed ? `. ${below}` : ''}`;
  }
  if (zoomed) return 'There are no values in this time.';
  return `Charts begin after two walks.${report.records_always ? '' : ' Set --web.retention to keep values without a viewer.'}`;
}

// show shows a report of the history, unless it is shown.
export function show(report) {
  if (mouse.drags) {
    mouse.missed = true;
    return;
  }
  const times = report.timestamps_seconds, ready = times.length > 1;
  const drawn = JSON.stringify([times[0], times.at(-1), times.length, report.events.length, report.records_always, view.group, view.filter, view.from, view.to, view.cores, dark.matches]);
  if (drawn === state.drawn) return;
  Object.assign(state, {original: report, report: withGaps(report), drawn});
  if (view.group === null) showMeans(view.from === null ? null : report.means || []);
  const zoomed = view.from !== null;
  byId('unzoom').hidden = !zoomed;
  byId('unzoom').textContent = `Show the last ${Math.round(report.retention_seconds / 60)} minutes`;
  byId('range').textContent = rangeText(report, zoomed);
  byId('plots').hidden = !ready;
  byId('plots').className = view.group === null ? '' : 'of-group';
  events.show(report);
  const isShown = (m) => (!m.ofGroup || view.group !== null) && (!m.optional || report.series.some((s) => s.metric === m.id));
  const shown = ready ? metrics.filter(isShown) : [];
  for (const [id, chart] of charts) { // a hidden chart would follow the cursor with old times
    if (chart.plot && !shown.some((m) => m.id === id)) {
      chart.plot.destroy();
      chart.plot = null;
    }
  }
  if (!ready) return;
  for (const m of shown) if (!charts.has(m.id)) charts.set(m.id, newChart(m));
  const current = shown.map((m) => charts.get(m.id)), figures = current.map((c) => c.figure);
  if (figures.length !== byId('plots').children.length || figures.some((f, i) => byId('plots').children[i] !== f)) byId('plots').replaceChildren(...figures);
  current.forEach(read);
  assignColors(current.map((c) => c.series.filter((s) => !s.others).map(nameOf)));
  current.forEach(draw);
  queueMicrotask(() => follow(current)); // after the microtasks of uPlot, which draw the new points
}

// redraw shows the same report with another filter or unit of CPU usage.
export function redraw() {
  if (!state.original) return;
  charts.get('cpu_ratio')?.plot?.redraw(false, true);
  show(state.original);
}

// recordsAlways returns whether the exporter records without a viewer.
export const recordsAlways = () => state.report?.records_always === true;

// query returns the parameters of the request for the history.
export function query() {
  const q = new URLSearchParams();
  if (view.group !== null) q.set('group', view.group);
  if (view.from !== null) {
    q.set('from', view.from);
    q.set('to', view.to);
  }
  return q;
}

// start sets what a click on a group and on that of an event does, and what shows the range of the view.
export function start(filter, open, refresh) {
  Object.assign(state, {filter, refresh});
  events.start(open);
  byId('unzoom').addEventListener('click', () => zoom(null, null));
  new ResizeObserver(() => {
    for (const {plot, box} of charts.values()) if (plot && box.clientWidth) plot.setSize({width: box.clientWidth, height});
  }).observe(byId('plots'));
  dark.addEventListener('change', () => {
    inks = new Map();
    if (state.original) show(state.original);
  });
  byId('events').addEventListener('toggle', () => { if (state.report) events.show(state.report); });
  watchMouse();
}

// watchMouse keeps the position of the mouse. During a drag there are no updates: they could replace the chart.
function watchMouse() {
  const end = () => {
    const {missed} = mouse;
    Object.assign(mouse, {drags: false, missed: false});
    if (missed) state.refresh();
  };
  document.addEventListener('mousemove', (event) => {
    mouse.at = {x: event.clientX, y: event.clientY};
    if (mouse.drags && event.buttons === 0) end();
  });
  document.documentElement.addEventListener('mouseleave', () => { mouse.at = null; });
  byId('plots').addEventListener('mousedown', (event) => { mouse.drags = event.button === 0 && event.target.className === 'u-over'; });
  addEventListener('mouseup', end); // after the listener of uPlot, which is at the document
}
