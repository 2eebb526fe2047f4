use super::*;
use crate::ecg::synth::Synth;

fn traces(drawing: &Drawing) -> Vec<(&str, &[(f64, f64)])> {
    fn trace(shape: &Shape) -> Option<(&str, &[(f64, f64)])> {
        match shape {
            Shape::Trace { lead, points } => Some((lead.as_deref().unwrap_or("calibration"), points)),
            _ => None,
        }
    }
    drawing.shapes.iter().filter_map(trace).collect()
}

#[test]
fn one_second_is_25_mm_and_one_millivolt_10_mm() {
    let truth = Synth {
        noise_uv: 0.0,
        ..Synth::default()
    }
    .make();
    for (speed, gain) in [(25.0, 10.0), (50.0, 20.0), (25.0, 5.0)] {
        let options = PaperOptions {
            speed_mm_s: speed,
            gain_mm_mv: gain,
            layout: Layout::TwelveByOne,
            path: Path::Raw,
            ..PaperOptions::default()
        };
        let drawing = draw(&truth.record, &options);
        let all = traces(&drawing);
        let calibration = all.iter().find(|t| t.0 == "calibration").unwrap().1;
        assert_eq!(calibration[1].1 - calibration[2].1, gain);
        let (_, two) = all.iter().find(|t| t.0 == "II").unwrap();
        let rate = truth.record.sampling_rate_hz;
        for (at, sample) in two
            .iter()
            .zip(&truth.record.leads[1].samples_uv)
            .enumerate()
            .map(|(i, (p, s))| ((i, p), s))
        {
            let (index, point) = at;
            assert!((point.0 - two[0].0 - index as f64 / rate * speed).abs() < 1e-6);
            let height = f64::from(*sample - truth.record.leads[1].samples_uv[0]) / 1_000.0 * gain;
            assert!((two[0].1 - point.1 - height).abs() < 1e-3);
        }
    }
}

#[test]
fn every_layout_shows_every_lead_within_the_page() {
    let truth = Synth::default().make();
    for (layout, strips) in [
        (Layout::ThreeByFourPlusOne, 13),
        (Layout::SixByTwo, 12),
        (Layout::TwelveByOne, 12),
    ] {
        let drawing = draw(
            &truth.record,
            &PaperOptions {
                layout,
                ..PaperOptions::default()
            },
        );
        let all = traces(&drawing);
        assert_eq!(
            all.iter().filter(|t| t.0 != "calibration").count(),
            strips,
            "{layout:?}"
        );
        for (_, points) in all {
            assert!(points.iter().all(|p| (0.0..=PAGE_WIDTH_MM).contains(&p.0)));
        }
    }
}

#[test]
fn the_document_names_leads_and_settings_and_escapes_names() {
    let mut record = Synth::default().make().record;
    record.patient.name = Some("<王&\"建国\u{7}>".into());
    let text = svg(&record, &PaperOptions::default());
    for part in [
        "data-lead=\"aVR\"",
        "25 mm/s",
        "10 mm/mV",
        "0.05-150 Hz",
        "&lt;王&amp;&quot;建国&gt;",
        "width=\"297mm\"",
    ] {
        assert!(text.contains(part), "{part}");
    }
    assert!(!text.contains('\u{7}'));
}

#[test]
fn odd_records_are_drawn() {
    let mut record = Synth::default().make().record;
    record.leads.truncate(1);
    record.leads[0].samples_uv[1_000..1_500].fill(f32::NAN);
    let drawing = draw(&record, &PaperOptions::default());
    assert_eq!(traces(&drawing).iter().filter(|t| t.0 == "I").count(), 2);
    let wild = PaperOptions {
        speed_mm_s: f64::NAN,
        gain_mm_mv: -1.0,
        start_s: 1e12,
        ..PaperOptions::default()
    };
    assert!(svg(&record, &wild).ends_with("</svg>\n"));
}
