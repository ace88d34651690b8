// Time: of the video where the browser can play it, of a clock of our own where it cannot.

const LOAD_MILLISECONDS = 8000;

export class Player {
  constructor(video, onTime, onState) {
    Object.assign(this, {video, onTime, onState, duration: 0, frames: [0], hasVideo: false});
    this.playing = false;
    this.position = 0;
    video.addEventListener("seeked", () => this.tell());
    const run = now => {
      if (this.playing) this.advance(now);
      requestAnimationFrame(run);
    };
    requestAnimationFrame(run);
    if (video.requestVideoFrameCallback) {
      const shown = (_, {mediaTime}) => {
        this.shown = mediaTime;
        video.requestVideoFrameCallback(shown);
      };
      video.requestVideoFrameCallback(shown);
    }
  }

  // frames: times of the poses, seconds; file: the video, or null
  async open(file, frames) {
    this.close();
    this.frames = frames;
    this.duration = Math.max(frames.at(-1), .001);
    this.hasVideo = file !== null && await this.load(file);
    if (!this.hasVideo) this.forget();
    this.seek(0);
    return this.hasVideo;
  }

  async load(file) {
    this.address = URL.createObjectURL(file);
    const video = this.video;
    const loaded = new Promise(resolve => {
      video.onloadeddata = () => resolve(video.videoWidth > 0);
      video.onerror = () => resolve(false);
      setTimeout(() => resolve(false), LOAD_MILLISECONDS);
    });
    video.src = this.address;
    return loaded;
  }

  close() {
    this.pause();
    this.forget();
    this.position = 0;
  }

  forget() {
    if (!this.address) return;
    this.video.onloadeddata = this.video.onerror = null;
    this.video.removeAttribute("src");
    this.video.load();
    URL.revokeObjectURL(this.address);
    this.address = null;
    this.hasVideo = false;
  }

  set speed(value) {
    this.rate = value;
    this.video.playbackRate = value;
  }

  play() {
    this.playing = true;
    this.before = null;
    if (this.hasVideo) {
      this.video.playbackRate = this.rate ?? 1;
      this.video.play().catch(() => this.pause());
    }
    this.onState(true);
  }

  pause() {
    this.playing = false;
    this.video.pause();
    this.onState(false);
  }

  toggle() { this.playing ? this.pause() : this.play(); }

  advance(now) {
    if (this.hasVideo) {
      // the picture that is on the screen, where the browser tells; a new position may not be shown yet
      const current = this.video.currentTime;
      this.position = this.shown !== undefined && Math.abs(this.shown - current) < .25 ? this.shown : current;
      if (this.video.ended || current > this.duration + .2) this.seek(0, true);
    } else {
      this.position += this.before === null ? 0 : (now - this.before) / 1000 * (this.rate ?? 1);
      this.before = now;
      if (this.position > this.duration + .05) this.position = 0;
    }
    this.tell();
  }

  seek(time, again = false) {
    this.position = Math.min(Math.max(time, 0), this.duration);
    this.shown = undefined;
    if (this.hasVideo) {
      this.video.currentTime = this.position;
      if (again) this.video.play().catch(() => this.pause());
    }
    this.tell();
  }

  step(count) {
    this.pause();
    const frame = Math.min(Math.max(this.frame + count, 0), this.frames.length - 1);
    // a little after the frame's beginning, so that rounding does not show the one before
    const next = this.frames[frame + 1] ?? this.frames[frame] + .01;
    this.seek(this.frames[frame] + .1 * (next - this.frames[frame]));
  }

  // index of the pose at the position: the last one that has begun
  get frame() {
    let low = 0, high = this.frames.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.frames[middle] <= this.position + 1e-3) low = middle; else high = middle - 1;
    }
    return low;
  }

  tell() { this.onTime(Math.min(this.position, this.duration), this.frame); }
}
