// The state of the page that its URL contains: what is shown, not the values.

export const view = {group: null, sort: 'cpu', descending: true, filter: '', columns: null, cores: false, processes: '-cpu_ratio', from: null, to: null};

// read sets the state from the URL.
export function read() {
  const q = new URLSearchParams(location.search);
  const sort = q.get('sort') || '-cpu';
  view.group = q.get('group');
  view.descending = sort.startsWith('-');
  view.sort = sort.replace(/^-/, '');
  view.filter = q.get('filter') || '';
  view.columns = q.has('columns') ? q.get('columns').split(',') : null;
  view.cores = q.get('cpu') === 'cores';
  view.processes = q.get('processes') || '-cpu_ratio';
  const from = Number(q.get('from')), to = Number(q.get('to'));
  [view.from, view.to] = from > 0 && to > from ? [from, to] : [null, null];
}

// address returns the URL of a state that differs from the current one by changes.
export function address(changes = {}) {
  const v = {...view, ...changes}, q = new URLSearchParams();
  const sort = (v.descending ? '-' : '') + v.sort;
  if (v.group !== null) q.set('group', v.group);
  if (v.filter) q.set('filter', v.filter);
  if (sort !== '-cpu') q.set('sort', sort);
  if (v.columns) q.set('columns', v.columns.join(','));
  if (v.cores) q.set('cpu', 'cores');
  if (v.group !== null && v.processes !== '-cpu_ratio') q.set('processes', v.processes);
  if (v.from !== null) {
    q.set('from', v.from);
    q.set('to', v.to);
  }
  const text = q.toString();
  return text ? '?' + text : './';
}

// change changes the state and the URL. Back undoes a change only if it is a step.
export function change(changes, step) {
  const url = address(changes);
  Object.assign(view, changes);
  if (step) history.pushState(null, '', url);
  else history.replaceState(null, '', url);
}
