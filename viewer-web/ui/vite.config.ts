import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const server = process.env.GONGYING_HTTP ?? 'http://127.0.0.1:8080';

export default defineConfig({
  base: '/', // deep links such as /study/1.2.3 need absolute asset addresses
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  resolve: {
    // vtk.js pulls xmlbuilder2 for file readers that are never used; it needs Node's `events` and breaks the page
    alias: { xmlbuilder2: here('./src/stubs/xmlbuilder2.ts') },
  },
  worker: { format: 'es' },
  optimizeDeps: {
    exclude: ['@cornerstonejs/dicom-image-loader', '@cornerstonejs/metadata'],
    include: [
      'dicom-parser',
      '@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasmjs',
      '@cornerstonejs/codec-charls/decodewasmjs',
      '@cornerstonejs/codec-openjpeg/decodewasmjs',
      '@cornerstonejs/codec-openjph/wasmjs',
      '@cornerstonejs/codec-libjxl/decodewasmjs',
    ],
  },
  build: {
    target: 'es2022',
    outDir: process.env.UI_OUT_DIR ?? 'dist',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 4000,
    manifest: true, // scripts/check-size.mjs reads which files the shell needs
  },
  server: {
    proxy: Object.fromEntries(['/api', '/dicomweb', '/fhir', '/healthz', '/readyz'].map((p) => [p, server])),
  },
});
