// browser.mjs opens the page of the exporter as the variable PAGE_TASK describes (JSON), uses it, and fails at
// the first error. It prints measurements as JSON.
import assert from 'node:assert/strict';
import {readFileSync, statSync} from 'node:fs';
import {spawn} from 'node:child_process';
import {createRequire} from 'node:module';
import {recent} from './recent.mjs';
import {table} from './table.mjs';

const require = createRequire(process.env.PAGE_MODULES + '/');
const {chromium} = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const task = JSON.parse(process.env.PAGE_TASK);
const browser = await chromium.launch({
  executablePath: task.chromium,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});

const deadline = 60_000; // ms, of one condition

// eventually checks until nothing fails. At the deadline, the last error is that of the test.
async function eventually(check) {
  for (const end = Date.now() + deadline; ; await new Promise((resolve) => setTimeout(resolve, 50))) {
    try {
      return await check();
    } catch (err) {
      if (Date.now() > end) throw err;
    }
  }
}

async function visit(options = {}) {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    httpCredentials: task.user ? {username: task.user, password: task.password} : undefined,
    viewport: {width: 1280, height: 800},
    ...options,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(deadline);
  page.complaints = [];
  page.on('console', (m) => { if (m.type() === 'error' || m.type() === 'warning') page.complaints.push(m.text()); });
  page.on('pageerror', (err) => page.complaints.push(String(err)));
  await page.exposeFunction('complain', (text) => page.complaints.push(text));
  await page.addInitScript(() => document.addEventListener('securitypolicyviolation',
    (event) => window.complain(`policy: ${event.violatedDirective} ${event.blockedURI}`)));
  return page;
}

// leave closes a page. The handlers of requests that have not ended ignore errors.
async function leave(page) {
  await page.unrouteAll({behavior: 'ignoreErrors'});
  await page.context().close();
}

const shot = (page, name) => task.shots && page.screenshot({path: `${task.shots}/${name}.png`});
const updates = (page, n) => page.waitForFunction((n) => Number(document.body.dataset.updates || 0) >= n, n);
const query = (page) => page.evaluate(() => location.search).then((text) => new URLSearchParams(text)); // page.url() is older
const text = (page, selector) => page.$eval(selector, (e) => e.textContent);

// shows waits until the text of an element matches.
const shows = (page, selector, wanted) => eventually(async () => assert.match(await text(page, selector), wanted));

// refreshed waits for an update that begins now. The first of two can have begun before.
async function refreshed(page) {
  for (let i = 0; i < 2; i++) {
    await updates(page, 1 + await page.evaluate(() => {
      document.dispatchEvent(new Event('visibilitychange'));
      return Number(document.body.dataset.updates || 0);
    }));
  }
}

// press clicks until check does not fail. An update can replace the element during a click.
async function press(page, selector, check) {
  await eventually(async () => {
    await page.click(selector);
    for (let tries = 1; ; tries++) {
      try {
        return await check();
      } catch (err) {
        if (tries === 20) throw err;
        await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 100)));
      }
    }
  });
}

const names = (page) => page.$$eval('#rows tr:not(.pad) td:first-child', (cells) => cells.map((c) => c.textContent));
// line returns the texts of a row by the title of the column, of which CPU has a unit.
const line = (page, name) => page.$$eval('#rows tr:not(.pad)', (rows, name) => {
  const row = rows.find((r) => r.children[0].textContent === name);
  const titles = [...document.querySelectorAll('#head th')].map((th) => th.textContent.replace(/^CPU (%|cores)$/, 'CPU'));
  return row && Object.fromEntries([...row.children].map((c, i) => [titles[i], c.textContent]));
}, name);

async function open(page) {
  const answer = await page.goto(task.url);
  assert.equal(answer.status(), 200);
  await updates(page, 1);
}

// Values of idle groups must equal those of /metrics, as soon as the processes have started.
async function compare(page) {
  await page.fill('#filter', task.steady);
  await eventually(async () => {
    await refreshed(page);
    await compareOnce(page);
  });
  await page.fill('#filter', '');
}

async function compareOnce(page) {
  const metrics = await (await page.request.get(new URL('metrics', task.url).href)).text();
  const value = (metric, labels) => {
    const found = metrics.split('\n').find((l) => l.startsWith(`namedprocess_namegroup_${metric}{${labels}} `));
    return Number(found.split(' ').pop());
  };
  const shown = await line(page, task.steady);
  assert.ok(shown, `no row of ${task.steady}`);
  const group = `groupname="${task.steady}"`;
  assert.equal(Number(shown.Processes), value('num_procs', group), 'processes');
  assert.equal(Number(shown.FDs), value('open_filedesc', group), 'files');
  assert.equal(Number(shown.Threads), value('num_threads', group), 'threads');
  const told = await (await page.request.get(new URL(`api/v1/groups?group=${task.steady}`, task.url).href)).json();
  assert.equal(told.groups[0].resident_bytes, value('memory_bytes', `${group},memtype="resident"`), 'resident');
}

// shownTitles returns the titles of the columns on the screen.
const shownTitles = (page) => page.$$eval('#head th', (all) => all.filter((th) => getComputedStyle(th).display !== 'none').map((th) => th.textContent));

const networkTitles = ['Sent/s', 'Recv/s', 'Conns'];

// withoutNetwork checks that nothing is about the network without its collector.
async function withoutNetwork(page) {
  const shown = await shownTitles(page);
  assert.ok(!networkTitles.some((title) => shown.includes(title)), `columns ${shown}`);
  assert.ok(await page.$eval('#choices', (box) => ['sent', 'received', 'connections'].every((name) => box.querySelector(`[name=${name}]`).parentNode.hidden)));
  assert.doesNotMatch(await page.textContent('footer'), /Sockets/);
}

// network opens the page of an exporter with the collector network, and the page of a group that sends bytes.
async function network(page) {
  const {exporter} = await (await page.request.get(new URL('api/v1/groups', task.url).href)).json();
  const bpf = exporter.socket_source === 'bpf', titles = bpf ? networkTitles : ['Conns'];
  await eventually(async () => {
    const row = await line(page, task.network);
    for (const title of titles) assert.ok(parseFloat(row[title]) > 0, `${title}: ${row[title]}`);
  });
  const shown = await shownTitles(page);
  assert.deepEqual(shown.filter((title) => networkTitles.includes(title)), titles);
  for (const title of ['Threads', 'Ctx sw/s', 'Exits', 'RSS history']) assert.ok(!shown.includes(title), `${title} in ${shown}`);
  assert.ok(await page.$eval('#scroll', (box) => box.scrollWidth <= box.clientWidth), 'the table is wider than its box');
  await eventually(async () => {
    const bad = await page.$$eval('#rows td.bad', (cells) => cells.map((td) => `${td.parentNode.children[0].textContent}: ${td.title}`));
    assert.deepEqual(bad.filter((text) => text.includes('listens')), [`${task.network}: no process listens on udp/1`]);
  });
  await page.click('#head th:has-text("Conns") button');
  assert.equal((await query(page)).get('sort'), '-connections');
  await page.click('#columns summary');
  await page.check('#choices [name=exits]');
  assert.ok((await shownTitles(page)).includes('Exits'), 'a column that the user selects');
  await page.goto(`${task.url}?group=${task.network}`);
  await shows(page, '#group-body', /TCP connections by stateStateConnectionsestablished1/);
  await shows(page, '#group-body', new RegExp(`Listening portsPortProcessestcp/${task.port}1`));
  if (bpf) await shows(page, '#group-head', /Sent[0-9.]+ [KM]?i?B[/]sReceived[0-9.]+ [KM]?i?B[/]sTCP connections1/);
  await eventually(async () => assert.equal(await page.textContent('#group-head dt:text("Not listening") + dd.bad'), 'udp/1'));
  await page.waitForSelector('#plots canvas');
  await eventually(async () => assert.deepEqual(await page.$$eval('#plots figcaption', (captions) =>
    captions.map((c) => c.firstChild.textContent).filter((title) => title.startsWith('TCP'))), bpf ? ['TCP received per second', 'TCP sent per second'] : []));
  await shot(page, 'page-network');
  const phone = await visit({viewport: {width: 390, height: 800}});
  await open(phone);
  assert.deepEqual(await shownTitles(phone), ['Group', 'Processes', 'CPU %', 'RSS']);
  assert.ok(await phone.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'the page is wider than a phone');
  await phone.context().close();
}

async function sortAndFilter(page) {
  await page.click('#head th:first-child button');
  let got = await names(page);
  assert.deepEqual(got, got.toSorted((a, b) => (a < b ? -1 : 1)), 'by name');
  assert.equal(await page.getAttribute('#head th:first-child', 'aria-sort'), 'ascending');
  await page.focus('#head th:first-child button');
  await page.keyboard.press('Enter');
  got = await names(page);
  assert.deepEqual(got, got.toSorted((a, b) => (a > b ? -1 : 1)), 'by name, the other way');
  await page.locator('h1').click();
  await page.keyboard.press('/');
  await page.keyboard.type(task.busy.toUpperCase());
  await eventually(async () => assert.deepEqual(await names(page), [task.busy]));
  await eventually(async () => {
    const usage = (await line(page, task.busy)).CPU;
    assert.ok(parseFloat(usage) > 0, `the usage of a process that uses all the CPU time it gets: ${usage}`);
  });
  assert.equal((await query(page)).get('filter'), task.busy.toUpperCase());
  assert.equal((await query(page)).get('sort'), '-group');
  await page.reload();
  await updates(page, 1);
  await eventually(async () => assert.deepEqual(await names(page), [task.busy], 'the filter of the URL'));
  assert.equal(await page.inputValue('#filter'), task.busy.toUpperCase());
  await page.fill('#filter', 'there is no such group');
  await eventually(async () => assert.deepEqual(await names(page), []));
  assert.match(await page.textContent('#empty'), /No group name or label contains “there is no such group”/);
  await shot(page, 'page-empty');
  await press(page, '#empty button', async () => assert.equal(await page.inputValue('#filter'), ''));
  await eventually(async () => assert.ok((await names(page)).length > 1, 'groups without a filter'));
}

// The machine, the words of the table, the unit of CPU usage, and columns.
async function words(page) {
  await shows(page, '#machine', /^(?!.*measuring)./s);
  const machine = (await (await page.request.get(new URL('api/v1/groups', task.url).href)).json()).machine;
  assert.equal(await page.title(), `${machine.hostname} · processes`);
  const tiles = [new RegExp(`CPU[0-9.]+ of ${machine.cpus} core`), /Memory used[0-9.]+ of [0-9.]+ [GM]iB/, /Devices read.*Devices written/,
    new RegExp(`Expected${task.missing} has 0, at least 2; 1 more`), /Processes[0-9]+ in [0-9]+ groups/];
  await eventually(async () => {
    const shown = await text(page, '#machine');
    for (const tile of tiles) assert.match(shown, tile);
  });
  await page.fill('#filter', task.missing); // the table has elements for a part of many groups
  await eventually(async () => assert.equal(await page.$eval('#rows td.bad[title]:not([title=""])', (td) => td.title), 'expected at least 2'));
  await page.fill('#filter', '');
  await shows(page, 'footer', /Exporter.*Source(bpf|procfs).*Healthy/s);
  const titles = () => shownTitles(page);
  assert.equal(await page.evaluate(async () => (await import('./format.js')).clock(new Date(2026, 0, 1, 0, 5, 9) / 1000)), '00:05:09');
  for (const [value, want] of [[999, '999 B'], [1000, '1.0 KiB'], [1011 << 10, '1.0 MiB'], [100 << 20, '100 MiB']]) {
    assert.equal(await page.evaluate(async (v) => (await import('./format.js')).bytes(v), value), want);
  }
  await page.route('**/api/v1/groups', async (route) => {
    const report = await (await route.fetch()).json();
    await route.fulfill({json: {...report, failed_exits: 104312, failed_exits_seconds: 299}});
  });
  await shows(page, '#machine', /Exits104312 failed in 299 s/);
  const cut = await page.$$eval('#machine dd', (all) => all.filter((dd) => dd.scrollWidth > dd.clientWidth).map((dd) => dd.textContent));
  assert.deepEqual(cut.filter((text) => !text.includes(task.missing)), [], 'texts of tiles that are cut');
  await page.unroute('**/api/v1/groups');
  const shown = await titles();
  for (const word of ['CPU %', 'RSS', 'PSS', 'FD use', 'Ctx sw/s', 'Failed', 'Started']) assert.ok(shown.includes(word), `${word} in ${shown}`);
  await eventually(async () => assert.ok(await page.$eval('#rows td.zero', (td) => td.textContent !== ''), 'dimmed zeros'));
  await shows(page, 'footer', /PSS and USS.*values up to [0-9]+ (s|min) old/);
  await page.waitForSelector('#rows td[title^="read up to "]'); // the age of a PSS value
  await page.fill('#filter', task.busy);
  await page.selectOption('#unit', 'cores');
  assert.ok((await titles()).includes('CPU cores'));
  await eventually(async () => assert.match((await line(page, task.busy)).CPU, /^[0-9]\.[0-9]{2}$/));
  await page.click('#columns summary');
  await page.uncheck('#choices [name=pss]');
  assert.ok(!(await titles()).includes('PSS'));
  await page.reload();
  await updates(page, 1);
  assert.ok(!(await titles()).includes('PSS') && (await titles()).includes('CPU cores'), 'columns and unit of the URL');
}

// Sparklines have the width of their column, and one scale: the maximum is in the title.
async function sparklines(page) {
  await page.fill('#filter', task.busy);
  await page.waitForFunction(() => [...document.querySelectorAll('.spark path')].some((p) => p.getAttribute('d')));
  const row = page.locator('#rows tr:not(.pad)', {hasText: task.busy});
  await shows(page, '#head th.history:nth-child(4)', /≤ [0-9.]+ %/);
  await row.scrollIntoViewIfNeeded();
  await eventually(async () => {
    const box = await row.locator('svg.spark').first().boundingBox();
    assert.ok(box.width > 100, `a sparkline of ${box.width} pixels`);
    await page.mouse.move(box.x + box.width - 2, box.y + 5);
    await page.mouse.move(box.x + box.width - 1, box.y + 5);
    assert.match(await page.$eval('#tip:not([hidden])', (e) => e.textContent), /^[0-9:]{8} +[0-9.]+ %$/);
  });
  await page.mouse.move(0, 0);
  await page.fill('#filter', '');
}

// The open group is that of three idle processes.
async function processTable(page) {
  await eventually(async () => assert.equal(await page.locator('#processes tbody tr').count(), 3));
  await shows(page, '#processes', /^(?!.*measuring)./s);
  const head = await page.$$eval('#processes thead th', (all) => all.map((th) => th.textContent));
  assert.deepEqual(head, ['PID', 'User', 'Started', 'State', 'Threads', 'CPU', 'RSS', 'Read/s', 'Write/s', 'Command']);
  const pids = () => page.$$eval('#processes tbody tr', (all) => all.map((tr) => Number(tr.cells[0].textContent)));
  await press(page, '#processes thead button:text("PID")', async () => assert.equal(await text(page, '#processes th[aria-sort=descending]'), 'PID'));
  const sorted = await pids();
  assert.deepEqual(sorted, sorted.toSorted((a, b) => b - a));
  assert.equal((await query(page)).get('processes'), '-pid');
  await eventually(async () => assert.equal(await page.evaluate(() => document.activeElement.textContent), 'PID', 'the focus after sorting'));
}

// A process that a rule ignores is in no group.
async function unmatched(page) {
  await page.click('#unmatched summary');
  await shows(page, '#unmatched-body', new RegExp(task.ignored));
  await shows(page, '#unmatched-body', /^(?!.*measuring)./s);
  await press(page, '#unmatched-body thead button:text("Started")',
    async () => assert.equal(await text(page, '#unmatched-body th[aria-sort=descending]'), 'Started'));
  await page.click('#unmatched summary');
}

// The vendored chart library is that of the npm registry.
async function library(page) {
  for (const [path, file] of [['uplot.js', 'dist/uPlot.iife.min.js'], ['uplot.css', 'dist/uPlot.min.css'], ['uplot-license.txt', 'LICENSE']]) {
    const served = await (await page.request.get(new URL(path, task.url).href)).body();
    assert.ok(served.equals(readFileSync(require.resolve('uplot/package.json').replace('package.json', file))), path);
  }
}

const legend = (page) => page.$$eval('#plots figure:first-child .name', (all) => all.map((e) => e.textContent));

// The charts show the busy group, values under the cursor, events, and a range that the user selects.
async function charts(page) {
  await page.goto(task.url);
  await eventually(async () => assert.ok((await legend(page)).includes(task.busy), `${task.busy} in ${await legend(page)}`));
  assert.deepEqual(await page.$$eval('#plots figcaption', (all) => all.map((e) => e.firstChild.textContent)),
    ['CPU', 'Memory (RSS)', 'Disk read per second', 'Disk write per second']);
  await page.waitForFunction(async () => (await (await fetch('api/v1/history')).json()).timestamps_seconds.length >= 3);
  await refreshed(page);
  const over = page.locator('#plots figure:first-child .u-over');
  await pointAtEnd(page);
  const {exporter} = await (await page.request.get(new URL('api/v1/groups', task.url).href)).json();
  if (exporter.source === 'bpf') {
    await page.click('#events summary');
    await shows(page, '#events-body', new RegExp(`${task.failing}exited with status 3`));
    await press(page, '#machine a', async () => assert.equal((await query(page)).get('sort'), '-failed'));
    await page.fill('#filter', task.failing); // other groups can have more failures
    await eventually(async () => assert.ok(Number((await line(page, task.failing)).Failed) > 0 && await page.$('#rows tr:not(.pad) td.bad'), 'a red number of failures'));
    const {failed_exits_seconds: seconds} = await (await page.request.get(new URL('api/v1/groups', task.url).href)).json();
    if (seconds < 250) assert.doesNotMatch(await text(page, '#machine'), /failed in 5 min/);
    assert.match(await text(page, '#machine'), /Exits[0-9]+ failed in [0-9]+ (s|min)/);
    await page.goBack();
    await eventually(async () => assert.equal((await query(page)).get('sort'), null));
    await shot(page, 'page-events');
    await page.click('#events summary');
  }
  // A drag over the last third.
  const length = async () => {
    const {timestamps_seconds: times} = await (await page.request.get(new URL('api/v1/history', task.url).href)).json();
    return times.at(-1) - times[0];
  };
  const shortest = await length();
  await eventually(async () => {
    await over.scrollIntoViewIfNeeded();
    const box = await over.boundingBox();
    await page.mouse.move(box.x + box.width * 2 / 3, box.y + 20);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width - 1, box.y + 30, {steps: 5});
    await page.mouse.up();
    assert.notEqual((await query(page)).get('from'), null, 'the start of the selected range');
  });
  await page.waitForSelector('#unzoom:not([hidden])');
  const q = await query(page), part = q.get('to') - q.get('from'), longest = await length();
  assert.ok(part > 0.15 * shortest && part < 0.6 * longest, `${part} s are a third of ${shortest} to ${longest} s`);
  assert.equal(q.get('filter'), null, 'the end of a drag is no click');
  await shot(page, 'page-zoom');
  await page.reload();
  await page.waitForSelector('#unzoom:not([hidden])');
  assert.equal((await query(page)).get('from'), q.get('from'), 'the range of the URL');
  await shows(page, '#range', /^[0-9:]{8} to [0-9:]{8}\. The table shows the means of this time\.$/);
  await page.mouse.move(0, 0);
  await shows(page, '#plots figcaption .value', /^mean /);
  await page.click('#unzoom');
  await page.waitForSelector('#unzoom', {state: 'hidden'});
  await shows(page, '#range', /^[0-9:]{8} to [0-9:]{8}$/);
  assert.equal((await query(page)).get('from'), null);
  // A click on the lowest color filters the table by the group with the highest usage.
  await page.waitForSelector('#plots figure:first-child .u-over');
  await eventually(async () => assert.ok((await legend(page)).includes(task.busy), `${task.busy} in ${await legend(page)}`));
  let shown;
  await eventually(async () => {
    const lower = await over.boundingBox();
    shown = await legend(page);
    await page.mouse.click(lower.x + lower.width - 2, lower.y + lower.height - 2);
    assert.notEqual(await page.inputValue('#filter'), '', 'the filter after a click on the lowest color');
  });
  shown.push(...await legend(page)); // an update can replace the groups
  const filter = await page.inputValue('#filter');
  assert.ok(shown.includes(filter), `the filter ${filter} after a click on one of ${shown}`);
  await page.goBack();
  await page.waitForFunction(() => document.querySelector('#filter').value === '');
}

// drawn shows a made-up history: events of one walk, of which the table shows a part, small values, and a
// series without usage.
async function drawn() {
  const page = await visit();
  const history = {long: false, others: null, number: 0}; // many points; a metric whose groups change; number of responses
  await page.addInitScript(() => { // collects the texts in the color of failures
    const draw = CanvasRenderingContext2D.prototype.fillText;
    window.cutTexts = new Set();
    window.marks = new Set(); // heights of marks in this color
    const fill = CanvasRenderingContext2D.prototype.fillRect;
    CanvasRenderingContext2D.prototype.fillRect = function (...at) {
      if (this.fillStyle === '#b3261e') window.marks.add(at[3]);
      fill.call(this, ...at);
    };
    CanvasRenderingContext2D.prototype.fillText = function (text, ...at) {
      if (this.textAlign === 'center' && this.fillStyle === '#b3261e') window.drawnTexts = [text];
      if (this.textAlign === 'center' && at[0] + this.measureText(text).width / 2 > this.canvas.width) window.cutTexts.add(text);
      draw.call(this, text, ...at);
    };
  });
  await page.route('**/api/v1/history*', async (route) => {
    const report = await (await route.fetch()).json(), ofGroup = route.request().url().includes('group=');
    const now = Math.floor(Date.now() / 30000) * 30; // the time axis has a label at its end
    const event = (kind, i, at) => ({timestamp_seconds: at, kind, group: `g${i}`, count: 1});
    report.timestamps_seconds = [now - 10, now - 5, now];
    for (let t = now - 15; (ofGroup || history.long) && t > now - 500; t -= 5) report.timestamps_seconds.unshift(t);
    report.series = [{metric: 'cpu_ratio', group: 'used', values: [0.0002, 0.0011, 0.0009]}, {metric: 'cpu_ratio', group: 'unused', values: [0, 0, 0]},
      {metric: 'write_bytes_per_second', group: 'unused', values: [0, 0, 0]}];
    if (history.others) report.series.push({metric: history.others, group: `other ${history.number}`, values: [1, 1, 1]});
    for (const {values} of report.series) values.unshift(...Array(report.timestamps_seconds.length - 3).fill(0));
    report.events = [event('exit', 0, now - 5), event('failure', 0, now - 10), event('oom_kill', 1, now), {...event('failure', 2, now), count: 5},
      ...Array.from({length: 441}, (_, i) => event('start', i + 3, now))];
    report.timestamps_seconds[0] -= ++history.number / 100; // the page draws no report with the times of the last
    await route.fulfill({json: report});
  });
  await changingTiles(page);
  await open(page);
  await shows(page, '#moment', /Click on a color to filter the table by its group\.$/);
  await page.click('#events summary');
  await eventually(async () => assert.equal(await text(page, '#events-body caption'), 'Newest 100 of 445'));
  const events = await page.$$eval('#events-body tbody tr', (all) => all.map((tr) => tr.cells[1].textContent));
  assert.deepEqual([events.length, ...events.slice(0, 3)], [102, 'g1', 'g2', 'g3'], 'the failures of a walk are first, and rows have the numbers of other starts and exits');
  assert.deepEqual(await legend(page), ['used'], 'no series without usage');
  assert.deepEqual(await page.evaluate(() => window.drawnTexts), ['5'], 'the number of failures near each other, in a red text');
  assert.match(await page.$$eval('#plots figcaption', (all) => all[3].textContent), /^Disk write per second0 B$/);
  assert.match(await page.textContent('#events-count'), /^Events, 445; red: 6 failed exits; red line: 1 OOM kill$/);
  assert.deepEqual(await page.evaluate(() => [...window.cutTexts]), [], 'labels of the time axis');
  const marks = (await page.evaluate(() => [...window.marks])).sort((a, b) => a - b);
  assert.ok(marks.length === 2 && marks[0] === 9 && marks[1] > 50, `marks of a failure and of an OOM kill: ${marks}`);
  await otherTimes(page);
  history.long = true;
  await refreshed(page);
  await pointAtEnd(page);
  history.long = false;
  await stays(page); // in a shorter history
  for (history.others of ['cpu_ratio', 'resident_bytes']) await replaced(page);
  await dragged(page);
  await page.unroute('**/api/v1/history*');
  await page.route('**/api/v1/history*', async (route) => {
    const report = {...await (await route.fetch()).json(), timestamps_seconds: [], series: [], events: []};
    await route.fulfill({json: report});
  });
  await eventually(async () => assert.equal(await text(page, '#range'), 'Charts begin after two walks. Set --web.retention to keep values without a viewer.'));
  await page.route('**/api/v1/processes*', async (route) => {
    const report = await (await route.fetch()).json();
    [['worker', '/bin/app --x'], ['app', '/bin/app --x'], ['nginx', 'nginx: worker process']].forEach(([name, command], i) => Object.assign(report.processes[i], {name, command}));
    const end = {pid: 1, name: 'x', start_time_seconds: report.timestamp_seconds - 9e4, reason: 'killed', code: 'SIGKILL', oom_killed: true, failed: true};
    report.ended = [{...end, end_time_seconds: report.timestamp_seconds, approximate: true}, {...end, end_time_seconds: report.timestamp_seconds - 9e4}];
    await route.fulfill({json: report});
  });
  await page.goto(`${task.url}?group=${task.steady}`);
  await eventually(async () => assert.deepEqual((await page.$$eval('#processes td.command', (all) => all.map((td) => td.textContent))).sort(),
    ['(worker) /bin/app --x', '/bin/app --x', 'nginx: worker process'], 'a name that is not that of the program'));
  const rows = await page.$$eval('#ended tr:has(td.bad)', (all) => all.map((tr) => [...tr.cells].map((td) => td.textContent).join('|')));
  assert.match(rows[0], /^≤ [0-9:]{8}[|]1[|]x[|]≤ 1 d 1 h[|]killed by SIGKILL \(OOM killer\)$/);
  assert.match(rows[1], /^.*[0-9]{4}.* [0-9:]{8}[|]1[|]x[|]< 0\.1 s[|]/, 'the date of an exit of another day');
  assert.deepEqual(page.complaints, []);
  await leave(page);
}

// values shows made-up groups and processes, whose values are all different, and hides the page.
async function values() {
  const page = await visit(), requests = [];
  await page.clock.install();
  const own = {num_procs: 11, cpu_ratio: 0.12, cpu_ratio_history: [0, 0.5], resident_bytes: 13 << 20, proportional_bytes: 14 << 20, read_bytes_per_second: 15 << 10,
    write_bytes_per_second: 16 << 10, open_filedesc: 17, worst_fd_ratio: 0.18, num_threads: 19, context_switches_per_second: 20, failed_exits: 21, exits_total: 22};
  const machine = {hostname: 'h', cpus: 4, cpu_ratio: 1.5, memory_bytes: 8 << 20, memory_used_bytes: 3 << 20, read_bytes_per_second: 1 << 10, write_bytes_per_second: 2 << 10};
  await page.route('**/api/v1/groups', async (route) => {
    const report = await (await route.fetch()).json();
    await route.fulfill({json: {...report, machine, history_timestamps_seconds: [report.timestamp_seconds - 10, report.timestamp_seconds], groups: [{...own, group: 'own', oldest_start_time_seconds: report.timestamp_seconds - 3600},
      {group: 'large', num_procs: 1, cpu_ratio: 1, cpu_ratio_history: [1, 0.25]}, {group: 'unknown', num_procs: 1}]}});
  });
  await page.route('**/api/v1/processes*', async (route) => {
    const report = await (await route.fetch()).json();
    const process = (pid, more) => ({pid, user: 'u', start_time_seconds: report.timestamp_seconds - 60, state: 'S', name: 'p', command: 'p', ...more});
    await route.fulfill({json: {...report, num_procs: 30, interval_seconds: 1, processes: [process(8, {num_threads: 3, cpu_ratio: 0.04, resident_bytes: 5 << 10,
      read_bytes_per_second: 6 << 10, write_bytes_per_second: 7 << 10}), process(9, {})], query: route.request().url()}});
  });
  page.on('request', (r) => requests.push(r.url()));
  await open(page);
  const {'Last 10 s, ≤ 100.0 %': title, ...row} = await line(page, 'own');
  const want = {Processes: '11', CPU: '12.0 %', RSS: '13.0 MiB', PSS: '14.0 MiB', 'Read/s': '15.0 KiB', 'Write/s': '16.0 KiB', FDs: '17', 'FD use': '18.0 %', Threads: '19',
    'Ctx sw/s': '20', Failed: '21', Exits: '22', Started: '1 h ago'};
  for (const [title, text] of Object.entries(want)) assert.equal(row[title], text, title);
  assert.equal(title, '', 'the title has the highest value of all rows');
  const sparks = await page.$$eval('#rows svg.spark path', (all) => all.map((p) => p.getAttribute('d')?.match(/L600 ([0-9]+)L/)?.[1]));
  assert.deepEqual(sparks.slice(0, 4).filter(Boolean), ['153', '105'], 'heights of the last values, with one scale');
  assert.equal(await page.textContent('#machine'), 'CPU1.5 of 4 coresMemory used3.0 of 8.0 MiBDevices read1.0 KiB/sDevices written2.0 KiB/sProcesses13 in 3 groups' +
    (await page.textContent('#machine')).replace(/^.*?groups/, ''));
  for (const order of [['own', 'large', 'unknown'], ['large', 'own', 'unknown']]) {
    await page.click('#head button:text("CPU")');
    await eventually(async () => assert.deepEqual(await names(page), order, 'unknown values are last'));
  }
  await page.click('#rows tr:not(.pad) a');
  await page.waitForSelector('#processes tbody tr');
  assert.match(await page.textContent('#processes caption'), /^Processes, 2 of 30, at /);
  const cells = () => page.$$eval('#processes tbody tr', (all) => all.map((tr) => [...tr.cells].map((td) => td.textContent).join('|')));
  assert.deepEqual(await cells(), ['8|u|1 min ago|S|3|4.0 %|5.0 KiB|6.0 KiB|7.0 KiB|p', '9|u|1 min ago|S|–|measuring|–|measuring|measuring|p']);
  for (const sort of ['-resident_bytes', 'resident_bytes']) {
    const [r] = await Promise.all([page.waitForRequest((r) => r.url().includes(`sort=${sort}`)), page.click('#processes thead button:text("RSS")')]);
    assert.equal(new URL(r.url()).searchParams.get('sort'), sort);
  }
  const [again] = await Promise.all([page.waitForRequest((r) => r.url().includes('/processes?')), page.reload()]);
  assert.equal(new URL(again.url()).searchParams.get('sort'), 'resident_bytes', 'the order of the URL');
  await updates(page, 1);
  await hidden(page, requests);
  await leave(page);
}

// hidden hides the page: it requests nothing until it is shown.
async function hidden(page, requests) {
  const show = (...states) => page.evaluate((states) => {
    for (const hidden of states) {
      Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});
      document.dispatchEvent(new Event('visibilitychange'));
    }
  }, states);
  for (const states of [[true], [false, true]]) { // hidden without an update, and during one
    const shown = Number(await page.getAttribute('body', 'data-updates'));
    await show(...states);
    if (states.length > 1) await updates(page, shown + 1);
    const begun = async () => {
      await page.evaluate(() => fetch('./')); // the events of requests before this one have arrived
      return requests.filter((url) => url.endsWith('/api/v1/groups')).length;
    };
    const before = await begun();
    for (let i = 0; i < 3; i++) {
      await page.clock.fastForward(20_000);
      assert.equal(await begun(), before, 'updates of a hidden page');
    }
  }
  await Promise.all([page.waitForRequest((r) => r.url().includes('/groups')), show(false)]);
}

// changingTiles makes the tiles of the page short and long, in turn.
async function changingTiles(page) {
  let number = 0;
  await page.route('**/api/v1/groups', async (route) => {
    const report = await (await route.fetch()).json(), long = number++ % 2 === 1;
    Object.assign(report.exporter, {scrape_incomplete: false, unreadable_procs: 0, unresponsive_processes: 0, lost_exit_events_total: 0});
    const bytes = (v) => ({memory_bytes: v, memory_used_bytes: v, read_bytes_per_second: v, write_bytes_per_second: v});
    report.machine = {hostname: 'h', cpus: long ? 128 : 1, cpu_ratio: long ? 101.5 : 0, ...bytes(long ? 999.9 * 2 ** 30 : 1)};
    await route.fulfill({json: {...report, failed_exits: long ? 1234567 : 1, failed_exits_seconds: long ? 900 : 1}});
  });
}

// otherTimes shows the charts of a group, whose history is longer, and returns: the moment is that of the cursor.
async function otherTimes(page) {
  for (const group of [task.steady, null]) {
    if (group) await page.fill('#filter', group);
    if (group) await page.click('#rows tr:not(.pad) a');
    else await page.goBack();
    await page.waitForFunction((n) => document.querySelectorAll('#plots canvas').length === n, group ? 5 : 4);
    await pointAtEnd(page);
    await stays(page);
  }
  await page.mouse.move(0, 0);
  await page.fill('#filter', '');
}

// pointAtEnd moves the cursor to the end of the first chart.
async function pointAtEnd(page) {
  const over = page.locator('#plots figure:first-child .u-over');
  await eventually(async () => {
    await over.scrollIntoViewIfNeeded();
    const box = await over.boundingBox();
    await page.mouse.move(box.x + box.width - 3, box.y + box.height / 2);
    await page.mouse.move(box.x + box.width - 2, box.y + box.height / 2);
    assert.match(await text(page, '#moment'), /^[0-9:]{8}/);
  });
}

// stays checks that updates with the cursor in the charts do not move them, and that the moment is always that
// of the cursor.
async function stays(page) {
  const top = () => page.$eval('#plots figure:first-child .u-over', (over) => over.getBoundingClientRect().top), before = await top();
  await page.evaluate(() => {
    const moment = document.getElementById('moment');
    window.moments = [];
    new MutationObserver(() => window.moments.push(moment.textContent)).observe(moment, {childList: true});
  });
  await refreshed(page);
  assert.equal(await top(), before, 'the place of the charts');
  for (const moment of [...await page.evaluate(() => window.moments), await text(page, '#moment')]) assert.match(moment, /^[0-9:]{8}/);
}

const otherGroups = (page) => page.$$eval('#plots .name', (all) => all.map((e) => e.textContent).filter((name) => name.startsWith('other ')).join());

// replaced updates the charts with other groups, for which a chart is replaced.
async function replaced(page) {
  await refreshed(page);
  await pointAtEnd(page);
  const before = await otherGroups(page);
  await stays(page);
  const after = await otherGroups(page);
  assert.ok(before !== '' && after !== '' && before !== after, `other groups than ${before}: ${after}`);
}

// dragged updates the charts with other groups during a drag. They appear after it.
async function dragged(page) {
  const box = await page.locator('#plots figure:nth-child(2) .u-over').boundingBox(), before = await otherGroups(page);
  await page.mouse.move(box.x + box.width / 3, box.y + 20);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2, box.y + 20, {steps: 3});
  await refreshed(page);
  assert.equal(await otherGroups(page), before, 'the groups during a drag');
  await page.mouse.move(box.x + box.width - 2, box.y + 20, {steps: 3});
  await page.mouse.up();
  await page.waitForSelector('#unzoom:not([hidden])');
  await eventually(async () => assert.notEqual(await otherGroups(page), before, 'the groups after a drag'));
  await press(page, '#unzoom', async () => assert.equal((await query(page)).get('from'), null));
  await page.mouse.move(0, 0);
}

// colors shows made-up charts with many groups: those of a chart have different colors, and a group has
// one color, which it keeps when others come and go while there are enough colors.
async function colors() {
  const page = await visit();
  await page.addInitScript(() => { // the highest label of CPU usage
    const draw = CanvasRenderingContext2D.prototype.fillText;
    window.highest = 0;
    CanvasRenderingContext2D.prototype.fillText = function (text, ...at) {
      if (text.endsWith(' %')) window.highest = Math.max(window.highest, parseFloat(text));
      draw.call(this, text, ...at);
    };
  });
  let number = 0;
  await page.route('**/api/v1/history*', async (route) => {
    const report = await (await route.fetch()).json(), now = Date.now() / 1000;
    const series = (metric, names) => names.map((name) => ({metric, group: name, values: [1, 2]}));
    const names = Array.from({length: 12}, (_, i) => `service-${(7 * i + 3 * number) % (number < 3 ? 16 : 40)}`);
    report.timestamps_seconds = [now - 5, now];
    report.series = [...series('cpu_ratio', names.slice(0, 8)), ...series('resident_bytes', names.slice(4)), ...series('read_bytes_per_second', names.slice(2, 10))];
    report.events = [];
    number++;
    await route.fulfill({json: report});
  });
  await open(page);
  const seen = new Map();
  for (let i = 1; i <= 4; i++) {
    await updates(page, i);
    const [shown, charts] = await page.$$eval('#plots figure', (figures) => [Number(document.body.dataset.updates), figures.map((f) =>
      [...f.querySelectorAll('.legend li')].map((li) => [li.querySelector('.name').textContent, li.querySelector('.swatch').style.background]))]);
    for (const chart of charts) {
      assert.equal(new Set(chart.map(([, color]) => color)).size, chart.length, `colors of a chart: ${chart}`);
      for (const [name, color] of chart) {
        if (shown < 4) assert.equal(seen.get(name) ?? color, color, `the color of ${name}`);
        seen.set(name, color);
      }
    }
  }
  const highest = await page.evaluate(() => window.highest);
  assert.ok(highest >= 1000, `a stack of eight groups with two cores each has labels up to ${highest} %`);
  assert.ok(seen.size > 12, `names in the charts: ${[...seen.keys()]}`);
  await leave(page);
}

// touch opens the page on a phone: a tap on a chart is no filter, and commands are on the screen.
async function touch() {
  const page = await visit({viewport: {width: 390, height: 800}, hasTouch: true, isMobile: true});
  await open(page);
  await page.waitForSelector('#plots figure .u-over');
  assert.equal(await text(page, '#moment'), 'Drag over a chart to zoom.', 'no word about a click');
  const chart = page.locator('#plots figure .u-over').first();
  await eventually(async () => {
    await chart.tap();
    assert.match(await text(page, '#moment'), /^[0-9:]{8}/, 'the moment of a tap');
  });
  await refreshed(page);
  assert.match(await text(page, '#moment'), /^[0-9:]{8}/, 'the moment of a tap, after updates');
  const [before, after] = await page.evaluate(() => {
    const top = () => document.querySelector('#plots figure .u-over').getBoundingClientRect().top, before = top();
    document.getElementById('moment').textContent = 'many events '.repeat(20);
    return [before, top()];
  });
  assert.equal(after, before, 'the text about the cursor moves the chart');
  assert.equal(await page.inputValue('#filter'), '');
  await page.locator('#columns summary').tap();
  await eventually(async () => {
    const menu = await page.locator('#choices').boundingBox();
    assert.ok(menu && menu.x >= 0 && menu.x + menu.width <= 390, `the menu of columns at ${menu?.x}, ${menu?.width} px wide`);
  });
  await page.goto(`${task.url}?group=${task.steady}`);
  await page.waitForSelector('#processes td.command');
  const left = await page.$eval('#processes td.command', (td) => td.getBoundingClientRect().left);
  assert.ok(left + 60 < 390, `a command at ${left}`);
  await shot(page, 'page-touch');
  await leave(page);
}

// A group has its own page: by keyboard, by a click on its row, and by its URL.
async function drillDown(page) {
  await page.goto(`${task.url}?sort=group`); // an update does not change this order
  await updates(page, 1);
  const focused = () => page.evaluate(() => {
    const rows = [...document.querySelectorAll('#rows tr:not(.pad)')], i = rows.findIndex((tr) => tr.contains(document.activeElement));
    return i === 0 ? 'first' : i === rows.length - 1 ? 'last' : `${i} of ${rows.length}`;
  });
  await eventually(async () => { // a new group of another test can become the first or last one
    await page.evaluate(() => document.activeElement.blur());
    await page.keyboard.press('ArrowDown');
    assert.equal(await focused(), 'first', 'the row by keyboard');
  });
  await page.fill('#filter', task.steady);
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#group-body table');
  assert.equal((await query(page)).get('group'), task.steady);
  assert.equal(await page.textContent('#group-name'), task.steady);
  const main = await text(page, 'main');
  for (const word of [/Rule 1: /, /Sleeping/, /PSS/, /USS/, /FD use of the fullest process/, /Expected processesat least 1/, /Threads by wait channel/, /Threads by state/]) assert.match(main, word);
  await page.goBack();
  await page.waitForSelector('#overview:not([hidden])');
  await eventually(async () => assert.deepEqual(await names(page), [task.steady], 'the filter after Back'));
  await page.locator('#rows tr:not(.pad) td:nth-child(2)').click();
  await page.waitForSelector('#group-body table');
  await page.reload();
  await page.waitForSelector('#group-body table');
  assert.equal(await page.textContent('#group-name'), task.steady, 'the group of the URL');
  await processTable(page);
  for (const selector of ['#group-head', '#processes caption']) await shows(page, selector, /[0-9:]{8}$/);
  const renamed = [...await page.$$eval('#processes td.command', (all) => all.map((td) => td.textContent))];
  assert.ok(renamed.every((text) => !text.startsWith('(')), `names of programs: ${renamed}`);
  await page.waitForSelector('#plots figure canvas');
  await eventually(async () => assert.equal(await page.locator('#plots figure').count(), 5, 'charts of a group'));
  await shot(page, 'page-group');
  await page.keyboard.press('Escape');
  await page.waitForSelector('#overview:not([hidden])');
  await page.fill('#filter', '');
  await page.focus('#scroll');
  for (const [key, want] of [['End', 'last'], ['Home', 'first']]) {
    await eventually(async () => {
      if (await focused() !== want) await page.keyboard.press(key);
      assert.equal(await focused(), want, `the focus after ${key}`);
    });
  }
}

// ended opens the group whose processes fail: the page says when they ended, and why.
async function ended(page) {
  const {exporter} = await (await page.request.get(new URL('api/v1/groups', task.url).href)).json();
  if (exporter.source !== 'bpf') return;
  await page.goto(`${task.url}?group=${task.failing}`);
  await page.waitForFunction(() => [...document.querySelectorAll('#ended td.bad')].some((td) => td.textContent === 'exited with status 3'));
  const row = await page.$eval('#ended tr:has(td.bad)', (tr) => [...tr.cells].map((td) => td.textContent));
  assert.match(row.join('|'), new RegExp(`^[0-9:]{8}[|][0-9]+[|]${task.failing}[|](< )?[0-9]\\.[0-9] s[|]exited with status 3$`));
  await shows(page, '#group-body', /Exits since the exporter started.*exited with status 3[0-9]/s);
  await page.goto(task.url);
  await updates(page, 1);
}

// noneEnded opens a group without ended processes: the page says why there are none.
async function noneEnded(page) {
  const {exporter} = await (await page.request.get(new URL('api/v1/groups', task.url).href)).json();
  await page.goto(`${task.url}?group=${task.steady}`);
  await shows(page, '#ended > p', exporter.source === 'bpf' ? /^Ended processes: none in the recorded time\. Set --web\.retention to record without a viewer\.$/ :
    /^Ended processes: only the source bpf reports them \(--source=bpf\)\.$/);
  await page.goto(task.url);
  await updates(page, 1);
}

// writes opens the group of a process that appends to a file: the usage that the page shows is that of the
// responses, and the usage of the recorded walks amounts to what the process has written between two of them.
async function writes(page) {
  const size = () => statSync(task.written).size, seen = {};
  page.on('response', async (r) => {
    const kind = new URL(r.url()).pathname.split('/').pop();
    if (['groups', 'history', 'processes'].includes(kind)) seen[kind] = await r.json().catch(() => seen[kind]); // a response of a page that was left
  });
  const formatted = (v) => page.evaluate(async (v) => (await import('./format.js')).bytes(v), v);
  await page.fill('#filter', task.writing);
  await refreshed(page);
  await eventually(async () => {
    const {write_bytes_per_second: rate} = seen.groups.groups.find((g) => g.group === task.writing);
    assert.ok(rate > 0, `${rate} bytes per second`);
    assert.equal((await line(page, task.writing))['Write/s'], await formatted(rate), 'in the table');
  });
  await page.fill('#filter', '');
  await page.goto(`${task.url}?group=${task.writing}`);
  await eventually(async () => {
    const {series, timestamps_seconds: times} = seen.history, values = series.find((s) => s.metric === 'write_bytes_per_second').values;
    assert.equal(times.length, values.length);
    assert.ok(values.at(-1) > 0, `${values} bytes per second`);
    assert.equal(await text(page, '#plots figure:nth-child(4) figcaption'), `Disk write per second${await formatted(values.at(-1))}`);
    const [{write_bytes_per_second: rate}] = seen.processes.processes;
    assert.ok(rate > 0, `${rate} bytes per second of the process`);
    assert.equal(await text(page, '#processes tbody td:nth-child(9)'), await formatted(rate), 'in the list of processes');
  });
  const history = async () => (await page.request.get(new URL(`api/v1/history?group=${task.writing}`, task.url).href)).json();
  const walk = (least) => eventually(async () => {
    const before = size(), now = Date.now() / 1000;
    assert.ok(before >= least, `${before} bytes, want ${least}`);
    await refreshed(page);
    const at = (await history()).timestamps_seconds.at(-1);
    assert.ok(at >= now, `a walk at ${at}, want one after ${now}`);
    return {before, at, after: size()};
  });
  const first = await walk(1), last = await walk(first.after + (3 << 20));
  const {timestamps_seconds: times, series} = await history(), {values} = series.find((s) => s.metric === 'write_bytes_per_second');
  const written = values.reduce((sum, v, i) => sum + (times[i] > first.at && times[i] <= last.at ? v * (times[i] - times[i - 1]) : 0), 0);
  const least = last.before - first.after, most = last.after - first.before, rest = 512 << 10; // of a write in progress, and of metadata
  assert.ok(times.includes(first.at) && last.at > first.at && written > 0.9 * least - rest && written < 1.2 * most + rest, `${written} bytes, want ${least} to ${most}`);
  await page.goto(task.url);
  await updates(page, 1);
}

async function hostile(page) {
  await page.fill('#filter', 'onerror');
  await eventually(async () => assert.match((await names(page)).join('\n'), /^<img.*$/, 'a group with markup in its name'));
  await page.click('#rows tr:not(.pad)');
  await page.waitForSelector('#group-body table');
  assert.ok((await page.textContent('#group-name')).startsWith('<img'));
  await page.waitForSelector('#processes tbody tr');
  await shows(page, '#processes td.command', /<img onerror=x>/);
  assert.equal(await page.$('main img'), null);
  await page.goBack();
  await page.waitForSelector('#overview:not([hidden])');
  await page.fill('#filter', '');
}

// Starts an exporter, kills it and starts it again on the same address.
async function restart(page) {
  let child;
  const start = (address) => new Promise((resolve, reject) => {
    child = spawn(task.exporter[0], [...task.exporter.slice(1), '--web.listen-address', address], {stdio: ['ignore', 'ignore', 'pipe']});
    let log = '';
    child.stderr.on('data', (text) => {
      log += text;
      const found = log.match(/msg="Listening on" address=(\S+)/);
      if (found) resolve(found[1]);
    });
    child.on('exit', () => reject(new Error(`the exporter has exited: ${log}`)));
  });
  const stop = () => new Promise((resolve) => { child.removeAllListeners('exit').on('exit', resolve); child.kill('SIGKILL'); });
  try {
    const address = await start('127.0.0.1:0');
    let go; // a second update would replace the values of the first
    const gate = new Promise((resolve) => { go = resolve; });
    let requests = 0;
    await page.route('**/api/v1/groups', async (route) => {
      if (requests++ > 0) await gate;
      await route.continue();
    });
    await page.goto(`http://${address}/`);
    await page.waitForFunction(() => document.querySelector('#count').textContent.includes('measuring, 1 s'));
    const cut = await page.$$eval('#rows td', (all) => all.filter((td) => td.textContent === 'measuring').map((td) => td.scrollWidth > td.clientWidth));
    assert.ok(cut.length > 0 && !cut.includes(true), `measuring in place of dashes, not cut: ${cut}`);
    go();
    await page.fill('#filter', task.busy);
    await updates(page, 2);
    await eventually(async () => assert.ok(!Object.values(await line(page, task.busy)).includes('measuring')));
    await stop();
    await shows(page, '#problem', /^No answer since [0-9:]{8}, retrying\.$/);
    assert.ok(Number(await page.$eval('#overview', (e) => getComputedStyle(e).opacity)) < 1, 'a greyed table');
    assert.equal(await page.$eval('#charts', (e) => getComputedStyle(e).opacity), '1', 'readable charts');
    assert.equal(await page.textContent('#notice'), '');
    await shot(page, 'page-killed');
    await eventually(() => start(address)); // until then, a connection can have its port
    await page.waitForFunction(() => document.querySelector('#problem').textContent === '' && !document.body.classList.contains('stale'));
    assert.match(await page.textContent('#notice'), /^The exporter restarted at [0-9:]{8}; earlier values are gone\.$/);
    await shot(page, 'page-restarted');
  } finally {
    await stop();
  }
  page.complaints.splice(0); // failed requests
}

async function accessible(path) {
  const page = await visit({bypassCSP: true});
  await page.goto(task.url + path);
  await updates(page, 1);
  await page.evaluate(axe);
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({colorScheme});
    let violations, current;
    do { // a page without an answer is gray
      await page.waitForSelector('body:not(.stale)');
      ({violations} = await page.evaluate(() => window.axe.run()));
      current = await page.$('body:not(.stale)');
    } while (!current);
    const bad = violations.filter((v) => v.impact === 'serious' || v.impact === 'critical');
    assert.deepEqual(bad.map((v) => `${v.id}: ${v.help}: ${v.nodes[0].html}`), [], `${colorScheme} ${path}`);
  }
  await leave(page);
}

// memoryHistory opens the page in a window that is wide enough for the history of resident memory, and
// checks that another one does not request it.
async function memoryHistory() {
  for (const [width, shown] of [[1600, true], [1280, false]]) {
    const page = await visit({viewport: {width, height: 800}}), requests = [];
    page.on('request', (r) => { if (r.url().includes('api/v1/groups')) requests.push(new URL(r.url()).search); });
    await open(page);
    await updates(page, 2);
    const cells = page.locator('#rows tr:not(.pad) td.history:visible');
    await page.fill('#filter', task.busy);
    await eventually(async () => assert.equal(await cells.count(), shown ? 2 : 1, `histories at ${width} pixels`));
    assert.equal(requests.every((q) => q === (shown ? '?history=resident_bytes' : '')), true, `requests at ${width} pixels: ${requests}`);
    if (shown) {
      await shows(page, '#head th.history:nth-child(6)', /^Last .*, ≤ [0-9.]+ [KMG]iB$/);
      await page.waitForFunction(() => document.querySelector('#rows tr:not(.pad) td:nth-child(6) path').getAttribute('d').length > 10);
      await shot(page, 'page-wide');
    }
    await leave(page);
  }
}

// inputs sort, filter and open a group, and return.
const inputs = {
  sort_by_processes: () => document.querySelectorAll('#head button')[1].click(),
  sort_by_name: () => document.querySelectorAll('#head button')[0].click(),
  filter: () => window.type('group 1'),
  filter_more: () => window.type('group 12'),
  filter_nothing: () => window.type(''),
  open: () => document.querySelector('#rows a').click(),
  back: () => history.back(),
};

// interact does an input, and returns the milliseconds until its frame, and of them the CPU time of the
// thread that runs the page. The CPU time does not depend on other processes.
async function interact(page, session, input) {
  const cpu = async () => (await session.send('Performance.getMetrics')).metrics.find((m) => m.name === 'TaskDuration').value;
  const before = await cpu();
  const total = await page.evaluate(`(async () => {
    const begin = performance.now();
    (${input})();
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    return performance.now() - begin;
  })()`);
  return {total, cpu: 1000 * (await cpu() - before)};
}

// interactions returns the longest time of an input, and the CPU time of each.
async function interactions(page) {
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable', {timeDomain: 'threadTicks'});
  await page.evaluate(() => {
    const filter = document.querySelector('#filter');
    window.type = (text) => { filter.value = text; filter.dispatchEvent(new Event('input')); };
  });
  const out = {interaction_ms: 0, interaction_cpu_ms: {}};
  for (const [name, input] of Object.entries(inputs)) {
    const {total, cpu} = await interact(page, session, input);
    out.interaction_ms = Math.max(out.interaction_ms, total);
    out.interaction_cpu_ms[name] = Math.round(cpu);
  }
  return out;
}

// Time to the first paint, script time of an update with thousands of groups.
async function many(count) {
  const page = await visit();
  await page.route('**/api/v1/groups', async (route) => {
    const report = await (await route.fetch()).json();
    report.groups = Array.from({length: count}, (_, i) => ({
      ...report.groups[i % report.groups.length], group: `group ${i}`, cpu_ratio: Math.random(), cpu_ratio_history: Array.from({length: 60}, Math.random),
    }));
    report.history_timestamps_seconds = Array.from({length: 60}, (_, i) => report.timestamp_seconds - 5 * (59 - i));
    await route.fulfill({json: report});
  });
  await open(page);
  assert.match(await text(page, '#count'), new RegExp(`^${count} groups`));
  await page.$eval('#scroll', (box) => { box.scrollTop = box.scrollHeight; });
  await page.waitForFunction(() => document.querySelector('#rows tr:last-child td').style.height === '0px');
  assert.equal(await page.getAttribute('#rows tr:nth-last-child(2)', 'aria-rowindex'), String(count + 1));
  await updates(page, 3);
  await page.$eval('#scroll', (box) => { box.scrollTop = 0; });
  assert.ok(await page.locator('#rows tr').count() < 80, 'elements for the rows on the screen only');
  assert.equal(await page.getAttribute('#scroll table', 'aria-rowcount'), String(count + 1));
  const interaction = await interactions(page);
  const seen = await page.evaluate(() => ({
    paint: performance.getEntriesByName('first-contentful-paint')[0].startTime,
    updates: performance.getEntriesByName('update').map((e) => e.duration),
  }));
  await leave(page);
  return {groups: count, first_paint_ms: seen.paint, update_ms: Math.max(...seen.updates), ...interaction};
}

let measured = {};

// visits does all that is not in a module.
async function visits(page) {
  await open(page);
  await compare(page);
  await (task.network ? network(page) : withoutNetwork(page));
  if (!task.network) await noneEnded(page);
  if (task.writing) await writes(page);
  if (task.everything) {
    await words(page);
    await drillDown(page);
    await sparklines(page);
    await library(page);
    await charts(page);
    // Each has its own pages, and mostly waits for updates.
    await Promise.all([
      drawn(), recent({task, visit, open, updates, refreshed, eventually, text, leave}), values(), colors(), memoryHistory(), touch(),
    ]);
    await sortAndFilter(page);
    await hostile(page);
    await ended(page);
    await unmatched(page);
    await page.goto(task.url);
    await updates(page, 1);
    if (task.shots) {
      await updates(page, 3);
      await shot(page, 'page');
      const dark = await visit({colorScheme: 'dark'});
      await open(dark);
      await updates(dark, 2);
      await shot(dark, 'page-dark');
    }
    const phone = await visit({viewport: {width: 390, height: 800}});
    await open(phone);
    assert.ok(await phone.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'the page is wider than a phone');
    await shot(phone, 'page-phone');
    assert.deepEqual(phone.complaints, []);
    for (const path of ['', `?group=${task.steady}`, '?filter=there+is+no+such+group']) await accessible(path);
    measured = await many(2000);
    await restart(page);
  }
}

const page = await visit();
try {
  if (task.table) await table({task, page, visit, open, eventually, refreshed, names, text, query, shows, shot, leave});
  else await visits(page);
  assert.deepEqual(page.complaints, []);
} catch (err) {
  console.error(err, 'first page:', page.url(), page.complaints);
  const shown = page.evaluate(() => document.body.innerText.slice(0, 4000)).catch(String);
  console.error(await Promise.race([shown, new Promise((resolve) => setTimeout(resolve, 5000, 'no answer'))]));
  throw err;
} finally {
  await browser.close();
}
console.log(JSON.stringify(measured));
