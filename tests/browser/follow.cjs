// Watches a dashboard in a real Chromium until it has shown two looks more, with its script and without any, and says what is
// wrong with that, as a JSON list of texts; an empty one is good.
//   node follow.cjs MODULES URL
'use strict';

const path = require('path');
const { chromium } = require(path.join(process.argv[2], 'playwright-core'));
const url = process.argv[3];

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];
const LOOKED = 'header .muted';

async function seeTwoMore(page) {
  for (let nth = 0; nth < 2; nth += 1) {
    const before = await page.locator(LOOKED).textContent();
    await page.waitForFunction(
      ([where, text]) => document.querySelector(where) && document.querySelector(where).textContent !== text,
      [LOOKED, before],
      { timeout: 60000 },
    );
  }
}

async function main() {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: FLAGS });
  const faults = [];
  const page = await browser.newPage({ viewport: { width: 390, height: 800 } });
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (said) => { if (said.type() === 'error') faults.push(said.text()); });
  await page.goto(url, { waitUntil: 'load' });
  await page.evaluate(() => { document.querySelector('.picture').scrollLeft = 150; window.mark = 'still here'; });
  await seeTwoMore(page);
  const [left, mark] = await page.evaluate(() => [document.querySelector('.picture').scrollLeft, window.mark]);
  if (left !== 150) faults.push(`the picture was scrolled to 150 and stands at ${left}`);
  if (mark !== 'still here') faults.push('the page was loaded anew although it has a script');

  const plain = await browser.newContext({ javaScriptEnabled: false });
  const still = await plain.newPage();
  await still.goto(url, { waitUntil: 'load' });
  const before = await still.locator(LOOKED).textContent();
  // A reload may come before the next look is over: one of the first few shows it.
  let reloads = 0;
  do {
    await still.waitForEvent('load', { timeout: 60000 });
    reloads += 1;
  } while (reloads < 5 && before === await still.locator(LOOKED).textContent());
  if (await still.locator('svg').count() === 0) faults.push('no picture without a script');
  if (before === await still.locator(LOOKED).textContent()) faults.push(`the same look after ${reloads} reloads`);
  await browser.close();
  process.stdout.write(JSON.stringify(faults));
}

main().catch((error) => {
  process.stderr.write(`${error}\n`);
  process.exit(1);
});
