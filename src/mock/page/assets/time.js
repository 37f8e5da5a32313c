// Times in the chosen time zone.

export const DAY_MS = 86_400_000;
export const DAYS = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

const browserZone = Intl.DateTimeFormat().resolvedOptions().timeZone;
let zone = 'UTC';
let formatter = null; // of `zone`, except in UTC

export const zoneName = () => zone;

export function setZone(name) {
  zone = name;
  formatter = name === 'UTC' ? null : new Intl.DateTimeFormat('en-US', {
    timeZone: name,
    calendar: 'iso8601',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
}

// UTC first, then the browser's own time zone, then all IANA time zones.
export function zoneOptions() {
  const all = Intl.supportedValuesOf?.('timeZone') ?? [];
  const names = new Set(['UTC', browserZone, ...all].filter(Boolean));
  return [...names].map((name) => ({
    name,
    text: name === browserZone && name !== 'UTC' ? `${name} (this browser)` : name,
  }));
}

// The local time as if it were UTC, in milliseconds, so that the same functions format both.
export function localOf(at) {
  const time = new Date(at).getTime();
  if (!formatter) return time;
  const parts = Object.fromEntries(formatter.formatToParts(time).map(({ type, value }) => [type, Number(value)]));
  const { year, month, day, hour, minute, second } = parts;
  // `Date.UTC` takes the years 0 to 99 as 1900 to 1999.
  const local = new Date(Date.UTC(2000, 0, 1, hour, minute, second)).setUTCFullYear(year, month - 1, day);
  return local + (((time % 1000) + 1000) % 1000);
}

// The time at which clocks in the zone show `local`, a time as if it were UTC.
export function timeOf(local) {
  const guess = local - (localOf(local) - local);
  return local - (localOf(guess) - guess);
}

const isoOf = (local) => new Date(local).toISOString();
export const dateOf = (at) => isoOf(localOf(at)).slice(0, 10);
export const clockOf = (at) => isoOf(localOf(at)).slice(11, 23);
export const isoDate = (local) => isoOf(local).slice(0, 10);

// Without seconds, if they are zero.
export const shortClock = (local) => isoOf(local).slice(11, 19).replace(/:00$/, '');

export const mondayOf = (local) => local - ((new Date(local).getUTCDay() + 6) % 7) * DAY_MS;

export function dayName(monday, index) {
  const day = new Date(monday + index * DAY_MS);
  return `${DAYS[index]} ${day.getUTCDate()} ${MONTHS[day.getUTCMonth()]}`;
}

export function duration(ms) {
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms < 1 ? ms.toFixed(1) : Math.round(ms)} ms`;
}
