//! What an image is, as JSON or as text.

use super::file::ImageFile;
use crate::output;
use anyhow::Result;
use dataset::tags;
use engine::pixel::{Modality, Window};
use serde_json::{Value, json};

pub(super) fn show(file: &mut ImageFile, as_json: bool) -> Result<()> {
    let value = describe(file);
    if as_json {
        return output::json(None, &value);
    }
    let Value::Object(fields) = value else {
        return Ok(());
    };
    for (name, value) in fields {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), ToOwned::to_owned);
        output::line(&format!("{name}: {text}"))?;
    }
    Ok(())
}

fn describe(file: &mut ImageFile) -> Value {
    let resolutions = file.resolutions(0);
    let frame = &file.image.frame;
    let text = |tag| file.data_set.text(tag);
    let first = file.image.attributes(0);
    let geometry = &first.geometry;
    let modality_step = match &first.modality {
        Modality::Rescale { slope, intercept } => {
            json!({"rescale_slope": slope, "rescale_intercept": intercept})
        }
        Modality::Table(lut) => {
            json!({"modality_lut": {"first": lut.first, "entries": lut.values.len(), "bits": lut.bits}})
        }
    };
    let tables: Vec<Value> = first
        .voi
        .tables
        .iter()
        .map(|lut| json!({"first": lut.first, "entries": lut.values.len(), "bits": lut.bits, "explanation": lut.explanation}))
        .collect();
    json!({
        "transfer_syntax": {"uid": file.syntax.uid(), "name": file.syntax.name()},
        "sop_class_uid": text(tags::SOP_CLASS_UID),
        "sop_instance_uid": text(tags::SOP_INSTANCE_UID),
        "modality": text(tags::MODALITY),
        "photometric_interpretation": text(tags::PHOTOMETRIC_INTERPRETATION),
        "frames": frame.frames,
        "rows": frame.rows,
        "columns": frame.columns,
        "samples_per_pixel": frame.samples_per_pixel,
        "bits_allocated": frame.bits_allocated,
        "bits_stored": frame.bits_stored,
        "high_bit": frame.high_bit,
        "signed": frame.signed,
        "planar": frame.planar,
        "modality_step": modality_step,
        "windows": first.voi.windows.iter().map(window).collect::<Vec<_>>(),
        "voi_luts": tables,
        "padding": file.image.padding.map(|(a, b)| [a, b]),
        "overlays": file.image.overlays.len(),
        "palette": file.image.palette.is_some(),
        "pixel_spacing_mm": geometry.spacing_mm,
        "pixel_spacing_calibrated": geometry.calibrated,
        "slice_thickness_mm": geometry.thickness_mm,
        "image_position_mm": geometry.position_mm,
        "image_orientation": geometry.orientation,
        "resolution_bytes": resolutions,
        "warnings": file.warnings,
    })
}

fn window(w: &Window) -> Value {
    json!({"center": w.center, "width": w.width, "function": w.function.name(), "explanation": w.explanation})
}
