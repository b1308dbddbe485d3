// Questions and answers: the stream of an answer, its markers, its sources, and their places in
// the documents.

import { ApiError } from './api.js';
import { announce, byId, count, el, problem } from './dom.js';

const STAGES = {
    searching: 'Searching the documents',
    reading: 'Reading what was found',
    writing: 'Writing the answer',
};

/** Why there is no answer, and what may help. */
const REASONS = {
    no_hits: 'The search found no passage at all. Is the right document uploaded?',
    below_threshold:
        'Passages were found, but none close enough to rely on. It may help to name what you mean.',
    unsupported:
        'Related passages were found, but none of them states the answer, so nothing was made up.',
};

/** Characters of a document that are shown on each side of a source's text. */
const AROUND = 1500;

export class Chat {
    #api;
    #conversation = null;
    #turns = 0;
    #running = null;

    constructor(api) {
        this.#api = api;
        this.restart();
    }

    get busy() {
        return this.#running !== null;
    }

    /** Begins a new conversation. */
    restart() {
        this.stop();
        this.#conversation = null;
        for (const turn of document.querySelectorAll('.turn')) turn.remove();
        byId('welcome').hidden = false;
        byId('new').hidden = true;
        byId('context').textContent = 'A new conversation';
    }

    /** Ends the answer that is being given, if any. */
    stop() {
        this.#running?.abort();
    }

    async ask(question) {
        if (this.busy) return;
        const running = new AbortController();
        this.#running = running;
        this.#turns += 1;
        const turn = new Turn(question, `a${this.#turns}`, (source) => this.#open(source));
        byId('welcome').hidden = true;
        byId('thread').append(turn.element);
        turn.element.scrollIntoView({ block: 'start' });
        setRunning(true);
        try {
            await this.#stream(question, turn, running.signal);
        } catch (error) {
            if (error.name === 'AbortError' || running.signal.aborted) {
                turn.stopped();
            } else {
                turn.failed(error, () => {
                    if (this.busy) return;
                    turn.element.remove();
                    this.ask(question);
                });
            }
        } finally {
            this.#running = null;
            setRunning(false);
        }
    }

    async #stream(question, turn, signal) {
        const path = '/v1/chat/stream';
        const body = { query: question, conversation_id: this.#conversation };
        try {
            for await (const event of this.#api.events(path, body, signal)) {
                if (signal.aborted) return turn.stopped();
                if (event.conversation_id) this.#continue(event.conversation_id);
                if (event.type === 'error') throw problemOf(event);
                turn.take(event);
                if (event.type === 'final') return;
            }
        } catch (error) {
            if (error instanceof ApiError || error.name === 'AbortError') throw error;
            console.error(error);
        }
        throw new ApiError({ message: 'the connection ended before the answer was complete' });
    }

    #continue(id) {
        this.#conversation = id;
        byId('new').hidden = false;
        byId('context').textContent = 'Follow-ups are understood';
    }

    /** Shows a source where it stands in its document. */
    async #open(source) {
        const dialog = byId('passage');
        byId('passage-title').textContent = source.filename;
        byId('passage-place').textContent = place(source).join(' · ');
        byId('passage-range').textContent = '';
        const opening = el('p', { class: 'hint', text: 'Opening the document' });
        byId('passage-text').replaceChildren(opening);
        dialog.showModal();
        try {
            const path = `/v1/documents/${source.document_id}/content`;
            const { text } = await this.#api.call('GET', path);
            showPassage(text, source.utf16_range);
        } catch (error) {
            byId('passage-text').replaceChildren(problem(error));
        }
    }
}

function setRunning(running) {
    byId('send').hidden = running;
    byId('stop').hidden = !running;
}

function problemOf({ error, code, request_id: requestId }) {
    return new ApiError({ message: error ?? 'the answer failed', code, requestId });
}

/** Page and headings of a source, where it has them. */
function place({ page, heading }) {
    const parts = [];
    if (page) parts.push(`page ${page}`);
    if (heading) parts.push(heading.replaceAll(' > ', ' › '));
    return parts;
}

/** The canonical text around a range, cut at lines or words. */
function showPassage(text, { start, end }) {
    const from = cut(text, Math.max(0, start - AROUND), 1);
    const to = cut(text, Math.min(text.length, end + AROUND), -1);
    const mark = el('mark', { text: text.slice(start, end) });
    const before = (from > 0 ? '…\n' : '') + text.slice(from, start);
    const after = text.slice(end, to) + (to < text.length ? '\n…' : '');
    byId('passage-text').replaceChildren(before, mark, after);
    const number = (n) => n.toLocaleString('en');
    byId('passage-range').textContent =
        `Characters ${number(start)} to ${number(end)} of ${number(text.length)}`;
    mark.scrollIntoView({ block: 'center' });
}

/** The next place from `at` where a text may be cut, so that no word is halved. */
function cut(text, at, step) {
    if (at <= 0 || at >= text.length) return at;
    for (let i = at; Math.abs(i - at) < 80; i += step) {
        if (/\s/.test(text[i])) return i;
    }
    return /[\uDC00-\uDFFF]/.test(text[at]) ? at + 1 : at;
}

/** One question and what came of it. */
class Turn {
    #id;
    #onOpen;
    #stage = el('p', { class: 'stage', role: 'status' });
    #answer = el('div', { class: 'answer', 'aria-live': 'polite' });
    #list = el('ol', { class: 'sources', 'aria-label': 'Sources' });
    #sources = [];
    /** What was shown so far, and the end of it that may be half a marker. */
    #text = '';
    #rest = '';
    #unresolved = false;
    #began = performance.now();

    constructor(question, id, onOpen) {
        this.#id = id;
        this.#onOpen = onOpen;
        this.#say(STAGES.searching);
        this.element = el(
            'article',
            { class: 'turn', 'aria-busy': 'true' },
            el('h2', { class: 'question', text: question }),
            this.#stage,
            this.#answer,
        );
    }

    /** Takes an event of the stream. Those of unknown types mean nothing here. */
    take(event) {
        if (event.type === 'status') this.#say(STAGES[event.stage]);
        else if (event.type === 'sources') this.#cite(event.sources ?? []);
        else if (event.type === 'delta') this.#write(event.text ?? '');
        else if (event.type === 'final') this.#finish(event);
    }

    stopped() {
        this.#end();
        const said = this.#text ? 'Stopped. What stands here is incomplete.' : 'Stopped.';
        this.element.append(el('p', { class: 'note', text: said }));
    }

    failed(error, retry) {
        this.#end();
        const box = problem(error, retry);
        box.setAttribute('role', 'alert');
        this.element.append(box);
    }

    #say(stage) {
        if (stage) this.#stage.textContent = stage;
    }

    #end() {
        this.#stage.remove();
        this.element.removeAttribute('aria-busy');
    }

    #write(text) {
        this.#text += text;
        const all = this.#rest + text;
        const half = /\[\d*$/.exec(all);
        this.#rest = half ? half[0] : '';
        this.#append(half ? all.slice(0, half.index) : all);
    }

    #append(text) {
        for (const piece of text.split(/(\s?\[\d+\])/)) {
            const marker = /^\s?\[(\d+)\]$/.exec(piece);
            if (!marker) {
                this.#answer.append(piece);
            } else if (this.#sources[marker[1] - 1]) {
                this.#answer.append(this.#marker(Number(marker[1])));
            } else {
                this.#unresolved = true;
                this.#answer.append(piece);
            }
        }
    }

    #marker(number) {
        const source = this.#sources[number - 1];
        const link = el('a', {
            href: `#${this.#id}-${number}`,
            'aria-label': `Source ${number}: ${source.filename}`,
            onclick: (event) => {
                event.preventDefault();
                this.#jump(number);
            },
            text: `[${number}]`,
        });
        return el('sup', {}, link);
    }

    #jump(number) {
        const card = byId(`${this.#id}-${number}`);
        for (const other of document.querySelectorAll('.source.chosen')) {
            other.classList.remove('chosen');
        }
        card.classList.add('chosen');
        card.scrollIntoView({ block: 'nearest' });
        card.focus({ preventScroll: true });
    }

    /** Adds those sources that are not there yet, in the order of their numbers. */
    #cite(sources) {
        const key = (s) => `${s.chunk_id} ${s.utf16_range?.start} ${s.utf16_range?.end}`;
        const known = new Set(this.#sources.map(key));
        for (const source of sources) {
            if (known.has(key(source))) continue;
            this.#sources.push(source);
            this.#list.append(this.#card(source, this.#sources.length));
        }
        if (this.#sources.length > 0 && !this.#list.isConnected) this.element.append(this.#list);
    }

    #card(source, number) {
        const { filename, score, text, deleted } = source;
        const head = el(
            'p',
            { class: 'source-head' },
            el('span', { class: 'number', text: number }),
            el('span', { class: 'source-name', text: filename }),
            ...place(source).map((part) => el('span', { class: 'source-place', text: part })),
        );
        const foot = el(
            'p',
            { class: 'source-foot' },
            el('span', {
                title: 'How likely it is that the passage holds the answer, 0 to 1',
                text: `relevance ${Number(score).toFixed(2)}`,
            }),
            el('button', {
                type: 'button',
                class: 'link',
                'aria-label': `Show source ${number} in ${filename}`,
                onclick: () => this.#onOpen(source),
                text: 'Show in document',
            }),
        );
        const quote = el('blockquote', { text: deleted ? 'The document was deleted.' : text });
        return el(
            'li',
            { class: 'source', id: `${this.#id}-${number}`, tabindex: '-1' },
            head,
            quote,
            deleted ? null : foot,
        );
    }

    /** The whole answer is here; the stream's pieces are replaced only where they differ. */
    #finish({ answer, sources, abstained, reason }) {
        const before = this.#sources.length;
        const sameSources =
            before === sources.length &&
            sources.every((s, i) => s.chunk_id === this.#sources[i].chunk_id);
        if (!sameSources) {
            this.#sources = [];
            this.#list.replaceChildren();
            this.#cite(sources);
        }
        if (answer !== this.#text || this.#unresolved || !sameSources) {
            this.#answer.replaceChildren();
            this.#append(answer);
        } else if (this.#rest) {
            this.#append(this.#rest);
        }
        this.#end();
        if (abstained) {
            this.#answer.classList.add('abstained');
            const why = REASONS[reason];
            if (why) this.#answer.after(el('p', { class: 'note', text: why }));
            announce('No answer in the documents.');
        } else {
            const seconds = ((performance.now() - this.#began) / 1000).toFixed(1);
            const said = `${count(sources.length, 'source')}, ${seconds} s`;
            this.#answer.after(el('p', { class: 'sources-title', text: said }));
        }
    }
}
