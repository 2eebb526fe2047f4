//! Builds the pages with npm and lists them, with the fonts for printed documents, in `OUT_DIR/assets_table.rs`.
//!
//! `VIEWER_UI=none` leaves them out: the executable then has no pages and prints no PDF.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

type Failure = Box<dyn std::error::Error>;

/// Folders of the source that are made, not written.
const MADE: [&str; 3] = ["node_modules", "dist", "test-results"];
const FONT_PACKAGE: &str = "node_modules/@expo-google-fonts/noto-sans-sc";

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            println!("cargo::error={failure}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), Failure> {
    println!("cargo::rerun-if-env-changed=VIEWER_UI");
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let ui = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("ui");
    let release = std::env::var("PROFILE")? == "release";
    if std::env::var("VIEWER_UI").is_ok_and(|wanted| wanted == "none") {
        return without_pages(&out);
    }
    if !ui.join("package.json").exists() {
        println!("cargo::rerun-if-changed=ui");
        println!("cargo::warning=viewer-web/ui has no package.json: built without pages");
        return without_pages(&out);
    }
    watch(&ui)?;
    if !runs("node") || !runs("npm") {
        let sentence = "Node.js 20.19 or newer with npm is needed to build the pages; install it, or set VIEWER_UI=none to build without them";
        if release {
            return Err(sentence.into());
        }
        println!("cargo::warning={sentence}");
        return without_pages(&out);
    }
    let work = out.join("uisrc");
    copy_sources(&ui, &work)?;
    install(&work)?;
    npm(&work, &["run", "build"])?;
    compress(&work, release)?;
    list(&out, &work)
}

fn without_pages(out: &Path) -> Result<(), Failure> {
    let table =
        "static ASSETS: &[Asset] = &[];\nstatic FONT_REGULAR: &[u8] = &[];\nstatic FONT_BOLD: &[u8] = &[];\n";
    Ok(fs::write(out.join("assets_table.rs"), table)?)
}

/// Names each source entry, so that made folders inside do not start a build.
fn watch(ui: &Path) -> Result<(), Failure> {
    for entry in fs::read_dir(ui)? {
        let name = entry?.file_name();
        if !MADE.iter().any(|made| name == *made) {
            println!("cargo::rerun-if-changed=ui/{}", name.to_string_lossy());
        }
    }
    Ok(())
}

fn runs(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Copies changed files and removes vanished ones, so that the source tree stays clean and the bundler's caches live.
fn copy_sources(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::create_dir_all(to)?;
    let mut names = Vec::new();
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if MADE.iter().any(|made| name == *made) {
            continue;
        }
        let target = to.join(&name);
        if entry.file_type()?.is_dir() {
            copy_sources(&entry.path(), &target)?;
        } else {
            let bytes = fs::read(entry.path())?;
            if fs::read(&target).ok().as_deref() != Some(bytes.as_slice()) {
                fs::write(&target, bytes)?;
            }
        }
        names.push(name);
    }
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        let name = entry.file_name();
        let kept = names.contains(&name) || MADE.iter().any(|made| name == *made) || name == ".installed";
        if !kept {
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
    }
    Ok(())
}

/// Installs the locked packages, unless the lock file is the one installed last time.
fn install(work: &Path) -> Result<(), Failure> {
    let lock = fs::read(work.join("package-lock.json"))
        .map_err(|_| "viewer-web/ui/package-lock.json is missing; run `npm install` in viewer-web/ui once")?;
    let stamp = work.join(".installed");
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) && work.join("node_modules").is_dir() {
        return Ok(());
    }
    npm(
        work,
        &[
            "ci",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--loglevel=error",
        ],
    )?;
    Ok(fs::write(stamp, lock)?)
}

fn npm(work: &Path, arguments: &[&str]) -> Result<(), Failure> {
    let output = Command::new("npm").args(arguments).current_dir(work).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let tail = lines[lines.len().saturating_sub(12)..].join(" | ");
    Err(format!("`npm {}` failed for viewer-web/ui: {tail}", arguments.join(" ")).into())
}

/// Writes `.gz` and `.br` beside text and WebAssembly files that gain by it.
fn compress(work: &Path, release: bool) -> Result<(), Failure> {
    const SCRIPT: &str = "
        const fs = require('fs'), path = require('path'), zlib = require('zlib');
        const quality = Number(process.argv[1]);
        const walk = (dir) => fs.readdirSync(dir, { withFileTypes: true }).flatMap((e) =>
            e.isDirectory() ? walk(path.join(dir, e.name)) : [path.join(dir, e.name)]);
        for (const file of walk('dist')) {
            if (!/\\.(js|mjs|css|html|svg|json|wasm|webmanifest|txt|map)$/.test(file)) continue;
            const body = fs.readFileSync(file);
            if (body.length < 1024) continue;
            fs.writeFileSync(file + '.gz', zlib.gzipSync(body, { level: 9 }));
            const params = { [zlib.constants.BROTLI_PARAM_QUALITY]: quality };
            fs.writeFileSync(file + '.br', zlib.brotliCompressSync(body, { params }));
        }";
    let quality = if release { "11" } else { "4" };
    let status = Command::new("node")
        .args(["-e", SCRIPT, quality])
        .current_dir(work)
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err("compressing the built pages with node failed".into())
    }
}

fn list(out: &Path, work: &Path) -> Result<(), Failure> {
    let dist = work.join("dist");
    let mut files = Vec::new();
    walk(&dist, &mut files)?;
    let mut assets: Vec<(String, PathBuf)> = Vec::new();
    for file in files {
        let path = file.strip_prefix(&dist)?.to_string_lossy().replace('\\', "/");
        if !path.ends_with(".gz") && !path.ends_with(".br") && !path.ends_with(".map") {
            assets.push((path, file));
        }
    }
    assets.sort();
    if !assets.iter().any(|(path, _)| path == "index.html") {
        return Err("the build of viewer-web/ui left no dist/index.html".into());
    }
    let mut table = String::from("static ASSETS: &[Asset] = &[\n");
    for (path, file) in &assets {
        let body = fs::read(file)?;
        writeln!(
            table,
            "    Asset {{ path: {path:?}, media_type: {:?}, etag: \"\\\"{:016x}\\\"\", body: include_bytes!({file:?}), gzip: {}, brotli: {} }},",
            media_type(path),
            fnv1a(&body),
            packed(file, "gz"),
            packed(file, "br"),
        )?;
    }
    table.push_str("];\n");
    for (name, ending) in [("FONT_REGULAR", "400Regular.ttf"), ("FONT_BOLD", "700Bold.ttf")] {
        writeln!(
            table,
            "static {name}: &[u8] = include_bytes!({:?});",
            font(work, ending)?
        )?;
    }
    Ok(fs::write(out.join("assets_table.rs"), table)?)
}

fn packed(file: &Path, ending: &str) -> String {
    let packed = PathBuf::from(format!("{}.{ending}", file.display()));
    if packed.exists() {
        format!("Some(include_bytes!({packed:?}))")
    } else {
        "None".to_owned()
    }
}

fn font(work: &Path, ending: &str) -> Result<PathBuf, Failure> {
    let mut files = Vec::new();
    let folder = work.join(FONT_PACKAGE);
    if folder.is_dir() {
        walk(&folder, &mut files)?;
    }
    files
        .into_iter()
        .find(|file| file.to_string_lossy().ends_with(ending))
        .ok_or_else(|| {
            format!("viewer-web/ui needs the package @expo-google-fonts/noto-sans-sc with *{ending}").into()
        })
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// FNV-1a, 64 bit: tells one build's file from another's; not for safety.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
