// The confusion matrix: one canvas, so that any number of classes stays quick; the cell in words beside it.
class Matrix {
  constructor(canvas, say) {
    Object.assign(this, {canvas, say, cell: null});
    canvas.addEventListener("pointermove", event => this.point(event));
    canvas.addEventListener("pointerdown", event => this.point(event));
    canvas.addEventListener("pointerleave", () => { if (document.activeElement !== canvas) this.select(null); });
    canvas.addEventListener("focus", () => this.cell ?? this.select([0, 0]));
    canvas.addEventListener("keydown", event => this.key(event));
    painted.push(() => this.paint());
    new ResizeObserver(() => this.paint()).observe(canvas.parentNode);
  }
  show(labels, triples, groups) {
    const rows = labels.map(() => new Map());
    for (const [truth, given, n] of triples) rows[truth].set(given, (rows[truth].get(given) ?? 0) + n);
    Object.assign(this, {labels, rows, groups, cell: null, totals: rows.map(row => [...row.values()].reduce((a, b) => a + b, 0))});
    this.canvas.setAttribute("aria-label", `Confusion matrix of ${labels.length} classes. Arrow keys go from cell to cell.`);
    this.paint();
    this.select(null);
  }
  paint() {
    if (!this.labels) return;
    const {canvas, labels, rows, totals} = this, k = labels.length, room = canvas.parentNode.clientWidth, phone = room < 600;
    const context = canvas.getContext("2d"), ratio = devicePixelRatio || 1;
    const font = size => context.font = `${size}px system-ui, sans-serif`;
    const wanted = (size, limit) => { font(size); return Math.min(limit, 10 + Math.max(...labels.map(label => context.measureText(label).width))); };
    const named = k <= 150, slant = Math.PI / 2.6;  // of more classes no name can be read: the cell in words tells
    const margin = named ? wanted(12, phone ? 110 : 230) : 4, length = named ? wanted(12, phone ? 100 : 190) : 0;
    const head = 14 + length * Math.sin(slant), tail = length * Math.cos(slant);
    const least = !named ? 3 : phone && k > 12 ? 13 : 8;
    const size = Math.max(least, Math.min(64, (room - margin - tail) / k));
    const width = Math.ceil(margin + size * k + tail), height = Math.ceil(head + size * k + 2);
    Object.assign(this, {margin, head, size});
    canvas.width = width * ratio; canvas.height = height * ratio;
    canvas.style.width = width + "px"; canvas.style.height = height + "px";
    context.scale(ratio, ratio);
    const text = colour("--text"), quiet = colour("--quiet"), hues = [colour("--wrong"), colour("--bar")];
    const letters = Math.min(12, size * .86);
    if (named) {
      font(letters);
      context.textBaseline = "middle";
      labels.forEach((label, i) => {
        const chosen = this.cell && (this.cell[0] === i), below = this.cell && this.cell[1] === i;
        context.fillStyle = chosen ? text : quiet;
        context.textAlign = "right";
        context.fillText(this.fit(context, label, margin - 6), margin - 4, head + size * (i + .5));
        context.save();
        context.translate(margin + size * (i + .5), head - 4);
        context.rotate(-slant);
        context.fillStyle = below ? text : quiet;
        context.textAlign = "left";
        context.fillText(this.fit(context, label, length), 0, 0);
        context.restore();
      });
    }
    context.fillStyle = colour("--stage");
    context.fillRect(margin, head, size * k, size * k);
    rows.forEach((row, i) => row.forEach((n, j) => {
      context.globalAlpha = .08 + .92 * n / totals[i];
      context.fillStyle = hues[+(i === j)];
      context.fillRect(margin + j * size, head + i * size, size - (size > 6), size - (size > 6));
      context.globalAlpha = 1;
      if (size >= 24) {
        font(12);
        context.fillStyle = text;
        context.textAlign = "center";
        context.fillText(n, margin + (j + .5) * size, head + (i + .5) * size);
      }
    }));
    context.strokeStyle = colour("--line");
    context.strokeRect(margin - .5, head - .5, size * k + 1, size * k + 1);
    for (let i = 1; i < k; i++) if (this.groups && this.groups[i] !== this.groups[i - 1]) {
      const at = i * size - .5;
      context.strokeRect(margin - .5, head + at, size * k + 1, 0);
      context.strokeRect(margin + at, head - .5, 0, size * k + 1);
    }
    if (this.cell) {
      context.strokeStyle = text;
      context.lineWidth = 2;
      context.strokeRect(margin + this.cell[1] * size - 1, head + this.cell[0] * size - 1, size + 1, size + 1);
    }
  }
  fit(context, label, room) {
    if (context.measureText(label).width <= room) return label;
    let end = label.length;
    while (end > 1 && context.measureText(label.slice(0, end) + "…").width > room) end--;
    return label.slice(0, end) + "…";
  }
  point(event) {
    const at = value => Math.floor(value / this.size), box = this.canvas.getBoundingClientRect();
    const row = at(event.clientY - box.top - this.head), column = at(event.clientX - box.left - this.margin);
    const inside = [row, column].every(i => i >= 0 && i < this.labels.length);
    this.select(inside ? [row, column] : null);
  }
  key(event) {
    const step = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]}[event.key];
    const [row, column] = this.cell ?? [0, 0], last = this.labels.length - 1;
    const next = step ? [row + step[0], column + step[1]] : event.key === "Home" ? [row, 0] : event.key === "End" ? [row, last] : null;
    if (!next) return;
    event.preventDefault();
    this.select(next.map(i => Math.max(0, Math.min(last, i))));
    this.canvas.parentNode.scrollLeft = this.margin + this.cell[1] * this.size - this.canvas.parentNode.clientWidth / 2;
  }
  select(cell) {
    if (String(cell) === String(this.cell) && cell) return;
    this.cell = cell;
    this.paint();
    if (!cell) { this.say.textContent = "Point at a cell, or focus the matrix and use the arrow keys."; return; }
    const [i, j] = cell, n = this.rows[i].get(j) ?? 0;
    const share = this.totals[i] ? ` (${percent(n / this.totals[i], 0)} of ${number.format(this.totals[i])})` : "";
    this.say.replaceChildren(element("b", {}, this.labels[i]), i === j ? " recognised in " : " taken for ",
      ...(i === j ? [] : [element("b", {}, this.labels[j]), " in "]), `${count(n, "clip")}${share}.`);
  }
}
