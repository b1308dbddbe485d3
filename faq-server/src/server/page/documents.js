// The list of documents: what there is, how far its reading is, adding and removing.

import { announce, byId, count, el, problem, size } from './dom.js';

const POLL_MS = { first: 300, most: 4000, pending: 5000 };
const PAGES = 20;

/** What the stages of reading a document are called. */
const STAGES = {
    parse: 'reading',
    chunk: 'cutting into passages',
    embed: 'embedding',
    commit: 'storing',
};

/** The types of files for which a browser may not know a name. */
const TYPES = {
    pdf: 'application/pdf',
    docx: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
    txt: 'text/plain',
    md: 'text/markdown',
    markdown: 'text/markdown',
    html: 'text/html',
    htm: 'text/html',
    xhtml: 'application/xhtml+xml',
    pptx: 'application/vnd.openxmlformats-officedocument.presentationml.presentation',
    xlsx: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
    odt: 'application/vnd.oasis.opendocument.text',
    epub: 'application/epub+zip',
    rtf: 'application/rtf',
    csv: 'text/csv',
    tsv: 'text/tab-separated-values',
    eml: 'message/rfc822',
};

const extension = (name) => (/\.([^.]+)$/.exec(name)?.[1] ?? '').toLowerCase();
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Documents {
    #api;
    #rows = new Map();
    #open = true;

    /** `onList` hears of the documents that can be searched, by name. */
    constructor(api, { mayChange, onList }) {
        this.#api = api;
        this.mayChange = mayChange;
        this.onList = onList;
        byId('upload').hidden = !mayChange;
        byId('drop-hint').hidden = !mayChange;
        byId('documents').replaceChildren();
        byId('documents-problem').replaceChildren();
    }

    /** Ends all polling. */
    close() {
        this.#open = false;
    }

    async load() {
        byId('documents-problem').replaceChildren();
        try {
            for (const document of await this.#list()) this.#show(document, { last: true });
        } catch (error) {
            this.#complain(error, () => this.load());
        }
        this.#counted();
    }

    async #list() {
        const documents = [];
        let cursor = null;
        for (let page = 0; page < PAGES; page += 1) {
            const query = cursor ? `?cursor=${encodeURIComponent(cursor)}` : '';
            const answer = await this.#api.call('GET', `/v1/documents${query}`);
            documents.push(...answer.documents);
            cursor = answer.next_cursor;
            if (!cursor) break;
        }
        return documents;
    }

    /** Sends files one after the other; one that is refused stops no other. */
    async upload(files) {
        if (!this.mayChange) return;
        byId('documents-problem').replaceChildren();
        for (const file of files) await this.#send(file);
    }

    async #send(file) {
        const row = new Row(file.name);
        byId('documents').prepend(row.element);
        byId('no-documents').hidden = true;
        row.busy('announcing');
        try {
            const ticket = await this.#api.call('POST', '/v1/documents/upload', {
                filename: file.name,
                content_type:
                    TYPES[extension(file.name)] ?? (file.type || 'application/octet-stream'),
                size: file.size,
            });
            await this.#api.putFile(ticket, file, (done, total) =>
                row.busy('sending', done, total),
            );
            const path = `/v1/documents/${ticket.document_id}/status`;
            const document = await this.#api.call('GET', path);
            row.element.remove();
            this.#show(document);
        } catch (error) {
            row.refused(error, () => {
                row.element.remove();
                this.#counted();
            });
            announce(`${file.name} was not taken: ${error.message}`);
        }
        this.#counted();
    }

    #show(document, { last = false } = {}) {
        const id = document.document_id;
        let row = this.#rows.get(id);
        if (!row) {
            const remove = this.mayChange ? () => this.#remove(id) : null;
            row = new Row(document.filename, remove);
            this.#rows.set(id, row);
            byId('documents')[last ? 'append' : 'prepend'](row.element);
            if (!['completed', 'failed'].includes(document.status)) this.#follow(id);
        }
        row.show(document);
    }

    /** Asks for a document's status until there is nothing more to come. */
    async #follow(id) {
        let pause = POLL_MS.first;
        while (this.#open && this.#rows.has(id)) {
            await wait(pause);
            if (!this.#open || !this.#rows.has(id)) return;
            try {
                const document = await this.#api.call('GET', `/v1/documents/${id}/status`);
                const row = this.#rows.get(id);
                if (!row) return;
                const moved = row.show(document);
                if (document.status === 'completed' || document.status === 'failed') {
                    announce(`${document.filename}: ${row.said}`);
                    this.#counted();
                    return;
                }
                pause = moved ? POLL_MS.first : Math.min(pause * 1.5, POLL_MS.most);
                if (document.status === 'pending') pause = POLL_MS.pending;
            } catch (error) {
                if (error.status === 404) return this.#forget(id);
                if (error.status === 401) return;
                pause = POLL_MS.most;
            }
        }
    }

    async #remove(id) {
        const row = this.#rows.get(id);
        if (!row || !(await confirmed(row.name))) return;
        row.lock(true);
        try {
            const { deleted } = await this.#api.call('DELETE', `/v1/documents/${id}`);
            announce(
                `${row.name} was deleted: ${count(deleted.chunks, 'passage')}, ${size(deleted.bytes)}`,
            );
            this.#forget(id);
            byId('documents-title').scrollIntoView({ block: 'nearest' });
        } catch (error) {
            row.lock(false);
            this.#complain(error);
        }
    }

    #forget(id) {
        this.#rows.get(id)?.element.remove();
        this.#rows.delete(id);
        this.#counted();
    }

    #complain(error, retry = null) {
        if (this.#open) byId('documents-problem').replaceChildren(problem(error, retry));
    }

    #counted() {
        if (!this.#open) return;
        const rows = [...this.#rows.values()];
        const shown = rows.length === 0 ? '' : String(rows.length);
        byId('count').textContent = shown;
        byId('count-in-nav').textContent = shown;
        byId('no-documents').hidden = byId('documents').children.length > 0;
        this.onList(rows.filter((row) => row.status === 'completed').map((row) => row.name));
    }
}

/** Asks whether a document may go. */
function confirmed(name) {
    const dialog = byId('confirm');
    byId('confirm-title').textContent = `Delete ${name}?`;
    dialog.returnValue = 'keep';
    dialog.showModal();
    return new Promise((resolve) => {
        const closed = () => resolve(dialog.returnValue === 'delete');
        dialog.addEventListener('close', closed, { once: true });
    });
}

/** One line of the list. */
class Row {
    #state = el('p', { class: 'state' });
    #bar = el('progress', { 'aria-label': 'progress', hidden: true });
    #button = null;
    #last = '';

    constructor(name, remove = null) {
        this.name = name;
        this.status = null;
        this.said = '';
        if (remove) {
            this.#button = el('button', {
                type: 'button',
                class: 'remove',
                'aria-label': `Delete ${name}`,
                title: 'Delete',
                onclick: remove,
                text: '×',
            });
        }
        this.element = el(
            'li',
            { class: 'document' },
            el('span', {
                class: 'kind',
                'aria-hidden': 'true',
                text: extension(name).slice(0, 4) || '?',
            }),
            el(
                'div',
                { class: 'document-body' },
                el('p', { class: 'name', title: name, text: name }),
                this.#state,
                this.#bar,
            ),
            this.#button,
        );
    }

    /** Shows a document as the server tells of it; whether anything is new. */
    show(document) {
        const { status, progress, attempts, error_message: why } = document;
        const news = JSON.stringify([status, progress, attempts]);
        if (news === this.#last) return false;
        this.#last = news;
        this.status = status;
        this.element.dataset.status = status;
        if (status === 'processing') {
            const stage = STAGES[progress?.stage] ?? progress?.stage ?? 'reading';
            const again = attempts > 1 ? `, attempt ${attempts}` : '';
            this.busy(stage + again, progress?.done, progress?.total);
            return true;
        }
        const bytes = size(document.file_size_bytes ?? 0);
        const said = {
            pending: 'waiting for its bytes',
            uploaded: `waiting to be read, ${bytes}`,
            completed: `${count(document.chunks_count ?? 0, 'passage')}, ${bytes}`,
            failed: why ?? 'could not be read',
        };
        this.#tell(said[status] ?? status);
        this.#bar.hidden = status !== 'uploaded';
        this.#bar.removeAttribute('value');
        return true;
    }

    busy(what, done = 0, total = 0) {
        const known = total > 1;
        this.#tell(known ? `${what}, ${Math.floor((100 * done) / total)} %` : what);
        this.#bar.hidden = false;
        if (known) {
            this.#bar.max = total;
            this.#bar.value = done;
        } else {
            this.#bar.removeAttribute('value');
        }
    }

    /** A file that was not taken, and why. */
    refused(error, dismiss) {
        this.#bar.hidden = true;
        this.element.dataset.status = 'failed';
        this.#state.replaceChildren(problem(error));
        this.element.append(
            el('button', {
                type: 'button',
                class: 'remove',
                'aria-label': `Dismiss the message about ${this.name}`,
                title: 'Dismiss',
                onclick: dismiss,
                text: '×',
            }),
        );
    }

    /** While it is being deleted, it cannot be deleted again. */
    lock(locked) {
        this.#button.disabled = locked;
        this.element.classList.toggle('leaving', locked);
    }

    #tell(sentence) {
        this.said = sentence;
        this.#state.textContent = sentence;
    }
}
