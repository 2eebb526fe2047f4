//! Every statement of this crate is prepared on both databases; the hot ones read no whole table.

use archive::testing::{is_full_scan, plan, prepare_all};

use super::world::World;

fn all() -> Vec<(&'static str, &'static str)> {
    [
        crate::access::guard::sql::ALL,
        crate::access::scope_sql::ALL,
        crate::account::sql::ALL,
        crate::account::session_sql::ALL,
        crate::account::token_sql::ALL,
        crate::claim::sql::ALL,
        crate::critical::sql::ALL,
        crate::detail::sql::ALL,
        crate::edge::sql::ALL,
        crate::exchange::sql::ALL,
        crate::order::sql::ALL,
        crate::paper_head::sql::ALL,
        crate::quality::sql::ALL,
        crate::recognition::sql::ALL,
        crate::report::store_sql::ALL,
        crate::report::versions_sql::ALL,
        crate::report::view_sql::ALL,
        crate::retention::sql::ALL,
        crate::service::sql::ALL,
        crate::share::sql::ALL,
        crate::statistics::sql::ALL,
        crate::statistics::weekly_sql::ALL,
        crate::study::sql::ALL,
        crate::timeline::sql::ALL,
        crate::worklist::item_statements::ALL,
        crate::worklist::sync_sql::ALL,
    ]
    .concat()
}

#[tokio::test]
async fn statements_are_sound_on_sqlite_and_the_hot_ones_use_an_index() {
    let world = World::new().await;
    prepare_all(&world.archive, &all()).await.unwrap();
    let hot = [
        ("facts", crate::study::sql::FACTS, 3),
        ("session", crate::account::session_sql::FIND, 1),
        ("holder", crate::claim::sql::HOLDER, 2),
        ("report", crate::report::store_sql::LOAD, 1),
        ("timeline", crate::timeline::sql::STUDIES, 4),
        ("arrivals", crate::worklist::sync_sql::ARRIVED, 2),
    ];
    for (name, sql, parameters) in hot {
        let plan = plan(&world.archive, sql, parameters).await.unwrap();
        assert!(
            !is_full_scan(world.archive.db().dialect(), &plan),
            "{name}: {plan}"
        );
    }
}

#[tokio::test]
async fn statements_are_sound_on_postgres() {
    let Some((world, server)) = World::on_postgres().await else {
        return;
    };
    prepare_all(&world.archive, &all()).await.unwrap();
    drop((world, server));
}
