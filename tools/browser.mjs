// Unpacks the headless Chromium inside the npm package @sparticuz/chromium to .cache/browser/<version>/ and
// prints the path of a start script for Playwright. No root, no download, no libraries beyond glibc.
//   node tools/browser.mjs
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";

const require = createRequire(import.meta.url);
const root = resolve(import.meta.dirname, "..");
const pkg = dirname(dirname(require.resolve("@sparticuz/chromium")));
const { version } = JSON.parse(readFileSync(join(pkg, "package.json"), "utf8"));
const cache = process.env.BROWSER_CACHE ?? join(root, ".cache/browser");
const dir = join(cache, version);

// The package's own fonts.conf names folders of another machine, which renders blank pages, and it has no Chinese
// glyphs. With two families of our own, pages look the same everywhere.
function fontsConf() {
  const families = "<family>Open Sans</family><family>Noto Sans Hans</family>";
  const alias = (generic) => `<alias binding="strong"><family>${generic}</family><prefer>${families}</prefer></alias>`;
  return `<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>
<dir prefix="relative">.</dir><cachedir prefix="xdg">fontconfig</cachedir>
${["sans-serif", "serif", "monospace", "system-ui"].map(alias).join("\n")}
</fontconfig>
`;
}

const START_SCRIPT = `#!/bin/sh
d=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
export LD_LIBRARY_PATH="$d/al2023/lib\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export FONTCONFIG_FILE="$d/fonts/fonts.conf" XDG_CACHE_HOME="$d/xdg" LC_ALL=en_US.UTF-8
exec "$d/chromium" --no-sandbox --enable-unsafe-swiftshader --font-render-hinting=none "$@"
`;

async function unpack() {
  const part = `${dir}.part`;
  rmSync(part, { recursive: true, force: true });
  mkdirSync(part, { recursive: true });
  process.env.TMPDIR = part; // inflate() writes to os.tmpdir(), which reads this late
  const { inflate } = await import("@sparticuz/chromium");
  for (const name of ["chromium.br", "swiftshader.tar.br", "fonts.tar.br", "al2023.tar.br"]) {
    await inflate(join(pkg, "bin", name));
  }
  const chinese = join(dirname(dirname(require.resolve("@embedpdf/fonts-sc"))), "fonts");
  for (const weight of ["Regular", "Bold"]) {
    const name = `NotoSansHans-${weight}.otf`;
    copyFileSync(join(chinese, name), join(part, "fonts", name));
  }
  writeFileSync(join(part, "fonts/fonts.conf"), fontsConf());
  writeFileSync(join(part, "chrome"), START_SCRIPT, { mode: 0o755 });
  renameSync(part, dir); // whole or not at all: an interrupted unpacking leaves nothing that looks finished
}

if (!existsSync(join(dir, "chrome"))) await unpack();
const current = join(cache, "current");
rmSync(current, { force: true });
symlinkSync(version, current);
console.log(join(dir, "chrome"));
