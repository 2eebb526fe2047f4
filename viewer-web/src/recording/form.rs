//! The form of an upload (`multipart/form-data`, RFC 7578), read as it arrives within limits.

use super::File;
use super::budget::{Budget, Share};
use crate::http::parts::{PartHead, PartReader, Piece, UploadError};
use crate::http::upload;
use crate::problem::Problem;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use futures_util::StreamExt;
use std::time::Duration;

/// Longest pause between two pieces of a body.
const SILENCE_S_MAX: u64 = 60;
/// Files of one upload: a morning's recordings of a township.
pub(super) const FILES_MAX: usize = 64;
/// Bytes of one upload: a day of three leads at 500 Hz in 16 bits is 260 MB.
pub(super) const UPLOAD_BYTES_MAX: u64 = 300 << 20;
/// Longest value of a field.
const FIELD_BYTES_MAX: usize = 256;
/// Longest name of a file that is kept, in characters.
const FILE_NAME_CHARS_MAX: usize = 200;
const WANTED: &str = "multipart/form-data; boundary=…";

/// What was sent.
#[derive(Debug)]
pub(super) struct Form {
    /// Request that the files belong to.
    pub(super) accession_number: Option<String>,
    /// The sender has seen that a file names another person.
    pub(super) accept_mismatch: bool,
    pub(super) files: Vec<File>,
    /// Held until the files are worked off.
    pub(super) _share: Share,
}

/// Where the bytes of the present part go.
enum Into {
    File(usize),
    Field(String, Vec<u8>),
    Nowhere,
}

impl Form {
    pub(super) async fn read(headers: &HeaderMap, body: Body, budget: &Budget) -> Result<Self, Problem> {
        let mut reader = PartReader::new(&upload::boundary(headers, WANTED, |kind| {
            kind.is("multipart", "form-data")
        })?)?;
        let mut form = Self {
            accession_number: None,
            accept_mismatch: false,
            files: Vec::new(),
            _share: budget.share(),
        };
        let (mut body, mut into) = (body.into_data_stream(), Into::Nowhere);
        loop {
            let next = tokio::time::timeout(Duration::from_secs(SILENCE_S_MAX), body.next()).await;
            let bytes = match next {
                Err(_) => return Err(upload::silent()),
                Ok(None) => break,
                Ok(Some(Err(_))) => return Err(UploadError::Cut.into()),
                Ok(Some(Ok(bytes))) => bytes,
            };
            if !form._share.grow(bytes.len() as u64) {
                return Err(Problem::busy(10));
            }
            if form._share.taken() > UPLOAD_BYTES_MAX {
                return Err(too_large());
            }
            reader.feed(&bytes)?;
            while let Some(piece) = reader.next_piece() {
                into = form.take(piece, into)?;
            }
        }
        reader.finish()?;
        if form.files.is_empty() {
            return Err(Problem::bad_request(
                "没有选择文件。请选择心电图机导出的文件后上传。",
                "The form carries no file; choose the files that the cart exported.",
            ));
        }
        Ok(form)
    }

    fn take(&mut self, piece: Piece, into: Into) -> Result<Into, Problem> {
        match (piece, into) {
            (Piece::Begin(head), _) => self.begin(head),
            (Piece::Content(bytes), Into::File(at)) => {
                if let Some(file) = self.files.get_mut(at) {
                    file.bytes.extend_from_slice(&bytes);
                }
                Ok(Into::File(at))
            }
            (Piece::Content(bytes), Into::Field(name, mut value)) => {
                if value.len() + bytes.len() > FIELD_BYTES_MAX {
                    return Err(Problem::bad_request(
                        format!("字段 {name} 过长。"),
                        format!("The field {name} is too long."),
                    ));
                }
                value.extend_from_slice(&bytes);
                Ok(Into::Field(name, value))
            }
            (Piece::Content(_), Into::Nowhere) => Ok(Into::Nowhere),
            (Piece::End, Into::Field(name, value)) => {
                self.field(&name, &String::from_utf8_lossy(&value));
                Ok(Into::Nowhere)
            }
            (Piece::End, _) => Ok(Into::Nowhere),
        }
    }

    fn begin(&mut self, head: PartHead) -> Result<Into, Problem> {
        let Some(name) = head.file_name else {
            return Ok(Into::Field(head.name, Vec::new()));
        };
        if self.files.len() >= FILES_MAX {
            return Err(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("一次最多上传 {FILES_MAX} 个文件，请分次上传。"),
                format!("At most {FILES_MAX} files at once; send them in several uploads."),
            ));
        }
        self.files.push(File {
            name: name.chars().take(FILE_NAME_CHARS_MAX).collect(),
            bytes: Vec::new(),
        });
        Ok(Into::File(self.files.len() - 1))
    }

    fn field(&mut self, name: &str, value: &str) {
        let value = value.trim();
        match name {
            "accession_number" if !value.is_empty() => self.accession_number = Some(value.to_owned()),
            "accept_mismatch" => self.accept_mismatch = value == "true",
            // Fields of a form that this program does not know change nothing.
            _ => {}
        }
    }
}

fn too_large() -> Problem {
    let mib = UPLOAD_BYTES_MAX >> 20;
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("一次上传不能超过 {mib} MiB，请分次上传。"),
        format!("One upload holds at most {mib} MiB; send the files in several."),
    )
}
