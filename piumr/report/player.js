// Skeletons on canvases. A card shows one or more clips on one clock; only cards in view are drawn.
const COLOURS = ["--body", "--left", "--right", "--unseen", "--text"];
const SIDES = {body: 0, left: 1, right: 2};
const TRAIL = 0.4;  // seconds of a joint's past
let palette = {};
const pickColours = () => palette = COLOURS.map(colour);
painted.push(pickColours, () => cards.forEach(card => card.paint()));
pickColours();

const bytes = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
const skeletonCache = new Map();
function skeleton(index) {
  if (!skeletonCache.has(index)) {
    const clip = data.played[index], raw = new DataView(bytes(clip.points).buffer), bits = bytes(clip.seen);
    const values = Float32Array.from({length: raw.byteLength / 2}, (_, i) => raw.getUint16(2 * i, true) / 65535);
    const joints = data.layout.sides.length;
    const seen = (frame, joint) => bits[(frame * joints + joint) >> 3] >> ((frame * joints + joint) & 7) & 1;
    const moving = movers(values, seen, clip.frames, joints);
    skeletonCache.set(index, {...clip, values, seen, joints, movers: moving.slice(0, 3), whole: [0, 0, clip.box[0], clip.box[1]],
      part: extent(moving, values, seen, clip.frames, joints, clip.box)});
  }
  return skeletonCache.get(index);
}
// the joints that travel, farthest first: their trails show a movement that is too small to see
function movers(values, seen, frames, joints) {
  const paths = Array.from({length: joints}, (_, joint) => {
    let path = 0, shown = 0;
    for (let t = 1; t < frames; t++) {
      if (!seen(t, joint) || !seen(t - 1, joint)) continue;
      const now = 2 * (t * joints + joint), before = now - 2 * joints;
      path += Math.hypot(values[now] - values[before], values[now + 1] - values[before + 1]);
      shown++;
    }
    return [shown * 2 > frames ? path : 0, joint];
  });
  return paths.sort((a, b) => b[0] - a[0]).filter(([path]) => path > Math.max(0.02, paths[0][0] / 3)).map(([, joint]) => joint);
}
// the part of the box in which some joints move: left, top, width, height; never less than a third of the body
function extent(joints, values, seen, frames, all, box) {
  const low = [Infinity, Infinity], high = [-Infinity, -Infinity];
  for (const joint of joints) for (let t = 0; t < frames; t++) if (seen(t, joint)) for (const axis of [0, 1]) {
    const value = values[2 * (t * all + joint) + axis];
    low[axis] = Math.min(low[axis], value); high[axis] = Math.max(high[axis], value);
  }
  if (!(high[0] >= low[0])) return [0, 0, ...box];
  const size = [0, 1].map(axis => Math.max(high[axis] - low[axis] + 0.05, 0.34));
  return [...[0, 1].map(axis => (low[axis] + high[axis] - size[axis]) / 2), ...size];
}

function draw(canvas, clip, seconds) {
  const side = canvas.clientWidth, ratio = devicePixelRatio || 1, pixels = Math.round(side * ratio);
  if (!pixels) return;
  if (canvas.width !== pixels) canvas.width = canvas.height = pixels;
  const context = canvas.getContext("2d"), {values, seen, joints, frames} = clip;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, side, side);
  const [low, high, width, height] = transport.zoom ? clip.part : clip.whole, scale = side * .8 / Math.max(width, height, 1e-6);
  const left = side / 2 - (low + width / 2) * scale, top = side * .54 - (high + height / 2) * scale;
  const position = Math.min(seconds / clip.seconds, 1) * (frames - 1), nearest = Math.round(position);
  const at = (time, joint) => {
    const frame = Math.min(Math.floor(time), frames - 1), next = Math.min(frame + 1, frames - 1), weight = time - frame;
    const a = 2 * (frame * joints + joint), b = 2 * (next * joints + joint);
    return [left + scale * (values[a] + weight * (values[b] - values[a])), top + scale * (values[a + 1] + weight * (values[b + 1] - values[a + 1]))];
  };
  context.lineCap = context.lineJoin = "round";
  if (transport.trails) {
    context.lineCap = "butt";
    const past = TRAIL / clip.seconds * (frames - 1);
    for (const joint of clip.movers) for (let step = 12; step > 0; step--) {
      const from = position - past * step / 12, to = position - past * (step - 1) / 12;
      if (from < 0) continue;
      context.globalAlpha = .55 * (1 - step / 13);
      context.strokeStyle = palette[SIDES[data.layout.sides[joint]]];
      context.lineWidth = side / 45;
      context.beginPath(); context.moveTo(...at(from, joint)); context.lineTo(...at(to, joint)); context.stroke();
    }
    context.globalAlpha = 1;
    context.lineCap = "round";
  }
  for (const [a, b] of data.layout.edges) {
    const known = seen(nearest, a) && seen(nearest, b);
    const sides = data.layout.sides, name = sides[a] === sides[b] ? sides[a] : sides[a] === "body" ? sides[b] : sides[a];
    context.strokeStyle = palette[known ? sides[a] !== sides[b] && sides[a] !== "body" && sides[b] !== "body" ? 0 : SIDES[name] : 3];
    context.lineWidth = known ? Math.max(1.4, side / 110) : 1;
    context.setLineDash(known ? [] : [3, 3]);
    context.beginPath(); context.moveTo(...at(position, a)); context.lineTo(...at(position, b)); context.stroke();
  }
  context.setLineDash([]);
  const radius = Math.max(1, side / (joints > 30 ? 160 : 110));
  for (let joint = 0; joint < joints; joint++) {
    if (!seen(nearest, joint)) continue;
    context.fillStyle = palette[SIDES[data.layout.sides[joint]]];
    context.beginPath(); context.arc(...at(position, joint), radius, 0, 7); context.fill();
  }
}

const cards = [];
const transport = {playing: !matchMedia("(prefers-reduced-motion: reduce)").matches, speed: 1, trails: true, zoom: false};
class Card {
  constructor(stages, label) {
    this.stages = stages;  // [canvas, index of the clip] each
    this.seconds = 0;
    this.playing = transport.playing;
    this.inView = false;
    this.length = Math.max(...stages.map(([, index]) => data.played[index].seconds));
    this.button = element("button", {type: "button"});
    this.slider = element("input", {type: "range", min: 0, max: 1000, value: 0, ariaLabel: `Position in ${label}`});
    this.time = element("output");
    this.node = element("div", {className: "scrub"}, this.button, this.slider, this.time);
    this.label = label;
    this.button.addEventListener("click", () => this.play(!this.playing));
    this.slider.addEventListener("input", () => { this.play(false); this.seek(this.slider.value / 1000 * this.length); });
    for (const [canvas] of stages) canvas.addEventListener("click", () => this.play(!this.playing));
    new IntersectionObserver(entries => { this.inView = entries.at(-1).isIntersecting; if (this.inView) this.paint(); },
      {rootMargin: "100px"}).observe(stages[0][0]);
    new ResizeObserver(() => this.inView && this.paint()).observe(stages[0][0]);
    cards.push(this);
    this.play(this.playing);
  }
  play(playing) {
    this.playing = playing;
    this.button.textContent = playing ? "❚❚" : "▶";
    this.button.setAttribute("aria-label", `${playing ? "Pause" : "Play"} ${this.label}`);
    showTransport();
  }
  seek(seconds) {
    this.seconds = seconds;
    this.slider.value = 1000 * seconds / this.length;
    this.time.textContent = `${seconds.toFixed(1)} s`;
    this.slider.setAttribute("aria-valuetext", `${seconds.toFixed(1)} of ${this.length.toFixed(1)} seconds`);
    this.paint();
  }
  advance(elapsed) {
    const pause = 0.5, next = this.seconds + elapsed;  // the last frame stays for a moment
    this.over = next > this.length ? (this.over ?? 0) + elapsed : 0;
    this.seek(this.over > pause ? 0 : Math.min(next, this.length));
    if (this.over > pause) this.over = 0;
  }
  paint() {
    if (this.inView) for (const [canvas, index] of this.stages) draw(canvas, skeleton(index), this.seconds);
  }
}

let last = null;
function tick(now) {
  const elapsed = Math.min((now - (last ?? now)) / 1000, 0.1) * transport.speed;
  last = now;
  for (const card of cards) if (card.playing && card.inView) card.advance(elapsed);
  requestAnimationFrame(tick);
}
function showTransport() {
  transport.playing = cards.some(card => card.playing);
  byId("play-all").textContent = transport.playing ? "❚❚ Pause all" : "▶ Play all";
}
byId("play-all").addEventListener("click", () => { const playing = !transport.playing; cards.forEach(card => card.play(playing)); });
byId("speed").addEventListener("change", event => transport.speed = +event.target.value);
for (const id of ["trails", "zoom"]) byId(id).addEventListener("change", event => { transport[id] = event.target.checked; cards.forEach(card => card.paint()); });
requestAnimationFrame(tick);
