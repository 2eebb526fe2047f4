//! A county in miniature and the people in it.

mod answer;
pub mod objects;
mod people;

pub use answer::Answer;
pub use people::{
    Anonymous, Auditor, Clinician, CountyAdmin, DeviceToken, EcgPhysician, Radiologist, Technician,
    TownshipNode, Visitor,
};

use archive::audit::AuditFilter;
use archive::institution::{InstitutionKind, NewInstitution};
use archive::testing::TemporaryFolder;
use archive::{Archive, InstitutionId};
use axum::Router;
use engine::volume::VolumeDevice;
use reading::access::agree;
use reading::account::{NewAccount, NewToken, create_token};
use reading::{Reading, Settings};
use reading::{Role, Roles};
use std::sync::Arc;
use viewer_web::App;

const PASSWORD: &str = "correct horse 1";

/// A county hospital that reads for the township hospital of Hexi, and a TCM hospital that has no part in it.
pub struct House {
    pub reading: Reading,
    router: Router,
    county: InstitutionId,
    hexi: InstitutionId,
    tcm: InstitutionId,
    _folder: TemporaryFolder,
}

impl House {
    /// Opens it on a fresh archive.
    pub async fn open() -> Self {
        Self::open_with(None).await
    }

    /// The same with a device for volumes.
    pub async fn open_with(volume_device: Option<Arc<dyn VolumeDevice>>) -> Self {
        let (archive, folder) = archive::testing::temporary(&[&reading::MIGRATIONS])
            .await
            .unwrap();
        let county = institution(&archive, "COUNTY", "县人民医院", InstitutionKind::CountyHospital).await;
        let hexi = institution(
            &archive,
            "HEXI",
            "河西镇卫生院",
            InstitutionKind::TownshipHospital,
        )
        .await;
        let tcm = institution(&archive, "TCM", "县中医院", InstitutionKind::TcmHospital).await;
        let reading = Reading::open(archive, Settings::new(folder.path()))
            .await
            .unwrap();
        agree(&reading, county, hexi, None).await.unwrap();
        let settings = viewer_web::Settings {
            metrics_token: Some("m-token".into()),
            volume_device,
            ..viewer_web::Settings::default()
        };
        let router = viewer_web::router(App::new(
            reading.clone(),
            settings,
            Some(Arc::new(|| "gongying_up 1\n".to_owned())),
        ));
        Self {
            reading,
            router,
            county,
            hexi,
            tcm,
            _folder: folder,
        }
    }

    pub fn anonymous(&self) -> Anonymous {
        Anonymous(Visitor::new(self.router.clone()))
    }

    pub async fn technician(&self) -> Technician {
        Technician(self.account("tech.hexi", self.hexi, Role::Technician).await)
    }

    pub async fn radiologist(&self) -> Radiologist {
        Radiologist(
            self.account("rad.writer", self.county, Role::RadiologyWriter)
                .await,
        )
    }

    /// A radiologist who reviews and signs.
    pub async fn reviewer(&self) -> Radiologist {
        Radiologist(
            self.account("rad.reviewer", self.county, Role::RadiologyReviewer)
                .await,
        )
    }

    /// Reads ECGs at the county hospital.
    pub async fn ecg_physician(&self) -> EcgPhysician {
        EcgPhysician(self.account("ecg.writer", self.county, Role::EcgWriter).await)
    }

    pub async fn clinician_elsewhere(&self) -> Clinician {
        Clinician(self.account("clin.tcm", self.tcm, Role::Clinician).await)
    }

    pub async fn technician_elsewhere(&self) -> Technician {
        Technician(self.account("tech.tcm", self.tcm, Role::Technician).await)
    }

    pub async fn county_admin(&self) -> CountyAdmin {
        CountyAdmin(self.account("admin.county", self.county, Role::CountyAdmin).await)
    }

    pub async fn auditor(&self) -> Auditor {
        Auditor(self.account("auditor.county", self.county, Role::Auditor).await)
    }

    pub async fn device_token(&self) -> DeviceToken {
        let new = NewToken {
            name: "edge-hexi".into(),
            roles: Roles::from(Role::Device),
            institution_id: self.hexi,
            expires_at: None,
        };
        let token = create_token(&self.reading, new).await.unwrap();
        DeviceToken(Visitor::new(self.router.clone()).bearing(&token))
    }

    /// A token that lets one township node of Hexi in.
    pub async fn edge_token(&self) -> String {
        let lives = std::time::Duration::from_secs(60);
        let centre = self.reading.archive().centre();
        centre.new_enrolment(self.hexi, lives).await.unwrap()
    }

    /// The township node that made this secret.
    pub fn township_node(&self, secret: &str) -> TownshipNode {
        TownshipNode(Visitor::new(self.router.clone()).bearing(secret))
    }

    /// Audit rows of one account about one study.
    pub async fn audit_rows(&self, user: &str, study_uid: &str, event: &str) -> usize {
        let filter = AuditFilter {
            user: Some(user.into()),
            study_uid: Some(study_uid.into()),
            event: Some(event.into()),
            ..AuditFilter::default()
        };
        self.reading
            .archive()
            .audit()
            .search(&filter, 500, None)
            .await
            .unwrap()
            .rows
            .len()
    }

    async fn account(&self, user: &str, institution_id: InstitutionId, role: Role) -> Visitor {
        let new = NewAccount {
            user: user.into(),
            display_name: user.into(),
            institution_id,
            roles: Roles::from(role),
            password: PASSWORD.into(),
        };
        if self.reading.account(user).await.unwrap().is_none() {
            self.reading.create_account(new).await.unwrap();
        }
        Visitor::new(self.router.clone()).logged_in(user, PASSWORD).await
    }
}

async fn institution(archive: &Archive, code: &str, name_zh: &str, kind: InstitutionKind) -> InstitutionId {
    let new = NewInstitution {
        code: code.into(),
        name_zh: name_zh.into(),
        name_en: code.into(),
        kind,
    };
    archive.institutions().create(new).await.unwrap().id
}
