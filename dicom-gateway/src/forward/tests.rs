//! Rules held against facts, data driven.

use archive::UnixMicros;
use archive::order::Priority;
use archive::route::{RouteFacts, Router};

use super::rules::{Conditions, Route, RouteTable, What, When};
use super::{StoreLetter, Zone};

fn facts() -> RouteFacts {
    RouteFacts {
        study_uid: "1.2.3".into(),
        institution: "HEXI".into(),
        modalities: vec!["CT".into()],
        body_part: Some("CHEST".into()),
        priority: Priority::Urgent,
        calling: "HEXI_CT".into(),
        sop_classes: vec!["1.2.840.10008.5.1.4.1.1.2".into()],
        has_waveform: false,
        at: UnixMicros::parse_iso8601("2026-11-20T10:00:00+08:00").expect("moment"),
    }
}

fn route(name: &str, to: &[&str]) -> Route {
    Route {
        name: name.into(),
        conditions: Conditions::default(),
        to: to.iter().map(|name| (*name).to_owned()).collect(),
        when: When::Instance,
        send: What::Objects,
        delay_s: 0,
        commit: false,
        priority: None,
    }
}

fn table(routes: Vec<Route>) -> RouteTable {
    let titles = [("province", "PROV"), ("old", "HEXI_CT"), ("cloud", "CLOUD")];
    let titles = titles
        .iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect();
    RouteTable::new(routes, titles, Zone::CHINA).expect("valid rules")
}

/// Whether a rule with these conditions takes the object.
fn takes(change: impl FnOnce(&mut Conditions), facts: &RouteFacts) -> bool {
    let mut rule = route("r", &["province"]);
    change(&mut rule.conditions);
    let table = table(vec![rule]);
    let takes = !table.object(facts).is_empty();
    assert_eq!(
        table.explain(facts)[0].matches,
        takes,
        "the explanation says what is done"
    );
    takes
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn conditions_hold_or_not() {
    type Change = fn(&mut Conditions, Vec<String>);
    let check = |change: Change, wanted: &[&str], expect: bool| {
        assert_eq!(
            takes(|c| change(c, words(wanted)), &facts()),
            expect,
            "{wanted:?}"
        );
    };
    let institution: Change = |c, w| c.institution = w;
    let modality: Change = |c, w| c.modality = w;
    let body_part: Change = |c, w| c.body_part = w;
    let priority: Change = |c, w| c.priority = w;
    let calling: Change = |c, w| c.calling_ae = w;
    let class: Change = |c, w| c.sop_class = w;
    let days: Change = |c, w| c.days = w;
    let hours: Change = |c, w| c.hours = w.into_iter().next();
    check(institution, &["HEXI"], true);
    check(institution, &["hexi"], true);
    check(institution, &["DONGSHAN", "HEXI"], true);
    check(institution, &["DONGSHAN"], false);
    check(modality, &["CT", "MR"], true);
    check(modality, &["C?"], true);
    check(modality, &["*"], true);
    check(modality, &["US"], false);
    check(body_part, &["CHEST"], true);
    check(body_part, &["CH*T"], true);
    check(body_part, &["HEAD"], false);
    check(priority, &["STAT", "URGENT"], true);
    check(priority, &["routine"], false);
    check(calling, &["HEXI_*"], true);
    check(calling, &["HEXI_"], false);
    check(calling, &["*_CT"], true);
    check(class, &["1.2.840.10008.5.1.4.1.1.2"], true);
    check(class, &["1.2.840.10008.5.1.4.1.1.2.*"], false);
    check(class, &["1.2.840.10008.5.1.4.1.1.9.*"], false);
    check(days, &["fri"], true);
    check(days, &["sat-sun"], false);
    check(hours, &["08:00-18:00"], true);
    check(hours, &["18:00-08:00"], false);
}

#[test]
fn all_conditions_have_to_hold() {
    let both = |institution: &str, modality: &str| {
        takes(
            |c| {
                c.institution = words(&[institution]);
                c.modality = words(&[modality]);
            },
            &facts(),
        )
    };
    assert!(both("HEXI", "CT"));
    assert!(!both("HEXI", "MR") && !both("X", "CT"));
}

#[test]
fn what_is_missing_fits_nothing_but_no_condition() {
    let bare = RouteFacts {
        body_part: None,
        ..facts()
    };
    assert!(takes(|_| {}, &bare));
    assert!(!takes(|c| c.body_part = words(&["*"]), &bare));
    let priority = RouteFacts {
        priority: Priority::Screening,
        ..facts()
    };
    assert!(takes(|c| c.priority = words(&["BULK"]), &priority));
}

#[test]
fn letters_say_where_when_and_how_soon() {
    let mut stat = route("stat", &["province", "cloud"]);
    stat.priority = Some("stat".into());
    stat.delay_s = 60;
    stat.commit = true;
    // wants the same again, and more
    let later = route("later", &["cloud", "PACS2"]);
    let mut whole = route("whole", &["province"]);
    whole.when = When::StudyComplete;
    let mut news = route("news", &["cloud"]);
    news.when = When::StudyComplete;
    news.send = What::Availability;
    let table = table(vec![stat, later, whole, news]);
    let letters = table.object(&facts());
    let shown: Vec<(&str, i64, u64)> = letters
        .iter()
        .map(|l| (l.destination.as_str(), l.priority, l.wait.as_secs()))
        .collect();
    assert_eq!(
        shown,
        [
            ("dicom:province", 100, 60),
            ("dicom:cloud", 100, 60),
            ("dicom:PACS2", 50, 0)
        ]
    );
    let content: StoreLetter = serde_json::from_slice(&letters[0].payload).expect("content");
    assert_eq!(
        (content.route.as_str(), content.commit, content.study.as_str()),
        ("stat", true, "1.2.3")
    );
    let of_study = table.study(&facts());
    let shown: Vec<(&str, &str, bool)> = of_study
        .iter()
        .map(|l| (l.destination.as_str(), l.kind.as_str(), l.each_object))
        .collect();
    assert_eq!(
        shown,
        [
            ("dicom:province", "store", true),
            ("dicom:cloud", "availability", false)
        ]
    );
    let ecg = RouteFacts {
        has_waveform: true,
        ..facts()
    };
    assert_eq!(table.study(&ecg)[0].priority, 75);
}

#[test]
fn nothing_goes_back_to_its_sender() {
    let table = table(vec![route("all", &["old", "HEXI_CT", "province"])]);
    let to: Vec<String> = table
        .object(&facts())
        .into_iter()
        .map(|l| l.destination)
        .collect();
    assert_eq!(to, ["dicom:province"]);
}

#[test]
fn what_is_wrong_with_rules_is_named() {
    let check = |change: fn(&mut Route), expect: &str| {
        let mut rule = route("r", &["province"]);
        change(&mut rule);
        let error = RouteTable::new(vec![rule], Vec::new(), Zone::CHINA)
            .err()
            .expect("refused");
        assert!(error.to_string().contains(expect), "{error}");
    };
    check(|r| r.to.clear(), "to is empty");
    check(|r| r.name = " ".into(), "give it a name");
    check(|r| r.delay_s = u64::MAX, "delay_s");
    check(|r| r.send = What::Availability, "study_complete");
    check(
        |r| r.priority = Some("SOON".into()),
        "STAT, URGENT, ROUTINE or BULK",
    );
    check(|r| r.conditions.priority = vec!["soon".into()], "match priority");
    check(|r| r.conditions.days = vec!["someday".into()], "match days");
    check(|r| r.conditions.hours = Some("8-9".into()), "match hours");
    let twice = vec![route("a", &["x"]), route("a", &["x"])];
    let error = RouteTable::new(twice, Vec::new(), Zone::CHINA)
        .err()
        .expect("refused");
    assert!(
        error.to_string().contains("another route has this name"),
        "{error}"
    );
    let table = table(vec![route("a", &["province", "PACS2"])]);
    let error = table.check_destinations(&[]).expect_err("unknown");
    assert!(
        error.to_string().contains("unknown destination \"PACS2\""),
        "{error}"
    );
    assert_eq!(table.check_destinations(&["PACS2".into()]), Ok(()));
}

#[test]
fn keys_that_are_none_are_refused() {
    let parse = |text: &str| serde_json::from_str::<Route>(text);
    let good = r#"{"name":"a","to":["b"],"match":{"modality":["CT"]},"when":"study_complete","send":"availability"}"#;
    assert!(parse(good).is_ok());
    for (bad, expect) in [
        (r#"{"name":"a","to":["b"],"modality":["CT"]}"#, "modality"),
        (
            r#"{"name":"a","to":["b"],"match":{"modalities":["CT"]}}"#,
            "modalities",
        ),
        (r#"{"name":"a","to":["b"],"when":"later"}"#, "later"),
        (r#"{"name":"a"}"#, "to"),
    ] {
        let error = parse(bad).expect_err("refused").to_string();
        assert!(error.contains(expect), "{error}");
    }
}
