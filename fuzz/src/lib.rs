//! What the fuzz targets check: not only that nothing panics, hangs or takes memory, but oracles as well (fed in pieces
//! equals fed whole, read again equals what was written, a second and simpler way gives the same).
//!
//! The files of oracles name only crates of the product, so tests of the normal build include them too and run them
//! on a few hundred inputs each; readers that are private to a crate are included here by their path.

#[path = "../../dicom-gateway/src/dimse/mod.rs"]
#[allow(dead_code)]
mod dimse;
#[path = "../../viewer-web/src/http/parts.rs"]
#[allow(dead_code)]
mod parts;
#[path = "../../dicom-gateway/src/pdu/mod.rs"]
#[allow(dead_code, unused_imports)]
mod pdu;
mod service;

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
        ecg_aecg, ecg_array, ecg_dicom, ecg_edf, ecg_file, ecg_ishne, ecg_mfer, ecg_muse, ecg_scp,
        ecg_sierra, ecg_wfdb,
    };
    pub use crate::ecg_streams::{ecg_holter, ecg_stream};
    pub use crate::multipart::multipart;
    pub use crate::service::find::matching;
    pub use crate::wire::{associate, command, pdu};
}

/// All targets by name, for one executable that is any of them.
pub const ALL: [(&str, fn(&[u8])); 35] = [
    ("associate", targets::associate),
    ("charset", targets::charset),
    ("codec_frames", targets::codec_frames),
    ("codec_htj2k", targets::codec_htj2k),
    ("codec_jpeg", targets::codec_jpeg),
    ("codec_jpeg2000", targets::codec_jpeg2000),
    ("codec_jpeg_lossless", targets::codec_jpeg_lossless),
    ("codec_jpegls", targets::codec_jpegls),
    ("codec_jxl", targets::codec_jxl),
    ("codec_native", targets::codec_native),
    ("codec_parcel", targets::codec_parcel),
    ("codec_rle", targets::codec_rle),
    ("command", targets::command),
    ("critical_rules", targets::critical_rules),
    ("data_set", targets::data_set),
    ("ecg_aecg", targets::ecg_aecg),
    ("ecg_analyze", targets::ecg_analyze),
    ("ecg_array", targets::ecg_array),
    ("ecg_dicom", targets::ecg_dicom),
    ("ecg_edf", targets::ecg_edf),
    ("ecg_file", targets::ecg_file),
    ("ecg_holter", targets::ecg_holter),
    ("ecg_ishne", targets::ecg_ishne),
    ("ecg_mfer", targets::ecg_mfer),
    ("ecg_muse", targets::ecg_muse),
    ("ecg_scp", targets::ecg_scp),
    ("ecg_sierra", targets::ecg_sierra),
    ("ecg_stream", targets::ecg_stream),
    ("ecg_wfdb", targets::ecg_wfdb),
    ("file_header", targets::file_header),
    ("image", targets::image),
    ("json", targets::json),
    ("matching", targets::matching),
    ("multipart", targets::multipart),
    ("pdu", targets::pdu),
];

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
