// The webcam: pictures to the server, poses and predictions back. One picture is on its way at a time, and the next one
// is the newest when the answer comes: those in between are dropped, so that nothing lags.

import {bars, byId, percent} from "./dom.js";
import {bytesOf} from "./skeleton.js";
import {Strip} from "./chart.js";

const WIDTH = 640, QUALITY = .8, REACH = 20, LATELY = 3000;

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
    this.newest = this.sent = null;
    this.dropped = 0;
    this.strip = new Strip(byId("live-chart"), REACH);
    bars(byId("live-top"), [], "Watching …");  // until the model has seen as much as it looks at
    this.began = performance.now();
    const clock = () => performance.now() - this.began;
    [this.poses, this.predictions] = [new Delays(clock), new Delays(clock)];
    this.socket = new WebSocket(`ws://${location.host}/api/live`);
    return new Promise((resolve, reject) => {
      const messages = {
        ready: () => {
          this.running = true;
          onReady();
          this.take();
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

  // every picture of the camera in turn; the one before is dropped if it has not been sent
  async take() {
    if (!this.running) return;
    const {videoWidth, videoHeight} = this.video, scale = Math.min(1, WIDTH / videoWidth);
    const picture = Object.assign(document.createElement("canvas"), {
      width: Math.round(videoWidth * scale), height: Math.round(videoHeight * scale),
    });
    picture.getContext("2d").drawImage(this.video, 0, 0, picture.width, picture.height);
    const at = performance.now() - this.began;
    const jpeg = await new Promise(resolve => picture.toBlob(resolve, "image/jpeg", QUALITY));
    this.dropped += this.newest !== null;
    this.newest = {at, jpeg, picture};
    this.send();
    if (this.video.requestVideoFrameCallback) this.video.requestVideoFrameCallback(() => this.take());
    else requestAnimationFrame(() => this.take());
  }

  send() {
    if (!this.running || this.sent || !this.newest || this.socket.readyState !== WebSocket.OPEN) return;
    [this.sent, this.newest] = [this.newest, null];
    const time = new ArrayBuffer(8);
    new DataView(time).setFloat64(0, this.sent.at, true);
    this.socket.send(new Blob([time, this.sent.jpeg]));
  }

  showPose({at, points, width, height, milliseconds}) {
    const {picture} = this.sent;
    this.sent = null;
    this.send();
    if (points === null) return;
    const canvas = byId("mirror"), context = canvas.getContext("2d");
    if (canvas.width !== width || canvas.height !== height) {
      Object.assign(canvas, {width, height});
      canvas.parentElement.style.aspectRatio = `${width} / ${height}`;
    }
    context.drawImage(picture, 0, 0, width, height);
    this.skeleton.draw(context, new Int16Array(bytesOf(points)), width, height);
    const [skeleton, rate] = this.poses.add(at), [prediction] = this.predictions.mean();
    byId("latency").textContent = `${Math.round(skeleton)} ms from camera to skeleton (pose ${Math.round(milliseconds)} ms), `
      + (prediction ? `${Math.round(prediction)} ms to prediction, ` : "")
      + `${Math.round(rate)} pictures/s, ${this.dropped} dropped`;
  }

  showPrediction({at, top}) {
    this.predictions.add(at);
    bars(byId("live-top"), top, "No person is seen.");
    this.strip.add(at / 1000, top.length ? top[0][1] : null);
    byId("mirror").setAttribute("aria-label", top.length ? `The webcam with your skeleton: ${top[0][0]}, ${percent(top[0][1])}` : "The webcam");
  }
}

// How late answers were in the last seconds.
class Delays {
  constructor(clock) {
    this.clock = clock;
    this.spans = [];
  }

  // mean delay, milliseconds, and answers a second; an answer to a picture of the time `at` has come
  add(at) {
    const now = this.clock();
    this.spans.push([now, now - at]);
    while (this.spans[0][0] < now - LATELY) this.spans.shift();
    return this.mean();
  }

  mean() {
    const count = this.spans.length;
    if (!count) return [0, 0];
    const since = Math.max(this.clock() - this.spans[0][0], 100);
    return [this.spans.reduce((sum, [, delay]) => sum + delay, 0) / count, 1000 * (count - 1) / since];
  }
}
