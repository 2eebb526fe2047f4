//! Display shutters (PS3.3 C.7.6.11, C.7.6.15): what is not picture is covered.

use super::super::overlay::Overlay;
use super::super::render::Picture;
use super::graphic::inside;
use crate::dicom::Attributes;

/// Shapes that the visible part has to lie in; the plane of a bitmap shutter covers what it is set on.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Shutter {
    /// Columns then rows, first and last that are seen, from 1.
    rectangle: Option<[f64; 4]>,
    /// Column and row of the centre, radius.
    circle: Option<[f64; 3]>,
    /// Column and row of each corner.
    polygon: Vec<[f64; 2]>,
    bitmap: Option<Overlay>,
    /// Display value of what is covered.
    pub(super) value: u8,
}

impl Shutter {
    pub(super) fn read(root: &Attributes<'_, '_>, own: &[Overlay]) -> Self {
        let shapes = root.texts(0x0018_1600);
        let is = |name: &str| shapes.iter().any(|s| s == name);
        let number = |tag| root.ds(tag);
        let rectangle = || {
            Some([
                number(0x0018_1602)?,
                number(0x0018_1604)?,
                number(0x0018_1606)?,
                number(0x0018_1608)?,
            ])
        };
        let circle = || {
            let [row, column] = *root.dss(0x0018_1610).first_chunk::<2>()?;
            Some([column, row, number(0x0018_1612)?])
        };
        let corners = root.dss(0x0018_1620);
        let group = root.us(0x0018_1623);
        let bitmap = own.iter().find(|plane| Some(plane.group) == group);
        let pair = |p: &[f64; 2]| [p[1], p[0]];
        Self {
            rectangle: is("RECTANGULAR").then(rectangle).flatten(),
            circle: is("CIRCULAR").then(circle).flatten(),
            polygon: match is("POLYGONAL") {
                true => corners.as_chunks::<2>().0.iter().map(pair).collect(),
                false => Vec::new(),
            },
            bitmap: bitmap.filter(|_| is("BITMAP")).cloned(),
            value: root.us(0x0018_1622).map_or(0, |v| (v >> 8) as u8),
        }
    }

    fn shows(&self, column: f64, row: f64) -> bool {
        let in_rectangle = self.rectangle.is_none_or(|[left, right, upper, lower]| {
            (left..=right).contains(&column) && (upper..=lower).contains(&row)
        });
        let in_circle = self
            .circle
            .is_none_or(|[x, y, r]| (column - x).powi(2) + (row - y).powi(2) <= r * r);
        in_rectangle && in_circle && (self.polygon.len() < 3 || inside(&self.polygon, [column, row]))
    }

    /// Covers a picture of the whole image, frame `frame` from 0.
    pub(super) fn cover(&self, picture: &mut Picture, frame: u64) {
        let (width, channels) = (picture.width as usize, usize::from(picture.channels));
        if self.rectangle.is_some() || self.circle.is_some() || self.polygon.len() >= 3 {
            for (i, pixel) in picture.data.chunks_exact_mut(channels).enumerate() {
                if !self.shows((i % width + 1) as f64, (i / width + 1) as f64) {
                    pixel.fill(self.value);
                }
            }
        }
        if let Some(plane) = &self.bitmap {
            let height = picture.height as usize;
            plane.draw(frame, height, width, |i| {
                if let Some(pixel) = picture.data.get_mut(i * channels..(i + 1) * channels) {
                    pixel.fill(self.value);
                }
            });
        }
    }
}
