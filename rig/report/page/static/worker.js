/* Python in a worker: the page stays alive while a log is read. */
import { loadPyodide } from "./pyodide/pyodide.mjs";

const here = new URL(".", import.meta.url).href;

const check = async (name) => {
  const found = await fetch(`${here}${name}`, { method: "HEAD" });
  if (!found.ok) throw new Error(`${name} is missing`);
};

const start = async () => {
  if (typeof WebAssembly !== "object") throw new Error("this browser has no WebAssembly");
  // Pyodide never answers where its own files are missing.
  await Promise.all(["pyodide/pyodide.asm.wasm", "pyodide/pyodide.asm.mjs", "pyodide/python_stdlib.zip"].map(check));
  const [python, code] = await Promise.all([
    loadPyodide({ indexURL: `${here}pyodide/` }),
    fetch(`${here}rig.zip`).then((found) => { if (!found.ok) throw new Error("rig.zip is missing"); return found.arrayBuffer(); }),
  ]);
  python.FS.writeFile("/rig.zip", new Uint8Array(code));
  python.runPython("import sys; sys.path.insert(0, '/rig.zip')");
  return { python, page: python.pyimport("rig.report.page.answer") };
};
const started = start();
started.then(() => postMessage({ ready: true }), (error) => setTimeout(() => { throw error; }));

onmessage = async ({ data: { number, log, redact, everything } }) => {
  try {
    const { python, page } = await started;
    python.FS.writeFile("/log", new Uint8Array(log));
    const found = page.answer.callKwargs("/log", { redact, everything });
    postMessage({ number, html: found.html, json: found.json, summary: found.summary });
    found.destroy();
  } catch (error) {
    postMessage({ number, error: String(error.message || error).trim().split("\n").at(-1) });
  }
};
