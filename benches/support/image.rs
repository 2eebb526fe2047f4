//! Pictures to work on: synthetic ones of fixed seed, and real ones where they are present.

use dataset::{DataSet, Limits};
use engine::codec::{self, Fragments, FrameMap, StoredPixels, TransferSyntax, htj2k, jpegls, rle};
use engine::pixel::ImageDescription;
use fixtures::ct::{self, CtOptions};
use fixtures::dx::{self, DxOptions};
use fixtures::study::{Charset, Equipment, OrderInfo, Patient, Priority, Sex, StudyContext};
use fixtures::{DicomFile, Seed};
use std::borrow::Cow;
use time::{Date, Month, PrimitiveDateTime, Time};

/// One frame as it stands in a file, and what the file says about it.
pub struct Image {
    pub description: ImageDescription,
    pub syntax: TransferSyntax,
    pub frame: Vec<u8>,
}

impl Image {
    /// The first frame of a Part 10 file.
    pub fn read(file: &[u8]) -> Image {
        let header = dataset::file::read_header(file).unwrap();
        let body = &file[header.dataset_offset..];
        let parsed = dataset::stream::parse(body, &header.transfer_syntax, Limits::in_memory()).unwrap();
        let info = parsed.pixel_data.expect("pixel data");
        let syntax = TransferSyntax::from_uid(header.transfer_syntax.as_str()).expect("an image syntax");
        let description = describe(&parsed.data_set);
        let map = if info.encapsulated {
            let parts = Fragments {
                fragments: info.fragments.clone(),
                basic_offsets: info.basic_offset_table.clone(),
                extended_offsets: info.extended_offset_table.iter().map(|e| e.0).collect(),
            };
            let mut peek = |at: u64| body.get(at as usize..at as usize + 16).map(<[u8]>::to_vec);
            FrameMap::encapsulated(&description.frame, syntax, parts, &mut peek)
        } else {
            FrameMap::native(&description.frame, syntax, info.offset, info.length.unwrap())
        };
        let place = map.unwrap().locate(0).unwrap();
        let ranges = place.ranges.iter();
        let frame = ranges.flat_map(|(at, length)| &body[*at as usize..(*at + *length) as usize]);
        Image {
            frame: frame.copied().collect(),
            description,
            syntax,
        }
    }

    pub fn decode(&self) -> StoredPixels {
        codec::decode(&self.description.frame, self.syntax, self.frame.as_slice().into()).unwrap()
    }

    /// The same picture in a syntax that this program writes.
    pub fn encoded(&self, syntax: TransferSyntax) -> Image {
        let (shape, pixels) = (&self.description.frame, self.decode());
        let frame = match syntax {
            TransferSyntax::RLE => rle::encode(shape, &pixels.data).unwrap(),
            TransferSyntax::JPEG_LS_LOSSLESS => jpegls::encode(shape, &pixels.data).unwrap(),
            TransferSyntax::HTJ2K_LOSSLESS_RPCL => htj2k::encode(shape, &pixels.data).unwrap().stream,
            _ => pixels.data.to_le_bytes(),
        };
        Image {
            description: self.description.clone(),
            syntax,
            frame,
        }
    }

    /// Bytes of the decoded frame.
    pub fn decoded_bytes(&self) -> usize {
        let shape = &self.description.frame;
        shape.pixels() * usize::from(shape.samples_per_pixel) * usize::from(shape.bits_allocated) / 8
    }

    pub fn samples(&self) -> usize {
        let shape = &self.description.frame;
        shape.pixels() * usize::from(shape.samples_per_pixel)
    }
}

fn describe(data_set: &DataSet) -> ImageDescription {
    let lookup = |path: &[(u32, usize)], tag: u32| data_set.raw_at(path, tag).map(Cow::Borrowed);
    ImageDescription::from_lookup(&lookup).unwrap()
}

/// A study of a synthetic patient; `number` makes it another one.
pub fn study(number: u64) -> StudyContext {
    let born = Date::from_calendar_date(1957, Month::March, 4).unwrap();
    let made = Date::from_calendar_date(2026, Month::November, 1).unwrap();
    StudyContext::new(
        Seed::new(20_261_121).nth(number),
        Patient::new(
            "王^秀英",
            "Wang^Xiuying",
            "HX0001",
            Sex::Female,
            born,
            211,
            Charset::Gb18030,
        ),
        OrderInfo {
            item_code: "CT-CHEST".into(),
            item_name: "胸部CT平扫".into(),
            body_part: "CHEST".into(),
            priority: Priority::Routine,
            clinical_history: "咳嗽".into(),
        },
        Equipment {
            ae_title: "HEXI_CT".into(),
            institution_name: "河西镇卫生院".into(),
            manufacturer: "Fixtures".into(),
            model: "Synthetic".into(),
        },
        PrimitiveDateTime::new(made, Time::from_hms(9, 30, 0).unwrap()),
    )
}

/// A CT slice of 512 x 512, 16 bits allocated, as a file.
pub fn ct_file() -> DicomFile {
    let options = CtOptions {
        slices: 1,
        lowest_z_mm: 150.0,
        ..CtOptions::default()
    };
    ct::thorax(&study(1), options).next().unwrap()
}

/// That slice.
pub fn ct() -> Image {
    Image::read(&ct_file().bytes)
}

/// A chest radiograph of 2500 x 3000, 12 of 16 bits.
pub fn dx() -> Image {
    Image::read(&dx::chest(&study(2), DxOptions::default()).bytes)
}

/// The real CT slice that the standard's working group 4 published in every compression, where it is present.
pub fn wg04_ct(folder: &str) -> Option<Image> {
    let name = if folder == "REF" { "UNC" } else { folder };
    super::test_data(&format!("dicom/wg04/{folder}/CT1_{name}.dcm")).map(|file| Image::read(&file))
}
