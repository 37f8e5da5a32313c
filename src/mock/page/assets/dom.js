// Elements of the page. Text from messages gets into the document as text, never as markup.

export const $ = (id) => document.getElementById(id);

export function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

export function button(text, onClick) {
  const made = element('button', '', text);
  made.type = 'button';
  made.addEventListener('click', onClick);
  return made;
}

// Leaves unchanged text alone, so that a selection and a screen reader's position stay.
export function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Makes the children of `parent` match `items`. The child of an item that stays isn't created again,
// so it stays open. A child that moves loses the focus.
const childrenOf = new WeakMap();
export function sync(parent, items, make, fill, keyOf = (_, index) => index) {
  const before = childrenOf.get(parent) ?? new Map();
  const after = new Map();
  items.forEach((item, index) => {
    const key = keyOf(item, index);
    after.set(key, before.get(key) ?? make(item));
  });
  for (const [key, child] of before) if (!after.has(key)) child.remove();
  childrenOf.set(parent, after);
  let next = parent.firstElementChild;
  items.forEach((item, index) => {
    const child = after.get(keyOf(item, index));
    fill(child, item);
    if (child === next) next = next.nextElementSibling;
    else parent.insertBefore(child, next);
  });
}

// A list that shows its first items, and the others after a click.
export function foldable(noun, few = 3) {
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

// Shows a text in the status line, which screen readers read out.
export function announce(text) {
  put($('live'), text);
}

export const count = (number) => number.toLocaleString('en-US');
export const counted = (number, noun) => `${count(number)} ${noun}${number === 1 ? '' : 's'}`;
