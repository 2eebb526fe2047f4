//! From stored values to the display: modality, VOI, palette, colour, overlay, size, picture formats (PS3.3 C.7.6.3,
//! C.11; PS3.4 N.2).

mod colour;
mod description;
mod encode;
pub mod gsdf;
mod lut;
mod overlay;
mod palette;
mod presentation;
mod render;
mod resize;
mod thumbnail;
mod window;

#[cfg(test)]
pub(crate) use description::test_description;
pub use description::{FrameAttributes, Geometry, ImageDescription, Modality, Voi};
pub use encode::{Format, encode};
pub use lut::Lut;
pub use overlay::Overlay;
pub use palette::Palette;
pub use presentation::{Align, Note, Presentation, PresentationLut, present};
pub use render::{GreySteps, Picture, RenderOptions, render, render_shaded};
pub use resize::{Grid, Span, area_average, bilinear};
pub use thumbnail::{reduction, thumbnail, thumbnail_by, thumbnail_of};
pub(crate) use window::round_display;
pub use window::{VoiFunction, Window};
