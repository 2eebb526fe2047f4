//! The oracles of the fuzz targets on damaged image streams and recordings.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "oracles of tests"
)]

#[path = "../../fuzz/src/codecs.rs"]
mod codecs;
#[path = "../../fuzz/src/damage.rs"]
mod damage;
#[path = "../../fuzz/src/ecg.rs"]
mod ecg;
#[path = "../../fuzz/src/ecg_files.rs"]
mod ecg_files;
#[path = "../../fuzz/src/ecg_seeds/mod.rs"]
mod ecg_seeds;
#[path = "../../fuzz/src/ecg_streams.rs"]
mod ecg_streams;
#[path = "../../fuzz/src/lossless.rs"]
mod lossless;

use proptest::prelude::*;
use std::sync::LazyLock;

static SEEDS: LazyLock<Vec<(&str, Vec<u8>)>> =
    LazyLock::new(|| [codecs::seeds(), ecg::seeds(), ecg_files::seeds()].concat());

fn run(target: &str, bytes: &[u8]) {
    match target {
        "codec_frames" => codecs::codec_frames(bytes),
        "codec_htj2k" => codecs::codec_htj2k(bytes),
        "codec_jpeg_lossless" => codecs::codec_jpeg_lossless(bytes),
        "codec_parcel" => codecs::codec_parcel(bytes),
        "codec_jpeg" => codecs::codec_jpeg(bytes),
        "codec_jpegls" => codecs::codec_jpegls(bytes),
        "codec_jpeg2000" => codecs::codec_jpeg2000(bytes),
        "codec_jxl" => codecs::codec_jxl(bytes),
        "codec_rle" => codecs::codec_rle(bytes),
        "codec_native" => codecs::codec_native(bytes),
        "image" => codecs::image(bytes),
        "ecg_aecg" => ecg_files::ecg_aecg(bytes),
        "ecg_array" => ecg_files::ecg_array(bytes),
        "ecg_dicom" => ecg_files::ecg_dicom(bytes),
        "ecg_edf" => ecg_files::ecg_edf(bytes),
        "ecg_file" => ecg_files::ecg_file(bytes),
        "ecg_ishne" => ecg_files::ecg_ishne(bytes),
        "ecg_mfer" => ecg_files::ecg_mfer(bytes),
        "ecg_muse" => ecg_files::ecg_muse(bytes),
        "ecg_scp" => ecg_files::ecg_scp(bytes),
        "ecg_sierra" => ecg_files::ecg_sierra(bytes),
        "ecg_wfdb" => ecg_files::ecg_wfdb(bytes),
        "ecg_stream" => ecg_streams::ecg_stream(bytes),
        "ecg_holter" => ecg_streams::ecg_holter(bytes),
        "critical_rules" => ecg::critical_rules(bytes),
        "ecg_analyze" => ecg::ecg_analyze(bytes),
        other => panic!("no target {other}"),
    }
}

#[test]
fn sound_inputs_pass() {
    SEEDS.iter().for_each(|(target, bytes)| run(target, bytes));
}

proptest! {
    #[test]
    fn damaged_inputs_break_no_promise((target, bytes) in damage::damaged(&SEEDS)) {
        run(target, &bytes);
    }
}
