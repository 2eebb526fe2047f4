use super::world::{User, WANG, World, status};
use crate::report::State;
use crate::worklist::{Tab, WorklistFilter};

#[tokio::test]
async fn two_readers_at_once_and_exactly_one_gets_the_study() {
    let world = World::new().await;
    let order = world.user("tech.hexi").await.orders_ct("JH1", WANG, "STAT").await;
    world.arrives(&order).await;
    let (writer, reviewer) = (world.user("rad.writer").await, world.user("rad.reviewer").await);
    let uid = order.study_uid.as_str();
    for _ in 0..8 {
        let (a, b) = tokio::join!(writer.claims(uid), reviewer.claims(uid));
        let mut both = [status(&a), status(&b)];
        both.sort_unstable();
        assert_eq!(both, [200, 409]);
        let (winner, loser, refused) = if a.is_ok() {
            (&writer, &reviewer, b)
        } else {
            (&reviewer, &writer, a)
        };
        match refused {
            Err(crate::ReadingError::Held(holder)) => assert_eq!(holder.user, winner.actor.user),
            other => panic!("{other:?}"),
        }
        assert_eq!(status(&loser.releases(uid).await), 409);
        winner.releases(uid).await.unwrap();
    }
    assert_eq!(
        status(&writer.releases(uid).await),
        200,
        "giving back what nobody holds is no error"
    );
    let technician = world.user("tech.hexi").await;
    assert_eq!(status(&technician.claims(uid).await), 403);
}

async fn whole_life(world: &World) {
    let order = world.user("tech.hexi").await.orders_ct("JH1", WANG, "STAT").await;
    world.arrives(&order).await;
    let uid = order.study_uid.as_str();
    let (writer, reviewer) = (world.user("rad.writer").await, world.user("rad.reviewer").await);
    writer.claims(uid).await.unwrap();
    let first = writer.writes(uid, "初稿", "初稿", None).await.unwrap();
    let second = writer
        .writes(uid, "双肺清晰。", "未见异常。", Some(&first.etag))
        .await
        .unwrap();
    assert_eq!(
        status(&writer.writes(uid, "lost", "x", Some(&first.etag)).await),
        412
    );
    assert_eq!(status(&writer.writes(uid, "lost", "x", None).await), 412);
    assert_eq!(writer.reads_report(uid).await.unwrap().findings, "双肺清晰。");
    assert_eq!(
        status(&reviewer.writes(uid, "x", "x", Some(&second.etag)).await),
        409,
        "claimed by the writer"
    );
    assert_eq!(status(&reviewer.signs(uid).await), 409, "not submitted yet");
    writer.submits(uid).await.unwrap();
    assert_eq!(status(&writer.signs(uid).await), 403, "a writer does not sign");
    assert_eq!(status(&writer.submits(uid).await), 409);
    reviewer.claims(uid).await.unwrap();
    assert_eq!(status(&reviewer.returns(uid, " ").await), 422);
    reviewer.returns(uid, "请补充测量").await.unwrap();
    writer.claims(uid).await.unwrap();
    let returned = writer.reads_report(uid).await.unwrap();
    assert_eq!(
        (returned.status, returned.return_reason.as_deref()),
        (State::Returned, Some("请补充测量"))
    );
    writer
        .writes(uid, "双肺清晰，测量已补。", "未见异常。", Some(&returned.etag))
        .await
        .unwrap();
    writer.submits(uid).await.unwrap();
    let signed = reviewer.signs(uid).await.unwrap();
    assert_eq!((signed.status, signed.current_version), (State::Signed, Some(1)));
    assert_eq!(status(&reviewer.signs(uid).await), 409);
    assert_eq!(
        status(&writer.writes(uid, "late", "late", Some(&signed.etag)).await),
        409
    );
    amendments(&writer, &reviewer, uid).await;
}

async fn amendments(writer: &User<'_>, reviewer: &User<'_>, uid: &str) {
    let reading = &writer.world.reading;
    let version = async |n| crate::report::version_json(reading, &writer.actor, uid, n).await;
    let mut bodies = vec![version(1).await.unwrap()];
    assert_eq!(status(&version(2).await), 404);
    assert_eq!(
        status(&writer.amends(uid, "addendum", "x", None).await),
        403,
        "a writer does not amend"
    );
    assert_eq!(status(&reviewer.amends(uid, "shred", "x", Some("x")).await), 422);
    for (n, kind) in [(2u32, "addendum"), (3, "correction"), (4, "revocation")] {
        if kind != "addendum" {
            assert_eq!(status(&reviewer.amends(uid, kind, "x", None).await), 422);
        }
        reviewer
            .amends(uid, kind, "结节位于左侧。", Some("复核"))
            .await
            .unwrap();
        let body = version(n).await.unwrap();
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(json["predecessor"], n - 1);
        assert_eq!(json["text"], "结节位于左侧。");
        assert_eq!(json["kind"], kind);
        let before: serde_json::Value = serde_json::from_slice(bodies.last().unwrap()).unwrap();
        assert_eq!(json["predecessor_sha256"], before["sha256"]);
        for (i, kept) in bodies.iter().enumerate() {
            assert_eq!(
                &version(i as u32 + 1).await.unwrap(),
                kept,
                "earlier versions stay byte-equal"
            );
        }
        bodies.push(body);
    }
    assert_eq!(
        status(&reviewer.amends(uid, "addendum", "x", None).await),
        409,
        "revoked is the end"
    );
    let lines = crate::report::versions(reading, &writer.actor, uid)
        .await
        .unwrap();
    assert_eq!(lines.len(), 4);
    let first: serde_json::Value = serde_json::from_slice(&bodies[0]).unwrap();
    assert_eq!(first["author"]["user"], "rad.writer");
    assert_eq!(first["signer"]["user"], "rad.reviewer");
    assert_eq!(first["evidence_instances"], 2);
    let page = crate::report::verify_page(reading, first["verify_code"].as_str().unwrap())
        .await
        .unwrap();
    assert!(page.valid && page.revoked && page.superseded_by == Some(4));
    assert_eq!(page.patient_name_masked, "王**");
    assert_eq!(status(&crate::report::verify_page(reading, "ABCD").await), 404);
}

#[tokio::test]
async fn a_report_lives_from_draft_to_revocation() {
    whole_life(&World::new().await).await;
}

#[tokio::test]
async fn the_same_life_on_postgres() {
    let Some((world, server)) = World::on_postgres().await else {
        return;
    };
    whole_life(&world).await;
    drop((world, server));
}

#[tokio::test]
async fn the_database_itself_refuses_to_change_an_issued_version() {
    let world = World::new().await;
    let order = world.signed_study("JH1", WANG).await;
    for sql in [
        "UPDATE report_version SET sha256 = 'x' WHERE study_uid = $1",
        "DELETE FROM report_version WHERE study_uid = $1",
    ] {
        assert!(
            world
                .reading
                .execute(sql, archive::params![&order.study_uid])
                .await
                .is_err(),
            "{sql}"
        );
    }
}

async fn five_studies(world: &World) {
    let technician = world.user("tech.hexi").await;
    for (number, priority) in [
        ("1", "ROUTINE"),
        ("2", "STAT"),
        ("3", "URGENT"),
        ("4", "STAT"),
        ("5", "SCREENING"),
    ] {
        let order = technician.orders_ct(number, WANG, priority).await;
        world.arrives(&order).await;
    }
}

#[tokio::test]
async fn the_worklist_is_sorted_by_class_then_due_time_and_pages_without_overlap() {
    let world = World::new().await;
    five_studies(&world).await;
    let writer = world.user("rad.writer").await;
    let all = writer.worklist(WorklistFilter::default()).await;
    let classes: Vec<_> = all.items.iter().map(|i| i.priority.as_str()).collect();
    assert_eq!(classes, ["STAT", "STAT", "URGENT", "ROUTINE", "SCREENING"]);
    let ordered =
        |w: &[crate::worklist::WorklistItem]| w[0].priority != w[1].priority || w[0].due_at <= w[1].due_at;
    assert!(all.items.windows(2).all(ordered));
    assert_eq!((all.counts.to_write, all.counts.to_review), (5, 0));
    let mut paged = Vec::new();
    let mut cursor = None;
    loop {
        let page = writer
            .worklist(WorklistFilter {
                limit: 2,
                cursor,
                ..WorklistFilter::default()
            })
            .await;
        paged.extend(page.items.into_iter().map(|i| i.study_uid));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(
        paged,
        all.items.iter().map(|i| i.study_uid.clone()).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn filters_narrow_the_worklist() {
    let world = World::new().await;
    five_studies(&world).await;
    let writer = world.user("rad.writer").await;
    let searches = [
        ("王秀", 5),
        ("wangxiuying", 5),
        ("wxy", 5),
        ("3", 1),
        ("100%", 0),
        ("_", 0),
    ];
    let mut filters: Vec<(WorklistFilter, usize)> = searches
        .map(|(q, n)| {
            (
                WorklistFilter {
                    q: Some(q.into()),
                    ..WorklistFilter::default()
                },
                n,
            )
        })
        .into();
    let of = |change: fn(&mut WorklistFilter)| {
        let mut filter = WorklistFilter::default();
        change(&mut filter);
        filter
    };
    filters.extend([
        (of(|f| f.priority = crate::Priority::parse("STAT")), 2),
        (of(|f| f.modality = Some("CT".into())), 5),
        (of(|f| f.modality = Some("MR".into())), 0),
        (of(|f| f.institution = Some("HEXI".into())), 5),
        (of(|f| f.institution = Some("DONGSHAN".into())), 0),
        (of(|f| f.status = vec!["to_write".into()]), 5),
        (of(|f| f.status = vec!["signed".into()]), 0),
        (of(|f| f.from = Some(i64::MAX - 1)), 0),
        (of(|f| f.to = Some(1)), 0),
    ]);
    for (filter, expect) in filters {
        assert_eq!(
            writer.worklist(filter.clone()).await.items.len(),
            expect,
            "{filter:?}"
        );
    }
}

#[tokio::test]
async fn a_study_moves_from_tab_to_tab() {
    let world = World::new().await;
    five_studies(&world).await;
    let (writer, reviewer) = (world.user("rad.writer").await, world.user("rad.reviewer").await);
    let on = async |tab| {
        writer
            .worklist(WorklistFilter {
                tab: Some(tab),
                ..WorklistFilter::default()
            })
            .await
            .items
            .len()
    };
    let uid = writer.worklist(WorklistFilter::default()).await.items[0]
        .study_uid
        .clone();
    writer.claims(&uid).await.unwrap();
    let seen = reviewer
        .worklist(WorklistFilter {
            study_uid: Some(uid.clone()),
            ..WorklistFilter::default()
        })
        .await;
    assert_eq!(seen.items[0].claimed_by.as_ref().unwrap().user, "rad.writer");
    assert_eq!((on(Tab::Mine).await, on(Tab::ToWrite).await), (1, 5));
    writer.writes(&uid, "a", "b", None).await.unwrap();
    writer.submits(&uid).await.unwrap();
    assert_eq!(
        (
            on(Tab::ToWrite).await,
            on(Tab::ToReview).await,
            on(Tab::Done).await
        ),
        (4, 1, 0)
    );
    reviewer.signs(&uid).await.unwrap();
    assert_eq!((on(Tab::ToReview).await, on(Tab::Done).await), (0, 1));
    let page = writer.worklist(WorklistFilter::default()).await;
    assert_eq!((page.items.len(), page.counts.done), (4, 1));
}
