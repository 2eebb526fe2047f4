//! Requests of several parts (`multipart/related`, `multipart/form-data`), read as they arrive.
//!
//! [`PartReader`] is a push parser: bytes of any cutting go in, part beginnings, contents and ends come out. It
//! holds back at most one boundary's length of content and one header block.

use bytes::{Buf, Bytes, BytesMut};
use std::collections::VecDeque;

/// Longest header block of one part.
const PART_HEADER_BYTES_MAX: usize = 4096;
/// Longest text before the first boundary.
const PREAMBLE_BYTES_MAX: usize = 4096;
/// Longest boundary (RFC 2046 section 5.1.1).
const BOUNDARY_BYTES_MAX: usize = 70;

/// What the header block of a part says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PartHead {
    /// Its `Content-Type`, empty where it has none.
    pub(crate) content_type: String,
    /// Name of the form field (RFC 7578 section 4.2), empty where it has none.
    pub(crate) name: String,
    /// Name of the file, without a folder; none where the part is no file.
    pub(crate) file_name: Option<String>,
}

/// What a body consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A part begins.
    Begin(PartHead),
    /// Content of the part.
    Content(Bytes),
    /// The part is complete.
    End,
}

/// Why a body is none of several parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UploadError {
    /// The boundary parameter is missing or not allowed.
    #[error("the boundary parameter of Content-Type is missing or longer than 70 characters")]
    Boundary,
    /// The body does not begin with the boundary.
    #[error("the body does not begin with the boundary that Content-Type names")]
    NoFirstBoundary,
    /// A header block has no end within the limit.
    #[error("a part's header block is longer than 4096 bytes or broken")]
    PartHeader,
    /// The body ended inside of a part.
    #[error("the body ends before its closing boundary")]
    Cut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Preamble,
    AfterBoundary,
    Header,
    Content,
    Epilogue,
}

/// The push parser.
#[derive(Debug)]
pub(crate) struct PartReader {
    /// `\r\n--boundary`
    delimiter: Vec<u8>,
    held: BytesMut,
    stage: Stage,
    pieces: VecDeque<Piece>,
}

impl PartReader {
    /// A reader for the boundary that `Content-Type` names.
    pub(crate) fn new(boundary: &str) -> Result<Self, UploadError> {
        if boundary.is_empty()
            || boundary.len() > BOUNDARY_BYTES_MAX
            || !boundary.bytes().all(|b| (32..127).contains(&b))
        {
            return Err(UploadError::Boundary);
        }
        // The first boundary may stand at the very start: a CRLF put before it makes it like the others.
        Ok(Self {
            delimiter: [b"\r\n--", boundary.as_bytes()].concat(),
            held: BytesMut::from(&b"\r\n"[..]),
            stage: Stage::Preamble,
            pieces: VecDeque::new(),
        })
    }

    /// Takes the next bytes; then take all [`Self::next_piece`]s before feeding again.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<(), UploadError> {
        self.held.extend_from_slice(bytes);
        while self.step()? {}
        Ok(())
    }

    /// The next piece that is complete.
    pub(crate) fn next_piece(&mut self) -> Option<Piece> {
        self.pieces.pop_front()
    }

    /// Called when the body has ended.
    pub(crate) fn finish(&self) -> Result<(), UploadError> {
        match self.stage {
            Stage::Epilogue => Ok(()),
            Stage::Preamble => Err(UploadError::NoFirstBoundary),
            _ => Err(UploadError::Cut),
        }
    }

    /// One step over the held bytes; false when more are needed.
    fn step(&mut self) -> Result<bool, UploadError> {
        match self.stage {
            Stage::Preamble => self.preamble(),
            Stage::AfterBoundary => self.after_boundary(),
            Stage::Header => self.header(),
            Stage::Content => Ok(self.content()),
            Stage::Epilogue => {
                self.held.clear();
                Ok(false)
            }
        }
    }

    fn preamble(&mut self) -> Result<bool, UploadError> {
        match find(&self.held, &self.delimiter) {
            Some(at) if at <= PREAMBLE_BYTES_MAX => {
                self.held.advance(at + self.delimiter.len());
                self.stage = Stage::AfterBoundary;
                Ok(true)
            }
            None if self.held.len() < PREAMBLE_BYTES_MAX + self.delimiter.len() => Ok(false),
            _ => Err(UploadError::NoFirstBoundary),
        }
    }

    fn after_boundary(&mut self) -> Result<bool, UploadError> {
        if self.held.starts_with(b"--") {
            self.stage = Stage::Epilogue;
            return Ok(true);
        }
        // Transport padding: blanks may stand behind a boundary.
        let blanks = self.held.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        match self.held.get(blanks..blanks + 2) {
            Some(b"\r\n") if blanks <= BOUNDARY_BYTES_MAX => {
                // The CRLF stays: an empty header block is then `\r\n\r\n` like any other.
                self.held.advance(blanks);
                self.stage = Stage::Header;
                Ok(true)
            }
            Some(_) => Err(UploadError::PartHeader),
            None if blanks > BOUNDARY_BYTES_MAX => Err(UploadError::PartHeader),
            None => Ok(false),
        }
    }

    fn header(&mut self) -> Result<bool, UploadError> {
        match find(&self.held, b"\r\n\r\n") {
            Some(at) if at <= PART_HEADER_BYTES_MAX => {
                let block = String::from_utf8_lossy(self.held.get(..at).unwrap_or_default()).into_owned();
                self.held.advance(at + 4);
                self.pieces.push_back(Piece::Begin(PartHead::read(&block)));
                self.stage = Stage::Content;
                Ok(true)
            }
            None if self.held.len() < PART_HEADER_BYTES_MAX + 4 => Ok(false),
            _ => Err(UploadError::PartHeader),
        }
    }

    fn content(&mut self) -> bool {
        if let Some(at) = find(&self.held, &self.delimiter) {
            let content = self.held.split_to(at).freeze();
            self.held.advance(self.delimiter.len());
            if !content.is_empty() {
                self.pieces.push_back(Piece::Content(content));
            }
            self.pieces.push_back(Piece::End);
            self.stage = Stage::AfterBoundary;
            return true;
        }
        let keep = self.delimiter.len() - 1;
        if self.held.len() > keep {
            let content = self.held.split_to(self.held.len() - keep).freeze();
            self.pieces.push_back(Piece::Content(content));
        }
        false
    }
}

impl PartHead {
    fn read(block: &str) -> Self {
        let value_of = |wanted: &str| {
            let lines = block.split("\r\n").filter_map(|line| line.split_once(':'));
            lines
                .filter(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value.trim())
                .next()
                .unwrap_or_default()
        };
        let disposition = value_of("content-disposition");
        let file_name = parameter(disposition, "filename").map(|name| {
            // Some browsers send the whole path.
            let plain = name.rsplit(['/', '\\']).next().unwrap_or_default();
            plain.chars().filter(|c| !c.is_control()).collect()
        });
        Self {
            content_type: value_of("content-type").to_owned(),
            name: parameter(disposition, "name").unwrap_or_default(),
            file_name,
        }
    }
}

/// A parameter of a header value; browsers write `"` inside of it as `%22` and nothing else encoded.
fn parameter(value: &str, wanted: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    loop {
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (text, next) = match after.strip_prefix('"') {
            Some(quoted) => {
                let end = quoted.find('"')?;
                (quoted.get(..end)?, quoted.get(end + 1..)?)
            }
            None => {
                let end = after.find(';').unwrap_or(after.len());
                (after.get(..end)?.trim(), after.get(end..)?)
            }
        };
        if name.trim_matches([' ', ';', '\t']).eq_ignore_ascii_case(wanted) {
            return Some(text.replace("%22", "\""));
        }
        rest = next;
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    while let Some(rest) = haystack.get(from..) {
        let at = from + rest.iter().position(|b| *b == first)?;
        match haystack.get(at..at + needle.len()) {
            Some(window) if window == needle => return Some(at),
            Some(_) => from = at + 1,
            None => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    type Parts = Vec<(String, Vec<u8>)>;

    fn read(boundary: &str, chunks: &[&[u8]]) -> Result<Parts, UploadError> {
        let mut reader = PartReader::new(boundary)?;
        let (mut parts, mut open): (Parts, bool) = (Vec::new(), false);
        for chunk in chunks {
            reader.feed(chunk)?;
            while let Some(piece) = reader.next_piece() {
                match piece {
                    Piece::Begin(head) => {
                        assert!(!open);
                        open = true;
                        parts.push((head.content_type, Vec::new()));
                    }
                    Piece::Content(bytes) => parts.last_mut().unwrap().1.extend_from_slice(&bytes),
                    Piece::End => {
                        assert!(open);
                        open = false;
                    }
                }
            }
        }
        reader.finish()?;
        assert!(!open);
        Ok(parts)
    }

    fn check(body: &[u8], expect: Result<&[(&str, &[u8])], UploadError>) {
        let expect = expect.map(|parts| {
            parts
                .iter()
                .map(|(k, c)| ((*k).to_owned(), c.to_vec()))
                .collect::<Parts>()
        });
        assert_eq!(read("bnd", &[body]), expect, "{}", String::from_utf8_lossy(body));
        let single: Vec<&[u8]> = body.chunks(1).collect();
        assert_eq!(
            read("bnd", &single),
            expect,
            "byte by byte: {}",
            String::from_utf8_lossy(body)
        );
    }

    #[test]
    fn bodies_as_clients_send_them() {
        let d = "application/dicom";
        check(
            b"--bnd\r\nContent-Type: application/dicom\r\n\r\nabc\r\n--bnd--",
            Ok(&[(d, b"abc")]),
        );
        check(
            b"\r\n--bnd\r\ncontent-type:application/dicom\r\nX: y\r\n\r\nabc\r\n--bnd--\r\n",
            Ok(&[(d, b"abc")]),
        );
        check(
            b"preamble\r\n--bnd \t\r\nContent-Type: application/dicom\r\n\r\na\r\n--bn\r\n--bnd\r\n\r\n\r\n\r\n--bnd--x",
            Ok(&[(d, b"a\r\n--bn"), ("", b"\r\n")]),
        );
        check(
            b"--bnd\r\nContent-Type: application/dicom\r\n\r\n\r\n--bnd--",
            Ok(&[(d, b"")]),
        );
        check(b"--bnd--", Ok(&[]));
    }

    #[test]
    fn fields_and_files_of_a_form_have_their_names() {
        let check = |block: &str, name: &str, file_name: Option<&str>| {
            let head = PartHead::read(block);
            assert_eq!(
                (head.name.as_str(), head.file_name.as_deref()),
                (name, file_name),
                "{block}"
            );
        };
        check("Content-Disposition: form-data; name=\"order\"", "order", None);
        check(
            "content-disposition: form-data; name=file; filename=\"王 秀英; 1.scp\"\r\nContent-Type: a/b",
            "file",
            Some("王 秀英; 1.scp"),
        );
        check(
            "Content-Disposition: form-data; filename=\"C:\\ecg\\a%22b.xml\"; name=\"f\"",
            "f",
            Some("a\"b.xml"),
        );
        check("Content-Disposition: form-data; name=\"open", "", None);
        check("Content-Disposition: form-data", "", None);
        check("", "", None);
    }

    #[test]
    fn broken_bodies_are_refused() {
        check(b"", Err(UploadError::NoFirstBoundary));
        check(b"nothing of the kind", Err(UploadError::NoFirstBoundary));
        check(b"--bnd\r\n", Err(UploadError::Cut));
        check(b"--bnd\r\nContent-Type: a/b\r\n\r\nabc", Err(UploadError::Cut));
        check(b"--bndx\r\n\r\nabc\r\n--bnd--", Err(UploadError::PartHeader));
        // limits strike alike however the body is cut
        let padded =
            |blanks: usize| [b"--bnd", " ".repeat(blanks).as_bytes(), b"\r\n\r\nabc\r\n--bnd--"].concat();
        check(&padded(BOUNDARY_BYTES_MAX), Ok(&[("", b"abc")]));
        check(&padded(BOUNDARY_BYTES_MAX + 1), Err(UploadError::PartHeader));
        let after = |bytes: usize| [vec![b'x'; bytes], b"\r\n--bnd--".to_vec()].concat();
        check(&after(PREAMBLE_BYTES_MAX - 2), Ok(&[]));
        check(&after(PREAMBLE_BYTES_MAX - 1), Err(UploadError::NoFirstBoundary));
        let header = |bytes: usize| {
            [
                b"--bnd\r\nX:",
                vec![b'h'; bytes - 4].as_slice(),
                b"\r\n\r\n\r\n--bnd--",
            ]
            .concat()
        };
        check(&header(PART_HEADER_BYTES_MAX), Ok(&[("", b"")]));
        check(&header(PART_HEADER_BYTES_MAX + 1), Err(UploadError::PartHeader));
        check(&b"--bnd\r\n".repeat(10_000), Err(UploadError::PartHeader));
        check(
            &[b"--bnd\r\n".to_vec(), vec![b'h'; 5000], b"\r\n\r\n".to_vec()].concat(),
            Err(UploadError::PartHeader),
        );
        assert_eq!(PartReader::new("").err(), Some(UploadError::Boundary));
        assert_eq!(
            PartReader::new(&"b".repeat(71)).err(),
            Some(UploadError::Boundary)
        );
    }

    #[test]
    fn content_is_never_held_back_beyond_one_boundary() {
        let mut reader = PartReader::new("bnd").unwrap();
        reader.feed(b"--bnd\r\n\r\n\r\n").unwrap();
        let mut out = 0;
        for _ in 0..100 {
            reader.feed(&[7; 1000]).unwrap();
            while let Some(piece) = reader.next_piece() {
                if let Piece::Content(bytes) = piece {
                    out += bytes.len();
                }
            }
        }
        assert!(reader.held.len() < 10 && out > 99_900);
    }

    proptest::proptest! {
        #[test]
        fn any_parts_cut_anywhere_come_back(
            parts in proptest::collection::vec(proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300), 1..5),
            cut in 1usize..97,
        ) {
            let mut body = Vec::new();
            for part in &parts {
                body.extend_from_slice(b"--gongying-0123456789\r\nContent-Type: application/dicom\r\n\r\n");
                body.extend_from_slice(part);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"--gongying-0123456789--\r\n");
            let chunks: Vec<&[u8]> = body.chunks(cut).collect();
            let got = read("gongying-0123456789", &chunks).unwrap();
            let want: Parts = parts.into_iter().map(|p| ("application/dicom".to_owned(), p)).collect();
            proptest::prop_assert_eq!(got, want);
        }
    }
}
