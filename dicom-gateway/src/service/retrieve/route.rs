//! In which form an object goes to a peer: as it is stored where the peer takes that, else turned
//! into a transfer syntax that it does take.

use dataset::TransferSyntaxUid;

use crate::Transcoder;

/// Form of an object on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    /// The bytes that were received.
    Stored,
    /// Turned into this transfer syntax.
    Converted(TransferSyntaxUid),
}

/// Chooses among the transfer syntaxes (each with its presentation context) that the peer takes
/// for the object's class. `None`: there is no way.
pub(super) fn choose(
    offers: &[(&str, u8)],
    stored: &str,
    transcoder: Option<&dyn Transcoder>,
) -> Option<(u8, Form)> {
    let context = |syntax: &str| {
        offers
            .iter()
            .find(|(offer, _)| *offer == syntax)
            .map(|(_, id)| *id)
    };
    if let Some(id) = context(stored) {
        return Some((id, Form::Stored));
    }
    transcoder?.targets(stored).iter().find_map(|target| {
        let syntax = TransferSyntaxUid::parse(target).ok()?;
        Some((context(target)?, Form::Converted(syntax)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoredObject;

    struct Some3;
    impl Transcoder for Some3 {
        fn targets(&self, from: &str) -> &[&'static str] {
            if from == "1.2.9" { &[] } else { &["1.2.1", "1.2.2"] }
        }
        fn transcode(
            &self,
            _: StoredObject,
            _: &TransferSyntaxUid,
            _: &mut (dyn std::io::Write + Send),
        ) -> Result<(), String> {
            Err("not called".into())
        }
    }

    #[test]
    fn the_stored_form_goes_first() {
        let check = |offers: &[(&str, u8)], stored: &str, expect: Option<(u8, Option<&str>)>| {
            let chosen = choose(offers, stored, Some(&Some3));
            let shown = chosen.as_ref().map(|(id, form)| match form {
                Form::Stored => (*id, None),
                Form::Converted(to) => (*id, Some(to.as_str())),
            });
            assert_eq!(shown, expect, "{offers:?} {stored}");
        };
        check(&[("1.2.2", 1), ("1.2.80", 3)], "1.2.80", Some((3, None)));
        check(&[("1.2.2", 1), ("1.2.1", 3)], "1.2.80", Some((3, Some("1.2.1"))));
        check(&[("1.2.2", 1)], "1.2.80", Some((1, Some("1.2.2"))));
        check(&[("1.2.7", 1)], "1.2.80", None);
        check(&[("1.2.1", 1)], "1.2.9", None);
        check(&[], "1.2.80", None);
        assert_eq!(choose(&[("1.2.1", 1)], "1.2.80", None), None);
    }
}
