//! Finding what was stored, at each level, on both databases, within the asker's scope.

use super::*;
use crate::events::EventKind;
use crate::receive::{Sender, Source};
use crate::testing::{ObjectSpec, Postgres, hospital, temporary};
use crate::{InstitutionId, UnixMicros};
use dataset::Vr;
use dataset::matching::Match;
use std::time::Duration;

async fn put(archive: &Archive, institution: InstitutionId, spec: &ObjectSpec) {
    let sender = Sender::account("tech", "technician", institution, None, Source::Stow);
    archive
        .receive_part10(sender, None, spec.file_bytes().into())
        .await
        .unwrap();
}

struct Sites {
    archive: Archive,
    hexi: InstitutionId,
    dongshan: InstitutionId,
}

async fn filled(archive: Archive) -> Sites {
    let hexi = archive.institutions().create(hospital("HEXI")).await.unwrap().id;
    let dongshan = archive
        .institutions()
        .create(hospital("DONGSHAN"))
        .await
        .unwrap()
        .id;
    let people = [
        ("1.1", "Wang^XiaoMing=王^小明", "P001", "20250101", hexi),
        ("1.2", "Wang^Fang=王^芳", "P002", "20250215", hexi),
        ("1.3", "李四", "P003", "20250301", dongshan),
        ("1.4", "SMITH^ANN", "P001", "20251120", dongshan),
    ];
    for (study, name, id, date, owner) in people {
        for (series, n) in [(1, 1), (1, 2), (2, 1)] {
            let mut spec = ObjectSpec::new(study, series, n);
            spec.patient_name = name.to_owned();
            spec.patient_id = id.to_owned();
            spec.study_date = date.to_owned();
            spec.accession = Some(format!("A{study}"));
            put(&archive, owner, &spec).await;
        }
    }
    put(
        &archive,
        dongshan,
        &ObjectSpec {
            patient_id: "P003".into(),
            patient_name: "李四".into(),
            ..ObjectSpec::waveform("1.3", 9, 1)
        },
    )
    .await;
    Sites {
        archive,
        hexi,
        dongshan,
    }
}

async fn found(archive: &Archive, asked: &StudyFilter, scope: &Scope) -> String {
    let items = archive.studies().search(asked, scope, 100, 0).await.unwrap();
    let mut uids: Vec<String> = items.into_iter().map(|item| item.study.study_uid).collect();
    uids.sort();
    uids.join(" ")
}

async fn keys_match(at: &Sites) {
    type Set = fn(&mut StudyFilter, Match);
    let cases: [(Set, Vr, &str, &str); 24] = [
        (|f, m| f.study_uid = m, Vr::UI, "1.2", "1.2"),
        (|f, m| f.study_uid = m, Vr::UI, "1.2\\1.4\\9", "1.2 1.4"),
        (|f, m| f.patient_id = m, Vr::LO, "P001", "1.1 1.4"),
        (|f, m| f.patient_id = m, Vr::LO, "P00?", "1.1 1.2 1.3 1.4"),
        (|f, m| f.patient_id = m, Vr::LO, "P%1", ""),
        (|f, m| f.patient_name = m, Vr::PN, "wang*", "1.1 1.2"),
        (|f, m| f.patient_name = m, Vr::PN, "WANG^XIAOMING", "1.1"),
        (|f, m| f.patient_name = m, Vr::PN, "王*", "1.1 1.2"),
        (|f, m| f.patient_name = m, Vr::PN, "王^小明", "1.1"),
        (|f, m| f.patient_name = m, Vr::PN, "王小明", "1.1"),
        (|f, m| f.patient_name = m, Vr::PN, "*明", "1.1"),
        (|f, m| f.patient_name = m, Vr::PN, "LISI", "1.3"),
        (|f, m| f.patient_name = m, Vr::PN, "smith^*", "1.4"),
        (|f, m| f.patient_name = m, Vr::PN, "*ANN", "1.4"),
        (|f, m| f.patient_name = m, Vr::PN, "*", "1.1 1.2 1.3 1.4"),
        (|f, m| f.study_date = m, Vr::DA, "20250101-20250228", "1.1 1.2"),
        (|f, m| f.study_date = m, Vr::DA, "20250301-", "1.3 1.4"),
        (|f, m| f.study_date = m, Vr::DA, "-20250101", "1.1"),
        (|f, m| f.study_date = m, Vr::DA, "20250215", "1.2"),
        (|f, m| f.accession_number = m, Vr::SH, "A1.3", "1.3"),
        (|f, m| f.modality = m, Vr::CS, "ECG", "1.3"),
        (|f, m| f.modality = m, Vr::CS, "MR", ""),
        (|f, m| f.description = m, Vr::LO, "*ct*", "1.1 1.2 1.3 1.4"),
        (|f, m| f.birth_date = m, Vr::DA, "19610101-", ""),
    ];
    for (set, vr, text, expect) in cases {
        let mut asked = StudyFilter::default();
        set(&mut asked, Match::parse(vr, text));
        assert_eq!(found(&at.archive, &asked, &Scope::All).await, expect, "{text}");
    }
}

async fn names_are_found_as_people_remember_them(at: &Sites) {
    for (text, expect) in [
        ("xiaoming", "1.1"),
        ("ming xiao", ""),
        ("xiaoming wang", "1.1"),
        ("小明", "1.1"),
        ("wxm", "1.1"),
        ("wangxm", "1.1"),
        ("wáng fāng", "1.2"),
        ("w*", "1.1 1.2"),
        ("ls", "1.3"),
        ("ann smith", "1.4"),
        ("P001", ""),
    ] {
        let asked = StudyFilter {
            patient_name: Match::parse(Vr::PN, text),
            fuzzy_names: true,
            ..StudyFilter::default()
        };
        assert_eq!(found(&at.archive, &asked, &Scope::All).await, expect, "{text}");
    }
}

async fn levels_below_hold_their_parents(at: &Sites) {
    let studies = at.archive.studies();
    let asked = SeriesFilter {
        study: StudyFilter {
            study_uid: Match::parse(Vr::UI, "1.3"),
            ..StudyFilter::default()
        },
        ..SeriesFilter::default()
    };
    let series = studies.series(&asked, &Scope::All, 100, 0).await.unwrap();
    let brief: Vec<_> = series
        .iter()
        .map(|s| {
            (
                s.series.number.unwrap_or(0),
                s.series.modality.as_str(),
                s.series.instance_count,
                s.series.kind.as_str(),
            )
        })
        .collect();
    assert_eq!(
        brief,
        [
            (1, "CT", 2, "image"),
            (2, "CT", 1, "image"),
            (9, "ECG", 1, "waveform")
        ]
    );
    assert!(
        series
            .iter()
            .all(|s| s.patient.identifier == "P003" && s.study.instance_count == 4)
    );
    let numbered = SeriesFilter {
        number: Match::Single("9".into()),
        ..asked.clone()
    };
    assert_eq!(
        studies.series(&numbered, &Scope::All, 9, 0).await.unwrap().len(),
        1
    );
}

async fn instances_page_and_patients_stay_apart(at: &Sites) {
    let studies = at.archive.studies();
    let asked = InstanceFilter {
        series: SeriesFilter {
            series_uid: Match::parse(Vr::UI, "1.1.1"),
            ..SeriesFilter::default()
        },
        ..InstanceFilter::default()
    };
    let instances = studies.instances(&asked, &Scope::All, 100, 0).await.unwrap();
    assert_eq!(
        instances
            .iter()
            .map(|i| i.instance.sop_instance_uid.as_str())
            .collect::<Vec<_>>(),
        ["1.1.1.1", "1.1.1.2"]
    );
    let paged = studies.instances(&asked, &Scope::All, 1, 1).await.unwrap();
    assert_eq!(paged[0].instance.sop_instance_uid, "1.1.1.2");
    let patients = studies
        .patients(
            &StudyFilter {
                patient_id: Match::Single("P001".into()),
                ..StudyFilter::default()
            },
            &Scope::All,
            10,
            0,
        )
        .await
        .unwrap();
    // One number at two institutions is two patients.
    assert_eq!(
        patients
            .iter()
            .map(|p| (p.patient.institution_id, p.study_count))
            .collect::<Vec<_>>(),
        [(at.dongshan, 1), (at.hexi, 1)]
    );
}

async fn nobody_sees_beyond_the_scope(at: &Sites) {
    let all = StudyFilter::default();
    let scope = |institutions: &[InstitutionId], treating| Scope::Of {
        institutions: institutions.to_vec(),
        treating,
    };
    assert_eq!(
        found(&at.archive, &all, &scope(&[at.hexi], None)).await,
        "1.1 1.2"
    );
    assert_eq!(
        found(&at.archive, &all, &scope(&[at.hexi, at.dongshan], None)).await,
        "1.1 1.2 1.3 1.4"
    );
    assert_eq!(found(&at.archive, &all, &scope(&[], None)).await, "");
    assert_eq!(
        found(&at.archive, &all, &scope(&[], Some(at.dongshan))).await,
        "1.3 1.4"
    );
    // The same person at both: a link makes the prior study visible where they are treated.
    let patients = at.archive.patients();
    let both = patients.by_identifier("P001").await.unwrap();
    let person = patients
        .link(both[0].id, both[1].id, "同一身份证", "admin")
        .await
        .unwrap();
    assert_eq!(patients.by_person(person).await.unwrap().len(), 2);
    assert_eq!(
        found(&at.archive, &all, &scope(&[at.dongshan], Some(at.dongshan))).await,
        "1.1 1.3 1.4"
    );
    assert!(patients.link(both[0].id, both[1].id, " ", "admin").await.is_err());
    patients.unlink(both[0].id, "误合并", "admin").await.unwrap();
    assert_eq!(
        found(&at.archive, &all, &scope(&[at.dongshan], Some(at.dongshan))).await,
        "1.3 1.4"
    );
}

async fn attributes_and_places_are_kept(at: &Sites) {
    let studies = at.archive.studies();
    let item = studies.instance("1.1.1.2").await.unwrap().unwrap();
    let json = studies.attributes(item.instance.id).await.unwrap();
    assert_eq!(json["00100010"]["Value"][0]["Ideographic"], "王^小明");
    assert_eq!(json["7FE00010"]["BulkDataURI"], "/7FE00010");
    let pixels = studies.pixel_data(item.instance.id).await.unwrap().unwrap();
    let file = at
        .archive
        .store()
        .read_range(
            &item.instance.object_key,
            item.instance.digests.meta_bytes + pixels.offset,
            pixels.length.unwrap(),
        )
        .unwrap();
    assert_eq!((file.len(), file[0], file[8191]), (64 * 64 * 2, 2, 2));
    let all = studies.attributes_of_series("1.1", "1.1.1").await.unwrap();
    assert_eq!(
        all.iter()
            .map(|a| a.sop_instance_uid.as_str())
            .collect::<Vec<_>>(),
        ["1.1.1.1", "1.1.1.2"]
    );
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&all[1].text().unwrap()).unwrap(),
        json
    );
    assert_eq!(studies.attributes_of_study("1.3").await.unwrap().len(), 4);
    assert_eq!(studies.instances_of_study("1.3").await.unwrap().len(), 4);
    assert_eq!(
        studies.instances_of_series("1.3", "1.1.1").await.unwrap().len(),
        0,
        "the study counts too"
    );
    let (series, study) = studies.series_by_uid("1.3.9").await.unwrap().unwrap();
    assert_eq!(
        (series.instance_count, study.modalities.join("/").as_str()),
        (1, "CT/ECG")
    );
    assert!(studies.by_uid("7.7").await.unwrap().is_none());
}

async fn quiet_studies_become_ready(at: &Sites) {
    let mut news = at.archive.events().listen();
    let studies = at.archive.studies();
    assert_eq!(studies.settle_quiet(Duration::from_secs(600)).await.unwrap(), 0);
    assert!(studies.settle_now("1.1").await.unwrap() && !studies.settle_now("1.1").await.unwrap());
    assert_eq!(studies.settle_quiet(Duration::ZERO).await.unwrap(), 3);
    assert_eq!(
        studies.by_uid("1.2").await.unwrap().unwrap().state,
        StudyState::Ready
    );
    let mut kinds = Vec::new();
    while let Ok(event) = news.try_recv() {
        kinds.push(event.kind);
    }
    assert_eq!(kinds, [EventKind::StudyReady; 4]);
    // One more object opens it again.
    put(
        &at.archive,
        at.hexi,
        &ObjectSpec {
            patient_id: "P002".into(),
            ..ObjectSpec::new("1.2", 3, 1)
        },
    )
    .await;
    assert_eq!(
        studies.by_uid("1.2").await.unwrap().unwrap().state,
        StudyState::Receiving
    );
}

async fn patients_are_found_by_any_beginning(at: &Sites) {
    let patients = at.archive.patients();
    for (text, expect) in [
        ("P00", 4),
        ("王", 2),
        ("wang x", 1),
        ("wangf", 1),
        ("WXM", 1),
        ("lisi", 1),
        ("明", 1),
        ("", 0),
        ("%", 0),
    ] {
        let found = patients.search(text, crate::PatientId(0), 10).await.unwrap();
        assert_eq!(found.len(), expect, "{text}");
    }
}

async fn derived_results_are_replaced_by_newer_ones(at: &Sites) {
    let derived = at.archive.derived();
    let big = vec![9u8; 200_000];
    assert!(
        derived
            .put("1.1.1", "thumbnail", 2, "image/jpeg", big.clone())
            .await
            .unwrap()
    );
    assert!(
        !derived
            .put("1.1.1", "thumbnail", 1, "image/jpeg", vec![1])
            .await
            .unwrap()
    );
    assert_eq!(
        derived.get("1.1.1", "thumbnail").await.unwrap().unwrap().content,
        big
    );
    assert!(
        derived
            .put("1.1.1", "thumbnail", 2, "image/png", vec![5, 6])
            .await
            .unwrap()
    );
    let now = derived.get("1.1.1", "thumbnail").await.unwrap().unwrap();
    assert_eq!(
        (now.content, now.info.content_type.as_str(), now.info.size_bytes),
        (vec![5, 6], "image/png", 2)
    );
    assert_eq!(derived.list("1.1.1").await.unwrap().len(), 1);
    derived.remove("1.1.1", "thumbnail").await.unwrap();
    assert!(derived.info("1.1.1", "thumbnail").await.unwrap().is_none());
    assert!(now.info.made_at <= UnixMicros::now());
}

/// A number that a device uses again: each study stands under the name in its objects, the patient keeps theirs.
async fn studies_stand_under_their_own_names(at: &Sites) {
    let mut spec = ObjectSpec::new("2.9", 1, 1);
    spec.patient_id = "P002".into();
    spec.patient_name = "Zhao^Qian=赵^倩".into();
    put(&at.archive, at.hexi, &spec).await;
    let names = async |study: &str| {
        let asked = StudyFilter {
            study_uid: Match::Single(study.into()),
            ..StudyFilter::default()
        };
        let found = at
            .archive
            .studies()
            .search(&asked, &Scope::All, 1, 0)
            .await
            .unwrap();
        let patient = found.into_iter().next().unwrap().patient;
        (patient.name, patient.name_alphabetic, patient.name_ideographic)
    };
    let own = |display: &str, latin: &str, characters: &str| {
        (display.to_owned(), latin.to_owned(), characters.to_owned())
    };
    assert_eq!(names("2.9").await, own("赵倩", "Zhao^Qian", "赵^倩"));
    assert_eq!(names("1.2").await, own("王芳", "Wang^Fang", "王^芳"));
    for asked in ["赵*", "ZHAO^QIAN", "zhaoqian*"] {
        let by_name = StudyFilter {
            patient_name: Match::parse(Vr::PN, asked),
            ..StudyFilter::default()
        };
        let found = at
            .archive
            .studies()
            .search(&by_name, &Scope::All, 9, 0)
            .await
            .unwrap();
        assert!(
            found.iter().any(|s| s.study.study_uid.as_str() == "2.9"),
            "{asked}"
        );
    }
    let known = at.archive.patients().by_identifier("P002").await.unwrap();
    assert_eq!(
        known.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(),
        ["王芳"]
    );
}

async fn all(archive: Archive) {
    let at = filled(archive).await;
    names_are_found_as_people_remember_them(&at).await;
    keys_match(&at).await;
    levels_below_hold_their_parents(&at).await;
    instances_page_and_patients_stay_apart(&at).await;
    nobody_sees_beyond_the_scope(&at).await;
    attributes_and_places_are_kept(&at).await;
    patients_are_found_by_any_beginning(&at).await;
    quiet_studies_become_ready(&at).await;
    derived_results_are_replaced_by_newer_ones(&at).await;
    studies_stand_under_their_own_names(&at).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite() {
    let (archive, _folder) = temporary(&[]).await.unwrap();
    all(archive).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres() {
    let Some(server) = Postgres::start().unwrap() else {
        println!("skipped: PostgreSQL is not installed");
        return;
    };
    let (archive, _folder) = server.archive(&[]).await.unwrap();
    all(archive).await;
}
