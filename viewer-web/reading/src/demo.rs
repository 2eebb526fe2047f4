//! The demo community: one county, six institutions, eleven accounts, six devices.

use archive::device::NewDevice;
use archive::institution::{InstitutionKind, NewInstitution};
use archive::{ArchiveError, InstitutionId};

use crate::access::agree;
use crate::account::NewAccount;
use crate::error::Result;
use crate::recognition::{EVERY_ITEM, Scope, grant};
use crate::role::{Role, Roles};
use crate::service::Reading;

struct DemoInstitution {
    code: &'static str,
    name_zh: &'static str,
    name_en: &'static str,
    kind: InstitutionKind,
}

const fn place(
    code: &'static str,
    name_zh: &'static str,
    name_en: &'static str,
    kind: InstitutionKind,
) -> DemoInstitution {
    DemoInstitution {
        code,
        name_zh,
        name_en,
        kind,
    }
}

/// Code of the county hospital, the reading centre.
pub const CENTRE: &str = "QHRM";

const INSTITUTIONS: [DemoInstitution; 6] = [
    place(
        CENTRE,
        "青禾县人民医院",
        "Qinghe County People's Hospital",
        InstitutionKind::CountyHospital,
    ),
    place(
        "QHZY",
        "青禾县中医医院",
        "Qinghe County Hospital of Chinese Medicine",
        InstitutionKind::TcmHospital,
    ),
    place(
        "HEXI",
        "河西镇卫生院",
        "Hexi Township Hospital",
        InstitutionKind::TownshipHospital,
    ),
    place(
        "DONGSHAN",
        "东山镇卫生院",
        "Dongshan Township Hospital",
        InstitutionKind::TownshipHospital,
    ),
    place(
        "NANQIAO",
        "南桥镇卫生院",
        "Nanqiao Township Hospital",
        InstitutionKind::TownshipHospital,
    ),
    place(
        "BEIGOU",
        "北沟村卫生室",
        "Beigou Village Clinic",
        InstitutionKind::VillageClinic,
    ),
];

/// A demo account.
pub struct DemoAccount {
    /// Account name.
    pub user: &'static str,
    /// Name shown.
    pub display_name: &'static str,
    /// Code of the institution.
    pub institution: &'static str,
    /// Duties.
    pub roles: &'static [Role],
}

const fn person(
    user: &'static str,
    display_name: &'static str,
    institution: &'static str,
    roles: &'static [Role],
) -> DemoAccount {
    DemoAccount {
        user,
        display_name,
        institution,
        roles,
    }
}

/// The demo accounts.
pub const ACCOUNTS: [DemoAccount; 11] = [
    person("tech.hexi", "吴技师", "HEXI", &[Role::Technician]),
    person("tech.dongshan", "孙技师", "DONGSHAN", &[Role::Technician]),
    person("rad.writer", "王写作", CENTRE, &[Role::RadiologyWriter]),
    person(
        "rad.reviewer",
        "李审核",
        CENTRE,
        &[Role::RadiologyWriter, Role::RadiologyReviewer],
    ),
    person("ecg.writer", "陈阅图", CENTRE, &[Role::EcgWriter]),
    person(
        "ecg.reviewer",
        "刘审图",
        CENTRE,
        &[Role::EcgWriter, Role::EcgReviewer],
    ),
    person("clin.tcm", "周接诊", "QHZY", &[Role::Clinician]),
    person("clin.hexi", "赵医生", "HEXI", &[Role::Clinician]),
    person("admin.county", "医共体管理员", CENTRE, &[Role::CountyAdmin]),
    person("security.county", "安全管理员", CENTRE, &[Role::SecurityAdmin]),
    person("auditor.county", "审计员", CENTRE, &[Role::Auditor]),
];

/// Devices: AE title, name, institution, may it query and retrieve, address, listener.
type DemoDevice = (
    &'static str,
    &'static str,
    &'static str,
    bool,
    Option<&'static str>,
    Option<&'static str>,
);
const DEVICES: [DemoDevice; 6] = [
    ("HEXI_DR", "河西 DR", "HEXI", true, None, None),
    ("HEXI_CT", "河西 CT", "HEXI", true, None, None),
    ("HEXI_ECG", "河西 心电图机", "HEXI", true, None, None),
    ("DONGSHAN_US", "东山 超声", "DONGSHAN", true, None, None),
    ("COUNTY_MR", "县医院 磁共振", CENTRE, true, None, None),
    (
        "JUDGE",
        "联调工作站",
        CENTRE,
        true,
        Some("127.0.0.1"),
        Some("127.0.0.1:11113"),
    ),
];

/// What seeding made; everything may have been there already.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Seeded {
    /// New institutions.
    pub institutions: usize,
    /// New accounts.
    pub accounts: usize,
    /// New devices.
    pub devices: usize,
}

/// Makes the demo community. What exists stays as it is, except that every demo account gets `password`.
///
/// # Errors
/// What the index says.
pub async fn seed(reading: &Reading, password: &str) -> Result<Seeded> {
    let mut seeded = Seeded::default();
    let mut ids: Vec<(&str, InstitutionId)> = Vec::new();
    for wanted in INSTITUTIONS {
        let (id, new) = institution(reading, &wanted).await?;
        seeded.institutions += usize::from(new);
        ids.push((wanted.code, id));
    }
    let id_of = |code: &str| ids.iter().find(|(c, _)| *c == code).map(|(_, id)| *id);
    let missing = || ArchiveError::NotFound("demo institution".to_owned());
    let centre = id_of(CENTRE).ok_or_else(missing)?;
    for (_, sender) in &ids {
        agree(reading, centre, *sender, None).await?;
        grant(reading, *sender, EVERY_ITEM, Scope::County).await?;
    }
    for wanted in &ACCOUNTS {
        let at = id_of(wanted.institution).ok_or_else(missing)?;
        seeded.accounts += usize::from(account(reading, wanted, at, password).await?);
    }
    let enrolled = reading.archive().devices().list().await?;
    for (ae_title, name, code, queries, from_addr, listener) in DEVICES {
        if enrolled
            .iter()
            .any(|d| d.ae_title == ae_title && d.revoked_at.is_none())
        {
            continue;
        }
        let device = NewDevice {
            name: name.to_owned(),
            ae_title: ae_title.to_owned(),
            institution_id: id_of(code).ok_or_else(missing)?,
            from_addr: from_addr.map(str::to_owned),
            may_store: true,
            may_query: queries,
            may_retrieve: queries,
            listener: listener.map(str::to_owned),
            expires_at: None,
        };
        reading.archive().devices().create(device).await?;
        seeded.devices += 1;
    }
    Ok(seeded)
}

async fn institution(reading: &Reading, wanted: &DemoInstitution) -> Result<(InstitutionId, bool)> {
    let institutions = reading.archive().institutions();
    match institutions.by_code(wanted.code).await {
        Ok(kept) => Ok((kept.id, false)),
        Err(ArchiveError::NotFound(_)) => {
            let new = NewInstitution {
                code: wanted.code.to_owned(),
                name_zh: wanted.name_zh.to_owned(),
                name_en: wanted.name_en.to_owned(),
                kind: wanted.kind,
            };
            Ok((institutions.create(new).await?.id, true))
        }
        Err(other) => Err(other.into()),
    }
}

async fn account(reading: &Reading, wanted: &DemoAccount, at: InstitutionId, password: &str) -> Result<bool> {
    if let Some(kept) = reading.account(wanted.user).await? {
        if !crate::secret::verify(password, &kept.password_hash).await? {
            reading.set_password(wanted.user, password).await?;
        }
        return Ok(false);
    }
    let new = NewAccount {
        user: wanted.user.to_owned(),
        display_name: wanted.display_name.to_owned(),
        institution_id: at,
        roles: wanted.roles.iter().copied().collect::<Roles>(),
        password: password.to_owned(),
    };
    reading.create_account(new).await.map(|()| true)
}
