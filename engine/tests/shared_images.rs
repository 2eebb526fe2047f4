//! Decoding of the shared test images: lossless codecs give the reference's values, damage gives an error.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests"
)]

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use dataset::{Limits, file};
use engine::ImagingError;
use engine::codec::{self, Fragments, FrameBytes, FrameMap, Samples, StoredPixels, TransferSyntax};
use engine::pixel::{ImageDescription, RenderOptions, render};

fn data() -> Option<PathBuf> {
    let found = match std::env::var_os("GONGYING_TEST_DATA") {
        Some(path) => Some(PathBuf::from(path).join("dicom")).filter(|p| p.is_dir()),
        None => Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .flat_map(|up| [up.join("shared/data/dicom"), up.join("../shared/data/dicom")])
            .find(|path| path.is_dir()),
    };
    if found.is_none() {
        println!("skipped: test data not present");
    }
    found
}

/// Every frame of a file.
fn decode(bytes: &[u8]) -> Result<(ImageDescription, Vec<StoredPixels>), String> {
    let whole = file::read(bytes, Limits::in_memory()).map_err(|e| e.to_string())?;
    let set = &whole.parsed.data_set;
    let image = ImageDescription::from_lookup(&|path, tag| set.raw_at(path, tag).map(Cow::Borrowed))
        .map_err(|e| e.to_string())?;
    let syntax =
        TransferSyntax::from_uid(whole.header.transfer_syntax.as_str()).ok_or("unknown transfer syntax")?;
    let info = whole.parsed.pixel_data.as_ref().ok_or("no pixel data")?;
    let start = whole.header.dataset_offset as u64;
    let part = |offset: u64, length: u64| {
        bytes
            .get(offset as usize..(offset + length) as usize)
            .unwrap_or_default()
    };
    let map = if info.encapsulated {
        let fragments = Fragments {
            fragments: info.fragments.iter().map(|(o, l)| (o + start, *l)).collect(),
            basic_offsets: info.basic_offset_table.clone(),
            extended_offsets: info.extended_offset_table.iter().map(|e| e.0).collect(),
        };
        FrameMap::encapsulated(&image.frame, syntax, fragments, &mut |at| {
            Some(part(at, 16).to_vec())
        })
    } else {
        FrameMap::native(
            &image.frame,
            syntax,
            start + info.offset,
            info.length.unwrap_or(0),
        )
    };
    let frames = |map: FrameMap| -> Result<Vec<StoredPixels>, ImagingError> {
        map.check_complete()?;
        (0..map.frames())
            .map(|k| {
                let place = map.locate(k)?;
                let joined: Vec<u8> = place
                    .ranges
                    .iter()
                    .flat_map(|(o, l)| part(*o, *l))
                    .copied()
                    .collect();
                codec::decode(
                    &image.frame,
                    syntax,
                    FrameBytes {
                        bytes: &joined,
                        skip_bits: place.skip_bits,
                        words: true,
                    },
                )
            })
            .collect()
    };
    let frames = map.and_then(frames).map_err(|e| e.to_string())?;
    Ok((image, frames))
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("readable file")
}

fn samples(path: &Path) -> Samples {
    let (_, frames) = decode(&read(path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    frames.into_iter().next().expect("one frame").data
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("folder")
        .map(|e| e.expect("entry").path())
        .collect();
    found.sort();
    found
}

/// NEMA's compression set: the same pictures in each codec.
#[test]
fn lossless_codecs_equal_the_reference() {
    let Some(root) = data() else { return };
    let wg04 = root.join("wg04");
    let mut checked = 0;
    for codec in ["J2KR", "JLSL", "JPLL", "RLE"] {
        for path in files_of(&wg04.join(codec)) {
            let name = path.file_name().expect("name").to_string_lossy().into_owned();
            let reference = wg04.join("REF").join(name.replace(codec, "UNC"));
            if reference.exists() {
                assert_eq!(samples(&path), samples(&reference), "{name}");
                checked += 1;
            }
        }
    }
    assert!(checked >= 25, "{checked}");
}

#[test]
fn near_lossless_and_lossy_codecs_stay_near_the_reference() {
    let Some(root) = data() else { return };
    let wg04 = root.join("wg04");
    for (codec, share_max) in [("JLSN", 0.01), ("J2KI", 0.03), ("JPLY", 0.03)] {
        for path in files_of(&wg04.join(codec)) {
            let name = path.file_name().expect("name").to_string_lossy().into_owned();
            let reference = wg04.join("REF").join(name.replace(codec, "UNC"));
            // The lossy 12-bit copies of signed pictures are shifted to unsigned values.
            if !reference.exists() || codec == "JPLY" && name.starts_with("MR") {
                continue;
            }
            let (a, b) = (samples(&path), samples(&reference));
            assert_eq!(a.len(), b.len(), "{name}");
            let mean = (0..a.len()).map(|i| (a.value(i) - b.value(i)).abs()).sum::<f64>() / a.len() as f64;
            let (low, high) = (0..b.len())
                .map(|i| b.value(i))
                .fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
            assert!(
                mean < share_max * (high - low),
                "{name}: {mean} of {}",
                high - low
            );
        }
    }
}

#[test]
fn a_signed_wavelet_picture_equals_its_raw_twin() {
    let Some(root) = data() else { return };
    assert_eq!(
        samples(&root.join("pd/MR_small_jp2klossless.dcm")),
        samples(&root.join("pd/MR_small_RLE.dcm"))
    );
}

/// One colour picture in many codings must look the same, whatever their headers say about colour.
#[test]
fn colour_is_understood_in_every_coding() {
    let Some(root) = data() else { return };
    let picture = |name: &str| {
        let (image, frames) =
            decode(&read(&root.join("pd").join(name))).unwrap_or_else(|e| panic!("{name}: {e}"));
        render(&image, &frames[0], &RenderOptions::default()).expect("rendered")
    };
    let reference = picture("SC_rgb_rle.dcm");
    for name in [
        "SC_rgb_rle_32bit.dcm",
        "SC_rgb_dcmtk_+eb+cr.dcm",
        "SC_rgb_dcmtk_+eb+cy+n2.dcm",
        "SC_rgb_dcmtk_+eb+cy+s2.dcm",
        "SC_rgb_dcmtk_+eb+cy+s4.dcm",
        "SC_rgb_jls_lossy_line.dcm",
        "SC_rgb_jpeg_lossy_gdcm.dcm",
    ] {
        let got = picture(name);
        assert_eq!(
            (got.width, got.height, got.channels),
            (reference.width, reference.height, 3),
            "{name}"
        );
        let total: u64 = got
            .data
            .iter()
            .zip(&reference.data)
            .map(|(a, b)| u64::from(a.abs_diff(*b)))
            .sum();
        let mean = total as f64 / got.data.len() as f64;
        assert!(mean < 6.0, "{name}: mean difference {mean}");
    }
}

/// Cut, flipped and overwritten files: an answer or an error, never a panic, never long.
#[test]
fn damage_is_survived() {
    let Some(root) = data() else { return };
    let mut seed = 0x2545_f491u32;
    let mut random = move |n: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        seed as usize % n
    };
    for name in [
        "wg04/JLSL/MR1_JLSL.dcm",
        "wg04/JPLL/MR1_JPLL.dcm",
        "wg04/JPLY/MR1_JPLY.dcm",
        "pd/MR_small_RLE.dcm",
        "pd/MR_small_jp2klossless.dcm",
        "pd/SC_rgb_jls_lossy_line.dcm",
        "pd/liver_1frame.dcm",
        "pdd/HTJ2K_08_RGB.dcm",
        "cs3d/CTImage.dcm_JPEGProcess6_8TransferSyntax_1.2.840.10008.1.2.4.53.dcm",
    ] {
        let good = read(&root.join(name));
        for round in 0..24 {
            let mut bytes = good.clone();
            let n = bytes.len();
            match round % 4 {
                0 => bytes.truncate(random(n)),
                1 => bytes[random(n)] ^= 1 << random(8),
                2 => (0..20).for_each(|_| bytes[n / 2 + random(n / 2)] ^= 1 << random(8)),
                _ => {
                    let at = random(n - 64);
                    bytes[at..at + 64].fill(0xff);
                }
            }
            let _ = decode(&bytes);
        }
    }
}
