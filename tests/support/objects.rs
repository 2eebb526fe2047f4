//! Data sets made by hand, byte by byte, so that a test knows every one of them.

pub const CT_IMAGE: &str = "1.2.840.10008.5.1.4.1.1.2";
pub const MULTI_FRAME_TRUE_COLOR: &str = "1.2.840.10008.5.1.4.1.1.7.4";

/// Where an object belongs.
#[derive(Clone, Debug)]
pub struct Place {
    pub study: String,
    pub series: String,
    pub instance: String,
}

impl Place {
    /// A place that no other test uses: `run` and `number` name it.
    pub fn new(run: u64, series: u32, number: u32) -> Place {
        let study = format!("2.25.{run}");
        Place {
            series: format!("{study}.{series}"),
            instance: format!("{study}.{series}.{number}"),
            study,
        }
    }
}

/// A seed that differs from run to run, so that identifiers never meet those of an earlier run.
pub fn fresh_run() -> u64 {
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_nanos() as u64;
    nanos ^ (u64::from(std::process::id()) << 32)
}

/// One explicit little endian element.
pub fn element(group: u16, number: u16, vr: &str, value: &[u8]) -> Vec<u8> {
    let mut value = value.to_vec();
    if value.len() % 2 == 1 {
        value.push(if vr == "UI" || vr == "OB" { 0 } else { b' ' });
    }
    let mut out = long_head(group, number, vr, value.len() as u32);
    out.extend(value);
    out
}

/// Tag, VR and length of an explicit little endian element.
pub fn long_head(group: u16, number: u16, vr: &str, length: u32) -> Vec<u8> {
    let mut out = group.to_le_bytes().to_vec();
    out.extend(number.to_le_bytes());
    out.extend(vr.as_bytes());
    if ["OB", "OW", "UN", "SQ", "UT", "OF", "OD"].contains(&vr) {
        out.extend([0, 0]);
        out.extend(length.to_le_bytes());
    } else {
        out.extend((length as u16).to_le_bytes());
    }
    out
}

/// A sequence of one item, both with their lengths.
pub fn sequence(group: u16, number: u16, content: &[u8]) -> Vec<u8> {
    let mut item = vec![0xFE, 0xFF, 0x00, 0xE0];
    item.extend((content.len() as u32).to_le_bytes());
    item.extend(content);
    element(group, number, "SQ", &item)
}

/// The value of the first element with this tag and a VR of short form, without its padding.
pub fn value<'a>(data_set: &'a [u8], group: u16, number: u16, vr: &str) -> Option<&'a [u8]> {
    let head = &element(group, number, vr, &[])[..6];
    let at = data_set.windows(6).position(|w| w == head)? + 6;
    let length = u16::from_le_bytes([*data_set.get(at)?, *data_set.get(at + 1)?]);
    let value = data_set.get(at + 2..at + 2 + usize::from(length))?;
    Some(
        value
            .trim_ascii_end()
            .strip_suffix(&[0])
            .unwrap_or(value.trim_ascii_end()),
    )
}

/// Everything of an image's data set up to the header of the pixel data.
pub fn image_head(
    class: &str,
    place: &Place,
    rows: u16,
    columns: u16,
    frames: Option<u32>,
    bits: u16,
    pixel_bytes: u32,
) -> Vec<u8> {
    let mut out = Vec::new();
    let mut add = |group, number, vr, value: &[u8]| out.extend(element(group, number, vr, value));
    add(0x0008, 0x0005, "CS", b"ISO_IR 192");
    add(0x0008, 0x0016, "UI", class.as_bytes());
    add(0x0008, 0x0018, "UI", place.instance.as_bytes());
    add(0x0008, 0x0020, "DA", b"20261101");
    add(0x0008, 0x0030, "TM", b"101500");
    add(0x0008, 0x0050, "SH", b"");
    add(0x0008, 0x0060, "CS", b"CT");
    add(0x0008, 0x0090, "PN", b"");
    add(0x0010, 0x0010, "PN", "测试^对象".as_bytes());
    add(0x0010, 0x0020, "LO", format!("T{}", place.study.len()).as_bytes());
    add(0x0010, 0x0030, "DA", b"19600101");
    add(0x0010, 0x0040, "CS", b"O");
    add(0x0020, 0x000D, "UI", place.study.as_bytes());
    add(0x0020, 0x000E, "UI", place.series.as_bytes());
    add(0x0020, 0x0010, "SH", b"1");
    add(0x0020, 0x0011, "IS", b"1");
    add(0x0020, 0x0013, "IS", b"1");
    add(0x0028, 0x0002, "US", &1_u16.to_le_bytes());
    add(0x0028, 0x0004, "CS", b"MONOCHROME2");
    if let Some(frames) = frames {
        add(0x0028, 0x0008, "IS", frames.to_string().as_bytes());
    }
    add(0x0028, 0x0010, "US", &rows.to_le_bytes());
    add(0x0028, 0x0011, "US", &columns.to_le_bytes());
    add(0x0028, 0x0100, "US", &bits.to_le_bytes());
    add(0x0028, 0x0101, "US", &bits.to_le_bytes());
    add(0x0028, 0x0102, "US", &(bits - 1).to_le_bytes());
    add(0x0028, 0x0103, "US", &0_u16.to_le_bytes());
    out.extend(long_head(0x7FE0, 0x0010, "OW", pixel_bytes));
    out
}

/// A whole small CT slice; every seed gives other pixels.
pub fn ct_slice(place: &Place, side: u16, seed: u64) -> Vec<u8> {
    let pixels = usize::from(side) * usize::from(side);
    let mut out = image_head(CT_IMAGE, place, side, side, None, 16, pixels as u32 * 2);
    let mut state = seed | 1;
    for _ in 0..pixels {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        out.extend(((state >> 33) as u16 & 0x0FFF).to_le_bytes());
    }
    out
}
