use proptest::prelude::*;

use super::*;

const WRITER: &str = "writer";
const REVIEWER: &str = "reviewer";

fn text() -> Command {
    Command::Save(ReportText {
        findings: "双肺纹理清晰。".into(),
        impression: "未见异常。".into(),
        ..ReportText::default()
    })
}
fn back() -> Command {
    Command::Return {
        reason: "请补充测量".into(),
    }
}
fn amend(kind: VersionKind) -> Command {
    Command::Amend {
        kind,
        text: "补充".into(),
        reason: Some("复核".into()),
    }
}

fn run(steps: &[(&Command, &str)]) -> Result<Record> {
    let mut record = Record::default();
    for (i, (command, user)) in steps.iter().enumerate() {
        record = record.apply(command, user, i as i64 + 1, true)?.record;
    }
    Ok(record)
}

/// A record in each state, reached on the shortest way.
fn reached(state: State) -> Record {
    let (write, submit, sign) = (
        (text(), WRITER),
        (Command::Submit, WRITER),
        (Command::Sign, REVIEWER),
    );
    let all = [
        write,
        submit,
        match state {
            State::Returned => (back(), REVIEWER),
            _ => sign,
        },
        (
            amend(if state == State::Revoked {
                VersionKind::Revocation
            } else {
                VersionKind::Addendum
            }),
            REVIEWER,
        ),
    ];
    let steps = match state {
        State::None => 0,
        State::Draft => 1,
        State::Submitted => 2,
        State::Returned | State::Signed => 3,
        State::Amended | State::Revoked => 4,
    };
    run(&all.iter().take(steps).map(|(c, u)| (c, *u)).collect::<Vec<_>>()).unwrap()
}

/// Every state × every command: what it leads to, or that it is refused.
#[test]
fn the_table_of_transitions() {
    let commands: [(Command, &str); 7] = [
        (text(), WRITER),
        (Command::Submit, WRITER),
        (back(), REVIEWER),
        (Command::Sign, REVIEWER),
        (amend(VersionKind::Addendum), REVIEWER),
        (amend(VersionKind::Correction), REVIEWER),
        (amend(VersionKind::Revocation), REVIEWER),
    ];
    use State::{Amended, Draft, Returned, Revoked, Signed, Submitted};
    let expect: [[Option<State>; 7]; 7] = [
        [Some(Draft), None, None, None, None, None, None],
        [Some(Draft), Some(Submitted), None, None, None, None, None],
        [None, None, Some(Returned), Some(Signed), None, None, None],
        [Some(Draft), Some(Submitted), None, None, None, None, None],
        [
            None,
            None,
            None,
            None,
            Some(Amended),
            Some(Amended),
            Some(Revoked),
        ],
        [
            None,
            None,
            None,
            None,
            Some(Amended),
            Some(Amended),
            Some(Revoked),
        ],
        [None, None, None, None, None, None, None],
    ];
    for (state, row) in State::ALL.into_iter().zip(expect) {
        let record = reached(state);
        assert_eq!(record.state, state);
        for ((command, user), want) in commands.iter().zip(row) {
            let got = record.apply(command, user, 100, true);
            match want {
                Some(next) => assert_eq!(got.unwrap().record.state, next, "{state:?} {command:?}"),
                None => assert!(
                    matches!(got, Err(ReadingError::Conflict(_))),
                    "{state:?} {command:?}"
                ),
            }
        }
    }
}

#[test]
fn the_author_signs_only_where_one_signature_is_enough() {
    let written = run(&[(&text(), WRITER), (&Command::Submit, WRITER)]).unwrap();
    assert!(matches!(
        written.apply(&Command::Sign, WRITER, 9, true),
        Err(ReadingError::Conflict(_))
    ));
    assert_eq!(
        written
            .apply(&Command::Sign, WRITER, 9, false)
            .unwrap()
            .record
            .state,
        State::Signed
    );
}

#[test]
fn inputs_are_checked() {
    let refused = |record: &Record, command: Command| {
        assert!(
            matches!(
                record.apply(&command, REVIEWER, 9, true),
                Err(ReadingError::Invalid { .. })
            ),
            "{command:?}"
        );
    };
    let submitted = run(&[(&text(), WRITER), (&Command::Submit, WRITER)]).unwrap();
    refused(&submitted, Command::Return { reason: "  ".into() });
    refused(
        &submitted,
        Command::Return {
            reason: "长".repeat(REASON_CHARS_MAX + 1),
        },
    );
    let signed = submitted.apply(&Command::Sign, REVIEWER, 9, true).unwrap().record;
    let amendment = |kind, text: &str, reason: Option<&str>| Command::Amend {
        kind,
        text: text.into(),
        reason: reason.map(str::to_owned),
    };
    refused(&signed, amendment(VersionKind::Correction, "左侧", None));
    refused(&signed, amendment(VersionKind::Revocation, "撤回", Some(" ")));
    refused(&signed, amendment(VersionKind::Addendum, "", Some("x")));
    refused(&signed, amendment(VersionKind::Original, "x", Some("x")));
    assert!(
        signed
            .apply(&amendment(VersionKind::Addendum, "补充", None), REVIEWER, 9, true)
            .is_ok()
    );
    refused(
        &Record::default(),
        Command::Save(ReportText {
            findings: "长".repeat(TEXT_CHARS_MAX + 1),
            ..ReportText::default()
        }),
    );
}

#[test]
fn an_empty_report_is_not_submitted() {
    let empty = run(&[(&Command::Save(ReportText::default()), WRITER)]).unwrap();
    assert!(matches!(
        empty.apply(&Command::Submit, WRITER, 9, true),
        Err(ReadingError::Conflict(_))
    ));
}

#[test]
fn the_reason_of_a_return_stays_until_it_is_signed() {
    let mended = run(&[
        (&text(), WRITER),
        (&Command::Submit, WRITER),
        (&back(), REVIEWER),
        (&text(), WRITER),
    ])
    .unwrap();
    assert_eq!(mended.returned.as_ref().map(|r| r.0.as_str()), Some("请补充测量"));
    assert_eq!(mended.state, State::Draft);
}

fn any_command() -> impl Strategy<Value = Command> {
    let kind = prop_oneof![
        Just(VersionKind::Original),
        Just(VersionKind::Addendum),
        Just(VersionKind::Correction),
        Just(VersionKind::Revocation)
    ];
    prop_oneof![
        ("[a-z]{0,3}", "[a-z]{0,3}").prop_map(|(findings, impression)| Command::Save(ReportText {
            findings,
            impression,
            ..ReportText::default()
        })),
        Just(Command::Submit),
        "[a-z]{0,3}".prop_map(|reason| Command::Return { reason }),
        Just(Command::Sign),
        (kind, "[a-z]{0,3}", proptest::option::of("[a-z]{0,3}"))
            .prop_map(|(kind, text, reason)| Command::Amend { kind, text, reason }),
    ]
}

proptest! {
    /// Whatever is asked in whatever order: an issued text never changes, versions only grow by one and only with an
    /// issuing step, the signer is never the author, revision and times grow, a revoked report stays revoked.
    #[test]
    fn any_history_keeps_the_promises(history in proptest::collection::vec((any_command(), 0..2usize, -5i64..50), 0..60)) {
        let users = [WRITER, REVIEWER];
        let mut record = Record::default();
        let mut now = 1000;
        for (command, user, advance) in history {
            now += advance;
            let Ok(step) = record.apply(&command, users[user], now, true) else { continue };
            let next = step.record;
            prop_assert_eq!(next.revision, record.revision + 1);
            prop_assert!(next.updated_at >= record.updated_at);
            prop_assert_eq!(next.versions, record.versions + u32::from(step.issues.is_some()));
            if record.state.is_issued() {
                prop_assert!(next.state.is_issued());
                prop_assert_eq!(&next.text, &record.text);
                prop_assert_eq!(&next.author, &record.author);
                prop_assert_eq!(&next.signer, &record.signer);
                prop_assert_eq!(next.signed_at, record.signed_at);
            }
            if next.state.is_issued() {
                prop_assert!(next.versions >= 1);
                prop_assert!(next.author.is_some() && next.author != next.signer);
                prop_assert!(next.submitted_at <= next.signed_at);
            } else {
                prop_assert_eq!(next.versions, 0);
            }
            prop_assert!(record.state != State::Revoked);
            record = next;
        }
    }
}
