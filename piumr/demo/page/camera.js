// The webcam: pictures to the server, poses and predictions back. At most two pictures are on their way, so that nothing
// lags; a picture is taken when it is sent, so that it is always the newest.

import {bars, byId, percent} from "./dom.js";
import {bytesOf} from "./skeleton.js";
import {Strip} from "./chart.js";

const WIDTH = 640, QUALITY = .8, ON_THEIR_WAY = 2, REACH = 20;

const REFUSALS = {
  NotAllowedError: "The browser was not allowed to use the camera: allow it for this page and try again.",
  NotFoundError: "No camera was found.",
  NotReadableError: "The camera is in use by another program.",
};

export class Camera {
  // resolves with the result of the review, or null if it was cancelled
  async run(skeleton, onReady) {
    if (!navigator.mediaDevices) {
      throw new Error("Browsers give the camera to pages of this machine only: open this one at http://localhost.");
    }
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({video: {width: {ideal: WIDTH}, frameRate: {ideal: 30}}});
    } catch (error) {
      throw new Error(REFUSALS[error.name] ?? `The camera cannot be used: ${error.message}`);
    }
    this.skeleton = skeleton;
    try {
      if (this.cancelled) return null;
      this.video = Object.assign(document.createElement("video"), {muted: true, playsInline: true, srcObject: this.stream});
      await this.video.play();
      return await this.talk(onReady);
    } finally {
      this.running = false;
      for (const track of this.stream.getTracks()) track.stop();
    }
  }

  talk(onReady) {
    this.pictures = new Map();
    this.spans = [];
    this.strip = new Strip(byId("live-chart"), REACH);
    this.began = performance.now();
    this.socket = new WebSocket(`ws://${location.host}/api/live`);
    return new Promise((resolve, reject) => {
      const messages = {
        ready: () => {
          this.running = true;
          onReady();
          this.send();
        },
        pose: message => this.showPose(message),
        prediction: message => this.showPrediction(message),
        result: ({result}) => resolve(result),
        error: ({error}) => reject(new Error(error)),
      };
      this.end = () => resolve(null);
      this.socket.onmessage = ({data}) => {
        const message = JSON.parse(data);
        messages[message.kind](message);
      };
      this.socket.onclose = () => reject(new Error("The server ended the connection: is piumr-demo still running?"));
      this.stream.getVideoTracks()[0].onended = () => reject(new Error("The camera was switched off."));
    }).finally(() => {
      this.socket.onclose = null;
      this.socket.close();
    });
  }

  cancel() {
    this.cancelled = true;
    this.end?.();
  }

  stop() {
    this.running = false;
    this.socket?.send("stop");
  }

  async send() {
    if (!this.running || this.sending || this.pictures.size >= ON_THEIR_WAY) return;
    this.sending = true;
    const {videoWidth, videoHeight} = this.video;
    const scale = Math.min(1, WIDTH / videoWidth);
    const picture = Object.assign(document.createElement("canvas"), {
      width: Math.round(videoWidth * scale), height: Math.round(videoHeight * scale),
    });
    picture.getContext("2d").drawImage(this.video, 0, 0, picture.width, picture.height);
    const at = performance.now() - this.began;
    const jpeg = await new Promise(resolve => picture.toBlob(resolve, "image/jpeg", QUALITY));
    const time = new ArrayBuffer(8);
    new DataView(time).setFloat64(0, at, true);
    if (this.running && this.socket.readyState === WebSocket.OPEN) {
      this.pictures.set(at, picture);
      this.socket.send(new Blob([time, jpeg]));
    }
    this.sending = false;
    requestAnimationFrame(() => this.send());
  }

  showPose({at, points, width, height, milliseconds, dropped}) {
    const picture = this.pictures.get(at);
    // an answer stands for all pictures before it: they were dropped for this one
    for (const sent of this.pictures.keys()) if (sent <= at) this.pictures.delete(sent);
    this.send();
    if (points === null || !picture) return;
    const canvas = byId("mirror"), context = canvas.getContext("2d");
    if (canvas.width !== width || canvas.height !== height) {
      Object.assign(canvas, {width, height});
      canvas.parentElement.style.aspectRatio = `${width} / ${height}`;
    }
    context.drawImage(picture, 0, 0, width, height);
    this.skeleton.draw(context, new Int16Array(bytesOf(points)), width, height);
    const now = performance.now() - this.began;
    this.spans.push([now, now - at]);
    while (this.spans[0][0] < now - 2000) this.spans.shift();
    const delay = this.spans.reduce((sum, [, span]) => sum + span, 0) / this.spans.length;
    const rate = this.spans.length / Math.max(Math.min(2, now / 1000), .1);
    byId("latency").textContent = `${Math.round(delay)} ms from camera to skeleton (pose ${Math.round(milliseconds)} ms), `
      + `${Math.round(rate)} pictures/s${dropped ? `, ${dropped} dropped` : ""}`;
    byId("latency").dataset.delay = delay.toFixed(1);
  }

  showPrediction({at, top, seconds}) {
    bars(byId("live-top"), top, seconds < .5 ? "Watching …" : "No person is seen.");
    this.strip.add(at / 1000, top.length ? top[0][1] : null);
    byId("mirror").setAttribute("aria-label", top.length ? `The webcam with your skeleton: ${top[0][0]}, ${percent(top[0][1])}` : "The webcam");
  }
}
