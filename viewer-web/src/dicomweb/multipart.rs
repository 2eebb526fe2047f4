//! `multipart/related` answers (PS3.18 section 8.6.1.2, RFC 2387).
//!
//! Viewers read part headers with exact case and cut exactly one CRLF before the boundary, so the framing is
//! written by hand.

use bytes::Bytes;
use sha2::{Digest, Sha256};

/// Part boundary: the same for the same content, so that a URL gives the same bytes each time.
///
/// It is made of a digest over what identifies the content. Content that contains a digest of itself cannot be
/// made, so the boundary does not occur in the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Boundary(String);

impl Boundary {
    /// The boundary for content identified by `seed` (entity tags or digests).
    pub(crate) fn of(seed: &str) -> Self {
        let digest = Sha256::digest(seed.as_bytes());
        let mut text = String::from("gongying-");
        for byte in digest.iter().take(16) {
            text.push_str(&format!("{byte:02x}"));
        }
        Self(text)
    }

    /// The `Content-Type` of the whole answer. `part_type` is the media type of the parts, without parameters.
    pub(crate) fn content_type(&self, part_type: &str) -> String {
        format!("multipart/related; type=\"{part_type}\"; boundary={}", self.0)
    }

    /// The bytes before a part's content. `first` is true for the first part.
    pub(crate) fn open(&self, first: bool, part_type: &str, location: Option<&str>) -> Bytes {
        let lead = if first { "" } else { "\r\n" };
        let place = location
            .map(|url| format!("Content-Location: {url}\r\n"))
            .unwrap_or_default();
        Bytes::from(format!(
            "{lead}--{}\r\nContent-Type: {part_type}\r\n{place}\r\n",
            self.0
        ))
    }

    /// The bytes behind the last part.
    pub(crate) fn close(&self) -> Bytes {
        Bytes::from(format!("\r\n--{}--\r\n", self.0))
    }

    /// A whole body of one ready part, in pieces.
    pub(crate) fn around(&self, part_type: &str, content: Bytes) -> Vec<Bytes> {
        vec![self.open(true, part_type, None), content, self.close()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing_is_exact() {
        let boundary = Boundary("B".into());
        let part_type = "image/jphc; transfer-syntax=1.2.840.10008.1.2.4.202";
        let mut body = boundary.around(part_type, Bytes::from_static(b"abc"));
        let end = body.pop().unwrap();
        body.push(boundary.open(false, part_type, None));
        body.extend([Bytes::from_static(b"\r\n"), end]);
        let expect = b"--B\r\nContent-Type: image/jphc; transfer-syntax=1.2.840.10008.1.2.4.202\r\n\r\nabc\r\n\
            --B\r\nContent-Type: image/jphc; transfer-syntax=1.2.840.10008.1.2.4.202\r\n\r\n\r\n\r\n--B--\r\n";
        assert_eq!(body.concat(), &expect[..]);
    }

    #[test]
    fn a_boundary_is_long_repeatable_and_its_own_for_each_content() {
        let boundary = Boundary::of("\"ab-f1\"");
        assert_eq!(boundary, Boundary::of("\"ab-f1\""));
        assert_ne!(boundary, Boundary::of("\"ab-f2\""));
        assert!(boundary.0.len() >= 24 && boundary.0.len() <= 70);
        assert_eq!(
            boundary.content_type("application/dicom"),
            format!(
                "multipart/related; type=\"application/dicom\"; boundary={}",
                boundary.0
            )
        );
    }
}
