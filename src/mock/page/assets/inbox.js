// The list of messages: one line for each, and a group for each batch.

import { $, button, count, counted, element, foldable, put, sync } from './dom.js';
import { clockOf, dateOf, duration, zoneName } from './time.js';

export const STATES = { accepted: 'accepted', rejected: 'rejected', no_response: 'no response' };

// The numbers of messages by state, such as "11 accepted, 1 rejected".
export function stateText(states) {
  return Object.entries(STATES)
    .filter(([name]) => states[name])
    .map(([name, text]) => `${count(states[name])} ${text}`)
    .join(', ');
}

export function attemptText({ at, elapsed_ms, status, outcome, reason }) {
  const took = elapsed_ms === null ? 'not ended' : `took ${duration(elapsed_ms)}`;
  const because = reason ? ` — ${reason}` : '';
  return `${status ?? 'no status'}, ${outcome}, at ${clockOf(at)}, ${took}${because}`;
}

// Shows `messages`, newest first. A batch has the position of its newest message.
export function showMessages({ messages, batches }, onlyMessage, choose) {
  const known = new Map(batches.map((batch) => [batch.id, batch]));
  const groups = new Map();
  for (const message of messages) {
    const batch = known.get(message.batch?.id);
    const isGroup = batch && (batch.total ?? 0) !== 1;
    const key = isGroup ? `batch ${batch.id}` : `message ${message.number}`;
    if (!groups.has(key)) groups.set(key, { key, batch: isGroup ? batch : null, messages: [] });
    groups.get(key).messages.push(message);
  }
  const make = (message) => makeMessage(message, choose);
  const fill = (row, message) => fillMessage(row, message, onlyMessage);
  sync($('rows'), [...groups.values()],
    (group) => (group.batch ? makeBatch() : make(group.messages[0])),
    (row, group) => {
      if (!group.batch) return fill(row, group.messages[0]);
      fillBatch(row, group);
      sync(partsOf.get(row).rows, group.messages, make, fill, ({ number }) => number);
    },
    ({ key }) => key);
}

const partsOf = new WeakMap();

// The line of a listed message.
export const lineOf = (number) => $(`message-${number}`)?.querySelector('summary');

function makeBatch() {
  const parts = {
    title: element('h3', 'data'),
    facts: element('span', 'facts-line'),
    rows: element('ol', 'batch-rows'),
  };
  const details = element('details', '', element('summary', 'line', parts.title, ' ', parts.facts), parts.rows);
  details.open = true;
  const row = element('li', 'batch', details);
  partsOf.set(row, parts);
  return row;
}

function fillBatch(row, { batch, messages }) {
  const { title, facts } = partsOf.get(row);
  const { accepted, rejected, no_response } = batch.states;
  const arrived = accepted + rejected + no_response;
  const hidden = arrived - messages.length;
  put(title, `Batch ${batch.id || 'with an empty id'}`);
  put(facts, [
    batch.total === null ? counted(arrived, 'message') : `${count(arrived)} of ${counted(batch.total, 'message')}`,
    stateText(batch.states),
    counted(batch.slots, 'slot'),
    hidden ? `${count(hidden)} not listed here` : '',
  ].filter(Boolean).join(' · '));
}

function batchText(batch) {
  if (!batch) return 'none';
  const { id, current, total } = batch;
  const part = [current, total].filter((number) => number !== null).join(' of ') || null;
  return [id === null ? 'no id' : id || 'empty id', part].filter((word) => word !== null).join(', ');
}

function makeMessage({ number }, choose) {
  const parts = {
    state: element('span', 'state'),
    line: element('span', 'facts-line'),
    at: element('span', 'at'),
    id: element('dd', 'id'),
    batch: element('dd', 'data'),
    slots: element('dd'),
    destinations: foldable('destinations'),
    logs: foldable('logs'),
    scale: element('p', 'scale'),
    attempts: element('ol', 'attempts'),
    pick: button(`Slots of message ${number}`, () => choose(number)),
    seen: '',
  };
  const toWeek = element('a', 'to-week', 'See the week');
  toWeek.href = '#week';
  const facts = [
    ['Message id', parts.id],
    ['Batch', parts.batch],
    ['Slots', parts.slots],
    ['Destinations', element('dd', '', ...parts.destinations.nodes)],
    ['Logs', element('dd', '', ...parts.logs.nodes)],
  ].map(([term, value]) => element('div', '', element('dt', '', term), value));
  const line = element('summary', 'line',
    element('h4', '', `Message ${number}`), ' ', parts.state, ' ', parts.line, ' ', parts.at);
  const body = element('div', 'body',
    element('dl', 'facts', ...facts),
    element('div', '', parts.scale, parts.attempts),
    element('div', 'buttons', parts.pick, toWeek));
  const row = element('li', 'message', element('details', '', line, body));
  partsOf.set(row, parts);
  row.id = `message-${number}`;
  return row;
}

function fillMessage(row, message, onlyMessage) {
  const parts = partsOf.get(row);
  parts.pick.setAttribute('aria-pressed', String(onlyMessage === message.number));
  const seen = `${zoneName()} ${JSON.stringify(message)}`;
  if (seen === parts.seen) return;
  parts.seen = seen;

  const { attempts, batch } = message;
  const starts = attempts.map(({ at }) => Date.parse(at));
  const begin = Math.min(...starts);
  const ends = attempts.map(({ elapsed_ms }, index) => starts[index] + (elapsed_ms ?? 0));
  const whole = Math.max(...ends) - begin;
  const tried = `${counted(attempts.length, 'attempt')} in ${duration(whole)}`;
  const last = attempts.at(-1);

  put(parts.state, STATES[message.state]);
  parts.state.className = `state ${message.state}`;
  put(parts.line, [
    batch?.total > 1 && batch.current !== null ? `part ${batch.current} of ${batch.total}` : '',
    counted(message.slots, 'slot'),
    tried,
    message.state === 'rejected' ? [last.status, last.reason].filter(Boolean).join(' ') : '',
  ].filter(Boolean).join(' · '));
  put(parts.at, `${dateOf(attempts[0].at)} ${clockOf(attempts[0].at).slice(0, 8)}`);

  put(parts.id, message.message_id ?? 'none');
  put(parts.batch, batchText(batch));
  const copies = message.arrived > 1 ? `, accepted ${message.arrived} times` : '';
  put(parts.slots, count(message.slots) + copies);
  parts.destinations.fill(message.destinations, () => element('li', 'id'), put);
  parts.logs.fill(message.logs,
    () => element('li', 'id', element('code', 'log-id'), ' attempt id ', element('code')),
    (item, { id, attempt_id }) => {
      put(item.firstChild, id ?? 'none');
      put(item.lastChild, attempt_id ?? 'none');
    });
  put(parts.scale, tried);
  sync(parts.attempts, attempts, makeAttempt, (item, attempt) => {
    const mark = item.firstChild.firstChild;
    const share = (ms) => String(whole > 0 ? ms / whole : 0);
    mark.className = attempt.status === null ? 'silent' : attempt.status < 300 ? 'good' : 'bad';
    mark.style.setProperty('--from', share(Date.parse(attempt.at) - begin));
    mark.style.setProperty('--share', share(attempt.elapsed_ms ?? 0));
    put(item.lastChild, `attempt ${attempt.number} — ${attemptText(attempt)}`);
  });
}

function makeAttempt() {
  // Hidden from screen readers, because the text has the same facts.
  const lane = element('span', 'lane', element('span'));
  lane.setAttribute('aria-hidden', 'true');
  return element('li', '', lane, element('span', 'text data'));
}
