// Tests of the table of groups and of the list of processes.
import assert from 'node:assert/strict';

let harness; // the functions and the task of browser.mjs

// table runs all tests.
export async function table(h) {
  harness = h;
  await h.open(h.page);
  await finds(h.page);
  await firstScreen();
  await inPlace(h.page);
  await clicks();
  await gone();
  await phone();
  await touchZoom();
}

// pidsOf returns the PIDs of processes that the API lists.
async function pidsOf(page, parameters) {
  const {processes} = await (await page.request.get(new URL(`api/v1/processes?${parameters}`, harness.task.url).href)).json();
  return processes.map((p) => p.pid);
}

// cells returns the names and titles of the first cells of the rows.
const cells = (page) => page.$$eval('#rows tr:not(.pad) td:first-child', (all) => all.map((td) => ({name: td.textContent, title: td.title})));

// contain checks that each name or title contains a text.
function contain(all, wanted) {
  for (const cell of all) assert.ok(`${cell.name}\n${cell.title}`.includes(wanted), `the filter ${wanted} shows ${cell.name}`);
}

// finds types a PID, a name and a part of a command: the filter shows the group, and the process because of which it does.
// The digits of a PID can also be in the name or in a command of another group.
async function finds(page) {
  const {task, eventually, text, shot} = harness;
  for (const [typed, shown] of [...(await pidsOf(page, 'group=servers')).map((pid) => [String(pid), `servers  PID ${pid} ${task.steady}`]),
    [task.steady.toUpperCase(), /^servers {2}PID [0-9]+ steady[0-9a-z]+$/], [`while : ${task.busy}`, /^loops {2}PID [0-9]+ /]]) {
    await page.fill('#filter', typed);
    await eventually(async () => {
      const got = await cells(page), isPID = typeof shown === 'string';
      const row = got.find((cell) => (isPID ? cell.name === shown : shown.test(cell.name)));
      assert.ok(row && (isPID || got.length === 1), `groups with a process ${typed}: ${got.map((cell) => cell.name)}`);
      assert.match(row.title, /\nPID [0-9]+ .*: ./);
      if (isPID) contain(got, typed);
    });
  }
  await shot(page, 'page-found');
  await page.click('#rows tr:not(.pad) a');
  await harness.shows(page, '#group-name', /^loops$/);
  await page.goBack();
  const [ignored] = await pidsOf(page, `find=${task.ignored}`);
  for (const typed of [String(ignored), task.ignored]) {
    await page.fill('#filter', typed);
    await eventually(async () => {
      const got = await cells(page);
      contain(got, typed);
      if (got.length === 0) assert.match(await text(page, '#count'), new RegExp(`^0 of [0-9]+ groups, and PID ${ignored} ${task.ignored} in no group$`));
    });
  }
  await page.fill('#filter', '');
}

// firstScreen checks that the processes of a group are on the screen, above the charts.
async function firstScreen() {
  const {task, visit, leave, shot} = harness, page = await visit();
  await page.goto(`${task.url}?group=servers`);
  const last = page.locator('#processes tbody tr:last-child');
  await page.waitForSelector('#plots canvas');
  const row = await last.boundingBox(), charts = await page.locator('#plots').boundingBox();
  assert.ok(row.y + row.height < 800 && row.y < charts.y, `the last process at ${row.y}, charts at ${charts.y}`);
  await shot(page, 'page-group-first');
  await leave(page);
}

// kept checks that an update keeps elements, and that the first of them keeps the focus.
async function kept(page, selectors) {
  for (const selector of selectors) {
    await page.waitForSelector(selector);
    await page.focus(selector);
    const before = await page.$(selector);
    await harness.refreshed(page);
    assert.ok(await before.evaluate((e) => e.isConnected), `${selector} is another element after an update`);
    assert.ok(await before.evaluate((e) => e === document.activeElement || e.tabIndex < 0), `${selector} has lost the focus`);
  }
}

// inPlace checks that updates change elements in place.
async function inPlace(page) {
  const {task, visit, leave} = harness, {exporter} = await (await page.request.get(new URL('api/v1/groups', task.url).href)).json();
  await page.fill('#filter', 'servers'); // of many groups, the table keeps only the rows on the screen
  await kept(page, ['#rows a', '#machine dd', '#exporter dd', ...(exporter.source === 'bpf' ? ['#machine a'] : [])]);
  await page.click('#unmatched summary');
  await kept(page, ['#unmatched-body thead button', '#unmatched-body .scrollable']);
  await page.click('#unmatched summary');
  await page.fill('#filter', '');
  const group = await visit();
  await group.goto(`${task.url}?group=${exporter.source === 'bpf' ? task.failing : 'servers'}`);
  const regions = exporter.source === 'bpf' ? ['#ended .scrollable'] : [];
  await kept(group, ['#processes thead th:nth-child(6) button', '#processes .scrollable', '#group-head dd', '#group-body td', ...regions]);
  await leave(group);
}

// clicks checks that an update between press and release does not move what is pressed.
async function clicks() {
  const {visit, leave, open, eventually, query} = harness, page = await visit();
  let number = 0;
  await page.route('**/api/v1/groups', async (route) => { // another order in each response
    const report = await (await route.fetch()).json(), cpu = number++ % 2;
    const group = (name, cpu_ratio) => ({group: name, num_procs: 1, cpu_ratio});
    await route.fulfill({json: {...report, groups: [group('loops', cpu), group('servers', 1 - cpu)]}});
  });
  await open(page);
  await page.waitForSelector('#plots canvas'); // the charts move the table
  await harness.refreshed(page);
  const row = page.locator('#rows tr:not(.pad)').first();
  await row.scrollIntoViewIfNeeded();
  const pressed = await row.locator('a').textContent(), box = await row.boundingBox();
  await page.mouse.move(box.x + 200, box.y + 10);
  await page.mouse.down();
  const before = number;
  await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
  await eventually(async () => assert.ok(number > before, 'an update during the click'));
  await page.waitForLoadState('networkidle');
  await page.mouse.up();
  await eventually(async () => assert.equal((await query(page)).get('group'), pressed));
  await page.waitForSelector('#processes thead button');
  const button = await page.locator('#processes thead button:text("RSS")').boundingBox();
  await page.mouse.move(button.x + 5, button.y + 5);
  await page.mouse.down();
  const reported = page.waitForResponse((r) => r.url().includes('/processes?'));
  await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange'))); // during the press, the response waits
  await page.waitForLoadState('networkidle');
  await page.mouse.up();
  await eventually(async () => assert.equal((await query(page)).get('processes'), '-resident_bytes'));
  await reported;
  await leave(page);
}

// gone shows made-up groups, of which some have no processes.
async function gone() {
  const {visit, leave, open, eventually, names} = harness, page = await visit();
  await page.route('**/api/v1/groups', async (route) => {
    const report = await (await route.fetch()).json();
    const group = (name, num_procs, cpu_ratio) => ({group: name, num_procs, cpu_ratio});
    await route.fulfill({json: {...report, groups: [group('a', 0, 0), group('b', 1, 0), group('c', 0, 0), group('d', 1, 1)]}});
  });
  await open(page);
  await eventually(async () => assert.deepEqual(await names(page), ['d', 'b', 'a', 'c'], 'groups without processes are last'));
  assert.deepEqual(await page.$$eval('#rows tr:not(.pad) td:nth-child(2)', (all) => all.map((td) => td.textContent)), ['1', '1', 'none', 'none']);
  const colors = await page.$$eval('#rows tr:not(.pad) a', (all) => all.map((a) => getComputedStyle(a).color));
  assert.ok(colors[0] === colors[1] && colors[1] !== colors[2] && colors[2] === colors[3], `colors of names: ${colors}`);
  assert.match(await harness.text(page, '#count'), /^4 groups, 2 without processes/);
  await page.click('#head th:first-child button');
  await eventually(async () => assert.deepEqual(await names(page), ['a', 'b', 'c', 'd'], 'the order of names'));
  await leave(page);
}

// phone checks that a narrow screen shows all values of processes.
async function phone() {
  const {task, visit, leave, shot} = harness, page = await visit({viewport: {width: 390, height: 800}, hasTouch: true, isMobile: true});
  await page.goto(`${task.url}?group=servers`);
  await page.waitForSelector('#processes td.command');
  const more = await page.$eval('#processes td.command', (td) => getComputedStyle(td, '::after').content);
  assert.match(more, /^"User .+, Started .+ ago, State [RSD], Threads 1, Read\/s .+, Write\/s /);
  await shot(page, 'page-phone-processes');
  await leave(page);
}

// touchZoom drags a finger over a chart, which selects a range.
async function touchZoom() {
  const {visit, leave, open, eventually, query} = harness, page = await visit({viewport: {width: 390, height: 800}, hasTouch: true, isMobile: true});
  await open(page);
  await page.waitForFunction(async () => (await (await fetch('api/v1/history')).json()).timestamps_seconds.length >= 3);
  await harness.refreshed(page);
  const session = await page.context().newCDPSession(page), over = page.locator('#plots figure .u-over').first();
  await eventually(async () => {
    await over.scrollIntoViewIfNeeded();
    const box = await over.boundingBox(), touch = (type, part) => session.send('Input.dispatchTouchEvent',
      {type, touchPoints: part === undefined ? [] : [{x: box.x + box.width * part, y: box.y + box.height / 2}]});
    await touch('touchStart', 0.3);
    for (const part of [0.4, 0.5, 0.6, 0.7]) await touch('touchMove', part);
    await touch('touchEnd');
    assert.notEqual((await query(page)).get('from'), null, 'the start of the selected range');
  });
  await page.waitForSelector('#unzoom:not([hidden])');
  assert.ok((await query(page)).get('to') > (await query(page)).get('from'));
  await leave(page);
}
