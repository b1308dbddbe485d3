// Elements and numbers for people.

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/** A new element: attributes and `on…` listeners by name, then children. */
export function el(tag, props = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(props)) {
        if (value === undefined || value === null || value === false) continue;
        if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
        else if (name === 'text') element.textContent = value;
        else element.setAttribute(name, value === true ? '' : value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
}

/** Says something to those who do not see the page. */
export function announce(sentence) {
    byId('announce').textContent = sentence;
}

/** Bytes, as people say them. */
export function size(bytes) {
    if (bytes < 1000) return `${bytes} B`;
    for (const unit of ['kB', 'MB', 'GB']) {
        bytes /= 1000;
        if (bytes < 1000) return `${bytes < 10 ? bytes.toFixed(1) : Math.round(bytes)} ${unit}`;
    }
    return `${Math.round(bytes / 1000)} TB`;
}

/** "1 passage", "2 passages". */
export function count(n, noun) {
    return `${n.toLocaleString('en')} ${noun}${n === 1 ? '' : 's'}`;
}

/** What went wrong, with the id by which the server's log knows it. */
export function problem(error, retry = null) {
    const id = error.requestId
        ? el('p', { class: 'request-id' }, 'Request ', el('code', { text: error.requestId }))
        : null;
    const again = retry
        ? el('button', { type: 'button', onclick: retry, text: 'Try again' })
        : null;
    return el('div', { class: 'problem' }, el('p', { text: sentence(error.message) }), id, again);
}

/** The server's sentences begin in lower case, so that they fit into others. */
function sentence(text) {
    const ended = /[.!?…]$/.test(text) ? text : `${text}.`;
    return ended[0].toUpperCase() + ended.slice(1);
}
