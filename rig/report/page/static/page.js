"use strict";
/* Takes a log from the text area, a file or a drop, and shows what the worker makes of it. */
(() => {
  const find = (id) => document.getElementById(id);
  const form = find("ask"), text = find("text"), file = find("file"), status = find("status"), answer = find("answer");
  const save = find("json"), largest = 100 * 1024 * 1024;
  let json = "", asked = 0;

  if (location.protocol === "file:") {
    status.textContent = "Browsers do not run this page from a file. Start a server in its directory: python3 -m http.server";
    return;
  }
  // A worker made from a blob inherits this page's Content-Security-Policy; one with an address of its own would have none.
  const start = `import(${JSON.stringify(new URL("worker.js", location.href).href)})
    .catch((error) => setTimeout(() => { throw error; }));`;
  const worker = new Worker(URL.createObjectURL(new Blob([start], { type: "text/javascript" })), { type: "module" });

  const fail = (words) => { status.textContent = words; form.removeAttribute("aria-busy"); };
  worker.onerror = (event) => fail(`Python could not be started: ${event.message || "its files are missing"}.`);
  worker.onmessage = ({ data }) => {
    if (data.ready) { document.documentElement.dataset.ready = "yes"; return; }
    if (data.number !== asked) return;
    if (data.error) { fail(`The log could not be explained: ${data.error}`); return; }
    json = data.json;
    save.hidden = false;
    answer.innerHTML = data.html; // made of elements by Python, which escapes every text of the log
    globalThis.rigSortTables(answer);
    answer.hidden = false;
    form.removeAttribute("aria-busy");
    status.textContent = data.summary;
    document.documentElement.dataset.answered = String(data.number);
    answer.focus();
  };

  const explain = async (blob) => {
    if (blob.size > largest) { fail("The log is larger than 100 MB. On the command line: rig explain FILE."); return; }
    const number = ++asked;
    form.setAttribute("aria-busy", "true");
    status.textContent = document.documentElement.dataset.ready ? "Reading the log …" : "Starting Python, then reading the log …";
    try {
      const head = new Uint8Array(await blob.slice(0, 2).arrayBuffer());
      const packed = head[0] === 0x1f && head[1] === 0x8b;
      const stream = packed ? blob.stream().pipeThrough(new DecompressionStream("gzip")) : blob.stream();
      const log = await new Response(stream).arrayBuffer();
      if (log.byteLength > largest) { fail("The log is larger than 100 MB unpacked."); return; }
      worker.postMessage({ number, log, redact: find("redact").checked, everything: find("all").checked }, [log]);
    } catch (error) { fail(`The file cannot be read: ${error.message}`); }
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (file.files.length && !text.value) explain(file.files[0]);
    else if (text.value) explain(new Blob([text.value]));
    else { status.textContent = "There is no log yet: paste one, or choose a file."; text.focus(); }
  });
  file.addEventListener("change", () => { if (file.files.length) { text.value = ""; explain(file.files[0]); } });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) { text.value = ""; explain(event.dataTransfer.files[0]); }
  });
  save.addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([json], { type: "application/json" }));
    link.download = "explanation.json";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
  globalThis.rigExplain = { explain, json: () => json };
})();
