use super::*;
use engine::ecg::paper::{self, Layout, Marks, PaperOptions};
use engine::ecg::{Lead, LeadName, Record};
use std::io::Read;

/// A font of the system where this build has none, so that the millimetres are measured in every build.
fn fonts() -> Option<Fonts> {
    const PLACES: [&str; 3] = [
        "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
        "/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf",
        "/usr/share/fonts/truetype/freefont/FreeSans.ttf",
    ];
    if !Fonts::EMBEDDED.regular.is_empty() {
        return Some(Fonts::EMBEDDED);
    }
    let bytes = PLACES.iter().find_map(|path| std::fs::read(path).ok())?;
    let bytes: &'static [u8] = Box::leak(bytes.into_boxed_slice());
    Some(Fonts {
        regular: bytes,
        bold: bytes,
    })
}

/// One lead with a square wave of 1 mV, half a second high and half a second low.
fn square() -> Record {
    let lead = Lead {
        name: LeadName::new("II"),
        samples_uv: (0..5_000)
            .map(|n| if n / 250 % 2 == 0 { 0.0 } else { 1_000.0 })
            .collect(),
        resolution_uv: 1.0,
        derived: false,
    };
    Record::new("npy", vec![lead], 500.0).unwrap()
}

/// Size of the page and every stroked path on it, in millimetres from its lower left corner: read from the PDF's own
/// bytes, with the matrices that it sets on the way.
struct Measured {
    page_mm: [f64; 2],
    paths: Vec<Vec<[f64; 2]>>,
}

fn measure(pdf: &[u8]) -> Measured {
    let text = String::from_utf8_lossy(pdf);
    let at = text.find("/MediaBox").expect("a page");
    let from = text[at..].find('[').unwrap() + at + 1;
    let to = text[from..].find(']').unwrap() + from;
    let numbers: Vec<f64> = text[from..to]
        .split_whitespace()
        .map(|n| n.parse().unwrap())
        .collect();
    assert!(!text.contains("/UserUnit"), "a point is 1/72 inch");
    let mm = |points: f64| points / 72.0 * 25.4;
    let mut paths = Vec::new();
    for content in streams(pdf) {
        paths.extend(paths_of(&content));
    }
    let in_mm = |path: Vec<[f64; 2]>| path.into_iter().map(|[x, y]| [mm(x), mm(y)]).collect();
    Measured {
        page_mm: [mm(numbers[2] - numbers[0]), mm(numbers[3] - numbers[1])],
        paths: paths.into_iter().map(in_mm).collect(),
    }
}

/// Every stream that inflates to text.
fn streams(pdf: &[u8]) -> Vec<String> {
    let find = |from: usize, word: &[u8]| {
        let rest = pdf.get(from..)?;
        rest.windows(word.len())
            .position(|w| w == word)
            .map(|at| from + at)
    };
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(start) = find(at, b"stream") {
        let Some(end) = find(start + 6, b"endstream") else {
            break;
        };
        let body = pdf[start + 6..end].trim_ascii_start();
        let mut plain = Vec::new();
        let _ = flate2::read::ZlibDecoder::new(body)
            .take(64 << 20)
            .read_to_end(&mut plain);
        if plain.is_empty() {
            plain = body.to_vec();
        }
        out.extend(String::from_utf8(plain).ok());
        at = end + 9;
    }
    out
}

type Matrix = [f64; 6];

fn times(a: Matrix, b: Matrix) -> Matrix {
    [
        a[0] * b[0] + a[1] * b[2],
        a[0] * b[1] + a[1] * b[3],
        a[2] * b[0] + a[3] * b[2],
        a[2] * b[1] + a[3] * b[3],
        a[4] * b[0] + a[5] * b[2] + b[4],
        a[4] * b[1] + a[5] * b[3] + b[5],
    ]
}

/// Paths of a content stream (ISO 32000-1 section 8.5), points on the page.
fn paths_of(content: &str) -> Vec<Vec<[f64; 2]>> {
    let mut now: Matrix = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0];
    let (mut kept, mut numbers, mut paths): (Vec<Matrix>, Vec<f64>, Vec<Vec<[f64; 2]>>) =
        (Vec::new(), Vec::new(), Vec::new());
    for word in content.split_whitespace() {
        if let Ok(number) = word.parse::<f64>() {
            numbers.push(number);
            continue;
        }
        let place = |at: usize| {
            let (x, y) = (numbers[at], numbers[at + 1]);
            [now[0] * x + now[2] * y + now[4], now[1] * x + now[3] * y + now[5]]
        };
        match word {
            "q" => kept.push(now),
            "Q" => now = kept.pop().unwrap_or(now),
            "cm" if numbers.len() >= 6 => {
                let m = &numbers[numbers.len() - 6..];
                now = times([m[0], m[1], m[2], m[3], m[4], m[5]], now);
            }
            "m" if numbers.len() >= 2 => paths.push(vec![place(numbers.len() - 2)]),
            "l" if numbers.len() >= 2 => {
                let to = place(numbers.len() - 2);
                if let Some(path) = paths.last_mut() {
                    path.push(to);
                }
            }
            _ => {}
        }
        numbers.clear();
    }
    paths
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 0.01
}

#[test]
fn a_printed_page_has_its_millimetres() {
    let Some(fonts) = fonts() else {
        println!("skipped: no font at hand");
        return;
    };
    for (speed, gain) in [(25.0, 10.0), (50.0, 20.0), (25.0, 5.0), (12.5, 10.0)] {
        let options = PaperOptions {
            layout: Layout::TwelveByOne,
            speed_mm_s: speed,
            gain_mm_mv: gain,
            path: engine::ecg::filter::Path::Raw,
            marks: Marks::Beats,
            ..PaperOptions::default()
        };
        let pdf = print(&paper::draw(&square(), &options), fonts).unwrap();
        let measured = measure(&pdf);
        assert!(
            near(measured.page_mm[0], 297.0) && near(measured.page_mm[1], 210.0),
            "A4 across: {:?}",
            measured.page_mm
        );
        // The grid: upright lines of 160 mm, each a millimetre from the next, 276 of them.
        let mut upright: Vec<f64> = measured
            .paths
            .iter()
            .filter(|p| p.len() == 2 && near(p[0][0], p[1][0]) && near((p[0][1] - p[1][1]).abs(), 160.0))
            .map(|p| p[0][0])
            .collect();
        upright.sort_by(f64::total_cmp);
        assert_eq!(upright.len(), 276);
        assert!(upright.windows(2).all(|w| near(w[1] - w[0], 1.0)));
        // The calibration pulse: 1 mV high, 0.2 s long.
        let pulse = measured.paths.iter().find(|p| p.len() == 6).expect("a pulse");
        assert!(
            near((pulse[2][1] - pulse[1][1]).abs(), gain),
            "{gain} mm/mV: {pulse:?}"
        );
        assert!(
            near(pulse[3][0] - pulse[2][0], (0.2 * speed).min(8.0)),
            "{speed} mm/s"
        );
        // The trace: a step of 1 mV each half second.
        let trace = measured.paths.iter().max_by_key(|p| p.len()).unwrap();
        let steps: Vec<f64> = trace
            .windows(2)
            .filter(|w| (w[1][1] - w[0][1]).abs() > gain / 2.0)
            .map(|w| {
                assert!(near((w[1][1] - w[0][1]).abs(), gain), "a millivolt is {gain} mm");
                w[1][0]
            })
            .collect();
        assert!(steps.len() >= 5);
        assert!(
            // Slow paper has more samples than dots: a step may stand a dot of 0.1 mm beside its place.
            steps.windows(2).all(|w| (w[1] - w[0] - 0.5 * speed).abs() < 0.11),
            "half a second is {} mm",
            0.5 * speed
        );
    }
}

#[test]
fn without_fonts_it_says_so() {
    let none = Fonts {
        regular: &[],
        bold: &[],
    };
    let drawing = paper::draw(&square(), &PaperOptions::default());
    assert!(matches!(print(&drawing, none), Err(PdfError::NoFonts)));
}
