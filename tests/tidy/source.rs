//! Reads the project's sources for `tidy`: packages, files, code without comments and strings, function lengths.

use std::fs;
use std::path::{Path, PathBuf};

/// One source file, its path relative to the project's folder.
pub struct Source {
    pub path: String,
    pub text: String,
}

/// A workspace package and the names under its `[dependencies]`.
pub struct Package {
    pub name: String,
    pub dependencies: Vec<String>,
}

/// A function of a file: where it starts (1-based) and how many lines it takes.
pub struct Function {
    pub name: String,
    pub line: usize,
    pub lines: usize,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
    let skipped = ["target", "node_modules", "dist", ".git", "data", "fuzz"];
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !skipped.contains(&name.as_str()) {
                walk(&path, out);
            }
        } else {
            out.push(path);
        }
    }
}

/// Every file of the project with one of these extensions.
pub fn sources_with(extensions: &[&str]) -> Vec<Source> {
    let mut files = Vec::new();
    walk(&root(), &mut files);
    let wanted = |path: &PathBuf| {
        path.extension()
            .is_some_and(|e| extensions.contains(&&*e.to_string_lossy()))
    };
    let relative = |path: &Path| path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
    files
        .into_iter()
        .filter(wanted)
        .map(|p| Source {
            path: relative(&p),
            text: fs::read_to_string(&p).unwrap(),
        })
        .collect()
}

/// Every Rust file of the project.
pub fn rust_sources() -> Vec<Source> {
    sources_with(&["rs"])
}

/// Every package of the workspace, read from the manifests.
pub fn packages() -> Vec<Package> {
    let manifests = sources_with(&["toml"])
        .into_iter()
        .filter(|s| s.path.ends_with("Cargo.toml"));
    manifests.map(|s| package(&s.text)).collect()
}

fn package(manifest: &str) -> Package {
    let (mut section, mut name, mut dependencies) = (String::new(), String::new(), Vec::new());
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']).to_string();
        } else if let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
            let key = key.trim().split('.').next().unwrap();
            if section == "package" && key == "name" {
                name = value.trim().trim_matches('"').to_string();
            } else if section == "dependencies" {
                dependencies.push(key.to_string());
            }
        }
    }
    Package { name, dependencies }
}

#[derive(PartialEq, Clone, Copy)]
enum In {
    Code,
    LineComment,
    BlockComment(u32),
    Text { hashes: Option<usize> },
}

impl Source {
    /// Files that hold tests only.
    pub fn is_test_file(&self) -> bool {
        let path = self.path.as_str();
        path.starts_with("tests/")
            || path.contains("/tests/")
            || path.ends_with("tests.rs")
            || path.contains("/benches/")
            || path.starts_with("benches/")
    }

    /// Tables written by formula or by a generator are exempt from the length rules; their name says so.
    pub fn is_generated_table(&self) -> bool {
        self.path.ends_with("_table.rs") || self.path.ends_with("tables.rs")
    }

    /// Whether the line (0-based) stands after a `#[cfg(test)]`; test modules stand last in a file.
    pub fn in_test_module(&self, number: usize) -> bool {
        self.text
            .lines()
            .take(number + 1)
            .any(|l| l.trim() == "#[cfg(test)]")
    }

    /// The text with comments and the contents of strings blanked; lines stay where they are.
    pub fn code(&self) -> String {
        self.split().0
    }

    /// The string literals with their line numbers (1-based).
    pub fn strings(&self) -> Vec<(usize, String)> {
        self.split().1
    }

    fn split(&self) -> (String, Vec<(usize, String)>) {
        let chars: Vec<char> = self.text.chars().collect();
        let (mut code, mut strings) = (String::with_capacity(self.text.len()), Vec::new());
        let (mut state, mut at, mut line, mut text) = (In::Code, 0, 1, (0, String::new()));
        while at < chars.len() {
            let (next, used) = step(state, &chars[at..]);
            for &c in &chars[at..at + used] {
                let visible = state == In::Code && next == In::Code;
                code.push(if c == '\n' || visible { c } else { ' ' });
                if let (In::Text { .. }, In::Text { .. }) = (state, next) {
                    text.1.push(c);
                }
                line += usize::from(c == '\n');
            }
            match (state, next) {
                (In::Code, In::Text { .. }) => text = (line, String::new()),
                (In::Text { .. }, In::Code) => strings.push(std::mem::take(&mut text)),
                _ => {}
            }
            (state, at) = (next, at + used);
        }
        (code, strings)
    }
}

/// The state after the next token and how many characters it takes.
fn step(state: In, rest: &[char]) -> (In, usize) {
    let starts = |s: &str| s.chars().enumerate().all(|(i, c)| rest.get(i) == Some(&c));
    match state {
        In::Code if starts("//") => (In::LineComment, 2),
        In::Code if starts("/*") => (In::BlockComment(1), 2),
        In::Code if rest[0] == '"' => (In::Text { hashes: None }, 1),
        In::Code if rest[0] == 'r' && raw_start(rest).is_some() => {
            let hashes = raw_start(rest).unwrap();
            (In::Text { hashes: Some(hashes) }, hashes + 2)
        }
        In::Code if rest[0] == '\'' => (In::Code, char_literal(rest)),
        In::Code if rest[0].is_alphanumeric() || rest[0] == '_' => (
            In::Code,
            rest.iter()
                .take_while(|c| c.is_alphanumeric() || **c == '_')
                .count(),
        ),
        In::Code => (In::Code, 1),
        In::LineComment if rest[0] == '\n' => (In::Code, 1),
        In::LineComment => (In::LineComment, 1),
        In::BlockComment(n) if starts("/*") => (In::BlockComment(n + 1), 2),
        In::BlockComment(1) if starts("*/") => (In::Code, 2),
        In::BlockComment(n) if starts("*/") => (In::BlockComment(n - 1), 2),
        In::BlockComment(n) => (In::BlockComment(n), 1),
        In::Text { hashes: None } if rest[0] == '\\' => (state, rest.len().min(2)),
        In::Text { hashes: None } if rest[0] == '"' => (In::Code, 1),
        In::Text { hashes: Some(n) }
            if rest[0] == '"' && rest[1..].iter().take(n).filter(|c| **c == '#').count() == n =>
        {
            (In::Code, n + 1)
        }
        In::Text { .. } => (state, 1),
    }
}

fn raw_start(rest: &[char]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
    (rest.get(1 + hashes) == Some(&'"')).then_some(hashes)
}

/// Length of a character literal at the start of `rest`, or 1 for a lifetime's tick.
fn char_literal(rest: &[char]) -> usize {
    match rest {
        ['\'', '\\', ..] => rest[2..]
            .iter()
            .skip(1)
            .position(|c| *c == '\'')
            .map_or(1, |n| n + 4),
        ['\'', _, '\'', ..] => 3,
        _ => 1,
    }
}

/// The text from an opening bracket to its partner.
pub fn balanced(code: &str) -> &str {
    let mut depth = 0_i32;
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &code[..at];
        }
    }
    code
}

/// The functions of formatted code: the closing brace stands at the indentation of the line that names the function.
pub fn functions(text: &str) -> Vec<Function> {
    let lines: Vec<&str> = text.lines().collect();
    let mut out = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let is_function = trimmed
            .split_whitespace()
            .take_while(|w| !w.contains('(') || w.starts_with("pub("))
            .any(|w| w == "fn")
            || trimmed.starts_with("fn ");
        if !is_function || trimmed.starts_with("//") || trimmed.contains("\" ") {
            continue;
        }
        let Some(name) = trimmed
            .split("fn ")
            .nth(1)
            .and_then(|s| s.split(['(', '<']).next())
        else {
            continue;
        };
        let indent = line.len() - trimmed.len();
        // A declaration without a body ends with its signature.
        let ends = |rest: &str| rest.starts_with('}') || rest.starts_with(')') && rest.ends_with(';');
        let closes = |l: &&str| l.len() > indent && l[..indent].trim().is_empty() && ends(&l[indent..]);
        let one_line = trimmed.ends_with('}') || trimmed.ends_with(';');
        let lines_taken = if one_line {
            1
        } else {
            lines[start..].iter().position(closes).map_or(1, |n| n + 1)
        };
        out.push(Function {
            name: name.to_string(),
            line: start + 1,
            lines: lines_taken,
        });
    }
    out
}
