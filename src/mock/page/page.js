// The page of the mock service: asks once a second what arrived, and shows it. Whatever was sent gets into the
// document as text, never as markup, and is kept in memory alone.

const PAGE = 50;
const PAUSE_MS = 1000;
const PATIENCE_MS = 5000;
const DAY_MS = 86_400_000;
const DAYS = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const COUNTS = [
  ['requests', 'requests'],
  ['accepted', 'accepted'],
  ['rejected', 'rejected'],
  ['without_response', 'without response'],
  ['token_requests', 'token requests'],
  ['slots', 'slots'],
];

let state = null; // what `page/state` last returned
let week = null; // what `page/week` last returned
let weekAsked = ''; // the question that `week` responds to or is about to
let limit = PAGE; // of messages to ask for
let monday = null; // of the chosen week; until there is one, the service chooses
let only = null; // the number of the message whose slots the calendar shows; null: of all
let local = false; // whether times are local
let lost = false; // whether the service failed to respond last time

// --- Elements ---

const $ = (id) => document.getElementById(id);

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

function button(text, onClick) {
  const made = element('button', '', text);
  made.type = 'button';
  made.addEventListener('click', onClick);
  return made;
}

// Text that is the same stays untouched, so that a selection or a screen reader's place in it does too.
function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Makes the children of `parent` those of `items`. The children of items that stay are neither made anew nor moved,
// so they keep focus and what is open in them.
const childrenOf = new WeakMap();
function sync(parent, items, make, fill, keyOf = (_, index) => index) {
  const before = childrenOf.get(parent) ?? new Map();
  const after = new Map();
  items.forEach((item, index) => {
    const key = keyOf(item, index);
    after.set(key, before.get(key) ?? make(item));
  });
  for (const [key, child] of before) if (!after.has(key)) child.remove();
  childrenOf.set(parent, after);
  let place = parent.firstElementChild;
  items.forEach((item, index) => {
    const child = after.get(keyOf(item, index));
    fill(child, item);
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  });
}

// A list of which the first few are in sight and the others a press away.
function foldable(noun, few = 3) {
  const first = element('ul');
  const rest = element('ul');
  const summary = element('summary');
  const more = element('details', '', summary, rest);
  const fill = (items, make, fillOne) => {
    sync(first, items.slice(0, few), make, fillOne);
    sync(rest, items.slice(few), make, fillOne);
    more.hidden = items.length <= few;
    put(summary, `${count(items.length - few)} more ${noun}`);
  };
  return { nodes: [first, more], fill };
}

function say(text) {
  put($('live'), text);
}

// --- Words ---

const count = (number) => number.toLocaleString('en-US');
const counted = (number, noun) => `${count(number)} ${noun}${number === 1 ? '' : 's'}`;

// A local time is given as though it were one in UTC, so that the same fields serve both.
function shown(at) {
  const time = new Date(at);
  return local ? new Date(time - time.getTimezoneOffset() * 60_000) : time;
}
const dateOf = (at) => shown(at).toISOString().slice(0, 10);
const clockOf = (at) => shown(at).toISOString().slice(11, 23);
const zoneName = () => (local ? `local time (${Intl.DateTimeFormat().resolvedOptions().timeZone})` : 'UTC');

function duration(ms) {
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms < 1 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

function batchText(batch) {
  if (!batch) return 'none';
  const { id, current, total } = batch;
  const part = [current, total].filter((number) => number !== null).join(' of ') || null;
  return [id === null ? 'no id' : id || 'empty id', part].filter((word) => word !== null).join(', ');
}

const mondayOf = (time) => time - ((new Date(time).getUTCDay() + 6) % 7) * DAY_MS;
const utcDate = (time) => new Date(time).toISOString().slice(0, 10);
function dayName(index) {
  const day = new Date(Date.parse(week.monday) + index * DAY_MS);
  return `${DAYS[index]} ${day.getUTCDate()} ${MONTHS[day.getUTCMonth()]}`;
}

// --- Asking ---

// The response of the service, or null after saying why there is nothing.
async function tryToAsk(path, body) {
  const post = body && {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  };
  try {
    const got = await fetch(path, { cache: 'no-store', signal: AbortSignal.timeout(PATIENCE_MS), ...post });
    if (got.ok) return { response: body ? null : await got.json() };
    say(`The service responds with status ${got.status}`);
  } catch {
    say('The service is not responding');
  }
  return null;
}

let timer = 0;
let asking = false;
let askAgain = false;
async function poll() {
  askAgain = asking;
  if (asking) return;
  asking = true;
  clearTimeout(timer);
  const asked = limit;
  const got = await tryToAsk(`page/state?limit=${asked}`);
  asking = false;
  // A page out of sight asks nothing; it asks as soon as it is in sight again.
  if (askAgain) poll();
  else if (!document.hidden) timer = setTimeout(poll, PAUSE_MS);
  if (got && lost) say('The service responds again');
  lost = !got;
  if (got) takeState(got.response, asked);
}

const weekPath = () =>
  `page/week?${new URLSearchParams({ ...(monday && { monday }), ...(only !== null && { message: only }) })}`;
const weekQuestion = () => `${state.version} ${weekPath()}`;
async function askWeek() {
  const question = weekQuestion();
  if (question === weekAsked) return;
  weekAsked = question;
  $('week').setAttribute('aria-busy', 'true');
  const got = await tryToAsk(weekPath());
  // Something else may have been chosen meanwhile.
  if (question !== weekAsked) return;
  $('week').setAttribute('aria-busy', 'false');
  if (!got) {
    weekAsked = ''; // for the next round to ask anew
    return;
  }
  if (!/^\d{4}-/.test(got.response.monday)) return say('No calendar here shows the year of these slots');
  week = got.response;
  // The week that the service chose stays once it shows something, whatever arrives later.
  if (monday === null && week.first !== null) monday = week.monday;
  weekAsked = weekQuestion();
  showWeek();
}

// The settings of a client stay the same while the service runs.
async function showSettings() {
  if ($('settings').textContent) return;
  try {
    const got = await fetch('page/settings', { cache: 'no-store', signal: AbortSignal.timeout(PATIENCE_MS) });
    if (got.ok) put($('settings'), await got.text());
  } catch {
    // The next change of the state asks again.
  }
  $('copy').hidden = !$('settings').textContent;
}

async function copySettings() {
  try {
    await navigator.clipboard.writeText($('settings').textContent);
    say('The settings are copied');
  } catch {
    // Without the clipboard, such as over plain http from another machine, the text is selected instead.
    getSelection().selectAllChildren($('settings'));
    say('The settings are selected; copy them with the keyboard');
  }
}

function queue(name, label) {
  const to = $('recipient').value;
  const place = to === 'message' ? '' : ', for a token request';
  post('page/next', { response: name, to }, `Queued: ${label}${place}`);
}

async function post(path, body, done) {
  if (await tryToAsk(path, body)) say(done);
  poll();
}

function takeState(response, asked) {
  const before = state;
  state = response;
  if (String(before?.version) !== String(response.version) || before.asked !== asked) {
    state.asked = asked;
    const top = response.messages[0]?.number ?? 0;
    // An emptied inbox has neither the message nor the week that were chosen.
    if (only !== null && only > top) only = null;
    if (before && !response.all_messages) monday = null;
    showState();
    announce(before, response);
  } else {
    state.asked = asked;
  }
  askWeek();
}

function announce(before, now) {
  if (!before) return say(now.all_messages ? `${counted(now.all_messages, 'message')} so far` : 'No messages so far');
  if (!now.messages.length) return before.messages.length && say('The inbox is empty');
  const known = new Map(before.messages.map(({ number, state }) => [number, state]));
  const top = before.messages[0]?.number ?? 0;
  const anew = now.messages[0].number < top;
  const news = now.messages.filter(({ number, state }) =>
    anew || number > top || (known.has(number) && known.get(number) !== state));
  if (!news.length) return;
  if (news.length === 1) return say(`Message ${news[0].number} ${news[0].state}`);
  const words = ['accepted', 'rejected', 'no response']
    .map((word) => [news.filter(({ state }) => state === word).length, word])
    .filter(([many]) => many)
    .map((pair) => pair.join(' '));
  say(`Messages ${news.at(-1).number} to ${news[0].number}: ${words.join(', ')}`);
}

// --- Counts, responses and messages ---

function showState() {
  sync($('counts'), COUNTS,
    ([, word]) => element('div', '', element('dt', '', word), element('dd')),
    (pair, [name]) => put(pair.lastChild, count(state.counts[name])));

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

  const { messages, all_messages: all } = state;
  const focused = document.activeElement;
  const older = $('older');
  const many = $('rows').children.length;
  put($('messages-shown'), !all ? 'None yet. What is pushed to this service appears here.'
    : messages.length < all ? `The newest ${count(messages.length)} of ${count(all)}, newest first.`
      : `${counted(all, 'message')}, newest first.`);
  put($('tokens-shown'), state.tokens.length ? 'The newest first.' : 'None yet.');
  sync($('token-rows'), state.tokens, () => element('li', 'data'), (item, token) => put(item, told(token)));
  $('inbox').hidden = !messages.length;
  $('connect').hidden = messages.length > 0;
  if (!messages.length) showSettings();
  sync($('rows'), messages, makeMessage, fillMessage, ({ number }) => number);
  older.hidden = messages.length >= all;
  // Focus does not fall out of the list with what left it.
  if (focused === older && older.hidden) $('rows').children[many]?.querySelector('button').focus();
  else if (!focused?.isConnected) (messages.length ? $('inbox') : $('clear-inbox')).focus({ preventScroll: true });
}

const partsOf = new WeakMap();
function makeMessage({ number }) {
  const parts = {
    state: element('span', 'state'),
    at: element('span', 'at'),
    id: element('dd', 'id'),
    batch: element('dd', 'data'),
    slots: element('dd'),
    destinations: foldable('destinations'),
    logs: foldable('logs'),
    scale: element('p', 'scale'),
    attempts: element('ol', 'attempts'),
    pick: button(`Slots of message ${number}`, () => choose(only === number ? null : number)),
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
  const title = element('h3', '', `Message ${number}`);
  const row = element('li', 'message',
    element('div', 'title', title, parts.state, parts.at, element('div', 'buttons', parts.pick, toWeek)),
    element('dl', 'facts', ...facts),
    element('div', '', parts.scale, parts.attempts));
  partsOf.set(row, parts);
  return row;
}

function fillMessage(row, message) {
  const parts = partsOf.get(row);
  parts.pick.setAttribute('aria-pressed', String(only === message.number));
  const seen = `${local} ${JSON.stringify(message)}`;
  if (seen === parts.seen) return;
  parts.seen = seen;
  const { attempts } = message;
  put(parts.state, message.state);
  parts.state.className = `state ${message.state.replace(' ', '-')}`;
  put(parts.at, attempts.length ? `${dateOf(attempts[0].at)} ${clockOf(attempts[0].at).slice(0, 8)}` : '');
  put(parts.id, message.message_id ?? 'none');
  put(parts.batch, batchText(message.batch));
  const copies = message.arrived > 1 ? `, accepted ${message.arrived} times` : '';
  put(parts.slots, count(message.slots) + copies);
  parts.destinations.fill(message.destinations, () => element('li', 'id'), put);
  parts.logs.fill(message.logs,
    () => element('li', 'id', element('code', 'log-id'), ' attempt id ', element('code', 'attempt-id')),
    (item, { id, attempt_id }) => {
      put(item.firstChild, id ?? 'none');
      put(item.lastChild, attempt_id ?? 'none');
    });

  const starts = attempts.map(({ at }) => Date.parse(at));
  const begin = Math.min(...starts);
  const whole = Math.max(...attempts.map(({ elapsed_ms }, index) => starts[index] + (elapsed_ms ?? 0))) - begin;
  put(parts.scale, !attempts.length ? 'No attempts'
    : `${counted(attempts.length, 'attempt')} within ${duration(whole)}`);
  sync(parts.attempts, attempts,
    () => {
      // The mark says nothing that the text does not.
      const lane = element('span', 'lane', element('span'));
      lane.setAttribute('aria-hidden', 'true');
      return element('li', '', lane, element('span', 'text data'));
    },
    (item, { number, at, elapsed_ms, status }) => {
      const mark = item.firstChild.firstChild;
      const share = (ms) => String(whole > 0 ? ms / whole : 0);
      mark.className = status === null ? 'silent' : status < 300 ? 'good' : 'bad';
      mark.style.setProperty('--from', share(Date.parse(at) - begin));
      mark.style.setProperty('--share', share(elapsed_ms ?? 0));
      put(item.lastChild, `attempt ${number} — ${told(attempts[number - 1])}`);
    });
}

function told({ at, elapsed_ms, status, outcome, reason }) {
  const took = elapsed_ms === null ? 'not over' : `took ${duration(elapsed_ms)}`;
  return `${status ?? 'no status'}, ${outcome}, at ${clockOf(at)}, ${took}${reason ? ` — ${reason}` : ''}`;
}

// --- The week ---

function showWeek() {
  const filtered = only === null ? '' : ` of message ${only}`;
  const begin = Date.parse(week.monday);
  const any = week.providers.some(({ slots }) => slots.length);
  const title = `Slots${filtered}, ${utcDate(begin)} to ${utcDate(begin + 6 * DAY_MS)}, ${zoneName()}`;
  put($('week-shown'), any ? '' : `No slots${filtered} from ${utcDate(begin)} to ${utcDate(begin + 6 * DAY_MS)}.`);
  $('week-left-out').hidden = !week.left_out;
  put($('week-left-out'), `${count(week.left_out)} more slots of this week are not shown.`);
  $('week-all').setAttribute('aria-pressed', String(only === null));
  // A date that is being typed stays.
  const date = $('week-date');
  if (document.activeElement !== date) date.value = week.monday;

  $('calendar').hidden = !any;
  put($('calendar-caption'), title);
  DAYS.forEach((_, day) => put($('days').children[day + 1], dayName(day)));
  sync($('providers'), week.providers, makeProvider, fillProvider, ({ name, id }) => JSON.stringify([name, id]));
}

function cell(tag, role, scope) {
  const made = element(tag);
  made.setAttribute('role', role);
  if (scope) made.scope = scope;
  return made;
}

function makeProvider({ name, id }) {
  const row = cell('tr', 'row');
  const head = cell('th', 'rowheader', 'row');
  head.append(element('span', 'provider data', name || 'No provider'));
  if (id) head.append(element('span', 'provider-id data', id));
  row.append(head);
  for (let day = 0; day < 7; day++) {
    const column = cell('td', 'cell');
    column.append(element('span', 'day'), element('ul'));
    row.append(column);
  }
  return row;
}

function fillProvider(row, { slots }) {
  const days = DAYS.map(() => []);
  const begin = Date.parse(week.monday);
  for (const { start, minutes, reason } of slots) {
    const day = Math.floor((shown(start) - begin) / DAY_MS);
    const column = Math.min(Math.max(day, 0), 6);
    const clock = clockOf(start).slice(0, 8).replace(/:00$/, '');
    // In local time a slot may belong to the day before or after the week: it says so.
    const time = day === column ? clock : `${DAYS[(day + 7) % 7]} ${clock}`;
    days[column].push([time, `${minutes === null ? '' : ` ${count(minutes)} min`}${reason ? ` — ${reason}` : ''}`]);
  }
  days.forEach((chips, day) => {
    const column = row.children[day + 1];
    column.className = chips.length ? '' : 'empty';
    put(column.firstChild, dayName(day));
    sync(column.lastChild, chips,
      () => element('li', 'slot data', element('strong'), document.createTextNode('')),
      (chip, [time, rest]) => {
        put(chip.firstChild, time);
        put(chip.lastChild, rest);
      });
  });
}

function goTo(time) {
  const wanted = Number.isFinite(time) ? utcDate(mondayOf(time)) : '';
  if (!/^\d{4}-..-..$/.test(wanted)) return say('No calendar here shows that year');
  monday = wanted;
  askWeek();
}

function choose(number) {
  only = number;
  // A message's own week comes first; taking the choice away stays in the week.
  if (number !== null) monday = null;
  for (const { number: other } of state.messages) {
    const row = childrenOf.get($('rows'))?.get(other);
    if (row) partsOf.get(row).pick.setAttribute('aria-pressed', String(other === number));
  }
  say(number === null ? 'The week shows all messages' : `The week shows the slots of message ${number}`);
  askWeek();
}

// --- What a person does ---

$('zone').addEventListener('change', ({ target }) => {
  local = target.value === 'local';
  if (state) showState();
  if (week) showWeek();
});
$('copy').addEventListener('click', copySettings);
for (const seconds of [10, 60]) {
  $(`outage-${seconds}`).addEventListener('click',
    () => post('page/outage', { seconds }, `Outage: every request gets a 503 for ${seconds} s`));
}
$('clear-queue').addEventListener('click', () => post('page/clear', { queue: true }, 'The queue is empty'));
$('clear-inbox').addEventListener('click', () => post('page/clear', { inbox: true }, 'The inbox is empty'));
$('older').addEventListener('click', () => {
  limit += PAGE;
  poll();
});
const toEnd = (name) => () => (week?.[name] ? goTo(Date.parse(week[name])) : say('There are no slots'));
$('week-first').addEventListener('click', toEnd('first'));
$('week-last').addEventListener('click', toEnd('last'));
$('week-before').addEventListener('click', () => week && goTo(Date.parse(week.monday) - 7 * DAY_MS));
$('week-after').addEventListener('click', () => week && goTo(Date.parse(week.monday) + 7 * DAY_MS));
$('week-all').addEventListener('click', () => choose(null));
$('week-date').addEventListener('change', ({ target }) => {
  if (target.value && target.validity.valid) goTo(Date.parse(target.value));
});
document.addEventListener('visibilitychange', () => document.hidden || poll());

poll();
