// A video to the server and lines of JSON back. XMLHttpRequest, since fetch does not tell how much has been sent.

// onSent: share of the file sent; onLine: each line but the last one. Resolves with the result; abort ends the work.
export function analyse(file, {onSent, onLine, signal}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let read = 0, result = null;
    const lines = () => {
      for (;;) {
        const end = request.responseText.indexOf("\n", read);
        if (end < 0) return;
        const line = JSON.parse(request.responseText.slice(read, end));
        read = end + 1;
        if (line.error) reject(new Error(line.error));
        else if (line.result) result = line.result;
        else onLine(line);
      }
    };
    request.open("POST", "api/video");
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = event => onSent(event.total ? event.loaded / event.total : 0);
    request.upload.onload = () => onSent(1);
    request.onprogress = () => { if (request.status === 200) lines(); };
    request.onload = () => {
      if (request.status !== 200) return reject(new Error(reason(request)));
      lines();
      if (result) resolve(result); else reject(new Error("The server's answer ended too early: see its terminal."));
    };
    request.onerror = () => reject(new Error("The server cannot be reached: is piumr-demo still running?"));
    request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}

function reason(request) {
  try {
    return JSON.parse(request.responseText).error;
  } catch {
    return request.responseText.split("\n")[0] || `The server refused (${request.status}).`;
  }
}
