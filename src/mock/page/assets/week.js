// The calendar of a week: a row for each provider and location, and a time axis in each row.

import { $, count, counted, element, put, sync } from './dom.js';
import { DAY_MS, DAYS, dayName, isoDate, localOf, shortClock, zoneName } from './time.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const SHORTEST_AXIS_HOURS = 4;
// A run that is shorter is drawn with this length, so that its text has room.
const SHORTEST_MARK_MS = 30 * MINUTE_MS;
const MAX_LANES = 4;

// Shows the runs of `week`, whose days begin at `monday`, a local time as if it were UTC.
export function showWeek(week, monday, onlyMessage) {
  const filtered = onlyMessage === null ? '' : ` of message ${onlyMessage}`;
  const range = `${isoDate(monday)} to ${isoDate(monday + 6 * DAY_MS)}`;
  const any = week.rows.length > 0;
  put($('week-shown'), any ? '' : `No slots${filtered} from ${range}.`);
  $('week-left-out').hidden = !week.left_out;
  put($('week-left-out'), `This week has ${counted(week.left_out, 'further slot')}.`);
  $('week-all').setAttribute('aria-pressed', String(onlyMessage === null));
  // A date that is being typed stays.
  const date = $('week-date');
  if (document.activeElement !== date) date.value = isoDate(monday);

  $('calendar').hidden = !any;
  put($('calendar-caption'), `Slots${filtered}, ${range}, ${zoneName()}`);
  DAYS.forEach((_, day) => put($('days').children[day + 1], dayName(monday, day)));
  const rows = week.rows.map((row) => ({ ...row, days: daysOf(row.runs, monday) }));
  const axis = axisOf(rows.flatMap(({ days }) => days.flat()));
  $('calendar').style.setProperty('--hours', String(axis.to - axis.from));
  const key = ({ provider, provider_id, location }) => JSON.stringify([provider, provider_id, location]);
  sync($('providers'), rows, makeRow, (made, row) => fillRow(made, row, monday, axis), key);
}

// The hours of a day from the first start to the last end.
function axisOf(marks) {
  if (!marks.length) return { from: 8, to: 18 };
  const from = Math.floor(marks.reduce((least, { begin }) => Math.min(least, begin), DAY_MS) / HOUR_MS);
  const to = Math.ceil(marks.reduce((most, { end }) => Math.max(most, end), 0) / HOUR_MS);
  const least = Math.max(to, from + SHORTEST_AXIS_HOURS);
  return least <= 24 ? { from, to: least } : { from: Math.min(from, 24 - SHORTEST_AXIS_HOURS), to: 24 };
}

// The runs by day, each with its begin and end in ms of the day. Midnight splits a run.
function daysOf(runs, monday) {
  const days = DAYS.map(() => []);
  for (const run of runs) {
    const length = (run.minutes ?? 0) * MINUTE_MS;
    for (const { local, slots } of partsOf(run, length)) {
      const day = Math.floor((local - monday) / DAY_MS);
      // If clocks change at midnight, a slot can belong to the day before or after the week.
      const column = Math.min(Math.max(day, 0), 6);
      const begin = local - (monday + day * DAY_MS);
      const next = local + slots * length;
      const end = Math.min(begin + Math.max(next - local, MINUTE_MS), DAY_MS);
      days[column].push({ ...run, day, local, begin, end, next, slots });
    }
  }
  for (const day of days) {
    day.sort((one, other) => one.begin - other.begin);
    placeInLanes(day);
  }
  return days;
}

// The parts of a run between midnights and changes of the clocks, as local times.
function partsOf(run, length) {
  const parts = [];
  const start = Date.parse(run.start);
  let done = 0;
  while (done < run.slots) {
    const at = start + done * length;
    const local = localOf(at);
    const midnight = (Math.floor(local / DAY_MS) + 1) * DAY_MS;
    let slots = length > 0 ? Math.min(run.slots - done, Math.ceil((midnight - local) / length)) : run.slots - done;
    // The last slot of the part has another offset if the clocks change before it starts.
    while (slots > 1 && localOf(at + (slots - 1) * length) !== local + (slots - 1) * length) slots -= 1;
    parts.push({ local, slots });
    done += slots;
  }
  return parts;
}

// Puts runs that overlap into lanes next to each other.
function placeInLanes(marks) {
  let group = [];
  let ends = [];
  const close = () => {
    for (const mark of group) mark.lanes = Math.min(ends.length, MAX_LANES);
    group = [];
    ends = [];
  };
  for (const mark of marks) {
    if (ends.every((end) => end <= mark.begin)) close();
    const free = ends.findIndex((end) => end <= mark.begin);
    const lane = free < 0 ? ends.length : free;
    ends[lane] = Math.max(mark.end, mark.begin + SHORTEST_MARK_MS);
    mark.lane = Math.min(lane, MAX_LANES - 1);
    group.push(mark);
  }
  close();
}

function cell(tag, role, ...children) {
  const made = element(tag, '', ...children);
  made.setAttribute('role', role);
  return made;
}

function makeRow({ provider, provider_id, location }) {
  const head = cell('th', 'rowheader', element('span', 'provider data', provider));
  head.scope = 'row';
  if (provider_id) head.append(element('span', 'provider-id data', provider_id));
  if (location) head.append(element('span', 'location data', location));
  // Hidden from screen readers, because each run contains its time.
  const axis = element('ol', 'axis');
  axis.setAttribute('aria-hidden', 'true');
  head.append(axis);
  const days = DAYS.map(() => cell('td', 'cell', element('span', 'day'), element('ul', 'runs')));
  return cell('tr', 'row', head, ...days);
}

function fillRow(row, { days }, monday, axis) {
  const hours = Array.from({ length: axis.to - axis.from }, (_, hour) => `${axis.from + hour}:00`.padStart(5, '0'));
  sync(row.firstChild.lastChild, hours, () => element('li'), put);
  days.forEach((marks, day) => {
    const column = row.children[day + 1];
    column.className = marks.length ? '' : 'empty';
    put(column.firstChild, dayName(monday, day));
    sync(column.lastChild, marks, makeRun, (run, mark) => fillRun(run, mark, day, axis));
  });
}

function makeRun() {
  const strip = element('span', 'strip', element('span'));
  strip.setAttribute('aria-hidden', 'true');
  return element('li', 'run', element('div', 'text', element('strong'), element('span', 'data')), strip);
}

function fillRun(run, mark, day, axis) {
  const { local, begin, end, next, slots, minutes, reason, lane, lanes } = mark;
  const [time, rest] = run.firstChild.children;
  const until = slots > 1 ? `–${shortClock(next)}` : '';
  const weekday = mark.day === day ? '' : `${DAYS[(mark.day + 7) % 7]} `;
  put(time, `${weekday}${shortClock(local)}${until}`);
  const length = minutes === null ? '' : `${count(minutes)} min`;
  const many = slots > 1 ? `${count(slots)} × ${length}` : length;
  put(rest, ` ${[many, reason].filter(Boolean).join(' — ')}`);
  const { first_message: first, last_message: last } = mark;
  run.title = `${run.textContent}, ${first === last ? `message ${first}` : `messages ${first} to ${last}`}`;
  const hours = axis.to - axis.from;
  run.style.setProperty('--from', String((begin / HOUR_MS - axis.from) / hours));
  run.style.setProperty('--share', String((end - begin) / HOUR_MS / hours));
  run.style.setProperty('--lane', String(lane));
  run.style.setProperty('--lanes', String(lanes));
}
