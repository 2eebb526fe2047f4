//! How the index behaves when it is large: fills it directly with made-up rows, then asks what devices and readers
//! ask. `cargo run --release -p archive --example index_at_size -- FOLDER STUDIES INSTANCES_PER_STUDY`.
//! FOLDER must be empty or absent and is left behind, about 0.9 GB for a million instances.

use archive::db::{IndexUrl, Tx};
use archive::institution::{InstitutionKind, NewInstitution};
use archive::study::{InstanceFilter, Scope, SeriesFilter, StudyFilter};
use archive::{Archive, ArchiveError, Config, InstitutionId, UnixMicros, params};
use dataset::Vr;
use dataset::matching::Match;
use std::error::Error;
use std::io::Write;
use std::time::{Duration, Instant};

/// Studies written in one transaction.
const STUDIES_A_BATCH: u64 = 2_000;
/// Studies of one patient.
const STUDIES_A_PATIENT: u64 = 3;
/// Questions of each kind.
const QUESTIONS: u64 = 300;

const PERSON: &str = "INSERT INTO person (id, national_id, created_at) VALUES ($1, NULL, 0)";
const PATIENT: &str = "INSERT INTO patient (id, institution_id, issuer, identifier, person_id, name, name_alphabetic, name_ideographic, name_phonetic, name_key, alphabetic_key, pinyin, pinyin_key, pinyin_initials, sex, birth_date, national_id, created_at, updated_at) VALUES ($1, $2, '', $3, $1, $4, $4, '', '', $5, $5, '', $6, '', 'M', $7, NULL, 0, 0)";
const STUDY: &str = "INSERT INTO study (id, study_uid, patient_id, institution_id, accession_number, study_date, study_time, description, modalities, has_waveform, state, series_count, instance_count, received_first_at, received_last_at) VALUES ($1, $2, $3, $4, $5, $6, '101530', 'CT EXAM', 'CT', 0, 'ready', 1, $7, $8, $8)";
const SERIES: &str = "INSERT INTO series (id, study_id, series_uid, modality, number, kind, instance_count, frame_count, received_first_at, received_last_at) VALUES ($1, $1, $2, 'CT', 1, 'image', $3, $3, $4, $4)";
const INSTANCE: &str = "INSERT INTO instance (id, series_id, study_id, sop_instance_uid, sop_class_uid, transfer_syntax_uid, number, frames, image_rows, image_columns, bits_allocated, object_key, size_bytes, meta_bytes, meta_digest, dataset_digest, source, received_at) VALUES ($1, $2, $2, $3, '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', $4, 1, 512, 512, 16, $5, 525000, 400, $6, $6, 'c-store', $7)";
const FAMILY: [&str; 20] = [
    "ZHANG", "WANG", "LI", "ZHAO", "CHEN", "LIU", "YANG", "HUANG", "ZHOU", "WU", "XU", "SUN", "HU", "ZHU",
    "GAO", "LIN", "HE", "GUO", "MA", "LUO",
];

struct Size {
    studies: u64,
    instances: u64,
    institution: InstitutionId,
}

fn uid(study: u64) -> String {
    format!("1.2.826.0.1.3680043.10.1437.6.{study}")
}

fn name(patient: u64) -> (String, String) {
    let family = FAMILY.get((patient % 20) as usize).copied().unwrap_or("WU");
    (family.to_owned(), format!("GIVEN{}", patient / 20))
}

fn date(study: u64) -> String {
    let day = study % 1_460;
    format!("{}{:02}{:02}", 2022 + day / 365, 1 + day % 365 / 31, 1 + day % 28)
}

async fn one_study(tx: &mut Tx, size: &Size, at: u64) -> Result<(), ArchiveError> {
    let (id, uid) = (at + 1, uid(at));
    let patient = at / STUDIES_A_PATIENT + 1;
    if at.is_multiple_of(STUDIES_A_PATIENT) {
        let (family, given) = name(patient);
        tx.execute(PERSON, params![patient]).await?;
        let values = params![
            patient,
            size.institution,
            format!("P{patient:08}"),
            format!("{family}^{given}"),
            format!("{family} {given}"),
            format!("{family}{given}"),
            format!("19{:02}0101", patient % 90)
        ];
        tx.execute(PATIENT, values).await?;
    }
    let received = UnixMicros(1_600_000_000_000_000 + id as i64 * 1_000_000);
    let accession = format!("A{at:09}");
    let values = params![
        id,
        &uid,
        patient,
        size.institution,
        accession,
        date(at),
        size.instances,
        received
    ];
    tx.execute(STUDY, values).await?;
    tx.execute(SERIES, params![id, format!("{uid}.1"), size.instances, received])
        .await?;
    for number in 1..=size.instances {
        let instance = at * size.instances + number;
        let digest: Vec<u8> = (0..4)
            .flat_map(|n| (instance + n).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes())
            .collect();
        let key = format!("20250101/143/{instance:064x}-{instance:012x}.hexi.dcm");
        let values = params![
            instance,
            id,
            format!("{uid}.1.{number}"),
            number,
            key,
            digest,
            received
        ];
        tx.execute(INSTANCE, values).await?;
    }
    Ok(())
}

/// Fills the index; gives instances a second of each tenth of the way.
async fn fill(archive: &Archive, size: &'static Size) -> Result<Vec<f64>, ArchiveError> {
    let mut pace = Vec::new();
    let (mut at, mut begun) = (0, Instant::now());
    let tenth = (size.studies / 10).max(1);
    while at < size.studies {
        let end = (at + STUDIES_A_BATCH).min(size.studies);
        archive
            .db()
            .write::<_, ArchiveError, _>(move |tx| {
                Box::pin(async move {
                    for study in at..end {
                        one_study(tx, size, study).await?;
                    }
                    Ok(())
                })
            })
            .await?;
        if at / tenth != end / tenth || end == size.studies {
            pace.push((tenth * size.instances) as f64 / begun.elapsed().as_secs_f64());
            begun = Instant::now();
        }
        at = end;
    }
    Ok(pace)
}

fn middle(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort();
    let at = |share: usize| {
        times
            .get(times.len() * share / 100)
            .map_or(f64::NAN, |t| t.as_secs_f64() * 1e3)
    };
    (at(50), at(95))
}

async fn ask(archive: &Archive, size: &Size) -> Result<String, Box<dyn Error>> {
    let studies = archive.studies();
    let scope = Scope::Of {
        institutions: vec![size.institution],
        treating: Some(size.institution),
    };
    let any = |n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % size.studies;
    let mut table = String::from("| question | answers | p50 ms | p95 ms |\n|---|---|---|---|\n");
    let kinds = [
        "accession",
        "patient-id",
        "study-uid",
        "one day",
        "family name",
        "whole name",
        "others' patient",
    ];
    for kind in kinds {
        let (mut times, mut answers) = (Vec::new(), 0);
        for n in 0..QUESTIONS {
            let study = any(n + 1);
            let patient = study / STUDIES_A_PATIENT + 1;
            let mut asked = StudyFilter::default();
            match kind {
                "accession" => asked.accession_number = Match::parse(Vr::SH, &format!("A{study:09}")),
                "patient-id" => asked.patient_id = Match::parse(Vr::LO, &format!("P{patient:08}")),
                "study-uid" => asked.study_uid = Match::parse(Vr::UI, &uid(study)),
                "one day" => asked.study_date = Match::parse(Vr::DA, &date(study)),
                "family name" => asked.patient_name = Match::parse(Vr::PN, &format!("{}*", name(patient).0)),
                "whole name" => {
                    let (family, given) = name(patient);
                    asked.patient_name = Match::parse(Vr::PN, &format!("{family}^{given}"));
                }
                _ => asked.patient_id = Match::parse(Vr::LO, &format!("P{patient:08}")),
            }
            let foreign = Scope::Of {
                institutions: vec![InstitutionId(9_999)],
                treating: Some(size.institution),
            };
            let scope = if kind == "others' patient" {
                &foreign
            } else {
                &scope
            };
            let begun = Instant::now();
            answers = studies.search(&asked, scope, 1_000, 0).await?.len().max(answers);
            times.push(begun.elapsed());
        }
        let (p50, p95) = middle(times);
        table.push_str(&format!(
            "| studies by {kind} | {answers} | {p50:.2} | {p95:.2} |\n"
        ));
    }
    table.push_str(&ask_instances(archive, size, &scope, any).await?);
    Ok(table)
}

async fn ask_instances(
    archive: &Archive,
    size: &Size,
    scope: &Scope,
    any: impl Fn(u64) -> u64,
) -> Result<String, Box<dyn Error>> {
    let (studies, mut table) = (archive.studies(), String::new());
    for kind in ["instance", "instances of a series", "instance search"] {
        let (mut times, mut answers) = (Vec::new(), 0);
        for n in 0..QUESTIONS {
            let uid = uid(any(n + 1) % size.studies);
            let begun = Instant::now();
            answers = match kind {
                "instance" => usize::from(studies.instance(&format!("{uid}.1.1")).await?.is_some()),
                "instances of a series" => studies
                    .instances_of_series(&uid, &format!("{uid}.1"))
                    .await?
                    .len(),
                _ => {
                    let series = SeriesFilter {
                        series_uid: Match::parse(Vr::UI, &format!("{uid}.1")),
                        ..SeriesFilter::default()
                    };
                    let asked = InstanceFilter {
                        series,
                        ..InstanceFilter::default()
                    };
                    studies.instances(&asked, scope, 1_000, 0).await?.len()
                }
            };
            times.push(begun.elapsed());
        }
        let (p50, p95) = middle(times);
        table.push_str(&format!("| {kind} | {answers} | {p50:.2} | {p95:.2} |\n"));
    }
    Ok(table)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let folder = std::path::PathBuf::from(words.next().ok_or("say FOLDER STUDIES INSTANCES_PER_STUDY")?);
    let studies = words.next().and_then(|w| w.parse().ok()).unwrap_or(100_000);
    let instances = words.next().and_then(|w| w.parse().ok()).unwrap_or(10);
    let config = Config {
        index: IndexUrl::Sqlite(folder.join("index.sqlite")),
        objects: folder.join("objects"),
        data_dir: folder.clone(),
        store: archive::store::Settings::default(),
    };
    let archive = Archive::open(config, &[]).await?;
    let hospital = NewInstitution {
        code: "HEXI".to_owned(),
        name_zh: "河西镇中心卫生院".to_owned(),
        name_en: "Hexi Township Hospital".to_owned(),
        kind: InstitutionKind::TownshipHospital,
    };
    let institution = archive.institutions().create(hospital).await?.id;
    let size: &'static Size = Box::leak(Box::new(Size {
        studies,
        instances,
        institution,
    }));
    let pace = fill(&archive, size).await?;
    let bytes = std::fs::metadata(folder.join("index.sqlite"))?.len();
    let pace: Vec<String> = pace.iter().map(|p| format!("{p:.0}")).collect();
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{studies} studies, {} instances, {:.2} GB; instances written a second, each tenth: {}\n",
        studies * instances,
        bytes as f64 / 1e9,
        pace.join(" ")
    )?;
    writeln!(out, "{}", ask(&archive, size).await?)?;
    Ok(())
}
