//! Small objects made here, with known pixels.

use fixtures::dicom::{Elements, TransferSyntax, tags};
use fixtures::ecg::EcgRhythm;
use fixtures::{Charset, DicomFile, Seed};

/// Rows and columns of the CT slices.
pub const ROWS: u16 = 48;
pub const COLUMNS: u16 = 64;
/// Frames of the cine loop.
pub const FRAMES: usize = 5;

/// One object as it was sent.
#[derive(Clone, Debug)]
pub struct Object {
    pub bytes: Vec<u8>,
    pub study_uid: String,
    pub series_uid: String,
    pub sop_instance_uid: String,
    /// Value of Pixel Data.
    pub pixels: Vec<u8>,
}

impl Object {
    pub fn study_path(&self) -> String {
        format!("/dicomweb/studies/{}", self.study_uid)
    }

    pub fn series_path(&self) -> String {
        format!("{}/series/{}", self.study_path(), self.series_uid)
    }

    pub fn path(&self) -> String {
        format!("{}/instances/{}", self.series_path(), self.sop_instance_uid)
    }

    /// Every address that gives something of the object.
    pub fn paths(&self) -> Vec<String> {
        let (study, series, instance) = (self.study_path(), self.series_path(), self.path());
        let mut paths = vec![study.clone(), series.clone(), instance.clone()];
        for base in [&study, &series, &instance] {
            paths.extend(["metadata", "rendered", "thumbnail"].map(|kind| format!("{base}/{kind}")));
        }
        paths.extend(
            [
                "frames/1",
                "frames/1/rendered",
                "frames/1/thumbnail",
                "bulkdata/00991001",
            ]
            .map(|kind| format!("{instance}/{kind}")),
        );
        paths
    }
}

/// Six CT slices in disorder and a colour cine loop, one study of a patient with a Chinese name in GB18030.
pub fn study(root: &str) -> Vec<Object> {
    let mut objects: Vec<Object> = [3, 0, 5, 1, 4, 2]
        .into_iter()
        .map(|k| ct_slice(root, k))
        .collect();
    objects.push(cine(root));
    objects
}

fn common(root: &str, modality: &str, series: u32, number: i64) -> Elements {
    let mut e = Elements::new(Charset::Gb18030);
    e.text(tags::SPECIFIC_CHARACTER_SET, "GB18030")
        .text(tags::STUDY_DATE, "20251103")
        .text(tags::STUDY_TIME, "101112")
        .text(tags::ACCESSION_NUMBER, &format!("A{}", root.replace('.', "")))
        .text(tags::MODALITY, modality)
        .text(tags::REFERRING_PHYSICIAN_NAME, "赵^医生")
        .text(tags::STUDY_DESCRIPTION, "胸部 Probe")
        .text(tags::SERIES_DESCRIPTION, "薄层 1.0")
        .text(tags::PATIENT_NAME, "欧阳^建国")
        .text(tags::PATIENT_ID, &format!("P{}", root.replace('.', "")))
        .text(tags::PATIENT_BIRTH_DATE, "19610307")
        .text(tags::PATIENT_SEX, "F")
        .text(tags::STUDY_INSTANCE_UID, root)
        .text(tags::SERIES_INSTANCE_UID, &format!("{root}.{series}"))
        .text(tags::STUDY_ID, "7")
        .integer(tags::SERIES_NUMBER, &[i64::from(series)])
        .integer(tags::INSTANCE_NUMBER, &[number]);
    e
}

/// Slice `k` of six, 2.5 mm apart.
pub fn ct_slice(root: &str, k: u32) -> Object {
    let values: Vec<i16> = (0..ROWS)
        .flat_map(|y| {
            (0..COLUMNS).map(move |x| (i32::from(x) * 20 + i32::from(y) * 10 + k as i32 * 50) as i16)
        })
        .collect();
    let mut e = common(root, "CT", 2, i64::from(6 - k));
    e.text(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\AXIAL")
        .decimal(tags::IMAGE_POSITION_PATIENT, &[-24.0, -18.0, 2.5 * f64::from(k)])
        .decimal(tags::IMAGE_ORIENTATION_PATIENT, &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
        .text(tags::FRAME_OF_REFERENCE_UID, &format!("{root}.9"))
        .decimal(tags::PIXEL_SPACING, &[0.75, 0.75])
        .us(tags::SAMPLES_PER_PIXEL, &[1])
        .text(tags::PHOTOMETRIC_INTERPRETATION, "MONOCHROME2")
        .us(tags::ROWS, &[ROWS])
        .us(tags::COLUMNS, &[COLUMNS])
        .us(tags::BITS_ALLOCATED, &[16])
        .us(tags::BITS_STORED, &[16])
        .us(tags::HIGH_BIT, &[15])
        .us(tags::PIXEL_REPRESENTATION, &[1])
        .decimal(tags::WINDOW_CENTER, &[40.0])
        .decimal(tags::WINDOW_WIDTH, &[400.0])
        .decimal(tags::RESCALE_INTERCEPT, &[-1024.0])
        .decimal(tags::RESCALE_SLOPE, &[1.0])
        .text(tags::RESCALE_TYPE, "HU")
        .bytes(
            dicom_core::Tag(0x0099, 0x0010),
            dicom_core::VR::LO,
            b"GY TEST BULK".to_vec(),
        )
        .bytes(dicom_core::Tag(0x0099, 0x1001), dicom_core::VR::OB, bulk(k))
        .words(tags::PIXEL_DATA, &values);
    let pixels = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    object(root, 2, k, "1.2.840.10008.5.1.4.1.1.2", e, pixels)
}

/// The private value of slice `k`: too large to stand in metadata.
pub fn bulk(k: u32) -> Vec<u8> {
    (0..5000u32).map(|i| (i.wrapping_mul(31) ^ k) as u8).collect()
}

/// A colour loop of five frames.
pub fn cine(root: &str) -> Object {
    let length = usize::from(ROWS) * usize::from(COLUMNS) * 3;
    let pixels: Vec<u8> = (0..length * FRAMES)
        .map(|i| ((i * 7) ^ (i / length * 40)) as u8)
        .collect();
    let mut e = common(root, "US", 3, 1);
    e.us(tags::SAMPLES_PER_PIXEL, &[3])
        .text(tags::PHOTOMETRIC_INTERPRETATION, "RGB")
        .us(tags::PLANAR_CONFIGURATION, &[0])
        .integer(tags::NUMBER_OF_FRAMES, &[FRAMES as i64])
        .us(tags::ROWS, &[ROWS])
        .us(tags::COLUMNS, &[COLUMNS])
        .us(tags::BITS_ALLOCATED, &[8])
        .us(tags::BITS_STORED, &[8])
        .us(tags::HIGH_BIT, &[7])
        .us(tags::PIXEL_REPRESENTATION, &[0])
        .bytes(tags::PIXEL_DATA, dicom_core::VR::OB, pixels.clone());
    object(root, 3, 0, "1.2.840.10008.5.1.4.1.1.3.1", e, pixels)
}

/// Two frames of three by three pixels, from which nothing is left out.
pub fn two_frames(root: &str, samples: u16, planar: u16, bits: u16, vr: dicom_core::VR) -> Object {
    let length = 2 * 9 * usize::from(samples) * usize::from(bits / 8);
    let pixels: Vec<u8> = (0..length).map(|i| (i * 37 + 5) as u8).collect();
    let mut e = common(root, "US", 3, 1);
    e.us(tags::SAMPLES_PER_PIXEL, &[samples])
        .text(
            tags::PHOTOMETRIC_INTERPRETATION,
            if samples == 3 { "RGB" } else { "MONOCHROME2" },
        )
        .us(tags::PLANAR_CONFIGURATION, &[planar])
        .integer(tags::NUMBER_OF_FRAMES, &[2])
        .us(tags::ROWS, &[3])
        .us(tags::COLUMNS, &[3])
        .us(tags::BITS_ALLOCATED, &[bits])
        .us(tags::BITS_STORED, &[bits])
        .us(tags::HIGH_BIT, &[bits - 1])
        .us(tags::PIXEL_REPRESENTATION, &[0])
        .bytes(tags::PIXEL_DATA, vr, pixels.clone());
    object(root, 3, 0, "1.2.840.10008.5.1.4.1.1.3.1", e, pixels)
}

/// The same object in Explicit VR Big Endian; it has no sequences.
pub fn big_endian(object: &Object) -> Object {
    let from = dataset::file::read_header(&object.bytes).unwrap().dataset_offset;
    let (meta, set) = object.bytes.split_at(from);
    let syntax = b"1.2.840.10008.1.2.1\0";
    let at = meta.windows(syntax.len()).position(|w| w == syntax).unwrap();
    let mut bytes = meta.to_vec();
    bytes[at + syntax.len() - 2] = b'2';
    let mut rest = set;
    while let [group, group_high, element, element_high, a, b, ..] = *rest {
        bytes.extend([group_high, group, element_high, element, a, b]);
        let unit = match &[a, b] {
            b"US" | b"SS" | b"OW" => 2,
            b"UL" | b"SL" | b"FL" | b"OF" => 4,
            b"FD" | b"OD" => 8,
            _ => 1,
        };
        let long = matches!(
            &[a, b],
            b"OB" | b"OW" | b"OF" | b"OD" | b"UN" | b"UT" | b"UC" | b"UR"
        );
        let length = if long {
            bytes.extend([0, 0, rest[11], rest[10], rest[9], rest[8]]);
            u32::from_le_bytes(*rest[8..].first_chunk().unwrap()) as usize
        } else {
            bytes.extend([rest[7], rest[6]]);
            usize::from(u16::from_le_bytes([rest[6], rest[7]]))
        };
        let value;
        (value, rest) = rest[if long { 12 } else { 8 }..].split_at(length);
        bytes.extend(value.chunks(unit).flat_map(|one| one.iter().rev()));
    }
    Object {
        bytes,
        ..object.clone()
    }
}

fn object(root: &str, series: u32, k: u32, class: &str, elements: Elements, pixels: Vec<u8>) -> Object {
    let sop_instance_uid = format!("{root}.{series}.{}", k + 1);
    let file = DicomFile::write(
        format!("{series}-{k}.dcm"),
        class,
        sop_instance_uid.clone(),
        TransferSyntax::ExplicitLittleEndian,
        elements,
    );
    Object {
        bytes: file.bytes,
        study_uid: root.to_owned(),
        series_uid: format!("{root}.{series}"),
        sop_instance_uid,
        pixels,
    }
}

/// A 12-lead ECG of ten seconds in sinus rhythm.
pub fn ecg(seed: u64) -> Object {
    let now = time::macros::datetime!(2025-11-03 10:11:12);
    let study = fixtures::demo::studies(Seed::new(seed), now).swap_remove(0);
    let (file, _) = fixtures::ecg::twelve_lead(&study.context, EcgRhythm::Sinus);
    let parsed = dataset::file::read(&file.bytes, dataset::Limits::in_memory())
        .unwrap()
        .parsed
        .data_set;
    let uid = |tag| parsed.text(tag).unwrap();
    Object {
        study_uid: uid(tags::STUDY_INSTANCE_UID),
        series_uid: uid(tags::SERIES_INSTANCE_UID),
        sop_instance_uid: file.sop_instance_uid,
        bytes: file.bytes,
        pixels: Vec::new(),
    }
}
