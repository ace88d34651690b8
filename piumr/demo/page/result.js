// The result of a video or of a webcam session: skeleton, predictions over time, segments, downloads.

import {Chart, rank} from "./chart.js";
import {bars, byId, colour, element, percent, seconds} from "./dom.js";
import {Player} from "./player.js";
import {bytesOf} from "./skeleton.js";

const ROWS = 6, LOOPED = 20, CLEAR = .5;

export class Result {
  constructor() {
    this.player = new Player(byId("video"), (time, frame) => this.move(time, frame), playing => this.state(playing));
    this.chart = new Chart(byId("chart"), time => this.player.seek(time));
    byId("play").addEventListener("click", () => this.player.toggle());
    byId("seek").addEventListener("input", event => this.player.seek(Number(event.target.value)));
    byId("speed").addEventListener("change", event => { this.player.speed = Number(event.target.value); });
    byId("show-video").addEventListener("change", () => this.paint());
    byId("show-skeleton").addEventListener("change", () => this.paint());
    byId("more").addEventListener("click", () => this.toggleRows());
    document.addEventListener("keydown", event => this.key(event));
    new ResizeObserver(() => this.paint()).observe(byId("stage"));
    this.addresses = [];
  }

  // fills the view, before it is shown; name: of the video, for downloads; file: the browser's own, or null
  async show(result, skeleton, name, file) {
    this.close();
    Object.assign(this, {result, skeleton, name});
    this.points = new Int16Array(bytesOf(result.points));
    const frames = Array.from(new Float32Array(bytesOf(result.times)));
    this.order = rank(result.windows.probabilities, result.classes.length);
    byId("stage").style.aspectRatio = `${result.width} / ${result.height}`;
    this.answer(frames);
    this.list();
    this.offer();
    byId("warnings").replaceChildren(...result.warnings.map(text => element("li", {}, text)));
    this.rows = ROWS;
    const hasVideo = await this.player.open(file, frames);
    byId("with-video").hidden = !hasVideo;
    byId("video").hidden = !hasVideo;
    byId("seek").max = this.player.duration;
    this.draw();
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (!still && this.player.duration <= LOOPED) this.player.play();
  }

  close() {
    this.player.close();
    for (const address of this.addresses) URL.revokeObjectURL(address);
    this.addresses = [];
    this.result = null;
  }

  // a model knows clips of a window's length: a longer recording is answered by its segments
  answer(frames) {
    const {clip, windows, segments, seen} = this.result;
    const one = windows.times.length === 1;
    const clear = segments.filter(segment => this.peak(segment) >= CLEAR);
    const actions = [...new Set(clear.map(({action}) => action))];
    const several = actions.slice(0, 3).join(", ") + (actions.length > 3 ? ` and ${actions.length - 3} more` : "");
    byId("answer").textContent = !clip.label ? "No person is seen" : one ? clip.label : several || "No clear action";
    const note = [];
    if (clip.label && one) note.push(`${percent(clip.confidence)} sure`, clip.coarse, "too short for more than one prediction");
    else if (clip.label) note.push(`all of it as one clip: ${clip.label}, ${percent(clip.confidence)}`);
    note.push(`${frames.length} frames, a person in ${percent(seen)}`);
    if (!one) note.push(`windows of ${(windows.ends[0] - windows.starts[0]).toFixed(1)} s`);
    byId("answer-note").textContent = note.filter(Boolean).join(" · ");
  }

  // highest probability of a segment's action in it
  peak({start, end, action}) {
    const {classes, windows: {times, probabilities}} = this.result, k = classes.indexOf(action);
    return Math.max(0, ...probabilities.filter((row, i) => row && start <= times[i] && times[i] <= end).map(row => row[k]));
  }

  draw() {
    const {classes, windows, segments} = this.result;
    this.chart.show({classes, windows, segments, order: this.order, rows: this.rows, duration: this.player.duration});
    const more = byId("more");
    more.hidden = classes.length <= ROWS;
    more.textContent = this.rows > ROWS ? `Only the top ${ROWS}` : `All ${classes.length} classes`;
    more.setAttribute("aria-expanded", this.rows > ROWS);
    this.player.tell();
  }

  toggleRows() {
    this.rows = this.rows > ROWS ? ROWS : this.result.classes.length;
    this.draw();
  }

  list() {
    const {classes, segments, threshold} = this.result;
    if (!segments.length) {
      byId("segments").replaceChildren(element("p", {className: "facts"}, `No action is above ${percent(threshold)} for long enough.`));
      return;
    }
    const body = element("tbody");
    this.segmentRows = segments.map(({start, end, action, confidence}) => {
      const dot = element("span", {className: "dot"});
      dot.style.setProperty("--colour", colour(this.order.indexOf(classes.indexOf(action))));
      const go = element("button", {type: "button", onclick: () => this.player.seek(start)}, action);
      const row = element("tr", {}, element("td", {}, dot, go), element("td", {}, `${seconds(start)} – ${seconds(end)}`),
        element("td", {}, percent(confidence)));
      body.append(row);
      return row;
    });
    const head = element("tr", {}, ...["action", "from – to", "sure"].map(text => element("th", {scope: "col"}, text)));
    byId("segments").replaceChildren(
      element("div", {className: "table", tabIndex: 0, role: "region", ariaLabel: "Segments"}, element("table", {}, element("thead", {}, head), body)));
  }

  offer() {
    byId("files").replaceChildren(...this.result.files.map(({suffix, title, text, base64}) => {
      const content = new Blob([text ?? bytesOf(base64)], {type: text === undefined ? "application/octet-stream" : "text/plain"});
      const address = URL.createObjectURL(content);
      this.addresses.push(address);
      return element("a", {className: "file", href: address, download: `${this.name}${suffix}`}, title);
    }));
  }

  move(time, frame) {
    if (!this.result) return;
    this.frame = frame;
    byId("seek").value = time;
    byId("seek").setAttribute("aria-valuetext", seconds(time));
    byId("clock").textContent = `${seconds(time)} / ${seconds(this.player.duration)}`;
    this.paint();
    if (!this.chart.windows) return;
    const row = this.chart.move(time);
    const best = row ? row.map((share, k) => [k, share]).sort((a, b) => b[1] - a[1]).slice(0, 5) : [];
    const {classes, segments} = this.result;
    bars(byId("top"), best.map(([k, share]) => [classes[k], share, colour(this.order.indexOf(k))]), "No person is seen.");
    segments.forEach(({start, end}, i) => this.segmentRows[i].classList.toggle("now", start <= time && time < end));
  }

  paint() {
    if (!this.result) return;
    const canvas = byId("skeleton"), {width, height} = canvas.getBoundingClientRect();
    const scale = devicePixelRatio * Math.min(width / this.result.width, height / this.result.height);
    const size = [this.result.width, this.result.height].map(side => Math.max(1, Math.round(side * scale)));
    if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
    byId("video").style.visibility = byId("show-video").checked ? "visible" : "hidden";
    const context = canvas.getContext("2d"), count = this.skeleton.size;
    context.clearRect(0, 0, ...size);
    if (!byId("show-skeleton").checked) return;
    const frame = this.frame ?? 0;
    this.skeleton.draw(context, this.points.subarray(frame * count, (frame + 1) * count), ...size);
  }

  state(playing) {
    byId("play").textContent = playing ? "❚❚" : "▶";
    byId("play").setAttribute("aria-label", playing ? "Pause" : "Play");
  }

  key(event) {
    const busy = event.target.closest?.("button, a, select, summary, input[type=checkbox]");
    if (!this.result || event.ctrlKey || event.metaKey || event.altKey) return;
    const steps = {ArrowLeft: -1, ArrowRight: 1};
    if (event.key in steps && event.target.tagName !== "SELECT") this.player.step(steps[event.key]);
    else if (event.key === " " && !busy) this.player.toggle();
    else if (event.key === "Home" && !busy) this.player.seek(0);
    else if (event.key === "End" && !busy) this.player.seek(this.player.duration);
    else return;
    event.preventDefault();
  }
}
