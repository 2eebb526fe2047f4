//! Where results and messages go: results to standard output or a file, messages to standard error.

use anyhow::{Context, Result};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Longest error line shown; what a file says about itself may be hostile and endless.
const MESSAGE_CHARS_MAX: usize = 600;

/// Writes `bytes` to `path`, or to standard output when there is none.
pub(crate) fn write(path: Option<&Path>, bytes: &[u8]) -> Result<()> {
    let Some(path) = path.filter(|p| *p != Path::new("-")) else {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        return Ok(out.flush()?);
    };
    write_file(path, bytes)
}

/// Writes a file so that it is whole or not there: a reader never meets half of it.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path
        .file_name()
        .with_context(|| format!("{}: not a file name", path.display()))?
        .to_os_string();
    name.push(format!(".{}.part", std::process::id()));
    let part: PathBuf = path.with_file_name(name);
    let written = File::create(&part)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| std::fs::rename(&part, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    written.with_context(|| format!("{}: cannot be written", path.display()))
}

/// One line on standard output.
pub(crate) fn line(text: &str) -> Result<()> {
    write(None, format!("{text}\n").as_bytes())
}

/// A value as indented JSON on standard output or in a file.
pub(crate) fn json(path: Option<&Path>, value: &impl serde::Serialize) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    write(path, &bytes)
}

/// One line on standard error.
pub(crate) fn note(text: &str) {
    // Nobody is left to tell when standard error itself is gone.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// An error as one clear line on standard error.
pub(crate) fn complain(error: &anyhow::Error) {
    let text: String = format!("{error:#}")
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MESSAGE_CHARS_MAX)
        .collect();
    note(&format!("gongying: {text}"));
}

/// Whether the reader of our output went away (`gongying ... | head`): not an error of ours.
pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|e| e.downcast_ref::<io::Error>())
        .any(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_whole_and_leaves_no_part_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        json(Some(&path), &serde_json::json!({"a": 1})).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\n  \"a\": 1\n}\n");
        let missing = folder.path().join("no/such/folder/a.json");
        let error = write_file(&missing, b"x").unwrap_err();
        assert!(error.to_string().contains("cannot be written"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
