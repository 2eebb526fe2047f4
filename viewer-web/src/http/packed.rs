//! Bodies that are kept packed: given as they are to those who take gzip, unpacked to others.

use crate::problem::Problem;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use std::io::{self, Write as _};

/// Effort of packing: most of the gain at a fraction of the time.
const LEVEL: u32 = 4;

/// The answer with the body in a form that the asker takes. Put other headers on afterwards; `Vary` is set last by
/// [`super::conditional::stamp`], which knows of the packing.
pub(crate) fn answer(headers: &HeaderMap, packed: Bytes) -> Result<Response, Problem> {
    if takes_gzip(headers) {
        let mut response = Response::new(Body::from(packed));
        response
            .headers_mut()
            .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        return Ok(response);
    }
    let mut plain = Vec::new();
    io::copy(&mut flate2::read::GzDecoder::new(packed.as_ref()), &mut plain)
        .map_err(|e| Problem::internal(&e))?;
    Ok(Response::new(Body::from(plain)))
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    accepted.split(',').any(|one| {
        let mut parts = one.split(';').map(str::trim);
        let named = matches!(parts.next(), Some("gzip" | "*"));
        named && !parts.any(|p| p.strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()) == Some(0.0))
    })
}

/// Packs bytes.
pub(crate) fn bytes(plain: &[u8]) -> io::Result<Bytes> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(LEVEL));
    encoder.write_all(plain)?;
    encoder.finish().map(Bytes::from)
}

/// Packs ready JSON texts as one array.
pub(crate) fn json_array<'t>(items: impl Iterator<Item = &'t str>) -> io::Result<Bytes> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(LEVEL));
    encoder.write_all(b"[")?;
    for (i, item) in items.enumerate() {
        if i > 0 {
            encoder.write_all(b",")?;
        }
        encoder.write_all(item.as_bytes())?;
    }
    encoder.write_all(b"]")?;
    encoder.finish().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_body_is_unpacked_for_those_who_do_not_take_gzip() {
        let check = |accept: &str, packed: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, accept.parse().unwrap());
            let response = answer(&headers, json_array(["1", "2"].into_iter()).unwrap()).unwrap();
            assert_eq!(
                response.headers().contains_key(header::CONTENT_ENCODING),
                packed,
                "{accept}"
            );
        };
        check("gzip, br, zstd;q=0", true);
        check("*", true);
        check("gzip;q=0", false);
        check("gzip;q=0.000", false);
        check("gzip;q=0.5", true);
        check("br", false);
    }
}
