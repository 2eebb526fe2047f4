//! What a township node keeps of the centre, so that its devices find their worklist while the line is down.

use super::wire::{DeviceWire, InstitutionWire, OrderWire};
use crate::Archive;
use crate::db::Tx;
use crate::device::{Device, NewDevice};
use crate::error::{ArchiveError, Result};
use crate::ids::{InstitutionId, UnixMicros};
use crate::institution::NewInstitution;
use crate::name::NameParts;
use crate::order::Priority;
use crate::params;
use crate::patient::{FactSource, PatientFacts, upsert_in};

crate::statements! {
    mod sql {
        PUT = "INSERT INTO exam_order (accession_number, study_uid, patient_id, institution_id, modality, body_part, item_code, item_name, priority, clinical_history, scheduled_ae, scheduled_at, ordered_by, ordered_at, state, state_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 'ordered', $14) ON CONFLICT (accession_number) DO UPDATE SET patient_id = excluded.patient_id, modality = excluded.modality, body_part = excluded.body_part, item_code = excluded.item_code, item_name = excluded.item_name, priority = excluded.priority, clinical_history = excluded.clinical_history, scheduled_ae = excluded.scheduled_ae, scheduled_at = excluded.scheduled_at, state = CASE WHEN exam_order.state = 'cancelled' THEN 'ordered' ELSE exam_order.state END";
        OPEN = "SELECT id, accession_number FROM exam_order WHERE institution_id = $1 AND state IN ('ordered', 'in_progress')";
        GONE = "UPDATE exam_order SET state = 'cancelled', state_at = $2 WHERE id = $1 AND state IN ('ordered', 'in_progress')";
    }
}

/// The mirrored part of a node's index.
#[derive(Clone)]
pub struct Mirror {
    archive: Archive,
}

impl Archive {
    /// What this township node keeps of the centre.
    pub fn mirror(&self) -> Mirror {
        Mirror {
            archive: self.clone(),
        }
    }
}

fn is_same(device: &Device, told: &DeviceWire) -> bool {
    device.ae_title == told.ae_title.trim()
        && device.from_addr == told.from_addr
        && device.may_store == told.may_store
        && device.may_query == told.may_query
        && device.may_retrieve == told.may_retrieve
        && device.expires_at == told.expires_at.map(UnixMicros)
}

impl Mirror {
    /// The institution of this node, made when it is new here.
    ///
    /// # Errors
    /// What the index says.
    pub async fn institution(&self, told: &InstitutionWire) -> Result<InstitutionId> {
        let institutions = self.archive.institutions();
        match institutions.by_code(&told.code).await {
            Ok(known) => Ok(known.id),
            Err(ArchiveError::NotFound(_)) => {
                let new = NewInstitution {
                    code: told.code.clone(),
                    name_zh: told.name_zh.clone(),
                    name_en: told.name_en.clone(),
                    kind: told.kind.parse()?,
                };
                Ok(institutions.create(new).await?.id)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes the devices that may connect exactly these.
    ///
    /// # Errors
    /// What the index says; [`ArchiveError::Invalid`] for a device that cannot be.
    pub async fn devices(&self, institution: InstitutionId, told: &[DeviceWire]) -> Result<()> {
        let devices = self.archive.devices();
        let known: Vec<Device> = devices
            .list()
            .await?
            .into_iter()
            .filter(|device| device.revoked_at.is_none())
            .collect();
        for device in known.iter().filter(|d| !told.iter().any(|t| is_same(d, t))) {
            devices.revoke(device.id).await?;
        }
        for told in told.iter().filter(|t| !known.iter().any(|d| is_same(d, t))) {
            devices
                .create(NewDevice {
                    name: told.name.clone(),
                    ae_title: told.ae_title.clone(),
                    institution_id: institution,
                    from_addr: told.from_addr.clone(),
                    may_store: told.may_store,
                    may_query: told.may_query,
                    may_retrieve: told.may_retrieve,
                    listener: None,
                    expires_at: told.expires_at.map(UnixMicros),
                })
                .await?;
        }
        Ok(())
    }

    /// Makes the waiting exam requests exactly these. One whose images came here already stays as it is.
    ///
    /// # Errors
    /// What the index says.
    pub async fn orders(&self, institution: InstitutionId, told: Vec<OrderWire>) -> Result<()> {
        self.archive
            .db()
            .write(move |tx| Box::pin(async move { put_orders(tx, institution, told).await }))
            .await
    }
}

async fn put_orders(tx: &mut Tx, institution: InstitutionId, told: Vec<OrderWire>) -> Result<()> {
    let now = UnixMicros::now();
    for row in tx.fetch_all(sql::OPEN, params![institution]).await? {
        let number = row.text("accession_number")?;
        if !told.iter().any(|order| order.accession_number == number) {
            tx.execute(sql::GONE, params![row.int("id")?, now]).await?;
        }
    }
    for order in told {
        let priority: Priority = order.priority.parse()?;
        let facts = PatientFacts {
            issuer: order.issuer,
            identifier: order.patient_id,
            name: NameParts {
                alphabetic: order.name_alphabetic,
                ideographic: order.name_ideographic,
                phonetic: String::new(),
            },
            sex: order.sex,
            birth_date: order.birth_date,
            national_id: None,
        };
        let patient = upsert_in(tx, institution, facts, FactSource::Order).await?;
        let values = params![
            order.accession_number,
            order.study_uid,
            patient,
            institution,
            order.modality,
            order.body_part,
            order.item_code,
            order.item_name,
            priority.as_str(),
            order.clinical_history,
            order.scheduled_ae,
            order.scheduled_at,
            order.ordered_by,
            now
        ];
        tx.execute(sql::PUT, values).await?;
    }
    Ok(())
}
