// The page of the mock service. It requests the state once a second, and keeps it in memory only.

import { $, announce, button, count, counted, element, put, sync } from './dom.js';
import { STATES, attemptText, lineOf, showMessages, stateText } from './inbox.js';
import { DAY_MS, isoDate, localOf, mondayOf, setZone, timeOf, zoneName, zoneOptions } from './time.js';
import { showWeek } from './week.js';

const PAGE = 50;
const POLL_MS = 1000;
const TIMEOUT_MS = 5000;
const COUNTS = ['requests', 'accepted', 'rejected', 'without_response', 'token_requests', 'slots'];

let state = null; // the last response of `page/state`
let week = null; // the last response of `page/week`
let weekRequest = ''; // the request that `week` responds to, or that is in flight
let limit = PAGE; // the maximum number of messages
let filter = ''; // the state of the listed messages; empty: all
let monday = null; // the chosen week, as a local time; null: the week of the first slot
let onlyMessage = null; // the number of the message that the calendar shows; null: all
let lost = false; // whether the service failed to respond since the last successful poll
let knownBefore = ''; // the destinations that the page last wrote into the form

// --- Requests ---

// Returns the response, or null after announcing the failure.
async function request(path, body) {
  const post = body && {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  };
  try {
    const response = await fetch(path, { cache: 'no-store', signal: AbortSignal.timeout(TIMEOUT_MS), ...post });
    if (response.ok) return { json: body ? null : await response.json() };
    announce(`The service responds with status ${response.status}`);
  } catch {
    lost = true;
    announce('The service is not responding');
  }
  return null;
}

const statePath = () => `page/state?${new URLSearchParams({ limit, ...(filter && { state: filter }) })}`;

let timer = 0;
let polling = false;
let pollAgain = false;
async function poll() {
  pollAgain = polling;
  if (polling) return;
  polling = true;
  clearTimeout(timer);
  const path = statePath();
  const response = await request(path);
  polling = false;
  // A hidden page doesn't poll. It resumes when it becomes visible.
  if (pollAgain) poll();
  else if (!document.hidden) timer = setTimeout(poll, POLL_MS);
  if (response && lost) {
    lost = false;
    announce('The service responds again');
  }
  if (response && path === statePath()) takeState(response.json, path);
}

function weekPath() {
  const range = monday !== null && {
    from: new Date(timeOf(monday)).toISOString(),
    to: new Date(timeOf(monday + 7 * DAY_MS)).toISOString(),
  };
  return `page/week?${new URLSearchParams({ ...range, ...(onlyMessage !== null && { message: onlyMessage }) })}`;
}

async function requestWeek() {
  const wanted = () => `${state.version} ${zoneName()} ${weekPath()}`;
  const sent = wanted();
  if (sent === weekRequest) return;
  weekRequest = sent;
  $('week').setAttribute('aria-busy', 'true');
  const response = await request(weekPath());
  // The state or the choice may have changed in the meantime.
  if (sent !== weekRequest) return;
  if (!response) {
    weekRequest = ''; // so that the next poll requests it again
  } else if (monday === null && response.json.first !== null && goTo(localOf(response.json.first))) {
    // The week with the first slot in this time zone stays, even if earlier slots arrive later.
    return;
  } else {
    week = response.json;
    showWeek(week, monday ?? Date.parse(week.from), onlyMessage);
  }
  $('week').setAttribute('aria-busy', 'false');
}

async function post(path, body, done) {
  if (await request(path, body)) announce(done);
  poll();
}

// The settings of a client stay the same while the service runs.
async function showSettings() {
  if ($('settings').textContent) return;
  try {
    const response = await fetch('page/settings', { cache: 'no-store', signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (response.ok) put($('settings'), await response.text());
  } catch {
    // The next change of the state requests them again.
  }
  $('copy').hidden = !$('settings').textContent;
}

async function copySettings() {
  try {
    await navigator.clipboard.writeText($('settings').textContent);
    announce('The settings are copied');
  } catch {
    // Over plain http from another machine there is no clipboard, so the text is selected instead.
    getSelection().selectAllChildren($('settings'));
    announce('The settings are selected; copy them with the keyboard');
  }
}

// --- Changes ---

function takeState(json, path) {
  const before = state;
  state = { ...json, path };
  if (String(before?.version) !== String(state.version) || before.path !== path) {
    const last = total(state);
    // After the inbox is emptied, the chosen message and week no longer exist.
    if (onlyMessage !== null && onlyMessage > last) onlyMessage = null;
    if (before && !last) monday = null;
    showState();
    announceChanges(before, state);
  }
  requestWeek();
}

const total = ({ states }) => states.accepted + states.rejected + states.no_response;

function announceChanges(before, now) {
  const last = total(now);
  if (!before) return announce(last ? `${counted(last, 'message')} so far` : 'No messages so far');
  if (!last) return total(before) && announce('The inbox is empty');
  if (before.path !== now.path) return;
  const known = new Map(before.messages.map(({ number, state }) => [number, state]));
  const wasEmptied = last < total(before);
  const changed = now.messages.filter(({ number, state }) =>
    wasEmptied || number > total(before) || (known.has(number) && known.get(number) !== state));
  if (!changed.length) return;
  if (changed.length === 1) return announce(`Message ${changed[0].number} ${STATES[changed[0].state]}`);
  const counts = {};
  for (const { state } of changed) counts[state] = (counts[state] ?? 0) + 1;
  announce(`Messages ${changed.at(-1).number} to ${changed[0].number}: ${stateText(counts)}`);
}

// --- Counts, responses, destinations and messages ---

function showState() {
  sync($('counts'), COUNTS,
    (name) => element('div', '', element('dt', '', name.replaceAll('_', ' ')), element('dd')),
    (pair, name) => put(pair.lastChild, count(state.counts[name])));
  showResponses();
  showDestinations();
  put($('tokens-shown'), state.tokens.length ? 'Newest first.' : 'None yet.');
  sync($('token-rows'), state.tokens, () => element('li', 'data'), (item, token) => put(item, attemptText(token)));
  showInbox();
}

function showResponses() {
  const labels = new Map(state.responses.map(({ name, label }) => [name, label || name]));
  sync($('responses'), state.responses,
    ({ name, explanation }) => {
      const made = button('', () => queue(name, labels.get(name)));
      const note = element('p', 'note', explanation);
      note.id = `note-${name}`;
      made.setAttribute('aria-describedby', note.id);
      return element('div', 'choice', made, note);
    },
    (made, { name }) => put(made.firstChild, labels.get(name)),
    ({ name }) => name);
  const queued = [
    ...state.next.map((name) => labels.get(name) ?? name),
    ...state.next_tokens.map((name) => `${labels.get(name) ?? name}, for a token request`),
  ];
  sync($('queue'), queued, () => element('li'), put);
  $('queue').hidden = !queued.length;
  $('queue-empty').hidden = queued.length > 0 || state.is_down;
  $('outage').hidden = !state.is_down;
}

function queue(name, label) {
  const to = $('recipient').value;
  const suffix = to === 'message' ? '' : ', for a token request';
  post('page/next', { response: name, to }, `Queued: ${label}${suffix}`);
}

function showDestinations() {
  const known = state.known_destinations;
  put($('destinations-shown'), known
    ? `${counted(known.length + 1, 'destination')} known. A message to another one gets a 403.`
    : 'Any UUID is known.');
  put($('own-destination'), state.destination);
  $('forget').hidden = !known;
  // What a person typed stays until the known destinations change.
  const text = known?.join('\n') ?? '';
  if (text !== knownBefore) $('destinations').value = text;
  knownBefore = text;
}

// Shows an error next to a form field, or removes it.
function showError(field, text) {
  $(field).setAttribute('aria-invalid', String(text !== ''));
  put($(`${field}-error`), text);
}

function knowDestinations(text) {
  const known = text.split(/[\s,]+/).filter(Boolean);
  const wrong = known.findIndex((id) => !/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(id));
  showError('destinations', wrong < 0 ? '' : `Entry ${wrong + 1} isn't a UUID`);
  if (wrong >= 0) return;
  post('page/destinations', { known }, `${counted(known.length + 1, 'destination')} known`);
}

function showInbox() {
  const { messages, matching, states } = state;
  const all = total(state);
  const focused = document.activeElement;
  const older = $('older');
  for (const [name, label] of [['', 'All'], ...Object.entries(STATES)]) {
    const choice = $(`filter-${name || 'all'}`);
    put(choice, `${label[0].toUpperCase()}${label.slice(1)} (${count(name ? states[name] : all)})`);
    choice.setAttribute('aria-pressed', String(filter === name));
  }
  $('filter').hidden = !all;
  const kind = filter ? `${STATES[filter]} ` : '';
  put($('messages-shown'), !all ? 'None yet. Messages that clients send to this service appear here.'
    : !matching ? `No message is in the state "${STATES[filter]}".`
      : messages.length < matching ? `The newest ${count(messages.length)} of ${count(matching)}, newest first.`
        : `${counted(matching, `${kind}message`)}, newest first.`);
  $('inbox').hidden = !messages.length;
  $('connect').hidden = all > 0;
  if (!all) showSettings();
  const wasOlder = focused === older;
  showMessages(state, onlyMessage, choose);
  older.hidden = messages.length >= matching;
  // The focus stays on its element if that moved, and otherwise stays near.
  const quietly = { preventScroll: true };
  if (wasOlder && older.hidden) lineOf(messages.at(-1)?.number)?.focus();
  else if (!all && focused?.closest?.('#filter')) $('messages-heading').focus(quietly);
  else if (!focused?.isConnected) (messages.length ? $('inbox') : $('messages-heading')).focus(quietly);
  else if (document.activeElement !== focused) focused.focus(quietly);
}

function show(name) {
  filter = name;
  limit = PAGE;
  announce(name ? `Only messages in the state "${STATES[name]}"` : 'Messages in any state');
  poll();
}

// --- The week ---

// Goes to the week that contains a local time. Returns false if there is no such week.
function goTo(local) {
  const wanted = Number.isFinite(local) ? mondayOf(Math.floor(local / DAY_MS) * DAY_MS) : NaN;
  const isShown = Number.isFinite(wanted) && /^\d{4}-/.test(isoDate(wanted));
  showError('week-date', isShown ? '' : 'The calendar shows only the years 0 to 9999');
  if (isShown) {
    monday = wanted;
    requestWeek();
  }
  return isShown;
}

// Shows the slots of one message, or of all if it is the shown one or null.
function choose(message) {
  if (!state) return;
  const number = message === onlyMessage ? null : message;
  onlyMessage = number;
  // A message opens its own week. Showing all messages again keeps the week.
  if (number !== null) monday = null;
  showMessages(state, onlyMessage, choose);
  announce(number === null ? 'The week shows all messages' : `The week shows the slots of message ${number}`);
  requestWeek();
}

// --- Events ---

$('zone').append(...zoneOptions().map(({ name, text }) => new Option(text, name, name === zoneName())));
$('zone').addEventListener('change', ({ target }) => {
  setZone(target.value);
  if (!state) return;
  showState();
  requestWeek();
});
$('copy').addEventListener('click', copySettings);
for (const seconds of [10, 60]) {
  $(`outage-${seconds}`).addEventListener('click',
    () => post('page/outage', { seconds }, `Outage: every request gets a 503 for ${seconds} s`));
}
for (const name of ['', ...Object.keys(STATES)]) {
  $(`filter-${name || 'all'}`).addEventListener('click', () => show(name));
}
$('known').addEventListener('submit', (event) => {
  event.preventDefault();
  knowDestinations($('destinations').value);
});
$('forget').addEventListener('click', () => {
  $('destinations').value = '';
  post('page/destinations', { known: null }, 'Any destination is known');
});
$('clear-queue').addEventListener('click', () => post('page/clear', { queue: true }, 'The queue is empty'));
$('clear-inbox').addEventListener('click', () => post('page/clear', { inbox: true }, 'The inbox is empty'));
$('older').addEventListener('click', () => {
  limit += PAGE;
  poll();
});
const toEnd = (name) => () => (week?.[name] ? goTo(localOf(week[name])) : announce('There are no slots'));
const toNext = (weeks) => () => week && goTo((monday ?? Date.parse(week.from)) + weeks * 7 * DAY_MS);
$('week-first').addEventListener('click', toEnd('first'));
$('week-last').addEventListener('click', toEnd('last'));
$('week-before').addEventListener('click', toNext(-1));
$('week-after').addEventListener('click', toNext(1));
$('week-all').addEventListener('click', () => choose(null));
$('week-date').addEventListener('change', ({ target }) => {
  if (!state) return;
  if (target.value && target.validity.valid) goTo(Date.parse(target.value));
  else showError('week-date', target.validationMessage);
});
document.addEventListener('visibilitychange', () => document.hidden || poll());

poll();
