// The HTTP client of the React Native apps, as they have always behaved. It is not meant as a
// model: its habits are what the server has to live with.
//
// What it does, beyond what the API asks for:
// - The signature is CryptoJS.HmacSHA256(`METHOD|path|timestamp|body`, secret) in hex. `path`
//   is what stands in the request line, query string included. `timestamp` is Date.now(), and
//   nothing keeps two requests from having the same one.
// - `body` is JSON.stringify(body), or the empty string. A request without a body has none; it
//   does not send `{}` or `null`.
// - Content-Type: application/json goes with every request, those without a body too.
// - Once a token is stored it goes with every request: with login, sign-up and refresh as well,
//   and when it has expired. Nothing takes it away but the next sign-in.
// - Fields that it has no value for are sent as null (`conversation_id`, `filters`).
// - An upload is announced with a name and a type, without its size. The bytes are then sent to
//   `upload_url` with exactly the headers of the answer, unsigned and without a token.
// - Every response is read with .json(), whatever its status: one without a JSON body breaks it.
// - WebSockets carry the same headers on the handshake, signed as GET with an empty body.
//
// Assumptions where the API's description leaves room:
// - `headers` of an upload is an object of names and values.
// - Events are flat objects: `{type, id, …}`, a `final` one with the fields of a query's answer.
// - `id` of an event is a number, or a text that holds one, and grows from event to event.
// - After a question that is refused, a WebSocket stays open for the next one.
// - Where a WebSocket starts without headers, the first message is {client_id, timestamp,
//   signature, token}, with `timestamp` as a text. Nothing answers it unless it is wrong.

import CryptoJS from 'crypto-js';
import WebSocket from 'ws';

const STREAM = '/v1/chat/stream';

export class FaqClient {
    constructor({ baseUrl, clientId = null, clientSecret = null }) {
        this.baseUrl = baseUrl.replace(/\/+$/, '');
        this.clientId = clientId;
        this.clientSecret = clientSecret;
        this.token = null;
        this.refreshToken = null;
    }

    /** A client of the same app on another person's phone. */
    another() {
        return new FaqClient(this);
    }

    signature(method, path, timestamp, body = '') {
        const payload = `${method}|${path}|${timestamp}|${body}`;
        return CryptoJS.HmacSHA256(payload, this.clientSecret).toString();
    }

    headers(method, path, body = '', timestamp = Date.now().toString()) {
        const headers = { 'Content-Type': 'application/json' };
        if (this.clientId) {
            headers['X-Client-ID'] = this.clientId;
            headers['X-Timestamp'] = timestamp;
            headers['X-Signature'] = this.signature(method, path, timestamp, body);
        }
        if (this.token) {
            headers.Authorization = `Bearer ${this.token}`;
        }
        return headers;
    }

    /** Sends these very headers and this very text. */
    async send(method, path, headers, text = '') {
        const response = await fetch(this.baseUrl + path, {
            method,
            headers,
            body: text === '' ? undefined : text,
            redirect: 'manual',
        });
        return {
            method,
            path,
            status: response.status,
            headers: response.headers,
            json: await readJson(method, path, response),
        };
    }

    request(method, path, body) {
        const text = body === undefined ? '' : JSON.stringify(body);
        return this.send(method, path, this.headers(method, path, text), text);
    }

    register(orgName, adminEmail, adminPassword) {
        return this.request('POST', '/v1/org/register', {
            org_name: orgName,
            admin_email: adminEmail,
            admin_password: adminPassword,
        });
    }

    signUp(email, password, orgId) {
        return this.request('POST', '/v1/auth/signup', { email, password, org_id: orgId });
    }

    async logIn(email, password) {
        const answer = await this.request('POST', '/v1/auth/login', {
            email,
            password,
            device_info: { platform: 'ios', app_version: '1.4.2' },
        });
        this.#keep(answer);
        return answer;
    }

    async refresh(refreshToken = this.refreshToken) {
        const answer = await this.request('POST', '/v1/auth/refresh', {
            refresh_token: refreshToken,
        });
        this.#keep(answer);
        return answer;
    }

    #keep({ status, json }) {
        if (status === 200) {
            this.token = json.access_token;
            this.refreshToken = json.refresh_token;
        }
    }

    logOut() {
        return this.request('POST', '/v1/auth/logout');
    }

    announceUpload(filename, contentType) {
        return this.request('POST', '/v1/documents/upload', {
            filename,
            content_type: contentType,
        });
    }

    /** Sends the bytes to where an announced upload said. */
    async putBytes({ upload_url: url, method, headers }, bytes) {
        const response = await fetch(url, { method, headers, body: bytes });
        const path = new URL(url).pathname;
        return {
            method,
            path,
            status: response.status,
            json: await readJson(method, path, response),
        };
    }

    ask(query, conversationId = null) {
        return this.request('POST', '/v1/chat/query', {
            query,
            conversation_id: conversationId,
            filters: null,
        });
    }

    /** Asks over server-sent events. */
    async askOverSse(query, conversationId = null) {
        const text = JSON.stringify({ query, conversation_id: conversationId });
        const response = await fetch(this.baseUrl + STREAM, {
            method: 'POST',
            headers: { ...this.headers('POST', STREAM, text), Accept: 'text/event-stream' },
            body: text,
        });
        const type = response.headers.get('content-type') ?? '';
        const answer = { method: 'POST', path: STREAM, status: response.status, type };
        if (!type.startsWith('text/event-stream')) {
            return { ...answer, json: await readJson('POST', STREAM, response), frames: [] };
        }
        return { ...answer, frames: sseFrames(await response.text()) };
    }

    /** A WebSocket with the signature and the token on its handshake. */
    openStream() {
        return Stream.open(this.#streamUrl(), this.headers('GET', STREAM));
    }

    /** A WebSocket as a browser opens it: no headers, so the first message brings the proof. */
    async openStreamAsBrowser(token = this.token) {
        const stream = await Stream.open(this.#streamUrl(), {});
        const timestamp = Date.now().toString();
        stream.send({
            client_id: this.clientId,
            timestamp,
            signature: this.signature('GET', STREAM, timestamp),
            token,
        });
        return stream;
    }

    #streamUrl() {
        return this.baseUrl.replace(/^http/, 'ws') + STREAM;
    }
}

async function readJson(method, path, response) {
    const text = await response.text();
    try {
        return JSON.parse(text);
    } catch {
        const shown = text.slice(0, 200);
        throw new Error(
            `${method} ${path} answered ${response.status} with a body that is no JSON: "${shown}"`,
        );
    }
}

/** The frames of a stream of server-sent events; comments are counted and left out. */
function sseFrames(text) {
    const frames = [];
    for (const block of text.replace(/\r\n?/g, '\n').split('\n\n')) {
        const frame = { id: null, event: 'message', data: [] };
        for (const line of block.split('\n')) {
            const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line);
            if (field === 'data') frame.data.push(value);
            else if (field === 'id' || field === 'event') frame[field] = value;
        }
        if (frame.data.length > 0) {
            frames.push({ ...frame, data: JSON.parse(frame.data.join('\n')) });
        }
    }
    return frames;
}

/** A WebSocket whose events are awaited one after the other. */
class Stream {
    #socket;
    #events = [];
    #waiting = null;
    #closed = null;

    /** Opens it; fails with `{status, json}` of the response where the server refuses. */
    static open(url, headers) {
        const socket = new WebSocket(url, [], { headers });
        return new Promise((resolve, reject) => {
            const stream = new Stream(socket);
            socket.on('open', () => resolve(stream));
            socket.on('error', reject);
            socket.on('unexpected-response', async (_request, response) => {
                const pieces = [];
                for await (const piece of response) pieces.push(piece);
                const text = Buffer.concat(pieces).toString();
                const error = new Error(
                    `the handshake was answered ${response.statusCode}: ${text}`,
                );
                error.status = response.statusCode;
                try {
                    error.json = JSON.parse(text);
                } catch {
                    error.json = null;
                }
                reject(error);
            });
        });
    }

    constructor(socket) {
        this.#socket = socket;
        socket.on('message', (data) => {
            this.#events.push(JSON.parse(data.toString()));
            this.#waiting?.();
        });
        socket.on('close', (code) => {
            this.#closed = code;
            this.#waiting?.();
        });
    }

    send(message) {
        this.#socket.send(JSON.stringify(message));
    }

    /** The next event; `null` once the server has closed. */
    async next() {
        while (this.#events.length === 0 && this.#closed === null) {
            await new Promise((wake) => {
                this.#waiting = wake;
            });
        }
        return this.#events.shift() ?? null;
    }

    /** Asks, and gathers the events up to `final` or `error`. */
    async ask(query, conversationId = null) {
        this.send({ query, conversation_id: conversationId });
        const events = [];
        for (;;) {
            const event = await this.next();
            if (event === null) {
                throw new Error(`the server closed the WebSocket (${this.#closed}) in mid-answer`);
            }
            events.push(event);
            if (event.type === 'final' || event.type === 'error') return events;
        }
    }

    /** Says goodbye, and gives the code of the server's own. */
    async close() {
        this.#socket.close(1000);
        while (this.#closed === null) {
            await new Promise((wake) => {
                this.#waiting = wake;
            });
        }
        return this.#closed;
    }
}
