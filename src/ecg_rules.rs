//! Critical rules of ECGs by name or from a file.

use anyhow::{Context, Result};
use engine::ecg::critical::{self, Ruleset};
use std::io::Read;
use std::path::Path;

/// Read of a file before it is refused; a rule set is smaller.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The built-in set of that name, or the set in the file of that name.
pub(crate) fn named(name: &str) -> Result<Ruleset> {
    if let Some(built_in) = critical::by_name(name) {
        return Ok(built_in.clone());
    }
    let known: Vec<&str> = critical::all().iter().map(|set| set.name.as_str()).collect();
    let known = known.join(", ");
    let file = std::fs::File::open(Path::new(name))
        .with_context(|| format!("critical rules \"{name}\": neither one of {known} nor a file"))?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .with_context(|| format!("{name}: cannot be read as text"))?;
    Ruleset::parse(&text).with_context(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_come_by_name_or_from_a_file() {
        assert_eq!(named("zhejiang").unwrap().name, "zhejiang");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("county.toml");
        let own =
            include_str!("../engine/src/ecg/critical/rules/shanxi.toml").replace("\"shanxi\"", "\"county\"");
        std::fs::write(&path, &own).unwrap();
        assert_eq!(named(path.to_str().unwrap()).unwrap().name, "county");
        std::fs::write(&path, own.replace("format = 1", "format = 7")).unwrap();
        let message = format!("{:#}", named(path.to_str().unwrap()).unwrap_err());
        assert!(
            message.contains("county.toml") && message.contains("format = 7"),
            "{message}"
        );
        let message = format!("{:#}", named("nowhere").unwrap_err());
        assert!(message.contains("consensus_2017, zhejiang, shanxi"), "{message}");
    }
}
