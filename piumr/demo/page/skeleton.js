// A skeleton on a canvas: body green, the person's left hand orange, right hand blue, as in piumr-extract's previews.

const STEPS = 8192, MISSING = -32768;
const COLOURS = {body: "#5ec962", left_hand: "#ff9628", right_hand: "#56beff"};

export function bytesOf(text) {
  const letters = atob(text), bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes.buffer;
}

export class Skeleton {
  constructor({edges, parts}) {
    this.edges = edges;
    this.parts = parts;
  }

  get size() { return 2 * this.parts.length; }

  // points: Int16Array of x, y for each joint, in steps of the image's size
  draw(context, points, width, height) {
    const at = joint => [points[2 * joint] / STEPS * width, points[2 * joint + 1] / STEPS * height];
    const seen = joint => points[2 * joint] !== MISSING;
    const thick = Math.max(1.5, Math.min(width, height) / 200);
    context.lineCap = "round";
    const lines = this.edges.filter(([a, b]) => seen(a) && seen(b));
    for (const outline of [true, false]) for (const [a, b] of lines) {
      const hand = this.parts[a] === this.parts[b] && this.parts[a] !== "body";
      context.strokeStyle = outline ? "rgba(0, 0, 0, .7)" : COLOURS[hand ? this.parts[a] : "body"];
      context.lineWidth = (hand ? .6 : 1) * thick + (outline ? thick * .7 : 0);
      context.beginPath();
      context.moveTo(...at(a));
      context.lineTo(...at(b));
      context.stroke();
    }
    this.parts.forEach((part, joint) => {
      if (!seen(joint)) return;
      context.fillStyle = part === "body" ? "#fff" : COLOURS[part];
      context.beginPath();
      context.arc(...at(joint), (part === "body" ? .9 : .6) * thick, 0, 2 * Math.PI);
      context.fill();
    });
  }
}
