//! What is computed from recordings, and the rules that judge it.

use super::ecg_files;
use engine::ecg::Record;
use engine::ecg::critical::Ruleset;

/// The rule sets that are built in.
const RULES: [&str; 3] = [
    include_str!("../../engine/src/ecg/critical/rules/consensus_2017.toml"),
    include_str!("../../engine/src/ecg/critical/rules/zhejiang.toml"),
    include_str!("../../engine/src/ecg/critical/rules/shanxi.toml"),
];

/// Sound inputs to start from: target and bytes.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let mut seeds: Vec<(&'static str, Vec<u8>)> = RULES
        .iter()
        .map(|text| ("critical_rules", text.as_bytes().to_vec()))
        .collect();
    // one beat a second in two leads of 100 Hz, eight seconds
    let beat = |i: i16| match i % 100 {
        48 => -100,
        49 => 600,
        50 => 1200,
        51 => 300,
        52 => -200,
        70..=85 => 200,
        _ => i % 7,
    };
    let signal: Vec<u8> = (0..800)
        .chain(0..800)
        .flat_map(|i| beat(i).to_le_bytes())
        .collect();
    seeds.push(("ecg_analyze", [&[1, 1, 0][..], &signal].concat()));
    seeds.push(("ecg_analyze", [&[11, 0, 1][..], &signal].concat()));
    seeds
}

/// Rule sets of critical values, as a county writes them.
pub fn critical_rules(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let read = Ruleset::parse(&text);
    assert_eq!(read, Ruleset::parse(&text), "the same text is read the same way");
    if let Err(error) = read {
        assert!(error.to_string().len() < 2_000, "an error is a sentence");
    }
}

/// Any signal in one to twelve leads goes through the whole analysis.
pub fn ecg_analyze(bytes: &[u8]) {
    let Some((&[leads, rate, scale], data)) = bytes.split_first_chunk::<3>() else {
        return;
    };
    let count = usize::from(leads % 12) + 1;
    let hz = [50.0, 100.0, 250.0, 360.0, 500.0, 1000.0][usize::from(rate % 6)];
    let uv = [0.1, 5.0, 1000.0, 1e12][usize::from(scale % 4)];
    let value = |pair: &[u8]| match i16::from_le_bytes([pair[0], pair[1]]) {
        i16::MIN => f32::NAN,
        i16::MAX => f32::INFINITY,
        other => f32::from(other) * uv,
    };
    let samples: Vec<f32> = data.chunks_exact(2).map(value).collect();
    let length = samples.len() / count;
    let leads = ecg_files::leads(count, |index| {
        samples[index * length..(index + 1) * length].to_vec()
    });
    let Ok(record) = Record::new("fuzz", leads, hz) else {
        return;
    };
    ecg_files::check(&record);
    let analysis = engine::ecg::analyze(&record);
    let _ = serde_json::to_string(&analysis).expect("what was found can be written");
}
