// Fills the page, section by section.
const facts = data.facts, className = c => data.classes[c];

function head() {
  byId("title").textContent = data.title;
  document.title = `${facts.dataset ?? "Evaluation"}: ${percent(data.headline[0].value)} of ${count(facts.clips, "clip")}`;
  const people = data.persons.length ? ` of ${count(data.persons.length, "person")}` : "";
  const runs = data.members.length > 1 ? count(data.members.length, "run") : [data.members[0].run, data.members[0].method].filter(Boolean).join(", ");
  byId("facts").textContent = [`${count(facts.clips, "test clip")}${people}`, count(data.classes.length, "class", "classes"),
    facts.protocol, ...data.folds.length ? [`${data.folds.length} folds pooled`] : [],
    ...facts.ensemble > 1 ? [`ensemble of ${facts.ensemble}`] : [], runs].join(" · ");
  const apart = byId("persons-apart"), another = facts.person_disjoint == null;
  apart.textContent = another ? `Another set than the model was trained on (${facts.trained_on})`
    : facts.person_disjoint ? "No test person was in training" : "Person independence is not measured here";
  apart.classList.toggle("warn", !facts.person_disjoint);
}

function figureCard(name, value, small, interval, main) {
  const card = element("div", {className: main ? "figure main" : "figure"}, element("div", {className: "name"}, name),
    element("div", {className: "value"}, value, " ", element("small", {}, small)));
  if (interval === undefined) return card;
  const [low, high, at] = interval;
  const track = element("div", {className: "range"}), dot = element("b");
  if (low != null) {
    const band = element("i");
    band.style.left = 100 * low + "%"; band.style.width = 100 * (high - low) + "%";
    track.append(band);
  }
  dot.style.left = 100 * at + "%";
  track.append(dot);
  card.append(element("div", {className: "between"}, low == null ? "" : `${(100 * low).toFixed(1)} to ${(100 * high).toFixed(1)}`), track);
  return card;
}
function headline() {
  const cards = data.headline.filter(row => !row.part && (row.name !== "top-5" || data.classes.length > 5)).map((row, i) =>
    figureCard(row.name, (100 * row.value).toFixed(1), "%", [row.interval?.[0], row.interval?.[1], row.value], i === 0));
  cards.push(figureCard("calibration error", (100 * data.reliability.error).toFixed(1), "%"));
  cards.push(figureCard("parameters", facts.parameters >= 1e5 ? (facts.parameters / 1e6).toFixed(2) : number.format(facts.parameters), facts.parameters >= 1e5 ? "million" : ""));
  if (facts.latency_ms != null) {
    const threads = data.members[0].latency_ms.threads;
    cards.push(figureCard("latency of one clip", facts.latency_ms.toFixed(1), `ms, ${count(threads, "CPU thread")}`));
  }
  byId("headline").append(...cards);
  const between = data.intervals;
  byId("about-intervals").textContent = between ? `Below the figures ${percent(between.level, 0)} intervals: ${number.format(between.samples)} samples of the ${count(between.units, between.unit.slice(0, -1))}, drawn with replacement.` : "";
  byId("notes").append(...data.notes.map(note => element("li", {}, note)));
  byId("notes").hidden = !data.notes.length;
}

function table(caption, headings, rows) {
  const line = (tag, cells) => element("tr", {}, ...cells.map(cell => element(tag, {}, cell)));
  return element("table", {}, element("caption", {}, caption), element("thead", {}, line("th", headings)), element("tbody", {}, ...rows.map(row => line("td", row))));
}
function tables() {
  const parts = data.headline.filter(row => row.part), place = byId("members");
  if (parts.length) place.append(table("F1_mean is the mean of", parts.map(row => row.name), [parts.map(row => percent(row.value))]));
  if (data.members.length > 1) place.append(table("Runs", ["run", "method", "streams", "clips", "accuracy", "macro F1", "parameters"],
    data.members.map(one => [one.run, one.method ?? "", one.streams.join(" + "), number.format(one.clips), percent(one.accuracy), percent(one.macro_f1), number.format(one.parameters)])));
  if (data.folds.length && data.folds.length !== data.members.length) place.append(table(`Folds (standard deviation of the accuracy ${(100 * data.std.accuracy).toFixed(1)})`, ["fold", "clips", "accuracy", "macro F1"],
    data.folds.map(one => [one.name, number.format(one.clips), percent(one.accuracy), percent(one.macroF1)])));
}

function confusions() {
  const matrix = new Matrix(byId("matrix"), byId("cell")), fold = c => data.coarse[c];
  const show = () => document.querySelector("[name=level]:checked").value === "coarse"
    ? matrix.show(data.coarseNames, data.confusion.map(([i, j, n]) => [fold(i), fold(j), n]))
    : matrix.show(data.classes, data.confusion, data.coarse);
  byId("level").hidden = !data.coarse;
  byId("level").addEventListener("change", show);
  show();
  const pairs = data.confusion.filter(([i, j]) => i !== j).sort((a, b) => b[2] - a[2] || b[2] / clipsOf(b[0]) - a[2] / clipsOf(a[0]));
  showRows(byId("pairs"), pairs.slice(0, 60).map(([i, j, n]) => bar(
    element("span", {}, link(i), " taken for ", link(j)), n / clipsOf(i), [`${number.format(n)} `, element("small", {}, `of ${number.format(clipsOf(i))}`)])), 12);
}
function link(c) {
  return data.typical[c] == null ? className(c) : element("a", {href: `#class-${c}`}, className(c));
}

function classBars() {
  const order = {worst: (a, b) => data.f1[a] - data.f1[b], order: (a, b) => a - b, clips: (a, b) => clipsOf(b) - clipsOf(a),
    name: (a, b) => names.compare(className(a), className(b))};
  const show = () => showRows(byId("class-bars"), data.classes.map((_, c) => c).sort(order[byId("sort-classes").value]).map(c => bar(
    link(c), data.f1[c], [percent(data.f1[c]), " ", element("small", {}, count(clipsOf(c), "clip"))],
    {title: `${className(c)}: F1 ${percent(data.f1[c])}, precision ${percent(data.precision[c])}, recall ${percent(data.recall[c])}`})), 80);
  byId("sort-classes").addEventListener("change", show);
  show();
}

function personBars() {
  byId("persons").hidden = !data.persons.length;
  if (!data.persons.length) return;
  const mean = data.persons.reduce((sum, person) => sum + person.accuracy, 0) / data.persons.length;
  const few = data.persons.filter(person => person.clips < data.minClips).length;
  byId("about-persons").textContent = `Accuracy of each person's clips, the worst first; the line is the mean, ${percent(mean)}.` +
    (few && few < data.persons.length ? ` ${few === 1 ? "One has" : number.format(few) + " have"} fewer than ${data.minClips} clips: paler, and never called the worst.` : "");
  showRows(byId("person-bars"), data.persons.map(person => bar(person.name, person.accuracy, [percent(person.accuracy), " ", element("small", {}, count(person.clips, "clip"))],
    {mark: mean, className: few < data.persons.length && person.clips < data.minClips ? "few" : ""})), 60);
}

function confidence() {
  const {clips, confidence: sure, accuracy, error} = data.reliability, total = clips.reduce((a, b) => a + b, 0);
  const mean = values => values.reduce((sum, value, i) => sum + value * clips[i], 0) / total, gap = mean(sure) - mean(accuracy);
  const verdict = Math.abs(gap) < .02 ? "neither too sure nor too unsure on the whole" : gap > 0 ? "surer than it should be" : "less sure than it could be";
  byId("about-confidence").textContent = `Mean confidence ${percent(mean(sure))}, accuracy ${percent(mean(accuracy))}: the model is ${verdict}. Expected calibration error ${percent(error)}.`;
  byId("reliability").append(...reliabilityChart(data.reliability));
}

function training() {
  const found = curves(data.members);
  byId("training").hidden = !found.length;
  byId("curves").append(...found);
}

function stage(index, caption) {
  const clip = data.played[index], canvas = element("canvas", {role: "img", ariaLabel: `Skeleton of ${clip.name}, ${className(clip.label)}`});
  return [element("figure", {className: "stage"}, canvas, element("figcaption", {}, caption ?? "")), [canvas, index]];
}
const about = clip => [clip.person == null ? null : `person ${clip.person}`, clip.name].filter(Boolean).join(" · ");
function errorCard(index) {
  const clip = data.played[index], [given, sure] = clip.top[0];
  const shown = [stage(index)];
  for (const c of [clip.label, given]) if (data.typical[c] != null) shown.push(stage(data.typical[c], className(c)));
  const card = new Card(shown.map(([, part]) => part), clip.name);
  return element("li", {}, element("dl", {className: "verdict"},
    element("dt", {}, "true"), element("dd", {className: "right"}, className(clip.label), ` ${percent(clip.share, 0)}`),
    element("dt", {}, "predicted"), element("dd", {className: "wrong"}, className(given), ` ${percent(sure, 0)}`)),
    element("p", {className: "meta"}, about(clip)), element("div", {className: "stages"}, ...shown.map(([node]) => node)), card.node);
}
function typicalCard(c) {
  const index = data.typical[c], clip = data.played[index], [node, part] = stage(index), card = new Card([part], className(c));
  const item = element("li", {id: `class-${c}`, tabIndex: -1}, element("h3", {}, className(c), clip.top[0][0] === c ? null : element("small", {}, " never recognised")),
    element("p", {className: "meta"}, `confidence ${percent(clip.share, 0)} · ${percent(data.recall[c], 0)} of ${count(clipsOf(c), "clip")} recognised`),
    node, card.node, element("p", {className: "meta"}, about(clip)));
  item.dataset.text = [className(c), data.coarse ? data.coarseNames[data.coarse[c]] : ""].join(" ").toLowerCase();
  return item;
}
function players() {
  const seen = data.errors.length;
  byId("about-errors").textContent = seen ? `${number.format(seen)} of ${count(data.wrong, "error")}, at most ${data.same} of one confusion, the most confident first. ` +
    "Beside each a typical clip of the true class and, below it, of the predicted one." : "There is none: every clip is recognised.";
  byId("error-cards").append(...data.errors.map(errorCard));
  const classes = data.classes.map((_, c) => c).filter(c => data.typical[c] != null), items = classes.map(typicalCard);
  byId("typical-cards").append(...items);
  const filter = () => {
    const words = byId("filter").value.toLowerCase().split(/\s+/);
    for (const item of items) item.hidden = !words.every(word => item.dataset.text.includes(word));
    byId("shown").textContent = `${items.filter(item => !item.hidden).length} of ${count(data.classes.length, "class", "classes")}`;
  };
  byId("filter").addEventListener("input", filter);
  filter();
  showTransport();
}

function foot() {
  const pace = data.fps ? `${data.fps} frames a second` : "an assumed 30 frames a second: the set does not say";
  byId("about").textContent = `Made by piumr-evaluate ${facts.version}. The skeletons are what the model saw: moved to the person's centre, divided by the person's size, ` +
    `resampled to ${data.modelFrames} frames; speed by ${pace}. This page holds the skeletons of ${count(data.played.length, "clip")} and names of clips and persons, but no video, and loads nothing.`;
}

for (const fill of [head, headline, tables, confusions, classBars, personBars, confidence, training, players, foot]) fill();
byId("contents").append(...[...document.querySelectorAll("section:not([hidden])")].map(section =>
  element("li", {}, element("a", {href: `#${section.id}`}, section.dataset.name ?? section.querySelector("h2").textContent))));
