// Names the crates whose types, traits or macros the public API shows, from rustdoc's JSON on standard input.

import { readFileSync } from 'node:fs';

const { index, paths, external_crates } = JSON.parse(readFileSync(0, 'utf8'));
const found = new Map();

// Every mention of a type or trait, wherever it stands in an item, has its id and its path.
function mentions(value, where) {
  if (Array.isArray(value)) value.forEach((part) => mentions(part, where));
  else if (value && typeof value === 'object') {
    if ('id' in value && ('path' in value || 'source' in value)) note(value.id, where);
    Object.values(value).forEach((part) => mentions(part, where));
  }
}

function note(id, where) {
  const path = paths[id];
  if (!path || path.crate_id === 0) return;
  const name = external_crates[path.crate_id].name;
  found.set(name, (found.get(name) ?? new Set()).add(`${path.path.join('::')} in ${where}`));
}

for (const item of Object.values(index)) {
  const { impl } = item.inner;
  // What another crate implements for every type, or the compiler for this one, is none of this crate's choosing.
  if (item.crate_id !== 0 || impl?.blanket_impl || impl?.is_synthetic) continue;
  mentions(item.inner, item.name ?? 'an impl');
}

const allowed = new Set(process.argv.slice(2));
const foreign = [...found].filter(([name]) => !allowed.has(name));
console.log(`crates in the public API: ${[...found.keys()].sort().join(', ')}`);
for (const [name, where] of foreign) console.log(`${name} must not be there:\n  ${[...where].join('\n  ')}`);
process.exit(foreign.length ? 1 : 0);
