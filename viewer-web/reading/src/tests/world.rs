//! A small world: the demo community on a fresh archive, and users who can be told what to do.

use archive::testing::{Postgres, TemporaryFolder};
use archive::{Archive, UnixMicros, params};

use crate::order::{OrderInput, OrderView, PatientInput};
use crate::report::{ReportText, ReportView};
use crate::worklist::WorklistFilter;
use crate::{Actor, ReadingError, Result, Settings};

pub(super) const PASSWORD: &str = "correct horse";

/// The community with its services.
pub(super) struct World {
    pub(super) reading: crate::Reading,
    pub(super) archive: Archive,
    _folder: TemporaryFolder,
}

/// Somebody with an account.
pub(super) struct User<'w> {
    pub(super) world: &'w World,
    pub(super) actor: Actor,
}

impl World {
    pub(super) async fn new() -> World {
        let (archive, folder) = archive::testing::temporary(&[&crate::MIGRATIONS]).await.unwrap();
        World::on(archive, folder).await
    }

    /// The same on PostgreSQL; `None` when it is not installed.
    pub(super) async fn on_postgres() -> Option<(World, Postgres)> {
        let Some(server) = Postgres::start().unwrap() else {
            println!("skipped: PostgreSQL not installed");
            return None;
        };
        let (archive, folder) = server.archive(&[&crate::MIGRATIONS]).await.unwrap();
        Some((World::on(archive, folder).await, server))
    }

    async fn on(archive: Archive, folder: TemporaryFolder) -> World {
        let reading = crate::Reading::open(archive.clone(), Settings::new(folder.path()))
            .await
            .unwrap();
        crate::demo::seed(&reading, PASSWORD).await.unwrap();
        World {
            reading,
            archive,
            _folder: folder,
        }
    }

    pub(super) async fn user(&self, name: &str) -> User<'_> {
        let account = self.reading.account(name).await.unwrap().unwrap();
        let actor = Actor {
            user: account.user,
            display_name: account.display_name,
            roles: account.roles,
            institution: self.reading.institution(account.institution_id).await.unwrap(),
            source_ip: Some("127.0.0.1".into()),
            expires_at: i64::MAX,
        };
        User { world: self, actor }
    }

    /// A study as a device sends it for an order, already ready: one series of two CT objects.
    pub(super) async fn arrives(&self, order: &OrderView) {
        self.arrives_as(&order.study_uid, Some(order), &order.modality)
            .await;
    }

    pub(super) async fn arrives_as(&self, study_uid: &str, order: Option<&OrderView>, modality: &str) {
        let db = self.archive.db();
        let (order_id, patient, institution) = match order {
            Some(order) => {
                let row = db.fetch_one(
                    "SELECT id, patient_id, institution_id FROM exam_order WHERE study_uid = $1",
                    params![study_uid],
                );
                let row = row.await.unwrap();
                assert_eq!(order.study_uid, study_uid);
                (
                    Some(row.int("id").unwrap()),
                    row.int("patient_id").unwrap(),
                    row.int("institution_id").unwrap(),
                )
            }
            None => panic!("an order is needed"),
        };
        let (uid, modality, accession) = (
            study_uid.to_owned(),
            modality.to_owned(),
            order.map(|o| o.accession_number.clone()),
        );
        let done = db.write(move |tx| {
            Box::pin(async move {
                let now = UnixMicros::now();
                let row = params![&uid, patient, institution, order_id, accession, crate::context::local_day(now.0), "000000", &modality, now];
                let id = tx.fetch_one("INSERT INTO study (study_uid, patient_id, institution_id, order_id, accession_number, study_date, study_time, modalities, has_waveform, state, series_count, instance_count, received_first_at, received_last_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 'ready', 1, 2, $9, $9) RETURNING id", row).await?.int("id")?;
                let row = params![id, format!("{uid}.1"), &modality, now];
                let series = tx.fetch_one("INSERT INTO series (study_id, series_uid, modality, number, kind, instance_count, frame_count, received_first_at, received_last_at) VALUES ($1, $2, $3, 1, 'image', 2, 2, $4, $4) RETURNING id", row).await?.int("id")?;
                for n in 1..=2i64 {
                    let row = params![series, id, format!("{uid}.1.{n}"), "1.2.840.10008.5.1.4.1.1.2", n, Vec::<u8>::new(), now];
                    tx.execute("INSERT INTO instance (series_id, study_id, sop_instance_uid, sop_class_uid, transfer_syntax_uid, number, frames, object_key, size_bytes, meta_bytes, meta_digest, dataset_digest, source, received_at) VALUES ($1, $2, $3, $4, '1.2.840.10008.1.2.1', $5, 1, 'x', 1, 1, $6, $6, 'CStore', $7)", row).await?;
                }
                Ok::<(), ReadingError>(())
            })
        });
        done.await.unwrap();
    }

    /// A signed CT report of a Hexi patient.
    pub(super) async fn signed_study(&self, number: &str, national_id: &str) -> OrderView {
        let order = self
            .user("tech.hexi")
            .await
            .orders_ct(number, national_id, "STAT")
            .await;
        self.arrives(&order).await;
        let (writer, reviewer) = (self.user("rad.writer").await, self.user("rad.reviewer").await);
        writer
            .writes(
                &order.study_uid,
                "右肺上叶见结节影，直径约8mm。",
                "右肺上叶结节。",
                None,
            )
            .await
            .unwrap();
        writer.submits(&order.study_uid).await.unwrap();
        reviewer.signs(&order.study_uid).await.unwrap();
        order
    }

    /// Number of audit rows about a study by a user, and how many of them are refusals.
    pub(super) async fn audit_rows(&self, user: &str, study_uid: &str) -> (usize, usize) {
        let filter = archive::audit::AuditFilter {
            user: Some(user.to_owned()),
            study_uid: Some(study_uid.to_owned()),
            ..Default::default()
        };
        let rows = self
            .archive
            .audit()
            .search(&filter, 1000, None)
            .await
            .unwrap()
            .rows;
        (rows.len(), rows.iter().filter(|r| r.outcome != 0).count())
    }
}

pub(super) const WANG: &str = "11010519491231002X";

impl User<'_> {
    pub(super) async fn orders_ct(&self, number: &str, national_id: &str, priority: &str) -> OrderView {
        self.orders("CT-CHEST", number, national_id, priority).await
    }

    pub(super) async fn orders(
        &self,
        item: &str,
        number: &str,
        national_id: &str,
        priority: &str,
    ) -> OrderView {
        let input = OrderInput {
            patient: PatientInput {
                id: number.into(),
                name: "王秀英".into(),
                national_id: Some(national_id.into()),
                ..PatientInput::default()
            },
            item_code: item.into(),
            priority: Some(priority.into()),
            clinical_history: Some("咳嗽5天".into()),
            ..OrderInput::default()
        };
        crate::order::place(&self.world.reading, &self.actor, input)
            .await
            .unwrap()
    }

    pub(super) async fn claims(&self, study: &str) -> Result<crate::Claimed> {
        crate::claim(&self.world.reading, &self.actor, study).await
    }

    pub(super) async fn releases(&self, study: &str) -> Result<()> {
        crate::release(&self.world.reading, &self.actor, study).await
    }

    pub(super) async fn writes(
        &self,
        study: &str,
        findings: &str,
        impression: &str,
        if_match: Option<&str>,
    ) -> Result<ReportView> {
        let text = ReportText {
            findings: findings.into(),
            impression: impression.into(),
            positive: Some(true),
            ..ReportText::default()
        };
        crate::report::save(&self.world.reading, &self.actor, study, text, if_match).await
    }

    pub(super) async fn submits(&self, study: &str) -> Result<ReportView> {
        crate::report::submit(&self.world.reading, &self.actor, study).await
    }

    pub(super) async fn returns(&self, study: &str, reason: &str) -> Result<ReportView> {
        crate::report::give_back(&self.world.reading, &self.actor, study, reason).await
    }

    pub(super) async fn signs(&self, study: &str) -> Result<ReportView> {
        crate::report::sign(&self.world.reading, &self.actor, study).await
    }

    pub(super) async fn amends(
        &self,
        study: &str,
        kind: &str,
        text: &str,
        reason: Option<&str>,
    ) -> Result<ReportView> {
        crate::report::amend(
            &self.world.reading,
            &self.actor,
            study,
            kind,
            text.into(),
            reason.map(str::to_owned),
        )
        .await
    }

    pub(super) async fn reads_report(&self, study: &str) -> Result<ReportView> {
        crate::report::report(&self.world.reading, &self.actor, study).await
    }

    pub(super) async fn worklist(&self, filter: WorklistFilter) -> crate::worklist::Page {
        let filter = WorklistFilter {
            limit: if filter.limit == 0 { 200 } else { filter.limit },
            ..filter
        };
        crate::worklist::worklist(&self.world.reading, &self.actor, &filter)
            .await
            .unwrap()
    }
}

/// The HTTP status of an outcome.
pub(super) fn status<T>(result: &Result<T>) -> u16 {
    match result {
        Ok(_) => 200,
        Err(error) => error.status(),
    }
}
