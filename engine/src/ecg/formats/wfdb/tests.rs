use super::*;
use proptest::prelude::*;

fn side<'a>(files: &'a [(&'a str, Vec<u8>)]) -> impl Fn(&str) -> Option<Vec<u8>> + 'a {
    move |name| files.iter().find(|f| f.0 == name).map(|f| f.1.clone())
}

#[test]
fn storage_formats_decode() {
    let check = |format: &str, data: &[u8], expect: &[f32]| {
        let header = format!(
            "r 1 250 {}\nr.dat {format} 1000(0)/mV 12 0 0 0 0 II\n",
            expect.len()
        );
        let record = read(header.as_bytes(), &side(&[("r.dat", data.to_vec())])).unwrap();
        assert_eq!(record.leads[0].samples_uv, expect, "format {format}");
    };
    check("16", &[1, 0, 255, 255], &[1.0, -1.0]);
    check("61", &[0, 1, 255, 254], &[1.0, -2.0]);
    check("160", &[1, 128, 255, 127], &[1.0, -1.0]);
    check("80", &[129, 0x7f, 130], &[1.0, -1.0, 2.0]);
    check("8", &[1, 255, 3], &[1.0, 0.0, 3.0]);
    check("24", &[1, 0, 0, 255, 255, 255], &[1.0, -1.0]);
    check("32", &[2, 0, 0, 0, 254, 255, 255, 255], &[2.0, -2.0]);
    check("212", &[0x01, 0xf0, 0xff], &[1.0, -1.0]);
    check("310", &[0x02, 0xf8, 0xfe, 0xff], &[1.0, -1.0, -1.0]);
    check("311", &[0x01, 0x0c, 0x20, 0x00], &[1.0, 3.0, 2.0]);
    check("16+2", &[9, 9, 7, 0], &[7.0]);
}

#[test]
fn gaps_skew_units_and_frames() {
    let data = [5, 0, 0, 0x80, 7, 0, 8, 0];
    let record = read(
        b"r 1 250 4\nr.dat 16:1 1/uV\n",
        &side(&[("r.dat", data.to_vec())]),
    )
    .unwrap();
    let got = &record.leads[0].samples_uv;
    assert!(got[0].is_nan() && got[3].is_nan());
    assert_eq!(got[1..3], [7.0, 8.0]);
    let header = b"r 2 250 1\nr.dat 16x3 1/uV 16 0 0 20 0 V1\nr.dat 16 1/mmHg 16 0 0 8 0 ABP\n";
    let record = read(header, &side(&[("r.dat", data.to_vec())])).unwrap();
    assert_eq!(record.leads.len(), 1);
    assert_eq!(record.leads[0].samples_uv, [6.0]);
    assert!(
        record.warnings.iter().any(|w| w.contains("ABP")),
        "{:?}",
        record.warnings
    );
}

#[test]
fn a_cut_or_missing_file_is_said() {
    let header = b"r 1 250 100\nr.dat 16 200/mV 16 0 0 0 0 II\n";
    let half = read(header, &side(&[("r.dat", vec![0; 100])])).unwrap();
    assert!(half.warnings.iter().any(|w| w.contains("50 of 100")));
    assert!(matches!(
        read(header, &side(&[("r.dat", vec![0; 2])])),
        Err(EcgError::Cut { .. })
    ));
    let missing = read(header, &side(&[])).unwrap_err();
    assert!(missing.to_string().contains("r.dat"));
    let wrong = read(
        b"r 1 250 2\nr.dat 16 200/mV 16 0 0 5 0 II\n",
        &side(&[("r.dat", vec![0; 4])]),
    )
    .unwrap();
    assert!(wrong.warnings.iter().any(|w| w.contains("checksum")));
}

#[test]
fn paths_out_of_the_folder_are_refused() {
    for name in ["../r.dat", "/etc/passwd", "a\\b"] {
        let header = format!("r 1 250 2\n{name} 16 200/mV\n");
        assert!(
            matches!(read(header.as_bytes(), &side(&[])), Err(EcgError::Field { .. })),
            "{name}"
        );
    }
}

#[test]
fn segments_join_with_gaps() {
    let files = [
        (
            "a.hea",
            b"a 1 250 2\na.dat 16 1000(0)/mV 16 0 0 0 0 II\n".to_vec(),
        ),
        ("a.dat", vec![1, 0, 2, 0]),
        (
            "b.hea",
            b"b 1 250 1\nb.dat 16 2000(0)/mV 16 0 0 0 0 II\n".to_vec(),
        ),
        ("b.dat", vec![6, 0]),
    ];
    let record = read(b"m/3 1 250 4\na 2\n~ 1\nb 1\n", &side(&files)).unwrap();
    let got = &record.leads[0].samples_uv;
    assert_eq!(got[..2], [1.0, 2.0]);
    assert!(got[2].is_nan());
    assert_eq!(got[3], 3.0);
}

#[test]
fn of_a_segment_only_what_the_record_asks_for_is_read() {
    let part = b"a 1 250 30\na.dat 16x2:1 1000(0)/mV 16 0 0 7 0 II\n".to_vec();
    let files = [("a.hea", part), ("a.dat", vec![1; 120])];
    let lines = "a 3\n".repeat(2_000);
    let header = format!("m/2000 1 250 6000\n{lines}");
    let record = read(header.as_bytes(), &side(&files)).unwrap();
    assert_eq!(record.len(), 6_000);
    assert!(record.leads[0].samples_uv.iter().all(|v| *v == 257.0));
    assert!(record.warnings.len() <= 1_000, "{}", record.warnings.len());
    assert!(record.warnings.iter().all(|w| w.contains("averaged")));
    let large = ("a.dat", vec![1; 3 << 20]);
    let often = read(header.as_bytes(), &side(&[files[0].clone(), large]));
    assert!(matches!(often, Err(EcgError::TooLarge { .. })), "{often:?}");
}

#[test]
fn age_and_sex_stand_in_comments() {
    let check = |comment: &str, age: Option<f64>, sex: Option<&str>| {
        let header = format!("r 1 250 1\nr.dat 16\n{comment}\n");
        let record = read(header.as_bytes(), &side(&[("r.dat", vec![1, 0])])).unwrap();
        assert_eq!(
            (record.patient.age_years, record.patient.sex.as_deref()),
            (age, sex),
            "{comment}"
        );
    };
    check("# 69 M 1085 1629 x1", Some(69.0), Some("M"));
    check("# age: 81\n# sex: female", Some(81.0), Some("F"));
    check("#<age>: 51\n#<sex>: F", Some(51.0), Some("F"));
    check("# Aldomet, Inderal", None, None);
}

proptest! {
    #[test]
    fn hostile_headers_never_panic(text in "[a-z0-9/ .()x:+#~\n-]{0,200}", data in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = read(text.as_bytes(), &|_: &str| Some(data.clone()));
    }

    #[test]
    fn mutated_records_never_panic(at in 0_usize..64, value: u8, data in proptest::collection::vec(any::<u8>(), 0..64)) {
        let mut header = b"r 2 250/9(1) 8 10:00:00 1/1/2000\nr.dat 212x2:1+1 200(3)/mV 12 0 1 2 0 II\nr.dat 212 200 12 0 0 0 0 V\n".to_vec();
        let at = at % header.len();
        header[at] = value;
        let _ = read(&header, &|_: &str| Some(data.clone()));
    }
}

#[test]
fn flac_files_are_unpacked() {
    let channels: Vec<Vec<i32>> = (0..2)
        .map(|k| (0..400).map(|n| (n * (k + 1)) % 97 - 40).collect())
        .collect();
    let data = flac::encode::stream(&channels, 1);
    let sums: Vec<i16> = channels.iter().map(|c| c.iter().sum::<i32>() as i16).collect();
    let header = format!(
        "r 2 250 200\nr.dat 516x2 1(0)/uV 16 0 0 {} 0 I\nr.dat 516x2 1(0)/uV 16 0 0 {} 0 II\n",
        sums[0], sums[1]
    );
    let record = read(header.as_bytes(), &side(&[("r.dat", data.clone())])).unwrap();
    assert_eq!((record.len(), record.leads.len()), (200, 2));
    let mean = |place: usize| (channels[1][2 * place] + channels[1][2 * place + 1]) as f32 / 2.0;
    assert_eq!(record.leads[1].samples_uv[150], mean(150).round());
    assert!(
        record.warnings.iter().all(|w| w.contains("averaged")),
        "{:?}",
        record.warnings
    );
    let cut = read(
        header.as_bytes(),
        &side(&[("r.dat", data[..data.len() - 9].to_vec())]),
    )
    .unwrap();
    assert!(
        cut.warnings.iter().any(|w| w.contains("cut")),
        "{:?}",
        cut.warnings
    );
    assert!(matches!(
        read(header.as_bytes(), &side(&[("r.dat", b"fLaC".to_vec())])),
        Err(EcgError::Cut { .. })
    ));
}
