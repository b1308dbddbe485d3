// Drives the page of `faq demo` in a headless Chromium, as a person would:
//
//   node page.mjs [BASE_URL] [--file FILE --question QUESTION] [--screenshot PNG] [--browser PATH]
//
// Signs in with what the page offers, uploads FILE (a small text of its own by default), asks
// QUESTION about it, reads the streamed answer and its sources, asks on, asks what cannot be
// answered, and deletes the document. Ends with exit code 1 at the first thing that is off: a
// message in the console and a request to another host are, too.

import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

const OWN_TEXT = [
    'Terms of work for keepers',
    '',
    'The keeper of the Quillon lighthouse gets 27 days of leave each year. Days of leave that are ' +
        'not taken lapse on 31 May of the next year.',
    '',
].join('\n');
const OWN_QUESTION = 'How many days of leave does the keeper of the Quillon lighthouse get?';
const UNANSWERABLE = 'Which football club won the championship in Bolivia in 1987?';

const { values: options, positionals } = parseArgs({
    allowPositionals: true,
    options: {
        file: { type: 'string' },
        question: { type: 'string' },
        screenshot: { type: 'string' },
        browser: { type: 'string' },
    },
});
const baseUrl = (positionals[0] ?? 'http://127.0.0.1:3000').replace(/\/+$/, '');
const file = options.file
    ? { name: basename(options.file), buffer: readFileSync(options.file) }
    : { name: 'keepers.txt', buffer: Buffer.from(OWN_TEXT) };
const question = options.question ?? OWN_QUESTION;
const paths = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const browserPath = options.browser ?? paths.find(existsSync);

class Unexpected extends Error {}

function expect(condition, message) {
    if (!condition) throw new Unexpected(message);
}

function told(step, gist = '') {
    console.log(`${step.padEnd(14)} ${gist.replace(/\s+/g, ' ').slice(0, 150)}`);
}

const trouble = [];

async function open(browser) {
    const page = await browser.newPage({ viewport: { width: 1280, height: 860 } });
    page.setDefaultTimeout(120_000);
    page.on('console', (message) => {
        if (message.type() === 'error') trouble.push(`console: ${message.text()}`);
    });
    page.on('pageerror', (error) => trouble.push(`script: ${error}`));
    page.on('request', (request) => {
        if (new URL(request.url()).origin !== new URL(baseUrl).origin) {
            trouble.push(`a request to another host: ${request.url()}`);
        }
    });
    const response = await page.goto(`${baseUrl}/`);
    expect(response.ok(), `${baseUrl}/ answered ${response.status()}`);
    return page;
}

/** Keeps what an element's text has been, from now on. */
async function record(page, selector, name) {
    await page.evaluate(
        ([chosen, key]) => {
            const seen = (window[key] = []);
            const look = () => {
                for (const element of document.querySelectorAll(chosen)) {
                    const text = element.textContent;
                    if (text && seen.at(-1) !== text) seen.push(text);
                }
            };
            new MutationObserver(look).observe(document.body, {
                subtree: true,
                childList: true,
                characterData: true,
            });
        },
        [selector, name],
    );
    return () => page.evaluate((key) => window[key], name);
}

async function signIn(page) {
    const button = page.locator('#sign-in-form [type=submit]');
    await button.click();
    await page.locator('#workspace:not([hidden]), #sign-in-problem .problem').first().waitFor();
    const problem = page.locator('#sign-in-problem .problem');
    expect((await problem.count()) === 0, `sign-in: ${await problem.allTextContents()}`);
    told('signed in', await page.locator('#account').getAttribute('title'));
}

async function upload(page) {
    const states = await record(page, '#documents .document:first-child .state', 'states');
    await page.setInputFiles('#files', { ...file, mimeType: '' });
    const row = page.locator('#documents .document').first();
    await page.waitForFunction((name) => {
        const first = document.querySelector('#documents .document');
        const settled = ['completed', 'failed'].includes(first?.dataset.status);
        return settled && first.querySelector('.name').textContent === name;
    }, file.name);
    const state = await row.locator('.state').textContent();
    const status = await row.getAttribute('data-status');
    expect(status === 'completed', `${file.name} is ${status}: ${state}`);
    const seen = await states();
    expect(seen.length > 1, `no progress was seen, only ${JSON.stringify(seen)}`);
    told('uploaded', seen.join(' -> '));
}

/** Asks, waits for the end, and returns the last turn. */
async function ask(page, text) {
    const stages = await record(page, '.turn:last-child .stage', 'stages');
    const pieces = await record(page, '.turn:last-child .answer', 'pieces');
    await page.fill('#question', text);
    await page.keyboard.press('Enter');
    const turn = page.locator('.turn').last();
    await page.waitForFunction(() => {
        const last = [...document.querySelectorAll('.turn')].at(-1);
        return last && !last.hasAttribute('aria-busy');
    });
    const problems = await turn.locator('.problem').allTextContents();
    expect(problems.length === 0, `"${text}" failed: ${problems}`);
    const seen = await stages();
    expect(seen.length > 0, 'nothing was said while the answer was being made');
    const answer = await turn.locator('.answer').textContent();
    expect(answer.trim() !== '', `"${text}" has an empty answer`);
    return { turn, answer, seen, pieces: await pieces() };
}

async function answered(page) {
    const { turn, answer, seen, pieces } = await ask(page, question);
    expect(
        (await turn.locator('.answer.abstained').count()) === 0,
        `"${question}" was not answered: ${answer}`,
    );
    told('answered', `${seen.join(' -> ')}; in ${pieces.length} steps: ${answer}`);
    const cards = turn.locator('.source');
    const markers = turn.locator('.answer sup a');
    expect((await markers.count()) > 0, `"${answer}" has no marker`);
    expect((await cards.count()) > 0, `"${answer}" has no source`);
    for (const marker of await markers.all()) {
        const target = (await marker.getAttribute('href')).slice(1);
        await marker.click();
        const focused = await page.evaluate(() => document.activeElement?.id);
        expect(focused === target, `the marker ${target} led to ${focused}`);
    }
    const quotes = await cards.locator('blockquote').allTextContents();
    told('sources', `${await markers.count()} markers, ${await cards.count()} cards: ${quotes[0]}`);

    await cards.first().getByRole('button').click();
    const mark = page.locator('#passage mark');
    await mark.waitFor();
    const shown = await mark.textContent();
    expect(shown === quotes[0], `the document shows "${shown}", the source "${quotes[0]}"`);
    told('in document', await page.locator('#passage-range').textContent());
    await page.keyboard.press('Escape');
}

async function askOn(page) {
    const { answer } = await ask(page, 'And when do they lapse?');
    told('followed up', answer);
    await page.fill('#question', '   ');
    await page.keyboard.press('Enter');
    expect((await page.locator('.turn').count()) === 2, 'an empty question was sent');
    await page.click('#new');
    expect((await page.locator('.turn').count()) === 0, 'the old conversation is still there');
}

async function abstained(page) {
    const { turn, answer } = await ask(page, UNANSWERABLE);
    expect(
        (await turn.locator('.answer.abstained').count()) === 1,
        `"${UNANSWERABLE}" was answered: ${answer}`,
    );
    expect((await turn.locator('.source').count()) === 0, 'an abstention has sources');
    const why = await turn.locator('.note').textContent();
    told('abstained', `${answer} ${why}`);
}

async function onPhones(page) {
    await page.setViewportSize({ width: 360, height: 740 });
    for (const view of ['documents', 'ask']) {
        await page.click(`[data-show=${view}]`);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        expect(wide <= 360, `the view ${view} is ${wide} px wide on a phone of 360 px`);
    }
    await page.setViewportSize({ width: 1280, height: 860 });
    told('on a phone', 'fits 360 px');
}

async function remove(page) {
    const rows = page.locator('#documents .document');
    const before = await rows.count();
    await rows.first().getByRole('button').click();
    await page.click('#confirm [value=delete]');
    await page.waitForFunction(
        (n) => document.querySelectorAll('#documents .document').length === n,
        before - 1,
    );
    told('deleted', await page.locator('#announce').textContent());
}

async function reference(page) {
    await page.goto(`${baseUrl}/docs`);
    await page.locator('.operation').first().waitFor();
    told('reference', `${await page.locator('.operation').count()} operations on /docs`);
}

async function visit(browser) {
    const page = await open(browser);
    await page.locator('#sign-in:not([hidden])').waitFor();
    await signIn(page);
    await upload(page);
    await answered(page);
    if (options.screenshot) await page.screenshot({ path: options.screenshot });
    await askOn(page);
    await abstained(page);
    await onPhones(page);
    await remove(page);
    await page.click('#sign-out');
    await page.locator('#sign-in:not([hidden])').waitFor();
    await reference(page);
    expect(trouble.length === 0, trouble.join('\n'));
}

let browser;
try {
    expect(browserPath, `no browser at ${paths.join(' or ')}; name one with --browser`);
    browser = await chromium.launch({
        executablePath: browserPath,
        args: [
            '--no-sandbox',
            '--disable-gpu',
            '--disable-background-networking',
            '--disable-sync',
        ],
    });
    await visit(browser);
    console.log('the page is as expected');
} catch (error) {
    const shown = error instanceof Unexpected ? error.message : (error.stack ?? error);
    console.error(`\nthe page is not as expected: ${shown}`);
    if (trouble.length > 0) console.error(trouble.join('\n'));
    process.exitCode = 1;
} finally {
    await browser?.close();
}
