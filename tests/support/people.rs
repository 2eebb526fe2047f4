//! The people and devices of a county, each a type that can do what such a person does, so that a test reads as a
//! sentence. What they do goes through HTTP and DICOM, and each step says what was answered when it is not as due.

use super::eventually;
use super::http::{Answer, Client};
use super::objects::{element, sequence, value};
use super::peer::{Association, EXPLICIT_LE, MODALITY_WORKLIST_FIND, StoreRequest};
use fixtures::study::{Equipment, OrderInfo, Patient, Priority, StudyContext, da};
use fixtures::{DicomFile, Seed};
use serde_json::{Value, json};
use std::net::SocketAddr;
use time::{Duration, OffsetDateTime, PrimitiveDateTime};

/// How long a received study may take until a reader sees it, with its ECG measured.
const APPEARS_SECONDS_MAX: u64 = 30;

/// A placed exam request.
#[derive(Debug, Clone)]
pub struct Order {
    pub accession_number: String,
    pub study_uid: String,
    pub patient_row: String,
    pub item_code: &'static str,
}

/// What a reader says.
pub struct Report {
    pub findings: &'static str,
    pub impression: &'static str,
}

/// An exam that a device found on its modality worklist.
pub struct ScheduledExam {
    pub accession_number: String,
    pub study_uid: String,
    pub patient_id: String,
    pub patient_name: String,
}

#[track_caller]
fn ok(answer: Answer) -> Answer {
    assert!(
        (200..300).contains(&answer.status),
        "{}: {}",
        answer.status,
        answer.text()
    );
    answer
}

#[track_caller]
fn refused(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
}

fn place(
    client: &Client,
    number: &str,
    patient: &Patient,
    item_code: &'static str,
    ae: Option<&str>,
) -> Order {
    let born = da(patient.birth_date);
    let placed = ok(client.post(
        "/api/orders",
        &json!({
            "patient": {
                "id": number,
                "name": patient.name_zh.replace('^', ""),
                "sex": patient.sex.defined_term(),
                "birth_date": format!("{}-{}-{}", &born[..4], &born[4..6], &born[6..8]),
                "national_id": patient.national_id,
            },
            "item_code": item_code,
            "priority": "URGENT",
            "clinical_history": "咳嗽、胸闷3天",
            "scheduled_ae": ae,
        }),
    ))
    .json();
    let text = |key: &str| placed[key].as_str().expect(key).to_owned();
    Order {
        accession_number: text("accession_number"),
        study_uid: text("study_uid"),
        patient_row: text("patient_id"),
        item_code,
    }
}

/// Works at the township hospital: asks for exams and makes them.
pub struct Technician(pub Client);

impl Technician {
    /// Places an exam request for a device of the own hospital.
    pub fn orders(&self, item_code: &'static str, patient: &Patient, on: &Device) -> Order {
        place(&self.0, &patient.id, patient, item_code, Some(on.ae_title))
    }

    /// Hands in the file of a cart under the request.
    pub fn uploads(&self, order: &Order, name: &str, file: &[u8]) {
        let field = format!(
            "--bnd\r\nContent-Disposition: form-data; name=\"accession_number\"\r\n\r\n{}\r\n--bnd\r\n\
             Content-Disposition: form-data; name=\"files\"; filename=\"{name}\"\r\n\r\n",
            order.accession_number
        );
        let body = [field.as_bytes(), file, b"\r\n--bnd--\r\n"].concat();
        let kind = [("Content-Type", "multipart/form-data; boundary=bnd")];
        let answer = ok(self.0.request("POST", "/api/ecg/recordings", &kind, &body)).json();
        assert_eq!(answer["items"][0]["outcome"], "stored", "{answer}");
        assert_eq!(
            answer["items"][0]["study_uid"],
            order.study_uid.as_str(),
            "{answer}"
        );
    }

    /// Sees that the exam came back from reading.
    pub fn is_told_that_it_is_reported(&self, order: &Order) {
        let page = ok(self.0.get("/api/orders?limit=20")).json();
        let line = item_of(&page, &order.study_uid).expect("the own order");
        assert_eq!(line["state"], "reported", "{line}");
    }
}

/// An enrolled device of the township hospital.
pub struct Device {
    to: SocketAddr,
    ae_title: &'static str,
    modality: &'static str,
}

impl Device {
    pub fn new(to: SocketAddr, ae_title: &'static str, modality: &'static str) -> Device {
        Device {
            to,
            ae_title,
            modality,
        }
    }

    fn associate(&self, sop_class_uid: &str) -> Association {
        let contexts = [(sop_class_uid, EXPLICIT_LE)];
        Association::open(self.to, self.ae_title, "GONGYING", &contexts).expect("association")
    }

    /// Asks for its modality worklist in GB18030 and picks the exam.
    pub fn finds_on_its_worklist(&self, order: &Order) -> ScheduledExam {
        let mut step = element(0x0008, 0x0060, "CS", self.modality.as_bytes());
        step.extend(element(0x0040, 0x0001, "AE", self.ae_title.as_bytes()));
        step.extend(element(0x0040, 0x0002, "DA", b""));
        let mut keys = element(0x0008, 0x0005, "CS", b"GB18030");
        keys.extend(element(0x0008, 0x0050, "SH", b""));
        keys.extend(element(0x0010, 0x0010, "PN", b""));
        keys.extend(element(0x0010, 0x0020, "LO", b""));
        keys.extend(element(0x0020, 0x000D, "UI", b""));
        keys.extend(sequence(0x0040, 0x0100, &step));
        let mut association = self.associate(MODALITY_WORKLIST_FIND);
        let (found, status) = association.find(MODALITY_WORKLIST_FIND, &keys).expect("C-FIND");
        assert_eq!(status, 0, "status of the worklist query");
        association.release().expect("release");
        let wanted = order.accession_number.as_bytes();
        let answer = found
            .iter()
            .find(|set| value(set, 0x0008, 0x0050, "SH") == Some(wanted))
            .unwrap_or_else(|| panic!("{} is not among {} answers", order.accession_number, found.len()));
        let text = |group, number, vr| {
            let bytes = value(answer, group, number, vr).expect("a value");
            encoding_of_gb18030(bytes)
        };
        ScheduledExam {
            accession_number: text(0x0008, 0x0050, "SH"),
            study_uid: text(0x0020, 0x000D, "UI"),
            patient_id: text(0x0010, 0x0020, "LO"),
            patient_name: text(0x0010, 0x0010, "PN"),
        }
    }

    /// What the objects of the exam share: patient, accession number and study UID are those of the worklist.
    pub fn takes_in(&self, exam: &ScheduledExam, patient: &Patient) -> StudyContext {
        let now = OffsetDateTime::now_utc() + Duration::hours(8);
        let mut study = StudyContext::new(
            Seed::new(u64::from(std::process::id())).child(self.modality),
            Patient {
                id: exam.patient_id.clone(),
                ..patient.clone()
            },
            OrderInfo {
                item_code: String::new(),
                item_name: "急诊检查".into(),
                body_part: "CHEST".into(),
                priority: Priority::Urgent,
                clinical_history: String::new(),
            },
            Equipment {
                ae_title: self.ae_title.into(),
                institution_name: "河西镇卫生院".into(),
                manufacturer: "Fixtures".into(),
                model: "Synthetic".into(),
            },
            PrimitiveDateTime::new(now.date(), now.time()),
        );
        study.study_uid.clone_from(&exam.study_uid);
        study.accession_number.clone_from(&exam.accession_number);
        study
    }

    /// Sends objects; each must be acknowledged with Success.
    pub fn sends(&self, files: &[DicomFile]) {
        let mut association = self.associate(&files[0].sop_class_uid);
        for file in files {
            let request = StoreRequest {
                sop_class_uid: &file.sop_class_uid,
                sop_instance_uid: &file.sop_instance_uid,
            };
            let data_set = file.bytes[file.data_set_offset..].to_vec();
            let status = association.store(&request, [data_set]).expect("C-STORE");
            assert_eq!(status, 0, "{} is stored", file.name);
        }
        association.release().expect("release");
    }
}

fn encoding_of_gb18030(bytes: &[u8]) -> String {
    let (text, damaged) = encoding_rs::GB18030.decode_without_bom_handling(bytes);
    assert!(!damaged, "{bytes:?} is GB18030");
    text.trim_end_matches([' ', '\0']).to_owned()
}

fn item_of<'p>(page: &'p Value, study_uid: &str) -> Option<&'p Value> {
    page["items"]
        .as_array()?
        .iter()
        .find(|item| item["study_uid"] == study_uid)
}

/// The line of the reading worklist, as soon as `ready` holds.
fn on_the_worklist(client: &Client, order: &Order, ready: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let found = eventually(APPEARS_SECONDS_MAX, || {
        last = ok(client.get("/api/worklist?limit=50")).json();
        item_of(&last, &order.study_uid)
            .filter(|item| ready(item))
            .cloned()
    });
    found.unwrap_or_else(|| panic!("{} is not as due on the worklist: {last}", order.accession_number))
}

/// Reads images at the county hospital.
pub struct Radiologist(pub Client);

impl Radiologist {
    /// Waits until all images of the exam are on the worklist, under the order's number.
    pub fn finds_on_the_reading_worklist(&self, order: &Order, images: usize) {
        let item = on_the_worklist(&self.0, order, |item| item["images"] == images);
        assert_eq!(
            item["accession_number"],
            order.accession_number.as_str(),
            "{item}"
        );
        assert_eq!(item["institution"]["code"], "HEXI", "{item}");
    }

    /// Takes the study, writes and hands it over for review.
    pub fn writes_and_submits(&self, order: &Order, report: &Report) {
        self.act(order, "claim");
        let draft = json!({"findings": report.findings, "impression": report.impression, "positive": true});
        let path = format!("/api/studies/{}/report/draft", order.study_uid);
        ok(self.0.put(&path, &draft, &[]));
        self.act(order, "report/submit");
    }

    /// Nobody signs what they wrote.
    pub fn may_not_sign(&self, order: &Order) {
        let path = format!("/api/studies/{}/report/sign", order.study_uid);
        refused(&self.0.post(&path, &json!({})), 403);
    }

    /// Takes the submitted report and signs it.
    pub fn reviews_and_signs(&self, order: &Order) {
        self.act(order, "claim");
        self.act(order, "report/sign");
    }

    /// Prints the signed report; the code under which anybody can check the paper.
    pub fn prints(&self, order: &Order, report: &Report) -> String {
        let base = format!("/api/studies/{}", order.study_uid);
        let pdf = self.0.get(&format!("{base}/report.pdf"));
        // A node without pages has no fonts, and says so instead of printing boxes.
        if pdf.status != 503 {
            assert!(ok(pdf).body.starts_with(b"%PDF-1."));
        }
        let version = ok(self.0.get(&format!("{base}/report/versions/1"))).json();
        assert_eq!(version["findings"], report.findings);
        assert_eq!(version["impression"], report.impression);
        let (author, signer) = (&version["author"]["user"], &version["signer"]["user"]);
        assert_eq!((author, signer), (&json!("rad.writer"), &json!("rad.reviewer")));
        version["verify_code"].as_str().expect("a code").to_owned()
    }

    #[track_caller]
    fn act(&self, order: &Order, what: &str) {
        ok(self
            .0
            .post(&format!("/api/studies/{}/{what}", order.study_uid), &json!({})));
    }
}

/// Reads ECGs at the county hospital.
pub struct EcgPhysician(pub Client);

impl EcgPhysician {
    /// The machine's measurement puts an ECG with a critical finding before everything else, and says why.
    pub fn sees_a_critical_finding(&self, order: &Order, code: &str) {
        let item = on_the_worklist(&self.0, order, |item| item["priority"] == "STAT");
        assert_eq!(
            item["accession_number"],
            order.accession_number.as_str(),
            "{item}"
        );
        let analysis = ok(self.0.get(&format!("/api/studies/{}/ecg", order.study_uid))).json();
        let said = analysis["statements"].as_array().expect("statements");
        assert!(said.iter().any(|s| s["code"] == code), "{code} in {said:?}");
        assert_ne!(analysis["critical"], json!([]), "a critical rule holds");
    }

    /// Looks at the worklist until the exam is its first line, and gives that line.
    pub fn waits_for_the_first(&self, order: &Order, patience: std::time::Duration) -> Value {
        let begun = std::time::Instant::now();
        loop {
            let page = ok(self.0.get("/api/worklist?limit=5")).json();
            let first = &page["items"][0];
            if first["study_uid"] == order.study_uid.as_str() {
                return first.clone();
            }
            assert!(begun.elapsed() < patience, "not the first line: {page}");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }

    /// Asks what changed since the person's earlier ECG.
    pub fn compares(&self, order: &Order) -> Value {
        let path = format!("/api/studies/{}/ecg/previous", order.study_uid);
        ok(self.0.get(&path)).json()
    }

    /// The study holds a report that nobody measured, byte for byte.
    pub fn finds_only_a_document(&self, order: &Order, file: &[u8]) {
        let base = format!("/api/studies/{}/ecg", order.study_uid);
        refused(&self.0.get(&base), 404);
        let kept = ok(self.0.get(&format!("{base}/files"))).json();
        let kept = &kept["items"][0];
        assert_eq!(kept["measurable"], false, "{kept}");
        assert_eq!(
            ok(self.0.get(kept["url"].as_str().expect("an address"))).body,
            file
        );
    }

    /// The paper is a drawing at true scale.
    pub fn looks_at_the_paper(&self, order: &Order) {
        let paper = ok(self.0.get(&format!("/api/studies/{}/ecg.svg", order.study_uid)));
        assert!(paper.text().contains("mm\""), "sizes in millimetres");
    }
}

/// Treats patients at the hospital of Chinese medicine.
pub struct Clinician(pub Client);

impl Clinician {
    /// What a stranger gets: nothing, not even that it is there.
    pub fn knows_nothing_of(&self, order: &Order) {
        for tail in ["", "/report", "/report/versions/1"] {
            let path = format!("/api/studies/{}{tail}", order.study_uid);
            refused(&self.0.get(&path), 404);
        }
    }

    /// Registers the patient under the own hospital's number and is about to order another exam.
    pub fn receives(&self, patient: &Patient) -> Order {
        place(&self.0, "ZY0008817", patient, "US-ABDOMEN", None)
    }

    /// Before a repeat is ordered, the earlier result stands there, with the mark of recognition.
    pub fn is_offered(&self, earlier: &Order, own: &Order) {
        let (patient, item) = (&own.patient_row, earlier.item_code);
        let path = format!("/api/recognition/candidates?patient={patient}&item={item}");
        let page = ok(self.0.get(&path)).json();
        let offer = item_of(&page, &earlier.study_uid).unwrap_or_else(|| panic!("no offer in {page}"));
        assert_eq!(offer["recognisable"], true, "{offer}");
        assert!(offer["hr_mark"]["text"].is_string(), "{offer}");
    }

    /// Gets the sender's objects, equal byte for byte.
    pub fn opens_the_originals(&self, order: &Order, files: &[DicomFile]) {
        let study = ok(self.0.get(&format!("/dicomweb/studies/{}", order.study_uid)));
        for file in files {
            let sent = &file.bytes[file.data_set_offset..];
            let found = study.body.windows(sent.len()).any(|part| part == sent);
            assert!(found, "{} is there as it was sent", file.name);
        }
    }

    /// Uses the result instead of repeating the exam.
    pub fn recognises(&self, order: &Order) {
        let path = format!("/api/studies/{}/recognition", order.study_uid);
        let made = ok(self.0.post(&path, &json!({"decision": "recognised"}))).json();
        assert_eq!(made["institution"]["code"], "TCM", "{made}");
    }
}

/// Looks after the county's figures.
pub struct Manager(pub Client);

impl Manager {
    /// One of the figures of `GET /api/statistics/{kind}`.
    pub fn counts(&self, kind: &str, figure: &str) -> u64 {
        let figures = ok(self.0.get(&format!("/api/statistics/{kind}"))).json();
        figures[figure]
            .as_u64()
            .unwrap_or_else(|| panic!("{figure} in {figures}"))
    }
}
