//! A county as its operator sets it up: by the commands of the executable, before the node starts.

use super::http::Client;
use super::people::{Clinician, Device, EcgPhysician, Manager, Radiologist, Technician};
use super::{PASSWORD, Product, run, run_with};
use std::path::PathBuf;
use tempfile::TempDir;

const ANY_PORT: &str = "127.0.0.1:0";

/// A county hospital that reads, a township hospital that sends, a hospital of Chinese medicine that treats.
pub struct County {
    product: Product,
    config: PathBuf,
    _folder: TempDir,
}

impl County {
    /// Sets it up in a fresh folder and starts its node.
    pub fn found() -> County {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let config = folder.path().join("node.toml");
        let at = data.display();
        let text = format!(
            "[dicom]\nlisten = \"{ANY_PORT}\"\n[http]\nlisten = \"{ANY_PORT}\"\n[archive]\nindex = \"sqlite:{at}/index.sqlite\"\n\
             objects = \"file:{at}/objects\"\ndata_dir = \"{at}/state\"\n[log]\nfilter = \"warn\"\n"
        );
        std::fs::write(&config, text).unwrap();
        let operator = Operator(config.to_str().unwrap());
        operator.institution("COUNTY", "青禾县人民医院", "county_hospital", &[]);
        operator.institution("TCM", "青禾县中医医院", "tcm_hospital", &[]);
        let sends = ["--read-by", "COUNTY", "--recognised"];
        operator.institution("HEXI", "河西镇卫生院", "township_hospital", &sends);
        for (user, name, institution, roles) in PEOPLE {
            operator.person(user, name, institution, roles);
        }
        operator.device("HEXI_CT", "河西 CT");
        operator.device("HEXI_ECG", "河西 心电图机");
        County {
            product: Product::serve(&config, &data),
            config,
            _folder: folder,
        }
    }

    fn login(&self, user: &str) -> Client {
        self.product.login(user)
    }

    pub fn township_technician(&self) -> Technician {
        Technician(self.login("tech.hexi"))
    }

    pub fn radiologist_who_writes(&self) -> Radiologist {
        Radiologist(self.login("rad.writer"))
    }

    pub fn radiologist_who_reviews(&self) -> Radiologist {
        Radiologist(self.login("rad.reviewer"))
    }

    pub fn ecg_physician(&self) -> EcgPhysician {
        EcgPhysician(self.login("ecg.writer"))
    }

    pub fn clinician_of_another_hospital(&self) -> Clinician {
        Clinician(self.login("clin.tcm"))
    }

    pub fn manager(&self) -> Manager {
        Manager(self.login("admin.county"))
    }

    /// A visitor without an account, such as somebody who holds a printed report.
    pub fn anybody(&self) -> Client {
        self.product.anonymous()
    }

    pub fn ct(&self) -> Device {
        Device::new(self.product.dicom, "HEXI_CT", "CT")
    }

    pub fn ecg_recorder(&self) -> Device {
        Device::new(self.product.dicom, "HEXI_ECG", "ECG")
    }

    /// Events in the audit trail about a study, as (account, code value).
    pub fn audited(&self, study_uid: &str) -> Vec<(String, String)> {
        let path = format!("/api/audit?study_uid={study_uid}&limit=1000");
        let page = self.login("auditor.county").get(&path).json();
        let rows = page["items"].as_array().expect("rows of the audit trail").iter();
        rows.map(|row| {
            let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
            (text("user"), text("event"))
        })
        .collect()
    }

    /// The operator stops the node and checks what it leaves: every object against its digest, and the audit chain.
    pub fn closes_with_everything_intact(self) {
        self.product.kill();
        let config = self.config.to_str().unwrap();
        for check in [&["admin", "verify"][..], &["admin", "audit", "verify"]] {
            let (code, out, message) = run(&[check, &["--config", config]].concat());
            let out = String::from_utf8_lossy(&out);
            assert_eq!(code, Some(0), "{check:?}: {out}{message}");
        }
    }
}

const PEOPLE: [(&str, &str, &str, &str); 7] = [
    ("tech.hexi", "吴技师", "HEXI", "technician"),
    ("rad.writer", "王写作", "COUNTY", "radiology_writer"),
    (
        "rad.reviewer",
        "李审核",
        "COUNTY",
        "radiology_writer,radiology_reviewer",
    ),
    ("ecg.writer", "陈阅图", "COUNTY", "ecg_writer"),
    ("clin.tcm", "周接诊", "TCM", "clinician"),
    ("admin.county", "医共体管理员", "COUNTY", "county_admin"),
    ("auditor.county", "审计员", "COUNTY", "auditor"),
];

/// Whoever runs `gongying admin` for a node.
struct Operator<'c>(&'c str);

impl Operator<'_> {
    fn institution(&self, code: &str, name: &str, kind: &str, more: &[&str]) {
        let what = ["--code", code, "--name", name, "--kind", kind];
        self.admin(&["institution", "create"], &[&what, more].concat(), "");
    }

    fn person(&self, user: &str, name: &str, institution: &str, roles: &str) {
        let who = ["--user", user, "--name", name, "--institution", institution];
        self.admin(
            &["user", "create"],
            &[&who[..], &["--role", roles]].concat(),
            PASSWORD,
        );
    }

    fn device(&self, ae_title: &str, name: &str) {
        let which = ["--aet", ae_title, "--name", name, "--institution", "HEXI"];
        self.admin(&["device", "create"], &which, "");
    }

    fn admin(&self, command: &[&str], options: &[&str], input: &str) {
        let arguments = [&["admin"], command, options, &["--config", self.0]].concat();
        let (code, _, message) = run_with(&arguments, input);
        assert_eq!(code, Some(0), "{arguments:?}: {message}");
    }
}
