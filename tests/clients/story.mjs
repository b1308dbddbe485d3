// The whole story of the API against a running server: node story.mjs [BASE_URL]
// One line a step. Ends with exit code 1 at the first thing that is not as expected.
//
// The server has to allow registration (REGISTRATION=open, the default). What the story makes
// stays in two organisations of its own.

import { FaqClient } from './client.mjs';

const baseUrl = process.argv[2] ?? process.env.BASE_URL ?? 'http://127.0.0.1:3000';
const run = Date.now().toString(36);
const PASSWORD = 'heron over water 7';
const FACT = 'The keeper of the Quillon lighthouse gets 27 days of leave each year.';
const DOCUMENT = [
    'Terms of work for keepers 🐦 (Général)',
    '',
    FACT,
    'Days of leave that are not taken lapse on 31 May of the next year.',
    '',
    'The lamp oil of the Quillon lighthouse is delivered every second Tuesday by the boat Cormorant.',
    '',
].join('\n');
const QUESTION = 'How many days of leave does the keeper of the Quillon lighthouse get?';
const FOLLOW_UP = 'And when do they lapse?';
const UNANSWERABLE = 'Which football club won the championship in Bolivia in 1987?';

let steps = 0;

class Unexpected extends Error {}

function expect(condition, message) {
    if (!condition) throw new Unexpected(message);
}

function same(found, wanted, what) {
    const [f, w] = [JSON.stringify(found), JSON.stringify(wanted)];
    expect(f === w, `${what} is ${f}, expected ${w}`);
}

function told(method, path, status, gist) {
    steps += 1;
    const shown = path.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '{id}').split('?code=')[0];
    const short = gist.length > 120 ? `${gist.slice(0, 119)}…` : gist;
    console.log(
        `${String(steps).padStart(3)}  ${method.padEnd(6)} ${shown.padEnd(34)} ${status}  ${short}`,
    );
}

/** Checks a response that should have succeeded and tells its gist. */
function good(answer, status, check) {
    const shown = JSON.stringify(answer.json);
    expect(
        answer.status === status,
        `${answer.method} ${answer.path} answered ${answer.status}, expected ${status}: ${shown}`,
    );
    expect(
        answer.json !== null && typeof answer.json === 'object' && !Array.isArray(answer.json),
        `${answer.method} ${answer.path} answered no JSON object: ${shown}`,
    );
    told(answer.method, answer.path, answer.status, check(answer.json));
    return answer.json;
}

/** Checks a response that should have been refused, and its shape. */
function refused(answer, statuses, code, sentence, gist) {
    const { method, path, status, json } = answer;
    const place = `${method} ${path}`;
    const allowed = [statuses].flat();
    expect(
        allowed.includes(status),
        `${place} (${gist}) answered ${status}, expected ${allowed.join(' or ')}: ${JSON.stringify(json)}`,
    );
    checkError(json, code, sentence, `${place} (${gist})`);
    told(method, path, status, `${gist}: "${json.error}"`);
}

function checkError(json, code, sentence, place) {
    for (const field of ['error', 'code', 'request_id']) {
        const value = json?.[field];
        expect(
            typeof value === 'string' && value !== '',
            `${place}: the error has no ${field}: ${JSON.stringify(json)}`,
        );
    }
    if (code) same(json.code, code, `${place}: the code`);
    if (sentence instanceof RegExp) {
        expect(sentence.test(json.error), `${place}: "${json.error}" does not match ${sentence}`);
    } else if (sentence) {
        same(json.error, sentence, `${place}: the sentence`);
    }
}

const isUuid = (id) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id);
const isTime = (time) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)$/.test(time);

function checkUuid(id, what) {
    expect(isUuid(id), `${what} is ${JSON.stringify(id)}, expected a UUID`);
}

function checkTime(time, what) {
    expect(isTime(time), `${what} is ${JSON.stringify(time)}, expected RFC 3339 in UTC`);
}

function checkUser(user, { email, role, is_active = true }) {
    checkUuid(user.id, 'the user id');
    same(user.email, email, 'the e-mail address');
    same(user.role, role, 'the role');
    same(user.is_active, is_active, 'is_active');
    checkTime(user.created_at, 'created_at');
    return `${user.email} is ${user.role}${is_active ? '' : ', without access'}`;
}

function checkSession(json) {
    for (const field of ['access_token', 'refresh_token']) {
        expect(typeof json[field] === 'string' && json[field] !== '', `no ${field} in the answer`);
    }
    same(json.token_type.toLowerCase(), 'bearer', 'token_type');
    expect(json.expires_in > 0, `expires_in is ${json.expires_in}`);
    return `${json.user.email} signed in as ${json.user.role}, for ${json.expires_in} s`;
}

function checkAnswer(json, { holds, abstained = false }) {
    expect(typeof json.answer === 'string' && json.answer !== '', 'the answer is empty');
    same(json.abstained, abstained, `abstained of "${json.answer}"`);
    checkUuid(json.conversation_id, 'conversation_id');
    checkUuid(json.message_id, 'message_id');
    expect(Array.isArray(json.sources), 'sources is no list');
    if (abstained) {
        const reasons = ['no_hits', 'below_threshold', 'unsupported'];
        expect(reasons.includes(json.reason), `the reason is ${JSON.stringify(json.reason)}`);
        return `abstained (${json.reason}): ${json.answer}`;
    }
    expect(json.reason == null, `an answer was given, and the reason is ${json.reason}`);
    expect(json.answer.includes(holds), `"${json.answer}" does not hold "${holds}"`);
    expect(json.sources.length > 0, 'the answer has no source');
    json.sources.forEach(checkSource);
    const markers = [...json.answer.matchAll(/\[(\d+)\]/g)].map((m) => Number(m[1]));
    expect(markers.length > 0, `"${json.answer}" holds no marker`);
    for (const n of markers) {
        expect(n >= 1 && n <= json.sources.length, `marker [${n}] points to no source`);
    }
    return `${json.answer.replace(/\s+/g, ' ')} (${json.sources.map((s) => s.filename).join(', ')})`;
}

function checkSource(source) {
    checkUuid(source.document_id, 'the document of a source');
    same(source.chunk_id, `${source.document_id}_${source.chunk_index}`, 'chunk_id');
    expect(source.score >= 0 && source.score <= 1, `the score is ${source.score}, not 0 to 1`);
    for (const field of ['filename', 'text']) {
        expect(
            typeof source[field] === 'string' && source[field] !== '',
            `a source has no ${field}`,
        );
    }
    for (const field of ['page', 'heading']) {
        expect(field in source, `a source has no ${field}, not even null`);
    }
    for (const field of ['byte_range', 'utf16_range']) {
        const range = source[field];
        expect(
            range?.start >= 0 && range.end > range.start,
            `${field} is ${JSON.stringify(range)}`,
        );
    }
}

/** Checks the events of one answer: their order, ids, and that the deltas are the answer. */
function checkEvents(events, expected) {
    const ids = events.map((event) => Number(event.id));
    ids.forEach((id, i) => {
        expect(Number.isFinite(id), `event ${i} has the id ${JSON.stringify(events[i].id)}`);
        expect(i === 0 || id > ids[i - 1], `the ids do not grow: ${ids.join(', ')}`);
    });
    const final = events.at(-1);
    expect(final.type === 'final', `the last event is ${JSON.stringify(final)}`);
    const deltas = events.filter((event) => event.type === 'delta');
    same(deltas.map((event) => event.text).join(''), final.answer, 'all deltas, joined,');
    const cited = events.filter((event) => event.type === 'sources').flatMap((e) => e.sources);
    for (const source of final.sources) {
        expect(
            cited.some((c) => c.chunk_id === source.chunk_id),
            `no event announced the source ${source.chunk_id}`,
        );
    }
    const stages = events.filter((event) => event.type === 'status').map((event) => event.stage);
    expect(stages.includes('searching'), `no status said "searching", only ${stages}`);
    checkAnswer(final, expected);
    return `${events.length} events (${stages.join(', ')}; ${deltas.length} deltas): ${final.answer}`;
}

async function untilCompleted(client, id) {
    const path = `/v1/documents/${id}/status`;
    const seen = [];
    for (;;) {
        const answer = await client.request('GET', path);
        same(answer.status, 200, `GET ${path}: the status code`);
        const { status, progress, error_message: error } = answer.json;
        if (seen.at(-1) !== status) seen.push(status);
        expect(status !== 'failed', `the document failed: ${error}`);
        expect(progress && 'done' in progress && 'total' in progress, 'there is no progress');
        if (status === 'completed') return { answer, seen };
        await new Promise((wake) => setTimeout(wake, 200));
    }
}

const app = new FaqClient({ baseUrl });
const emails = { owner: `owner-${run}@example.org`, user: `user-${run}@example.org` };

async function signUpAndIn() {
    const org = good(await app.register(`Story ${run}`, emails.owner, PASSWORD), 201, (json) => {
        checkUuid(json.org_id, 'org_id');
        expect(/^pk_[0-9a-f]{48}$/.test(json.client_id), `client_id is ${json.client_id}`);
        expect(/^sk_[0-9a-f]{64}$/.test(json.client_secret), 'client_secret has another form');
        expect(json.warning, 'no warning that the secret is shown once');
        same(json.admin_user.role, 'owner', 'the role of who registers');
        return `organisation ${json.org_name}`;
    });
    app.clientId = org.client_id;
    app.clientSecret = org.client_secret;

    const user = app.another();
    user.token = 'a.stale.token';
    good(
        await user.signUp(emails.user, PASSWORD, org.org_id),
        201,
        (json) =>
            `${checkUser(json.user, { email: emails.user, role: 'user' })} (a stale token was sent too)`,
    );
    refused(
        await user.signUp(emails.user, PASSWORD, org.org_id),
        409,
        'email_taken',
        null,
        'again',
    );
    refused(
        await user.logIn(emails.user, 'not the password'),
        401,
        'invalid_credentials',
        null,
        'wrong password',
    );
    const { user: person } = good(await user.logIn(emails.user, PASSWORD), 200, checkSession);
    good(await user.request('GET', '/v1/user'), 200, (json) => {
        same(json.org_id, org.org_id, 'org_id');
        checkTime(json.last_login_at, 'last_login_at');
        return checkUser(json, { email: emails.user, role: 'user' });
    });
    const owner = app.another();
    good(await owner.logIn(emails.owner, PASSWORD), 200, checkSession);
    return { org, user, owner, userId: person.id };
}

async function promote({ user, owner, userId }) {
    refused(
        await user.announceUpload('terms.txt', 'text/plain'),
        403,
        'forbidden',
        null,
        'a user may not upload',
    );
    refused(
        await user.request('POST', '/v1/convert-user-to-admin', { user_id: userId, role: 'admin' }),
        403,
        'forbidden',
        null,
        'nor promote',
    );
    const change = { user_id: userId, role: 'admin' };
    good(await owner.request('POST', '/v1/convert-user-to-admin', change), 200, (json) =>
        checkUser(json.user, { email: emails.user, role: 'admin' }),
    );
    good(await user.request('GET', '/v1/user'), 200, (json) => {
        same(json.role, 'admin', 'the role of a token that was issued before');
        return 'the token that was issued before counts as admin now';
    });
}

async function upload({ user }) {
    const bytes = new TextEncoder().encode(DOCUMENT);
    const ticket = good(await user.announceUpload('terms.txt', 'text/plain'), 201, (json) => {
        checkUuid(json.document_id, 'document_id');
        same(json.method, 'PUT', 'the method of the upload');
        expect(/^https?:\/\//.test(json.upload_url), `upload_url is ${json.upload_url}`);
        checkTime(json.expires_at, 'expires_at');
        return `send the bytes until ${json.expires_at}`;
    });
    good(await user.putBytes(ticket, bytes), 202, () => `${bytes.length} bytes taken`);
    const again = await user.putBytes(ticket, bytes);
    refused(again, [401, 403, 404, 409, 410], null, null, 'the URL works once');
    const id = ticket.document_id;
    const { answer, seen } = await untilCompleted(user, id);
    good(answer, 200, (json) => {
        same(json.document_id, id, 'document_id');
        same(json.file_size_bytes, bytes.length, 'file_size_bytes');
        same(json.error_message, null, 'error_message');
        expect(json.chunks_count >= 1, `chunks_count is ${json.chunks_count}`);
        checkTime(json.uploaded_at, 'uploaded_at');
        checkTime(json.processed_at, 'processed_at');
        return `${seen.join(' -> ')}, ${json.chunks_count} chunks`;
    });
    good(await user.request('GET', '/v1/documents?status=completed'), 200, (json) => {
        expect(
            json.documents.some((d) => d.document_id === id),
            'the document is not in the list',
        );
        expect('next_cursor' in json, 'the list has no next_cursor');
        return `${json.documents.length} documents`;
    });
    return { id, bytes };
}

async function converse({ user }, document) {
    const first = good(await user.ask(QUESTION), 200, (json) => checkAnswer(json, { holds: '27' }));
    const content = await user.request('GET', `/v1/documents/${document.id}/content`);
    good(content, 200, ({ text }) => {
        for (const source of first.sources) {
            const { byte_range: b, utf16_range: u } = source;
            same(text.slice(u.start, u.end), source.text, 'what utf16_range points to');
            const utf8 = Buffer.from(text).subarray(b.start, b.end).toString();
            same(utf8, source.text, 'what byte_range points to');
        }
        return 'both ranges of each source hold its text';
    });
    const id = first.conversation_id;
    const second = good(await user.ask(FOLLOW_UP, id), 200, (json) => {
        same(json.conversation_id, id, 'conversation_id of the follow-up');
        return checkAnswer(json, { holds: '31 May' });
    });
    good(await user.ask(UNANSWERABLE), 200, (json) => checkAnswer(json, { abstained: true }));
    good(await user.request('GET', `/v1/chat/history/${id}`), 200, ({ conversation, messages }) => {
        same(conversation.id, id, 'the id of the conversation');
        const said = [QUESTION, first.answer, FOLLOW_UP, second.answer];
        same(
            messages.map((m) => m.content),
            said,
            'what was said',
        );
        const roles = ['user', 'assistant', 'user', 'assistant'];
        same(
            messages.map((m) => m.role),
            roles,
            'who said it',
        );
        same(messages[1].sources[0].text, first.sources[0].text, 'the source in the history');
        return `${messages.length} messages in "${conversation.title}"`;
    });
    good(await user.request('GET', '/v1/chat/conversations'), 200, (json) => {
        expect(
            json.conversations.some((c) => c.id === id),
            'the conversation is not in the list',
        );
        return `${json.conversations.length} conversations`;
    });
    return { id, sources: first.sources };
}

async function stream({ user }, conversation) {
    const overHeaders = await user.openStream();
    const events = await overHeaders.ask(QUESTION);
    told('WS', '/v1/chat/stream', 101, checkEvents(events, { holds: '27' }));
    const more = await overHeaders.ask(FOLLOW_UP, events.at(-1).conversation_id);
    told('WS', '/v1/chat/stream', 101, checkEvents(more, { holds: '31 May' }));
    const [problem] = (await overHeaders.ask('')).slice(-1);
    same(problem.type, 'error', 'the answer to an empty question');
    checkError(problem, null, /query/, 'the answer to an empty question');
    told('WS', '/v1/chat/stream', 101, `an empty question: "${problem.error}"`);
    const still = await overHeaders.ask(QUESTION, conversation.id);
    told('WS', '/v1/chat/stream', 101, checkEvents(still, { holds: '27' }));
    same(await overHeaders.close(), 1000, 'the code of the goodbye');

    const asBrowser = await user.openStreamAsBrowser();
    told('WS', '/v1/chat/stream', 101, checkEvents(await asBrowser.ask(QUESTION), { holds: '27' }));
    same(await asBrowser.close(), 1000, 'the code of the goodbye');
    const stranger = await user.openStreamAsBrowser('a.wrong.token');
    const no = await stranger.next();
    same(no?.type, 'error', 'the answer to a first message with a wrong token');
    checkError(no, 'invalid_token', 'Invalid JWT token', 'a first message with a wrong token');
    same(await stranger.next(), null, 'what comes after it');
    told('WS', '/v1/chat/stream', 101, `wrong token in the first message: "${no.error}", closed`);
    await refusedHandshake(user);

    const sse = await user.askOverSse(QUESTION);
    same(sse.status, 200, `the status of the event stream (${JSON.stringify(sse.json)})`);
    expect(sse.type.startsWith('text/event-stream'), `its type is ${sse.type}`);
    for (const { id, event, data } of sse.frames) {
        same([event, Number(id)], [data.type, Number(data.id)], 'event and id of a frame');
    }
    const gist = checkEvents(
        sse.frames.map((frame) => frame.data),
        { holds: '27' },
    );
    told('POST', '/v1/chat/stream', 200, gist);
    const silent = await user.askOverSse(UNANSWERABLE);
    const abstained = checkEvents(
        silent.frames.map((f) => f.data),
        { abstained: true },
    );
    told('POST', '/v1/chat/stream', 200, abstained);
    const empty = { query: null, conversation_id: null };
    refused(
        await user.request('POST', '/v1/chat/stream', empty),
        422,
        'missing_field',
        /query/,
        'no question',
    );
}

async function refusedHandshake(user) {
    const thief = user.another();
    thief.token = user.token;
    thief.clientSecret = `sk_${'0'.repeat(64)}`;
    let refusal;
    try {
        await (await thief.openStream()).close();
    } catch (error) {
        refusal = error;
    }
    expect(refusal, 'a handshake with a wrong signature was accepted');
    const answer = { method: 'WS', path: '/v1/chat/stream', status: refusal.status };
    refused(
        { ...answer, json: refusal.json },
        401,
        'invalid_signature',
        'Invalid HMAC signature',
        'wrong signature on the handshake',
    );
}

async function signaturesAndTokens({ user }) {
    const path = '/v1/user';
    const wrong = { ...user.headers('GET', path), 'X-Signature': 'f'.repeat(64) };
    refused(
        await user.send('GET', path, wrong),
        401,
        'invalid_signature',
        'Invalid HMAC signature',
        'wrong signature',
    );
    const stranger = user.another();
    stranger.clientId = `pk_${'0'.repeat(48)}`;
    refused(
        await stranger.request('GET', path),
        401,
        'invalid_signature',
        'Invalid HMAC signature',
        'unknown client',
    );
    refused(
        await user.send('GET', path, {}),
        401,
        'invalid_signature',
        'Invalid HMAC signature',
        'no signature',
    );
    refused(
        await user.another().request('GET', path),
        401,
        'missing_token',
        'Missing JWT token',
        'no token',
    );
    const early = user.another();
    early.token = 'null';
    refused(
        await early.request('GET', path),
        401,
        'missing_token',
        'Missing JWT token',
        'the token "null"',
    );
    early.token = `${user.token}x`;
    refused(
        await early.request('GET', path),
        401,
        'invalid_token',
        'Invalid JWT token',
        'a token that was changed',
    );
    const old = (Date.now() - 6 * 60_000).toString();
    refused(
        await user.send('GET', path, user.headers('GET', path, '', old)),
        401,
        'clock_skew',
        null,
        'signed six minutes ago',
    );

    const query = '/v1/chat/query';
    const text = JSON.stringify({ query: QUESTION, conversation_id: null });
    const headers = user.headers('POST', query, text);
    good(await user.send('POST', query, headers, text), 200, () => 'a write');
    refused(await user.send('POST', query, headers, text), 409, 'replayed', null, 'the same again');
    const reading = user.headers('GET', path);
    good(await user.send('GET', path, reading), 200, () => 'a read');
    good(await user.send('GET', path, reading), 200, () => 'the same again: reads may repeat');
    good(
        await user.request('GET', '/v1/documents?status=completed&x=%7C%20a'),
        200,
        () => 'the query string is signed as it is sent',
    );
}

async function badRequests({ user }) {
    const query = '/v1/chat/query';
    refused(
        await user.request('POST', query, { conversation_id: null }),
        422,
        'missing_field',
        /query/,
        'a field is missing',
    );
    refused(
        await user.request('POST', query, { query: 7 }),
        422,
        'invalid_field',
        /query/,
        'a field has the wrong type',
    );
    const cut = '{"query": "half';
    refused(
        await user.send('POST', query, user.headers('POST', query, cut), cut),
        400,
        'malformed_json',
        null,
        'malformed JSON',
    );
    refused(await user.request('GET', '/v1/nothing/here'), 404, 'not_found', null, 'unknown route');
    refused(await user.send('GET', '/nothing', {}), 404, 'not_found', null, 'unknown, unsigned');
    const none = '/v1/documents/00000000-0000-4000-8000-000000000000';
    refused(await user.request('GET', none), 404, 'not_found', null, 'unknown document');
    refused(
        await user.announceUpload('film.mp4', 'video/mp4'),
        415,
        'unsupported_type',
        null,
        'a type that is not taken',
    );
}

async function anotherOrganisation({ org, user, owner, userId }, document, conversation) {
    const other = new FaqClient({ baseUrl });
    const email = `other-${run}@example.org`;
    const theirs = good(
        await other.register(`Other ${run}`, email, PASSWORD),
        201,
        (json) => `organisation ${json.org_name}`,
    );
    other.clientId = theirs.client_id;
    other.clientSecret = theirs.client_secret;
    good(await other.logIn(email, PASSWORD), 200, checkSession);
    const attempts = [
        ['GET', `/v1/documents/${document.id}/status`],
        ['GET', `/v1/documents/${document.id}/content`],
        ['GET', `/v1/documents/${document.id}/original`],
        ['DELETE', `/v1/documents/${document.id}`],
        ['GET', `/v1/chat/history/${conversation.id}`],
        ['DELETE', `/v1/chat/conversations/${conversation.id}`],
        ['POST', '/v1/chat/query', { query: QUESTION, conversation_id: conversation.id }],
        ['POST', '/v1/revoke-access', { user_id: userId }],
        ['POST', '/v1/convert-user-to-admin', { user_id: userId, role: 'user' }],
        ['POST', '/v1/auth/signup', { email, password: PASSWORD, org_id: org.org_id }],
    ];
    for (const [method, path, body] of attempts) {
        refused(await other.request(method, path, body), 404, 'not_found', null, "another's id");
    }
    const mixed = other.another();
    mixed.token = user.token;
    refused(
        await mixed.request('GET', '/v1/user'),
        401,
        'invalid_token',
        'Invalid JWT token',
        "another organisation's token",
    );
    refused(
        await owner.request('GET', `/v1/chat/history/${conversation.id}`),
        404,
        'not_found',
        null,
        "a colleague's conversation",
    );
    good(await other.ask(QUESTION), 200, (json) => checkAnswer(json, { abstained: true }));
}

async function sessions({ user }) {
    const before = user.refreshToken;
    good(await user.refresh(), 200, checkSession);
    expect(user.refreshToken !== before, 'the refresh token was not rotated');
    good(await user.request('GET', '/v1/user'), 200, () => 'the new token works');
    const phone = user.another();
    phone.token = user.token;
    refused(
        await phone.refresh(before),
        401,
        'invalid_refresh_token',
        null,
        'the old refresh token',
    );
    refused(
        await phone.refresh(user.refreshToken),
        401,
        'invalid_refresh_token',
        null,
        'which ended its whole family',
    );
    refused(
        await user.request('GET', '/v1/user'),
        401,
        'invalid_token',
        'Invalid JWT token',
        'and its tokens',
    );
    good(await user.logIn(emails.user, PASSWORD), 200, checkSession);
    good(await user.logOut(), 200, () => 'signed out');
    refused(
        await user.request('GET', '/v1/user'),
        401,
        'invalid_token',
        'Invalid JWT token',
        'the token after it',
    );
    refused(await user.refresh(), 401, 'invalid_refresh_token', null, 'the refresh token after it');
    good(await user.logIn(emails.user, PASSWORD), 200, checkSession);
}

async function remove({ user }, document, conversation) {
    good(await user.request('DELETE', `/v1/documents/${document.id}`), 200, ({ deleted }) => {
        same(deleted.document_id, document.id, 'document_id');
        expect(deleted.chunks >= 1, `${deleted.chunks} chunks were deleted`);
        expect(deleted.bytes >= document.bytes.length, `${deleted.bytes} bytes were deleted`);
        return `${deleted.chunks} chunks, ${deleted.bytes} bytes`;
    });
    refused(
        await user.request('GET', `/v1/documents/${document.id}/status`),
        404,
        'not_found',
        null,
        'it is gone',
    );
    good(await user.ask(QUESTION), 200, (json) => checkAnswer(json, { abstained: true }));
    good(await user.request('GET', `/v1/chat/history/${conversation.id}`), 200, ({ messages }) => {
        const kept = JSON.stringify(messages.map((message) => message.sources));
        for (const source of conversation.sources) {
            const quoted = JSON.stringify(source.text).slice(1, -1);
            expect(!kept.includes(quoted), `the history still quotes "${source.text}"`);
        }
        return 'the history quotes nothing of it';
    });
    const own = `/v1/chat/conversations/${conversation.id}`;
    good(await user.request('DELETE', own), 200, () => 'the conversation');
    refused(
        await user.request('GET', `/v1/chat/history/${conversation.id}`),
        404,
        'not_found',
        null,
        'it is gone',
    );
}

async function revoke({ user, owner, userId }) {
    good(await owner.request('POST', '/v1/revoke-access', { user_id: userId }), 200, (json) =>
        checkUser(json.user, { email: emails.user, role: 'admin', is_active: false }),
    );
    refused(await user.request('GET', '/v1/user'), [401, 403], null, null, 'his token, at once');
    refused(await user.refresh(), [401, 403], null, null, 'his refresh token');
    refused(await user.logIn(emails.user, PASSWORD), [401, 403], null, null, 'his password');
}

async function story() {
    const health = await app.send('GET', '/health', {});
    good(health, 200, (json) => {
        same(json.status, 'healthy', 'the status');
        return Object.keys(json.services).join(', ');
    });
    const people = await signUpAndIn();
    await promote(people);
    const document = await upload(people);
    const conversation = await converse(people, document);
    await stream(people, conversation);
    await signaturesAndTokens(people);
    await badRequests(people);
    await anotherOrganisation(people, document, conversation);
    await sessions(people);
    await remove(people, document, conversation);
    await revoke(people);
}

try {
    await story();
    console.log(`all ${steps} steps are as expected`);
} catch (error) {
    const shown = error instanceof Unexpected ? error.message : (error.stack ?? error);
    console.error(`\nstep ${steps + 1} is not as expected: ${shown}`);
    process.exit(1);
}
