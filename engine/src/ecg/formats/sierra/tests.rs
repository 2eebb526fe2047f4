use super::*;
use proptest::prelude::*;

fn to_base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for part in bytes.chunks(3) {
        let word = part.iter().fold(0_u32, |w, b| w << 8 | u32::from(*b)) << (8 * (3 - part.len()));
        for place in 0..4 {
            let shown = place <= part.len();
            let letter = LETTERS[(word >> (18 - 6 * place) & 63) as usize];
            out.push(if shown { char::from(letter) } else { '=' });
        }
    }
    out
}

/// Twelve leads of 200 samples that obey Einthoven up to a step.
fn leads() -> Vec<Vec<i32>> {
    let wave =
        |n: i32, lead: i32| ((f64::from(n) / 9.0 + f64::from(lead)).sin() * 200.0) as i32 + (n * lead) % 3;
    let mut leads: Vec<Vec<i32>> = (0..12)
        .map(|lead| (0..200).map(|n| wave(n, lead)).collect())
        .collect();
    let all: Vec<(i32, i32)> = leads[0].iter().copied().zip(leads[1].iter().copied()).collect();
    for (n, (one, two)) in all.into_iter().enumerate() {
        leads[2][n] = two - one + 1;
        leads[3][n] = -(one + two) / 2 - 1;
        leads[4][n] = (one - leads[2][n]) / 2;
        leads[5][n] = (two + leads[2][n]) / 2 + 2;
    }
    leads
}

fn stored(leads: &[Vec<i32>]) -> Vec<u8> {
    let mut rest = leads.to_vec();
    for n in 0..leads[0].len() {
        let (one, two, three) = (leads[0][n], leads[1][n], leads[2][n]);
        rest[2][n] = two - one - three;
        rest[3][n] = -leads[3][n] - (one + two) / 2;
        rest[4][n] = (one - three) / 2 - leads[4][n];
        rest[5][n] = (two + three) / 2 - leads[5][n];
    }
    rest.iter().flat_map(|lead| xli::encode::chunk(lead)).collect()
}

fn document(waves: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="utf-16"?><restingecgdata xmlns="http://www3.medical.philips.com">
<dataacquisition date="2020-05-18" time="15:48:11"><machine machineid="U1">PageWriter</machine><signalcharacteristics>
<samplingrate>500</samplingrate><signalresolution>5</signalresolution><numberchannelsvalid>12</numberchannelsvalid>
</signalcharacteristics></dataacquisition><patient><generalpatientdata><patientid>9</patientid><name><lastname>李</lastname>
<firstname/></name><age><dateofbirth>1951-01-02</dateofbirth></age><sex>Female</sex></generalpatientdata></patient>
<interpretations><interpretation><statement><leftstatement>Sinus bradycardia</leftstatement><rightstatement>rate&lt; 50</rightstatement></statement></interpretation></interpretations>
<waveforms>{waves}</waveforms></restingecgdata>"#
    )
}

fn compressed() -> String {
    let coded = to_base64(&stored(&leads()));
    document(&format!(
        "<parsedwaveforms dataencoding='Base64' compression='XLI' leadlabels='I II III aVR aVL aVF V1 V2 V3 V4 V5 V6' \
         durationperchannel='400' hipass='0.05'>{coded}</parsedwaveforms>"
    ))
}

#[test]
fn compressed_leads_come_back() {
    let utf16: Vec<u8> = [0xfeff]
        .into_iter()
        .chain(compressed().encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let record = read(&utf16).unwrap();
    assert!(record.warnings.is_empty(), "{:?}", record.warnings);
    assert_eq!((record.leads.len(), record.sampling_rate_hz), (12, 500.0));
    for (lead, want) in record.leads.iter().zip(leads()) {
        let want: Vec<f32> = want.iter().map(|v| *v as f32 * 5.0).collect();
        assert_eq!(lead.samples_uv, want, "{}", lead.name);
    }
    assert_eq!(record.patient.name.as_deref(), Some("李"));
    assert_eq!(record.patient.birth_date.as_deref(), Some("19510102"));
    assert_eq!(record.acquired_at.as_deref(), Some("20200518154811"));
    assert_eq!(record.filters.low_hz, Some(0.05));
    assert_eq!(record.annotations[0].text, "Sinus bradycardia rate< 50");
}

#[test]
fn plain_and_uncompressed_leads_are_read() {
    let leads = leads();
    let words: Vec<String> = leads.iter().flatten().map(ToString::to_string).collect();
    let plain = format!(
        "<parsedwaveforms dataencoding='Plain' durationperchannel='400'>{}</parsedwaveforms>",
        words.join(" ")
    );
    let bytes: Vec<u8> = leads
        .iter()
        .flatten()
        .flat_map(|v| (*v as i16).to_le_bytes())
        .collect();
    let coded = format!(
        "<parsedwaveforms dataencoding='Base64' compressflag='False' compressmethod='XLI' durationperchannel='400'>{}</parsedwaveforms>",
        to_base64(&bytes)
    );
    for waves in [plain, coded] {
        let record = read(document(&waves).as_bytes()).unwrap();
        assert_eq!(record.leads[11].samples_uv[199], leads[11][199] as f32 * 5.0);
        assert_eq!(record.len(), 200);
    }
}

#[test]
fn the_calibration_mark_is_left_out() {
    let record = |mark: f32| {
        let lead = |name: &str| {
            let mut samples_uv = vec![0.0; 1_500];
            samples_uv[1_350..1_450].fill(mark);
            Lead {
                name: LeadName::new(name),
                samples_uv,
                resolution_uv: 5.0,
                derived: false,
            }
        };
        let leads = ["I", "II", "III"].map(lead).to_vec();
        let mut record = Record::new(FORMAT, leads, 500.0).unwrap();
        leave_out_calibration(&mut record);
        (record.len(), record.annotations.len())
    };
    assert_eq!(record(1_000.0), (1_000, 1));
    assert_eq!(record(100.0), (1_500, 0));
}

#[test]
fn what_is_cut_or_unknown_is_refused() {
    let check = |waves: &str| assert!(read(document(waves).as_bytes()).is_err(), "{waves:.120}");
    check("");
    check(
        "<parsedwaveforms dataencoding='Base64' compression='XLI' durationperchannel='400'>AAAA</parsedwaveforms>",
    );
    check("<parsedwaveforms dataencoding='Plain' durationperchannel='400'>1 2 3</parsedwaveforms>");
    check(
        "<parsedwaveforms dataencoding='Base64' compression='Huffman' durationperchannel='400'>AAAA</parsedwaveforms>",
    );
    check("<parsedwaveforms dataencoding='Plain' durationperchannel='1e12'>1 2 3</parsedwaveforms>");
    let whole = compressed();
    let whole = whole.as_bytes();
    (0..whole.len() - 1)
        .step_by(7)
        .for_each(|length| assert!(read(&whole[..length]).is_err(), "{length}"));
}

proptest! {
    #[test]
    fn hostile_documents_never_panic(changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8)) {
        let mut bytes = compressed().into_bytes();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = read(&bytes);
    }
}
