//! Parameters of `/rendered` and `/thumbnail` (PS3.18 section 8.3.5).

use crate::problem::Problem;
use serde::Deserialize;

/// Largest side of a rendered picture.
const VIEWPORT_SIDE_MAX: u32 = 8192;
/// JPEG quality where nothing is asked for.
const QUALITY_DEFAULT: u8 = 90;

/// The query as sent.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct RenderQuery {
    viewport: Option<String>,
    window: Option<String>,
    quality: Option<String>,
}

/// A checked request for a picture. The window stays text here; the engine parses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RenderWish {
    /// The picture fits into this width and height, its aspect kept.
    pub(crate) viewport: Option<(u32, u32)>,
    /// `center,width[,function]`.
    pub(crate) window: Option<String>,
    /// 1 to 100.
    pub(crate) quality: u8,
}

impl RenderQuery {
    /// Checks the numbers.
    pub(crate) fn check(self) -> Result<RenderWish, Problem> {
        Ok(RenderWish {
            viewport: self.viewport.as_deref().map(viewport).transpose()?,
            window: self.window,
            quality: self.quality.as_deref().map_or(Ok(QUALITY_DEFAULT), quality)?,
        })
    }
}

impl RenderWish {
    /// Nothing but the picture itself is asked for.
    pub(crate) fn is_plain(&self) -> bool {
        self.viewport.is_none() && self.window.is_none() && self.quality == QUALITY_DEFAULT
    }

    /// What tells this picture from others of the same frame, for entity tags and caches.
    pub(crate) fn key(&self) -> String {
        let (width, height) = self.viewport.unwrap_or_default();
        format!(
            "{width}x{height}-{}-{}",
            self.window.as_deref().unwrap_or("default"),
            self.quality
        )
    }

    /// Size of the picture of an image of the given size.
    pub(crate) fn size_for(&self, columns: u32, rows: u32) -> Option<(u32, u32)> {
        let (width, height) = self.viewport?;
        let scale =
            (f64::from(width) / f64::from(columns.max(1))).min(f64::from(height) / f64::from(rows.max(1)));
        let side = |n: u32, max: u32| ((f64::from(n) * scale).round() as u32).clamp(1, max);
        Some((side(columns, width), side(rows, height)))
    }
}

fn viewport(text: &str) -> Result<(u32, u32), Problem> {
    let wrong = || {
        Problem::bad_request(
            format!("viewport 应为 宽,高，每边 1 至 {VIEWPORT_SIDE_MAX}。"),
            format!("viewport should be WIDTH,HEIGHT, each from 1 to {VIEWPORT_SIDE_MAX}."),
        )
    };
    let (width, height) = text.split_once(',').ok_or_else(wrong)?;
    let side = |text: &str| {
        text.trim()
            .parse::<u32>()
            .ok()
            .filter(|n| (1..=VIEWPORT_SIDE_MAX).contains(n))
            .ok_or_else(wrong)
    };
    Ok((side(width)?, side(height)?))
}

fn quality(text: &str) -> Result<u8, Problem> {
    text.trim()
        .parse::<u8>()
        .ok()
        .filter(|q| (1..=100).contains(q))
        .ok_or_else(|| {
            Problem::bad_request(
                "quality 应为 1 至 100 的整数。",
                "quality should be a whole number from 1 to 100.",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(viewport: Option<&str>, quality: Option<&str>) -> RenderQuery {
        RenderQuery {
            viewport: viewport.map(Into::into),
            window: None,
            quality: quality.map(Into::into),
        }
    }

    #[test]
    fn numbers_are_checked() {
        let check = |v: Option<&str>, q: Option<&str>, expect: Option<(Option<(u32, u32)>, u8)>| {
            let got = query(v, q).check().ok().map(|wish| (wish.viewport, wish.quality));
            assert_eq!(got, expect, "{v:?} {q:?}");
        };
        check(None, None, Some((None, 90)));
        check(Some("64,32"), Some("10"), Some((Some((64, 32)), 10)));
        for bad in [
            "64",
            "0,0",
            "a,b",
            "999999999,999999999",
            "100000,100000",
            "64,64,0,0,1,1",
            "-1,5",
        ] {
            check(Some(bad), None, None);
        }
        for bad in ["0", "101", "x", "-1", ""] {
            check(None, Some(bad), None);
        }
    }

    #[test]
    fn the_picture_fits_into_the_viewport_with_its_aspect() {
        let wish = query(Some("64,64"), None).check().unwrap();
        assert_eq!(wish.size_for(128, 96), Some((64, 48)));
        assert_eq!(wish.size_for(96, 128), Some((48, 64)));
        assert_eq!(wish.size_for(32, 32), Some((64, 64)));
        assert_eq!(wish.size_for(10_000, 1), Some((64, 1)));
        assert_eq!(query(None, None).check().unwrap().size_for(5, 5), None);
    }
}
