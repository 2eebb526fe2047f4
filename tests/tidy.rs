//! Structure rules of the house, as tests: what each package may know, how long a file or a function may grow,
//! and what may never be written. The arrows are explained in ARCHITECTURE.md.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "tidy/source.rs"]
mod source;

use source::{Source, functions, packages, rust_sources, sources_with};
use std::collections::BTreeMap;

/// Package -> packages of ours that it may name in `[dependencies]`.
const ARROWS: &[(&str, &[&str])] = &[
    ("engine", &[]),
    ("engine-gpu", &["engine"]),
    ("dataset", &[]),
    ("archive", &["dataset"]),
    ("dicom-gateway", &["archive", "dataset"]),
    ("reading", &["archive", "dataset"]),
    ("worker", &["archive", "dataset", "engine", "engine-gpu"]),
    (
        "viewer-web",
        &["reading", "archive", "dataset", "engine", "engine-gpu"],
    ),
    ("fixtures", &[]),
];

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;

fn assert_none(rule: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

#[test]
fn arrows_between_packages_point_down_only() {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let mut found = Vec::new();
    for package in packages() {
        if package.name == "gongying" {
            continue;
        }
        let Some(may) = allowed.get(package.name.as_str()) else {
            found.push(format!("{} has no line in ARROWS", package.name));
            continue;
        };
        for dependency in &package.dependencies {
            let ours = allowed.contains_key(dependency.as_str()) || dependency == "gongying";
            if ours && !may.contains(&dependency.as_str()) {
                found.push(format!("{} -> {dependency}", package.name));
            }
        }
    }
    assert_none("an arrow that the design does not have", found);
}

#[test]
fn engine_touches_no_runtime_files_network_or_clock() {
    let words = [
        "tokio",
        "std::fs",
        "std::net",
        "std::process",
        "std::env",
        "Instant::now",
        "SystemTime",
        "std::time",
    ];
    assert_none(
        "engine is pure compute",
        code_hits("engine/src", &words, |_| false),
    );
    let banned = [
        "tokio",
        "sqlx",
        "axum",
        "reqwest",
        "object_store",
        "time",
        "chrono",
    ];
    let engine = packages()
        .into_iter()
        .find(|p| p.name == "engine")
        .expect("package engine");
    let found = engine
        .dependencies
        .iter()
        .filter(|d| banned.contains(&d.as_str()))
        .cloned()
        .collect();
    assert_none("engine depends on a runtime, a client or a clock", found);
}

#[test]
fn archive_and_reading_know_neither_axum_nor_sockets() {
    let words = [
        "axum",
        "TcpListener",
        "TcpStream",
        "UdpSocket",
        "UnixStream",
        "UnixListener",
    ];
    let mut found = code_hits("dicom-gateway/archive/src", &words, |_| false);
    found.extend(code_hits("viewer-web/reading/src", &words, |_| false));
    assert_none("archive and reading stay away from the wire", found);
}

#[test]
fn sql_stands_in_archive_and_reading_only() {
    let mut found = Vec::new();
    for source in rust_sources() {
        let at_home = source.path.starts_with("dicom-gateway/archive/")
            || source.path.starts_with("viewer-web/reading/")
            || source.path.starts_with("tests/tidy");
        if at_home {
            continue;
        }
        for (line, text) in source.strings() {
            let words: Vec<&str> = text.split_whitespace().take(3).collect();
            let sql = matches!(
                words.as_slice(),
                ["SELECT", ..]
                    | ["INSERT", "INTO", ..]
                    | ["DELETE", "FROM", ..]
                    | ["CREATE", "TABLE", ..]
                    | ["UPDATE", _, "SET"]
            );
            if sql {
                found.push(format!("{}:{line}", source.path));
            }
        }
    }
    found.extend(
        packages()
            .into_iter()
            .filter(|p| !["archive", "reading"].contains(&p.name.as_str()))
            .flat_map(|p| {
                let sqlx = p.dependencies.iter().any(|d| d == "sqlx");
                sqlx.then(|| format!("{} depends on sqlx", p.name))
            }),
    );
    assert_none("SQL outside archive and reading", found);
}

#[test]
fn the_object_store_library_stays_inside_archive_store() {
    let found = code_hits("", &["object_store::", "use object_store"], |path| {
        path.starts_with("dicom-gateway/archive/src/store")
    });
    assert_none("object_store outside archive::store", found);
}

#[test]
fn viewer_web_does_not_know_dimse() {
    let words = ["dicom_gateway", "dicom_ul", "dimse", "Dimse", "PduReader"];
    assert_none("viewer-web and DIMSE", code_hits("viewer-web", &words, |_| false));
}

/// A log line may carry identifiers of objects (UIDs), never of people; a value that must be shown goes through
/// the type `Redacted`.
#[test]
fn no_log_line_names_a_patient() {
    let macros = ["trace!(", "debug!(", "info!(", "warn!(", "error!("];
    let people = [
        "patient_name",
        "person_name",
        "national_id",
        "birth_date",
        "patient_id",
        "patient.name",
        "patient.identifier",
        "patient.id",
        "pinyin",
        "clinical_history",
        "findings",
        "impression",
    ];
    let mut found = Vec::new();
    for source in rust_sources() {
        let code = source.code();
        for name in macros {
            for (at, _) in code.match_indices(name) {
                let call = source::balanced(&code[at + name.len() - 1..]);
                let hit = people.iter().find(|word| call.contains(*word));
                if let Some(word) = hit.filter(|_| !call.contains("Redacted(")) {
                    let line = code[..at].matches('\n').count() + 1;
                    found.push(format!("{}:{line} logs {word}", source.path));
                }
            }
        }
    }
    assert_none("patient data in a log line", found);
}

#[test]
fn unsafe_stands_only_in_simd_files_of_the_engine() {
    let simd = |path: &str| path.starts_with("engine/src/") && path.contains("/simd");
    let found = code_hits(
        "",
        &["unsafe {", "unsafe fn", "unsafe impl", "allow(unsafe_code)"],
        simd,
    );
    assert_none("unsafe outside engine/src/**/simd*", found);
}

/// Clippy denies unwrap, expect and panic; nobody may switch that off outside tests.
#[test]
fn lints_are_not_switched_off_outside_tests() {
    let mut found = Vec::new();
    let lints = [
        "unwrap_used",
        "expect_used",
        "clippy::panic",
        "too_many_lines",
        "clippy::todo",
        "unimplemented",
    ];
    for source in rust_sources() {
        if source.is_test_file() {
            continue;
        }
        for (number, line) in source.text.lines().enumerate() {
            let switched_off =
                (line.contains("#![allow(") || line.contains("#[allow(")) && !line.contains("cfg_attr(test");
            if switched_off && lints.iter().any(|lint| line.contains(lint)) && !source.in_test_module(number)
            {
                found.push(format!("{}:{} {}", source.path, number + 1, line.trim()));
            }
        }
        if source.code().contains("todo!(") || source.code().contains("unimplemented!(") {
            found.push(format!("{} has an unfinished part", source.path));
        }
    }
    assert_none("a lint switched off", found);
}

#[test]
fn files_stay_small() {
    let extensions = ["rs", "ts", "tsx", "css", "mjs", "py", "wgsl"];
    let long = |s: &Source| {
        (!s.is_generated_table())
            .then(|| s.text.lines().count())
            .filter(|n| *n > FILE_LINES_MAX)
    };
    let found = sources_with(&extensions)
        .iter()
        .filter_map(|s| Some(format!("{} has {} lines", s.path, long(s)?)))
        .collect();
    assert_none("a source file over 600 lines", found);
}

#[test]
fn functions_stay_small() {
    let mut found = Vec::new();
    for source in rust_sources().iter().filter(|s| !s.is_generated_table()) {
        for function in functions(&source.text) {
            if function.lines > FUNCTION_LINES_MAX {
                found.push(format!(
                    "{}:{} {} has {} lines",
                    source.path, function.line, function.name, function.lines
                ));
            }
        }
    }
    assert_none("a function over 70 lines", found);
}

/// The pages name every address once, in one list; the service must know each of them.
#[test]
fn the_pages_call_no_path_that_openapi_lacks() {
    let list = sources_with(&["ts"])
        .into_iter()
        .find(|s| s.path == "viewer-web/ui/src/api/paths.ts")
        .expect("list of paths");
    let called: Vec<&str> = list
        .text
        .lines()
        .filter_map(|l| l.split_once(": '/api/"))
        .filter_map(|(_, rest)| rest.split('\'').next())
        .collect();
    assert!(
        called.len() > 20,
        "the list of paths was not found in {}",
        list.path
    );
    let plain = |path: &str| {
        path.split('/')
            .map(|p| if p.starts_with('{') { "{}" } else { p })
            .collect::<Vec<_>>()
            .join("/")
    };
    let known: Vec<String> = viewer_web::routes()
        .iter()
        .map(|route| plain(route.path()))
        .collect();
    let missing = called
        .iter()
        .map(|path| format!("/api/{path}"))
        .filter(|path| !known.contains(&plain(path)))
        .collect();
    assert_none("the pages call what the service lacks", missing);
}

/// Lines of code (comments and string contents blanked) under `folder` that hold one of `words`.
fn code_hits(folder: &str, words: &[&str], excepted: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for source in rust_sources() {
        if !source.path.starts_with(folder) || source.path.starts_with("tests/tidy") || excepted(&source.path)
        {
            continue;
        }
        let tests_only = folder == "engine/src" && source.is_test_file();
        for (number, line) in source.code().lines().enumerate() {
            // Tests of the engine may read test data; the engine itself may not.
            if tests_only || (folder == "engine/src" && source.in_test_module(number)) {
                continue;
            }
            for word in words.iter().filter(|w| line.contains(**w)) {
                found.push(format!("{}:{} {word}", source.path, number + 1));
            }
        }
    }
    found
}

#[test]
fn the_scanner_sees_code_and_not_comments_or_strings() {
    let text = "fn a() { // unsafe {\n  let s = \"unsafe {\"; /* unsafe { */ let c = '\"'; let r = r#\"x \" unsafe {\"#;\n}\n";
    let source = Source {
        path: "x.rs".into(),
        text: text.into(),
    };
    assert!(!source.code().contains("unsafe"));
    assert_eq!(
        source
            .strings()
            .iter()
            .map(|(_, s)| s.as_str())
            .collect::<Vec<_>>(),
        ["unsafe {", "x \" unsafe {"]
    );
    let found = functions(
        "impl A {\n    pub async fn b(\n        x: u8,\n    ) {\n        1;\n    }\n}\nfn c() {}\n",
    );
    assert_eq!(
        found
            .iter()
            .map(|f| (f.name.as_str(), f.lines))
            .collect::<Vec<_>>(),
        [("b", 5), ("c", 1)]
    );
}
