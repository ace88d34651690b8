// Small things of the document. Text only ever becomes text: no name or message is read as HTML.

export const byId = id => document.getElementById(id);

export function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

export const percent = share => `${Math.round(100 * share)} %`;

export const seconds = time => {
  const minutes = Math.floor(time / 60);
  return `${minutes}:${(time - 60 * minutes).toFixed(2).padStart(5, "0")}`;
};

// Colours of the first classes of a chart; others are quiet.
export const colour = rank => (rank >= 0 && rank < 6 ? `var(--c${rank})` : "var(--quiet)");

export function bars(container, entries, none) {
  container.replaceChildren(...entries.map(([label, share, shade]) => {
    const fill = element("i");
    fill.style.setProperty("--share", share);
    if (shade) fill.style.setProperty("--colour", shade);
    return element("div", {className: "bar"}, element("b", {}, label), element("span", {}, percent(share)), fill);
  }));
  if (!entries.length) container.append(element("p", {className: "none"}, none));
}
