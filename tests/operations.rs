//! The examples for operators name only figures that the program gives.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Words that begin with `gongying_` in a text.
fn figures(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("gongying_") {
        let word: String = text[at..]
            .chars()
            .take_while(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_')
            .collect();
        found.insert(word);
    }
    found
}

fn sources(folder: &Path, into: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn dashboard_and_alerts_name_figures_that_exist() {
    let mut text = String::new();
    for folder in ["src", "dicom-gateway", "viewer-web/src", "viewer-web/reading"] {
        sources(&root().join(folder), &mut text);
    }
    let given: BTreeSet<String> = figures(&text).into_iter().collect();
    let read = |name: &str| std::fs::read_to_string(root().join("docs").join(name)).unwrap();
    let dashboard = read("grafana-dashboard.json");
    let json: serde_json::Value = serde_json::from_str(&dashboard).expect("the dashboard is JSON");
    assert!(json["panels"].as_array().unwrap().len() >= 12);
    for (name, text) in [
        ("grafana-dashboard.json", dashboard),
        ("alerts.yml", read("alerts.yml")),
    ] {
        let asked = figures(&text);
        assert!(asked.len() >= 6, "{name} asks for few figures");
        for figure in asked {
            let plain = figure.strip_suffix("_bucket").unwrap_or(&figure);
            assert!(
                given.contains(plain),
                "{name} asks for {figure}, which the program does not give"
            );
        }
    }
}
