//! Reformatted values to grey levels.

use super::mpr::Reformat;
use crate::pixel::{Picture, VoiFunction, Window, round_display};

/// The picture through a window (PS3.3 C.11.2.1.2).
#[must_use]
pub fn display(reformat: &Reformat, window: &Window) -> Picture {
    let grey = |v: &f32| round_display(window.apply(f64::from(*v)));
    Picture {
        width: reformat.width as u32,
        height: reformat.height as u32,
        channels: 1,
        data: reformat.values.iter().map(grey).collect(),
    }
}

/// The window from a picture's least to its greatest value.
#[must_use]
pub fn whole_range(reformat: &Reformat) -> Window {
    let (low, high) = reformat
        .values
        .iter()
        .fold((f32::INFINITY, f32::NEG_INFINITY), |r, v| {
            (r.0.min(*v), r.1.max(*v))
        });
    let (low, high) = if low <= high { (low, high) } else { (0.0, 0.0) };
    Window {
        center: f64::from(low) / 2.0 + f64::from(high) / 2.0,
        width: f64::from(high - low).max(1e-6),
        function: VoiFunction::LinearExact,
        explanation: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_range_is_black_to_white() {
        let reformat = Reformat {
            width: 3,
            height: 1,
            values: vec![-1000.0, 0.0, 1000.0],
        };
        let window = whole_range(&reformat);
        assert_eq!(display(&reformat, &window).data, [0, 128, 255]);
        let flat = Reformat {
            width: 1,
            height: 1,
            values: vec![7.0],
        };
        assert_eq!(display(&flat, &whole_range(&flat)).data.len(), 1);
    }
}
