//! Writes the inputs from which the targets start: `cargo run --no-default-features --example seeds -- corpus [DICOM_DIR]`.
//! Everything is synthetic but for the streams that are cut out of the DICOM files of `DICOM_DIR`, if it is given.

use dataset::{Encoding, Limits, Value, Vr, file, tags, write};
use engine::codec::{Compression, TransferSyntax};
use fixtures::Seed;
use fixtures::ecg::{EcgRhythm, synthesise, twelve_lead};
use std::path::{Path, PathBuf};

/// Longer inputs make a run slow.
const SEED_BYTES_MAX: usize = 48 << 10;

struct Corpus {
    folder: PathBuf,
    count: usize,
}

impl Corpus {
    fn put(&mut self, target: &str, bytes: &[u8]) {
        if bytes.len() > SEED_BYTES_MAX {
            return;
        }
        let folder = self.folder.join(target);
        self.count += 1;
        let path = folder.join(format!("seed-{:04}", self.count));
        std::fs::create_dir_all(&folder).expect("a folder for the corpus");
        std::fs::write(path, bytes).expect("a place for the seed");
    }
}

fn main() {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let folder = arguments.next().expect("the folder of the corpus");
    let mut corpus = Corpus { folder, count: 0 };
    for (target, bytes) in gongying_fuzz::seeds() {
        corpus.put(target, &bytes);
    }
    for bad in fixtures::bad::all(Seed::new(3)) {
        whole_file(&mut corpus, &bad.bytes);
    }
    recordings(&mut corpus);
    if let Some(folder) = arguments.next() {
        let mut pending = vec![folder];
        while let Some(folder) = pending.pop() {
            for path in std::fs::read_dir(&folder)
                .into_iter()
                .flatten()
                .flatten()
                .map(|e| e.path())
            {
                if path.is_dir() {
                    pending.push(path);
                } else {
                    real_file(&mut corpus, &path);
                }
            }
        }
    }
    println!("{} seeds", corpus.count);
}

/// A file for the readers of files, its data set for the readers of data sets.
fn whole_file(corpus: &mut Corpus, bytes: &[u8]) {
    corpus.put("file_header", &[&[128][..], bytes].concat());
    let Ok(header) = file::read_header(bytes) else {
        return;
    };
    let kind = match header.transfer_syntax.kind() {
        Encoding::ExplicitLe => 0,
        Encoding::ImplicitLe => 1,
        Encoding::ExplicitBe => 2,
        Encoding::Deflated => 3,
        Encoding::Encapsulated => 4,
    };
    let data_set = &bytes[header.dataset_offset..];
    corpus.put("data_set", &[&[kind, 11][..], data_set].concat());
    if kind == 0 {
        corpus.put("image", data_set);
    }
}

/// Twelve leads, as a DICOM file of a hundred samples and as plain samples.
fn recordings(corpus: &mut Corpus) {
    let context = fixtures::demo::studies(Seed::new(5), noon())
        .into_iter()
        .find(|study| study.device.ae_title == "HEXI_ECG")
        .expect("the community has an ECG device")
        .context;
    let (made, _) = twelve_lead(&context, EcgRhythm::Sinus);
    let parsed = file::read(&made.bytes, Limits::in_memory())
        .expect("a sound file")
        .parsed;
    let mut set = parsed.data_set;
    let groups = set
        .get(tags::WAVEFORM_SEQUENCE)
        .map(|element| element.value.clone());
    if let Some(Value::Items(items)) = groups {
        let mut items = items.into_items();
        for item in &mut items {
            let data = item.raw(tags::WAVEFORM_DATA).unwrap_or_default().to_vec();
            item.put_u32(tags::NUMBER_OF_WAVEFORM_SAMPLES, 100);
            item.put_bytes(tags::WAVEFORM_DATA, Vr::OW, data[..100 * 24].to_vec());
        }
        set.put_sequence(tags::WAVEFORM_SEQUENCE, items);
    }
    let data_set = write::encode(&set, Encoding::ExplicitLe).expect("a sound data set");
    let head = &made.bytes[..made.data_set_offset];
    corpus.put("ecg_dicom", &[head, &data_set].concat());
    for rhythm in EcgRhythm::ALL {
        let made = synthesise(rhythm, 100.0, 10.0, Seed::new(9));
        let lead = &made.leads_uv[1];
        let samples: Vec<u8> = lead
            .iter()
            .flat_map(|v| ((*v / 5.0) as i16).to_le_bytes())
            .collect();
        corpus.put("ecg_analyze", &[&[0, 1, 1][..], &samples].concat());
    }
}

fn noon() -> time::PrimitiveDateTime {
    let day = time::Date::from_ordinal_date(2026, 60).expect("a day");
    time::PrimitiveDateTime::new(day, time::Time::MIDNIGHT)
}

/// The first fragment of compressed pixel data.
fn real_file(corpus: &mut Corpus, path: &Path) {
    let Ok(bytes) = std::fs::read(path) else {
        return;
    };
    whole_file(corpus, &bytes);
    let Ok(read) = file::read(&bytes, Limits::in_memory()) else {
        return;
    };
    let syntax = TransferSyntax::from_uid(read.header.transfer_syntax.as_str());
    let target = match syntax.and_then(TransferSyntax::compression) {
        Some(Compression::Jpeg) => "codec_jpeg",
        Some(Compression::JpegLossless) => "codec_jpeg_lossless",
        Some(Compression::JpegLs) => "codec_jpegls",
        Some(Compression::Jpeg2000) if read.header.transfer_syntax.as_str().contains(".4.20") => {
            "codec_htj2k"
        }
        Some(Compression::Jpeg2000) => "codec_jpeg2000",
        Some(Compression::JpegXl) => "codec_jxl",
        _ => return,
    };
    let fragments = read
        .parsed
        .pixel_data
        .map(|info| info.fragments)
        .unwrap_or_default();
    if let Some((offset, length)) = fragments.first() {
        let start = read.header.dataset_offset + *offset as usize;
        let stream = &bytes[start..(start + *length as usize).min(bytes.len())];
        corpus.put(target, &[&[0][..], stream].concat());
    }
}
