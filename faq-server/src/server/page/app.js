// The page: signing in, and what belongs to both views.

import { Api, ApiError } from './api.js';
import { Chat } from './chat.js';
import { Documents } from './documents.js';
import { announce, byId, el, problem } from './dom.js';

const KEPT = 'faq-session';

/** What can be asked of the sample documents. */
const SAMPLES = {
    'handbook.pdf':
        'How many days of leave can I carry into the next year, and when do they lapse?',
    'travel-policy.docx': 'What is the hotel limit per night in Port Ervan?',
    'it-security.md':
        'My laptop was stolen on a business trip. Whom must I call and how soon, and who pays for its replacement?',
    'office.html': 'Does the company pay for a gym membership?',
};

let api = null;
let chat = null;
let documents = null;
let demo = null;

async function start() {
    demo = await demoConfig();
    wire();
    const session = kept();
    if (session?.accessToken) enter(connect(session));
    else showSignIn();
}

/** The ready organisation of `faq demo`; `null` where there is none. */
async function demoConfig() {
    try {
        const response = await fetch('/demo/config.json');
        return response.ok ? await response.json() : null;
    } catch {
        return null;
    }
}

// The session lives as long as the tab does.
function kept() {
    try {
        return JSON.parse(sessionStorage.getItem(KEPT));
    } catch {
        return null;
    }
}

function keep(session) {
    try {
        if (session.accessToken) sessionStorage.setItem(KEPT, JSON.stringify(session));
        else sessionStorage.removeItem(KEPT);
    } catch {
        // Without storage a reload asks for the password again.
    }
}

function connect(session) {
    const ended = () => leave('Your session has ended. Please sign in again.');
    api = new Api(session, { onChange: keep, onEnd: ended });
    return api;
}

function showSignIn(note = '') {
    byId('workspace').hidden = true;
    byId('sign-in').hidden = false;
    byId('sign-in-note').hidden = note === '';
    byId('sign-in-note').textContent = note;
    byId('sign-in-problem').replaceChildren();
    const form = byId('sign-in-form').elements;
    for (const name of ['email', 'password', 'client_id', 'client_secret']) {
        if (demo && !form[name].value) form[name].value = demo[name];
    }
    byId('connection').open = !form.client_id.value;
    (form.email.value ? byId('sign-in-form').querySelector('[type=submit]') : form.email).focus();
}

async function signIn(event) {
    event.preventDefault();
    const form = event.target;
    const button = form.querySelector('[type=submit]');
    if (button.disabled) return;
    const value = (name) => form.elements[name].value.trim();
    byId('sign-in-problem').replaceChildren();
    const missing = ['email', 'password', 'client_id', 'client_secret'].find(
        (name) => !value(name),
    );
    if (missing) {
        const field = form.elements[missing];
        if (field.closest('details')) field.closest('details').open = true;
        const label = form.querySelector(`label[for="${field.id}"]`).textContent;
        byId('sign-in-problem').replaceChildren(problem(new Error(`${label} is missing`)));
        field.focus();
        return;
    }
    button.disabled = true;
    try {
        const session = { clientId: value('client_id'), clientSecret: value('client_secret') };
        connect(session);
        await api.logIn(value('email'), form.elements.password.value);
        enter(api);
    } catch (error) {
        byId('sign-in-problem').replaceChildren(problem(error));
    } finally {
        button.disabled = false;
    }
}

function enter({ session }) {
    byId('sign-in').hidden = true;
    byId('workspace').hidden = false;
    byId('organisation').textContent = demo?.client_id === session.clientId ? demo.org_name : '';
    byId('account').textContent = session.user.email;
    byId('account').title = `${session.user.email}, ${session.user.role}`;
    chat?.stop();
    documents?.close();
    chat = new Chat(api);
    documents = new Documents(api, { mayChange: session.user.role !== 'user', onList: suggest });
    documents.load();
    show('ask');
    byId('question').focus();
}

function leave(note = '') {
    chat?.restart();
    documents?.close();
    for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close();
    showSignIn(note);
}

async function signOut() {
    byId('sign-out').disabled = true;
    try {
        await api.logOut();
    } catch {
        // The tokens are forgotten here in any case.
    } finally {
        byId('sign-out').disabled = false;
    }
    leave();
}

/** Offers the questions that the documents at hand are known for. */
function suggest(names) {
    const questions = Object.keys(SAMPLES)
        .filter((name) => names.includes(name))
        .map((name) => SAMPLES[name]);
    const button = (question) =>
        el('button', { type: 'button', onclick: () => ask(question), text: question });
    byId('suggestions').replaceChildren(...questions.map((q) => el('li', {}, button(q))));
}

function ask(question) {
    if (chat.busy) return;
    show('ask');
    chat.ask(question);
}

function submitQuestion(event) {
    event?.preventDefault();
    const field = byId('question');
    const question = field.value.trim();
    if (question === '') {
        field.focus();
        announce('Type a question first.');
        return;
    }
    if (chat.busy) return;
    field.value = '';
    grow(field);
    ask(question);
}

/** Makes a text field as high as its text. */
function grow(field) {
    field.style.height = 'auto';
    field.style.height = `${Math.min(field.scrollHeight, 180)}px`;
}

/** On narrow screens one view is seen at a time. */
function show(view) {
    byId('workspace').dataset.view = view;
    for (const button of document.querySelectorAll('[data-show]')) {
        button.setAttribute('aria-pressed', String(button.dataset.show === view));
    }
}

function wire() {
    byId('sign-in-form').addEventListener('submit', signIn);
    byId('sign-out').addEventListener('click', signOut);
    byId('ask').addEventListener('submit', submitQuestion);
    byId('stop').addEventListener('click', () => {
        chat.stop();
        byId('question').focus();
    });
    byId('new').addEventListener('click', () => {
        chat.restart();
        byId('question').focus();
    });
    const question = byId('question');
    question.addEventListener('input', () => grow(question));
    question.addEventListener('keydown', (event) => {
        if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) submitQuestion(event);
    });
    for (const button of document.querySelectorAll('[data-show]')) {
        button.addEventListener('click', () => show(button.dataset.show));
    }
    for (const dialog of document.querySelectorAll('dialog')) {
        // A click outside the content is one on the dialog itself.
        dialog.addEventListener('click', (event) => event.target === dialog && dialog.close());
    }
    wireUpload();
}

function wireUpload() {
    const field = byId('files');
    field.addEventListener('change', () => {
        documents.upload([...field.files]);
        field.value = '';
    });
    const area = document.querySelector('.documents');
    // A file dropped beside the list would replace the page.
    for (const name of ['dragover', 'drop']) {
        document.addEventListener(name, (event) => event.preventDefault());
    }
    area.addEventListener('dragover', () => {
        area.classList.toggle('dropping', Boolean(documents?.mayChange));
    });
    area.addEventListener('dragleave', (event) => {
        if (!area.contains(event.relatedTarget)) area.classList.remove('dropping');
    });
    area.addEventListener('drop', (event) => {
        area.classList.remove('dropping');
        documents?.upload([...(event.dataTransfer?.files ?? [])]);
    });
}

start().catch((error) => {
    console.error(error);
    const known = error instanceof ApiError ? error : new Error('the page could not be started');
    document.body.prepend(problem(known));
});
