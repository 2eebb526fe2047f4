//! What the fuzz targets check: not only that nothing panics, hangs or takes memory, but oracles as well (fed in pieces
//! equals fed whole, read again equals what was written, a second and simpler way gives the same).
//!
//! The files of oracles name only crates of the product, so tests of the normal build include them too and run them
//! on a few hundred inputs each; readers that are private to a crate are included here by their path.

#[path = "../../dicom-gateway/src/dimse/mod.rs"]
#[allow(dead_code)]
mod dimse;
#[path = "../../dicom-gateway/src/pdu/mod.rs"]
#[allow(dead_code, unused_imports)]
mod pdu;
mod service;
#[path = "../../viewer-web/src/http/parts.rs"]
#[allow(dead_code)]
mod parts;

mod codecs;
mod data_sets;
mod ecg;
mod ecg_files;
mod ecg_seeds;
mod ecg_streams;
mod lossless;
mod multipart;
mod wire;

/// One function for each target.
pub mod targets {
    pub use crate::codecs::{
        codec_frames, codec_htj2k, codec_jpeg, codec_jpeg_lossless, codec_jpeg2000, codec_jpegls, codec_jxl,
        codec_native, codec_parcel, codec_rle, image,
    };
    pub use crate::data_sets::{charset, data_set, file_header, json};
    pub use crate::ecg::{critical_rules, ecg_analyze};
    pub use crate::ecg_files::{
        ecg_aecg, ecg_array, ecg_dicom, ecg_edf, ecg_file, ecg_ishne, ecg_mfer, ecg_muse, ecg_scp, ecg_sierra,
        ecg_wfdb,
    };
    pub use crate::ecg_streams::{ecg_holter, ecg_stream};
    pub use crate::multipart::multipart;
    pub use crate::service::find::matching;
    pub use crate::wire::{associate, command, pdu};
}

/// Sound inputs, the name of the target with each.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    [
        codecs::seeds(),
        data_sets::seeds(),
        ecg::seeds(),
        ecg_files::seeds(),
        multipart::seeds(),
        service::find::seeds(),
        wire::seeds(),
    ]
    .concat()
}

/// Panics in these crates are no findings: the engine catches them and refuses the frame. libFuzzer's hook would end the
/// process before.
pub fn let_pass_panics_of(crates: &'static [&'static str]) {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let file = panic.location().map_or("", std::panic::Location::file);
        if !crates.iter().any(|name| file.contains(&format!("/{name}"))) {
            hook(panic);
        }
    }));
}
