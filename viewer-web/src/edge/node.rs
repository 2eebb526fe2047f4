//! Which township node is asking.

use crate::App;
use crate::problem::Problem;
use archive::edge::EdgeNode;
use archive::edge::wire::InstitutionWire;
use archive::institution::Institution;
use reading::{Actor, Role};

/// The node behind a bearer token; one that was shut out is refused at once.
pub(super) async fn of(app: &App, actor: &Actor) -> Result<EdgeNode, Problem> {
    if !actor.has(Role::Edge) {
        return Err(Problem::forbidden());
    }
    let node = app.archive().centre().node(&actor.user).await?;
    node.filter(|node| node.revoked_at.is_none() && node.institution_id == actor.institution_id())
        .ok_or_else(Problem::forbidden)
}

pub(super) fn institution_wire(institution: Institution) -> InstitutionWire {
    InstitutionWire {
        code: institution.code,
        name_zh: institution.name_zh,
        name_en: institution.name_en,
        kind: institution.kind.as_str().to_owned(),
    }
}
