// Opens pages in a real Chromium and says what is wrong with them, as a JSON list of texts; an empty one is good.
//   node check.cjs MODULES URL...
// MODULES is the node_modules folder with playwright-core. Each page is opened light and dark, narrow and wide.
'use strict';

const path = require('path');
const { chromium } = require(path.join(process.argv[2], 'playwright-core'));
const urls = process.argv.slice(3);

const WIDTHS = [360, 1400];
const SCHEMES = ['light', 'dark'];
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];

// Runs in the page: texts over each other or cut off, and texts too pale for their ground (WCAG 2.2, 1.4.3).
function inspect() {
  const faults = [];
  const say = (node) => `"${node.textContent.trim()}"`;
  // In the picture's own units: a picture that is shown small is rounded to pixels.
  const texts = [...document.querySelectorAll('svg text')].map((node) => ({ node, own: node.getBBox() }));
  const svg = document.querySelector('svg');
  const frame = svg ? svg.viewBox.baseVal : null;
  const slack = 1;
  texts.forEach(({ node, own }, at) => {
    if (own.x < -slack || own.x + own.width > frame.width + slack || own.y + own.height > frame.height + slack) {
      faults.push(`${say(node)} is cut off by the picture's edge`);
    }
    for (const { node: other, own: beside } of texts.slice(0, at)) {
      // A line of text is as high as its letters, not as the font's whole reach.
      const height = (own.height + beside.height) / 2;
      const wide = Math.min(own.x + own.width, beside.x + beside.width) - Math.max(own.x, beside.x);
      const high = Math.min(own.y + own.height, beside.y + beside.height) - Math.max(own.y, beside.y);
      if (wide > slack && high > height * 0.3) faults.push(`${say(node)} and ${say(other)} overlap`);
    }
  });

  const parse = (colour) => (colour.match(/[\d.]+/g) || []).map(Number);
  const luminance = ([r, g, b]) => {
    const linear = [r, g, b].map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const contrast = (one, other) => {
    const [a, b] = [luminance(one), luminance(other)];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  // In a picture, the ground of a text is the last filled box below it; in a page, its nearest ancestor's background.
  const boxes = [...document.querySelectorAll('svg rect')].filter((node) => !node.closest('symbol'));
  const groundInPicture = (node, box) => {
    const [x, y] = [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
    let ground = [255, 255, 255];
    for (const one of boxes) {
      if (!(one.compareDocumentPosition(node) & Node.DOCUMENT_POSITION_FOLLOWING)) continue;
      const fill = getComputedStyle(one).fill;
      const place = one.getBoundingClientRect();
      if (fill !== 'none' && place.left <= x && x <= place.right && place.top <= y && y <= place.bottom) ground = parse(fill);
    }
    return ground;
  };
  for (const { node } of texts) {
    const ground = groundInPicture(node, node.getBoundingClientRect());
    const ratio = contrast(parse(getComputedStyle(node).fill), ground);
    if (ratio < 4.5) faults.push(`${say(node)} has a contrast of ${ratio.toFixed(2)}`);
  }
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || node.closest('svg, script, style')) continue;
    let ground = [255, 255, 255];
    for (let up = node; up; up = up.parentElement) {
      const colour = parse(getComputedStyle(up).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) { ground = colour; break; }
    }
    const ratio = contrast(parse(getComputedStyle(node).color), ground);
    if (ratio < 4.5) faults.push(`"${walker.currentNode.data.trim().slice(0, 40)}" has a contrast of ${ratio.toFixed(2)}`);
  }
  return faults;
}

// Runs in the page: what makes it wider than its window.
function findTooWide() {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width + 1) return [];
  const isIn = (node) => node.getBoundingClientRect().right > width + 1 && !node.closest('.picture > *');
  const widest = [...document.body.querySelectorAll('*')].filter(isIn).slice(-3).map((node) => node.outerHTML.slice(0, 80));
  return [`the page is ${document.documentElement.scrollWidth} pixels wide in a window of ${width}: ${widest.join(', ')}`];
}

// Room between letters and words that a page must bear (WCAG 2.2, 1.4.12); so it also bears a font wider than this machine's.
const SPACED = 'body :not(svg, svg *) { letter-spacing: .12em !important; word-spacing: .16em !important }';

async function main() {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: FLAGS });
  const faults = [];
  for (const url of urls) {
    for (const colorScheme of SCHEMES) {
      for (const width of WIDTHS) {
        const page = await browser.newPage({ colorScheme, viewport: { width, height: 900 } });
        const where = `${path.basename(new URL(url).pathname) || url}, ${colorScheme}, ${width}:`;
        page.on('console', (said) => { if (said.type() === 'error') faults.push(`${where} console: ${said.text()}`); });
        page.on('pageerror', (error) => faults.push(`${where} ${error}`));
        page.on('request', (request) => {
          const { origin } = new URL(url);
          const same = request.url() === url || request.url().startsWith('data:')
            || (origin.startsWith('http') && new URL(request.url()).origin === origin);
          if (!same) faults.push(`${where} asks for ${request.url()}`);
        });
        await page.goto(url, { waitUntil: 'load' });
        for (const fault of await page.evaluate(inspect)) faults.push(`${where} ${fault}`);
        for (const fault of await page.evaluate(findTooWide)) faults.push(`${where} ${fault}`);
        await page.addStyleTag({ content: SPACED });
        for (const fault of await page.evaluate(findTooWide)) faults.push(`${where} with room between letters, ${fault}`);
        await page.close();
      }
    }
  }
  await browser.close();
  process.stdout.write(JSON.stringify(faults));
}

main().catch((error) => {
  process.stderr.write(`${error}\n`);
  process.exit(1);
});
