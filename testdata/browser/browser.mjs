// browser.mjs TASK: opens the page of the exporter as described in TASK (JSON), uses it, and fails at
// the first error. It prints measurements as JSON.
import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';

const require = createRequire(process.env.PAGE_MODULES + '/');
const {chromium} = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const task = JSON.parse(process.argv[2]);
const browser = await chromium.launch({
  executablePath: task.chromium,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});

async function visit(options = {}) {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    httpCredentials: task.user ? {username: task.user, password: task.password} : undefined,
    viewport: {width: 1280, height: 800},
    ...options,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.complaints = [];
  page.on('console', (m) => { if (m.type() === 'error' || m.type() === 'warning') page.complaints.push(m.text()); });
  page.on('pageerror', (err) => page.complaints.push(String(err)));
  await page.exposeFunction('complain', (text) => page.complaints.push(text));
  await page.addInitScript(() => document.addEventListener('securitypolicyviolation',
    (event) => window.complain(`policy: ${event.violatedDirective} ${event.blockedURI}`)));
  return page;
}

const updates = (page, n) => page.waitForFunction((n) => Number(document.body.dataset.updates || 0) >= n, n);
const names = (page) => page.$$eval('#rows tr:not(.pad) td:first-child', (cells) => cells.map((c) => c.textContent));
const line = (page, name) => page.$$eval('#rows tr:not(.pad)', (rows, name) => {
  const row = rows.find((r) => r.children[0].textContent === name);
  return row && [...row.children].map((c) => c.textContent);
}, name);

async function open(page) {
  const answer = await page.goto(task.url);
  assert.equal(answer.status(), 200);
  await updates(page, 1);
}

// Values of idle groups must equal those of /metrics.
async function compare(page) {
  const metrics = await (await page.request.get(new URL('metrics', task.url).href)).text();
  const value = (metric, labels) => {
    const found = metrics.split('\n').find((l) => l.startsWith(`namedprocess_namegroup_${metric}{${labels}} `));
    return Number(found.split(' ').pop());
  };
  await page.fill('#filter', task.steady);
  const shown = await line(page, task.steady);
  assert.ok(shown, `no row of ${task.steady}`);
  const group = `groupname="${task.steady}"`;
  assert.equal(Number(shown[1]), value('num_procs', group), 'processes');
  assert.equal(Number(shown[8]), value('open_filedesc', group), 'files');
  assert.equal(Number(shown[10]), value('num_threads', group), 'threads');
  const told = await (await page.request.get(new URL(`api/v1/groups?group=${task.steady}`, task.url).href)).json();
  assert.equal(told.groups[0].resident_bytes, value('memory_bytes', `${group},memtype="resident"`), 'resident');
  await page.fill('#filter', '');
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
  await page.fill('#filter', task.busy.toUpperCase());
  assert.deepEqual(await names(page), [task.busy]);
  await updates(page, 2);
  const cpu = parseFloat((await line(page, task.busy))[2]);
  assert.ok(cpu > 5, `a process that never sleeps uses ${cpu} %`);
  await page.fill('#filter', 'there is no such group');
  assert.deepEqual(await names(page), []);
  await page.fill('#filter', '');
}

async function drillDown(page) {
  await page.fill('#filter', task.steady);
  await page.focus('#rows button');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#detail[open] table');
  assert.equal(await page.textContent('#detail-name'), task.steady);
  const text = await page.textContent('#detail-body');
  assert.match(text, /Rule 1: /);
  assert.match(text, /Sleeping/);
  if (task.shots) await page.screenshot({path: task.shots + '/page-detail.png'});
  await page.keyboard.press('Escape');
  await page.waitForSelector('#detail:not([open])', {state: 'hidden'});
  await page.fill('#filter', '');
}

async function hostile(page) {
  await page.fill('#filter', 'onerror');
  const got = await names(page);
  assert.equal(got.length, 1, 'a group with markup in its name');
  assert.ok(got[0].startsWith('<img'), got[0]);
  assert.equal(await page.$('#rows img'), null);
  await page.fill('#filter', '');
}

async function accessible(colorScheme) {
  const page = await visit({bypassCSP: true, colorScheme});
  await open(page);
  await page.evaluate(axe);
  const {violations} = await page.evaluate(() => window.axe.run());
  const bad = violations.filter((v) => v.impact === 'serious' || v.impact === 'critical');
  assert.deepEqual(bad.map((v) => `${v.id}: ${v.help}: ${v.nodes[0].html}`), [], colorScheme);
  await page.context().close();
}

// Time to the first paint and script time of an update with thousands of groups.
async function many(count) {
  const page = await visit();
  await page.route('**/api/v1/groups', async (route) => {
    const report = await (await route.fetch()).json();
    report.groups = Array.from({length: count}, (_, i) => ({
      ...report.groups[i % report.groups.length], group: `group ${i}`, cpu_ratio: Math.random(), cpu_ratio_history: Array.from({length: 60}, Math.random),
    }));
    await route.fulfill({json: report});
  });
  await open(page);
  assert.equal(await page.textContent('#count'), `${count} groups`);
  await page.$eval('#scroll', (box) => { box.scrollTop = box.scrollHeight; });
  await page.waitForFunction(() => document.querySelector('#rows tr:last-child td').style.height === '0px');
  await updates(page, 3);
  const seen = await page.evaluate(() => ({
    paint: performance.getEntriesByName('first-contentful-paint')[0].startTime,
    updates: performance.getEntriesByName('update').map((e) => e.duration),
  }));
  await page.context().close();
  return {groups: count, first_paint_ms: seen.paint, update_ms: Math.max(...seen.updates)};
}

let measured = {};
try {
  const page = await visit();
  await open(page);
  await compare(page);
  if (task.everything) {
    await sortAndFilter(page);
    await drillDown(page);
    await hostile(page);
    await page.reload();
    await updates(page, 1);
    if (task.shots) {
      await updates(page, 3);
      await page.screenshot({path: task.shots + '/page.png'});
      const dark = await visit({colorScheme: 'dark'});
      await open(dark);
      await dark.screenshot({path: task.shots + '/page-dark.png'});
    }
    const phone = await visit({viewport: {width: 390, height: 800}});
    await open(phone);
    assert.ok(await phone.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'the page is wider than a phone');
    if (task.shots) await phone.screenshot({path: task.shots + '/page-phone.png'});
    assert.deepEqual(phone.complaints, []);
    await accessible('light');
    await accessible('dark');
    measured = await many(2000);
  }
  assert.deepEqual(page.complaints, []);
} finally {
  await browser.close();
}
console.log(JSON.stringify(measured));
