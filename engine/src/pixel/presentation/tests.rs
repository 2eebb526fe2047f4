use super::super::description::test_description;
use super::*;
use crate::codec::frame::test_frame;
use crate::codec::{DecodedColour, Photometric, Samples, StoredPixels};
use crate::dicom::item_count_bytes;
use crate::pixel::{Picture, RenderOptions};
use std::borrow::Cow;
use std::collections::BTreeMap;

const UID: &str = "1.2.3";
type Path = Vec<(u32, usize)>;

/// A data set: values by path and tag; sequences are counted from the paths.
#[derive(Default)]
struct Set(BTreeMap<(Path, u32), Vec<u8>>);

impl Set {
    /// A state for the image [`UID`].
    fn state() -> Self {
        let mut set = Self::default();
        set.put(&[(0x0008_1115, 0), (0x0008_1140, 0)], 0x0008_1155, UID);
        set
    }

    fn put(&mut self, path: &[(u32, usize)], tag: u32, value: impl AsRef<[u8]>) -> &mut Self {
        self.0.insert((path.to_vec(), tag), value.as_ref().to_vec());
        self
    }

    fn get(&self, path: &[(u32, usize)], tag: u32) -> Option<Cow<'static, [u8]>> {
        if let Some(value) = self.0.get(&(path.to_vec(), tag)) {
            return Some(value.clone().into());
        }
        let below = |p: &Path| p.starts_with(path) && p.get(path.len()).is_some_and(|s| s.0 == tag);
        let items = self
            .0
            .keys()
            .filter(|(p, _)| below(p))
            .map(|(p, _)| p[path.len()].1 + 1);
        items.max().map(item_count_bytes)
    }

    fn read(&self, image: &ImageDescription) -> Result<Presentation> {
        Presentation::from_lookup(&|path, tag| self.get(path, tag), image, UID)
    }
}

fn words(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn longs(values: &[i32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn image(rows: u16, columns: u16, values: Vec<u16>) -> (ImageDescription, StoredPixels) {
    let frame = test_frame(rows, columns, 16, 8);
    let pixels = StoredPixels::new(&frame, Samples::U16(values), DecodedColour::AsDeclared).unwrap();
    (test_description(frame), pixels)
}

fn seen(set: &Set, image: &ImageDescription, pixels: &StoredPixels) -> Vec<u8> {
    let state = set.read(image).unwrap();
    present(image, pixels, &state, &RenderOptions::default())
        .unwrap()
        .data
}

#[test]
fn the_states_own_steps_replace_those_of_the_image() {
    let (mut image, pixels) = image(1, 3, vec![0, 100, 255]);
    image.set_window(crate::pixel::Window::parse("10,5").unwrap());
    image.frame.photometric = Photometric::Monochrome1;
    let mut set = Set::state();
    assert_eq!(
        seen(&set, &image, &pixels),
        [0, 100, 255],
        "neither window nor MONOCHROME1"
    );
    set.put(&[], 0x2050_0020, "INVERSE ");
    assert_eq!(seen(&set, &image, &pixels), [255, 155, 0]);
    set.put(&[], 0x0028_1053, "2").put(&[], 0x0028_1052, "-10");
    let voi: &[(u32, usize)] = &[(0x0028_3110, 0)];
    set.put(voi, 0x0028_1050, "190").put(voi, 0x0028_1051, "10");
    set.put(voi, 0x0028_1056, "LINEAR_EXACT");
    assert_eq!(
        seen(&set, &image, &pixels),
        [255, 127, 0],
        "190 is the middle of the window"
    );
}

#[test]
fn parts_for_other_images_and_frames_have_no_say() {
    let (mut image, pixels) = image(1, 3, vec![0, 100, 255]);
    image.frame.frames = 3;
    let mut set = Set::state();
    set.put(&[(0x0008_1115, 0), (0x0008_1140, 0)], 0x0008_1160, "1\\2");
    for (item, uid, frames, window) in [(0, "9.9", "", "1"), (1, UID, "2", "101"), (2, UID, "", "128")] {
        let voi = (0x0028_3110, item);
        set.put(&[voi, (0x0008_1140, 0)], 0x0008_1155, uid);
        set.put(&[voi, (0x0008_1140, 0)], 0x0008_1160, frames);
        set.put(&[voi], 0x0028_1050, window);
        set.put(&[voi], 0x0028_1051, if item == 2 { "256" } else { "1" });
    }
    let state = set.read(&image).unwrap();
    for (frame, expect) in [(0, Some([0, 100, 255])), (1, Some([0, 0, 255])), (2, None)] {
        let options = RenderOptions {
            frame,
            ..RenderOptions::default()
        };
        let got = present(&image, &pixels, &state, &options).ok().map(|p| p.data);
        assert_eq!(got, expect.map(|e| e.to_vec()), "{frame}");
    }
    let other = Presentation::from_lookup(&|path, tag| set.get(path, tag), &image, "9.9");
    assert!(other.unwrap_err().to_string().contains("not for this image"));
}

#[test]
fn a_presentation_table_spans_the_voi_output() {
    let (image, pixels) = image(1, 3, vec![0, 128, 255]);
    let mut set = Set::state();
    let item: &[(u32, usize)] = &[(0x2050_0010, 0)];
    set.put(item, 0x0028_3002, words(&[3, 0, 10]));
    set.put(item, 0x0028_3006, words(&[1023, 100, 0]));
    assert_eq!(seen(&set, &image, &pixels), [255, 25, 0]);
    let mut own = image.clone();
    own.presentation = PresentationLut::read(&Attributes::root(&|path, tag| set.get(path, tag)));
    own.set_window(crate::pixel::Window::parse("128,256").unwrap());
    let drawn = crate::pixel::render(&own, &pixels, &RenderOptions::default()).unwrap();
    assert_eq!(drawn.data, [255, 25, 0], "an image with a table of its own");
    let small = crate::pixel::thumbnail(&own, &pixels, 0, 3).unwrap();
    assert_eq!(small.data, [255, 25, 0]);
}

/// 1 2 3 over 4 5 6, all turns, and areas inside and beyond.
#[test]
fn areas_are_cut_then_turned_then_flipped() {
    let (image, pixels) = image(2, 3, vec![1, 2, 3, 4, 5, 6]);
    for (corners, rotation, flip, expect) in [
        ([1, 1, 3, 2], 0, "N", vec![1, 2, 3, 4, 5, 6]),
        ([3, 1, 1, 2], 0, "Y", vec![3, 2, 1, 6, 5, 4]),
        ([1, 2, 3, 1], 90, "N", vec![4, 1, 5, 2, 6, 3]),
        ([3, 2, 1, 1], 180, "N", vec![6, 5, 4, 3, 2, 1]),
        ([3, 1, 1, 2], 270, "N", vec![3, 6, 2, 5, 1, 4]),
        ([1, 1, 3, 2], 90, "Y", vec![1, 4, 2, 5, 3, 6]),
        ([2, 0, 4, 1], 0, "N", vec![9, 9, 9, 2, 3, 9]),
        ([7, 7, 8, 7], 0, "N", vec![9, 9]),
    ] {
        let mut set = Set::state();
        let area: &[(u32, usize)] = &[(0x0070_005a, 0)];
        set.put(area, 0x0070_0052, longs(&corners[..2]));
        set.put(area, 0x0070_0053, longs(&corners[2..]));
        set.put(&[], 0x0070_0042, words(&[rotation]));
        set.put(&[], 0x0070_0041, flip);
        set.put(&[], 0x0018_1622, words(&[9 << 8]));
        assert_eq!(
            seen(&set, &image, &pixels),
            expect,
            "{corners:?} {rotation} {flip}"
        );
    }
    let mut set = Set::state();
    let area: &[(u32, usize)] = &[(0x0070_005a, 0)];
    set.put(area, 0x0070_0052, longs(&[i32::MIN, 1]));
    set.put(area, 0x0070_0053, longs(&[i32::MAX, 2]));
    let state = set.read(&image).unwrap();
    assert!(present(&image, &pixels, &state, &RenderOptions::default()).is_err());
}

#[test]
fn magnification_and_pixel_shape_make_the_size() {
    let (image, pixels) = image(2, 3, vec![7; 6]);
    let mut set = Set::state();
    let area: &[(u32, usize)] = &[(0x0070_005a, 0)];
    set.put(area, 0x0070_0052, longs(&[1, 1]))
        .put(area, 0x0070_0053, longs(&[3, 2]));
    set.put(area, 0x0070_0100, "MAGNIFY")
        .put(area, 0x0070_0103, floats(&[2.0]));
    set.put(area, 0x0070_0101, "1.0\\0.5");
    let state = set.read(&image).unwrap();
    let picture = present(&image, &pixels, &state, &RenderOptions::default()).unwrap();
    assert_eq!((picture.width, picture.height), (6, 8));
    let options = RenderOptions {
        size: Some((5, 4)),
        ..RenderOptions::default()
    };
    let picture = present(&image, &pixels, &state, &options).unwrap();
    assert_eq!((picture.width, picture.height), (5, 4));
}

#[test]
fn shutters_leave_what_lies_in_every_shape() {
    let (image, pixels) = image(5, 5, vec![200; 25]);
    let covered = |set: &Set| {
        let data = seen(set, &image, &pixels);
        (0..25).filter(|i| data[*i] == 64).collect::<Vec<_>>()
    };
    let mut set = Set::state();
    set.put(&[], 0x0018_1622, words(&[64 << 8]));
    set.put(&[], 0x0018_1600, "RECTANGULAR ");
    for (tag, edge) in [
        (0x0018_1602, "2"),
        (0x0018_1604, "5"),
        (0x0018_1606, "1"),
        (0x0018_1608, "4"),
    ] {
        set.put(&[], tag, edge);
    }
    assert_eq!(covered(&set), [0, 5, 10, 15, 20, 21, 22, 23, 24]);
    set.put(&[], 0x0018_1600, "CIRCULAR");
    set.put(&[], 0x0018_1610, "3\\3").put(&[], 0x0018_1612, "2");
    assert_eq!(covered(&set), [0, 1, 3, 4, 5, 9, 15, 19, 20, 21, 23, 24]);
    set.put(&[], 0x0018_1600, "POLYGONAL");
    set.put(&[], 0x0018_1620, "0\\0\\0\\3.5\\6\\3.5\\6\\0");
    assert_eq!(covered(&set), [3, 4, 8, 9, 13, 14, 18, 19, 23, 24]);
    set.put(&[], 0x0018_1600, "BITMAP")
        .put(&[], 0x0018_1623, words(&[0x6000]));
    for (tag, value) in [(0x6000_0010, 1), (0x6000_0011, 5)] {
        set.put(&[], tag, words(&[value]));
    }
    set.put(&[], 0x6000_3000, [0b1_0001, 0]);
    assert_eq!(covered(&set), [0, 4]);
}

#[test]
fn only_planes_that_are_switched_on_are_drawn() {
    let (mut image, pixels) = image(1, 4, vec![7; 4]);
    let mut set = Set::state();
    let plane = |set: &mut Set, group: u32, bits: u8| {
        set.put(&[], group << 16 | 0x10, words(&[1]))
            .put(&[], group << 16 | 0x11, words(&[4]));
        set.put(&[], group << 16 | 0x3000, [bits, 0]);
    };
    let mut of_image = Set::default();
    plane(&mut of_image, 0x6000, 0b0001);
    plane(&mut of_image, 0x6002, 0b0010);
    plane(&mut of_image, 0x6004, 0b0100);
    image.overlays = Overlay::read_all(&Attributes::root(&|path, tag| of_image.get(path, tag)));
    plane(&mut set, 0x6004, 0b1000);
    set.put(&[], 0x6002_1001, "LAYER ").put(&[], 0x6004_1001, "LAYER");
    assert_eq!(seen(&set, &image, &pixels), [7, 255, 7, 255]);
}

fn drawn(graphics: &[(&str, &str, &str, &[f32])]) -> Vec<usize> {
    let (image, pixels) = image(9, 9, vec![0; 81]);
    let mut set = Set::state();
    set.put(&[(0x0070_0060, 0)], 0x0070_0002, "MARKS");
    set.put(&[(0x0070_0060, 0)], 0x0070_0066, words(&[100 << 8]));
    set.put(&[(0x0070_0001, 0)], 0x0070_0002, "MARKS");
    for (i, (kind, units, filled, points)) in graphics.iter().enumerate() {
        let item: &[(u32, usize)] = &[(0x0070_0001, 0), (0x0070_0009, i)];
        set.put(item, 0x0070_0023, kind)
            .put(item, 0x0070_0005, units)
            .put(item, 0x0070_0024, filled);
        set.put(item, 0x0070_0022, floats(points));
    }
    let data = seen(&set, &image, &pixels);
    assert!(data.iter().all(|v| [0, 100].contains(v)));
    (0..81).filter(|i| data[*i] == 100).collect()
}

#[test]
fn graphics_are_drawn_where_they_belong() {
    let row = |r: usize, columns: std::ops::Range<usize>| columns.map(move |c| r * 9 + c).collect::<Vec<_>>();
    assert_eq!(
        drawn(&[("POLYLINE", "PIXEL", "N", &[2.5, 4.5, 6.5, 4.5])]),
        row(4, 2..7)
    );
    assert_eq!(
        drawn(&[("POLYLINE", "DISPLAY", "N", &[0.0, 0.5, 0.99, 0.5])]),
        row(4, 0..9)
    );
    assert_eq!(
        drawn(&[("INTERPOLATED", "PIXEL", "N", &[1.5, 1.5, 4.5, 1.5, 7.5, 1.5])]),
        row(1, 1..8)
    );
    assert_eq!(drawn(&[("POINT", "PIXEL", "N", &[4.5, 4.5])]).len(), 13);
    assert_eq!(
        drawn(&[("POLYLINE", "PIXEL", "N", &[-1e6, 4.5, 1e6, 4.5])]),
        row(4, 0..9)
    );
    assert!(drawn(&[("POLYLINE", "PIXEL", "N", &[-5.0, 4.5, 1e30, f32::NAN])]).is_empty());
    let square: &[f32] = &[2.0, 2.0, 6.0, 2.0, 6.0, 6.0, 2.0, 6.0, 2.0, 2.0];
    let all = drawn(&[("POLYLINE", "PIXEL", "Y", square)]);
    assert!((2..6).all(|r| row(r, 2..6).iter().all(|i| all.contains(i))) && all.len() == 25);
    for (kind, points) in [
        ("CIRCLE", &[4.5, 4.5, 7.5, 4.5][..]),
        ("ELLIPSE", &[1.5, 4.5, 7.5, 4.5, 4.5, 1.5, 4.5, 7.5]),
    ] {
        let hit = drawn(&[(kind, "PIXEL", "N", points)]);
        for i in 0..81_usize {
            let off = ((i % 9) as f64 - 4.0).hypot((i / 9) as f64 - 4.0) - 3.0;
            assert!(!hit.contains(&i) || off.abs() < 0.8, "{kind} {i}");
        }
        assert!(
            hit.contains(&(4 * 9 + 7)) && hit.contains(&(4 * 9 + 1)) && hit.contains(&(7 * 9 + 4)),
            "{kind}"
        );
        assert!(
            drawn(&[(kind, "PIXEL", "Y", points)]).contains(&(4 * 9 + 4)),
            "{kind} filled"
        );
    }
}

#[test]
fn texts_stand_beside_what_they_speak_of_however_the_image_is_turned() {
    let (image, pixels) = image(30, 40, vec![0; 1200]);
    for (quarters, flip, units) in (0..4_u16).flat_map(|q| {
        [("N", "PIXEL"), ("Y", "PIXEL"), ("Y", "DISPLAY")].map(|(flip, units)| (q, flip, units))
    }) {
        let mut set = Set::state();
        set.put(&[], 0x0070_0042, words(&[quarters * 90]))
            .put(&[], 0x0070_0041, flip);
        let area = &[(0x0070_005a, 0)];
        set.put(area, 0x0070_0052, longs(&[6, 4]))
            .put(area, 0x0070_0053, longs(&[35, 28]));
        let place = floats(if units == "PIXEL" {
            &[12.5, 20.5]
        } else {
            &[0.3, 0.7]
        });
        let annotation = (0x0070_0001, 0);
        let (point, text) = ([annotation, (0x0070_0009, 0)], [annotation, (0x0070_0008, 0)]);
        set.put(&point, 0x0070_0023, "POINT")
            .put(&point, 0x0070_0005, units);
        set.put(&point, 0x0070_0022, place.clone());
        set.put(&text, 0x0070_0006, "here").put(&text, 0x0070_0004, units);
        set.put(&text, 0x0070_0014, place).put(&text, 0x0070_0015, "Y");
        set.put(&text, 0x0070_0012, "RIGHT")
            .put(&text, 0x0070_0003, "DISPLAY");
        set.put(&text, 0x0070_0010, floats(&[0.5, 0.25]));
        set.put(&text, 0x0070_0011, floats(&[0.75, 0.5]));
        let state = set.read(&image).unwrap();
        let picture = present(&image, &pixels, &state, &RenderOptions::default()).unwrap();
        let lit: Vec<usize> = (0..picture.data.len()).filter(|i| picture.data[*i] > 0).collect();
        let (width, count) = (picture.width as usize, lit.len() as f64);
        let mean = |part: fn(usize, usize) -> usize| {
            lit.iter().map(|i| part(*i, width) as f64).sum::<f64>() / count + 0.5
        };
        let cross = [mean(|i, width| i % width), mean(|i, width| i / width)];
        let notes = state.notes(&image, 0, &picture);
        let [note] = notes.as_slice() else {
            panic!("{notes:?}")
        };
        let anchor = note.anchor.unwrap();
        let apart = (anchor[0] - cross[0]).hypot(anchor[1] - cross[1]);
        assert!(apart < 1.0, "{quarters} {flip} {units}: {anchor:?} {cross:?}");
        let (w, h) = (f64::from(picture.width), f64::from(picture.height));
        assert_eq!(note.bounds, Some([0.5 * w, 0.25 * h, 0.75 * w, 0.5 * h]));
        assert_eq!((note.raw.as_slice(), note.align), (&b"here"[..], Align::Right));
    }
}

#[test]
fn a_text_without_a_box_stands_at_its_anchor() {
    let (image, _) = image(10, 10, vec![0; 100]);
    let picture = Picture {
        width: 10,
        height: 10,
        channels: 1,
        data: vec![0; 100],
    };
    let mut set = Set::state();
    let text = [(0x0070_0001, 0), (0x0070_0008, 0)];
    set.put(&text, 0x0070_0006, "a");
    let notes = |set: &Set| set.read(&image).unwrap().notes(&image, 0, &picture);
    assert_eq!((notes(&set)[0].bounds, notes(&set)[0].anchor), (None, None));
    set.put(&text, 0x0070_0014, floats(&[3.0, 4.0]));
    assert_eq!(
        (notes(&set)[0].bounds, notes(&set)[0].anchor),
        (Some([3.0, 4.0, 3.0, 4.0]), None)
    );
    set.put(&text, 0x0070_0014, floats(&[f32::NAN, 4.0]));
    assert_eq!(notes(&set)[0].bounds, None);
}
