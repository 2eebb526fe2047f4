use crate::ecg::analysis::analyze;
use crate::ecg::synth::Synth;

#[test]
fn a_known_beat_is_measured() {
    let synth = Synth::default();
    let m = analyze(&synth.make().record).measurements;
    let check = |name: &str, got: Option<f64>, expect: f64, limit: f64| {
        let got = got.unwrap_or(f64::NAN);
        assert!((got - expect).abs() <= limit, "{name}: {got} for {expect}");
    };
    check("heart rate", m.heart_rate_bpm, 75.0, 0.5);
    check("P", m.p_ms, 100.0, 12.0);
    check("PR", m.pr_ms, 160.0, 10.0);
    check("QRS", m.qrs_ms, 92.0, 10.0);
    check("QT", m.qt_ms, 380.0, 15.0);
    check("P axis", m.p_axis_deg, synth.p_axis_deg, 8.0);
    check("QRS axis", m.qrs_axis_deg, synth.qrs_axis_deg, 8.0);
    check("T axis", m.t_axis_deg, synth.t_axis_deg, 8.0);
    check("RV5", m.rv5_mv, 1.35, 0.06);
    check("SV1", m.sv1_mv, 1.05, 0.05);
    check(
        "QTc Bazett",
        m.qtc_bazett_ms,
        m.qt_ms.unwrap() / 0.8_f64.sqrt(),
        1.0,
    );
}

#[test]
fn st_levels_are_true() {
    let truth = Synth {
        st_v2_uv: 300.0,
        ..Synth::default()
    }
    .make();
    let m = analyze(&truth.record).measurements;
    assert!((m.st_mv["V2"].unwrap() - 0.3).abs() < 0.03, "{:?}", m.st_mv);
    assert!(m.st_mv["I"].unwrap().abs() < 0.03);
}

#[test]
fn every_missing_value_has_its_reason() {
    let mut record = Synth {
        pr_s: None,
        ..Synth::default()
    }
    .make()
    .record;
    record.leads.truncate(1);
    let analysis = analyze(&record);
    let m = &analysis.measurements;
    for (name, value) in [
        ("p_ms", m.p_ms),
        ("qrs_axis_deg", m.qrs_axis_deg),
        ("rv5_mv", m.rv5_mv),
        ("sv1_mv", m.sv1_mv),
    ] {
        assert!(
            value.is_none() && analysis.not_measurable[name].len() > 3,
            "{name}"
        );
    }
    assert!(m.qrs_ms.is_some() && !analysis.not_measurable.contains_key("qrs_ms"));
}
