use super::slice::test_slice;
use super::*;
use proptest::prelude::*;

fn stack(places: &[f64]) -> Vec<Slice> {
    places
        .iter()
        .enumerate()
        .map(|(i, z)| test_slice(i, *z))
        .collect()
}

fn arrange(slices: &[Slice]) -> Series {
    Series::arrange(slices, 1).unwrap()
}

#[test]
fn a_sound_series_has_no_finding() {
    let series = arrange(&stack(&[4.0, 0.0, 2.0, 6.0, 8.0]));
    assert_eq!(series.order, [1, 2, 0, 3, 4]);
    assert_eq!(series.findings, []);
    assert_eq!(series.grid.dims(), [30, 20, 5]);
    let spacing = series.grid.spacing_mm();
    assert!(
        spacing
            .iter()
            .zip([0.7, 0.8, 2.0])
            .all(|(a, b)| (a - b).abs() < 1e-9),
        "{spacing:?}"
    );
    assert_eq!(series.grid.origin_mm(), [-10.0, -20.0, 0.0]);
}

#[test]
fn what_is_wrong_is_found() {
    let check = |places: &[f64], expect: &str| {
        let found = arrange(&stack(places)).findings;
        let text: Vec<String> = found.iter().map(Finding::en).collect();
        assert!(
            text.len() == 1 && text[0].contains(expect),
            "{places:?}: {text:?}"
        );
    };
    check(
        &[0.0, 2.0, 4.0, 8.0, 10.0, 12.0],
        "gap: about 1 slice missing between slice 3 and slice 4",
    );
    check(&[0.0, 2.0, 4.0, 14.0, 16.0, 18.0, 20.0], "about 4 slices missing");
    check(
        &[0.0, 1.3, 4.0, 5.1, 8.0, 9.2, 12.0],
        "uneven slice spacing, 1.10 to 2.90 mm",
    );
    check(&[0.0, 2.0, 4.0, 4.0, 6.0, 8.0], "1 slice at the place of another");
    check(&[0.0], "one slice only");
    let even = arrange(&stack(&[0.0, 2.001, 3.999, 6.0])).findings;
    assert_eq!(even, []);
}

#[test]
fn a_tilted_gantry_shears_the_lattice() {
    let angle = 15_f64.to_radians();
    let mut slices = stack(&[0.0, 2.0, 4.0, 6.0]);
    for s in &mut slices {
        s.directions[1] = [0.0, angle.cos(), angle.sin()];
    }
    let series = arrange(&slices);
    assert!((series.grid.tilt_deg().abs() - 15.0).abs() < 1e-6);
    assert!((series.grid.spacing_mm()[2] - 2.0).abs() < 1e-9);
    assert!(matches!(series.findings[..], [Finding::Tilt { .. }]));
}

#[test]
fn irregular_shifts_are_told() {
    let mut slices = stack(&[0.0, 2.0, 4.0, 6.0]);
    slices[2].position_mm[0] += 1.5;
    assert!(matches!(arrange(&slices).findings[..], [Finding::Shifted { .. }]));
}

#[test]
fn other_kinds_are_left_out() {
    let mut slices = stack(&[0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
    slices[0].directions = [[0.0, 1.0, 0.0], [0.0, 0.0, -1.0]];
    slices[1].size = [64, 64];
    let series = arrange(&slices);
    assert_eq!(series.order, [2, 3, 4, 5]);
    assert_eq!(
        series.findings,
        [
            Finding::OtherDirection { count: 1 },
            Finding::OtherShape { count: 1 }
        ]
    );
    slices[0].localizer = true;
    assert_eq!(arrange(&slices).findings[0], Finding::Localizers { count: 1 });
    slices[3].series_uid = "9.9".into();
    let error = Series::arrange(&slices, 1).unwrap_err().to_string();
    assert!(error.contains("2 series"), "{error}");
    assert!(Series::arrange(&[], 1).is_err());
}

#[test]
fn volumes_of_one_series_are_told_apart() {
    let mut slices = Vec::new();
    for time in 0..3 {
        for k in 0..5 {
            let mut s = test_slice(slices.len(), f64::from(k) * 2.0);
            // unique times, as scanners write them, do not tell volumes apart
            s.marks
                .push((Mark::AcquisitionTime, format!("1015{:02}", slices.len())));
            s.marks.push((Mark::Time, (10 - time).to_string()));
            slices.push(s);
        }
    }
    let series = Series::arrange(&slices, 1).unwrap();
    assert_eq!(series.order, [10, 11, 12, 13, 14]);
    let expect = Finding::Volumes {
        count: 3,
        by: Mark::Time,
        chosen: 1,
    };
    assert_eq!((series.volumes, &series.findings[..]), (3, &[expect][..]));
    assert_eq!(Series::arrange(&slices, 3).unwrap().order, [0, 1, 2, 3, 4]);
    assert!(Series::arrange(&slices, 4).is_err());
    assert!(Series::arrange(&slices, 0).is_err());
    // the last volume is cut short
    slices.pop();
    assert_eq!(Series::arrange(&slices, 1).unwrap().order.len(), 4);
    assert_eq!(Series::arrange(&slices, 2).unwrap().order.len(), 5);
    // told apart by nothing
    let mut plain = stack(&[0.0, 2.0, 4.0, 0.0, 2.0, 4.0]);
    plain.iter_mut().for_each(|s| s.marks.clear());
    let series = Series::arrange(&plain, 2).unwrap();
    assert_eq!(series.order, [3, 4, 5]);
}

proptest! {
    /// Whatever order the files come in, the volume is the same.
    #[test]
    fn the_order_of_files_does_not_matter(
        seed: u64,
        count in 2_usize..40,
        turn in 0.0_f64..6.0,
        lean in -0.3_f64..0.3,
    ) {
        let mut state = seed | 1;
        let mut next = || { state ^= state << 13; state ^= state >> 7; state ^= state << 17; state };
        let (s, c) = turn.sin_cos();
        let directions = [[c, s, 0.0], [-s * lean.cos(), c * lean.cos(), lean.sin()]];
        let mut slices: Vec<Slice> = (0..count).map(|i| {
            let mut slice = test_slice(i, 0.0);
            slice.directions = directions;
            slice.position_mm = [5.0, -7.0, 3.0 + 1.5 * i as f64];
            slice
        }).collect();
        let sorted = arrange(&slices);
        for i in (1..count).rev() {
            slices.swap(i, (next() % (i as u64 + 1)) as usize);
        }
        let mixed = arrange(&slices);
        prop_assert_eq!(&sorted.grid, &mixed.grid);
        let sources: Vec<usize> = mixed.order.iter().map(|i| slices[*i].source).collect();
        prop_assert_eq!(&sources, &sorted.order);
        prop_assert!((sorted.grid.tilt_deg().abs() - lean.abs().to_degrees()).abs() < 1e-6);
    }

    /// Positions from a broken header end in an answer or an error, never otherwise.
    #[test]
    fn wild_positions_never_panic(places in proptest::collection::vec(-1e12_f64..1e12, 1..20), tiny: bool) {
        let places: Vec<f64> = places.iter().map(|p| if tiny { p * 1e-12 } else { *p }).collect();
        let _ = Series::arrange(&stack(&places), 1);
    }
}
