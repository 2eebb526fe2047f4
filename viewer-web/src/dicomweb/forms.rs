//! In which form a frame is given: the answer to `Accept` for `/frames/{list}` (PS3.18 section 8.7.3).

use crate::http::accept::MediaRange;

/// Explicit VR Little Endian, the form of uncompressed pixels.
pub(crate) const EXPLICIT_LE: &str = "1.2.840.10008.1.2.1";
/// High-throughput JPEG 2000, lossless, resolution first: the form for progressive reading.
pub(crate) const HTJ2K_RPCL: &str = "1.2.840.10008.1.2.4.202";
const HTJ2K: &str = "1.2.840.10008.1.2.4.201";
const OCTETS: (&str, &str) = ("application", "octet-stream");

/// What is done with the stored bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// As stored.
    Stored,
    /// Decoded to little-endian pixels.
    Decoded,
    /// Decoded, then encoded as lossless HTJ2K.
    Htj2k,
}

/// A form of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    /// What is done.
    pub(crate) coding: Coding,
    /// Media type of each part.
    pub(crate) media_type: &'static str,
    /// The transfer syntax that the bytes are in.
    pub(crate) transfer_syntax: String,
    /// One part without multipart framing.
    pub(crate) single: bool,
}

/// What can be had of a stored object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stock<'a> {
    /// Transfer syntax as stored.
    pub(crate) transfer_syntax: &'a str,
    /// The engine can decode it.
    pub(crate) decodable: bool,
    /// Frames asked for.
    pub(crate) frames: usize,
}

impl Stock<'_> {
    fn is_native(&self) -> bool {
        matches!(
            self.transfer_syntax,
            "1.2.840.10008.1.2" | EXPLICIT_LE | "1.2.840.10008.1.2.2" | "1.2.840.10008.1.2.1.99"
        )
    }

    /// Uncompressed objects are given as explicit little endian, whatever their byte order was.
    fn stored(&self, media_type: &'static str) -> Form {
        let (coding, transfer_syntax) = if self.is_native() {
            (Coding::Decoded, EXPLICIT_LE)
        } else {
            (Coding::Stored, self.transfer_syntax)
        };
        Form {
            coding,
            media_type,
            transfer_syntax: transfer_syntax.to_owned(),
            single: false,
        }
    }

    fn decoded(&self) -> Option<Form> {
        let form = |media_type| Form {
            coding: Coding::Decoded,
            media_type,
            transfer_syntax: EXPLICIT_LE.to_owned(),
            single: false,
        };
        self.decodable.then(|| form("application/octet-stream"))
    }

    fn htj2k(&self, media_type: &'static str, transfer_syntax: &str) -> Option<Form> {
        if self.transfer_syntax == transfer_syntax {
            return Some(self.stored(media_type));
        }
        self.decodable.then(|| Form {
            coding: Coding::Htj2k,
            media_type,
            transfer_syntax: transfer_syntax.to_owned(),
            single: false,
        })
    }
}

/// Media type in which a transfer syntax's frames are at home (PS3.18 table 8.7.3-5 and -6).
pub(crate) fn native_media_type(transfer_syntax: &str) -> &'static str {
    let Some(number) = transfer_syntax
        .strip_prefix("1.2.840.10008.1.2.4.")
        .and_then(|n| n.parse::<u16>().ok())
    else {
        return if transfer_syntax == "1.2.840.10008.1.2.5" {
            "image/dicom-rle"
        } else {
            "application/octet-stream"
        };
    };
    match number {
        50..=70 => "image/jpeg",
        80 | 81 => "image/jls",
        90 | 91 => "image/jp2",
        92 | 93 => "image/jpx",
        100 | 101 => "video/mpeg",
        102..=108 => "video/mp4",
        110..=112 => "image/jxl",
        201..=203 => "image/jphc",
        _ => "application/octet-stream",
    }
}

/// The first wish of the request that can be fulfilled.
pub(crate) fn choose(wishes: &[MediaRange], stock: Stock<'_>) -> Option<Form> {
    wishes.iter().find_map(|wish| answer(wish, stock))
}

/// What is offered, for the sentence of a 406.
pub(crate) fn offered(stock: Stock<'_>) -> String {
    let native = native_media_type(stock.transfer_syntax);
    let mut text =
        format!("multipart/related; type=\"application/octet-stream\"; transfer-syntax=*, {native}");
    if stock.decodable {
        text.push_str(", application/octet-stream, image/jphc");
    }
    text
}

fn answer(wish: &MediaRange, stock: Stock<'_>) -> Option<Form> {
    let syntax = wish.parameter("transfer-syntax");
    if wish.is("*", "*") {
        return Some(stock.stored(native_media_type(stock.transfer_syntax)));
    }
    if wish.covers("multipart", "related") {
        return match wish.parameter("type").map(MediaRange::parse) {
            None => part("*", "*", syntax, stock),
            Some(Some(kind)) => part(&kind.main, &kind.sub, syntax, stock),
            Some(None) => None,
        };
    }
    if stock.frames != 1 {
        return None;
    }
    part(&wish.main, &wish.sub, syntax, stock).map(|form| Form { single: true, ..form })
}

/// The form of a part of type `main/sub` in transfer syntax `syntax` (`*`: any; none: the type's default).
fn part(main: &str, sub: &str, syntax: Option<&str>, stock: Stock<'_>) -> Option<Form> {
    if (main, sub) == OCTETS {
        return octets(syntax, stock);
    }
    let native = native_media_type(stock.transfer_syntax);
    let as_stored = stock.stored(native);
    let fits = syntax.is_none_or(|wanted| wanted == "*" || wanted == as_stored.transfer_syntax);
    let native_covered = native
        .split_once('/')
        .is_some_and(|(m, s)| (main == "*" || main == m) && (sub == "*" || sub == s));
    if native_covered && fits {
        return Some(as_stored);
    }
    if (main, sub) == ("image", "jphc") {
        return match syntax {
            None | Some("*" | HTJ2K_RPCL) => stock.htj2k("image/jphc", HTJ2K_RPCL),
            Some(HTJ2K) => stock.htj2k("image/jphc", HTJ2K),
            Some(_) => None,
        };
    }
    None
}

fn octets(syntax: Option<&str>, stock: Stock<'_>) -> Option<Form> {
    const TYPE: &str = "application/octet-stream";
    match syntax {
        Some("*") => Some(stock.stored(TYPE)),
        Some(wanted) if wanted == stock.stored(TYPE).transfer_syntax => Some(stock.stored(TYPE)),
        None | Some(EXPLICIT_LE) => stock.decoded(),
        Some(wanted @ (HTJ2K_RPCL | HTJ2K)) => stock.htj2k(TYPE, wanted),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::accept::accepted;
    use axum::http::{HeaderMap, header};

    const J2K: &str = "1.2.840.10008.1.2.4.90";
    const H264: &str = "1.2.840.10008.1.2.4.102";

    fn check(stored: &str, frames: usize, accept: &str, expect: Option<(Coding, &str, &str, bool)>) {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        let stock = Stock {
            transfer_syntax: stored,
            decodable: stored != H264,
            frames,
        };
        let got = choose(&accepted(&headers), stock);
        let got = got
            .as_ref()
            .map(|f| (f.coding, f.media_type, f.transfer_syntax.as_str(), f.single));
        assert_eq!(got, expect, "{stored} x{frames}: {accept}");
    }

    #[test]
    fn uncompressed_objects() {
        let octets = Some((Coding::Decoded, "application/octet-stream", EXPLICIT_LE, false));
        for stored in [
            EXPLICIT_LE,
            "1.2.840.10008.1.2",
            "1.2.840.10008.1.2.2",
            "1.2.840.10008.1.2.1.99",
        ] {
            for accept in [
                "*/*",
                "multipart/related",
                "multipart/related; type=application/octet-stream; transfer-syntax=*",
                "multipart/related; type=\"application/octet-stream\"; transfer-syntax=\"*\"",
                "Multipart/Related; Type=Application/Octet-Stream; Transfer-Syntax=*",
                "multipart/related; type=\"application/octet-stream\"",
                "multipart/related; type=application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1",
                "image/x-nothing, multipart/related; type=\"application/octet-stream\"; q=0.9, */*; q=0.1",
            ] {
                check(stored, 1, accept, octets);
            }
        }
        check(
            EXPLICIT_LE,
            1,
            "application/octet-stream",
            octets.map(|(c, m, t, _)| (c, m, t, true)),
        );
        check(
            EXPLICIT_LE,
            1,
            "image/jphc",
            Some((Coding::Htj2k, "image/jphc", HTJ2K_RPCL, true)),
        );
        check(
            EXPLICIT_LE,
            3,
            "multipart/related; type=image/jphc",
            Some((Coding::Htj2k, "image/jphc", HTJ2K_RPCL, false)),
        );
        check(EXPLICIT_LE, 1, "video/mp4", None);
        check(EXPLICIT_LE, 1, "image/jpeg", None);
        check(
            EXPLICIT_LE,
            1,
            "multipart/related; type=application/octet-stream; transfer-syntax=1.2.3",
            None,
        );
        check(EXPLICIT_LE, 1, "multipart/related; type=nonsense", None);
    }

    #[test]
    fn compressed_objects() {
        check(J2K, 1, "*/*", Some((Coding::Stored, "image/jp2", J2K, false)));
        check(
            J2K,
            1,
            "multipart/related; type=application/octet-stream; transfer-syntax=*",
            Some((Coding::Stored, "application/octet-stream", J2K, false)),
        );
        check(
            J2K,
            2,
            "multipart/related; type=application/octet-stream",
            Some((Coding::Decoded, "application/octet-stream", EXPLICIT_LE, false)),
        );
        check(
            J2K,
            2,
            "multipart/related; type=\"image/jp2\"",
            Some((Coding::Stored, "image/jp2", J2K, false)),
        );
        check(J2K, 1, "image/*", Some((Coding::Stored, "image/jp2", J2K, true)));
        check(J2K, 2, "image/jp2", None);
        check(
            HTJ2K_RPCL,
            1,
            "image/jphc",
            Some((Coding::Stored, "image/jphc", HTJ2K_RPCL, true)),
        );
        check(
            H264,
            1,
            "video/mp4",
            Some((Coding::Stored, "video/mp4", H264, true)),
        );
        check(H264, 1, "application/octet-stream", None);
        check(H264, 1, "image/jphc", None);
    }
}
