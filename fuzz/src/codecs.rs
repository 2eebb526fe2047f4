//! Decoders of image frames: a frame of exactly the promised shape, or an error.

use engine::codec::parcel::{self, Region};
use engine::codec::{
    self, Compression, Fragments, FrameBytes, FrameDescription, FrameMap, Photometric, PixelElement,
    StoredPixels, TransferSyntax,
};
use engine::pixel::{self, Format, ImageDescription, Overlay, Picture, Presentation, RenderOptions};
use std::borrow::Cow;

/// Sound inputs to start from: target and bytes. Streams of compressions that the product only reads come from real
/// files (see the example `seeds`).
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let mut seeds = Vec::new();
    for (samples, bits) in [(1_u16, 8_u16), (3, 8), (1, 12), (1, 16)] {
        let frame = frame(12, 9, samples, bits, false);
        let count = 12 * 9 * usize::from(samples);
        let data = if bits > 8 {
            codec::Samples::U16((0..count).map(|i| (i * i % (1 << bits)) as u16).collect())
        } else {
            codec::Samples::U8((0..count).map(|i| (i * i) as u8).collect())
        };
        let ls = codec::jpegls::encode(&frame, &data).expect("sound samples can be encoded");
        let rle = codec::rle::encode(&frame, &data).expect("sound samples can be encoded");
        let shape = |bits: u8, stored: u8| [11, 8, u8::from(samples == 3), bits, stored, stored - 1, 0];
        let shape = if bits > 8 {
            shape(2, bits as u8)
        } else {
            shape(1, 8)
        };
        let ht = codec::htj2k::encode(&frame, &data).expect("sound samples can be encoded");
        seeds.push(("codec_htj2k", [&[0][..], &ht.stream].concat()));
        if samples == 1 {
            let words: Vec<u16> = (0..count as u16)
                .map(|i| i.wrapping_mul(i) & (1 << (bits - 1)))
                .collect();
            for predictor in 1..8 {
                let stream = super::lossless::encode(&words, 9, bits as u8, predictor, 0);
                seeds.push(("codec_jpeg_lossless", [&[0][..], &stream].concat()));
            }
        }
        seeds.push(("codec_jpegls", [&[0][..], &ls].concat()));
        seeds.push(("codec_rle", [&shape[..], &rle].concat()));
        seeds.push(("codec_native", [&shape[..], &data.to_le_bytes()].concat()));
    }
    for channels in [1, 3] {
        let picture = Picture {
            width: 24,
            height: 17,
            channels,
            data: (0..24 * 17 * usize::from(channels))
                .map(|i| (i * 5) as u8)
                .collect(),
        };
        let jpeg = pixel::encode(&picture, Format::Jpeg, 80).expect("a sound picture");
        seeds.push(("codec_jpeg", [&[0][..], &jpeg].concat()));
    }
    for stream in JPEG_2000 {
        seeds.push(("codec_jpeg2000", [&[0][..], stream].concat()));
    }
    for hex in JPEG_XL {
        let digits = hex.as_bytes().chunks_exact(2);
        let byte = |pair: &[u8]| u8::from_str_radix(&String::from_utf8_lossy(pair), 16).expect("two digits");
        let stream: Vec<u8> = digits.map(byte).collect();
        seeds.push(("codec_jxl", [&[0][..], &stream].concat()));
    }
    seeds.push(("image", painted()));
    seeds.push((
        "codec_frames",
        [&[3, 1, 2, 0, 4, 5, 0, 9][..], &[0, 0, 0, 0, 20, 0, 40, 0]].concat(),
    ));
    seeds.extend(parcels());
    seeds
}

/// Streams of formulas by OpenJPEG, from the engine's tests.
const JPEG_2000: [&[u8]; 3] = [
    include_bytes!("../../engine/tests/j2k/grey12.j2k"),
    include_bytes!("../../engine/tests/j2k/rgb8.j2k"),
    include_bytes!("../../engine/tests/j2k/signed16.j2k"),
];

/// Streams of formulas by libjxl: grey of 16 bits in a container, colour.
const JPEG_XL: [&str; 2] = [
    "0000000c4a584c200d0a870a00000014667479706a786c20000000006a786c20000000096a786c6c0a000000506a786c63ff0a2840fc00458b08040100e8004b386918cadb0d141424c556b50c60ac9e04411004411086160441100441185a10044110046168411004411084a185fbaeaa5f68684110044100",
    "ff0a284010090804010080034b3840f5323d3e12b73f29289825a2c0d50a6328c44a3146150b14638c548c31c6c618a32031222cd84a162e1035c063e80dc07fb68e6a33d150d59b91aaaa1a6a8196aa8623686ca8aa5268211b16c1d90cde0e5d4ff885ee3815b49f27dc34524f47f37415b4f6e25831f695a8cfc884aa1ade8b61897534ec6703cf9df0821b12d2ea8002d479f787858945842461dda743e860dcc882d1098103a144a554e972a04ac58f503aff0b55fab93f0fe4408ecf798403c245ffc13b9083dc1f3990e30c280f08c6a76afa1efc530a0f06cd1d0d903f80c47734c33b274108a036",
];

/// Files of a line of samples, a picture and words, packed.
fn parcels() -> Vec<(&'static str, Vec<u8>)> {
    let file: Vec<u8> = (0..900_u32).map(|i| (i / 7 % 90) as u8).collect();
    let region = |offset, rows, columns, channels, sample_bytes| Region {
        offset,
        rows,
        columns,
        channels,
        sample_bytes,
        signed: sample_bytes == 2,
    };
    let divisions = [
        vec![],
        vec![region(100, 10, 20, 1, 2)],
        vec![region(0, 1, 50, 3, 2), region(400, 20, 20, 1, 1)],
    ];
    let packed = divisions
        .iter()
        .filter_map(|regions| parcel::pack(&file, regions));
    packed.map(|bytes| ("codec_parcel", bytes)).collect()
}

/// An image with everything that the display knows: palette, tables, windows, overlay.
fn painted() -> Vec<u8> {
    use dataset::{CharacterSets, DataSet, Encoding, Vr, tags, write};
    let mut set = DataSet::with_charset(CharacterSets::utf8());
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::ROWS, 6),
        (tags::COLUMNS, 5),
        (tags::BITS_ALLOCATED, 16),
        (tags::BITS_STORED, 12),
        (tags::HIGH_BIT, 11),
        (tags::PIXEL_REPRESENTATION, 0),
        (dataset::Tag(0x6000, 0x0010), 6),
        (dataset::Tag(0x6000, 0x0011), 5),
        (dataset::Tag(0x6000, 0x0100), 1),
    ] {
        set.put_u16(tag, value);
    }
    set.put_text(tags::PHOTOMETRIC_INTERPRETATION, Vr::CS, "MONOCHROME2");
    set.put_text(tags::WINDOW_CENTER, Vr::DS, "40\\400");
    set.put_text(tags::WINDOW_WIDTH, Vr::DS, "80\\1");
    set.put_text(tags::RESCALE_SLOPE, Vr::DS, "1.5");
    set.put_text(tags::RESCALE_INTERCEPT, Vr::DS, "-1024");
    set.put_bytes(dataset::Tag(0x6000, 0x0050), Vr::SS, vec![1, 0, 1, 0]);
    set.put_bytes(dataset::Tag(0x6000, 0x3000), Vr::OW, vec![0x55; 4]);
    let mut table = DataSet::with_charset(CharacterSets::utf8());
    table.put_bytes(tags::LUT_DESCRIPTOR, Vr::US, vec![4, 0, 0, 0, 16, 0]);
    table.put_bytes(tags::LUT_DATA, Vr::OW, vec![0, 0, 0, 0x40, 0, 0x80, 0xff, 0xff]);
    set.put_sequence(tags::VOILUT_SEQUENCE, vec![table.clone()]);
    set.put_sequence(tags::MODALITY_LUT_SEQUENCE, vec![table]);
    for number in [0x1101, 0x1102, 0x1103] {
        set.put_bytes(dataset::Tag(0x0028, number), Vr::US, vec![4, 0, 0, 0, 8, 0]);
        set.put_bytes(
            dataset::Tag(0x0028, number + 0x100),
            Vr::OW,
            vec![0, 90, 180, 255],
        );
    }
    set.put_bytes(tags::PIXEL_DATA, Vr::OW, (0..60).collect::<Vec<u8>>());
    write::encode(&set, Encoding::ExplicitLe).expect("a sound image")
}

/// Any data set as an image in explicit VR: described, decoded and displayed as far as it goes.
pub fn image(bytes: &[u8]) {
    let explicit = dataset::TransferSyntaxUid::explicit_le();
    let Ok(parsed) = dataset::stream::parse(bytes, &explicit, dataset::Limits::in_memory()) else {
        return;
    };
    let (set, Some(info)) = (&parsed.data_set, &parsed.pixel_data) else {
        return;
    };
    let lookup = |path: &[(u32, usize)], tag: u32| set.raw_at(path, tag).map(Cow::Borrowed);
    let Ok(image) = ImageDescription::from_lookup(&lookup) else {
        return;
    };
    let syntax = syntax("1.2.840.10008.1.2.1");
    let (Some(length), true) = (info.length, image.frame.pixels() as u64 <= PIXELS_MAX) else {
        return;
    };
    let Ok(map) = FrameMap::native(&image.frame, syntax, info.offset, length) else {
        return;
    };
    for index in [0, 1, image.frame.frames.saturating_sub(1)] {
        let Ok(place) = map.locate(index) else {
            continue;
        };
        let mut joined = Vec::new();
        for (offset, length) in &place.ranges {
            let start = usize::try_from(*offset).unwrap_or(usize::MAX).min(bytes.len());
            let end = start.saturating_add(usize::try_from(*length).unwrap_or(usize::MAX));
            joined.extend_from_slice(&bytes[start..end.min(bytes.len())]);
        }
        let input = FrameBytes {
            bytes: &joined,
            skip_bits: place.skip_bits,
            words: false,
        };
        let _ = pixel::thumbnail_of(&image, syntax, input, index, 16);
        let Ok(pixels) = codec::decode(&image.frame, syntax, input) else {
            continue;
        };
        check(&image.frame, &pixels);
        let options = RenderOptions {
            frame: index,
            window: None,
            size: Some((7, 3)),
            overlays: true,
        };
        for size in [None, options.size] {
            if let Ok(picture) = pixel::render(
                &image,
                &pixels,
                &RenderOptions {
                    size,
                    ..options.clone()
                },
            ) {
                whole(&picture);
            }
        }
        if let Ok(planes) = Overlay::take_embedded(&image.overlays, &image.frame, syntax, input) {
            for plane in planes {
                plane.draw(index, pixels.rows, pixels.columns, |_| {});
            }
        }
        // The same attributes as a presentation state of the image that they name.
        let named = lookup(&[(0x0008_1115, 0), (0x0008_1140, 0)], 0x0008_1155).unwrap_or_default();
        let uid = String::from_utf8_lossy(&named);
        let state = Presentation::from_lookup(&lookup, &image, uid.trim_matches(['\0', ' ']));
        if let Ok(picture) = state.and_then(|state| pixel::present(&image, &pixels, &state, &options)) {
            whole(&picture);
        }
    }
}

fn whole(picture: &Picture) {
    let expect = picture.width as usize * picture.height as usize * usize::from(picture.channels);
    assert_eq!(picture.data.len(), expect);
}

/// SOF3 of a JPEG stream.
const LOSSLESS_FRAME: [u8; 2] = [0xff, 0xc3];
/// CAP of a JPEG 2000 stream.
const HIGH_THROUGHPUT: [u8; 2] = [0xff, 0x50];
/// Larger pictures are slow and show nothing new.
const PIXELS_MAX: u64 = 512 * 512;

fn frame(rows: u16, columns: u16, samples: u16, bits: u16, signed: bool) -> FrameDescription {
    FrameDescription {
        rows,
        columns,
        samples_per_pixel: samples,
        bits_allocated: match bits {
            1 => 1,
            2..=8 => 8,
            9..=16 => 16,
            _ => 32,
        },
        bits_stored: bits,
        high_bit: bits.saturating_sub(1),
        signed,
        planar: false,
        photometric: if samples == 1 {
            Photometric::Monochrome2
        } else {
            Photometric::Rgb
        },
        frames: 1,
        element: PixelElement::Integer,
    }
}

fn check(frame: &FrameDescription, pixels: &StoredPixels) {
    if pixels.reduction == 0 {
        assert_eq!(
            (pixels.rows, pixels.columns),
            (frame.rows.into(), frame.columns.into())
        );
    }
    assert_eq!(
        pixels.data.len(),
        pixels.rows * pixels.columns * pixels.samples_per_pixel
    );
    assert_eq!(pixels.samples_per_pixel, usize::from(frame.samples_per_pixel));
}

fn syntax(uid: &str) -> TransferSyntax {
    TransferSyntax::from_uid(uid).expect("a known syntax")
}

/// A stream with its own header; the first byte says how the DICOM header agrees with it.
fn stream(uid: &str, bytes: &[u8]) {
    let Some((&option, stream)) = bytes.split_first() else {
        return;
    };
    let syntax = syntax(uid);
    let Some(decoder) = syntax.compression().and_then(codec::decoder) else {
        return;
    };
    let Ok(header) = decoder.header(stream) else {
        return;
    };
    let size = (u16::try_from(header.rows), u16::try_from(header.columns));
    let (Ok(rows), Ok(columns)) = size else {
        return;
    };
    if u64::from(rows) * u64::from(columns) > PIXELS_MAX || rows == 0 || columns == 0 {
        return;
    }
    let mut frame = frame(
        rows,
        columns,
        header.components,
        header.bits.into(),
        header.signed,
    );
    match option >> 4 {
        // a frame that is larger than its stream, in an image of many
        1 => {
            frame.rows = frame.rows.saturating_add(3);
            frame.columns = frame.columns.saturating_add(5);
            frame.frames = 9;
        }
        2 => frame.bits_allocated = 16,
        3 => frame.bits_allocated = 8,
        4 => frame.signed = !frame.signed,
        5 => frame.samples_per_pixel = 3,
        _ => {}
    }
    if let Ok(pixels) = codec::decode_reduced(&frame, syntax, FrameBytes::from(stream), option & 3) {
        check(&frame, &pixels);
    }
}

/// Whether a stream holds a marker anywhere.
fn holds(bytes: &[u8], marker: [u8; 2]) -> bool {
    bytes.windows(2).any(|pair| pair == marker)
}

/// JPEG baseline, extended and progressive.
pub fn codec_jpeg(bytes: &[u8]) {
    if !holds(bytes, LOSSLESS_FRAME) {
        stream("1.2.840.10008.1.2.4.50", bytes);
    }
}

/// JPEG lossless; any samples are encoded and decoded the same.
pub fn codec_jpeg_lossless(bytes: &[u8]) {
    if holds(bytes, LOSSLESS_FRAME) {
        stream("1.2.840.10008.1.2.4.70", bytes);
        return;
    }
    let Some((&[columns, precision, predictor, restart], rest)) = bytes.split_first_chunk::<4>() else {
        return;
    };
    let precision = precision % 15 + 2;
    let columns = usize::from(columns % 64) + 1;
    let rows = (rest.len() / 2 / columns).min(256);
    if rows == 0 {
        return;
    }
    let words = rest[..rows * columns * 2]
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]) >> (16 - precision));
    let words: Vec<u16> = words.collect();
    let encoded = super::lossless::encode(
        &words,
        columns,
        precision,
        predictor % 7 + 1,
        usize::from(restart % 4),
    );
    let frame = frame(rows as u16, columns as u16, 1, precision.into(), false);
    let decoded = codec::decode(
        &frame,
        syntax("1.2.840.10008.1.2.4.70"),
        FrameBytes::from(encoded.as_slice()),
    )
    .expect("what was encoded can be decoded");
    let expect = if precision > 8 {
        codec::Samples::U16(words)
    } else {
        codec::Samples::U8(words.iter().map(|v| *v as u8).collect())
    };
    assert_eq!(decoded.data, expect);
}

/// JPEG-LS; what was decoded without loss is encoded and decoded again the same.
pub fn codec_jpegls(bytes: &[u8]) {
    stream("1.2.840.10008.1.2.4.80", bytes);
    let Some((&option, rest)) = bytes.split_first() else {
        return;
    };
    encoded_again(
        option,
        rest,
        "1.2.840.10008.1.2.4.80",
        engine::codec::jpegls::encode,
    );
}

/// JPEG 2000.
pub fn codec_jpeg2000(bytes: &[u8]) {
    if !holds(bytes, HIGH_THROUGHPUT) {
        stream("1.2.840.10008.1.2.4.90", bytes);
    }
}

/// HTJ2K; any samples are encoded and decoded again the same.
pub fn codec_htj2k(bytes: &[u8]) {
    if holds(bytes, HIGH_THROUGHPUT) {
        stream("1.2.840.10008.1.2.4.203", bytes);
        return;
    }
    let Some((&option, rest)) = bytes.split_first() else {
        return;
    };
    encoded_again(option, rest, "1.2.840.10008.1.2.4.202", |frame, data| {
        Ok(codec::htj2k::encode(frame, data)?.stream)
    });
}

/// JPEG XL.
pub fn codec_jxl(bytes: &[u8]) {
    stream("1.2.840.10008.1.2.4.110", bytes);
}

/// RLE; any samples are encoded and decoded again the same.
pub fn codec_rle(bytes: &[u8]) {
    shaped("1.2.840.10008.1.2.5", bytes);
    let Some((&option, rest)) = bytes.split_first() else {
        return;
    };
    encoded_again(option, rest, "1.2.840.10008.1.2.5", engine::codec::rle::encode);
}

/// Frames as they are, little and big endian, and deflated ones.
pub fn codec_native(bytes: &[u8]) {
    for uid in [
        "1.2.840.10008.1.2.1",
        "1.2.840.10008.1.2.2",
        "1.2.840.10008.1.2.8.1",
    ] {
        if TransferSyntax::from_uid(uid).is_some() {
            shaped(uid, bytes);
        }
    }
}

/// Frames among fragments: tables that lie, fragments that overlap. What is found lies inside the fragments.
pub fn codec_frames(bytes: &[u8]) {
    let Some((&[frames, basic, extended, kind, ref rest @ ..], _)) = bytes.split_first_chunk::<8>() else {
        return;
    };
    let mut words = rest.iter().chain(&bytes[8..]).copied().peekable();
    let mut number = || {
        let small = words.next()?;
        let shift = words.next()? % 56;
        Some(u64::from(small) << if shift > 40 { shift } else { shift % 4 })
    };
    let offsets = |count: u8, number: &mut dyn FnMut() -> Option<u64>| -> Vec<u64> {
        (0..count % 8).map_while(|_| number()).collect()
    };
    let basic: Vec<u32> = offsets(basic, &mut number)
        .into_iter()
        .map(|v| v as u32)
        .collect();
    let extended: Vec<(u64, u64)> = offsets(extended, &mut number)
        .into_iter()
        .map(|v| (v, 8))
        .collect();
    let mut fragments = Vec::new();
    while let (Some(offset), Some(length)) = (number(), number()) {
        fragments.push((offset, length));
    }
    let mut frame = frame(4, 4, 1, 8, false);
    frame.frames = u64::from(frames);
    let uid = [
        "1.2.840.10008.1.2.4.50",
        "1.2.840.10008.1.2.5",
        "1.2.840.10008.1.2.4.202",
    ][usize::from(kind % 3)];
    let parts = Fragments::at(u64::from(kind), &fragments, &basic, &extended);
    let known = parts.fragments.clone();
    let mut peek = |at: u64| {
        let from = usize::try_from(at).ok()?;
        Some(bytes.get(from..)?.iter().copied().take(16).collect())
    };
    let Ok(map) = FrameMap::encapsulated(&frame, syntax(uid), parts, &mut peek) else {
        return;
    };
    assert_eq!(map.frames(), frame.frames);
    let _ = map.check_complete();
    let mut last = 0;
    for index in 0..=frame.frames {
        let Ok(place) = map.locate(index) else { continue };
        assert!(index < frame.frames, "no frame behind the last");
        for range in &place.ranges {
            let at = known.iter().skip(last).position(|known| known == range);
            last += at.expect("whole fragments in order");
        }
    }
}

/// Parcels of another node: what unpacks is no longer than allowed; any file is packed and unpacked again the same.
pub fn codec_parcel(bytes: &[u8]) {
    const UNPACKED_BYTES_MAX: u64 = 1 << 20;
    if bytes.starts_with(&parcel::MAGIC) {
        if let Ok(file) = parcel::unpack(bytes, UNPACKED_BYTES_MAX) {
            assert!(file.len() as u64 <= UNPACKED_BYTES_MAX);
        }
        return;
    }
    let Some((&[rows, columns, channels, kind], file)) = bytes.split_first_chunk::<4>() else {
        return;
    };
    let region = Region {
        offset: usize::from(kind >> 2),
        rows: u16::from(rows),
        columns: u16::from(columns),
        channels: u16::from(channels),
        sample_bytes: 1 + (kind & 1),
        signed: kind & 2 != 0,
    };
    if let Some(packed) = parcel::pack(file, &[region]) {
        let again = parcel::unpack(&packed, file.len() as u64).expect("what was packed can be unpacked");
        assert!(again == file);
    }
}

/// A stream without a header of its own: seven bytes say the shape.
fn shaped(uid: &str, bytes: &[u8]) {
    let Some((&[rows, columns, samples, bits, stored, high, flags], data)) = bytes.split_first_chunk::<7>()
    else {
        return;
    };
    let mut frame = frame(
        u16::from(rows) + 1,
        u16::from(columns) + 1,
        [1, 3, 4][usize::from(samples % 3)],
        8,
        flags & 1 != 0,
    );
    frame.bits_allocated = [1, 8, 16, 32, 12, 24, 64][usize::from(bits % 7)];
    frame.bits_stored = u16::from(stored % 65).max(1);
    frame.high_bit = u16::from(high);
    frame.planar = flags & 2 != 0;
    frame.frames = if flags & 4 != 0 { 3 } else { 1 };
    frame.element = match frame.bits_allocated {
        32 if flags & 8 != 0 => PixelElement::Float,
        64 => PixelElement::Double,
        _ => PixelElement::Integer,
    };
    if flags & 16 != 0 {
        frame.photometric = Photometric::YbrFull422;
    }
    let input = FrameBytes {
        bytes: data,
        skip_bits: u32::from(flags >> 5),
        words: flags & 8 != 0,
    };
    if let Ok(pixels) = codec::decode(&frame, syntax(uid), input) {
        check(&frame, &pixels);
    }
}

type Encode = fn(&FrameDescription, &codec::Samples) -> Result<Vec<u8>, engine::ImagingError>;

/// Samples made of the bytes go through encoder and decoder unchanged.
fn encoded_again(option: u8, bytes: &[u8], uid: &str, encode: Encode) {
    let wide = option & 1 != 0;
    let samples = if option & 2 != 0 { 3 } else { 1 };
    let unit = samples * if wide { 2 } else { 1 };
    let columns = usize::from(option >> 2) + 1;
    let rows = (bytes.len() / unit / columns).min(256);
    let Ok(height) = u16::try_from(rows) else {
        return;
    };
    if height == 0 {
        return;
    }
    let frame = frame(
        height,
        columns as u16,
        samples as u16,
        if wide { 16 } else { 8 },
        false,
    );
    let raw = &bytes[..rows * columns * unit];
    let data = if wide {
        let words = raw
            .chunks_exact(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        codec::Samples::U16(words.collect())
    } else {
        codec::Samples::U8(raw.to_vec())
    };
    let encoded = encode(&frame, &data).expect("sound samples can be encoded");
    let decoded = codec::decode(&frame, syntax(uid), FrameBytes::from(encoded.as_slice()))
        .expect("what was encoded can be decoded");
    assert_eq!(decoded.data, data);
    assert!(syntax(uid).compression() != Some(Compression::None));
}
