use super::world::{PASSWORD, World, status};
use crate::account::{self, NewAccount, NewToken};
use crate::demo::{self, Seeded};
use crate::{Role, Roles};

#[tokio::test]
async fn the_demo_community_is_made_once() {
    let world = World::new().await;
    assert_eq!(
        demo::seed(&world.reading, PASSWORD).await.unwrap(),
        Seeded::default()
    );
    assert_eq!(world.archive.institutions().list().await.unwrap().len(), 6);
    assert_eq!(world.archive.devices().list().await.unwrap().len(), 6);
    demo::seed(&world.reading, "another password").await.unwrap();
    assert!(
        account::log_in(&world.reading, "clin.tcm", "another password", None)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_session_lives_until_it_is_ended() {
    let world = World::new().await;
    let login = account::log_in(&world.reading, "rad.writer", PASSWORD, Some("10.0.0.7".into()))
        .await
        .unwrap();
    assert!(login.actor.permissions().contains(&"report.write"));
    assert!(!login.actor.permissions().contains(&"report.sign"));
    let back = account::resume(&world.reading, &login.token, None)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(back.user, "rad.writer");
    assert!(
        account::resume(&world.reading, "guess", None)
            .await
            .unwrap()
            .is_none()
    );
    account::log_out(&world.reading, &login.token).await.unwrap();
    assert!(
        account::resume(&world.reading, &login.token, None)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn an_idle_or_old_session_is_over() {
    let world = World::new().await;
    for change in [
        "UPDATE web_session SET last_seen_at = 1",
        "UPDATE web_session SET expires_at = 1",
    ] {
        let login = account::log_in(&world.reading, "rad.writer", PASSWORD, None)
            .await
            .unwrap();
        world.reading.execute(change, Vec::new()).await.unwrap();
        assert!(
            account::resume(&world.reading, &login.token, None)
                .await
                .unwrap()
                .is_none(),
            "{change}"
        );
    }
}

#[tokio::test]
async fn a_new_password_ends_the_sessions() {
    let world = World::new().await;
    let login = account::log_in(&world.reading, "rad.writer", PASSWORD, None)
        .await
        .unwrap();
    account::resume(&world.reading, &login.token, None)
        .await
        .unwrap()
        .unwrap();
    world
        .reading
        .set_password("rad.writer", "a new password")
        .await
        .unwrap();
    assert!(
        account::resume(&world.reading, &login.token, None)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn wrong_passwords_lock_the_account_for_a_while_and_are_written_down() {
    let world = World::new().await;
    let wrong = async || status(&account::log_in(&world.reading, "clin.hexi", "wrong", None).await);
    for _ in 0..10 {
        assert_eq!(wrong().await, 401);
    }
    assert_eq!(wrong().await, 423);
    assert_eq!(
        status(&account::log_in(&world.reading, "clin.hexi", PASSWORD, None).await),
        423
    );
    assert_eq!(
        status(&account::log_in(&world.reading, "nobody", "x", None).await),
        401
    );
    let filter = archive::audit::AuditFilter {
        event: Some("110114".into()),
        ..Default::default()
    };
    let rows = world
        .archive
        .audit()
        .search(&filter, 100, None)
        .await
        .unwrap()
        .rows;
    assert_eq!(rows.iter().filter(|r| r.outcome != 0).count(), 13);
    world
        .reading
        .execute("UPDATE account SET locked_until = 1", Vec::new())
        .await
        .unwrap();
    let last_login = async || {
        let all = world.reading.accounts().await.unwrap();
        all.into_iter()
            .find(|a| a.user == "clin.hexi")
            .unwrap()
            .last_login_at
    };
    assert_eq!(last_login().await, None);
    assert_eq!(
        status(&account::log_in(&world.reading, "clin.hexi", PASSWORD, None).await),
        200
    );
    assert!(last_login().await.is_some());
}

#[tokio::test]
async fn accounts_keep_the_separation_of_powers() {
    let world = World::new().await;
    let id = world.archive.institutions().by_code("HEXI").await.unwrap().id;
    let make = async |user: &str, roles: &str, password: &str| {
        let new = NewAccount {
            user: user.into(),
            display_name: "某某".into(),
            institution_id: id,
            roles: Roles::parse(roles),
            password: password.into(),
        };
        status(&world.reading.create_account(new).await)
    };
    assert_eq!(make("a", "auditor security_admin", PASSWORD).await, 422);
    assert_eq!(make("a", "", PASSWORD).await, 422);
    assert_eq!(make("a b", "clinician", PASSWORD).await, 422);
    assert_eq!(make("a", "clinician", "short").await, 422);
    assert_eq!(make("a", "clinician technician", PASSWORD).await, 200);
    assert_eq!(make("a", "clinician", PASSWORD).await, 409);
    world
        .reading
        .update_account("a", "某某", id, Role::Clinician.into(), true)
        .await
        .unwrap();
    assert_eq!(
        status(&account::log_in(&world.reading, "a", PASSWORD, None).await),
        401
    );
}

#[tokio::test]
async fn a_token_acts_for_a_machine() {
    let world = World::new().await;
    let id = world.archive.institutions().by_code("HEXI").await.unwrap().id;
    let new = NewToken {
        name: "edge-hexi".into(),
        roles: Role::Device.into(),
        institution_id: id,
        expires_at: None,
    };
    let token = account::create_token(&world.reading, new.clone()).await.unwrap();
    let actor = account::resume_token(&world.reading, &token, None)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (actor.user.as_str(), actor.permissions()),
        ("edge-hexi", vec!["images.store"])
    );
    let over = account::create_token(
        &world.reading,
        NewToken {
            expires_at: Some(1),
            ..new
        },
    )
    .await
    .unwrap();
    assert!(
        account::resume_token(&world.reading, &over, None)
            .await
            .unwrap()
            .is_none()
    );
}
