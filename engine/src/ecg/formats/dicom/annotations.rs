//! Remarks and measurements stored in the Waveform Annotation Sequence (PS3.3 C.10.10).

use crate::dicom::Attributes;
use crate::ecg::record::Annotation;

/// Most annotations kept.
const ANNOTATIONS_MAX: usize = 1_000;
/// Longest text kept, in characters.
const TEXT_CHARS_MAX: usize = 500;

pub(super) fn read(root: &Attributes<'_, '_>) -> Vec<Annotation> {
    let items = root.items(0x0040_B020).take(ANNOTATIONS_MAX);
    items
        .filter_map(|item| {
            let text = text_of(&item)?
                .chars()
                .filter(|c| !c.is_control())
                .take(TEXT_CHARS_MAX)
                .collect();
            // Positions count from 1 (C.10.10.1.3).
            let sample = item
                .ul(0x0040_A132)
                .and_then(|place| place.checked_sub(1))
                .map(u64::from);
            Some(Annotation { sample, text })
        })
        .collect()
}

fn text_of(item: &Attributes<'_, '_>) -> Option<String> {
    if let Some(text) = item.text(0x0070_0006) {
        return Some(text);
    }
    let name = item
        .item(0x0040_A043, 0)
        .and_then(|code| code.text(0x0008_0104))?;
    if let Some(value) = item.text(0x0040_A30A) {
        let unit = item
            .item(0x0040_08EA, 0)
            .and_then(|code| code.text(0x0008_0100))
            .unwrap_or_default();
        return Some(format!("{name}: {value} {unit}").trim_end().to_owned());
    }
    let value = item.item(0x0040_A168, 0).and_then(|code| code.text(0x0008_0104));
    Some(value.map_or(name.clone(), |value| format!("{name}: {value}")))
}
