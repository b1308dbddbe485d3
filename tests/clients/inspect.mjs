// Opens pages that `faq inspect --html` wrote in a headless Chromium:
//
//   node inspect.mjs PAGE.html=BLOCKS... [--screenshot PNG] [--browser PATH]
//
// BLOCKS is the number of blocks that the page has to show. Checks that nothing is said in the
// console and nothing is asked of anybody, that each block stands in the text once, that the
// boxes drawn lie within their pages, that a box and its text light up together and lead to each
// other, that links lead to the web alone, and that the page is not wider than a phone. Ends with
// exit code 1 at the first thing that is off.

import { existsSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

const { values: options, positionals } = parseArgs({
    allowPositionals: true,
    options: { screenshot: { type: 'string' }, browser: { type: 'string' } },
});
const paths = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const browserPath = options.browser ?? paths.find(existsSync);

class Unexpected extends Error {}

function expect(condition, message) {
    if (!condition) throw new Unexpected(message);
}

// What is drawn and written, measured in the page itself.
function measure() {
    const strays = [];
    const drawn = new Set();
    for (const box of document.querySelectorAll('.box')) {
        const paper = box.closest('.sheet').getBoundingClientRect();
        const own = box.getBoundingClientRect();
        drawn.add(box.dataset.block);
        const inside =
            own.left >= paper.left - 1 && own.right <= paper.right + 1 &&
            own.top >= paper.top - 1 && own.bottom <= paper.bottom + 1;
        if (!inside || own.width < 1 || own.height < 1) strays.push(box.dataset.block);
    }
    const written = [...document.querySelectorAll('.block')].map((block) => block.dataset.block);
    const astray = [...document.querySelectorAll('.text a')].filter(
        (link) => !/^(https?|mailto):/.test(link.href) || !link.relList.contains('noopener'),
    );
    return {
        astray: astray.map((link) => link.href),
        strays,
        written,
        drawn: [...drawn],
        sheets: document.querySelectorAll('.sheet').length,
        wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    };
}

async function look(browser, file, blocks) {
    const trouble = [];
    const page = await browser.newPage({ viewport: { width: 1400, height: 1000 } });
    page.on('console', (message) => trouble.push(`console: ${message.text()}`));
    page.on('pageerror', (error) => trouble.push(`script: ${error}`));
    const address = pathToFileURL(file).href;
    page.on('request', (request) => {
        if (request.url().split('#')[0] !== address) trouble.push(`a request: ${request.url()}`);
    });
    await page.goto(address);
    const found = await page.evaluate(measure);
    expect(found.written.length === blocks, `${found.written.length} blocks, not ${blocks}`);
    expect(new Set(found.written).size === blocks, 'a block is written twice');
    expect(found.strays.length === 0, `boxes outside of their pages: ${found.strays}`);
    expect(found.astray.length === 0, `links that lead astray: ${found.astray}`);
    if (found.sheets > 0) {
        expect(found.drawn.length === blocks, `${found.drawn.length} blocks drawn, not ${blocks}`);
        await page.hover('#p1');
        expect(await page.locator('#b1.lit').count() === 1, 'the text does not light up');
        await page.click('#p1');
        expect(page.url().endsWith('#b1'), 'a box does not lead to its text');
        await page.click('#b1 .what a');
        expect(page.url().endsWith('#p1'), 'a text does not lead to its box');
        await page.goto(address);
    }
    if (options.screenshot) await page.screenshot({ path: options.screenshot });
    await page.setViewportSize({ width: 360, height: 740 });
    const phone = await page.evaluate(measure);
    expect(phone.wide <= 0, `the page is ${phone.wide} pixels wider than a phone`);
    expect(phone.strays.length === 0, `boxes outside of their pages: ${phone.strays}`);
    expect(trouble.length === 0, trouble.join('\n'));
    await page.close();
    console.log(`${file}: ${blocks} blocks, ${found.drawn.length} of them drawn`);
}

let browser;
try {
    expect(browserPath, `no browser at ${paths.join(' or ')}; name one with --browser`);
    browser = await chromium.launch({ executablePath: browserPath, args: ['--no-sandbox'] });
    for (const task of positionals) {
        const [file, blocks] = task.split('=');
        await look(browser, file, Number(blocks));
    }
} catch (error) {
    console.error(error instanceof Unexpected ? error.message : error);
    process.exitCode = 1;
} finally {
    await browser?.close();
}
