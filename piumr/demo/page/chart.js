// Probabilities over time: a row for each of the most probable classes, segments above, a cursor across all.

import {colour, element, percent, seconds} from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";

// classes by their highest probability, then by their mean
export function rank(rows, count) {
  const best = Array.from({length: count}, (_, k) => [k, 0, 0]);
  for (const row of rows) if (row) row.forEach((share, k) => {
    best[k][1] = Math.max(best[k][1], share);
    best[k][2] += share;
  });
  return best.sort((a, b) => b[1] - a[1] || b[2] - a[2]).map(([k]) => k);
}

// the area below a probability, 1000 wide and 100 high; nothing where nobody was seen. The axis goes from start to end,
// the first value holds from `reach[0]` on and the last one up to `reach[1]`
export function area(times, rows, k, [start, end], reach = [start, end]) {
  const x = time => (1000 * (time - start) / (end - start)).toFixed(1);
  let path = "", open = false, last = start;
  rows.forEach((row, i) => {
    if (!row) {
      if (open) path += `L${x(last)} 100Z`;
      open = false;
      return;
    }
    const level = (100 - 100 * row[k]).toFixed(1);
    const first = i === 0 ? reach[0] : times[i];
    if (!open) path += `M${x(first)} 100L${x(first)} ${level}`;
    last = i === rows.length - 1 ? reach[1] : times[i];
    path += `L${x(times[i])} ${level}L${x(last)} ${level}`;
    open = true;
  });
  return open ? path + `L${x(last)} 100Z` : path;
}

function plot(shade, path) {
  const svg = document.createElementNS(SVG, "svg"), curve = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 1000 100");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  svg.style.setProperty("--colour", shade);
  curve.setAttribute("d", path);
  svg.append(curve);
  return svg;
}

export class Chart {
  // onSeek: called with seconds when somebody points at a time
  constructor(container, onSeek) {
    this.container = container;
    this.onSeek = onSeek;
    new ResizeObserver(() => this.place()).observe(container);
  }

  show({classes, windows, segments, order, rows, duration}) {
    const {times, probabilities} = windows;
    this.windows = windows;
    this.duration = duration;
    this.values = new Map();
    this.box = element("div", {className: "chart"});
    const title = element("div", {className: "name"}, element("span", {}, "segments"), element("span"));
    this.band = element("div", {className: "band"});
    for (const {start, end, action, confidence} of segments) {
      const block = element("i", {title: `${action}, ${seconds(start)} to ${seconds(end)}, ${percent(confidence)}`});
      block.style.left = `${100 * start / duration}%`;
      block.style.width = `${100 * (Math.min(end, duration) - start) / duration}%`;
      block.style.opacity = .2 + .8 * confidence;  // what is hardly more than a guess looks like one
      block.style.setProperty("--colour", colour(order.indexOf(classes.indexOf(action))));
      this.band.append(block);
    }
    this.box.append(title, this.band);
    order.slice(0, rows).forEach((k, i) => {
      const value = element("span");
      this.values.set(k, value);
      this.box.append(
        element("div", {className: "name"}, element("span", {}, classes[k]), value),
        plot(colour(i), area(times, probabilities, k, [0, duration])),
      );
    });
    const axis = element("div", {className: "axis"});
    for (let i = 0; i <= 4; i++) {
      const tick = element("span", {}, duration < 60 ? `${(i * duration / 4).toFixed(1)} s` : seconds(i * duration / 4).replace(/\..*/, ""));
      tick.style.left = `${25 * i}%`;
      axis.append(tick);
    }
    this.reach = element("em");
    this.cursor = element("i");
    this.scrub = element("div", {className: "scrub"}, this.reach, this.cursor);
    this.scrub.addEventListener("pointerdown", event => {
      this.scrub.setPointerCapture(event.pointerId);
      this.seek(event);
    });
    this.scrub.addEventListener("pointermove", event => { if (event.buttons) this.seek(event); });
    this.box.append(axis, this.scrub);
    this.container.replaceChildren(this.box);
    this.place();
  }

  place() {  // over the plots, wherever they are
    if (this.band) this.scrub.style.left = `${this.band.offsetLeft}px`;
  }

  seek(event) {
    const {left, width} = this.scrub.getBoundingClientRect();
    this.onSeek(Math.min(Math.max((event.clientX - left) / width, 0), 1) * this.duration);
  }

  // the window whose middle is nearest to a time
  nearest(time) {
    const {times} = this.windows;
    let best = 0;
    for (let i = 1; i < times.length; i++) if (Math.abs(times[i] - time) < Math.abs(times[best] - time)) best = i;
    return best;
  }

  move(time) {
    const i = this.nearest(time), row = this.windows.probabilities[i];
    this.cursor.style.left = `${100 * time / this.duration}%`;
    const {starts, ends} = this.windows;
    this.reach.style.left = `${100 * starts[i] / this.duration}%`;
    this.reach.style.width = `${100 * (Math.min(ends[i], this.duration) - starts[i]) / this.duration}%`;
    for (const [k, node] of this.values) node.textContent = row ? percent(row[k]) : "–";
    return row;
  }
}

// The last seconds of a live prediction: one row, that of the class that is most probable now.
export class Strip {
  constructor(container, reach) {
    this.reach = reach;
    this.points = [];
    this.svg = plot("var(--accent)", "");
    this.label = element("div", {className: "name"}, element("span", {}, `confidence, last ${reach} s`), element("span"));
    container.replaceChildren(element("div", {className: "chart"}, this.label, this.svg));
  }

  add(time, share) {
    this.points.push([time, share]);
    while (this.points[0][0] < time - this.reach) this.points.shift();
    const times = this.points.map(([at]) => at), rows = this.points.map(([, value]) => value === null ? null : [value]);
    this.svg.firstChild.setAttribute("d", area(times, rows, 0, [time - this.reach, time], [times[0], time]));
  }
}
