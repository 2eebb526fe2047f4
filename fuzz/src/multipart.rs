//! Bodies of STOW-RS.

use crate::parts::{PartHead, PartReader, Piece, UploadError};

/// Sound inputs to start from: target and bytes.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let bodies: [&[u8]; 4] = [
        b"--b\r\nContent-Type: application/dicom\r\n\r\nabc\r\n--b--",
        b"x\r\n--bnd \t\r\nContent-Type: application/dicom\r\n\r\na\r\n--bn\r\n--bnd\r\n\r\n\r\n\r\n--bnd--y",
        b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"C:\\\\a.dcm\"\r\n\r\nabc\r\n--b--",
        b"--b--",
    ];
    bodies
        .into_iter()
        .map(|body| ("multipart", [&[5, 8][..], body].concat()))
        .collect()
}

type Parts = Vec<(PartHead, Vec<u8>, bool)>;

fn read(boundary: &str, body: &[u8], step: usize) -> Result<Parts, UploadError> {
    let mut reader = PartReader::new(boundary)?;
    let mut parts: Parts = Vec::new();
    for piece in body.chunks(step.max(1)) {
        reader.feed(piece)?;
        while let Some(piece) = reader.next_piece() {
            match piece {
                Piece::Begin(kind) => {
                    assert!(
                        parts.last().is_none_or(|part| part.2),
                        "the part before has ended"
                    );
                    parts.push((kind, Vec::new(), false));
                }
                Piece::Content(bytes) => {
                    let open = parts.last_mut().filter(|part| !part.2).expect("an open part");
                    open.1.extend_from_slice(&bytes);
                }
                Piece::End => parts.last_mut().filter(|part| !part.2).expect("an open part").2 = true,
            }
        }
    }
    reader.finish()?;
    Ok(parts)
}

/// Whole equals piecewise, and no part holds its own boundary.
pub fn multipart(bytes: &[u8]) {
    let Some((&[step, mode], body)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let own = String::from_utf8_lossy(&body[..body.len().min(usize::from(mode) / 4)]).into_owned();
    for boundary in ["b", "bnd", &own] {
        let whole = read(boundary, body, usize::MAX);
        let pieces = read(boundary, body, usize::from(step));
        match (&whole, &pieces) {
            // which fault is met first may depend on the cutting, whether there is one does not
            (Err(_), Err(_)) => {}
            _ => assert_eq!(whole, pieces, "boundary {boundary:?}"),
        }
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        for (_, content, _) in whole.iter().flatten() {
            let holds = content.windows(delimiter.len()).any(|w| w == delimiter);
            assert!(!holds, "a part holds its boundary");
        }
    }
}
