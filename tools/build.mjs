// Builds what the gateway serves under /static: bundles with hashed names, the icons that templates name,
// a manifest, and .br/.gz beside each text file. Fails when a page would load more script than the budget.
//   node tools/build.mjs [--watch]
import { readFileSync, readdirSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build, context } from "esbuild";

const EAGER_SCRIPT_BUDGET = 60_000; // bytes gzipped, of any one page
const COMPRESS_FROM = 600; // bytes; below this a compressed copy saves nothing

const root = resolve(import.meta.dirname, "..");
const gateway = join(root, "services/gateway/src/gateway");
const sources = join(gateway, "web");
const out = join(gateway, "static");
const watch = process.argv.includes("--watch");

const options = {
  absWorkingDir: root,
  entryPoints: {
    main: join(sources, "main.ts"),
    dataset: join(sources, "dataset.ts"),
    upload: join(sources, "upload.ts"),
    queue: join(sources, "queue.ts"),
    model: join(sources, "model.ts"),
    app: join(sources, "styles/app.css"),
  },
  outdir: out,
  bundle: true,
  splitting: true,
  format: "esm",
  minify: !watch,
  sourcemap: watch ? "linked" : false,
  target: ["chrome123", "firefox120", "safari17.5"], // light-dark(), popover, :has
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  loader: { ".woff2": "file" },
  metafile: true,
  legalComments: "linked",
  logLevel: "warning",
};

/** Logical name → hashed file, its style sheet, and what it imports (for modulepreload). */
function manifestOf(metafile) {
  const manifest = {};
  for (const [path, output] of Object.entries(metafile.outputs)) {
    const file = basename(path);
    if (output.entryPoint) {
      manifest[basename(output.entryPoint)] = {
        file,
        css: output.cssBundle ? basename(output.cssBundle) : null,
        imports: output.imports.filter((i) => i.kind === "import-statement").map((i) => basename(i.path)),
      };
    }
    if (/^inter-latin-wght-normal/.test(file)) manifest["inter.woff2"] = { file, css: null, imports: [] };
  }
  return manifest;
}

/** The SVG bodies of the lucide icons that templates and pages name: `icon('check')` or `icon="check"`. */
function namedIcons() {
  const lucide = JSON.parse(readFileSync(join(root, "node_modules/@iconify-json/lucide/icons.json"), "utf8"));
  const bodyOf = (name) => lucide.icons[name]?.body ?? lucide.icons[lucide.aliases?.[name]?.parent]?.body;
  const icons = {};
  for (const folder of ["templates", "pages"]) {
    for (const file of readdirSync(join(gateway, folder)).filter((name) => /\.(html|py)$/.test(name))) {
      const text = readFileSync(join(gateway, folder, file), "utf8");
      for (const [, called, given] of text.matchAll(/\bicon\(["']([a-z0-9-]+)["']|\bicon=["']([a-z0-9-]+)["']/g)) {
        const name = called ?? given;
        if (!bodyOf(name)) throw new Error(`${folder}/${file}: lucide has no icon ${name}`);
        icons[name] = bodyOf(name);
      }
    }
  }
  return icons;
}

/** Writes .br and .gz beside each text file; returns bytes gzipped by file name. */
function compressAll() {
  const sizes = {};
  for (const file of readdirSync(out).filter((name) => /\.(js|css|svg|txt)$/.test(name))) {
    const body = readFileSync(join(out, file));
    const gz = gzipSync(body, { level: 9 });
    sizes[file] = gz.length;
    if (body.length < COMPRESS_FROM) continue;
    const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: body.length };
    writeFileSync(join(out, `${file}.br`), brotliCompressSync(body, { params }));
    writeFileSync(join(out, `${file}.gz`), gz);
  }
  return sizes;
}

/** Bytes gzipped of every script that these entries load before anything is clicked. */
function eagerBytes(entries, manifest, metafile, sizes) {
  const outputs = Object.fromEntries(Object.entries(metafile.outputs).map(([path, o]) => [basename(path), o]));
  const seen = new Set();
  const visit = (file) => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const i of outputs[file].imports) if (i.kind === "import-statement") visit(basename(i.path));
  };
  for (const entry of entries) visit(manifest[entry].file);
  return [...seen].reduce((sum, file) => sum + sizes[file], 0);
}

function finish({ metafile }) {
  const manifest = manifestOf(metafile);
  writeFileSync(join(out, "manifest.json"), JSON.stringify({ files: manifest, icons: namedIcons() }, null, 1));
  const sizes = compressAll();
  const pages = { "every page": ["main.ts"], dataset: ["main.ts", "dataset.ts"], upload: ["main.ts", "upload.ts"], model: ["main.ts", "model.ts"] };
  for (const [page, entries] of Object.entries(pages)) {
    const bytes = eagerBytes(entries, manifest, metafile, sizes);
    console.log(`script of ${page}: ${bytes} bytes gzipped`);
    if (!watch && bytes > EAGER_SCRIPT_BUDGET) throw new Error(`${page}: over the budget of ${EAGER_SCRIPT_BUDGET}`);
  }
  console.log(`style sheet: ${sizes[manifest["app.css"].file]} bytes gzipped`);
}

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
if (watch) {
  const plugin = { name: "finish", setup: (b) => b.onEnd((result) => void (result.errors.length || finish(result))) };
  await (await context({ ...options, plugins: [plugin] })).watch();
} else {
  finish(await build(options));
}
