// The recent past on the page: gaps between walks, events, and the values of a selected time.
import assert from 'node:assert/strict';

const groups = ['alpha', 'beta', 'gamma'];

// madeUp serves made-up groups and a made-up history. now is the time of the last walk.
async function madeUp(page, now, history, sparkTimes = [now - 5, now]) {
  await page.route('**/api/v1/groups*', async (route) => {
    const url = new URL(route.request().url());
    url.search = ''; // the exporter has no made-up group
    const report = await (await route.fetch({url: url.href})).json();
    await route.fulfill({json: {...report, timestamp_seconds: now, history_timestamps_seconds: sparkTimes,
      groups: groups.map((group, i) => ({group, num_procs: 1, cpu_ratio: 1 + i, cpu_ratio_history: sparkTimes.map(() => 1 + i), resident_bytes: 1 << 20,
        num_threads: 1, open_filedesc: 77}))}});
  });
  await page.route('**/api/v1/history*', async (route) => {
    const report = await (await route.fetch()).json();
    await route.fulfill({json: {...report, timestamps_seconds: [now - 5, now], series: [], events: [], ...history(new URL(route.request().url()).searchParams)}});
  });
}

const table = (page, body) => page.$$eval(`${body} tr:not(.pad)`, (rows) => rows.map((tr) => [...tr.cells].filter((td) => td.offsetWidth > 0).map((td) => td.textContent).join('|')));

// gaps checks where points are missing, and that charts and sparklines have no line there.
async function gaps({visit, open, eventually, leave}) {
  const page = await visit(), now = Math.floor(Date.now() / 1000), times = [100, 95, 90, 85, 80, 20, 15, 10, 5, 0].map((ago) => now - ago);
  await madeUp(page, now, () => ({timestamps_seconds: times, series: [{metric: 'cpu_ratio', group: 'alpha', values: times.map(() => 1)}]}), times);
  await open(page);
  for (const [steps, want] of [[[5, 5, 590, 5, 5], [3]], [[15, 15, 15, 15, 5, 5, 5, 5], []], [[5, 5, 5, 15, 15, 15], []], [[5, 900], [2]],
    [[5, 5, 300, 300, 5, 5], [3, 4]], [[60, 60, 60], []], [[60], []], [[5, 10, 5, 5], []]]) {
    const got = await page.evaluate(async (steps) => {
      const {gaps} = await import('./times.js');
      return [...gaps(steps.reduce((times, step) => [...times, times.at(-1) + step], [0]))];
    }, steps);
    assert.deepEqual(got, want, `gaps of steps ${steps}`);
  }
  assert.equal(await page.evaluate(async () => {
    const {meanOf} = await import('./times.js');
    return meanOf([9, 1, null, 2], {timestamps_seconds: [0, 10, 25, 40], missing: new Set([2])}, 5, 40);
  }), (5 * 1 + 30 * 2) / 35, 'a point counts for the time since the point before it');
  await eventually(async () => assert.deepEqual(await page.$eval('#plots canvas', (canvas) => {
    const copy = Object.assign(document.createElement('canvas'), {width: canvas.width, height: canvas.height}).getContext('2d', {willReadFrequently: true});
    copy.drawImage(canvas, 0, 0);
    return [0.1, 0.5, 0.9].map((part) => {
      const left = 74 * devicePixelRatio, x = Math.round(left + part * (canvas.width - left));
      const [red, green, blue] = copy.getImageData(x, canvas.height / 2, 1, 1).data;
      return Math.max(red, green, blue) - Math.min(red, green, blue) > 40; // a color, not gray
    });
  }), [true, false, true], 'colors before, in and after a gap'));
  const path = await page.$eval('#rows tr:not(.pad) svg.spark path', (p) => p.getAttribute('d'));
  assert.match(path, /^M0 200.*L120 200ZM480 200.*L600 200Z$/, 'a sparkline with a gap');
  assert.match(await page.$eval('#head th.history', (th) => th.textContent), /^Last 1 min/, 'the time of 10 points');
  const box = await page.locator('#rows tr:not(.pad) svg.spark').first().boundingBox();
  await page.mouse.move(box.x + box.width * 0.18, box.y + 5);
  const at = await page.evaluate(async (t) => (await import('./format.js')).clock(t), now - 80);
  await eventually(async () => assert.match(await page.$eval('#tip:not([hidden])', (e) => e.textContent), new RegExp(`^${at} `)));
  await page.mouse.move(box.x + box.width / 2, box.y + 5);
  await eventually(async () => assert.ok(await page.$('#tip[hidden]'), 'no value in a gap'));
  assert.deepEqual(page.complaints, []);
  await leave(page);
}

// events checks that the counts of all events are shown, failures before others, and only those of the groups in
// the table.
async function events({visit, open, eventually, text, leave}) {
  const page = await visit(), now = Math.floor(Date.now() / 1000);
  const event = (kind, group, ago, more) => ({timestamp_seconds: now - ago, kind, group, count: 1, ...more});
  const list = [event('oom_kill', 'alpha', 50), event('failure', 'beta', 40, {reason: 'exited', code: '3', count: 2}), event('reload', undefined, 35),
    {timestamp_seconds: now - 30, kind: 'start', count: 450, others: 120, approximate: true},
    ...Array.from({length: 150}, (_, i) => event('start', i % 2 ? 'alpha' : 'gamma', 20, {approximate: true}))];
  await madeUp(page, now, (q) => ({events: list.filter((e) => !q.get('group') || e.group === q.get('group') || e.others)}));
  await open(page);
  const summary = (wanted) => eventually(async () => assert.equal(await text(page, '#events-count'), wanted));
  await summary('Events, 273; red: 2 failed exits; red line: 1 OOM kill');
  await page.click('#events summary');
  const rows = async () => (await table(page, '#events-body tbody')).map((row) => row.replace(/[0-9]{2}:[0-9]{2}:[0-9]{2}/, 'T'));
  await eventually(async () => assert.equal((await rows()).length, 101));
  const shown = await rows();
  assert.match(shown[0], /^≤ T[|](alpha|gamma)[|]started[|]1$/);
  assert.deepEqual(shown.slice(-4), ['T|–|configuration reloaded|1', 'T|beta|exited with status 3|2', 'T|alpha|killed by the OOM killer|1', '–|and 173 more|started|503']);
  assert.match(await text(page, '#events-body caption'), /^Newest 100 of 273; ≤: /);
  await page.fill('#filter', 'BETA');
  await summary('Events of the groups in the table, 1; red: 2 failed exits');
  assert.deepEqual(await rows(), ['T|beta|exited with status 3|2', '–|and 120 more of unknown groups|started|450']);
  await page.click('#events-body a');
  await page.waitForSelector('#group-title:not([hidden])');
  assert.equal(await text(page, '#group-name'), 'beta');
  await summary('Events, 1; red: 2 failed exits');
  assert.deepEqual(page.complaints, []);
  await leave(page);
}

// exits checks the texts of exits and the width of their table on a phone.
async function exits({visit, open, eventually, leave}) {
  const page = await visit({viewport: {width: 390, height: 800}}), now = Math.floor(Date.now() / 1000);
  const exit = (kind, reason, code, ago) => ({timestamp_seconds: now - ago, kind, group: 'a-service-with-a-long-name', reason, code, count: 1234, approximate: true});
  await madeUp(page, now, () => ({events: [exit('failure', 'exited', '_other', 1), exit('failure', 'killed', '32', 2), exit('failure', 'dumped', 'SIGSEGV', 3),
    exit('exit', 'exited', '0', 4)]}));
  await open(page);
  await page.click('#events summary');
  await eventually(async () => assert.deepEqual(await page.$$eval('#events-body tbody tr', (rows) => rows.map((tr) => tr.cells[2].textContent)),
    ['exited with status _other', 'killed by 32', 'killed by SIGSEGV, core dumped', 'exited with status 0']));
  const [width, space] = await page.$eval('#events-body', (box) => [box.scrollWidth, box.clientWidth]);
  assert.ok(width <= space, `the table of events is ${width} pixels wide, in ${space} pixels`);
  assert.deepEqual(page.complaints, []);
  await leave(page);
}

// legends checks that a button of a legend keeps the focus when other groups appear, end, or change their order.
async function legends({visit, open, refreshed, eventually, leave}) {
  const page = await visit(), now = Math.floor(Date.now() / 1000);
  const lists = [['alpha', 'beta'], ['gamma', 'beta', 'alpha'], ['beta', 'alpha', 'gamma'], ['beta']];
  let number = 0;
  await madeUp(page, now, () => ({timestamps_seconds: [now - 5 - number / 100, now],
    series: lists[number].map((group) => ({metric: 'cpu_ratio', group, values: [1, 2]}))}));
  await open(page);
  const button = (name) => page.locator('#plots figure:first-child .legend button', {hasText: name});
  const show = async (next) => {
    number = next;
    await refreshed(page);
    await eventually(async () => assert.deepEqual(await page.$$eval('#plots figure:first-child .legend .name', (all) => all.map((e) => e.textContent)), lists[next]));
  };
  await show(0);
  await button('beta').focus();
  for (let next = 1; next < lists.length; next++) {
    await show(next);
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'beta', `the focus in ${lists[next]}`);
  }
  await page.keyboard.press('Enter');
  await eventually(async () => assert.equal(await page.inputValue('#filter'), 'beta'));
  assert.deepEqual(page.complaints, []);
  await leave(page);
}

// means selects a time: the table shows the means of all groups in it, and the values of the last walk after it.
async function means({visit, task, updates, eventually, text, leave}) {
  const page = await visit(), now = Math.floor(Date.now() / 1000);
  const values = {cpu_ratio: 0.125, resident_bytes: 3 << 20, read_bytes_per_second: 4 << 10, write_bytes_per_second: 5 << 10, num_threads: 6.7};
  await madeUp(page, now, (q) => ({series: [], means: q.get('from') ? [{group: 'ended', values}, {group: 'beta', values: {cpu_ratio: 0.5}}] : undefined}));
  await page.goto(`${task.url}?from=${now - 20}&to=${now - 10}`);
  await updates(page, 1);
  await eventually(async () => assert.deepEqual(await table(page, '#rows'), ['beta|50.0 %|–|–|–|–', 'ended|12.5 %|3.0 MiB|4.0 KiB|5.0 KiB|7']));
  assert.equal(await text(page, '#count'), '2 groups, means of the selected time');
  assert.match(await text(page, '#range'), /The table shows the means of this time\.$/);
  await updates(page, 2);
  assert.equal((await table(page, '#rows')).length, 2, 'the means after an update');
  await page.click('#unzoom');
  await eventually(async () => assert.equal((await table(page, '#rows')).length, groups.length));
  assert.equal(await text(page, '#count'), '3 groups');
  assert.deepEqual(page.complaints, []);
  await leave(page);
}

// marks checks that numbers do not overlap, that lines have a word, and that a chart without values says so.
async function marks({visit, open, eventually, leave}) {
  const page = await visit(), now = Math.floor(Date.now() / 1000);
  await page.addInitScript(() => { // collects the texts of the first chart
    const draw = CanvasRenderingContext2D.prototype.fillText;
    window.drawn = new Map();
    CanvasRenderingContext2D.prototype.fillText = function (text, x, y, ...more) {
      const width = this.measureText(text).width, begin = this.textAlign === 'center' ? x - width / 2 : x;
      if (this.canvas === document.querySelector('#plots figure canvas')) window.drawn.set(`${text} ${x}`, {text, begin, end: begin + width, red: this.fillStyle === '#b3261e', right: this.canvas.width});
      draw.call(this, text, x, y, ...more);
    };
  });
  const times = Array.from({length: 181}, (_, i) => now - 900 + 5 * i), count = 1234;
  const failures = times.map((t) => ({timestamp_seconds: t, kind: 'failure', group: 'alpha', code: '3', count}));
  await madeUp(page, now, () => ({timestamps_seconds: times, series: [{metric: 'resident_bytes', values: times.map(() => 0)}],
    events: [...failures, {timestamp_seconds: now, kind: 'oom_kill', group: 'alpha', count: 1}, {timestamp_seconds: now - 450, kind: 'reload', count: 1}]}));
  await open(page);
  await eventually(async () => assert.ok(await page.evaluate(() => window.drawn.size > 5)));
  const all = await page.evaluate(() => [...window.drawn.values()]), numbers = all.filter((t) => t.red && /k$/.test(t.text)).sort((a, b) => a.begin - b.begin);
  assert.ok(numbers.length > 5, `numbers ${numbers.map((n) => n.text)}`);
  numbers.slice(1).forEach((n, i) => assert.ok(n.begin > numbers[i].end, `${numbers[i].text} to ${numbers[i].end}, ${n.text} from ${n.begin}`));
  const sum = numbers.reduce((n, t) => n + parseFloat(t.text), 0);
  assert.ok(Math.abs(sum - 181 * count / 1000) < 3, `${sum} thousand failures`);
  for (const word of ['OOM', 'reload']) assert.ok(all.some((t) => t.text === word && t.end <= t.right), `the word ${word} on the chart`);
  assert.ok(all.some((t) => t.text === 'No data in this time'));
  assert.deepEqual(await page.$$eval('#plots figcaption .value', (values) => values.slice(0, 2).map((v) => v.textContent)), ['no data', '0 B']);
  assert.deepEqual(page.complaints, []);
  await leave(page);
}

// recent runs these checks with the functions of browser.mjs.
export async function recent(browser) {
  await gaps(browser);
  await events(browser);
  await exits(browser);
  await legends(browser);
  await means(browser);
  await marks(browser);
}
