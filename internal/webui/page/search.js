// The processes that the filter finds, by PID, name or command line.
import {view} from './view.js';
import {request} from './request.js';

const pauseMillis = 300; // after the last change of the filter
const longest = 64; // bytes, of a text that the exporter finds
const state = {text: '', found: new Map(), timer: 0, refused: false, show: null};

const wanted = () => view.filter.trim().toLowerCase();

// processOf returns the process of a group that the filter finds, if any. The name of no group is ''.
export const processOf = (group) => (state.text === wanted() ? state.found.get(group) : undefined);

// update finds the processes. A server that shows no processes gets no other request.
export async function update() {
  const text = wanted();
  if (state.refused || view.group !== null || new TextEncoder().encode(text).length > longest) return;
  const found = new Map();
  if (text) {
    // The first response has at most one process of each group, the second its largest one with the command line.
    const answers = [await request('processes?' + new URLSearchParams({find: text}))];
    state.refused = answers[0].status === 403;
    if (!state.refused) answers.push(await request('processes'));
    if (answers.some((a) => !a.ok)) return;
    const [named, largest] = answers.map((a) => a.report.processes);
    for (const p of largest) if (p.command.toLowerCase().includes(text)) found.set(p.group, p);
    for (const p of named) found.set(p.group ?? '', p);
  }
  if (text !== wanted()) return;
  Object.assign(state, {text, found});
  state.show();
}

// isRefused reports whether the exporter shows no processes to this client.
export const isRefused = () => state.refused;

// changed finds the processes of a new filter, after a pause.
export function changed() {
  clearTimeout(state.timer);
  state.timer = setTimeout(() => update().catch(() => {}), pauseMillis); // updates of the page report errors
}

// start sets what shows the processes.
export function start(show) {
  state.show = show;
}
