// The API reference: reads /openapi.json (OpenAPI 3.1) and lays it out, one section a tag, one
// block an operation.

import { byId, count, el, problem } from './dom.js';

const METHODS = ['get', 'post', 'put', 'patch', 'delete', 'head', 'options'];
/** Levels of nested schemas that are laid out; deeper ones are named only. */
const MOST_DEPTH = 6;

let spec = null;

async function start() {
    const response = await fetch('/openapi.json');
    if (!response.ok) throw new Error(`/openapi.json answered with status ${response.status}`);
    spec = await response.json();
    byId('title').textContent = `${spec.info.title} ${spec.info.version}`;
    document.title = `${spec.info.title}: API reference`;
    const groups = grouped();
    byId('contents').replaceChildren(...groups.map(contentsOf));
    byId('operations').replaceChildren(intro(), ...groups.map(section), schemas());
    byId('filter').addEventListener('input', filter);
    addEventListener('hashchange', follow);
    const asked = new URLSearchParams(location.search).get('filter');
    if (asked) {
        byId('filter').value = asked;
        filter();
    }
    follow();
}

/** The operations by their first tag, in the order in which the tags are declared. */
function grouped() {
    const groups = new Map((spec.tags ?? []).map((tag) => [tag.name, { ...tag, operations: [] }]));
    for (const [path, item] of Object.entries(spec.paths ?? {})) {
        for (const method of METHODS.filter((name) => item[name])) {
            const operation = item[method];
            const tag = operation.tags?.[0] ?? 'other';
            if (!groups.has(tag)) groups.set(tag, { name: tag, operations: [] });
            const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])];
            groups.get(tag).operations.push({ ...operation, path, method, parameters });
        }
    }
    return [...groups.values()].filter((group) => group.operations.length > 0);
}

/** What an operation is called in the address: `post-v1-chat-query`. */
const anchor = ({ method, path }) =>
    `${method}${path}`.replace(/[^A-Za-z0-9]+/g, '-').replace(/-$/, '');

function intro() {
    const version = `OpenAPI ${spec.openapi}`;
    return el(
        'section',
        { class: 'intro' },
        el('h1', { text: 'API reference' }),
        ...paragraphs(spec.info.description),
        el('p', { class: 'hint', text: version }),
    );
}

function contentsOf({ name, operations }) {
    const link = (operation) =>
        el(
            'li',
            { 'data-for': anchor(operation) },
            el('a', { href: `#${anchor(operation)}` }, verb(operation), path(operation.path)),
        );
    const list = el('ul', {}, ...operations.map(link));
    return el('div', { class: 'group' }, el('h2', { text: name }), list);
}

function section({ name, description, operations }) {
    return el(
        'section',
        { class: 'group' },
        el('h2', { id: `tag-${name}`, text: name }),
        ...paragraphs(description),
        ...operations.map(block),
    );
}

function block(operation) {
    const id = anchor(operation);
    return el(
        'article',
        { class: 'operation', id, 'data-words': words(operation) },
        el('h3', {}, verb(operation), path(operation.path), anchorLink(id)),
        operation.summary ? el('p', { class: 'summary', text: operation.summary }) : null,
        ...paragraphs(operation.description),
        el('p', { class: 'auth' }, el('b', { text: 'Needs ' }), auth(operation)),
        operation.deprecated ? el('p', { class: 'notice', text: 'Deprecated.' }) : null,
        parameters(operation.parameters.map(resolved)),
        request(resolved(operation.requestBody)),
        responses(operation.responses ?? {}),
    );
}

function anchorLink(id) {
    const label = 'Link to this place';
    return el('a', { class: 'anchor', href: `#${id}`, 'aria-label': label, text: '#' });
}

const verb = ({ method }) => el('span', { class: `verb ${method}`, text: method.toUpperCase() });

/** A path that may be broken after its slashes. */
function path(text) {
    const pieces = text.split(/(?<=\/)/).flatMap((piece) => [piece, el('wbr')]);
    return el('code', { class: 'path' }, ...pieces);
}

/** What the filter looks through. */
function words({ method, path: where, summary, description, operationId, tags }) {
    const all = [method, where, summary, description, operationId, ...(tags ?? [])];
    return all.filter(Boolean).join(' ').toLowerCase();
}

/** The security requirements in words; several are alternatives. */
function auth({ security = spec.security ?? [] }) {
    const schemes = spec.components?.securitySchemes ?? {};
    const nameOf = (key) => {
        const scheme = schemes[key];
        if (scheme?.type === 'apiKey') return scheme.name;
        return scheme?.type === 'http' ? `a ${scheme.scheme} token` : key;
    };
    const either = security.map((all) => Object.keys(all).map(nameOf).join(' + ') || 'nothing');
    return either.length === 0 ? 'nothing' : either.join(', or ');
}

function parameters(list) {
    if (list.length === 0) return null;
    const row = ({ name, in: place, required, description, schema }) =>
        el(
            'tr',
            {},
            el('th', { scope: 'row' }, el('code', { text: name }), required ? star() : null),
            el('td', { text: place }),
            el('td', {}, typeName(schema)),
            el('td', {}, ...inline([description, limits(schema)].filter(Boolean).join(' '))),
        );
    const table = el('table', {}, el('tbody', {}, ...list.map(row)));
    return part('Parameters', el('div', { class: 'wide' }, table));
}

const part = (title, ...children) =>
    el('div', { class: 'part' }, el('h4', { text: title }), ...children);

const star = () => el('span', { class: 'required', title: 'required', text: ' required' });

function request(body) {
    if (!body) return null;
    const parts = Object.entries(body.content ?? {}).map(([type, { schema, example }]) =>
        content(type, schema, example),
    );
    return part('Request', ...paragraphs(body.description), ...parts);
}

function content(type, schema, example) {
    const shown = example === undefined ? sample(schema) : example;
    return el(
        'div',
        { class: 'content' },
        el('p', { class: 'hint', text: type }),
        schema ? tree(schema) : null,
        shown === undefined ? null : folded(shown),
    );
}

function folded(value) {
    const text = typeof value === 'string' ? value : JSON.stringify(value, null, 2);
    const summary = el('summary', { text: 'Example' });
    return el('details', {}, summary, el('pre', {}, el('code', { text })));
}

function responses(all) {
    const entries = Object.entries(all).map(([status, response]) => [status, resolved(response)]);
    const good = entries.filter(([status]) => /^[123]/.test(status));
    const bad = entries.filter(([status]) => !/^[123]/.test(status));
    const success = ([status, { description, content: types = {} }]) =>
        el(
            'div',
            {},
            el('h4', {}, 'Response ', el('span', { class: 'status', text: status })),
            ...paragraphs(description),
            ...Object.entries(types).map(([type, t]) => content(type, t.schema, t.example)),
        );
    const failure = ([status, { description }]) =>
        el(
            'li',
            {},
            el('span', { class: 'status bad', text: status }),
            ' ',
            ...inline(description),
        );
    return el(
        'div',
        { class: 'part' },
        ...good.map(success),
        bad.length > 0 ? el('h4', { text: 'Errors' }) : null,
        bad.length > 0 ? el('ul', { class: 'errors' }, ...bad.map(failure)) : null,
    );
}

/** Every named schema, at the end, so that each has a place of its own. */
function schemas() {
    const named = Object.entries(spec.components?.schemas ?? {});
    const item = ([name, schema]) =>
        el(
            'article',
            { class: 'schema', id: `schema-${name}` },
            el('h3', {}, el('code', { text: name }), anchorLink(`schema-${name}`)),
            ...paragraphs(schema.description),
            tree(schema),
        );
    const title = el('h2', { text: 'schemas' });
    return el('section', { class: 'group schemas' }, title, ...named.map(item));
}

/** What a `$ref` within this document points to. */
function resolved(node) {
    const seen = new Set();
    while (node?.$ref && !seen.has(node.$ref)) {
        seen.add(node.$ref);
        const keys = node.$ref.replace(/^#\//, '').split('/');
        node = keys.reduce((at, key) => at?.[unescaped(key)], spec);
    }
    return node;
}

const unescaped = (key) => decodeURIComponent(key).replaceAll('~1', '/').replaceAll('~0', '~');
const nameOf = (ref) => unescaped(ref.split('/').at(-1));
const alternatives = (schema) => schema?.oneOf ?? schema?.anyOf;
const isNull = (schema) => schema?.type === 'null';
const typesOf = (schema) => [schema?.type ?? []].flat();

/** A schema without its "or null", and whether it had one. */
function unwrapped(schema) {
    const several = alternatives(schema);
    if (several?.some(isNull)) {
        const rest = several.filter((one) => !isNull(one));
        const inner = rest.length === 1 ? rest[0] : { ...schema, oneOf: rest, anyOf: undefined };
        return { inner, nullable: true };
    }
    return { inner: schema, nullable: typesOf(schema).includes('null') };
}

/** The type of a schema in a few words, with links to the named ones. */
function typeName(schema) {
    const parts = (given) => {
        const { inner, nullable } = unwrapped(given ?? {});
        const more = nullable ? [' or null'] : [];
        if (inner?.$ref) return [reference(inner.$ref), ...more];
        if (inner?.allOf?.length === 1) return [...parts(inner.allOf[0]), ...more];
        const several = alternatives(inner);
        if (several) {
            const either = several.flatMap((one, i) => (i ? [' or '] : []).concat(parts(one)));
            return [...either, ...more];
        }
        const types = typesOf(inner).filter((type) => type !== 'null');
        if (types[0] === 'array') return ['list of ', ...parts(inner.items), ...more];
        if (inner?.const !== undefined) return [JSON.stringify(inner.const), ...more];
        const format = inner?.format ? ` (${inner.format})` : '';
        return [(types.join(' or ') || 'any value') + format, ...more];
    };
    return el('span', { class: 'type' }, ...parts(schema));
}

function reference(ref) {
    const name = nameOf(ref);
    return el('a', { href: `#schema-${name}`, text: name });
}

/** What a value may be, beyond its type. */
function limits(schema) {
    const inner = resolved(unwrapped(resolved(schema) ?? {}).inner) ?? {};
    const said = [];
    if (inner.enum) said.push(`One of ${inner.enum.map((v) => `\`${v}\``).join(', ')}.`);
    const range = [
        ['minimum', 'at least', ''],
        ['maximum', 'at most', ''],
        ['exclusiveMinimum', 'more than', ''],
        ['exclusiveMaximum', 'less than', ''],
        ['minLength', 'at least', ' characters'],
        ['maxLength', 'at most', ' characters'],
        ['minItems', 'at least', ' items'],
        ['maxItems', 'at most', ' items'],
    ];
    for (const [key, relation, unit] of range) {
        if (inner[key] !== undefined) said.push(`${relation} ${inner[key]}${unit}.`);
    }
    if (inner.pattern) said.push(`Matches \`${inner.pattern}\`.`);
    if (inner.default !== undefined) said.push(`Default \`${JSON.stringify(inner.default)}\`.`);
    return said.map((text) => text[0].toUpperCase() + text.slice(1)).join(' ');
}

/** The fields of a schema, those of nested ones inside. */
function tree(schema, depth = 0, above = []) {
    const { inner } = unwrapped(schema);
    if (inner?.$ref) {
        if (above.includes(inner.$ref)) return null;
        above = [...above, inner.$ref];
    }
    const plain = merged(resolved(inner));
    if (!plain || depth > MOST_DEPTH) return null;
    if (typesOf(plain).includes('array')) {
        const nested = tree(plain.items ?? {}, depth, above);
        return depth === 0 && !nested ? el('p', {}, typeName(schema)) : nested;
    }
    const several = alternatives(plain);
    if (several) {
        const variants = several.map((one) => tree(one, depth + 1, above)).filter(Boolean);
        if (variants.length === 0) return depth === 0 ? el('p', {}, typeName(plain)) : null;
        const or = () => el('p', { class: 'hint', text: 'or' });
        return el('div', {}, ...variants.flatMap((one, i) => (i ? [or(), one] : [one])));
    }
    const fields = Object.entries(plain.properties ?? {});
    if (fields.length === 0) {
        if (depth > 0) return null;
        return el('p', {}, typeName(plain), ' ', ...inline(limits(plain)));
    }
    const item = ([name, field]) => {
        const target = resolved(unwrapped(field).inner);
        const said = [field.description ?? target?.description, limits(field)];
        return el(
            'li',
            {},
            el('code', { class: 'field', text: name }),
            plain.required?.includes(name) ? star() : null,
            ' ',
            typeName(field),
            el('span', { class: 'said' }, ...inline(said.filter(Boolean).join(' '))),
            tree(field, depth + 1, above),
        );
    };
    return el('ul', { class: 'fields' }, ...fields.map(item));
}

/** A schema with what its `allOf` brings. */
function merged(schema) {
    if (!schema?.allOf) return schema;
    return schema.allOf
        .map((one) => merged(resolved(one)) ?? {})
        .reduce(
            (all, one) => ({
                ...all,
                ...one,
                properties: { ...all.properties, ...one.properties },
                required: [...(all.required ?? []), ...(one.required ?? [])],
            }),
            { ...schema, allOf: undefined },
        );
}

/** A value that fits a schema, from its examples where it has any. */
function sample(schema, depth = 0) {
    if (!schema || depth > MOST_DEPTH) return undefined;
    const given = schema.example ?? schema.examples?.[0] ?? schema.default ?? schema.const;
    if (given !== undefined) return given;
    const plain = merged(resolved(unwrapped(schema).inner));
    const own = plain?.example ?? plain?.examples?.[0] ?? plain?.const ?? plain?.enum?.[0];
    if (own !== undefined) return own;
    const several = alternatives(plain);
    if (several) return sample(several[0], depth + 1);
    const type = typesOf(plain).find((one) => one !== 'null');
    if (plain?.properties) {
        const fields = Object.entries(plain.properties).map(([k, v]) => [k, sample(v, depth + 1)]);
        return Object.fromEntries(fields.filter(([, value]) => value !== undefined));
    }
    if (type === 'array') {
        const one = sample(plain.items, depth + 1);
        return one === undefined ? [] : [one];
    }
    const formats = {
        uuid: '6f1f3c52-8d3e-4a53-9c1e-2f0b7f0a9d11',
        'date-time': '2026-01-31T09:30:00Z',
        email: 'ada@example.org',
        uri: 'https://example.org/',
    };
    const string = formats[plain?.format] ?? 'text';
    return { string, integer: plain?.minimum ?? 0, number: 0.5, boolean: true }[type];
}

/** Paragraphs of a description; of Markdown, code spans and nothing else. */
function paragraphs(text) {
    const pieces = (text ?? '').split(/\n\s*\n/).filter((piece) => piece.trim() !== '');
    return pieces.map((piece) => el('p', { class: 'said' }, ...inline(piece)));
}

function inline(text) {
    return (text ?? '')
        .split(/(`[^`]+`)/)
        .map((piece) => (/^`.+`$/.test(piece) ? el('code', { text: piece.slice(1, -1) }) : piece));
}

function filter() {
    const wanted = byId('filter').value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const operation of document.querySelectorAll('.operation')) {
        const fits = wanted.every((word) => operation.dataset.words.includes(word));
        operation.hidden = !fits;
        document.querySelector(`[data-for="${CSS.escape(operation.id)}"]`).hidden = !fits;
        shown += fits ? 1 : 0;
    }
    const visible = '.operation:not([hidden]), li[data-for]:not([hidden])';
    for (const group of document.querySelectorAll('.group:not(.schemas)')) {
        group.hidden = !group.querySelector(visible);
    }
    document.querySelector('.schemas').hidden = wanted.length > 0;
    document.querySelector('.intro').hidden = wanted.length > 0;
    byId('found').textContent = count(shown, 'operation');
}

/** Goes to what the address names, filtered out or not. */
function follow() {
    for (const old of document.querySelectorAll('.targeted')) old.classList.remove('targeted');
    const target = location.hash && byId(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    if (target.closest('[hidden]')) {
        byId('filter').value = '';
        filter();
    }
    target.classList.add('targeted');
    target.scrollIntoView({ block: 'start' });
}

start().catch((error) => {
    console.error(error);
    byId('operations').replaceChildren(problem(error, () => location.reload()));
});
