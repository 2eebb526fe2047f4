//! What a request for a plane or a projection asks for.

use super::elsewhere::Elsewhere;
use crate::dicomweb::layout;
use crate::problem::Problem;
use engine::error::ImagingError;
use engine::pixel::{Picture, Window};
use engine::volume::{
    BodyPlane, Interpolation, Plane, Preset, Reformat, Slab, SlabMode, View, Volume, body_plane, composite,
    native_plane, project, reformat,
};
use serde::Deserialize;

/// Pixels of a picture whose size was not asked for.
const SIZE_DEFAULT: (usize, usize) = (512, 512);
/// Longest side that the server makes.
const SIDE_MAX: usize = 2048;
/// Thickest slab that the server makes.
const SLAB_MM_MAX: f64 = 500.0;

/// Of `/mpr`.
#[derive(Debug, Deserialize)]
pub(super) struct MprQuery {
    plane: Option<String>,
    index: Option<usize>,
    origin: Option<String>,
    row: Option<String>,
    col: Option<String>,
    pixel: Option<f64>,
    size: Option<String>,
    slab: Option<f64>,
    mode: Option<String>,
    pub(super) window: Option<String>,
    pub(super) phase: Option<usize>,
    pub(super) format: Option<String>,
}

/// Of `/project`.
#[derive(Debug, Deserialize)]
pub(super) struct ProjectQuery {
    mode: Option<String>,
    preset: Option<String>,
    view: Option<String>,
    pixel: Option<f64>,
    size: Option<String>,
    pub(super) window: Option<String>,
    pub(super) phase: Option<usize>,
    pub(super) format: Option<String>,
}

/// As what a picture of values is sent.
#[derive(Debug)]
pub(super) enum Form {
    Values,
    Grey(Option<Window>),
}

pub(super) enum Seen {
    Values(Reformat),
    Colours(Picture),
}

/// A checked plane.
pub(super) struct Cut {
    what: What,
    pixel_mm: Option<f64>,
    size: Option<(usize, usize)>,
    slab: Option<Slab>,
}

enum What {
    Body(BodyPlane, usize),
    Free([[f64; 3]; 3]),
}

/// A checked projection.
pub(super) struct Sight {
    view: View,
    mode: Option<SlabMode>,
    preset: Preset,
}

fn wrong(name: &str, expected: &str) -> Problem {
    Problem::bad_request(
        format!("参数 {name} 有误，应为 {expected}。"),
        format!("{name} should be {expected}."),
    )
}

fn numbers<const N: usize>(name: &str, text: &str) -> Result<[f64; N], Problem> {
    let parsed: Option<Vec<f64>> = text
        .split(',')
        .map(|t| t.trim().parse().ok().filter(|v: &f64| v.is_finite()))
        .collect();
    parsed
        .and_then(|v| v.try_into().ok())
        .ok_or_else(|| wrong(name, &format!("{N} numbers with commas between")))
}

fn sides(text: Option<&str>) -> Result<Option<(usize, usize)>, Problem> {
    let Some(text) = text else {
        return Ok(None);
    };
    let side = |t: &str| t.trim().parse().ok().filter(|n| (1..=SIDE_MAX).contains(n));
    text.split_once(',')
        .and_then(|(w, h)| Some((side(w)?, side(h)?)))
        .map(Some)
        .ok_or_else(|| wrong("size", &format!("WIDTH,HEIGHT, each up to {SIDE_MAX}")))
}

/// `None` for composite.
fn mode_of(word: Option<&str>) -> Result<Option<SlabMode>, Problem> {
    match word {
        None | Some("mip") => Ok(Some(SlabMode::Mip)),
        Some("minip") => Ok(Some(SlabMode::MinIp)),
        Some("mean") => Ok(Some(SlabMode::Mean)),
        Some("composite") => Ok(None),
        Some(_) => Err(wrong("mode", "mip, minip, mean or composite")),
    }
}

pub(super) fn form(format: Option<&str>, window: Option<&str>) -> Result<Form, Problem> {
    match format {
        Some("npy") => Ok(Form::Values),
        None | Some("png") => {
            let window = window.map(Window::parse).transpose().map_err(layout::problem)?;
            Ok(Form::Grey(window))
        }
        Some(_) => Err(wrong("format", "png or npy")),
    }
}

fn media_type(format: Option<&str>) -> &'static str {
    if format == Some("npy") {
        "application/octet-stream"
    } else {
        "image/png"
    }
}

impl MprQuery {
    pub(super) fn media_type(&self) -> &'static str {
        media_type(self.format.as_deref())
    }

    pub(super) fn check(&self) -> Result<Cut, Problem> {
        let what = match (
            self.plane.as_deref(),
            self.index,
            &self.origin,
            &self.row,
            &self.col,
        ) {
            (Some(plane), Some(index), None, None, None) => {
                let plane = match plane {
                    "axial" => BodyPlane::Axial,
                    "coronal" => BodyPlane::Coronal,
                    "sagittal" => BodyPlane::Sagittal,
                    _ => return Err(wrong("plane", "axial, coronal or sagittal")),
                };
                What::Body(plane, index)
            }
            (None, None, Some(origin), Some(row), Some(col)) => What::Free([
                numbers("origin", origin)?,
                numbers("row", row)?,
                numbers("col", col)?,
            ]),
            _ => return Err(wrong("plane", "plane with index, or origin with row and col")),
        };
        let mode = mode_of(self.mode.as_deref())?.ok_or_else(|| wrong("mode", "mip, minip or mean"))?;
        if self.slab.is_some_and(|mm| !(0.0..=SLAB_MM_MAX).contains(&mm)) {
            return Err(wrong("slab", &format!("0 to {SLAB_MM_MAX} mm")));
        }
        Ok(Cut {
            what,
            pixel_mm: self.pixel,
            size: sides(self.size.as_deref())?,
            slab: self.slab.map(|thickness_mm| Slab { thickness_mm, mode }),
        })
    }
}

impl Cut {
    pub(super) fn cut(&self, volume: &Volume, elsewhere: &Elsewhere) -> Result<Reformat, ImagingError> {
        let plane = match self.what {
            What::Body(plane, index)
                if self.slab.is_none() && self.size.is_none() && self.pixel_mm.is_none() =>
            {
                return native_plane(volume, plane, index);
            }
            What::Body(plane, index) => body_plane(volume, plane, index, self.pixel_mm, self.size)?,
            What::Free([origin, row, col]) => {
                let pixel = self.pixel_mm.unwrap_or_else(|| volume.grid().finest_mm());
                Plane::new(origin, row, col, pixel, self.size.unwrap_or(SIZE_DEFAULT))?
            }
        };
        // A thin plane takes the CPU less time than its picture takes from a device to here.
        let there = match self.slab {
            Some(_) => elsewhere.values(volume, || volume.lines_of_cut(&plane, self.slab))?,
            None => None,
        };
        match there {
            Some(picture) => Ok(picture),
            None => reformat(volume, &plane, self.slab, Interpolation::Linear),
        }
    }
}

impl ProjectQuery {
    /// Colours are a picture whatever is asked for.
    pub(super) fn media_type(&self) -> &'static str {
        let colours = self.mode.as_deref() == Some("composite");
        media_type(self.format.as_deref().filter(|_| !colours))
    }

    pub(super) fn check(&self) -> Result<Sight, Problem> {
        let [azimuth_deg, elevation_deg] = numbers("view", self.view.as_deref().unwrap_or("0,0"))?;
        let names = || Preset::ALL.map(|p| p.0).join(", ");
        let preset = self.preset.as_deref().unwrap_or("ct-bone");
        Ok(Sight {
            view: View {
                azimuth_deg,
                elevation_deg,
                size: sides(self.size.as_deref())?.unwrap_or(SIZE_DEFAULT),
                pixel_mm: self.pixel,
            },
            mode: mode_of(self.mode.as_deref())?,
            preset: Preset::parse(preset).ok_or_else(|| wrong("preset", &names()))?,
        })
    }
}

impl Sight {
    pub(super) fn see(&self, volume: &Volume, elsewhere: &Elsewhere) -> Result<Seen, ImagingError> {
        let Some(mode) = self.mode else {
            let there = elsewhere.colours(volume, || volume.scene(&self.view, self.preset))?;
            return Ok(Seen::Colours(match there {
                Some(picture) => picture,
                None => composite(volume, &self.view, self.preset)?,
            }));
        };
        let there = elsewhere.values(volume, || volume.lines_of_projection(&self.view, mode))?;
        Ok(Seen::Values(match there {
            Some(picture) => picture,
            None => project(volume, &self.view, mode)?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::StatusCode;

    fn mpr(pairs: &str) -> Result<Cut, StatusCode> {
        let uri: axum::http::Uri = format!("/?{pairs}").parse().unwrap();
        let query: axum::extract::Query<MprQuery> = axum::extract::Query::try_from_uri(&uri).unwrap();
        query.0.check().map_err(|p| p.status)
    }

    #[test]
    fn a_plane_is_said_in_one_of_two_ways() {
        assert!(mpr("plane=coronal&index=64").is_ok());
        assert!(mpr("origin=0,0,-5&row=1,0,0&col=0,1,0&slab=20&mode=minip&size=300,200").is_ok());
        for bad in [
            "",
            "plane=coronal",
            "plane=oblique&index=1",
            "plane=axial&index=1&row=1,0,0",
            "origin=0,0&row=1,0,0&col=0,1,0",
            "plane=axial&index=1&size=9000,9000",
            "plane=axial&index=1&slab=-3",
            "plane=axial&index=1&mode=composite",
        ] {
            assert_eq!(mpr(bad).err(), Some(StatusCode::BAD_REQUEST), "{bad}");
        }
    }
}
