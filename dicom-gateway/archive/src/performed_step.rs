//! Performed procedure steps as devices report them (PS3.4 Annex F), and the orders that move on
//! with them.
//!
//! **Invariant:** `IN PROGRESS` is the only state that can change; `COMPLETED` and `DISCONTINUED`
//! are final (PS3.4 F.7.2.2).

use crate::db::{Row, Tx};
use crate::error::{ArchiveError, Result};
use crate::ids::{OrderId, UnixMicros};
use crate::order::Orders;
use crate::params;
use std::str::FromStr;

crate::statements! {
    mod sql {
        INSERT = "INSERT INTO performed_step (sop_instance_uid, order_id, state, data_set, station_ae, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $6)";
        UPDATE = "UPDATE performed_step SET state = $2, data_set = $3, updated_at = $4 WHERE sop_instance_uid = $1 AND state = 'IN PROGRESS'";
        GET = "SELECT order_id, state, data_set, station_ae FROM performed_step WHERE sop_instance_uid = $1";
        OTHERS = "SELECT COUNT(*) AS n FROM performed_step WHERE order_id = $1 AND state <> 'DISCONTINUED'";
        BEGIN_ORDER = "UPDATE exam_order SET state = 'in_progress', state_at = $2 WHERE id = $1 AND state IN ('ordered', 'cancelled')";
        CANCEL_ORDER = "UPDATE exam_order SET state = 'cancelled', state_at = $2 WHERE id = $1 AND state IN ('ordered', 'in_progress')";
    }
}

/// Performed Procedure Step Status (0040,0252).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StepState {
    /// The exam runs.
    InProgress,
    /// It is done.
    Completed,
    /// It was broken off.
    Discontinued,
}

impl StepState {
    /// The word of the standard.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "IN PROGRESS",
            Self::Completed => "COMPLETED",
            Self::Discontinued => "DISCONTINUED",
        }
    }

    /// Nothing can change any more.
    pub fn is_final(self) -> bool {
        self != Self::InProgress
    }
}

impl FromStr for StepState {
    type Err = ArchiveError;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "IN PROGRESS" => Ok(Self::InProgress),
            "COMPLETED" => Ok(Self::Completed),
            "DISCONTINUED" => Ok(Self::Discontinued),
            _ => Err(ArchiveError::invalid(
                "performed procedure step status",
                "write IN PROGRESS, COMPLETED or DISCONTINUED",
            )),
        }
    }
}

/// A performed procedure step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PerformedStep {
    /// Order it belongs to, when known.
    pub order_id: Option<OrderId>,
    /// Where it stands.
    pub state: StepState,
    /// All attributes, encoded by the caller.
    pub data_set: Vec<u8>,
    /// AE title of the device.
    pub station_ae: String,
}

/// What became of a change to a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepChange {
    /// It is in this state now.
    Done(StepState),
    /// There is no such step.
    Unknown,
    /// It was final already and stays as it is.
    Final,
}

fn read(row: &Row) -> Result<PerformedStep> {
    Ok(PerformedStep {
        order_id: row.opt_int("order_id")?.map(OrderId),
        state: row.text("state")?.parse()?,
        data_set: row.bytes("data_set")?,
        station_ae: row.text("station_ae")?,
    })
}

/// The order after a step changed: broken off when no other step of it runs or was done.
async fn move_order(tx: &mut Tx, order: Option<OrderId>, state: StepState) -> Result<()> {
    let Some(order) = order else { return Ok(()) };
    let values = params![order, UnixMicros::now()];
    match state {
        StepState::InProgress => {
            tx.execute(sql::BEGIN_ORDER, values).await?;
        }
        // the images move it on
        StepState::Completed => {}
        StepState::Discontinued => {
            let others = tx.fetch_one(sql::OTHERS, params![order]).await?.int("n")?;
            if others == 0 {
                tx.execute(sql::CANCEL_ORDER, values).await?;
            }
        }
    }
    Ok(())
}

impl Orders {
    /// Notes a performed procedure step; its order moves on with it.
    ///
    /// # Errors
    /// [`ArchiveError::Conflict`] when the UID is taken.
    pub async fn create_step(&self, sop_instance_uid: &str, step: PerformedStep) -> Result<()> {
        let uid = sop_instance_uid.to_owned();
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let now = UnixMicros::now();
                    let values = params![
                        uid,
                        step.order_id,
                        step.state.as_str(),
                        step.data_set,
                        step.station_ae,
                        now
                    ];
                    tx.execute(sql::INSERT, values).await?;
                    move_order(tx, step.order_id, step.state).await
                })
            })
            .await
    }

    /// Changes a step that is in progress: `change` gets it as it is and says what it becomes. Two
    /// changes at once come one after the other.
    ///
    /// # Errors
    /// The error of `change`, or what the index says.
    pub async fn change_step(
        &self,
        sop_instance_uid: &str,
        change: impl FnOnce(&PerformedStep) -> Result<(StepState, Vec<u8>)> + Send + 'static,
    ) -> Result<StepChange> {
        let uid = sop_instance_uid.to_owned();
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let Some(row) = tx.fetch_optional(sql::GET, params![&uid]).await? else {
                        return Ok(StepChange::Unknown);
                    };
                    let step = read(&row)?;
                    if step.state.is_final() {
                        return Ok(StepChange::Final);
                    }
                    let (state, data_set) = change(&step)?;
                    let values = params![uid, state.as_str(), data_set, UnixMicros::now()];
                    if tx.execute(sql::UPDATE, values).await? == 0 {
                        return Ok(StepChange::Final);
                    }
                    move_order(tx, step.order_id, state).await?;
                    Ok(StepChange::Done(state))
                })
            })
            .await
    }

    /// A performed procedure step.
    ///
    /// # Errors
    /// What the index says.
    pub async fn step(&self, sop_instance_uid: &str) -> Result<Option<PerformedStep>> {
        let row = self
            .db
            .fetch_optional(sql::GET, params![sop_instance_uid])
            .await?;
        row.as_ref().map(read).transpose()
    }
}
