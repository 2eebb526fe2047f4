// Fails the build when the shell (everything but the viewer engine) grows over its limit.
// What counts: the entry, its static imports and every page chunk; not the lazy viewer engine, its workers and codecs.
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { fileURLToPath } from 'node:url';

const SHELL_LIMIT_KB = 120;
const ENGINE_LIMIT_KB = 960;
const outIndex = process.argv.indexOf('--outDir');
const out = outIndex > 0 ? process.argv[outIndex + 1] : process.env.UI_OUT_DIR ?? fileURLToPath(new URL('../dist', import.meta.url));
const manifest = JSON.parse(readFileSync(`${out}/.vite/manifest.json`, 'utf8'));

const gz = (file) => gzipSync(readFileSync(`${out}/${file}`)).length / 1024;
const isEngine = (key) => key.startsWith('src/viewer/engine/');
function reach(roots, follow) {
  const seen = new Set();
  const walk = (key) => {
    if (seen.has(key) || !manifest[key]) return;
    seen.add(key);
    for (const next of follow(manifest[key])) walk(next);
  };
  roots.forEach(walk);
  return seen;
}
const entries = Object.keys(manifest).filter((key) => manifest[key].isEntry);
const shell = reach(entries, (m) => [...(m.imports ?? []), ...(m.dynamicImports ?? []).filter((k) => !isEngine(k))]);
const engineRoots = Object.keys(manifest).filter(isEngine);
const engine = [...reach(engineRoots, (m) => m.imports ?? [])].filter((key) => !shell.has(key));
const sizeOf = (keys) => {
  const files = new Set();
  for (const key of keys) for (const file of [manifest[key].file, ...(manifest[key].css ?? [])]) if (/\.(js|css)$/.test(file)) files.add(file);
  return [...files].reduce((sum, file) => sum + gz(file), 0);
};
const shellKb = sizeOf(shell);
const engineKb = sizeOf(engine);
console.log(`shell ${shellKb.toFixed(1)} kB gzip (limit ${SHELL_LIMIT_KB}), viewer engine ${engineKb.toFixed(1)} kB gzip (limit ${ENGINE_LIMIT_KB})`);
if (shellKb > SHELL_LIMIT_KB || engineKb > ENGINE_LIMIT_KB) {
  console.error('size limit exceeded: move code into a lazy page or the viewer engine');
  process.exit(1);
}
