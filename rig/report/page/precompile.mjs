/* node precompile.mjs DIRECTORY: compile the page's Python with the Python that will run it.

   Pyodide ships its standard library as source, and compiling it took half of the page's start. The modules that an
   explanation needs become .pyc files in the same archives; the others stay as they are. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const page = process.argv[2];
const { loadPyodide } = await import(pathToFileURL(join(page, "pyodide", "pyodide.mjs")).href);
const python = await loadPyodide({ indexURL: join(page, "pyodide") });
const archives = { "rig.zip": join(page, "rig.zip"), "stdlib.zip": join(page, "pyodide", "python_stdlib.zip") };
for (const [name, path] of Object.entries(archives)) python.FS.writeFile(`/${name}`, readFileSync(path));
python.runPython(`
import importlib._bootstrap_external as external
import sys
import zipfile

sys.path.insert(0, "/rig.zip")
import rig.report.page.answer

open("/log", "w").write("")
rig.report.page.answer.answer("/log")
needed = set(sys.modules)

def compiled(path, all_of_it):
    with zipfile.ZipFile(path) as old:
        entries = [(entry, old.read(entry)) for entry in old.infolist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for entry, data in entries:
            name = entry.filename
            module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            if name.endswith(".py") and (all_of_it or module in needed):
                code = compile(data, name, "exec", dont_inherit=True)
                # Not checked against a source: there is none beside it.
                data = external._code_to_hash_pyc(code, bytes(8), False)
                name += "c"
            # One date for all: the same code gives the same file.
            new.writestr(zipfile.ZipInfo(name), bytes(data), zipfile.ZIP_DEFLATED)

compiled("/rig.zip", True)
compiled("/stdlib.zip", False)
`);
for (const [name, path] of Object.entries(archives)) writeFileSync(path, python.FS.readFile(`/${name}`));
