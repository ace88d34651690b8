// What all parts of the page share: the data, elements, numbers in words.
const byId = id => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);

// text only ever becomes text: no name of a class, a clip or a person is read as HTML
function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children.filter(child => child != null));
  return node;
}
function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const number = new Intl.NumberFormat("en");
const names = new Intl.Collator("en", {numeric: true});
const percent = (share, digits = 1) => (100 * share).toFixed(digits) + "\u00a0%";
const count = (n, word, words = word + "s") => `${number.format(n)} ${n === 1 ? word : words}`;
const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const clipsOf = c => clipCounts[c];
const clipCounts = data.classes.map(() => 0);
for (const [truth, , n] of data.confusion) clipCounts[truth] += n;

// redraw what is painted in colours of the page when these change
const painted = [];
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => painted.forEach(paint => paint()));

// a list that shows its first rows, and the rest on demand
function showRows(list, rows, limit) {
  list.parentNode.querySelectorAll(`[data-of="${list.id}"]`).forEach(node => node.remove());
  list.replaceChildren(...rows.slice(0, limit));
  if (rows.length <= limit) return;
  const more = element("button", {type: "button", className: "more"}, `Show all ${rows.length}`);
  more.dataset.of = list.id;
  more.addEventListener("click", () => { list.append(...rows.slice(limit)); rows[limit].querySelector("a")?.focus(); more.remove(); });
  list.after(more);
}
