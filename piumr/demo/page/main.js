// The page: choose a video or the webcam, wait, look at the result.

import {Camera} from "./camera.js";
import {byId, element} from "./dom.js";
import {Result} from "./result.js";
import {Skeleton} from "./skeleton.js";
import {analyse} from "./upload.js";

const VIEWS = ["start", "work", "live", "result"];
const result = new Result();
const about = await fetch("api/model").then(response => response.json());
const skeleton = new Skeleton(about.skeleton);
let abort = null, camera = null;

function view(name, title = "") {
  for (const id of VIEWS) byId(id).hidden = id !== name;
  byId("again").hidden = name !== "result";
  byId("what").textContent = title;
  document.body.dataset.view = name;
}

function fail(message) {
  byId("error").textContent = message;
  byId("error").hidden = !message;
}

function begin() {
  result.close();
  fail("");
  view("start");
}

function progress(text, share) {
  byId("progress").textContent = text;
  if (share === undefined) byId("bar").removeAttribute("value"); else byId("bar").value = share;
}

async function open(file) {
  const {bytes} = about.limits;
  if (file.size > bytes) return fail(`${file.name}: the file is larger than the ${bytes / 2 ** 30} GB that this page takes.`);
  begin();
  view("work", file.name);
  byId("cancel").focus();
  progress("Handing the file over …");
  abort = new AbortController();
  let began = null;
  const onLine = ({frames, promised}) => {
    if (frames) began ??= performance.now() - 30;  // about what the first frame took
    const rate = frames / ((performance.now() - began) / 1000);
    if (!frames) progress("Starting the pose estimator …");
    else if (promised && frames >= promised) progress("Predicting …", 1);
    else progress(`${frames}${promised ? ` of ${promised}` : ""} frames, ${rate.toFixed(0)} a second`, promised ? frames / promised : undefined);
  };
  try {
    const found = await analyse(file, {
      onSent: share => progress(share < 1 ? `Handing the file over … ${Math.round(100 * share)} %` : "Reading the file …", share < 1 ? share : undefined),
      onLine,
      signal: abort.signal,
    });
    await result.show(found, skeleton, file.name.replace(/\.[^.]*$/, ""), file);
    view("result");
    byId("play").focus({preventScroll: true});
  } catch (error) {
    begin();
    if (error.name !== "AbortError") fail(`${file.name}: ${error.message}`);
  }
}

async function watch() {
  begin();
  view("work", "Webcam");
  progress("Starting the camera and the pose estimator …");
  byId("cancel").focus();
  camera = new Camera();
  try {
    const found = await camera.run(skeleton, () => {
      view("live");
      byId("stop").focus();
    });
    if (!found) return begin();
    await result.show(found, skeleton, "webcam", null);
    view("result");
  } catch (error) {
    begin();
    fail(error.message);
  } finally {
    camera = null;
  }
}

function describe({model, limits}) {
  byId("knows").textContent = model.knows;
  for (const note of document.querySelectorAll(".caution")) {
    note.textContent = model.notice;
    note.hidden = !model.notice;
  }
  byId("measured").textContent = [model.measured, model.parameters && `${model.parameters.toLocaleString("en")} parameters.`,
    model.licence && `Terms of what it was trained on: ${model.licence}.`].filter(Boolean).join(" ");
  const count = model.classes.reduce((sum, {names}) => sum + names.length, 0);
  byId("classes-title").textContent = `All ${count} actions`;
  byId("classes").replaceChildren(...model.classes.map(({group, names}) =>
    element("section", {}, ...(group ? [element("h4", {}, group)] : []), element("p", {}, names.join(", ")))));
  byId("limits").textContent = `Up to ${limits.seconds / 60} minutes and ${limits.bytes / 2 ** 30} GB. Any format that FFmpeg reads; one person is followed.`;
}

byId("file").addEventListener("change", event => {
  const [file] = event.target.files;
  if (file) open(file);
  event.target.value = "";
});
byId("webcam").addEventListener("click", watch);
byId("cancel").addEventListener("click", () => {
  abort?.abort();
  camera?.cancel();
});
byId("stop").addEventListener("click", () => {
  camera?.stop();
  view("work", "Webcam");
  progress("Predicting …");
});
byId("again").addEventListener("click", begin);
for (const kind of ["dragover", "dragleave", "drop"]) document.addEventListener(kind, event => {
  event.preventDefault();
  const idle = document.body.dataset.view === "start" || document.body.dataset.view === "result";
  byId("drop").classList.toggle("over", kind === "dragover" && idle);
  if (kind === "drop" && idle && event.dataTransfer.files.length) open(event.dataTransfer.files[0]);
});
describe(about);
view("start");
