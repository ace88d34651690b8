// Bars in lists, and line charts as SVG.
function bar(label, share, value, {mark, title, className = ""} = {}) {
  const fill = element("i"), track = element("span", {className: "bar"}, fill);
  fill.style.width = 100 * share + "%";
  if (mark != null) {
    const line = element("b");
    line.style.left = 100 * mark + "%";
    track.append(line);
  }
  const name = element("span", {className: "label"}, label);
  if (typeof label === "string") name.title = label;
  return element("li", {className, title: title ?? ""}, name, track, element("span", {className: "value"}, ...value));
}

function figure(title, small, drawing) {
  return element("figure", {}, element("figcaption", {}, title, " ", element("small", {}, ...[small].flat())), drawing);
}

const PLOT = {width: 340, height: 210, left: 40, right: 8, top: 8, bottom: 30};
function frame(label, xRange, yRange, xTicks, yTicks, xText, yText) {
  const {width, height, left, right, top, bottom} = PLOT;
  const x = value => left + (value - xRange[0]) / (xRange[1] - xRange[0] || 1) * (width - left - right);
  const y = value => height - bottom - (value - yRange[0]) / (yRange[1] - yRange[0] || 1) * (height - top - bottom);
  const plot = svg("svg", {viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label});
  for (const tick of yTicks) {
    plot.append(svg("line", {class: "grid", x1: left, x2: width - right, y1: y(tick), y2: y(tick)}));
    plot.append(svg("text", {x: left - 5, y: y(tick) + 4, "text-anchor": "end"}, yText(tick)));
  }
  for (const tick of xTicks) plot.append(svg("text", {x: x(tick), y: height - bottom + 15, "text-anchor": "middle"}, xText(tick)));
  return {plot, x, y};
}

// about `wanted` round numbers in a range
function ticks(low, high, wanted = 4) {
  if (!(high > low)) return [low];
  const raw = (high - low) / wanted, power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find(factor => factor * power >= raw);
  const found = [];
  for (let tick = Math.ceil(low / step - 1e-9) * step; tick <= high + step * 1e-9; tick += step) found.push(+tick.toPrecision(12));
  return found;
}

const LOGGED = {
  loss: "training loss", accuracy: "accuracy on augmented training clips", validation_accuracy: "accuracy on validation persons",
  transport_cost: "transport cost L_W", inconsistency: "inconsistency of the two looks L_C", group_penalty: "group penalty",
};

function curves(members) {
  const logged = [...new Set(members.flatMap(member => Object.keys(member.history)))].filter(name => name !== "epoch");
  const order = Object.keys(LOGGED), rank = name => (order.indexOf(name) + order.length + 1) % (order.length + 1);
  return logged.sort((a, b) => rank(a) - rank(b)).slice(0, 12).map(name => curve(name, members)).filter(Boolean);
}
function curve(name, members) {
  const lines = members.filter(member => member.history[name]).map(member => ({
    name: member.run, points: member.history[name].map((value, i) => [member.history.epoch?.[i] ?? i + 1, value]).filter(point => point[1] != null)}))
    .filter(line => line.points.length);
  if (!lines.length) return null;
  const all = lines.flatMap(line => line.points), last = Math.max(...all.map(point => point[0]));
  const share = name.includes("accuracy");
  let low = share ? 0 : Math.min(...all.map(point => point[1])), high = share ? 1 : Math.max(...all.map(point => point[1]));
  if (!share && low > 0 && low < high / 2) low = 0;
  if (low === high) [low, high] = [low - .5, high + .5];
  const text = share ? value => percent(value, 0) : value => String(+value.toPrecision(3));
  const title = LOGGED[name] ?? name.replaceAll("_", " ");
  const ends = lines.map(line => text(line.points.at(-1)[1]));
  const {plot, x, y} = frame(`${title} over ${count(last, "epoch")}, at the end ${ends.join(", ")}`, [Math.min(1, last), last], [low, high],
    ticks(1, last, 5).filter(Number.isInteger), ticks(low, high), String, text);
  for (const [i, {name: run, points}] of lines.entries()) {
    const path = points.map(([a, b], i) => `${i ? "L" : "M"}${x(a).toFixed(1)} ${y(b).toFixed(1)}`).join("");
    plot.append(svg("path", {class: `curve hue${i % 4}`, d: points.length > 1 ? path : path + "h4"}, svg("title", {}, run)));
  }
  const legend = lines.map((line, i) => element("span", {className: `legend hue${i % 4}`}, `${line.name} ${ends[i]}`));
  return figure(title, lines.length === 1 ? [`${ends[0]} at the end`] : legend.flatMap(name => [name, " "]), plot);
}

function reliabilityChart({clips, confidence, accuracy}) {
  const bins = clips.length, most = Math.max(...clips);
  const {plot, x, y} = frame("Accuracy by confidence", [0, 1], [0, 1], [0, .2, .4, .6, .8, 1], [0, .25, .5, .75, 1],
    value => percent(value, 0), value => percent(value, 0));
  plot.append(svg("text", {x: x(.5), y: PLOT.height - 2, "text-anchor": "middle"}, "confidence"));
  clips.forEach((n, i) => {
    if (!n) return;
    const say = `${count(n, "clip")} with a confidence of ${percent(i / bins, 0)} to ${percent((i + 1) / bins, 0)}: ` +
      `${percent(accuracy[i])} are right, mean confidence ${percent(confidence[i])}`;
    const left = x(i / bins) + 1, width = x((i + 1) / bins) - x(i / bins) - 2;
    const between = [accuracy[i], confidence[i]].sort((a, b) => a - b);
    plot.append(svg("g", {class: "bin", tabindex: 0, role: "img", "aria-label": say},
      svg("rect", {x: left, width, y: y(between[0]), height: y(0) - y(between[0])}),
      svg("rect", {class: "gap", x: left, width, y: y(between[1]), height: y(between[0]) - y(between[1])}),
      svg("line", {class: "cap", x1: left, x2: left + width, y1: y(accuracy[i]), y2: y(accuracy[i])}), svg("title", {}, say)));
  });
  plot.append(svg("line", {class: "ideal", x1: x(0), y1: y(0), x2: x(1), y2: y(1)}));
  const spread = frame("Clips by confidence", [0, 1], [0, most], [0, .2, .4, .6, .8, 1], ticks(0, most), value => percent(value, 0), value => number.format(value));
  spread.plot.append(svg("text", {x: x(.5), y: PLOT.height - 2, "text-anchor": "middle"}, "confidence"));
  clips.forEach((n, i) => n && spread.plot.append(svg("rect", {class: "bin", x: spread.x(i / bins) + 1, width: spread.x(1 / bins) - spread.x(0) - 2,
    y: spread.y(n), height: spread.y(0) - spread.y(n)}, svg("title", {}, count(n, "clip")))));
  return [figure("accuracy by confidence", "dark line; orange is the gap to the confidence", plot), figure("test clips by confidence", "", spread.plot)];
}
