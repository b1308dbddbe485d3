// The HTTP API, as a browser speaks it: requests signed with Web Crypto, tokens renewed when
// they have run out, answers as they grow.

/** A request that failed: `message` is a sentence for people. */
export class ApiError extends Error {
    constructor({ message, status = 0, code = 'unreachable', requestId = null }) {
        super(message);
        this.name = 'ApiError';
        this.status = status;
        this.code = code;
        this.requestId = requestId;
    }

    static async of(response) {
        const body = await response.json().catch(() => null);
        let message = body?.error ?? `the server answered with status ${response.status}`;
        const wait = response.headers.get('Retry-After');
        if (wait) message += ` (try again in ${wait} s)`;
        return new ApiError({
            message,
            status: response.status,
            code: body?.code ?? 'unknown',
            requestId: body?.request_id ?? response.headers.get('X-Request-Id'),
        });
    }
}

const encoder = new TextEncoder();

/** HMAC-SHA256 of `METHOD|path|timestamp|body` under the secret's text, in hex. */
export async function sign(secret, method, path, timestamp, body) {
    if (!globalThis.crypto?.subtle) {
        throw new ApiError({
            message: 'browsers sign requests only on pages from https:// or localhost; use one of these',
            code: 'insecure_context',
        });
    }
    const algorithm = { name: 'HMAC', hash: 'SHA-256' };
    const bytes = encoder.encode(secret);
    const key = await crypto.subtle.importKey('raw', bytes, algorithm, false, ['sign']);
    const message = encoder.encode(`${method}|${path}|${timestamp}|${body}`);
    const code = new Uint8Array(await crypto.subtle.sign('HMAC', key, message));
    return Array.from(code, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * One person's connection. `session` holds clientId, clientSecret and, once signed in,
 * accessToken, refreshToken and user. `onChange` hears of every change to it, and `onEnd`
 * when it cannot be renewed.
 */
export class Api {
    #lastTimestamp = 0;
    #renewing = null;

    constructor(session, { onChange = () => {}, onEnd = () => {} } = {}) {
        this.session = session;
        this.onChange = onChange;
        this.onEnd = onEnd;
    }

    async logIn(email, password) {
        const body = { email, password, device_info: { platform: 'web' } };
        this.#keep(await json(await this.#fetch('POST', '/v1/auth/login', { body, token: null })));
        return this.session.user;
    }

    async logOut() {
        try {
            await this.call('POST', '/v1/auth/logout');
        } finally {
            this.#keep({});
        }
    }

    /** A request of the person who is signed in; the response's JSON. */
    async call(method, path, body) {
        return json(await this.#asPerson(method, path, { body }));
    }

    /** The events of a POST that answers with server-sent events, one after the other. */
    async *events(path, body, signal) {
        const response = await this.#asPerson('POST', path, {
            body,
            signal,
            accept: 'text/event-stream',
        });
        yield* sse(response.body);
    }

    /** Sends a file's bytes to where an announced upload said. */
    putFile({ upload_url: url, method, headers }, file, onProgress) {
        return new Promise((resolve, reject) => {
            const failed = (message, more) => reject(new ApiError({ message, ...more }));
            const request = new XMLHttpRequest();
            request.open(method, url);
            for (const [name, value] of Object.entries(headers ?? {})) {
                request.setRequestHeader(name, value);
            }
            request.upload.onprogress = (e) => onProgress(e.loaded, e.total);
            request.onerror = () =>
                failed(`the file could not be sent to ${new URL(url, location.href).origin}`);
            request.onload = () => {
                if (request.status < 300) return resolve();
                const body = parsed(request.responseText);
                failed(body?.error ?? `the file was refused with status ${request.status}`, {
                    status: request.status,
                    code: body?.code,
                    requestId: body?.request_id,
                });
            };
            request.send(file);
        });
    }

    /** Sends as the person; where the token has run out, renews it and sends once more. */
    async #asPerson(method, path, options) {
        const token = this.session.accessToken;
        try {
            return await this.#fetch(method, path, { ...options, token });
        } catch (error) {
            if (error.status !== 401 || !/token/.test(error.code)) throw error;
            if (this.session.accessToken === token) await this.#renew();
            return this.#fetch(method, path, { ...options, token: this.session.accessToken });
        }
    }

    /** Several requests may find the token expired at once; one of them renews it for all. */
    #renew() {
        this.#renewing ??= this.#refresh().finally(() => {
            this.#renewing = null;
        });
        return this.#renewing;
    }

    async #refresh() {
        const body = { refresh_token: this.session.refreshToken };
        try {
            const response = await this.#fetch('POST', '/v1/auth/refresh', { body, token: null });
            this.#keep(await json(response));
        } catch (error) {
            if (error.status === 401 || error.status === 403) {
                this.#keep({});
                this.onEnd();
            }
            throw error;
        }
    }

    #keep({ access_token: accessToken, refresh_token: refreshToken, user }) {
        Object.assign(this.session, { accessToken, refreshToken, user });
        this.onChange(this.session);
    }

    async #fetch(method, path, { body, token, signal, accept = 'application/json' }) {
        const text = body === undefined ? '' : JSON.stringify(body);
        const headers = { Accept: accept, ...(await this.#signature(method, path, text)) };
        if (text) headers['Content-Type'] = 'application/json';
        if (token) headers.Authorization = `Bearer ${token}`;
        let response;
        try {
            response = await fetch(path, { method, headers, body: text || undefined, signal });
        } catch (error) {
            if (error.name === 'AbortError') throw error;
            throw new ApiError({ message: 'the server cannot be reached' });
        }
        if (!response.ok) throw await ApiError.of(response);
        return response;
    }

    /** The three headers. Timestamps only grow, so that no two writes are signed alike. */
    async #signature(method, path, body) {
        const { clientId, clientSecret } = this.session;
        this.#lastTimestamp = Math.max(Date.now(), this.#lastTimestamp + 1);
        const timestamp = String(this.#lastTimestamp);
        return {
            'X-Client-ID': clientId,
            'X-Timestamp': timestamp,
            'X-Signature': await sign(clientSecret, method, path, timestamp, body),
        };
    }
}

async function json(response) {
    try {
        return await response.json();
    } catch {
        throw new ApiError({ message: 'the answer of the server cannot be read', code: 'no_json' });
    }
}

function parsed(text) {
    try {
        return JSON.parse(text);
    } catch {
        return null;
    }
}

/** The JSON of each frame of a stream of server-sent events; comments are heartbeats. */
async function* sse(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    try {
        for (;;) {
            const { value, done } = await reader.read();
            if (done) return;
            rest += value;
            // A lone CR at the end may be the first half of a CRLF.
            const cut = rest.endsWith('\r') ? rest.length - 1 : rest.length;
            const frames = (rest.slice(0, cut).replace(/\r\n?/g, '\n') + rest.slice(cut)).split(
                '\n\n',
            );
            rest = frames.pop();
            for (const frame of frames) {
                const data = frame
                    .split('\n')
                    .filter((line) => line.startsWith('data:'))
                    .map((line) => line.slice(line[5] === ' ' ? 6 : 5))
                    .join('\n');
                if (data) yield JSON.parse(data);
            }
        }
    } finally {
        reader.cancel().catch(() => {});
    }
}
