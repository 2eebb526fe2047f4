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
        (Layout::Cabrera, 12),
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

#[test]
fn cabrera_turns_avr_over_and_puts_the_limb_leads_in_the_order_of_the_plane() {
    let truth = Synth {
        noise_uv: 0.0,
        ..Synth::default()
    }
    .make();
    let page = |layout: Layout| {
        draw(
            &truth.record,
            &PaperOptions {
                layout,
                path: Path::Raw,
                ..PaperOptions::default()
            },
        )
    };
    let (cabrera, usual) = (page(Layout::Cabrera), page(Layout::SixByTwo));
    let all = traces(&cabrera);
    let limb: Vec<&str> = all
        .iter()
        .filter(|t| t.0 != "calibration")
        .map(|t| t.0)
        .take(6)
        .collect();
    assert_eq!(limb, ["aVL", "I", "-aVR", "II", "aVF", "III"]);
    let of = |drawing: &Drawing, name: &str| {
        let all = traces(drawing);
        all.iter().find(|t| t.0 == name).unwrap().1.to_vec()
    };
    let (turned, upright) = (of(&cabrera, "-aVR"), of(&usual, "aVR"));
    for (a, b) in turned.iter().zip(&upright) {
        assert!((a.1 - turned[0].1 + (b.1 - upright[0].1)).abs() < 1e-6);
    }
    assert_eq!(Layout::parse("cabrera"), Some(Layout::Cabrera));
}

#[test]
fn marks_stand_at_the_beats_and_at_the_edges_of_waves() {
    let truth = Synth::default().make();
    let page = |marks: Marks| {
        let options = PaperOptions {
            layout: Layout::TwelveByOne,
            marks,
            ..PaperOptions::default()
        };
        draw(&truth.record, &options)
    };
    let count = |drawing: &Drawing, wanted: MarkKind| {
        let marks = drawing.shapes.iter();
        marks
            .filter(|shape| matches!(shape, Shape::Mark { kind, .. } if *kind == wanted))
            .count()
    };
    let (none, beats, all) = (page(Marks::None), page(Marks::Beats), page(Marks::Fiducials));
    assert_eq!(count(&none, MarkKind::Beat), 0);
    let seen = count(&beats, MarkKind::Beat);
    assert_eq!(seen % 12, 0);
    assert!(seen / 12 >= 8, "{seen}");
    assert_eq!(
        (count(&beats, MarkKind::Qrs), count(&all, MarkKind::Beat)),
        (0, seen)
    );
    assert!(count(&all, MarkKind::Qrs) > seen, "two edges a beat");
    assert!(count(&all, MarkKind::T) > 0 && count(&all, MarkKind::P) > 0);
    // A beat's tick stands over the R peak of its lead.
    let all = traces(&beats);
    let two = all.iter().find(|t| t.0 == "II").unwrap().1;
    let first = beats.shapes.iter().find_map(|shape| match shape {
        Shape::Mark { x, .. } => Some(*x),
        _ => None,
    });
    let peak = two
        .iter()
        .filter(|p| (p.0 - first.unwrap()).abs() < 5.0)
        .min_by(|a, b| a.1.total_cmp(&b.1));
    assert!((peak.unwrap().0 - first.unwrap()).abs() < 0.6);
    assert!(
        svg(
            &truth.record,
            &PaperOptions {
                marks: Marks::Fiducials,
                ..PaperOptions::default()
            }
        )
        .contains("mark-qrs")
    );
}

#[test]
fn the_header_says_who_when_and_what_the_machine_found() {
    let mut record = Synth::default().make().record;
    record.patient.name = Some("王秀英".into());
    record.acquired_at = Some("10:35:17 02/01/2024".into());
    record.filters.low_hz = Some(0.05);
    record.filters.high_hz = Some(100.0);
    let mut header = Header::of(&crate::ecg::analyze(&record));
    header.title = "河西镇卫生院 心电图".into();
    header.fields.push(("检查号".into(), "E7".into()));
    let text = svg(
        &record,
        &PaperOptions {
            header,
            ..PaperOptions::default()
        },
    );
    for part in [
        "河西镇卫生院 心电图",
        "姓名：王秀英",
        "检查号：E7",
        "采集时间：2024-01-02 10:35:17",
        "心率 ",
        "QT/QTc ",
        "机器判读 未经医师确认",
        "窦性心律",
        "采集滤波 0.05-100 Hz",
    ] {
        assert!(text.contains(part), "{part}");
    }
}
